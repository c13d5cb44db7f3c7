"""A sweep's progress on the terminal: trials done, examples a second, time left."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tfrs_scaling.fit.runs.run_table import STATUSES
from tfrs_scaling.training.loop import Progress as TrialProgress


class SweepProgress:
    """A live line on a terminal, or a line per finished trial elsewhere.

    Without a console nothing is shown live. ``rows`` tells how many rows each of some trials trains on in all.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        rows: Callable[[Iterable[str]], Mapping[str, int]],
    ):
        self._seconds: Mapping[str, float] = {}
        self._rows: Mapping[str, int] = {}
        self._say, self._clock, self._count_rows = say, clock, rows
        self._ended: dict[str, str] = {}
        self._running: dict[str, TrialProgress] = {}
        self._found_done = 0.0  # planned seconds of trials that had ended before
        self._started = self._clock()
        self._lock = threading.Lock()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[done]}/{task.fields[trials]} trials"),
            BarColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=console is None or not console.is_terminal,
        )
        self._task = self._bar.add_task("sweep", done=0, trials=0, speed="", left="")

    def __enter__(self) -> "SweepProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def plan(self, seconds: Mapping[str, float]) -> None:
        """Take the planned seconds of each trial, whenever outcomes add some; only their ratios matter."""
        with self._lock:
            if not self._seconds:  # of another process's study, until this one leads it
                self._started = self._clock()
            self._seconds, self._rows = seconds, self._count_rows(seconds)
            self._bar.update(self._task, total=sum(seconds.values()), trials=len(seconds))

    def update(self, trial_id: str, state: TrialProgress | Mapping[str, Any]) -> None:
        """Take a trial's progress, or its record once it has ended."""
        with self._lock:
            if isinstance(state, TrialProgress):
                self._running[trial_id] = state
            else:
                self._finish(trial_id, state)
            speed = sum(progress.examples_per_second for progress in self._running.values())
            self._bar.update(
                self._task,
                completed=self._done,
                done=len(self._ended),
                speed=f"{speed:,.0f} examples/s" if self._running else "",
                left=self._left(),
            )

    def summary(self) -> str:
        """How many trials succeeded, failed or were skipped, and how long that took."""
        counts = {status: list(self._ended.values()).count(status) for status in STATUSES}
        outcomes = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        return f"{len(self._ended)} trials: {outcomes}; {(self._clock() - self._started) / 60:.1f} min"

    def _finish(self, trial_id: str, record: Mapping[str, Any]) -> None:
        was_run = self._running.pop(trial_id, None) is not None
        self._ended[trial_id] = record["status"]
        if not was_run and record["status"] in ("ok", "stopped"):
            self._found_done += self._seconds[trial_id]
        if record["status"] in ("failed", "skipped"):
            self._say(f"{record['status']} {trial_id}: {record['reason']}")
        elif was_run and self._bar.disable:
            outcome = "stopped" if record["status"] == "stopped" else f"validation NE {record['validation_ne']:.4f}"
            self._say(f"{len(self._ended)}/{len(self._seconds)} trials: {trial_id} {outcome} {self._left()}")

    @property
    def _done(self) -> float:
        """Planned seconds of what has been done: of trials that run, by the share of rows that they trained on."""
        shares = {name: min(p.examples / self._rows[name], 1.0) for name, p in self._running.items()}
        return sum(self._seconds[name] * shares.get(name, 1.0) for name in {*self._ended, *shares})

    def _left(self) -> str:
        run = self._done - self._found_done
        if run <= 0:
            return ""
        seconds = (self._clock() - self._started) * (sum(self._seconds.values()) - self._done) / run
        return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"
