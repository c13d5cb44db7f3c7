"""What a law promises beyond what was measured: how far it is followed, the change of NE, the costs there."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import nnls

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.advice.use import DRAWS, Shape
from tfrs_scaling.fit.joint.allocation import Allocation
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
        ne: Expected NE.
        draws: Random draws of it, shape (DRAWS,).
    """

    ne: float
    draws: Array = field(repr=False, compare=False)


class SchemeSizes:
    """Sizes and costs between the measured multipliers of one scheme, and beyond them.

    Each of them, per example, is a constant, a part that grows as the multiplier and one that grows as its square: of
    O and M the tables stay while the widths grow on one side or on both sides of a layer. Such a polynomial is fitted
    to the measured shapes, and what it misses them by is interpolated, and kept beyond.

    Args:
        shapes: Two or more of the scheme, the baseline among them, by multiplier.
        scheme: V, H, O or M.
    """

    def __init__(self, shapes: Sequence[Shape], scheme: str):
        multipliers = np.array([shape.multiplier for shape in shapes])

        def through(values: Sequence[float]) -> Callable[[Array], Array]:
            return _polynomial(multipliers, np.array(values, dtype=np.float64))

        self._tables = through([shape.parameters - shape.outside_tables for shape in shapes])
        self._outside = through([shape.outside_tables for shape in shapes])
        self._flops = through([shape.flops for shape in shapes])
        self._seconds = through([1 / shape.rate for shape in shapes])
        self._embedding_dim = through([max(shape.embedding_dim, 1) for shape in shapes])  # 0: not recorded
        self._outside_alone = SCHEMES[scheme].outside_tables

    def axis(self, multipliers: Array) -> Array:
        """The parameters that the scheme's laws count, at multipliers of any shape."""
        outside = self._outside(multipliers)
        return outside if self._outside_alone else self._tables(multipliers) + outside

    def position(self, multiplier: float) -> float:
        """The same at one multiplier."""
        return float(self.axis(np.array(multiplier)))

    def embedding_dim(self, multiplier: float) -> int:
        """To the nearest whole number."""
        return round(float(self._embedding_dim(np.array(multiplier))))

    def cost(self, multiplier: float, examples: float) -> dict[str, float]:
        """By resource, of one pass over some examples."""
        at = np.array(multiplier)
        return {
            "compute": float(self._flops(at)) * examples,
            "data": examples,
            "params": float(self._tables(at) + self._outside(at)),
            "hours": float(self._seconds(at)) * examples / 3600,
        }


def _polynomial(multipliers: Array, values: Array) -> Callable[[Array], Array]:
    """The polynomial with coefficients of 0 or above nearest to values > 0, times what it misses them by."""

    def powers(at: Array) -> Array:
        return np.stack([np.ones_like(at), at, at**2], axis=-1)

    coefficients, _ = nnls(powers(multipliers) / values[:, None], np.ones_like(values))
    missed = np.log(values / (powers(multipliers) @ coefficients))

    def value(at: Array) -> Array:
        return np.asarray((powers(at) @ coefficients) * np.exp(np.interp(np.log(at), np.log(multipliers), missed)))

    return value


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
        split: Compute-optimal split of a budget.
        start: Parameters and examples to compare with.
        rng: Random generator for the draws.
    """
    farthest = min(math.sqrt(max(fit.d) / min(fit.d)), FARTHEST) * max(fit.d)
    if not (min(fit.n) <= split.n <= max(fit.n) and start[1] <= split.d <= farthest):
        return None
    change = float(fit.predict(split.n, split.d) - fit.predict(*start))
    low, high = (float(end) for end in fit.predict_interval(split.n, split.d))
    return Change(change, change + (high - low) / 2 / 1.96 * rng.standard_normal(DRAWS))
