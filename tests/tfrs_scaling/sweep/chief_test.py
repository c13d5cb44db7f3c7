import concurrent.futures
import os
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import grpc
import pandas as pd
import tensorflow as tf
import yaml
from absl.testing import parameterized
from keras_tuner.engine.trial import Trial

from tests.helpers.faults import Siege
from tests.helpers.studies import tiny_config, tiny_content, tiny_data
from tests.tfrs_scaling.sweep.multi_worker_test import free_addresses
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.fit.runs import TIMING_COLUMNS, write_runs
from tfrs_scaling.planning.plan import plan_on
from tfrs_scaling.study import attempts
from tfrs_scaling.study.attempts import Heartbeat, begin, publish
from tfrs_scaling.study.export import export
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep import chief as cluster
from tfrs_scaling.sweep.chief import ChiefOracle, lead, work
from tfrs_scaling.sweep.grid import sweep, trial_of
from tfrs_scaling.sweep.role import Member, this_member
from tfrs_scaling.training.trial import Progress


def record(status: str = "ok", ne: float = 0.5) -> dict[str, Any]:
    return {"status": status, "reason": "", "validation_ne": ne if status == "ok" else None, "attempt": str(ne)}


class ChiefTest(tf.test.TestCase):
    """What the chief hands out, to workers that a test plays."""

    def setUp(self) -> None:
        super().setUp()
        self.workdir = Workdir(Path(self.get_temp_dir()) / self._testMethodName)
        self.config = tiny_config(V=["1/2"], O=[2])
        self.names = [trial.trial_id for trial in all_trials(self.config)]
        self.said: list[str] = []
        self.heard: list[tuple[str, Any]] = []
        self.now = 1000.0
        self.enter_context(mock.patch("tfrs_scaling.sweep.chief.time.monotonic", side_effect=lambda: self.now))

    def chief(self) -> ChiefOracle:
        return ChiefOracle(self.config, self.workdir, lambda *news: self.heard.append(news), self.said.append)

    def name(self, trial: Any) -> str:
        return trial_of(trial.hyperparameters.values, self.config).trial_id

    def publish(self, name: str, content: dict[str, Any]) -> None:
        publish(begin(self.workdir.running, name), self.workdir.trials / name, content)

    def test_each_trial_once_and_over_when_its_record_is_there(self) -> None:
        chief = self.chief()
        given = [chief.create_trial(f"w{n}/0/x") for n in range(3)]
        self.assertEqual([self.name(trial) for trial in given], self.names)
        self.assertEqual(chief.create_trial("w3/0/x").status, "IDLE")
        self.assertEqual(self.name(chief.create_trial("w1/0/x")), self.names[1])  # asked again
        for n, (trial, name) in enumerate(zip(given, self.names, strict=True)):
            self.publish(name, record(ne=0.1 * n + 0.5) if n < 2 else record("failed"))
            chief.end_trial(Trial(chief.get_space(), trial.trial_id))
        self.assertFalse(chief.look())
        self.assertEqual(chief.create_trial("w0/0/x").status, "STOPPED")
        self.assertEqual([(t.status, t.score) for t in map(chief.get_trial, ("0000", "0001", "0002"))],
                         [("COMPLETED", 0.5), ("COMPLETED", 0.6), ("FAILED", None)])  # fmt: skip
        over = [name for name, news in self.heard if isinstance(news, dict)]
        self.assertEqual(over, self.names)

    def test_record_that_is_seen_late(self) -> None:
        chief = self.chief()
        trial = chief.create_trial("w0/0/x")
        chief.end_trial(trial)
        self.assertEqual(self.name(chief.create_trial("w0/0/x")), self.names[1])  # not the same again
        self.publish(self.names[0], record())
        chief.look()
        self.assertEqual(chief.get_trial(trial.trial_id).status, "COMPLETED")

    def test_silent_worker_s_trial_goes_to_another_and_counts_once_if_it_was_only_slow(self) -> None:
        chief = self.chief()
        slow = chief.create_trial("slow/0/x")
        directory = begin(self.workdir.running, self.names[0])
        with Heartbeat(directory, self.names[0], "slow/0/x"):
            chief.look()
        self.now += attempts.LOST_SECONDS - 1
        chief.look()
        self.assertEqual(self.said, [])
        self.now += 2
        chief.look()
        self.assertEqual(self.said, [f"slow/0: lost; its trial {self.names[0]} is to do again"])
        self.assertEqual(self.name(chief.create_trial("other/0/y")), self.names[0])
        publish(directory, self.workdir.trials / self.names[0], record(ne=0.25))
        chief.end_trial(slow)
        self.assertEqual(chief.get_trial(slow.trial_id).score, 0.25)
        self.publish(self.names[0], record(ne=0.75))
        chief.end_trial(slow)  # by the other
        self.assertEqual(chief.get_trial(slow.trial_id).score, 0.25)
        self.assertEqual([name for name, news in self.heard if isinstance(news, dict)], [self.names[0]])
        self.assertEqual(self.name(chief.create_trial("other/0/y")), self.names[1])

    def test_record_that_comes_before_another_took_up_the_trial(self) -> None:
        chief = self.chief()
        chief.create_trial("slow/0/x")
        self.now += attempts.LOST_SECONDS + 1
        chief.look()
        self.publish(self.names[0], record())
        self.assertEqual(self.name(chief.create_trial("other/0/y")), self.names[1])

    def test_signs_of_life_keep_a_trial(self) -> None:
        chief = self.chief()
        chief.create_trial("w/0/x")
        directory = begin(self.workdir.running, self.names[0])
        with mock.patch.object(attempts, "BEAT_SECONDS", 0.02), Heartbeat(directory, self.names[0], "w/0/x") as beat:
            for examples in (100, 200, 300):
                beat.hear(examples, 7.0)
                self.now += attempts.LOST_SECONDS - 1
                time.sleep(0.5)
                chief.look()
        self.assertEqual(self.said, [])
        self.assertIn((self.names[0], Progress(300, 7.0)), self.heard)

    def test_worker_of_this_machine_that_died_is_lost_at_once(self) -> None:
        chief = self.chief()
        chief.create_trial("w/0/x")
        with Heartbeat(begin(self.workdir.running, self.names[0]), self.names[0], "w/0/x"):
            pass
        with mock.patch("tfrs_scaling.study.attempts.Process.is_alive", return_value=False):
            chief.look()
        self.assertEqual(self.name(chief.create_trial("other/0/y")), self.names[0])

    def test_worker_started_anew_gets_its_trial_again(self) -> None:
        chief = self.chief()
        for tuner_id in ("w/0/before", "w/1/before", "other/0/z"):
            chief.create_trial(tuner_id)
        self.assertEqual(self.name(chief.create_trial("w/0/after")), self.names[0])
        self.assertEqual(self.said, [f"w/0: started anew; its trial {self.names[0]} is to do again"])

    def test_worker_that_was_stopped_gives_its_trial_back(self) -> None:
        chief = self.chief()
        given = chief.create_trial("w/0/x")
        chief.end_trial(Trial(chief.get_space(), given.trial_id, "INVALID"))
        self.assertEqual(self.name(chief.create_trial("other/0/y")), self.names[0])

    def test_chief_started_anew_takes_up_where_it_was(self) -> None:
        self.publish(self.names[0], record())
        self.publish(self.names[1], record("failed"))
        directory = begin(self.workdir.running, self.names[2])
        with Heartbeat(directory, self.names[2], "w0/0/x"):
            chief = self.chief()
        self.assertEqual(self.name(chief.create_trial("w1/0/y")), self.names[1])  # what failed before is tried again
        self.assertEqual(chief.create_trial("w2/0/z").status, "IDLE")  # the last one is w0's
        self.assertEqual(self.name(chief.create_trial("w0/0/x")), self.names[2])
        self.publish(self.names[1], record("failed", 0.75))
        publish(directory, self.workdir.trials / self.names[2], record())
        self.assertFalse(chief.look())
        self.assertFalse(self.chief().look() and not self.workdir.record(self.names[0]))

    def test_finished_study_needs_no_worker(self) -> None:
        for name in self.names:
            self.publish(name, record())
        (address,) = free_addresses(1)
        lead(self.config, self.workdir, [], Member("chief", address), watcher=lambda *_: None, say=self.said.append)
        self.assertLen(list(self.workdir.keras_tuner.glob("trial_*/trial.json")), 3)

    def test_address_in_use_is_told(self) -> None:
        self.publish(self.names[0], record())
        (address,) = free_addresses(1)
        other = grpc.server(concurrent.futures.ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
        other.add_insecure_port(address)
        other.start()
        with self.assertRaisesRegex(InputError, f"{address}: cannot be served; KERASTUNER_ORACLE_IP"):
            lead(self.config, self.workdir, [], Member("chief", address), watcher=print, say=print)
        other.stop(0)


class MemberTest(tf.test.TestCase, parameterized.TestCase):
    def test_as_kerastuner_tells(self) -> None:
        with mock.patch.dict(os.environ, {"KERASTUNER_TUNER_ID": "chief"}):
            self.assertIsNone(this_member())
        variables = {"KERASTUNER_ORACLE_IP": "10.0.0.1", "KERASTUNER_ORACLE_PORT": "8000"}
        for name, is_chief in (("chief", True), ("worker0", False)):
            with mock.patch.dict(os.environ, variables | {"KERASTUNER_TUNER_ID": name}):
                member = this_member()
                assert member is not None
                self.assertEqual((member, member.is_chief), (Member(name, "10.0.0.1:8000"), is_chief))

    @parameterized.parameters(
        ({"KERASTUNER_TUNER_ID": "chief"}, "KERASTUNER_ORACLE_PORT: should be the chief's port, is ''"),
        ({"KERASTUNER_TUNER_ID": "chief", "KERASTUNER_ORACLE_PORT": "http"}, "is 'http'"),
        ({"KERASTUNER_ORACLE_PORT": "8000"}, "KERASTUNER_TUNER_ID: is not set; chief on one machine"),
    )
    def test_what_is_missing_is_told(self, variables: dict[str, str], message: str) -> None:
        with (
            mock.patch.dict(os.environ, {"KERASTUNER_ORACLE_IP": "10.0.0.1", **variables}),
            self.assertRaisesRegex(InputError, message),
        ):
            this_member()


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
            work(
                self.config, str(self.root / "data"), self.workdir, Member("worker0", address),
                strategy="cpu", jobs=1, time_limit=None, say=said.append,
            )  # fmt: skip

        with mock.patch.object(cluster, "RETRY_SECONDS", 0.1), mock.patch.object(cluster, "WAIT_SECONDS", 0.5):
            with self.assertRaisesRegex(InputError, "did not answer for 0 min; 0 of 4 trials are done and kept in"):
                worker()
            self.assertEqual(said, [f"waiting for the chief at {address}"])

    def test_worker_of_another_study_is_told_the_difference(self) -> None:
        (address,) = free_addresses(1)
        with self.workdir.locked():
            self.workdir.claim(self.config, self.data)
        over = threading.Event()
        with mock.patch.object(ChiefOracle, "look", lambda _: not over.is_set()):
            chief = threading.Thread(
                target=lead,
                args=(self.config, self.workdir, [], Member("chief", address)),
                kwargs={"watcher": lambda *_: None, "say": lambda _: None},
            )
            chief.start()
            try:
                with self.assertRaisesRegex(InputError, r"holds another study(.|\n)*config\.sweep\.V"):
                    work(
                        tiny_config(V=["1/4"]), str(self.root / "data"), self.workdir, Member("worker0", address),
                        strategy="cpu", jobs=1, time_limit=None, say=lambda _: None,
                    )  # fmt: skip
            finally:
                over.set()
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
            sweep(self.config, self.data, alone, planned, strategy="cpu", jobs=1, watcher=lambda *_: None)
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
