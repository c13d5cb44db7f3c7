"""What a law promises beyond what was measured: how far it is followed, the change of NE, the costs there."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy.optimize import nnls

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.advice.use import DRAWS, Change, Shape
from tfrs_scaling.fit.analyses.held_out import HeldOut
from tfrs_scaling.fit.extrapolation.predictive import (
    PUBLIC,
    Forecast,
    degrees_of_freedom,
    forecast,
    half_widths,
    missed_per_doubling,
)
from tfrs_scaling.fit.joint.allocation import Allocation
from tfrs_scaling.fit.joint.law import JointFit
from tfrs_scaling.fit.labels import FRONTIER
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.resampled_laws import law_draws, losses_at
from tfrs_scaling.fit.laws.status import FEWEST
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.fit.study import StudyFits

FARTHEST = 16.0  # times the largest x, to which a sound law is followed at most


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
        timed = not any(math.isnan(shape.rate) for shape in shapes)
        self._seconds = through([1 / shape.rate for shape in shapes]) if timed else lambda at: at * math.nan
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


@dataclass(frozen=True)
class LawErrors:
    """How far a study's laws err beyond their points: Student's t, as a multiple of what ``predictive`` says.

    Attributes:
        factor: The multiple.
        degrees: Degrees of freedom.
        shared: Share of the variance that all lines have in common.
    """

    factor: float = 1.0
    degrees: float = PUBLIC.degrees
    shared: float = 0.0


def law_errors(study: StudyFits, architecture: str) -> LawErrors:
    """The errors of an architecture's laws of data, by what they missed of the largest size, held out.

    Each miss, divided by the scale that the smaller sizes gave, is evidence on a scale factor whose prior is that of
    public curves (``predictive.PUBLIC``): the conjugate update of a variance. Lines that err alike count as fewer
    (Kish 1965).
    """
    scaled = (_scaled_miss(study, record, architecture) for record in study.held_out)
    misses = np.array([miss for miss in scaled if miss is not None])
    if misses.size < 2:
        return LawErrors()
    squares = max(float((misses**2).mean()), 1e-12)
    shared = max(0.0, (float(misses.mean()) ** 2 * misses.size / squares - 1) / (misses.size - 1))
    lines = misses.size / (1 + (misses.size - 1) * shared)
    degrees = PUBLIC.degrees + lines
    return LawErrors(math.sqrt((PUBLIC.degrees + lines * squares) / degrees), degrees, shared)


def _scaled_miss(study: StudyFits, record: HeldOut, architecture: str) -> float | None:
    if record.architecture != architecture or record.line == FRONTIER:
        return None
    line = study.find(scheme=record.scheme, x="data", line=record.line, architecture=architecture)
    if line is None:
        return None
    x, y = np.array(line.fit.x), np.array(line.fit.y)
    past = x < record.examples
    if np.unique(x[past]).size < FEWEST or y.min() <= 0 or record.predicted <= 0:
        return None
    return math.log(record.predicted / record.measured) / beyond(forecast(x[past], y[past]), record.examples).scale


@dataclass(frozen=True)
class Beyond:
    """The second opinion on a law at one place beyond its points, in ``ln`` of the loss.

    Attributes:
        change: From the largest x, by the average of laws.
        scale: Scale of its error.
    """

    change: float
    scale: float


def beyond(known: Forecast, x: float) -> Beyond:
    """What the average of laws says at one x beyond its points."""
    u = np.array([0.0, math.log(x) - math.log(known.curve.x_end)])
    middle, spread = known.average.predict(u)
    missed, points = missed_per_doubling(known.backtests, PUBLIC), known.curve.u.size
    half = half_widths(u[1:], spread[1:], missed, points, 0.95, PUBLIC)
    return Beyond(
        float(middle[1] - middle[0]), float(half[0] / special.stdtrit(degrees_of_freedom(points, PUBLIC), 0.975))
    )


def law_reach(fit: PowerLawFit) -> float:
    """How far beyond its largest x a law is followed, as a multiple of it: half its range in ``ln x``, at most 16."""
    return min(math.sqrt(max(fit.x) / min(fit.x)), FARTHEST)


def law_change(fit: PowerLawFit, end: float, ne: float, errors: Array, factor: float) -> Change:
    """The change of NE from a law's largest x to one beyond.

    It is the law's own where its floor is identified, else that of the average of laws. More of what a law is about is
    not expected to raise NE.

    Args:
        fit: The law, with an exponent, of losses above 0.
        end: The x beyond.
        ne: NE at the largest x.
        errors: Random draws of the error, in units of its scale, shape (DRAWS,).
        factor: That of ``LawErrors``.
    """
    second = beyond(forecast(fit.x, fit.y), end)
    own = fit.status.has_floor
    change = float(fit.predict(end) - fit.predict(max(fit.x))) if own else ne * math.expm1(second.change)
    return Change(change, np.minimum(change + ne * second.scale * factor * errors, max(change, 0.0)))


def no_more_than_last_step(
    change: Change, before: Shape, last: Shape, at_before: float, at_last: float, x: float
) -> Change:
    """A law's change from the last measured shape to an x beyond, but no larger than the last step measured allows.

    Returns diminish: against ``ln x`` each step gains at most as fast as the one before it. So whatever law goes
    through all points, where the last step gained nothing, none is expected beyond.

    Args:
        change: By the law.
        before: The last shape but one.
        last: The last.
        at_before: x of the last but one.
        at_last: x of the last.
        x: That beyond.
    """
    steps = math.log(x / at_last) / math.log(at_last / at_before)
    return Change(
        max(change.ne, min(steps * (last.ne - before.ne), 0.0)),
        np.maximum(change.draws, np.minimum(steps * (last.draws - before.draws), 0.0)),
    )


def change_between(fit: PowerLawFit, start: float, end: float, rng: np.random.Generator) -> Change:
    """The change of NE from one x to another within the points of a law, with draws from the laws that these allow."""
    laws = law_draws(fit, seed=int(rng.integers(2**31)))
    changes = losses_at(laws, fit, end) - losses_at(laws, fit, start)
    return Change(float(fit.predict(end) - fit.predict(start)), changes[rng.integers(len(changes), size=DRAWS)])


def joint_change(
    fit: JointFit, split: Allocation, start: tuple[float, float], rng: np.random.Generator
) -> Change | None:
    """The change of NE from n and d to a compute-optimal split; None where the law is not followed as far.

    It is followed to no n beyond the measured ones, and to d as ``law_reach`` of a law of data.

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
    low, high = (float(end) for end in fit.predict_interval(split.n, split.d, "new"))
    return Change(change, change + (high - low) / 2 / 1.96 * rng.standard_normal(DRAWS))
