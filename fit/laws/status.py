"""The verdict on a fit: what its numbers may be used for."""

import math
from enum import StrEnum

import numpy as np
from scipy import special

from tfrs_scaling.fit.laws.profile import Profile, Solutions, at_bounds


class Status(StrEnum):
    """What the numbers of a fit may be used for."""

    OK = "ok"
    GAMMA_UNIDENTIFIED = "gamma_unidentified"
    BETA_AT_BOUND = "beta_at_bound"
    FLAT = "flat"
    NOT_MONOTONE = "not_monotone"
    TOO_FEW_POINTS = "too_few_points"

    @property
    def words(self) -> str:
        """The status in two or three words."""
        return _WORDS[self]

    @property
    def meaning(self) -> str:
        """What it says of the fit, a sentence."""
        return _MEANING[self]

    @property
    def is_fitted(self) -> bool:
        """Whether there are parameters at all."""
        return self is not Status.TOO_FEW_POINTS

    @property
    def has_law(self) -> bool:
        """Whether the law describes the points, so that it may be drawn and read off."""
        return self not in (Status.TOO_FEW_POINTS, Status.NOT_MONOTONE)

    @property
    def has_exponent(self) -> bool:
        """Whether beta means something."""
        return self in (Status.OK, Status.GAMMA_UNIDENTIFIED)

    @property
    def has_floor(self) -> bool:
        """Whether gamma means something too, so that the law may be extrapolated."""
        return self is Status.OK


_WORDS = {
    Status.OK: "sound",
    Status.GAMMA_UNIDENTIFIED: "floor not identified",
    Status.BETA_AT_BOUND: "exponent at its bound",
    Status.FLAT: "flat",
    Status.NOT_MONOTONE: "not falling",
    Status.TOO_FEW_POINTS: "too few points",
}
_MEANING = {
    Status.OK: "The exponent and the floor both mean something.",
    Status.GAMMA_UNIDENTIFIED: "The points do not say where the curve levels off: do not extrapolate it.",
    Status.BETA_AT_BOUND: "The best exponent is the steepest or flattest one searched: not a power law.",
    Status.FLAT: "A constant describes the points as well: no return can be seen.",
    Status.NOT_MONOTONE: "The loss rises somewhere: no power law describes it, and none is drawn.",
    Status.TOO_FEW_POINTS: "Fewer than four places on the axis: nothing was fitted.",
}

FEWEST = 4  # different x: one more than the law has parameters


def judge(
    profile: Profile, best: Solutions, interval: dict[str, tuple[float, float]], without_slope: float, level: float
) -> Status:
    """The status of a fit to at least FEWEST different x.

    Args:
        profile: The fitted points.
        best: Their optimum.
        interval: Of ``gamma``, at least; in the unit of the loss.
        without_slope: The share of resampled laws that are constant, where points were resampled.
        level: Confidence level of the interval, and of the test against a constant.

    Returns:
        The first that applies of not_monotone, flat, beta_at_bound, gamma_unidentified.
    """
    n, least = profile.y.size, max(float(best.rss[0]), profile.floor)
    if _rises(profile, least):
        return Status.NOT_MONOTONE
    mean = float(profile.total(profile.y)) / n
    constant_rss = float(profile.total((profile.y - mean) ** 2))
    # F with 2 and n - 3 degrees of freedom: a constant has two parameters fewer than the law.
    f_ratio = (constant_rss - least) / 2 / (least / (n - 3))
    no_slope = special.fdtr(2, n - 3, max(f_ratio, 0.0)) < level or without_slope > (1 - level) / 2
    if constant_rss <= 4 * profile.floor or no_slope:
        return Status.FLAT
    if any(at_bounds(best.beta)):
        return Status.BETA_AT_BOUND
    low, high = interval["gamma"]
    observed = profile.scale * float(np.ptp(profile.y))
    smallest = profile.scale * float(profile.y.min())
    # Identified is a floor known better than the whole improvement seen so far, and better than "anywhere
    # from nothing to half the best loss". One degree of freedom cannot tell noise from curvature.
    unsure = high - low > observed or (low <= 0 and high > 0.5 * smallest)
    return Status.GAMMA_UNIDENTIFIED if unsure or n == FEWEST else Status.OK


def _rises(profile: Profile, least: float) -> bool:
    """Whether the loss rises with x beyond noise: a parabola in ln x says so and beats the law.

    The rise of the parabola from its lowest point to the right end is tested at the 0.1 % level, and the
    parabola must be the better description (law and parabola have three parameters each).
    """
    n, span = profile.y.size, float(profile.distance.max())
    u = profile.distance / span
    root = np.sqrt(profile.weights)
    design = np.stack([np.ones_like(u), u, u**2], axis=1)
    coefficients, _, _, _ = np.linalg.lstsq(design * root[:, None], profile.y * root, rcond=None)
    rss = max(float(profile.total((profile.y - design @ coefficients) ** 2)), profile.floor)
    if rss * float(special.fdtri(n - 3, n - 3, 0.95)) > least and rss > 0.5 * least:
        return False
    fine = np.linspace(0.0, 1.0, 101)
    lowest = float(fine[np.argmin(coefficients[0] + coefficients[1] * fine + coefficients[2] * fine**2)])
    contrast = np.array([0.0, 1.0 - lowest, 1.0 - lowest**2])
    rise = float(contrast @ coefficients)
    covariance = np.linalg.inv(design.T @ (design * profile.weights[:, None])) * rss / (n - 3)
    error = math.sqrt(float(contrast @ covariance @ contrast))
    return rise > float(special.stdtrit(n - 3, 0.999)) * error
