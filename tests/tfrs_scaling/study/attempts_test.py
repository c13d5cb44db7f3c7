import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import tensorflow as tf

from tests.helpers.studies import REPOSITORY
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json
from tfrs_scaling.study import attempts
from tfrs_scaling.study.attempts import (
    EVENT_FILES,
    Attempt,
    Heartbeat,
    Process,
    begin,
    live_attempts,
    publish,
    read_record,
    remove_debris,
)

HERE = {
    "strategy": "cpu",
    "libraries": "numpy 2",
    "machine": "one",
    "code_version": "1",
    "attempt": "D-1.0",
    "seconds": 2.0,
}
OK = HERE | {"status": "ok", "reason": "", "validation_ne": 0.5}
FAILED = HERE | {"status": "failed", "reason": "odd"}
STOPPED = HERE | {"status": "stopped", "reason": "worse", "rungs": (0.75,), "diverged": False}


class AttemptsTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        self.running, self.trial = self.root / "running", self.root / "trials" / "D-1"

    def attempt(self, mark: str) -> Path:
        directory = begin(self.running, "D-1")
        (directory / "events").write_text(mark)
        return directory

    def counts(self) -> tuple[Any, str]:
        return read_record(self.trial), (self.trial / "events").read_text()

    def test_attempt_is_the_trial_s_when_it_is_whole(self) -> None:
        directory = self.attempt("first")
        self.assertIsNone(read_record(self.trial))
        self.assertEqual(publish(directory, self.trial, OK), OK)
        self.assertEqual(self.counts(), (OK, "first"))
        self.assertFalse(directory.exists())

    def test_of_two_successes_the_first_is_kept(self) -> None:
        slow, quick = self.attempt("slow"), self.attempt("quick")
        publish(quick, self.trial, OK | {"attempt": "quick"})
        self.assertEqual(publish(slow, self.trial, OK | {"attempt": "slow"}), OK | {"attempt": "quick"})
        self.assertEqual(self.counts(), (OK | {"attempt": "quick"}, "quick"))
        self.assertEqual(list(self.running.iterdir()), [])

    def test_tensorboard_looks_for_the_events_of_running_attempts_alone(self) -> None:
        directory = self.attempt("a")
        (directory / "events.out.tfevents.1.host.v2").write_text("events")
        publish(directory, self.trial, OK)
        (kept,) = self.trial.glob(EVENT_FILES)
        self.assertEqual(kept.read_text(), "events")
        self.assertNotIn("tfevents", kept.name)

    def test_failure_gives_way_and_never_takes_the_place_of_a_success(self) -> None:
        publish(self.attempt("a"), self.trial, FAILED)
        publish(self.attempt("b"), self.trial, FAILED | {"reason": "odd again"})
        self.assertEqual(self.counts(), (FAILED | {"reason": "odd again"}, "b"))
        publish(self.attempt("c"), self.trial, OK)
        self.assertEqual(publish(self.attempt("d"), self.trial, FAILED), OK)
        self.assertEqual(self.counts(), (OK, "c"))
        self.assertEqual(list(self.running.iterdir()), [])

    def test_late_failure_never_takes_the_place_of_a_stopped_trial(self) -> None:
        publish(self.attempt("a"), self.trial, STOPPED)
        self.assertEqual(publish(self.attempt("b"), self.trial, FAILED), STOPPED)
        self.assertEqual(self.counts(), (STOPPED, "a"))
        # One that should not have been stopped gives way to what comes of it when it is run again.
        self.assertEqual(publish(self.attempt("c"), self.trial, FAILED, lambda there: False), FAILED)
        self.assertEqual(self.counts(), (FAILED, "c"))

    def test_damaged_record_is_refused_with_its_file_and_what_to_do(self) -> None:
        for content, why in (
            ('{"status": "ok"', "not JSON: .* line 1"),
            ("[" * 100_000, "not JSON: "),
            ("[]", "should hold an object, holds a list"),
            (json.dumps(OK | {"status": "fine"}), "status: input should be 'ok', .*, got 'fine'"),
            (json.dumps({**OK, "reason": None}), "reason: input should be a valid string, got None"),
            (json.dumps(OK | {"by": 1}), "unknown key 'by'"),
            (json.dumps(OK | {"rungs": []}), "rungs or validation_ne: is missing"),
            (json.dumps(OK | {"rungs": [0.5, float("nan")]}), "not JSON: NaN is not JSON"),
            (json.dumps(OK | {"rungs": [0.5, 10**400]}), r"rungs\[1\]: input should be a finite number"),
            (json.dumps(STOPPED | {"diverged": None}), "rungs or diverged: is missing"),
            (json.dumps(FAILED | {"attempt": ""}), "attempt: is missing"),
        ):
            self.trial.mkdir(parents=True, exist_ok=True)
            (self.trial / "trial.json").write_text(content)
            with self.assertRaisesRegex(InputError, f"D-1/trial.json: {why}.*; delete the folder .*D-1, and"):
                read_record(self.trial)
        for good in (OK, OK | {"rungs": (0.5,)}, STOPPED, STOPPED | {"rungs": (), "diverged": True}):
            (self.trial / "trial.json").write_text(json.dumps(good))
            self.assertEqual(read_record(self.trial), good)

    def test_success_that_comes_between_is_put_back(self) -> None:
        publish(self.attempt("old"), self.trial, FAILED)
        late = self.attempt("late")
        rename, meanwhile = Path.rename, [self.attempt("between")]

        def renamed(path: Path, target: Path) -> Path:
            if path == self.trial and meanwhile:  # `late` is about to move the old failure out of the way
                publish(meanwhile.pop(), self.trial, OK)
            return rename(path, target)

        with mock.patch.object(Path, "rename", renamed):
            self.assertEqual(publish(late, self.trial, FAILED), OK)
        self.assertEqual(self.counts(), (OK, "between"))
        self.assertEqual(list(self.running.iterdir()), [])

    def test_many_at_once_leave_one_whole_success(self) -> None:
        publish(self.attempt("old"), self.trial, FAILED)
        records = [(self.attempt(str(n)), (OK if n % 2 else FAILED) | {"attempt": str(n)}) for n in range(20)]
        threads = [threading.Thread(target=publish, args=(d, self.trial, record)) for d, record in records]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        record, mark = self.counts()
        self.assertEqual(record, OK | {"attempt": mark})
        self.assertEqual(list(self.running.iterdir()), [])

    def test_beats_tell_progress_while_it_lives(self) -> None:
        directory = begin(self.running, "D-1")
        with Heartbeat(directory, "D-1", "worker1", 0.05) as heartbeat:
            (first,) = live_attempts(self.running)
            heartbeat.update(512, 99.5)
            for _ in range(200):
                (later,) = live_attempts(self.running)
                if later.examples:
                    break
                time.sleep(0.05)
        self.assertEqual((first.trial_id, first.worker, first.beat, first.examples), ("D-1", "worker1", 0, 0))
        self.assertEqual((later.examples, later.examples_per_second), (512, 99.5))
        self.assertGreater(later.beat, 0)
        self.assertEqual(later.process, Process.this())

    def test_process_differs_from_another_with_its_id(self) -> None:
        this = Process.this()
        self.assertIs(this.is_alive(), True)
        self.assertIs(dataclasses.replace(this, started=this.started - 60).is_alive(), False)
        self.assertIs(dataclasses.replace(this, pid=2**30).is_alive(), False)
        self.assertIsNone(dataclasses.replace(this, host="elsewhere").is_alive())
        code = (
            "import dataclasses, json; from tfrs_scaling.study.attempts import Process\n"
            "print(json.dumps(dataclasses.asdict(Process.this())))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
        self.assertIs(Process(**json.loads(done.stdout)).is_alive(), False)

    def test_debris_goes_and_what_may_live_stays(self) -> None:
        ended = dataclasses.replace(Process.this(), started=1.0)
        elsewhere = dataclasses.replace(Process.this(), host="elsewhere")
        kept = []
        for process, age, stays in (
            (ended, 0, False),
            (Process.this(), 10, True),
            (elsewhere, 3600, True),
            (elsewhere, 2 * attempts.DEBRIS_SECONDS, False),
        ):
            directory = begin(self.running, "D-1")
            attempt = Attempt("D-1", "w", process, 0.0, time.time() - age)
            write_json(directory / "attempt.json", dataclasses.asdict(attempt))
            for path in (directory / "attempt.json", directory):
                os.utime(path, (time.time() - age,) * 2)
            kept += [directory] * stays
        without_state = begin(self.running, "D-1")  # just begun
        for state in ("", "[" * 10_000):  # of minutes ago
            directory = begin(self.running, "D-1")
            (directory / "attempt.json").write_text(state)
            for path in (directory / "attempt.json", directory):
                os.utime(path, (time.time() - 2 * attempts.LOST_SECONDS,) * 2)
        remove_debris(self.running)
        self.assertCountEqual(self.running.iterdir(), [*kept, without_state])
        # Of those left, one lives; the other gave no sign of life for an hour.
        self.assertEqual([attempt.process for attempt in live_attempts(self.running)], [Process.this()])


if __name__ == "__main__":
    tf.test.main()
