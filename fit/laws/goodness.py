"""How well a law describes its points: shares of variance, AICc, and the test of replicates."""

import math

import numpy as np
from scipy import special

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.laws.profile import Profile, Solutions


def r2(profile: Profile, rss: float) -> float:
    """The share of the weighted variance of y that the law explains; NaN where y does not vary."""
    mean = float(profile.total(profile.y)) / profile.y.size
    total = float(profile.total((profile.y - mean) ** 2))
    return 1 - rss / total if total > profile.floor else math.nan


def r2_excess(profile: Profile, best: Solutions) -> float:
    """The same for ``ln(y - gamma)`` against ``ln x``; NaN where a point lies on or below gamma."""
    top, beta, gamma = float(best.top[0]), float(best.beta[0]), float(best.gamma[0])
    excess = profile.y - gamma
    if top <= 0 or excess.min() <= 0:
        return math.nan
    logs = np.log(excess)
    residuals = logs - (math.log(top) - beta * profile.distance)
    total = float(np.sum((logs - logs.mean()) ** 2))
    return 1 - float(np.sum(residuals**2)) / total if total > 0 else math.nan


def aicc(rss: float, profile: Profile, n: int) -> float:
    """Hurvich and Tsai (1989), in the unit of the loss; NaN for fewer than 6 points."""
    k = 4  # the variance counts
    if n < k + 2:
        return math.nan
    rss_in_units = max(rss, profile.floor) / n
    fit_term = n * (math.log(rss_in_units) + 2 * math.log(profile.scale))
    return fit_term + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def lack_of_fit(profile: Profile, rss: float, groups: Indices) -> float:
    """The p value of the F test of the law against a free loss at every x; NaN without replicates.

    The misfit of the law to the means at each x is compared with the scatter of the replicates about those
    means (Draper and Smith 1998, section 2.1). What a whole group is off by, such as a lucky seed, is taken
    out of that scatter: the law's own floor absorbs its mean.

    Args:
        profile: The fitted points.
        rss: Residual sum of squares of the law, in units of the profile's scale squared.
        groups: The group of each point, numbered from 0.
    """
    n = profile.y.size
    places, at = np.unique(profile.distance, return_inverse=True)
    columns = [at[:, None] == np.arange(places.size)]
    counts = np.bincount(groups)
    if counts.size > 1 and counts.max() > 1:
        columns.append(groups[:, None] == np.arange(counts.size))
    root = np.sqrt(profile.weights)
    design = np.concatenate(columns, axis=1) * root[:, None]
    coefficients, _, rank, _ = np.linalg.lstsq(design, profile.y * root, rcond=1e-10)
    # Means of places without the law's three parameters; and, where groups have an offset each, what these explain.
    scatter = float(np.sum((profile.y * root - design @ coefficients) ** 2))
    degrees = n - int(rank)
    about_places = float(profile.total((profile.y - _place_means(profile, at)) ** 2))
    misfit, misfit_degrees = rss - about_places, places.size - 3
    if degrees < 1 or misfit_degrees < 1:
        return math.nan
    scatter = max(scatter, profile.floor)
    ratio = max(misfit, 0.0) / misfit_degrees / (scatter / degrees)
    return float(special.fdtrc(misfit_degrees, degrees, ratio))


def _place_means(profile: Profile, at: Indices) -> Array:
    weights = np.bincount(at, profile.weights)
    return (np.bincount(at, profile.weights * profile.y) / weights)[at]
