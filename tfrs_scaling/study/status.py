"""How far a study is, from its folder alone: while a sweep runs, after it was killed, and when it is done.

Needs no TensorFlow, and so answers at once.
"""

import dataclasses
import time
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.strict_yaml import read_yaml
from tfrs_scaling.study.attempts import Attempt, live_attempts
from tfrs_scaling.study.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class Status:
    """Where the trials of a study stand.

    Attributes:
        study: its name.
        planned: seconds that each trial was planned to take, by id, in the order of the grid.
        over: what each trial came to that is over, by id.
        running: the attempts that are going on at trials that are not over or failed before.
        examples: that a trial trains on in all.
        sweep: whether a sweep or a chief is at work; None where that cannot be seen from this machine.
        now: Unix time.
    """

    study: str
    planned: dict[str, float]
    over: dict[str, dict[str, Any]]
    running: list[Attempt]
    examples: int
    sweep: bool | None
    now: float

    def of(self, status: str) -> dict[str, dict[str, Any]]:
        """The records of this status, by trial, but for trials that are being tried again."""
        again = {attempt.trial_id for attempt in self.running}
        return {i: record for i, record in self.over.items() if record["status"] == status and i not in again}

    @property
    def to_do(self) -> list[str]:
        """Trials that nobody has begun; also those that a killed sweep had."""
        begun = {attempt.trial_id for attempt in self.running}
        return [trial_id for trial_id in self.planned if trial_id not in self.over and trial_id not in begun]

    @property
    def seconds_left(self) -> float | None:
        """Until the last trial ends, if as many run side by side as do now; None where none runs.

        The plan tells how long trials take by each other, those that are done how long by the clock.
        """
        if not self.running:
            return None
        done = [(record["seconds"], self.planned[i]) for i, record in self.of("ok").items() if "seconds" in record]
        pace = sum(took for took, _ in done) / sum(planned for _, planned in done) if done else 1.0
        waiting = sum(self.planned[trial_id] for trial_id in self.to_do) * pace
        begun = [max(0.0, self.planned[a.trial_id] * pace - (self.now - a.began)) for a in self.running]
        return max((waiting + sum(begun)) / len(begun), *begun)


def read_status(workdir: Workdir) -> Status:
    """How far the study in a folder is.

    Raises:
        InputError: no sweep was started there.
    """
    study, now = workdir.read_study(), time.time()
    if not workdir.plan.exists():
        raise InputError(f"{workdir.root}: no plan.json, so no trial was started in this folder")
    planned = {name: float(seconds) for name, seconds in read_yaml(workdir.plan).items()}
    running = [attempt for attempt in live_attempts(workdir.running) if attempt.trial_id in planned]
    records = {name: workdir.record(name) for name in planned}
    over = {name: record for name, record in records.items() if record is not None}
    holder = workdir.holder()
    return Status(
        study=study["name"],
        planned=planned,
        over=over,
        running=[a for a in running if over.get(a.trial_id, {}).get("status", "failed") == "failed"],
        examples=study["config"]["sweep"]["examples"][-1],
        sweep=False if holder is None else holder.is_alive(),
        now=now,
    )


def rendered(status: Status) -> RenderableType:
    """The same for people: counts and time left, what runs, and what did not come off and why."""
    counts = {
        "done": len(status.of("ok")),
        "running": len(status.running),
        "failed": len(status.of("failed")),
        "skipped": len(status.of("skipped")),
        "to do": len(status.to_do),
    }
    head = ", ".join(f"{count} {name}" for name, count in counts.items() if count or name == "done")
    parts: list[RenderableType] = [
        Text(f"{status.study}: {len(status.planned)} trials: {head}"),
        Text(_outlook(status)),
    ]
    if status.running:
        parts.append(_running(status))
    for name, style in (("failed", "red"), ("skipped", "yellow")):
        for trial_id, record in status.of(name).items():
            parts.append(Text.assemble((name, style), f" {trial_id}: {record['reason']}"))
    return Group(*parts)


def _outlook(status: Status) -> str:
    if (left := status.seconds_left) is not None:
        return f"about {duration(left)} left, with {len(status.running)} at a time"
    if status.to_do:
        waiting = {
            True: "a sweep is at work, and no trial runs yet",
            None: "no trial runs; a sweep on another machine may be at work",
            False: "no sweep is at work; the same command as before goes on from here",
        }
        return waiting[status.sweep]
    if failed := len(status.of("failed")):
        return f"all trials are over; the same command as before tries the {failed} again that failed"
    return "all trials are over"


def _running(status: Status) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("running", "where", "for", "trained on", "examples/s"):
        table.add_column(name, justify="left" if name in ("running", "where") else "right", no_wrap=True)
    for attempt in sorted(status.running, key=lambda a: (a.process.host, a.process.pid, a.began)):
        table.add_row(
            attempt.trial_id,
            f"{attempt.process.host}, {attempt.worker.rpartition('/')[0] or attempt.worker}",
            duration(status.now - attempt.began),
            f"{attempt.examples / status.examples:.0%}" if attempt.examples else "",
            f"{attempt.examples_per_second:,.0f}" if attempt.examples_per_second else "",
        )
    return table


def duration(seconds: float) -> str:
    """Seconds for people."""
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
