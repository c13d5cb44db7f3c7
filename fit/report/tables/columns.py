"""Columns that several tables have."""

import math
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from tfrs_scaling.fit.labels import axis_name
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.tables.table import Column, Ends, Value
from tfrs_scaling.fit.serialization import finite_or_none

Record = TypeVar("Record")
DOUBTFUL = 0.05  # p value below which a law's form counts as wrong


class HasShape(Protocol):
    """A record of one architecture and scheme."""

    @property
    def architecture(self) -> str:
        """Its name."""

    @property
    def scheme(self) -> str:
        """Its letter."""


class OnAxis(HasShape, Protocol):
    """A record along data, parameters or compute."""

    @property
    def x(self) -> str:
        """Which of them."""


class HasIntervals(Protocol):
    """A law with the intervals of its parameters."""

    @property
    def interval(self) -> Mapping[str, Ends] | None:
        """By parameter; None where nothing was fitted."""


ARCHITECTURE = Column[HasShape]("architecture", "Architecture", lambda r: r.architecture)
SCHEME = Column[HasShape]("scheme", "Scheme", lambda r: r.scheme)
WHERE: tuple[Column[OnAxis], ...] = (
    ARCHITECTURE, SCHEME, Column("against", "Against", lambda r: axis_name(r.x, r.scheme))
)  # fmt: skip


def parameter(
    name: str,
    heading: str,
    law: Callable[[Record], HasIntervals | None],
    *,
    key: str | None = None,
    csv_only: bool = False,
) -> Column[Record]:
    """The column of a law's parameter, with its interval."""

    def value(record: Record) -> Value:
        number: float | None = getattr(law(record), name, None)
        return None if number is None else finite_or_none(number)

    def ends(record: Record) -> Ends:
        found = law(record)
        low, high = (found and found.interval and found.interval[name]) or (None, None)
        return None if low is None else finite_or_none(low), None if high is None else finite_or_none(high)

    return Column(key or name, heading, value, "estimate", ends, csv_only=csv_only)


FORM = (
    "Form: lack of fit compares the law with a free loss at every x, by replicates; the runs test looks for neighbours "
    "that err alike. Misfit: one of their p values is as small as chance makes it in one law of twenty."
)


def goodness(law: Callable[[Record], PowerLawFit | None]) -> tuple[Column[Record], ...]:
    """The columns that say whether a law has the right form."""

    def p_values(record: Record) -> dict[str, float]:
        fit = law(record)
        found = {} if fit is None else {"lack of fit": fit.lack_of_fit, "runs": fit.residual_runs_p}
        return {name: value for name, value in found.items() if not math.isnan(value)}

    def form(record: Record) -> str:
        values = p_values(record).values()
        if not values:
            return "untested"
        return "misfit" if len(values) * min(values) < DOUBTFUL else "fits"

    def shown(record: Record) -> str:
        return ", ".join(f"{name} p = {value:.2g}" for name, value in p_values(record).items())

    def smallest(record: Record) -> str:
        found = p_values(record)
        return f"{min(found, key=lambda name: found[name])} p = {min(found.values()):.2g}" if found else ""

    return (
        Column("form", "Form", form, "verdict", why=shown, note=smallest),
        Column("lack_of_fit", "Lack of fit, p", lambda r: p_values(r).get("lack of fit"), "number", csv_only=True),
        Column("residual_runs_p", "Runs test, p", lambda r: p_values(r).get("runs"), "number", csv_only=True),
    )


def percent(share: float | None) -> float | None:
    """A share in percent."""
    return None if share is None else 100 * share
