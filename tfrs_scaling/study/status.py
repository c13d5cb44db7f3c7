"""How far a study is, from its folder alone: while a sweep runs, after it was killed, and when it is done.

Needs no TensorFlow, and so answers at once.
"""

import dataclasses
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tfrs_scaling.common.words import duration
from tfrs_scaling.study.attempts import Attempt, is_short, live_attempts
from tfrs_scaling.study.lead import Chief
from tfrs_scaling.study.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class Status:
    """Where the trials of a study stand.

    Attributes:
        planned: planned seconds of each trial, by id, in the order of the grid.
        ended: the record of each trial that has ended, unless the study has more data sizes now.
        running: attempts in progress, at trials that have not ended, or failed or were stopped before.
        rows: rows that each trial trains on in all.
        scorers: a line for each teacher and scorer that is being trained: how far it is.
        sweep: whether a sweep is running; None if that cannot be seen from this machine.
    """

    study: str
    planned: dict[str, float]
    ended: dict[str, dict[str, Any]]
    running: list[Attempt]
    rows: dict[str, int]
    sweep: bool | None
    scorers: tuple[str, ...] = ()

    def with_status(self, status: str) -> dict[str, dict[str, Any]]:
        """The records with this status, by trial, except those of trials that are being retried."""
        retried = {attempt.trial_id for attempt in self.running}
        return {i: record for i, record in self.ended.items() if record["status"] == status and i not in retried}

    @property
    def to_do(self) -> list[str]:
        """Trials that nothing is running, including those that a killed sweep left."""
        begun = {attempt.trial_id for attempt in self.running}
        return [trial_id for trial_id in self.planned if trial_id not in self.ended and trial_id not in begun]

    def share(self, attempt: Attempt) -> float:
        """The share of its rows that a running trial has been trained on."""
        return min(attempt.examples / self.rows[attempt.trial_id], 1.0)

    @property
    def seconds_left(self) -> float | None:
        """Until the last trial ends, if as many run at a time as now; None if none runs.

        The plan says how long trials take relative to each other; those that are done, how long by the clock, or else
        those that run, by the share of their rows that they have been trained on.
        """
        if not self.running:
            return None
        spent = {a.trial_id: a.seconds for a in self.running}
        done = [(r["seconds"], self.planned[i]) for i, r in self.with_status("ok").items() if "seconds" in r]
        done = done or [
            (spent[a.trial_id], self.planned[a.trial_id] * self.share(a)) for a in self.running if a.examples
        ]
        pace = sum(took for took, _ in done) / sum(planned for _, planned in done) if done else 1.0
        waiting = sum(self.planned[trial_id] for trial_id in self.to_do) * pace
        begun = [
            spent[a.trial_id] * (1 / self.share(a) - 1)
            if a.examples
            else max(0.0, self.planned[a.trial_id] * pace - spent[a.trial_id])
            for a in self.running
        ]
        return max((waiting + sum(begun)) / len(begun), *begun)


def read_status(workdir: Workdir) -> Status:
    """How far the study in a folder is.

    Raises:
        InputError: no sweep was started there.
    """
    from tfrs_scaling.study.row_scores import scorings
    from tfrs_scaling.study.trials import rows_by_trial

    config, manifest = workdir.reopened()
    planned = workdir.read_plan()
    attempts = [*live_attempts(workdir.running)]
    running = [attempt for attempt in attempts if attempt.trial_id in planned]
    scored = manifest.splits["train"].rows
    records = {name: workdir.record(name) for name in planned}
    rungs = len(config.ladder)
    ended = {name: r for name, r in records.items() if r is not None and not is_short(r, rungs)}
    chief = Chief.read(workdir.root)
    return Status(
        study=config.study,
        planned=planned,
        ended=ended,
        running=[a for a in running if ended.get(a.trial_id, {}).get("status") in (None, "failed", "stopped")],
        rows=rows_by_trial(config, planned),
        sweep=False if chief is None else chief.process.is_alive(),
        scorers=tuple(
            scoring.words(attempt.examples, attempt.examples_per_second, scored)
            for scoring in scorings(config, manifest.data_hash)
            for attempt in attempts
            if attempt.trial_id == scoring.name
        ),
    )


def rendered(status: Status) -> RenderableType:
    """For a terminal: counts and time left, what is running, and what failed and why."""
    counts = {
        "done": len(status.with_status("ok")),
        "running": len(status.running),
        "failed": len(status.with_status("failed")),
        "stopped": len(status.with_status("stopped")),
        "skipped": len(status.with_status("skipped")),
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
        for trial_id, record in status.with_status(name).items():
            parts.append(Text.assemble((name, style), f" {trial_id}: {record['reason']}"))
    return Group(*parts)


def _outlook(status: Status) -> str:
    if (left := status.seconds_left) is not None:
        return f"about {duration(left)} left, with {len(status.running)} at a time"
    if status.scorers:
        return "\n".join((*status.scorers, "the first trial starts once all rows are predicted"))
    if status.to_do:
        waiting = {
            True: "a sweep is running, but no trial yet",
            None: "no trial is running; a sweep may be running on another machine",
            False: "no sweep is running; run the same command again to continue",
        }
        return waiting[status.sweep]
    if failed := len(status.with_status("failed")):
        return f"all trials have ended; run the same command again to retry the {failed} that failed"
    return "all trials have ended"


def _running(status: Status) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("running", "where", "for", "trained on", "examples/s"):
        table.add_column(name, justify="left" if name in ("running", "where") else "right", no_wrap=True)
    for attempt in sorted(status.running, key=lambda a: (a.process.host, a.process.pid, a.began)):
        table.add_row(
            attempt.trial_id,
            attempt.worker.rpartition("/")[0] or f"{attempt.process.host}, {attempt.worker}",
            duration(attempt.seconds),
            f"{status.share(attempt):.0%}" if attempt.examples else "",
            f"{attempt.examples_per_second:,.0f}" if attempt.examples_per_second else "",
        )
    return table
