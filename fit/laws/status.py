"""How well a law describes its points, and what the numbers of its fit may be used for."""

import math
from dataclasses import replace
from enum import StrEnum
from typing import Any, NamedTuple, TypedDict

import numpy as np
from scipy import sparse, special

from tfrs_scaling.common.arrays import Array, Indices, Interval
from tfrs_scaling.fit.laws.profile import Profile, Solutions, at_bounds
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
    Status.LAST_STEP_MISSED: "From the second largest x to the largest the loss changes by less than half of what the "
    "law says, or more than twice as much, and replicates rule out that this is noise: do not extrapolate it.",
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
MISSED = 0.01  # p value of the last step
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
        last_step_missed: See ``misses_last_step``.
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
        "lack_of_fit": _lack_of_fit(profile, float(best.rss[0]), points.groups),
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


def _lack_of_fit(profile: Profile, rss: float, groups: Indices) -> float:
    """The p value of the F test of the law against a free loss at every x; NaN without replicates.

    The misfit of the law to the means at each x is compared with the scatter of the replicates about those
    means (Draper and Smith 1998, section 2.1). Offsets of whole groups, such as a lucky seed's, are removed from
    that scatter; the law's floor absorbs their mean.

    Args:
        profile: The fitted points.
        rss: Residual sum of squares of the law, in units of the profile's scale squared.
        groups: The group of each point, numbered from 0.
    """
    places, at = np.unique(profile.distance, return_inverse=True)
    misfit_degrees = places.size - 3
    about_places = float(profile.total((profile.y - _place_means(profile, profile.y, at)) ** 2))
    replicates = _replicates(profile, groups, at)
    if replicates.degrees < 1 or misfit_degrees < 1:
        return math.nan
    ratio = max(rss - about_places, 0.0) / misfit_degrees / replicates.variance
    return float(special.fdtrc(misfit_degrees, replicates.degrees, ratio))


class _Replicates(NamedTuple):
    """What measurements at the same x say, once offsets of whole groups are removed.

    Attributes:
        degrees: Degrees of freedom of the variance.
        variance: Of a measurement of weight 1, but for its group's offset.
        last_step: The change of the loss from the last x but one to the last.
        last_step_variance: Its variance, for a variance of 1; infinite where no group connects the two x with others.
    """

    degrees: int
    variance: float
    last_step: float
    last_step_variance: float


def _replicates(profile: Profile, groups: Indices, at: Indices) -> _Replicates:
    """Least squares of a loss at each x and an offset of each group.

    Where no group has measurements at several x, its offset is part of the noise.

    Args:
        profile: The points, shape (n,), at two or more x.
        groups: The group of each, numbered from 0.
        at: The place of its x among the different ones.
    """
    residuals, totals = profile.y - _place_means(profile, profile.y, at), np.bincount(at, profile.weights)
    degrees, moved = profile.y.size - totals.size, np.zeros_like(residuals)
    step_variance, counts = float((1 / totals[-2:]).sum()), np.bincount(groups)
    if degrees > 0 and counts.size > 1 and counts.max() > 1:
        shared: Any = sparse.coo_array((profile.weights, (at, groups))).tocsr()
        shares = shared / totals[:, None]
        own = np.bincount(groups, profile.weights)
        values, vectors = np.linalg.eigh(np.diag(own) - (shared.T @ shares).toarray())
        estimable = values > 1e-10 * own.max()  # the others are those of groups and places that shift together
        scaled = vectors[:, estimable] / np.sqrt(values[estimable])
        moved = (scaled @ (scaled.T @ np.bincount(groups, profile.weights * residuals)))[groups]
        degrees -= int(estimable.sum())
        step = (shares[[-1]] - shares[[-2]]).toarray()[0]
        known = np.abs(step @ vectors[:, ~estimable]).max(initial=0.0) < 1e-6
        step_variance = step_variance + float(((step @ scaled) ** 2).sum()) if known else math.inf
    scatter = float(profile.total((residuals - moved + _place_means(profile, moved, at)) ** 2))
    loss = np.bincount(at, profile.weights * (profile.y - moved)) / totals
    return _Replicates(
        degrees, max(scatter, profile.floor) / max(degrees, 1), float(loss[-1] - loss[-2]), step_variance
    )


def misses_last_step(profile: Profile, best: Solutions, points: Points) -> bool:
    """Whether the loss changes over the last step otherwise than the law says, by more than noise and by much.

    A law may describe the span of its points well, as R² counts it, and promise a further fall that its last points
    already deny; or have a floor that they are about to fall through. More than noise is what a t test with the
    scatter of replicates finds at the 1 % level; much is half of the larger of the two changes. Without replicates
    nothing is known, nor where the last two x share no group and groups have offsets, such as seeds.

    Args:
        profile: The fitted points.
        best: Their optimum.
        points: The measurements behind them, which may be several for one point.
    """
    distance = np.log(points.x) - math.log(points.x.min())
    places, at = np.unique(distance, return_inverse=True)
    measured = Profile(distance, points.y / profile.scale, points.weights, profile.scale)
    replicates = _replicates(measured, points.groups, at)
    if replicates.degrees < 1 or math.isinf(replicates.last_step_variance):
        return False
    change, promised = replicates.last_step, float(np.diff(best.losses(places[-2:]))[0])
    error = math.sqrt(replicates.variance * replicates.last_step_variance)
    p_value = 2 * float(special.stdtr(replicates.degrees, -abs(change - promised) / error))
    return p_value < MISSED and abs(change - promised) > max(abs(change), abs(promised)) / 2


def residual_runs(profile: Profile, best: Solutions) -> float:
    """``runs_test`` of a fit's residuals, averaged at each x; NaN too where they are rounding errors."""
    residuals = profile.y - best.losses(profile.distance)
    if np.abs(residuals).max() < ROUNDING:
        return math.nan
    _, first, at = np.unique(profile.distance, return_index=True, return_inverse=True)
    return runs_test(_place_means(profile, residuals, at)[first])


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


def _place_means(profile: Profile, values: Array, at: Indices) -> Array:
    """The weighted mean of the values of the points that share an x, at each point: shape (n,)."""
    return (np.bincount(at, profile.weights * values) / np.bincount(at, profile.weights))[at]
