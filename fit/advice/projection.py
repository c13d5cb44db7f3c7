"""What a law promises beyond what was measured: how far it is followed, the change of NE, the costs there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.advice.use import DRAWS, Shape
from tfrs_scaling.fit.joint.allocation import Allocation, MeasuredCost
from tfrs_scaling.fit.joint.law import JointFit
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.resampled_laws import law_draws, losses_at
from tfrs_scaling.fit.laws.status import Status
from tfrs_scaling.fit.schemes import SCHEMES

FARTHEST = 16.0  # times the largest x, to which a sound law is followed at most
UNSURE = 2.0  # times the largest x, for a law whose floor is not identified


@dataclass(frozen=True)
class Change:
    """A predicted change of NE.

    Attributes:
        ne: Expected.
        draws: Random draws of it, shape (DRAWS,).
    """

    ne: float
    draws: Array = field(repr=False, compare=False)


class SchemeSizes:
    """Sizes and costs between the measured multipliers of one scheme, and beyond them: powers of the multiplier.

    Args:
        shapes: Two or more of the scheme, the baseline among them, by multiplier.
        scheme: V, H, O or M.
    """

    def __init__(self, shapes: Sequence[Shape], scheme: str):
        def through(sizes: Sequence[float]) -> MeasuredCost:
            return MeasuredCost(tuple(shape.multiplier for shape in shapes), tuple(float(size) for size in sizes))

        self._parameters = through([shape.parameters for shape in shapes])
        self._flops = through([shape.flops for shape in shapes])
        self._rate = through([shape.rate for shape in shapes])
        self._embedding_dim = through([shape.embedding_dim for shape in shapes])
        outside = SCHEMES[scheme].outside_tables
        self._axis = through([shape.outside_tables for shape in shapes]) if outside else self._parameters

    def axis(self, multipliers: Array) -> Array:
        """The parameters that the scheme's laws count, at multipliers of any shape."""
        return self._axis(multipliers)

    def position(self, multiplier: float) -> float:
        """The same at one multiplier."""
        return float(self._axis(multiplier))

    def embedding_dim(self, multiplier: float) -> int:
        """To the nearest whole number."""
        return round(float(self._embedding_dim(multiplier)))

    def cost(self, multiplier: float, examples: float) -> dict[str, float]:
        """By resource, of one pass over some examples."""
        return {
            "compute": float(self._flops(multiplier)) * examples,
            "data": examples,
            "params": float(self._parameters(multiplier)),
            "hours": examples / float(self._rate(multiplier)) / 3600,
        }


def law_reach(fit: PowerLawFit) -> float:
    """How far beyond its largest x a law is followed, as a multiple of it; 1: not at all.

    A sound law (``ok``) as far as half the measured range is long on a logarithmic axis, at most 16 times; one
    whose floor is not identified one doubling.
    """
    if fit.status is Status.GAMMA_UNIDENTIFIED:
        return UNSURE
    return min(math.sqrt(max(fit.x) / min(fit.x)), FARTHEST) if fit.status.has_floor else 1.0


def expected_change(fit: PowerLawFit, start: float, end: float) -> float:
    """The change of NE from one x to another by the law itself."""
    return float(fit.predict(end) - fit.predict(start))


def law_change(fit: PowerLawFit, start: float, end: float, rng: np.random.Generator) -> Change:
    """The same with draws from the laws that the points leave possible."""
    laws = law_draws(fit, seed=int(rng.integers(2**31)))
    changes = losses_at(laws, fit, end) - losses_at(laws, fit, start)
    return Change(expected_change(fit, start, end), changes[rng.integers(len(changes), size=DRAWS)])


def joint_change(
    fit: JointFit, split: Allocation, start: tuple[float, float], rng: np.random.Generator
) -> Change | None:
    """The change of NE from n and d to a compute-optimal split; None where the law is not followed as far.

    It is followed to no n beyond the measured ones, and to d as ``law_reach`` of a sound law.

    Args:
        fit: The law.
        split: Of a budget.
        start: Parameters and examples to compare with.
        rng: Of the draws.
    """
    farthest = min(math.sqrt(max(fit.d) / min(fit.d)), FARTHEST) * max(fit.d)
    if not (min(fit.n) <= split.n <= max(fit.n) and start[1] <= split.d <= farthest):
        return None
    change = float(fit.predict(split.n, split.d) - fit.predict(*start))
    low, high = (float(end) for end in fit.predict_interval(split.n, split.d))
    return Change(change, change + (high - low) / 2 / 1.96 * rng.standard_normal(DRAWS))
