"""Several processes that run one study: as threads of this one where nothing is killed."""

import concurrent.futures
import dataclasses
import socket
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pandas as pd
import tensorflow as tf
import yaml

from tests.helpers.faults import Siege, quick_trial
from tests.helpers.studies import leading, tiny_config, tiny_content, tiny_data
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config
from tfrs_scaling.fit.runs.run_table import TIMING_COLUMNS, write_runs
from tfrs_scaling.planning.plan import plan_on
from tfrs_scaling.study.attempts import Process, live_attempts
from tfrs_scaling.study.export import export
from tfrs_scaling.study.lead import CHIEF, Chief, Watch
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.endpoint import TOKEN, Endpoint
from tfrs_scaling.sweep.member import sweep
from tfrs_scaling.sweep.runner import Runner


class ClusterTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        self.content = tiny_content(V=["1/2"], H=[2], O=[2])
        self.config = validated(Config, self.content, "tiny")
        self.data = tiny_data(self.config, self.root / "data")
        self.workdir = Workdir(self.root / "study")
        self.said: dict[str, list[str]] = {}
        self.runners: dict[str, Runner] = {}

    def member(
        self, name: str, *, config: Config | None = None, key: Path | None = None, wait_seconds: float = 60
    ) -> bool:
        """As ``run_or_join`` does; whether it led at the end."""
        config = config or self.config
        said = self.said.setdefault(name, [])
        watch = Watch(self.workdir.root, beat_seconds=0.5)
        lead = watch.enter(join=True, say=said.append)
        if lead is not None:
            self.workdir.claim(config, self.data)
        else:
            self.workdir.check(config, self.data)
        self.runners[name] = Runner(
            config, self.data, self.workdir, strategy="cpu", jobs=1, time_limit=None, train=quick_trial
        )
        return sweep(
            config, self.workdir, plan_on(config, self.data.manifest), self.runners[name], lambda *_: None, lead,
            watch=watch, endpoint=Endpoint("127.0.0.1:0", key or self.workdir.root / TOKEN),
            check=lambda: self.workdir.check(config, self.data), say=said.append, wait_seconds=wait_seconds,
        )  # fmt: skip

    def until(self, is_so: Callable[[], object], process: "concurrent.futures.Future[bool] | None" = None) -> None:
        ends = time.monotonic() + 60
        while not is_so():
            if process is not None and process.done():
                process.result()
            self.assertLess(time.monotonic(), ends)
            time.sleep(0.02)

    def serves(self) -> bool:
        chief = Chief.read(self.workdir.root)
        return chief is not None and chief.address is not None

    def ended(self) -> int:
        return len(list(self.workdir.trials.glob("*/trial.json")))

    def test_one_joins_in_the_middle_and_leads_when_the_first_is_stopped(self) -> None:
        config = tiny_config(V=["1/2", "1/4"], H=[2], O=[2], M=[2])
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            first = threads.submit(self.member, "first", config=config)
            self.until(self.ended, first)
            second = threads.submit(self.member, "second", config=config)
            self.until(lambda: any(line.startswith("ok ") for line in self.said.get("second", [])))
            self.runners["first"].stop.set()
            with self.assertRaises(KeyboardInterrupt):
                first.result()
            self.assertTrue(second.result())
        self.assertIn(
            f"{self.workdir.root}: the chief is gone, and this process leads the study now", self.said["second"]
        )
        runs = export(*self.workdir.reopened(), self.workdir)
        self.assertEqual(set(runs["status"]), {"ok"})
        self.assertCountEqual(set(runs["trial_id"]), [trial.trial_id for trial in all_trials(config)])
        self.assertFalse(runs.duplicated(["trial_id", "examples"]).any())
        self.assertEqual([self.serves(), *self.workdir.running.iterdir()], [False])

    def test_lead_that_was_lost_before_the_first_trial(self) -> None:
        config = tiny_config()
        watch = Watch(self.workdir.root, beat_seconds=0.25)
        lead = watch.enter(join=True)
        assert lead is not None
        self.workdir.claim(config, self.data)
        other = Chief("0" * 32, dataclasses.replace(Process.this(), host="elsewhere"))  # which ends at once
        write_json(self.workdir.root / CHIEF, dataclasses.asdict(other))
        self.assertTrue(lead.is_replaced())
        runner = Runner(config, self.data, self.workdir, strategy="cpu", jobs=1, time_limit=None, train=quick_trial)
        planned = plan_on(config, self.data.manifest)
        self.assertTrue(sweep(config, self.workdir, planned, runner, lambda *_: None, lead, watch=watch))
        self.assertEqual(self.ended(), 1)

    def test_wrong_token_and_other_configuration_are_refused(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            first = thread.submit(self.member, "first")
            self.until(self.serves, first)
            (self.workdir.root / "wrong").write_text("another-token-than-it")
            with self.assertRaisesRegex(InputError, "the chief at 127.0.0.1:[0-9]+ refuses the token in .*/wrong"):
                self.member("second", key=self.workdir.root / "wrong", wait_seconds=0.2)
            with self.assertRaisesRegex(InputError, r"holds another study(.|\n)* sweep\.V: "):
                self.member("third", config=tiny_config(V=["1/4"]))
            with self.assertRaisesRegex(InputError, "another sweep is running in this folder"), leading(self.workdir):
                pass
            self.assertTrue(first.result())
        self.assertEqual((self.said["second"], self.said["third"]), ([], []))
        self.assertEqual(self.ended(), 4)

    def test_chief_that_answers_nobody_is_given_up_with_words(self) -> None:
        lead = Watch(self.workdir.root).enter(join=False)
        assert lead is not None
        self.addCleanup(lead.close)
        self.workdir.claim(self.config, self.data)
        Endpoint(None, self.workdir.root / TOKEN).token(make=True)
        lead.serve_at("127.0.0.1:9")
        with self.assertRaisesRegex(InputError, "at 127.0.0.1:9, process .* did not answer for 0 min; 0 of 4 trials"):
            self.member("second", wait_seconds=0.2)
        self.assertEqual(self.said["second"], ["waiting for the chief at 127.0.0.1:9"])

    def test_address_in_use_is_an_input_error(self) -> None:
        with socket.socket() as other, leading(self.workdir) as lead:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = f"127.0.0.1:{other.getsockname()[1]}"
            self.workdir.claim(self.config, self.data)
            planned, endpoint = plan_on(self.config, self.data.manifest), Endpoint(address, self.workdir.root / TOKEN)
            runner = Runner(
                self.config, self.data, self.workdir, strategy="cpu", jobs=1, time_limit=None, train=quick_trial
            )
            with self.assertRaisesRegex(InputError, f"{address}: cannot be served; --address should be this machine"):
                sweep(self.config, self.workdir, planned, runner, print, lead, endpoint=endpoint)
        self.assertFalse(self.serves())

    def test_three_processes_one_worker_and_the_chief_killed_equal_a_single_process(self) -> None:
        config_file = self.root / "tiny.yaml"
        config_file.write_text(yaml.safe_dump(self.content))
        with Siege(config_file, self.root / "data", self.workdir, processes=3, quick=True, seed=0) as siege:
            self.until(lambda: siege.chief() is not None and len(list(live_attempts(self.workdir.running))) > 1)
            chief = siege.chief()
            assert chief is not None
            siege.kill_one(next(number for number in siege.processes if number != chief))
            siege.kill_one(chief)
            outputs = siege.finish(again=False)
        (last,) = (output for output in outputs if "report: " in output)
        self.assertIn("the chief is gone, and this process leads the study now", last)
        self.assertIn("4 trials: 4 ok", last)
        self.assertNotIn("\nV\n", last)

        alone = Workdir(self.root / "alone")
        planned = plan_on(self.config, self.data.manifest)
        with leading(alone) as lead, mock.patch("os.cpu_count", return_value=1):
            alone.claim(self.config, self.data)
            runner = Runner(self.config, self.data, alone, strategy="cpu", jobs=1, time_limit=None, train=quick_trial)
            sweep(self.config, alone, planned, runner, lambda *_: None, lead)
        write_runs(export(*alone.reopened(), alone), alone.runs)
        dropped = [*TIMING_COLUMNS, "machine"]
        pd.testing.assert_frame_equal(
            pd.read_csv(self.workdir.runs).drop(columns=dropped), pd.read_csv(alone.runs).drop(columns=dropped)
        )


if __name__ == "__main__":
    tf.test.main()
