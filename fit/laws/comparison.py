"""Comparison of two laws: whether they differ, in which parameter, and at which x."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tfrs_scaling.common.arrays import Array, Interval
from tfrs_scaling.common.words import five_digits
from tfrs_scaling.fit.laws.display import Printable, facts
from tfrs_scaling.fit.laws.functions import law_at
from tfrs_scaling.fit.laws.power_law import PowerLawFit, check_fitted
from tfrs_scaling.fit.laws.profile import at_bounds, least_over_beta, profile_of
from tfrs_scaling.fit.laws.resampled_laws import resample_fit
from tfrs_scaling.fit.laws.resampling import has_clusters, inflation
from tfrs_scaling.fit.laws.status import ROUNDING
from tfrs_scaling.fit.laws.uncertainty import f_quantile, percentiles
from tfrs_scaling.fit.laws.validation import check_level_and_seed

_BETAS = 401
_PLACES = 3  # as many x as the law has parameters


@dataclass(frozen=True)
class Comparison(Printable):
    """The comparison of two laws.

    Attributes:
        first: One fit.
        second: The other.
        p_value: P value of the hypothesis that the two laws are the same: twice the smaller of ``curve_p_value`` and
            ``beta_p_value``, at most 1 (Bonferroni).
        different: Whether ``p_value`` is below one minus the level.
        curve_p_value: P value of the hypothesis that all three parameters are equal.
        beta_p_value: P value of the hypothesis that the exponents are equal, whatever the other parameters are.
        beta_difference: ``first.beta - second.beta``.
        beta_interval: Interval of that difference, at the level; an end that the data do not bound is -inf or inf.
        support: The range of x in which both were measured, (low, high).
        level: Confidence level.
    """

    first: PowerLawFit
    second: PowerLawFit
    p_value: float
    different: bool
    curve_p_value: float
    beta_p_value: float
    beta_difference: float
    beta_interval: Interval
    support: Interval
    level: float

    @np.errstate(under="ignore")
    def difference(self, x: ArrayLike) -> tuple[Array, Array, Array]:
        """How much higher the first law lies than the second, with an interval.

        The distances to the ends of the two bands add in quadrature (Zou and Donner 2008), which preserves their
        asymmetry.

        Args:
            x: Positions within the support, any shape.

        Returns:
            (difference, low, high): float64, the shape of x, in the unit of the loss.

        Raises:
            ValueError: an x lies outside the support, where one of the laws would be extrapolated.
        """
        places = np.asarray(x, dtype=np.float64)
        low, high = self.support
        outside = ~((places >= low * (1 - 1e-9)) & (places <= high * (1 + 1e-9)))
        if outside.any():
            where = int(np.argmax(outside.ravel()))
            raise ValueError(
                f"x[{where}] is {places.ravel()[where]:g}; it must lie between {low:g} and {high:g}, where both laws "
                "were measured"
            )
        one, other = self.first.predict(places), self.second.predict(places)
        (one_low, one_high), (other_low, other_high) = (
            fit.predict_interval(places) for fit in (self.first, self.second)
        )
        middle = one - other
        below = np.hypot(one - one_low, other_high - other)
        above = np.hypot(one_high - one, other - other_low)
        return middle, middle - below, middle + above

    def summary(self) -> str:
        """The verdict with its p values, and the difference of the exponents, as a table of text."""
        low, high = map(five_digits, self.beta_interval)
        return facts(
            {
                "laws": f"{'different' if self.different else 'not distinguishable'} at {100 * self.level:g} %",
                "p value": f"{self.p_value:.2g}",
                "of equal curves": f"{self.curve_p_value:.2g}",
                "of equal beta": f"{self.beta_p_value:.2g}",
                "difference of beta": f"{five_digits(self.beta_difference)}, from {low} to {high}",
                "measured in both": f"x = {five_digits(self.support[0])} to {five_digits(self.support[1])}",
            }
        )


@np.errstate(under="ignore")
def compare_laws(first: PowerLawFit, second: PowerLawFit, *, level: float = 0.95, seed: int = 0) -> Comparison:
    """Compare the laws of two schemes that have no training in common.

    If the points of both are independent: F tests of nested models, on the residual sums of squares of
    one law for all points, of two laws with the same beta, and of two separate laws. The noise of a measurement is
    assumed to be the same in both; the fits' intervals are not used. If points are grouped by training, or the
    points of a fit were chosen: shares of pairs of resampled laws, for beta and for the losses at three x
    in the support, the smallest of these tripled (Bonferroni).

    Args:
        first: A fit.
        second: Another one, of the same loss against the same kind of x.
        level: Confidence level, between 0 and 1.
        seed: Seed of the resampling, >= 0.

    Returns:
        The comparison.

    Raises:
        ValueError: one of the two has too few points, they have no range of x in common, a negative seed, or a level
            outside (0, 1).

    Examples:
        >>> from tfrs_scaling.fit import fit_power_law
        >>> x = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000]
        >>> first = fit_power_law(x, [0.9803, 0.9421, 0.9116, 0.8874, 0.8669, 0.8510, 0.8373])
        >>> second = fit_power_law(x, [0.9799, 0.9326, 0.8970, 0.8694, 0.8494, 0.8335, 0.8214])
        >>> print(compare_laws(first, second))
        laws                different at 95 %
        p value             3.3e-12
        of equal curves     1.7e-12
        of equal beta       1.6e-07
        difference of beta  -0.093923, from -0.10676 to -0.081073
        measured in both    x = 1,000 to 64,000
    """
    check_level_and_seed(level, seed)
    for name, fit in (("first", first), ("second", second)):
        check_fitted(name, fit)
    support = max(min(first.x), min(second.x)), min(max(first.x), max(second.x))
    if support[0] >= support[1]:
        raise ValueError(
            f"first was measured from x = {min(first.x):g} to {max(first.x):g}, second from {min(second.x):g} to "
            f"{max(second.x):g}; laws without a common range of x cannot be compared"
        )
    independent = not any(fit.resampled_laws or has_clusters(np.array(fit.groups)) for fit in (first, second))
    if independent:
        curve, beta, interval = _by_f_tests(first, second, level)
    else:
        curve, beta, interval = _by_resampling(first, second, support, level, seed)
    p_value = min(1.0, 2 * min(curve, beta))
    return Comparison(
        first=first,
        second=second,
        p_value=p_value,
        different=p_value < 1 - level,
        curve_p_value=curve,
        beta_p_value=beta,
        beta_difference=first.beta - second.beta,
        beta_interval=interval,
        support=support,
        level=level,
    )


class _Side:
    """One of the two fits, with its sums of squares in units of ``unit`` squared, which both share."""

    def __init__(self, fit: PowerLawFit, unit: float) -> None:
        self.profile = fit.profile
        self.best = fit.profile.optimum()
        self.factor = (fit.profile.scale / unit) ** 2
        self.least = float(self.best.rss[0]) * self.factor

    def rss(self, betas: Array) -> Array:
        """The residual sum of squares of the best law for each exponent, shape (k,)."""
        return self.profile.solve(betas).rss * self.factor


def _by_f_tests(first: PowerLawFit, second: PowerLawFit, level: float) -> tuple[float, float, Interval]:
    """The p values of equal curves and of equal beta, and the interval of the difference of beta: independent points.

    The F tests compare the residual sum of squares of two separate laws with that of one law for all points, and
    that of two laws with the same beta.
    """
    unit = max(first.profile.scale, second.profile.scale)
    sides = _Side(first, unit), _Side(second, unit)
    separate = max(sum(side.least for side in sides), (first.n + second.n) * ROUNDING**2)
    degrees = first.n + second.n - 6
    one_law = _rss_of_one_law(first, second, unit)
    curve = float(special.fdtrc(3, degrees, max(one_law - separate, 0.0) / 3 / (separate / degrees)))

    def rss_at_same_beta(betas: Array) -> Array:
        return sum((side.rss(betas) for side in sides), np.zeros(1))

    same_beta = least_over_beta(rss_at_same_beta, [float(side.best.beta[0]) for side in sides], _BETAS)
    beta = float(special.fdtrc(1, degrees, max(same_beta - separate, 0.0) / (separate / degrees)))
    limit = separate * (1 + f_quantile(level, degrees) / degrees)
    return curve, beta, _beta_differences(sides, limit, limit - separate)


def _rss_of_one_law(first: PowerLawFit, second: PowerLawFit, unit: float) -> float:
    """The residual sum of squares of the best law for all points, in units of ``unit`` squared."""
    x, weights = (np.array(getattr(first, name) + getattr(second, name)) for name in ("x", "weights"))
    y = np.concatenate([fit.profile.y * (fit.profile.scale / unit) for fit in (first, second)])
    together = profile_of(x, y, weights)
    return float(together.optimum().rss[0]) * together.scale**2


def _beta_differences(sides: tuple[_Side, _Side], limit: float, slack: float) -> Interval:
    """The range of differences of beta over all pairs of laws whose sum of squares is within the limit.

    Args:
        sides: The two fits.
        limit: Residual sum of squares of both together.
        slack: How far the limit lies above that of the best pair.
    """
    betas, sums, ends = [], [], []
    for side in sides:
        best = side.best.beta
        low, high = side.profile.beta_region(float(best[0]), (slack + side.least) / side.factor)
        betas.append(np.unique(np.append(np.geomspace(low, high, _BETAS), np.clip(best, low, high))))
        sums.append(side.rss(betas[-1]))
        ends.append(at_bounds(np.array([low, high])))
    within = sums[0][:, None] + sums[1][None, :] <= max(limit, sums[0].min() + sums[1].min())
    differences = (betas[0][:, None] - betas[1][None, :])[within]
    lowest = -math.inf if ends[0][0] or ends[1][1] else float(differences.min())
    highest = math.inf if ends[0][1] or ends[1][0] else float(differences.max())
    return lowest, highest


def _by_resampling(
    first: PowerLawFit, second: PowerLawFit, support: Interval, level: float, seed: int
) -> tuple[float, float, Interval]:
    """The same as ``_by_f_tests``, from pairs of resampled laws."""
    places = np.geomspace(*support, _PLACES)
    laws = _pairs_of_laws(first, second, seed)
    losses = [law_at(np.log(places / fit.x0), *_columns(rows)) for rows, fit in zip(laws, (first, second), strict=True)]
    curve = min(1.0, _PLACES * min(_two_sided(column) for column in (losses[0] - losses[1]).T))
    beta = laws[0][:, 1] - laws[1][:, 1]
    low, high = percentiles(beta, level)
    return curve, _two_sided(beta), (float(low), float(high))


def _columns(laws: Array) -> tuple[Array, Array, Array]:
    """The parameters of laws of shape (m, 3), each of shape (m, 1)."""
    top, beta, gamma = (column[:, None] for column in laws.T)
    return top, beta, gamma


def _pairs_of_laws(first: PowerLawFit, second: PowerLawFit, seed: int) -> tuple[Array, Array]:
    """Pairs of laws as alpha at x0, beta and gamma: two arrays of shape (m, 3).

    Fits whose points were chosen already have resampled laws. Two fits of grouped points are resampled together and
    share the factor for the uncertainty of their common noise, which twice as many groups determine better.
    """
    fits, rng = (first, second), np.random.default_rng(seed)
    clustered = [has_clusters(np.array(fit.groups)) for fit in fits]
    chosen = [
        bool(fit.resampled_laws) and (bool(fit.left_out) or not has_groups)
        for fit, has_groups in zip(fits, clustered, strict=True)
    ]
    together = all(clustered) and not any(chosen)
    factor = inflation(max(first.groups) + max(second.groups), rng) if together else None
    # Shuffled, so that resamples of two fits with the same seed are not paired one by one.
    laws = [
        rng.permutation(np.array(fit.resampled_laws)) if known else resample_fit(fit, rng, factor)
        for fit, known in zip(fits, chosen, strict=True)
    ]
    return laws[0], laws[1]


def _two_sided(differences: Array) -> float:
    """The p value of no difference: twice the smaller tail of resampled differences, the estimate counted in."""
    tail = 1 + min(int(np.sum(differences >= 0)), int(np.sum(differences <= 0)))
    return min(1.0, 2 * tail / (differences.size + 1))
