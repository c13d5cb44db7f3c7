"""What is found out about the curves of a table."""

from dataclasses import dataclass

from tfrs_scaling.common.arrays import Interval
from tfrs_scaling.fit.extrapolation.choose import ChosenLaw
from tfrs_scaling.fit.joint.allocation import Allocation
from tfrs_scaling.fit.joint.law import JointFit
from tfrs_scaling.fit.laws.power_law import PowerLawFit


@dataclass(frozen=True)
class Columns:
    """Which column of a table holds what; empty for none.

    Attributes:
        y: The loss.
        x: What the loss is a function of, such as tokens or examples.
        group: The curve that a row belongs to, such as the model.
        seed: The training that a row belongs to, among those of its group and n: rows of one training are not
            independent of each other.
        n: Parameters, for the law of parameters and data.
        d: Examples or tokens, likewise.
    """

    y: str
    x: str = ""
    group: str = ""
    seed: str = ""
    n: str = ""
    d: str = ""


@dataclass(frozen=True)
class Prediction:
    """The loss to expect of one further measurement.

    Attributes:
        factor: x as a multiple of the largest x of the curve.
        low: Lower end of its interval.
        high: Upper end.
        kind: What the interval assumes; see ``PredictiveInterval``.
    """

    x: float
    factor: float
    loss: float
    low: float
    high: float
    kind: str


@dataclass(frozen=True)
class CurveFit:
    """One curve with its law.

    Attributes:
        name: The group's name; empty where the table is one curve.
        x: The points that were fitted, in the order of the table, or averages of neighbours.
        y: Their losses.
        law: None where there are fewer than two different x.
        chosen: The law that extrapolates; None of fewer than four different x, or of losses that are 0 or rise. It
            does not extrapolate where the residuals of ``law`` are correlated.
        predictions: By ``chosen``, beyond the largest x.
        why_none: Why there is no ``chosen``; else empty.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    law: PowerLawFit | None
    chosen: ChosenLaw | None
    predictions: tuple[Prediction, ...]
    why_none: str


@dataclass(frozen=True)
class CurveComparison:
    """Whether two curves have the same law.

    Attributes:
        p_value: Of the hypothesis that they have, each pair by itself; None where it was not tested.
        different: Whether it is below one minus the level.
        why_none: Why it was not tested; else empty.
    """

    first: str
    second: str
    p_value: float | None
    different: bool
    beta_difference: float | None
    beta_interval: Interval | None
    why_none: str


@dataclass(frozen=True)
class JointCurves:
    """The law of parameters and data, and the best splits of compute.

    Attributes:
        splits: For 1, 10 and 100 times the largest compute in the table, at ``6 n`` FLOPs per example; empty where the
            fit allows none.
    """

    fit: JointFit
    splits: tuple[Allocation, ...]


@dataclass(frozen=True)
class TableFit:
    """All that was fitted to a table.

    Attributes:
        source: The table, as messages name it.
        columns: Which column holds what.
        rows: Number of rows that were used.
        level: Confidence level of all intervals.
        notices: What was assumed or left out, a sentence each.
        curves: One per group, in the order of the table.
        comparisons: Of every pair of curves.
        joint: None where no columns of parameters and data were named, or these have too few rows beside curves.
    """

    source: str
    columns: Columns
    rows: int
    level: float
    notices: tuple[str, ...]
    curves: tuple[CurveFit, ...]
    comparisons: tuple[CurveComparison, ...]
    joint: JointCurves | None
