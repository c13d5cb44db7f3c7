"""Where one scheme beats another: V against H and O against M over parameters × data (Ardalani et al. 2022, Figures 7
and 8), and in low and high halves of both (Table 2)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator

from tfrs_scaling.common.arrays import Array, Indices, Mask
from tfrs_scaling.fit.analyses.noise.ladders import Ladders, own_parameters, simultaneous_intervals
from tfrs_scaling.fit.analyses.ranking import Outcome
from tfrs_scaling.fit.schemes import BASELINE

MARGIN = 1e-3  # of NE: what two schemes must differ by to count as different
PAIRS = (("V", "H"), ("O", "M"))


@dataclass(frozen=True)
class Cell:
    """Two schemes with equal parameters and equal data.

    Attributes:
        parameters: The parameter budget.
        outcome: ``>`` where the first scheme has the lower NE by more than the margin and the noise, ``<`` where
            the second has, else ``≈``.
        difference: NE of the first less that of the second.
    """

    parameters: float
    examples: int
    outcome: Outcome
    difference: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Quarter:
    """One entry of Table 2: the cells of a low or high parameter budget with few or many data.

    Attributes:
        parameters: ``low`` or ``high``.
        data: ``low`` or ``high``.
        outcome: Outcome of the mean difference; ``≈`` where cells of both outcomes are in it.
        cells: How many cells have each outcome.
        difference: Mean difference of its cells.
        why: Why the outcome is ``≈``, or what it rests on where there is one seed; else empty.
    """

    parameters: str
    data: str
    outcome: Outcome
    cells: dict[str, int]
    difference: float
    low: float | None
    high: float | None
    why: str


@dataclass(frozen=True)
class Zones:
    """Where one scheme beats another over parameters and data.

    Attributes:
        margin: Smallest difference in NE that counts.
        cells: The map (Figures 7 and 8 of the paper).
        table: Quarters of the map (Table 2).
    """

    architecture: str
    first: str
    second: str
    margin: float
    cells: tuple[Cell, ...]
    table: tuple[Quarter, ...]


_PLACES = 4  # of the parameter budget, below the baseline and above
_HALVES = ("low", "high")


def scheme_zones(ladders: Ladders, *, margin: float = MARGIN, level: float = 0.95) -> list[Zones]:
    """Which scheme has the lower NE with equal parameters and equal data.

    Each scheme's NE at a data size is read off along its parameters: a monotone cubic in ln(parameters) through its
    measured multipliers and the baseline (Fritsch and Carlson 1980), nowhere beyond them. Parameters are all of them
    for V and H, and those outside the embedding tables for O and M (``own_parameters``). There are four budgets below
    the baseline and four above, evenly spaced in the logarithm over the range that both schemes were measured in. At
    the baseline itself both are one model, so none is better: a scheme that loses more by shrinking and gains more by
    growing crosses the other there, which is why the halves of the table meet at the baseline. Without a measured one
    they meet in the middle.

    A scheme is better where the whole interval of the difference lies beyond the margin; all else is ``≈``, be they
    equal or the noise too large to tell. Intervals of all cells of a pair hold together at the level, as do those of
    the table's.

    Args:
        ladders: Ladders of one architecture.
        margin: Smallest difference in NE that counts, >= 0.
        level: Confidence level.

    Returns:
        One record for each pair with a range in common.

    Raises:
        ValueError: the margin is negative.
    """
    if margin < 0:
        raise ValueError(f"margin is {margin}; it must be 0 or above, such as {MARGIN}")
    records = (_zones(ladders, first, second, margin, level) for first, second in PAIRS)
    return [record for record in records if record is not None]


def _zones(ladders: Ladders, first: str, second: str, margin: float, level: float) -> Zones | None:
    points, column = ladders.points, own_parameters(first)
    parameters, examples = points[column].to_numpy(dtype=np.float64), points["examples"].to_numpy()
    if not all(ladders.own(s).size for s in (first, second)):
        return None
    budgets, split = _budgets(ladders, parameters, first, second)
    gaps, where = [], []
    for size in np.unique(examples):
        curves = [_Curve(ladders.of(s)[examples[ladders.of(s)] == size], parameters) for s in (first, second)]
        if not all(curve.has_range and (points["scheme"].iloc[curve.rows] != BASELINE).any() for curve in curves):
            continue
        low, high = max(curve.low for curve in curves), min(curve.high for curve in curves)
        common = budgets[(budgets >= low * (1 - 1e-9)) & (budgets <= high * (1 + 1e-9))]
        if common.size:
            gaps.append(curves[0].at(common, ladders.losses) - curves[1].at(common, ladders.losses))
            where += [(float(budget), int(size)) for budget in common]
    if not where:
        return None
    differences = np.concatenate(gaps, axis=1)  # (2 + resamples, cells)
    at = np.array(where)
    cells = tuple(
        Cell(budget, size, *verdict)
        for (budget, size), verdict in zip(where, _judged(differences, ladders, margin, level), strict=True)
    )
    sizes = np.log(np.unique(at[:, 1]))
    upper = np.stack([at[:, 0] > split, np.log(at[:, 1]) >= sizes.mean() - 1e-9], axis=1)
    table = _table(differences, upper, cells, ladders, margin, level)
    return Zones(ladders.noise.architecture, first, second, margin, cells, table)


class _Curve:
    """NE along the parameters of one scheme at one data size; budgets that several shapes share count as their mean."""

    def __init__(self, rows: Indices, parameters: Array) -> None:
        self.rows = rows
        self._places, self._at = np.unique(parameters[rows], return_inverse=True)
        self.has_range = self._places.size > 1
        self.low, self.high = (float(self._places[end]) for end in (0, -1)) if rows.size else (0.0, 0.0)

    def at(self, budgets: Array, losses: Array) -> Array:
        """NE at budgets within the range, shape (p,), for every row of losses: shape (r, p)."""
        share = (self._at[:, None] == np.arange(self._places.size)).astype(np.float64)
        # einsum, not BLAS, which rounds differently from one machine to the next
        means = np.einsum("mn,nk->mk", losses[:, self.rows], share / share.sum(axis=0))
        curve = PchipInterpolator(np.log(self._places), means, axis=1)
        return np.asarray(curve(np.log(np.clip(budgets, self.low, self.high))))


def _budgets(ladders: Ladders, parameters: Array, first: str, second: str) -> tuple[Array, float]:
    """The parameter budgets of the map, increasing, and the one where low ends and high begins."""
    ranges = [parameters[ladders.of(s)] for s in (first, second)]
    low, high = (np.log(end) for end in (max(r.min() for r in ranges), min(r.max() for r in ranges)))
    if low >= high:
        return np.zeros(0), 0.0
    baseline = parameters[(ladders.points["scheme"] == BASELINE).to_numpy()]
    middle = float(np.log(baseline[0])) if baseline.size else (low + high) / 2
    steps = np.arange(1, _PLACES + 1) / _PLACES
    below, above = middle - steps[::-1] * (middle - low), middle + steps * (high - middle)
    if middle - low < 1e-9:  # neither was scaled down by more than the other up
        below = np.zeros(0)
    if high - middle < 1e-9:
        above = np.zeros(0)
    return np.exp(np.concatenate([below, above])), float(np.exp(middle))


class _Verdict(NamedTuple):
    """The outcome of one difference, and its interval."""

    outcome: Outcome
    difference: float
    low: float | None
    high: float | None


def _judged(differences: Array, ladders: Ladders, margin: float, level: float) -> list[_Verdict]:
    """The outcome of each column of differences, shape (2 + resamples, k)."""
    if not ladders.noise.is_known:
        return [_Verdict("≈", float(value), None, None) for value in differences[0]]
    lows, highs = simultaneous_intervals(differences[0], differences[2:] - differences[1], level)
    return [
        _Verdict(">" if high < -margin else "<" if low > margin else "≈", float(difference), float(low), float(high))
        for difference, low, high in zip(differences[0], lows, highs, strict=True)
    ]


def _table(
    differences: Array, upper: Mask, cells: Sequence[Cell], ladders: Ladders, margin: float, level: float
) -> tuple[Quarter, ...]:
    """The quarters that hold cells."""
    quarters = [(p, d, np.flatnonzero((upper == (p, d)).all(axis=1))) for p in (0, 1) for d in (0, 1)]
    quarters = [quarter for quarter in quarters if quarter[2].size]
    means = np.stack([differences[:, inside].mean(axis=1) for _, _, inside in quarters], axis=1)
    table = []
    for (p, d, inside), verdict in zip(quarters, _judged(means, ladders, margin, level), strict=True):
        counts = Counter(cells[cell].outcome for cell in inside.tolist())
        outcome, why = verdict.outcome, ladders.why_not
        if counts[">"] and counts["<"]:
            outcome, why = "≈", "each of the two is better in some cells"
        elif not why:
            why = ladders.one_seed if outcome != "≈" else _why_alike(verdict, margin)
        table.append(
            Quarter(
                parameters=_HALVES[p],
                data=_HALVES[d],
                outcome=outcome,
                cells={">": counts[">"], "<": counts["<"], "≈": counts["≈"]},
                difference=verdict.difference,
                low=verdict.low,
                high=verdict.high,
                why=why,
            )
        )
    return tuple(table)


def _why_alike(verdict: _Verdict, margin: float) -> str:
    """Whether a mean difference within the margin is known to be that small."""
    if verdict.low is not None and verdict.high is not None and -margin <= verdict.low and verdict.high <= margin:
        return "the difference lies within the margin"
    return "the interval of the difference is not beyond the margin: more data sizes or seeds would tell"
