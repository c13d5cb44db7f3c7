"""The verdict on a joint law: what its numbers may be used for."""

import numpy as np
from numpy.typing import NDArray

from tfrs_scaling.fit.joint.surface import EXPONENT_MAX, EXPONENT_MIN, Surface

Array = NDArray[np.float64]
Interval = tuple[float, float]

JOINT_STATUSES = (
    "ok",  # every parameter means something
    "E_unidentified",  # the data do not say where the floor lies; do not extrapolate far
    "exponent_at_bound",  # a or b, or an end of its interval, is the steepest or the flattest one searched
    "flat",  # n or d makes no difference that the data could show
    "confounded",  # n and d rise together: what one of them does could be the other's doing
    "too_few_points",  # fewer than 6 points, 3 different n or 3 different d; nothing was fitted
)
FEWEST_POINTS, FEWEST_SIZES = 6, 3
_CONFOUNDED = 0.995  # correlation of ln n and ln d; a grid of both has 0, Chinchilla's models have 0.64


def judge(surface: Surface, theta: Array, replicates: Array, interval: dict[str, Interval], level: float) -> str:
    """The status of a fit to enough points: the first of confounded, flat, exponent_at_bound, E_unidentified, ok.

    Args:
        surface: The fitted points.
        theta: Their optimum, shape (5,).
        replicates: The optimum of each resample, shape (resamples, 5).
        interval: Of ``E``, ``a`` and ``b``, at least; E in the unit of the loss.
        level: Confidence level of the intervals.
    """
    if float(np.corrcoef(surface.u, surface.v)[0, 1]) > _CONFOUNDED:
        return "confounded"
    share = (1 - level) / 2
    gone = (replicates[:, [1, 3]] <= 0).mean(axis=0)
    if (theta[[1, 3]] <= 0).any() or (gone > share).any():
        return "flat"
    exponents = (*theta[[2, 4]].tolist(), *interval["a"], *interval["b"])
    if min(exponents) <= EXPONENT_MIN * 1.001 or max(exponents) >= EXPONENT_MAX / 1.001:
        return "exponent_at_bound"
    low, high = interval["E"]
    observed, smallest = surface.scale * float(np.ptp(surface.y)), surface.scale * float(surface.y.min())
    unsure = high - low > observed or (low <= 0 and high > 0.5 * smallest)
    return "E_unidentified" if unsure else "ok"
