"""A sweep's progress on the terminal: trials done, examples a second, time left."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from tfrs_scaling.training.trial import Progress as TrialProgress


class SweepProgress:
    """A live line on a terminal, or a line per finished trial elsewhere.

    Args:
        console: where to.
        seconds: per trial id, its planned cost; only their ratios matter.
    """

    def __init__(self, console: Console, seconds: Mapping[str, float]):
        self._console = console
        self._seconds = seconds
        self._over: dict[str, str] = {}
        self._speed: dict[str, float] = {}
        self._found_done = 0.0  # planned seconds of trials that were over before
        self._started = time.monotonic()
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
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(
            "sweep", total=sum(seconds.values()), done=0, trials=len(seconds), speed="", left=""
        )

    def __enter__(self) -> "SweepProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def hear(self, trial_id: str, news: TrialProgress | Mapping[str, Any]) -> None:
        """Take a trial's progress, or what it came to."""
        with self._lock:
            if isinstance(news, TrialProgress):
                self._speed[trial_id] = news.examples_per_second
            else:
                self._finish(trial_id, news)
            done = sum(self._seconds[name] for name in self._over)
            self._bar.update(
                self._task,
                completed=done,
                done=len(self._over),
                speed=f"{sum(self._speed.values()):,.0f} examples/s" if self._speed else "",
                left=self._left(done),
            )

    def summary(self) -> str:
        """How many trials came to what, and how long that took."""
        counts = {status: list(self._over.values()).count(status) for status in ("ok", "failed", "skipped")}
        came_to = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        return f"{len(self._over)} trials: {came_to}; {(time.monotonic() - self._started) / 60:.1f} min"

    def _finish(self, trial_id: str, record: Mapping[str, Any]) -> None:
        was_run = self._speed.pop(trial_id, None) is not None
        self._over[trial_id] = record["status"]
        if not was_run and record["status"] == "ok":
            self._found_done += self._seconds[trial_id]
        if record["status"] != "ok":
            line = Text.assemble((record["status"], "yellow"), f" {trial_id}: {record['reason']}")
            self._console.print(line, soft_wrap=True)
        elif was_run and not self._console.is_terminal:
            done = sum(self._seconds[name] for name in self._over)
            self._console.print(
                f"{len(self._over)}/{len(self._seconds)} trials: {trial_id} validation NE "
                f"{record['validation_ne']:.4f} {self._left(done)}",
                highlight=False,
                soft_wrap=True,
            )

    def _left(self, done: float) -> str:
        run = done - self._found_done
        if run <= 0:
            return ""
        seconds = (time.monotonic() - self._started) * (sum(self._seconds.values()) - done) / run
        return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"
