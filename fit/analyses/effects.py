"""What every multiplier of every scheme changes, against the baseline, and whether that exceeds the noise."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.common.words import plural
from tfrs_scaling.fit.analyses.noise.ladders import Ladders, simultaneous_intervals
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE, SCHEMES

Outcome = Literal["lower", "higher", "≈", "noise unknown"]
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
        equal_compute: For E, n epochs of the data against one pass over n times as much; else None.
    """

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    equal_compute: Change | None

    @property
    def run_scheme(self) -> str:
        """The scheme of the shape's rows in the run table."""
        return BASELINE if self.scheme == ARCHITECTURE and self.multiplier == 1 else self.scheme


class _Point(NamedTuple):
    """A row of ``Ladders.points``."""

    ladders: Ladders
    row: int

    @property
    def examples(self) -> int:
        return int(self.ladders.points["examples"].iloc[self.row])

    @property
    def ne(self) -> float:
        return float(self.ladders.points["ne"].iloc[self.row])

    @property
    def shocks(self) -> Array:
        return self.ladders.shocks[:, self.row]

    @property
    def name(self) -> str:
        return f"{self.ladders.noise.architecture} {self.examples}"

    def size(self, column: str) -> float:
        return float(np.nan_to_num(self.ladders.points[column].iloc[self.row], nan=1.0))


class _Comparison(NamedTuple):
    """The shape, its points compared with the baseline's, and, of E, those compared at equal compute."""

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    pair: tuple[_Point, _Point]
    equal_compute: tuple[_Point, _Point] | None

    def in_families(self) -> Iterator[tuple[_Point, _Point, str]]:
        """The pairs, each with the name of the family whose intervals hold together with its own."""
        shape, baseline = self.pair
        grows = self.scheme == ARCHITECTURE or all(shape.size(x) >= baseline.size(x) * (1 - 1e-9) for x in _SIZES)
        yield shape, baseline, f"{baseline.name} {'larger' if grows else 'smaller'}"
        if self.equal_compute is not None:
            yield *self.equal_compute, f"{self.equal_compute[1].name} equal compute"


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
        one studied, as scheme ``A``. ``equal_compute`` is at the largest data size for which both were measured. A
        shape without a baseline at any of its data sizes has no record.
    """
    found = [comparison for own in ladders for comparison in _comparisons(own, ladders, base)]
    changes = iter(_changes([triple for comparison in found for triple in comparison.in_families()], level))
    records = [
        Effect(
            **asdict(next(changes)),
            architecture=comparison.architecture,
            scheme=comparison.scheme,
            multiplier=comparison.multiplier,
            embedding_dim=comparison.embedding_dim,
            equal_compute=None if comparison.equal_compute is None else next(changes),
        )
        for comparison in found
    ]
    order = [*SCHEMES]
    return sorted(records, key=lambda effect: (effect.architecture, order.index(effect.scheme), effect.multiplier))


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
        passes = SCHEMES[scheme].multipliers == "epochs"
        longer = [n for n in mine if passes and round(n * multiplier) in baseline]
        yield _Comparison(
            architecture,
            ARCHITECTURE if other else scheme,
            multiplier,
            int(first["embedding_dim"]),
            (mine[max(both)], baseline[max(both)]),
            (mine[max(longer)], baseline[round(max(longer) * multiplier)]) if longer else None,
        )


def _by_examples(ladders: Ladders, points: pd.DataFrame) -> dict[int, _Point]:
    """Some of the points of ladders, by data size."""
    return {
        int(examples): _Point(ladders, int(row))
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
