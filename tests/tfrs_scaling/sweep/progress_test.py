import io
from collections.abc import Iterable

import tensorflow as tf
from rich.console import Console

from tfrs_scaling.sweep.progress import SweepProgress
from tfrs_scaling.training.loop import Progress

SECONDS = {"a": 10.0, "b": 20.0, "c": 30.0, "d": 40.0}
ROWS = 5120  # of each trial
OK = {"status": "ok", "reason": "", "validation_ne": 0.81234}


def rows(trial_ids: Iterable[str]) -> dict[str, int]:
    return dict.fromkeys(trial_ids, ROWS)


class ProgressTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.out = io.StringIO()
        self.now = 0.0

    def progress(self, *, terminal: bool = False) -> SweepProgress:
        console = Console(file=self.out, force_terminal=terminal, width=100)
        progress = SweepProgress(lambda line: print(line, file=self.out), console, lambda: self.now, rows=rows)
        progress.plan(SECONDS)
        return progress

    def test_line_per_trial_where_there_is_no_terminal(self) -> None:
        progress = self.progress()
        progress.update("a", Progress(256, 1000.0))
        self.now = 60.0
        progress.update("a", OK)
        # 10 of 100 planned seconds took 60, so the other 90 take 540.
        self.assertEqual(self.out.getvalue(), "1/4 trials: a validation NE 0.8123 9 min left\n")

    def test_trials_found_done_take_no_time_and_print_nothing(self) -> None:
        progress = self.progress()
        progress.update("d", OK)
        self.assertEqual(self.out.getvalue(), "")
        progress.update("a", Progress(256, 1000.0))
        self.now = 10.0
        progress.update("a", OK)
        # 10 planned seconds took 10, 50 are left; the 40 of the trial found done do not count.
        self.assertEqual(self.out.getvalue(), "2/4 trials: a validation NE 0.8123 50 s left\n")
        self.assertEqual(progress.summary(), "2 trials: 2 ok; 0.2 min")

    def test_failure_is_reported_at_once_with_its_reason(self) -> None:
        progress = self.progress()
        progress.update("b", {"status": "failed", "reason": "shape [red] of [3, 4]", "validation_ne": None})
        self.assertEqual(self.out.getvalue(), "failed b: shape [red] of [3, 4]\n")
        self.assertEqual(progress.summary(), "1 trials: 1 failed; 0.0 min")

    def test_terminal_shows_trials_speed_and_time_left(self) -> None:
        with self.progress(terminal=True) as progress:
            progress.update("a", Progress(256, 1000.0))
            progress.update("b", Progress(256, 500.0))
            self.now = 100.0
            progress.update("c", Progress(256, 3000.0))
            progress.update("c", OK)
        self.assertIn("1/4 trials", self.out.getvalue())
        self.assertIn("1,500 examples/s", self.out.getvalue())  # of the two that run
        # 30 of 100 planned seconds, and a 20th of 10 and 20, took 100: 217 s
        self.assertIn("4 min left", self.out.getvalue())

    def test_time_left_before_any_trial_has_ended(self) -> None:
        with self.progress(terminal=True) as progress:
            self.now = 38.0
            progress.update("c", Progress(ROWS // 2, 1000.0))
        self.assertIn("4 min left", self.out.getvalue())  # 15 of 100 planned seconds took 38: 215 s


if __name__ == "__main__":
    tf.test.main()
