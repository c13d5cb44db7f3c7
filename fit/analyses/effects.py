"""What every multiplier of every scheme changes, against the baseline at equal examples and at equal cost, and whether
that exceeds the noise."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.common.words import plural
from tfrs_scaling.fit.analyses.noise.ladders import Ladders, simultaneous_intervals
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE, SCHEMES

Outcome = Literal["lower", "higher", "≈", "noise unknown"]
_COSTS = ("spent", "collected")  # columns of ``Ladders.points``: FLOPs of training, and rows of the log
_LARGEST_WEIGHT = 1.2  # of a measured point, between points: those of a ladder of one factor are at most 1
_SIZES = ("parameters", "flops")  # of a shape: one that is below the baseline's in neither may be worth growing to


@dataclass(frozen=True)
class Change:
    """One shape against another.

    Attributes:
        examples: Data size of the shape.
        baseline: NE of the other shape.
        change: ``ne - baseline``; negative is better.
        low: Lower end of its interval, which holds together with those of its family. None where the noise is unknown.
        outcome: Whether NE is ``lower`` or ``higher`` than the baseline's by more than the noise: whether the interval
            leaves 0 out; ``≈`` where it holds it.
        why: What the verdict rests on.
    """

    examples: int
    ne: float
    baseline: float
    change: float
    low: float | None
    high: float | None
    outcome: Outcome
    why: str


@dataclass(frozen=True)
class Effect(Change):
    """What one multiplier changes, against its architecture's baseline at the largest data size of both.

    Attributes:
        scheme: Scheme of the shape; ``A`` at multiplier 1 for another architecture's baseline.
        compute_times, rows_times, parameters_times: What it costs in FLOPs of training, rows collected and parameters
            served, divided by what the baseline of the architecture studied costs at the same examples. What scores its
            rows (T's teacher, P's scorer) is among them but for the parameters. None where it is not recorded.
        parameters_grown: Its parameters divided by those of the shape that it is compared with at equal examples. None
            where they are not recorded.
        at_compute, at_rows: The shape against that baseline, given as much more data, or less, as the same FLOPs or
            rows pay for. At the largest data size for which it was measured on both sides of that; None where there is
            none. Where the cost is the same, the change itself.
    """

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    compute_times: float | None
    rows_times: float | None
    parameters_times: float | None
    parameters_grown: float | None
    at_compute: Change | None
    at_rows: Change | None

    @property
    def per_doubling(self) -> tuple[float, float | None, float | None] | None:
        """The change of NE for each doubling of the parameters, with its ends; None where they stay as they are."""
        if self.parameters_grown is None or math.isclose(self.parameters_grown, 1.0):
            return None
        doublings = math.log2(self.parameters_grown)
        low, high = (None if end is None else end / doublings for end in (self.low, self.high))
        return (self.change / doublings, *((low, high) if doublings > 0 else (high, low)))

    @property
    def run_scheme(self) -> str:
        """The scheme of the shape's rows in the run table."""
        return BASELINE if self.scheme == ARCHITECTURE and self.multiplier == 1 else self.scheme


class _Point(NamedTuple):
    """A row of ``Ladders.points``, or a place between some."""

    ladders: Ladders
    rows: Indices
    weights: Array

    @property
    def examples(self) -> int:
        return round(self._mean("examples"))

    @property
    def ne(self) -> float:
        return self._mean("ne")

    @property
    def shocks(self) -> Array:
        return np.asarray(self.ladders.shocks[:, self.rows] @ self.weights)

    @property
    def name(self) -> str:
        return f"{self.ladders.noise.architecture} {self.examples}"

    def size(self, column: str) -> float:
        return float(np.nan_to_num(self._mean(column), nan=1.0))

    def cost(self, column: str) -> float:
        """What it takes; NaN where that is not recorded."""
        found = self._mean(column)
        return math.nan if not found or (column == "parameters" and found == 1) else found

    def _mean(self, column: str) -> float:
        return float(self.ladders.points[column].to_numpy(dtype=np.float64)[self.rows] @ self.weights)


Pair = tuple[_Point, _Point]


class _Comparison(NamedTuple):
    """The shape, its points compared with the baseline's, and those compared at equal cost, by column of the cost.

    Where a shape costs what the baseline does, there is no such comparison: it is the one at equal examples.
    ``studied`` are the shape and the baseline of the architecture studied, at equal examples; ``same``: whether that is
    the baseline of the ``pair``.
    """

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    pair: Pair
    studied: Pair | None
    same: bool
    at_cost: dict[str, Pair]

    def in_families(self) -> Iterator[tuple[_Point, _Point, str]]:
        """The pairs, each with the name of the family whose intervals hold together with its own."""
        shape, baseline = self.pair
        grows = self.scheme == ARCHITECTURE or all(shape.size(x) >= baseline.size(x) * (1 - 1e-9) for x in _SIZES)
        yield shape, baseline, f"{baseline.name} {'larger' if grows else 'smaller'}"
        for cost, pair in self.at_cost.items():
            yield *pair, f"{baseline.ladders.noise.architecture} equal {cost}"

    def times(self, column: str) -> float | None:
        """What the shape costs for what the studied baseline costs at equal examples; None where that is not known."""
        return None if self.studied is None else _ratio(self.studied, column)


def _ratio(pair: Pair, column: str) -> float | None:
    shape, baseline = (point.cost(column) for point in pair)
    return shape / baseline if math.isfinite(shape / baseline) else None


def effects(ladders: Sequence[Ladders], base: str, *, level: float = 0.95) -> list[Effect]:
    """Every shape against its architecture's baseline, at the largest data size that both reached.

    Shapes compared with one baseline on the same data are families, whose intervals hold together at the level
    (``simultaneous_intervals``, the shared baseline moving in all): those that may be worth growing to, which are
    larger than the baseline, no smaller, or another architecture; and those that may save something. So of studies in
    which nothing matters one in twenty shows a larger shape that differs, and one in twenty a smaller one. The advice
    compares the same shapes in the same family, and a saving is picked from the other, so a change has one interval.

    Args:
        ladders: Ladders of each architecture.
        base: The architecture studied, as ``base_architecture`` says.
        level: Confidence level.

    Returns:
        One record for each shape but the baselines. A baseline of another architecture is compared with that of the
        one studied, as scheme ``A``. A shape without a baseline at any of its data sizes has no record.
    """
    found = [comparison for own in ladders for comparison in _comparisons(own, ladders, base)]
    changes = iter(_changes([triple for comparison in found for triple in comparison.in_families()], level))
    records = [_record(comparison, changes) for comparison in found]
    order = [*SCHEMES]
    return sorted(records, key=lambda effect: (effect.architecture, order.index(effect.scheme), effect.multiplier))


def _record(comparison: _Comparison, changes: Iterator[Change]) -> Effect:
    """A comparison with its changes, in the order of ``in_families``."""
    change = next(changes)
    times = {cost: comparison.times(cost) for cost in (*_COSTS, "parameters")}
    at = {cost: next(changes) for cost in comparison.at_cost}
    if comparison.same:
        at |= {cost: change for cost in _COSTS if (own := times[cost]) is not None and math.isclose(own, 1.0)}
    return Effect(
        **asdict(change),
        architecture=comparison.architecture,
        scheme=comparison.scheme,
        multiplier=comparison.multiplier,
        embedding_dim=comparison.embedding_dim,
        compute_times=times["spent"],
        rows_times=times["collected"],
        parameters_times=times["parameters"],
        parameters_grown=_ratio(comparison.pair, "parameters"),
        at_compute=at.get("spent"),
        at_rows=at.get("collected"),
    )


def _comparisons(own: Ladders, every: Sequence[Ladders], base: str) -> Iterator[_Comparison]:
    studied = next((ladders for ladders in every if ladders.noise.architecture == base), own)
    for _, shape in own.points.groupby(SHAPE, sort=True):
        first = shape.iloc[0]
        architecture, scheme, multiplier = str(first["architecture"]), str(first["scheme"]), float(first["multiplier"])
        other = scheme == BASELINE and architecture != base
        if scheme == BASELINE and not other:
            continue
        against = studied if other else own
        mine = _by_examples(own, shape)
        baseline = _by_examples(against, against.points[against.points["scheme"] == BASELINE])
        both = [examples for examples in mine if examples in baseline]
        if not both:
            continue
        pair = mine[max(both)], baseline[max(both)]
        reference = _by_examples(studied, studied.points[studied.points["scheme"] == BASELINE])
        common = [examples for examples in mine if examples in reference]
        at_studied = (mine[max(common)], reference[max(common)]) if common else None
        same = against is studied
        found = ((cost, _at_equal(cost, at_studied, mine, reference, same=same)) for cost in _COSTS)
        yield _Comparison(
            architecture,
            ARCHITECTURE if other else scheme,
            multiplier,
            int(first["embedding_dim"]),
            pair,
            at_studied,
            same,
            {cost: at for cost, at in found if at is not None},
        )


def _at_equal(
    cost: str, pair: Pair | None, shape: Mapping[int, _Point], baseline: Mapping[int, _Point], *, same: bool
) -> Pair | None:
    """The shape at its largest data size whose cost the baseline's points enclose, and the baseline at that cost.

    None where there is none, or where the two cost the ``same`` at equal examples, at which they are compared anyway.
    """
    if pair is None or len(baseline) < 2:
        return None
    first, other = (point.cost(cost) for point in pair)
    costs = np.array([point.cost(cost) for point in baseline.values()])
    if (same and math.isclose(first, other)) or not np.isfinite([first, other, *costs]).all():
        return None
    inside = [
        point for point in shape.values() if costs.min() * (1 - 1e-9) <= point.cost(cost) <= costs.max() * (1 + 1e-9)
    ]
    if not inside:
        return None
    largest = max(inside, key=lambda point: point.examples)
    rows = np.concatenate([point.rows for point in baseline.values()])
    return largest, _between(pair[1].ladders, rows, np.log(costs), math.log(largest.cost(cost)))


def _between(ladders: Ladders, rows: Indices, logs: Array, place: float) -> _Point:
    """A place among points, by the parabola through those on both sides of it and the next, in the cost's logarithm.

    A line through two would lie above a convex curve: for the law x**-0.3 on a ladder of doublings by 0.5 % of it. It
    is used where the next point is so far that the parabola would multiply noise.
    """
    order = np.argsort(logs, kind="stable")
    right = int(np.clip(np.searchsorted(logs[order], place), 1, logs.size - 1))
    sides = order[right - 1 : right + 1]
    nearest = np.argsort(np.abs(logs - place), kind="stable")
    third = nearest[~np.isin(nearest, sides)][:1]
    for at in (np.concatenate([sides, third]), sides):
        nodes = logs[at]
        weights = np.array(  # Lagrange's
            [math.prod((place - other) / (node - other) for other in nodes if other != node) for node in nodes]
        )
        if np.abs(weights).max() <= _LARGEST_WEIGHT:
            break
    return _Point(ladders, rows[at], weights)


def _by_examples(ladders: Ladders, points: pd.DataFrame) -> dict[int, _Point]:
    """Some of the points of ladders, by data size."""
    return {
        int(examples): _Point(ladders, np.array([row]), np.ones(1))
        for row, examples in zip(points.index.to_numpy(), points["examples"].to_numpy(), strict=True)
    }


def _changes(comparisons: Sequence[tuple[_Point, _Point, str]], level: float) -> Iterator[Change]:
    """The change of each pair, with the interval that holds together with those of its family."""
    if not comparisons:
        return
    changes = np.array([shape.ne - baseline.ne for shape, baseline, _ in comparisons])
    deviations = np.stack([shape.shocks - baseline.shocks for shape, baseline, _ in comparisons], axis=1)
    known = np.asarray(~np.isnan(deviations).any(axis=0))
    families = np.array([family for *_, family in comparisons])
    lows, highs = np.full_like(changes, math.nan), np.full_like(changes, math.nan)
    for family in np.unique(families):
        its = known & (families == family)
        lows[its], highs[its] = simultaneous_intervals(changes[its], deviations[:, its], level)
    for at, (shape, baseline, family) in enumerate(comparisons):
        low, high = float(lows[at]), float(highs[at])
        outcome: Outcome = "lower" if high < 0 else "higher" if low > 0 else "≈"
        yield Change(
            examples=shape.examples,
            ne=shape.ne,
            baseline=baseline.ne,
            change=float(changes[at]),
            low=low if known[at] else None,
            high=high if known[at] else None,
            outcome=outcome if known[at] else "noise unknown",
            why=_why(shape.ladders, bool(known[at]), int((known & (families == family)).sum()), level),
        )


def _why(ladders: Ladders, known: bool, number: int, level: float) -> str:
    if not known:
        return ladders.why_not or "the noise of the baseline it is compared with is unknown"
    together = f"{plural(number, 'comparison')} like this hold together" if number > 1 else "the comparison holds"
    return f"the noise of one training is {ladders.noise.words}; {together} at {level:.0%}"
