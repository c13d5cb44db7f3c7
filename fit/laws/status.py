"""How well a law describes its points, and what the numbers of its fit may be used for."""

import math
from dataclasses import replace
from enum import StrEnum
from typing import TypedDict

import numpy as np
from scipy import special

from tfrs_scaling.common.arrays import Array, Interval
from tfrs_scaling.fit.laws.profile import Profile, Solutions, at_bounds
from tfrs_scaling.fit.laws.replicates import lack_of_fit, place_means
from tfrs_scaling.fit.laws.validation import Points


class Status(StrEnum):
    """What the numbers of a fit may be used for."""

    OK = "ok"
    GAMMA_UNIDENTIFIED = "gamma_unidentified"
    BETA_AT_BOUND = "beta_at_bound"
    CORRELATED_RESIDUALS = "correlated_residuals"
    LAST_STEP_MISSED = "last_step_missed"
    FLAT = "flat"
    NOT_MONOTONE = "not_monotone"
    TOO_FEW_POINTS = "too_few_points"
    GRID_EDGE = "grid_edge"

    @property
    def words(self) -> str:
        """The status in two or three words."""
        return _WORDS[self]

    @property
    def meaning(self) -> str:
        """What the status says about the fit: a sentence."""
        return _MEANING[self]

    @property
    def is_fitted(self) -> bool:
        """Whether parameters were fitted."""
        return self not in (Status.TOO_FEW_POINTS, Status.GRID_EDGE)

    @property
    def has_law(self) -> bool:
        """Whether the law describes the points, so that it may be drawn and evaluated between them."""
        return self.is_fitted and self not in (Status.NOT_MONOTONE, Status.LAST_STEP_MISSED)

    @property
    def has_exponent(self) -> bool:
        """Whether beta is meaningful."""
        return self in (Status.OK, Status.GAMMA_UNIDENTIFIED)

    @property
    def has_floor(self) -> bool:
        """Whether gamma is meaningful too, so that the law may be extrapolated."""
        return self is Status.OK


_WORDS = {
    Status.OK: "sound",
    Status.GAMMA_UNIDENTIFIED: "floor not identified",
    Status.BETA_AT_BOUND: "exponent at its bound",
    Status.CORRELATED_RESIDUALS: "residuals correlated",
    Status.LAST_STEP_MISSED: "last step missed",
    Status.FLAT: "flat",
    Status.NOT_MONOTONE: "not falling",
    Status.TOO_FEW_POINTS: "too few points",
    Status.GRID_EDGE: "on the grid's edge",
}
_MEANING = {
    Status.OK: "The exponent and the floor are both identified.",
    Status.GAMMA_UNIDENTIFIED: "The points do not say where the curve levels off: do not extrapolate it.",
    Status.BETA_AT_BOUND: "The best exponent is the steepest or flattest one searched: not a power law.",
    Status.CORRELATED_RESIDUALS: "Neighbouring points miss the law in the same direction, as steps of one training do, "
    "or points of another law: the intervals are too narrow, do not extrapolate it.",
    Status.LAST_STEP_MISSED: "From the second largest x to the largest the loss changes by less than half, or more "
    "than twice, of what the law says, and replicates rule out that this is noise: do not extrapolate it.",
    Status.FLAT: "A constant describes the points as well: more x shows no benefit.",
    Status.NOT_MONOTONE: "The loss rises somewhere: no power law describes it, and none is drawn.",
    Status.TOO_FEW_POINTS: "Fewer than four different x: nothing was fitted.",
    Status.GRID_EDGE: "Fewer than four points of the frontier lie inside the grid (its edge only bounds the frontier): "
    "nothing was fitted.",
}


class Goodness(TypedDict):
    """How well a law describes its points; see the attributes of ``PowerLawFit``."""

    rmse: float
    r2: float
    r2_excess: float
    aicc: float
    lack_of_fit: float
    residual_runs_p: float


CORRELATED = 0.01  # p value of the runs test
ROUNDING = 1e-9  # misfit, relative to the largest loss, whose signs mean nothing

FEWEST = 4  # different x: one more than the law has parameters


def judge(
    profile: Profile,
    best: Solutions,
    interval: dict[str, Interval],
    without_slope: float,
    residual_runs_p: float,
    last_step_missed: bool,
    level: float,
) -> Status:
    """The status of a fit to at least FEWEST different x.

    Args:
        profile: The fitted points.
        best: The points' optimum.
        interval: Intervals by parameter, ``gamma`` among them; in the unit of the loss.
        without_slope: Where points were resampled, the share of resampled laws that are constant; else 0.
        residual_runs_p: See ``PowerLawFit``.
        last_step_missed: See ``replicates.misses_last_step``.
        level: Confidence level of the interval, and of the test against a constant.

    Returns:
        The first that applies of not_monotone, flat, beta_at_bound, correlated_residuals, last_step_missed and
        gamma_unidentified; ok if none does.
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
    if residual_runs_p < CORRELATED:
        return Status.CORRELATED_RESIDUALS
    if last_step_missed:
        return Status.LAST_STEP_MISSED
    low, high = interval["gamma"]
    observed = profile.scale * float(np.ptp(profile.y))
    smallest = profile.scale * float(profile.y.min())
    # The floor counts as identified if its interval is narrower than the whole improvement measured so far, and does
    # not reach from 0 to half the smallest loss. With one degree of freedom noise and curvature look the same.
    unsure = high - low > observed or (low <= 0 and high > 0.5 * smallest)
    return Status.GAMMA_UNIDENTIFIED if unsure or n == FEWEST else Status.OK


def _rises(profile: Profile, least: float) -> bool:
    """Whether the loss rises with x by more than noise, judged by a parabola in ln x.

    The parabola must describe the points better than the law (both have three parameters), and rise from its lowest
    point to the right end at the 0.1 % level of significance.
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


def goodness(profile: Profile, best: Solutions, points: Points, robust: bool) -> Goodness:
    """How well the law describes the measured points, for a robust fit too."""
    measured, rss = profile, float(best.rss[0])
    if robust:
        measured = replace(profile, y=points.y / profile.scale)
        rss = float(profile.total((measured.y - best.losses(profile.distance)) ** 2))
    return {
        "rmse": profile.scale * math.sqrt(rss / points.x.size),
        "r2": _r2(measured, rss),
        "r2_excess": _r2_excess(measured, best),
        "aicc": _aicc(rss, measured, points.x.size),
        "lack_of_fit": lack_of_fit(profile, float(best.rss[0]), points.groups),
        "residual_runs_p": residual_runs(measured, best),
    }


def _r2(profile: Profile, rss: float) -> float:
    """The share of the weighted variance of y that the law explains; NaN where y does not vary."""
    mean = float(profile.total(profile.y)) / profile.y.size
    total = float(profile.total((profile.y - mean) ** 2))
    return 1 - rss / total if total > profile.floor else math.nan


def _r2_excess(profile: Profile, best: Solutions) -> float:
    """``r2`` of ``ln(y - gamma)`` against ``ln x``, unweighted; NaN if a point does not lie above gamma."""
    top, beta, gamma = float(best.top[0]), float(best.beta[0]), float(best.gamma[0])
    excess = profile.y - gamma
    if top <= 0 or excess.min() <= 0:
        return math.nan
    logs = np.log(excess)
    residuals = logs - (math.log(top) - beta * profile.distance)
    total = float(np.sum((logs - logs.mean()) ** 2))
    return 1 - float(np.sum(residuals**2)) / total if total > 0 else math.nan


def _aicc(rss: float, profile: Profile, n: int) -> float:
    """The corrected Akaike criterion (Hurvich and Tsai 1989), in the unit of the loss; NaN for fewer than 6 points."""
    k = 4  # the law's parameters and the variance
    if n < k + 2:
        return math.nan
    rss_in_units = max(rss, profile.floor) / n
    fit_term = n * (math.log(rss_in_units) + 2 * math.log(profile.scale))
    return fit_term + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def residual_runs(profile: Profile, best: Solutions) -> float:
    """``runs_test`` of a fit's residuals, averaged at each x; NaN too where they are rounding errors."""
    residuals = profile.y - best.losses(profile.distance)
    if np.abs(residuals).max() < ROUNDING:
        return math.nan
    _, first, at = np.unique(profile.distance, return_index=True, return_inverse=True)
    return runs_test(place_means(residuals, profile.weights, at)[first])


def runs_test(residuals: Array) -> float:
    """The p value of as few changes of sign along residuals, exact (Wald and Wolfowitz 1940).

    Small where neighbours err in the same direction: the law bends otherwise than the points do, or the noise is
    correlated along x. NaN if all have the same sign.

    Args:
        residuals: Residuals in the order of x, shape (n,); zeros do not count.
    """
    above = residuals[residuals != 0] > 0
    sizes = np.array([above.sum(), above.size - above.sum()])
    if sizes.min() == 0:
        return math.nan
    runs = np.arange(2, 2 + int((above[1:] != above[:-1]).sum()), dtype=np.float64)

    def arrangements(n: int, parts: Array) -> Array:  # logarithm of the ways to cut n points into parts
        return np.asarray(np.where(parts <= n, _log_binomial(n - 1, np.minimum(parts, n) - 1), -np.inf))

    (n, m), half, odd = sizes.tolist(), runs // 2, runs % 2
    ways = np.logaddexp(
        arrangements(n, half + odd) + arrangements(m, half), arrangements(n, half) + arrangements(m, half + odd)
    )
    return float(min(np.exp(ways - _log_binomial(n + m, np.array(n))).sum(), 1.0))


def _log_binomial(n: int, k: Array) -> Array:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))
