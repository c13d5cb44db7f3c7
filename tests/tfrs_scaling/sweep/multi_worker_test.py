import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import tensorflow as tf
import yaml
from click.testing import CliRunner

from tests.helpers.studies import REPOSITORY, leading, tiny_config, tiny_content, tiny_data
from tfrs_scaling.cli.main import main
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.fit.runs.run_table import TIMING_COLUMNS
from tfrs_scaling.hardware import Worker
from tfrs_scaling.study.attempts import EVENT_FILES
from tfrs_scaling.study.export import MEASURED, export
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.multi_worker import join_as_worker
from tfrs_scaling.training.loop import TrialFailedError
from tfrs_scaling.training.trial import lost_worker_named

LIMIT_SECONDS = 150


class MultiWorkerTest(tf.test.TestCase):
    """A study on two workers of this machine, as a user would start it on two machines with a shared folder."""

    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        self.config = tiny_config(V=["1/2"])
        self.data = tiny_data(self.config, self.root / "data")
        self.config_file = self.root / "tiny.yaml"
        self.config_file.write_text(yaml.safe_dump(tiny_content(V=["1/2"])))
        self.addresses = free_addresses(2)

    def tf_config(self, worker: int) -> str:
        return json.dumps({"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": worker}})

    def start(self, workdir: Workdir, worker: int) -> "subprocess.Popen[str]":
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
        environment["TF_CONFIG"] = self.tf_config(worker)
        command = ["sweep", self.config_file, "--data", self.root / "data", "--workdir", workdir.root]
        process = subprocess.Popen(
            [sys.executable, "-c", "from tfrs_scaling.cli.main import main; main()", *map(str, command)],
            cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)  # the processes of its trials end with it
        return process

    def finish(self, *processes: "subprocess.Popen[str]") -> list[str]:
        """What they printed."""
        ends = time.monotonic() + LIMIT_SECONDS
        outputs = []
        for process in processes:
            output, _ = process.communicate(timeout=max(1.0, ends - time.monotonic()))
            self.assertEqual(process.returncode, 0, output)
            outputs.append(" ".join(output.split()))
        return outputs

    def measured(self, workdir: Workdir) -> pd.DataFrame:
        columns = ["examples", *(c for c in MEASURED.values() if c not in TIMING_COLUMNS)]
        return export(*workdir.reopened(), workdir).set_index("trial_id")[columns]

    def test_two_workers_go_on_where_one_device_was_and_measure_what_it_does(self) -> None:
        one_device, shared = Workdir(self.root / "one device"), Workdir(self.root / "shared")
        where = ["--data", self.root / "data", "--workdir", one_device.root, "--strategy", "cpu"]
        done = CliRunner().invoke(main, [*map(str, ["sweep", self.config_file, *where])])
        self.assertEqual(done.exit_code, 0, done.output)

        # As if killed during the last trial. The worker is there first, and finds the end of the last sweep.
        last = all_trials(self.config)[-1].trial_id
        shutil.copytree(one_device.root, shared.root)
        shutil.rmtree(shared.trials / last)
        shared.announce(None)
        worker = self.start(shared, 1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.communicate(timeout=10)
            self.fail("the worker did not wait for its chief")
        by_chief, by_worker = self.finish(self.start(shared, 0), worker)
        self.assertIn("study tiny: multi_worker (TF_CONFIG names 2 workers", by_chief)
        self.assertIn("2 trials × 3 data sizes", by_chief)
        self.assertIn("2 trials: 2 ok", by_chief)
        self.assertIn("joins the chief's trials", by_worker)
        self.assertNotIn("failed", by_worker)
        expected, found = self.measured(one_device), self.measured(shared)
        self.assertEqual(list(found.index), list(expected.index))
        for column in expected:
            # The same batches, summed in another order.
            self.assertAllClose(found[column].to_numpy(), expected[column].to_numpy(), rtol=2e-4, msg=column)
        strategies = export(*shared.reopened(), shared).groupby("trial_id")["strategy"].unique().explode()
        self.assertEqual(strategies.pop(last), "multi_worker")
        self.assertEqual(set(strategies), {"cpu"})
        events = [path.parent.name for path in shared.trials.rglob(EVENT_FILES)]
        self.assertCountEqual(events, [trial.trial_id for trial in all_trials(self.config)])  # the worker wrote none

        # Nothing is left: a worker does not wait for a chief.
        join_as_worker(self.config, str(self.root / "data"), shared, Worker(1, 2), print)

    def test_lost_worker_is_the_reason_of_a_failure_and_a_lone_device_s_error_stays_its_own(self) -> None:
        broken = tf.errors.UnavailableError(None, None, "Collective ops is aborted by: Socket closed")
        with self.assertRaisesRegex(TrialFailedError, "another worker ended"), lost_worker_named(Worker(0, 2)):
            raise broken
        with self.assertRaises(tf.errors.UnavailableError), lost_worker_named(Worker(0, 1)):
            raise broken

    def test_trials_side_by_side_are_refused(self) -> None:
        command = ["sweep", str(self.config_file), "--workdir", str(self.root / "study"), "--jobs", "2"]
        result = CliRunner(env={"TF_CONFIG": self.tf_config(0)}).invoke(main, command)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("--jobs: 2 under multi_worker", result.output)

    def test_worker_of_another_study_says_what_differs(self) -> None:
        workdir = Workdir(self.root / "study")
        with leading(workdir):
            workdir.claim(tiny_config(O=[2]), self.data)
        workdir.announce("D-1-lr0.04-seed0")
        with self.assertRaisesRegex(InputError, r"holds another study(.|\n)* sweep\.V: "):
            join_as_worker(self.config, str(self.root / "data"), workdir, Worker(1, 2), print)


def free_addresses(count: int) -> list[str]:
    """Of ports of this machine that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for unbound in sockets:
            unbound.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{bound.getsockname()[1]}" for bound in sockets]


if __name__ == "__main__":
    tf.test.main()
