"""What the numbers of a joint fit may be used for."""

from enum import StrEnum

import numpy as np

from tfrs_scaling.common.arrays import Array, Indices, Interval
from tfrs_scaling.fit.joint.surface import EXPONENT_MAX, EXPONENT_MIN, Surface
from tfrs_scaling.fit.laws.replicates import misses_last_step
from tfrs_scaling.fit.laws.validation import Points

FEWEST_POINTS, FEWEST_SIZES = 6, 3


class JointStatus(StrEnum):
    """What the numbers of a joint fit may be used for."""

    OK = "ok"
    E_UNIDENTIFIED = "E_unidentified"
    EXPONENT_AT_BOUND = "exponent_at_bound"
    LAST_STEP_MISSED = "last_step_missed"
    FLAT = "flat"
    CONFOUNDED = "confounded"
    TOO_FEW_POINTS = "too_few_points"

    @property
    def meaning(self) -> str:
        """What the status says about the fit: a clause."""
        return _MEANING[self]

    @property
    def is_fitted(self) -> bool:
        """Whether parameters were fitted."""
        return self is not JointStatus.TOO_FEW_POINTS

    @property
    def has_law(self) -> bool:
        """Whether the law describes the points, so that it may be drawn."""
        return self.is_fitted and self is not JointStatus.LAST_STEP_MISSED

    @property
    def has_split(self) -> bool:
        """Whether a split of a budget between parameters and data follows from the fit."""
        return self in (JointStatus.OK, JointStatus.E_UNIDENTIFIED)


_MEANING = {
    JointStatus.OK: "every parameter is identified",
    JointStatus.E_UNIDENTIFIED: "the data do not say where the floor lies, so do not extrapolate far",
    JointStatus.EXPONENT_AT_BOUND: "an exponent is the steepest or flattest one searched, so no split follows",
    JointStatus.LAST_STEP_MISSED: "on the most data, or of the largest model, the last step is less than half, or more "
    "than twice, what the law says, and replicates rule out that this is noise, so the law has the wrong form",
    JointStatus.FLAT: "parameters or data make no visible difference, so no split follows",
    JointStatus.CONFOUNDED: "parameters and data rose together, so their effects cannot be separated",
    JointStatus.TOO_FEW_POINTS: f"five parameters take {FEWEST_POINTS} points and {FEWEST_SIZES} different n and d",
}
_CONFOUNDED = 0.995  # correlation of ln n and ln d; a grid of both has 0, Chinchilla's models have 0.64


def judge(
    surface: Surface,
    theta: Array,
    replicates: Array,
    interval: dict[str, Interval],
    groups: Indices,
    level: float,
) -> JointStatus:
    """The status of a fit to enough points.

    Args:
        surface: The fitted points.
        theta: The points' optimum, shape (5,).
        replicates: The optimum of each resample, shape (resamples, 5).
        interval: Intervals by parameter, ``E``, ``a`` and ``b`` among them; E in the unit of the loss.
        groups: The training of each point, numbered from 0.
        level: Confidence level of the intervals.

    Returns:
        The first that applies of confounded, flat, exponent_at_bound, last_step_missed and E_unidentified; ok if none
        does.
    """
    if float(np.corrcoef(surface.u, surface.v)[0, 1]) > _CONFOUNDED:
        return JointStatus.CONFOUNDED
    share = (1 - level) / 2
    gone = (replicates[:, [1, 3]] <= 0).mean(axis=0)
    if (theta[[1, 3]] <= 0).any() or (gone > share).any():
        return JointStatus.FLAT
    exponents = (*theta[[2, 4]].tolist(), *interval["a"], *interval["b"])
    if min(exponents) <= EXPONENT_MIN * 1.001 or max(exponents) >= EXPONENT_MAX / 1.001:
        return JointStatus.EXPONENT_AT_BOUND
    if _misses_last_step(surface, theta, groups):
        return JointStatus.LAST_STEP_MISSED
    low, high = interval["E"]
    observed, smallest = surface.scale * float(np.ptp(surface.y)), surface.scale * float(surface.y.min())
    unsure = high - low > observed or (low <= 0 and high > 0.5 * smallest)
    return JointStatus.E_UNIDENTIFIED if unsure else JointStatus.OK


def _misses_last_step(surface: Surface, theta: Array, groups: Indices) -> bool:
    """Whether the law misses the last step of parameters on the most data, or of data in the largest model."""
    for along, other in ((surface.u, surface.v), (surface.v, surface.u)):
        last = other == other.max()
        own = np.unique(groups[last], return_inverse=True)[1]
        points = Points(np.exp(along[last]), surface.y[last], np.ones(int(last.sum())), own)
        if misses_last_step(points, surface.only(last).law(theta[None])[0]):
            return True
    return False
