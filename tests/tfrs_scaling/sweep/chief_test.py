import dataclasses
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from tests.helpers.studies import tiny_config
from tfrs_scaling.common.files import write_json
from tfrs_scaling.planning.plan import plan
from tfrs_scaling.study import attempts
from tfrs_scaling.study.attempts import Attempt, Heartbeat, Process, begin, publish
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.chief import ChiefOracle
from tfrs_scaling.training.loop import Progress


def record(status: str = "ok", ne: float = 0.5) -> dict[str, Any]:
    where = {"strategy": "cpu", "libraries": "", "machine": "", "attempt": str(ne)}
    return {"status": status, "reason": "", "validation_ne": ne if status == "ok" else None, **where}


class BusyWorkdir(Workdir):
    """A folder in which a record appears right after the chief looked."""

    about_to_come: dict[str, dict[str, Any]] | None = None

    def ended(self) -> dict[str, int]:
        found = super().ended()
        for name in list(self.about_to_come or ()):
            assert self.about_to_come is not None
            publish(begin(self.running, name), self.trials / name, self.about_to_come.pop(name))
        return found


class ChiefTest(tf.test.TestCase):
    """What the chief hands out, to workers that a test plays."""

    def setUp(self) -> None:
        super().setUp()
        self.workdir = Workdir(Path(self.get_temp_dir()) / self._testMethodName)
        self.config = tiny_config(V=["1/2"], O=["1/2"])  # in the order in which they are handed out
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
            chief.end(chief.name(trial))
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
        chief.end(chief.name(trial))
        self.assertEqual([(t.status, t.score) for t in [chief.get_trial(trial.trial_id)]], [("COMPLETED", 0.4)])

    def test_record_that_is_seen_late(self) -> None:
        chief = self.chief()
        trial = chief.create_trial("w0/0/x")
        chief.end(chief.name(trial))
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
        chief.end(chief.name(slow))
        self.assertEqual(chief.get_trial(slow.trial_id).score, 0.25)
        self.publish(self.names[0], record(ne=0.75))
        chief.end(chief.name(slow))  # by the other
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

    def test_worker_that_was_stopped_gives_its_trial_back(self) -> None:
        chief = self.chief()
        given = chief.create_trial("w/0/x")
        chief.end(chief.name(given), give_back=True)
        self.assertEqual(chief.name(chief.create_trial("other/0/y")), self.names[0])

    def test_trial_that_is_not_known_ends_nothing(self) -> None:
        chief = self.chief()
        chief.create_trial("w/0/x")
        self.publish(self.names[0], record())
        chief.end(self.names[0])
        self.assertEqual(chief.running, {})
        chief.end("not known yet")

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

    def test_trial_of_a_worker_whose_clock_is_wrong_stays_its_own_under_the_next_chief(self) -> None:
        elsewhere = dataclasses.replace(Process.this(), host="elsewhere")
        directory = begin(self.workdir.running, self.names[0])
        for minutes in (-10, 10):
            at = time.time() + 60 * minutes
            attempt = Attempt(self.names[0], "w/0/x", elsewhere, began=at, at=at, beat=7)
            write_json(directory / "attempt.json", dataclasses.asdict(attempt))
            chief = self.chief()
            self.assertEqual(chief.name(chief.create_trial("other/0/y")), self.names[1])
            self.now += attempts.LOST_SECONDS - 1
            write_json(directory / "attempt.json", dataclasses.asdict(dataclasses.replace(attempt, beat=8)))
            chief.update()
            self.now += attempts.LOST_SECONDS - 1
            chief.update()
            self.assertEqual(chief.running["w/0/x"], self.names[0])
            self.now += 2
            chief.update()
            self.assertNotIn("w/0/x", chief.running)


if __name__ == "__main__":
    tf.test.main()
