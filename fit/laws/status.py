"""The verdict on a fit: what its numbers may be used for."""

import math

import numpy as np
from scipy import special

from tfrs_scaling.fit.laws.profile import Profile, Solutions, at_bounds

STATUSES = (
    "ok",  # alpha, beta and gamma all mean something
    "gamma_unidentified",  # the data do not say where the floor lies; do not extrapolate far
    "beta_at_bound",  # the best exponent is the steepest or the flattest one searched
    "flat",  # a constant explains the data as well
    "not_monotone",  # the loss rises with x somewhere: no such law
    "too_few_points",  # fewer than four different x; nothing was fitted
)
FEWEST = 4  # different x: one more than the law has parameters


def judge(
    profile: Profile, best: Solutions, interval: dict[str, tuple[float, float]], without_slope: float, level: float
) -> str:
    """The status of a fit to at least FEWEST different x.

    Args:
        profile: The fitted points.
        best: Their optimum.
        interval: Of ``gamma``, at least; in the unit of the loss.
        without_slope: The share of resampled laws that are constant, where points were resampled.
        level: Confidence level of the interval, and of the test against a constant.

    Returns:
        One of STATUSES; the first that applies of not_monotone, flat, beta_at_bound, gamma_unidentified.
    """
    n, least = profile.y.size, max(float(best.rss[0]), profile.floor)
    if _rises(profile, least):
        return "not_monotone"
    mean = float(profile.total(profile.y)) / n
    constant_rss = float(profile.total((profile.y - mean) ** 2))
    # F with 2 and n - 3 degrees of freedom: a constant has two parameters fewer than the law.
    f_ratio = (constant_rss - least) / 2 / (least / (n - 3))
    no_slope = special.fdtr(2, n - 3, max(f_ratio, 0.0)) < level or without_slope > (1 - level) / 2
    if constant_rss <= 4 * profile.floor or no_slope:
        return "flat"
    if any(at_bounds(best.beta)):
        return "beta_at_bound"
    low, high = interval["gamma"]
    observed = profile.scale * float(np.ptp(profile.y))
    smallest = profile.scale * float(profile.y.min())
    # Identified is a floor known better than the whole improvement seen so far, and better than "anywhere
    # from nothing to half the best loss". One degree of freedom cannot tell noise from curvature.
    unsure = high - low > observed or (low <= 0 and high > 0.5 * smallest)
    return "gamma_unidentified" if unsure or n == FEWEST else "ok"


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
