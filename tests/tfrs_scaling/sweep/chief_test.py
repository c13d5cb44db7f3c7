import concurrent.futures
import dataclasses
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import grpc
import keras_tuner as kt
import pandas as pd
import tensorflow as tf
import yaml

from tests.helpers.faults import Siege
from tests.helpers.studies import tiny_config, tiny_content, tiny_data
from tests.tfrs_scaling.sweep.multi_worker_test import free_addresses
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json
from tfrs_scaling.fit.runs.run_table import TIMING_COLUMNS, write_runs
from tfrs_scaling.planning.plan import plan, plan_on
from tfrs_scaling.study import attempts
from tfrs_scaling.study.attempts import Attempt, Heartbeat, Process, begin, publish
from tfrs_scaling.study.export import export
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.chief import ChiefOracle, lead
from tfrs_scaling.sweep.grid import INVALID, RUNNING, OracleClient
from tfrs_scaling.sweep.role import Role
from tfrs_scaling.sweep.runner import Runner
from tfrs_scaling.sweep.single_process import sweep
from tfrs_scaling.sweep.worker import run_worker
from tfrs_scaling.training.loop import Progress
from tfrs_scaling.training.trial import run_trial


def record(status: str = "ok", ne: float = 0.5) -> dict[str, Any]:
    where = {"strategy": "cpu", "libraries": "", "machine": "", "attempt": str(ne)}
    return {"status": status, "reason": "", "validation_ne": ne if status == "ok" else None, **where}


class BusyWorkdir(Workdir):
    """A folder in which a record appears right after the chief looked for it."""

    about_to_come: dict[str, dict[str, Any]] | None = None

    def record(self, trial_id: str) -> dict[str, Any] | None:
        found = super().record(trial_id)
        if self.about_to_come and trial_id in self.about_to_come:
            publish(begin(self.running, trial_id), self.trials / trial_id, self.about_to_come.pop(trial_id))
        return found


class ChiefTest(tf.test.TestCase):
    """What the chief hands out, to workers that a test plays."""

    def setUp(self) -> None:
        super().setUp()
        self.workdir = Workdir(Path(self.get_temp_dir()) / self._testMethodName)
        self.config = tiny_config(V=["1/2"], O=[2])
        assert self.config.synthetic is not None
        self.planned = plan(self.config, self.config.synthetic.schema(), 100)
        self.names = [trial.trial_id for trial in all_trials(self.config)]
        self.said: list[str] = []
        self.heard: list[tuple[str, Any]] = []
        self.now = 1000.0

    def chief(self) -> ChiefOracle:
        def watcher(name: str, state: Any) -> None:
            self.heard.append((name, state))

        return ChiefOracle(self.config, self.workdir, watcher, self.said.append, self.planned, clock=lambda: self.now)

    def publish(self, name: str, content: dict[str, Any]) -> None:
        publish(begin(self.workdir.running, name), self.workdir.trials / name, content)

    def test_each_trial_once_and_ended_when_its_record_is_there(self) -> None:
        chief = self.chief()
        given = [chief.create_trial(f"w{n}/0/x") for n in range(3)]
        self.assertEqual([chief.name(trial) for trial in given], self.names)
        self.assertEqual(chief.create_trial("w3/0/x").status, "IDLE")
        self.assertEqual(chief.name(chief.create_trial("w1/0/x")), self.names[1])  # asked again
        for n, (trial, name) in enumerate(zip(given, self.names, strict=True)):
            self.publish(name, record(ne=0.1 * n + 0.5) if n < 2 else record("failed"))
            chief.end_trial(trial)
        self.assertFalse(chief.update())
        self.assertEqual(chief.create_trial("w0/0/x").status, "STOPPED")
        self.assertEqual([(t.status, t.score) for t in map(chief.get_trial, ("0000", "0001", "0002"))],
                         [("COMPLETED", 0.5), ("COMPLETED", 0.6), ("FAILED", None)])  # fmt: skip
        ended = [name for name, state in self.heard if isinstance(state, dict)]
        self.assertEqual(ended, self.names)

    def test_trial_measured_at_fewer_data_sizes_is_handed_out_again(self) -> None:
        self.publish(self.names[0], record() | {"rungs": (0.6, 0.5)})  # before the study grew
        chief = self.chief()
        trial = chief.create_trial("w0/0/x")
        self.assertEqual(chief.name(trial), self.names[0])
        chief.update()
        self.assertEqual(chief.get_trial(trial.trial_id).status, "RUNNING")
        again, place = record(ne=0.4) | {"rungs": (0.6, 0.5, 0.4)}, self.workdir.trials / self.names[0]
        publish(begin(self.workdir.running, self.names[0]), place, again, lambda there: len(there["rungs"]) == 3)
        chief.end_trial(trial)
        self.assertEqual([(t.status, t.score) for t in [chief.get_trial(trial.trial_id)]], [("COMPLETED", 0.4)])

    def test_record_that_is_seen_late(self) -> None:
        chief = self.chief()
        trial = chief.create_trial("w0/0/x")
        chief.end_trial(trial)
        self.assertEqual(chief.name(chief.create_trial("w0/0/x")), self.names[1])  # not the same again
        self.publish(self.names[0], record())
        chief.update()
        self.assertEqual(chief.get_trial(trial.trial_id).status, "COMPLETED")

    def test_record_that_comes_during_an_update_ends_no_study_in_the_middle_of_its_search(self) -> None:
        training = dataclasses.replace(self.config.training, learning_rates="auto")
        self.config = dataclasses.replace(self.config, training=training)
        self.workdir = BusyWorkdir(self.workdir.root)
        chief = self.chief()
        first = chief.create_trial("w0/0/x")
        self.workdir.about_to_come = {self.names[0]: record() | {"rungs": [0.5] * len(self.config.ladder)}}
        self.assertEqual(chief.create_trial("w1/0/y").status, "IDLE")
        self.assertIsNotNone(Workdir(self.workdir.root).record(self.names[0]))
        self.assertTrue(chief.update())
        self.assertEqual(chief.get_trial(first.trial_id).status, "COMPLETED")
        self.assertEqual(chief.create_trial("w1/0/y").status, "RUNNING")

    def test_silent_worker_s_trial_goes_to_another_and_counts_once_if_it_was_only_slow(self) -> None:
        chief = self.chief()
        slow = chief.create_trial("slow/0/x")
        directory = begin(self.workdir.running, self.names[0])
        with Heartbeat(directory, self.names[0], "slow/0/x"):
            chief.update()
        self.now += attempts.LOST_SECONDS - 1
        chief.update()
        self.assertEqual(self.said, [])
        self.now += 2
        chief.update()
        self.assertEqual(self.said, [f"slow/0: lost; its trial {self.names[0]} will be run again"])
        self.assertEqual(chief.name(chief.create_trial("other/0/y")), self.names[0])
        publish(directory, self.workdir.trials / self.names[0], record(ne=0.25))
        chief.end_trial(slow)
        self.assertEqual(chief.get_trial(slow.trial_id).score, 0.25)
        self.publish(self.names[0], record(ne=0.75))
        chief.end_trial(slow)  # by the other
        self.assertEqual(chief.get_trial(slow.trial_id).score, 0.25)
        self.assertEqual([name for name, news in self.heard if isinstance(news, dict)], [self.names[0]])
        self.assertEqual(chief.name(chief.create_trial("other/0/y")), self.names[1])

    def test_record_that_comes_before_another_took_the_trial(self) -> None:
        chief = self.chief()
        chief.create_trial("slow/0/x")
        self.now += attempts.LOST_SECONDS + 1
        chief.update()
        self.publish(self.names[0], record())
        self.assertEqual(chief.name(chief.create_trial("other/0/y")), self.names[1])

    def test_signs_of_life_keep_a_trial(self) -> None:
        chief = self.chief()
        chief.create_trial("w/0/x")
        directory = begin(self.workdir.running, self.names[0])
        with Heartbeat(directory, self.names[0], "w/0/x", 0.02) as beat:
            for examples in (100, 200, 300):
                beat.update(examples, 7.0)
                self.now += attempts.LOST_SECONDS - 1
                time.sleep(0.5)
                chief.update()
        self.assertEqual(self.said, [])
        self.assertIn((self.names[0], Progress(300, 7.0)), self.heard)

    def test_worker_of_this_machine_that_died_is_lost_at_once(self) -> None:
        chief = self.chief()
        chief.create_trial("w/0/x")
        ended = dataclasses.replace(Process.this(), started=1.0)
        attempt = Attempt(self.names[0], "w/0/x", ended, began=0.0, at=0.0)
        directory = begin(self.workdir.running, self.names[0])
        write_json(directory / "attempt.json", dataclasses.asdict(attempt))
        chief.update()
        self.assertEqual(chief.name(chief.create_trial("other/0/y")), self.names[0])

    def test_restarted_worker_gets_its_trial_again(self) -> None:
        chief = self.chief()
        for tuner_id in ("w/0/before", "w/1/before", "other/0/z"):
            chief.create_trial(tuner_id)
        self.assertEqual(chief.name(chief.create_trial("w/0/after")), self.names[0])
        self.assertEqual(self.said, [f"w/0: restarted; its trial {self.names[0]} will be run again"])

    def test_worker_that_was_stopped_gives_its_trial_back(self) -> None:
        chief = self.chief()
        given = chief.create_trial("w/0/x")
        given.status = INVALID
        chief.end_trial(given)
        self.assertEqual(chief.name(chief.create_trial("other/0/y")), self.names[0])

    def test_trial_that_a_worker_names_ends_whatever_id_a_restarted_chief_gave_it(self) -> None:
        chief = self.chief()
        chief.create_trial("w/0/x")
        self.publish(self.names[0], record())
        named = kt.engine.trial.Trial(kt.HyperParameters(), trial_id=self.names[0])
        chief.end_trial(named)
        self.assertEqual(chief.running, {})
        chief.end_trial(kt.engine.trial.Trial(kt.HyperParameters(), trial_id="not known yet"))

    def test_restarted_chief_continues_where_it_was(self) -> None:
        self.publish(self.names[0], record())
        self.publish(self.names[1], record("failed"))
        directory = begin(self.workdir.running, self.names[2])
        with Heartbeat(directory, self.names[2], "w0/0/x"):
            chief = self.chief()
        self.assertEqual(chief.name(chief.create_trial("w1/0/y")), self.names[1])  # what failed before is tried again
        self.assertEqual(chief.create_trial("w2/0/z").status, "IDLE")  # the last one is w0's
        self.assertEqual(chief.name(chief.create_trial("w0/0/x")), self.names[2])
        self.publish(self.names[1], record("failed", 0.75))
        publish(directory, self.workdir.trials / self.names[2], record())
        self.assertFalse(chief.update())
        self.assertFalse(self.chief().update() and not self.workdir.record(self.names[0]))

    def test_finished_study_needs_no_worker(self) -> None:
        for name in self.names:
            self.publish(name, record())
        (address,) = free_addresses(1)
        lead(
            self.config,
            self.workdir,
            self.planned,
            Role("chief", address),
            watcher=lambda *_: None,
            say=self.said.append,
        )
        self.assertLen(list(self.workdir.keras_tuner.glob("trial_*/trial.json")), 3)

    def test_address_in_use_is_an_input_error(self) -> None:
        self.publish(self.names[0], record())
        (address,) = free_addresses(1)
        other = grpc.server(concurrent.futures.ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
        other.add_insecure_port(address)
        other.start()
        with self.assertRaisesRegex(InputError, f"{address}: cannot be served; KERASTUNER_ORACLE_IP"):
            lead(self.config, self.workdir, self.planned, Role("chief", address), watcher=print, say=print)
        other.stop(0)


class ClusterTest(tf.test.TestCase):
    """Real chiefs and workers, on loopback."""

    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        self.content = tiny_content(V=["1/2"], H=[2], O=[2])
        self.config = tiny_config(V=["1/2"], H=[2], O=[2])
        self.data = tiny_data(self.config, self.root / "data")
        self.workdir = Workdir(self.root / "study")

    def test_worker_without_a_chief_ends_with_words(self) -> None:
        (address,) = free_addresses(1)
        said: list[str] = []

        def worker() -> None:
            run_worker(
                self.config, str(self.root / "data"), self.workdir, Role("worker0", address),
                strategy="cpu", jobs=1, time_limit=None, say=said.append, wait_seconds=0.5,
            )  # fmt: skip

        with self.assertRaisesRegex(InputError, "did not answer for 0 min; 0 of 4 trials are done and kept in"):
            worker()
        self.assertEqual(said, [f"waiting for the chief at {address}"])

    def test_worker_of_another_study_is_told_the_difference(self) -> None:
        (address,) = free_addresses(1)
        with self.workdir.locked():
            self.workdir.claim(self.config, self.data)
        chief = threading.Thread(
            target=lead,
            args=(self.config, self.workdir, plan_on(self.config, self.data.manifest), Role("chief", address)),
            kwargs={"watcher": lambda *_: None, "say": lambda _: None},
        )
        chief.start()
        try:
            with self.assertRaisesRegex(InputError, r"holds another study(.|\n)* sweep\.V: "):
                run_worker(
                    tiny_config(V=["1/4"]), str(self.root / "data"), self.workdir, Role("worker0", address),
                    strategy="cpu", jobs=1, time_limit=None, say=lambda _: None,
                )  # fmt: skip
        finally:
            client = OracleClient(address, self.config)
            while (answer := client.create_trial("worker1/0/x", 10.0))[0] == RUNNING:
                _, trial_id, name = answer
                publish(begin(self.workdir.running, name), self.workdir.trials / name, record())
                client.end_trial(trial_id, 10.0)
            chief.join()

    def test_chief_and_three_workers_one_killed_equal_a_single_process(self) -> None:
        config_file = self.root / "tiny.yaml"
        config_file.write_text(yaml.safe_dump(self.content))
        members = ("chief", "worker0", "worker1", "worker2")
        port = int(free_addresses(1)[0].rpartition(":")[2])
        with Siege(config_file, self.root / "data", self.workdir, members=members, port=port, quick=False, seed=0) as s:
            victim = self._at_work()
            s.processes[victim].kill()
            s.processes.pop(victim).communicate()
            outputs = s.finish(again=False)
        self.assertIn(f"{victim}/0: lost; its trial", outputs["chief"])
        self.assertIn("4 trials: 4 ok", outputs["chief"])
        self.assertIn("report: ", outputs["chief"])
        self.assertNotIn("\nV\n", outputs["chief"])
        self.assertEqual(sum(outputs[m].count("\nok ") for m in members if m in outputs), 4)

        alone = Workdir(self.root / "alone")
        planned = plan_on(self.config, self.data.manifest)
        with alone.locked(), mock.patch("os.cpu_count", return_value=1):
            alone.claim(self.config, self.data)
            runner = Runner(self.config, self.data, alone, strategy="cpu", jobs=1, time_limit=None, train=run_trial)
            sweep(self.config, alone, planned, runner, lambda *_: None)
        write_runs(export(*alone.reopened(), alone), alone.runs)
        dropped = [*TIMING_COLUMNS, "machine"]
        pd.testing.assert_frame_equal(
            pd.read_csv(self.workdir.runs).drop(columns=dropped), pd.read_csv(alone.runs).drop(columns=dropped)
        )

    def _at_work(self) -> str:
        """A worker that is training."""
        ends = time.monotonic() + 120
        while not (found := list(attempts.live_attempts(self.workdir.running))):
            self.assertLess(time.monotonic(), ends)
            time.sleep(0.05)
        return found[0].worker.partition("/")[0]


if __name__ == "__main__":
    tf.test.main()
