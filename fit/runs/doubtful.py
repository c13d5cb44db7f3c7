"""Trials that a study has no measurement of, leaves out, or reads with caution."""

from dataclasses import dataclass, fields
from typing import Literal, TypeVar

import pandas as pd

from tfrs_scaling.fit.runs.screening import collapsed_trials, unstable_trials, with_flags


@dataclass(frozen=True)
class DoubtfulTrial:
    """A trial that is missing, left out or to be read with caution.

    Attributes:
        learning_rate: None where it is not recorded.
    """

    trial_id: str
    architecture: str
    scheme: str
    multiplier: float
    learning_rate: float | None
    seed: int


@dataclass(frozen=True)
class LeftOutTrial(DoubtfulTrial):
    """A trial that was measured and carries no fit.

    Attributes:
        why: ``collapsed``: it ends as a dead network. ``unstable``: it does not, but more than a quarter of its shape's
            seeds do.
    """

    why: Literal["collapsed", "unstable"]


@dataclass(frozen=True)
class MissingTrial(DoubtfulTrial):
    """A trial without a measurement.

    Attributes:
        status: ``failed`` or ``skipped``.
    """

    status: str
    reason: str


@dataclass(frozen=True)
class FlaggedPoint(DoubtfulTrial):
    """A measured point to be read with caution.

    Attributes:
        flags: Flags set by ``screening.with_flags``, joined by ``;``.
    """

    examples: int
    flags: str


Trial = TypeVar("Trial", bound=DoubtfulTrial)


def missing_trials(runs: pd.DataFrame) -> tuple[MissingTrial, ...]:
    """The trials of a run table that were not measured."""
    return _records(MissingTrial, runs[~runs["status"].isin(["ok", "stopped"])])


def left_out_trials(runs: pd.DataFrame) -> tuple[LeftOutTrial, ...]:
    """The trials that were measured and carry no fit."""
    why = dict.fromkeys(unstable_trials(runs), "unstable") | dict.fromkeys(collapsed_trials(runs), "collapsed")
    rows = runs.assign(why=runs["trial_id"].map(why))
    return _records(LeftOutTrial, rows[rows["why"].notna()].drop_duplicates("trial_id"))


def flagged_points(runs: pd.DataFrame) -> tuple[FlaggedPoint, ...]:
    """The points with a flag."""
    flagged = with_flags(runs)
    return _records(FlaggedPoint, flagged[flagged["flags"] != ""])


def _records(kind: type[Trial], rows: pd.DataFrame) -> tuple[Trial, ...]:
    """Rows as records, sorted by trial."""
    columns = [field.name for field in fields(kind)]
    order = [name for name in ("trial_id", "examples", "reason") if name in columns]
    plain = rows[columns].sort_values(order, kind="stable").astype(object)
    plain = plain.where(plain.notna(), None)
    return tuple(kind(**{str(name): value for name, value in row.items()}) for row in plain.to_dict("records"))
