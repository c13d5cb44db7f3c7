"""Two schemes against each other: do their laws differ, in what, and where."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tfrs_scaling.common.arrays import Array, Interval
from tfrs_scaling.fit.laws.power_law import PowerLawFit, laws_at
from tfrs_scaling.fit.laws.profile import at_bounds, least_over_beta, profile_of
from tfrs_scaling.fit.laws.resampling import REPLICATES, has_clusters, inflation, law_jacobian, refitted, resampled
from tfrs_scaling.fit.laws.uncertainty import f_quantile, percentiles
from tfrs_scaling.fit.laws.validation import check_level_and_seed

_BETAS = 401
_PLACES = 3  # as many as the law has parameters


@dataclass(frozen=True)
class Comparison:
    """Two laws against each other.

    Attributes:
        first: One fit.
        second: The other.
        p_value: Of the two laws being one and the same: the smaller of ``curve_p_value`` and
            ``beta_p_value``, doubled, at most 1 (Bonferroni).
        different: Whether it is below one minus the level.
        curve_p_value: Of all three parameters being equal.
        beta_p_value: Of the exponents being equal, whatever the other parameters are.
        beta_difference: ``first.beta - second.beta``.
        beta_interval: Of that difference, at the level; an open end is -inf or inf.
        support: The range of x that both were measured in, (low, high).
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

        The distances to the ends of the two bands add in quadrature (Zou and Donner 2008), which keeps them
        as lopsided as they are.

        Args:
            x: Places within the support, any shape.

        Returns:
            (difference, low, high): float64, the shape of x, in the unit of the loss.

        Raises:
            ValueError: an x lies outside the support, where one of the two would be extrapolated.
        """
        places = np.asarray(x, dtype=np.float64)
        low, high = self.support
        outside = ~((places >= low * (1 - 1e-9)) & (places <= high * (1 + 1e-9)))
        if outside.any():
            where = int(np.argmax(outside.ravel()))
            raise ValueError(f"x[{where}] is {places.ravel()[where]:g}; both were measured from {low:g} to {high:g}")
        here, there = self.first.predict(places), self.second.predict(places)
        (low_here, high_here), (low_there, high_there) = (
            fit.predict_interval(places) for fit in (self.first, self.second)
        )
        middle = here - there
        below = np.hypot(here - low_here, high_there - there)
        above = np.hypot(high_here - here, there - low_there)
        return middle, middle - below, middle + above


@np.errstate(under="ignore")
def compare_laws(first: PowerLawFit, second: PowerLawFit, *, level: float = 0.95, seed: int = 0) -> Comparison:
    """Compare the laws of two schemes that share no training.

    Where the points of both are independent: F tests of nested models, on the residual sums of squares of
    one law for all points, of two laws with one beta, and of two laws. The noise of a measurement is taken to
    be the same in both, and the fits' intervals are not used. Where points of a training are grouped, or the
    points of a fit were chosen: shares of pairs of resampled laws, for beta and for the losses at three places
    of the support, the smallest of these tripled (Bonferroni).

    Args:
        first: A fit.
        second: Another one, of the same loss against the same kind of x.
        level: Confidence level, between 0 and 1.
        seed: Of the resampling, >= 0.

    Returns:
        The comparison.

    Raises:
        ValueError: one of the two has too few points, they have no range of x in common, a negative seed, or a level
            outside (0, 1).
    """
    check_level_and_seed(level, seed)
    for name, fit in (("first", first), ("second", second)):
        if fit.status == "too_few_points":
            raise ValueError(f"{name} has the status too_few_points: there is no law to compare; measure at more x")
    support = max(min(first.x), min(second.x)), min(max(first.x), max(second.x))
    if support[0] >= support[1]:
        raise ValueError(
            f"first was measured from x = {min(first.x):g} to {max(first.x):g} and second from {min(second.x):g} to "
            f"{max(second.x):g}: without a range in common they cannot be compared"
        )
    independent = not any(fit.replicates or has_clusters(np.array(fit.groups)) for fit in (first, second))
    if independent:
        curve, beta, interval = _by_sums_of_squares(first, second, level)
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


def _by_sums_of_squares(first: PowerLawFit, second: PowerLawFit, level: float) -> tuple[float, float, Interval]:
    """The p values of the curves and of beta, and the interval of the difference of beta, for independent points."""
    profiles = [first.profile, second.profile]
    unit = max(profile.scale for profile in profiles)
    squared = [(profile.scale / unit) ** 2 for profile in profiles]
    best = [profile.optimum() for profile in profiles]
    floor = sum(profile.floor * size for profile, size in zip(profiles, squared, strict=True))
    least = [float(of.rss[0]) * size for of, size in zip(best, squared, strict=True)]
    apart, degrees = max(sum(least), floor), first.n + second.n - 6

    x, weights = (np.array(getattr(first, name) + getattr(second, name)) for name in ("x", "weights"))
    together = profile_of(x, np.concatenate([of.y * (of.scale / unit) for of in profiles]), weights)
    one_law = float(together.optimum().rss[0]) * together.scale**2
    curve = float(special.fdtrc(3, degrees, max(one_law - apart, 0.0) / 3 / (apart / degrees)))

    def two_laws(betas: Array) -> Array:
        """The residual sum of squares of two laws that share their beta."""
        return sum((of.solve(betas).rss * size for of, size in zip(profiles, squared, strict=True)), np.zeros(1))

    one_beta = least_over_beta(two_laws, [float(of.beta[0]) for of in best], _BETAS)
    beta = float(special.fdtrc(1, degrees, max(one_beta - apart, 0.0) / (apart / degrees)))

    # Every pair of betas whose laws together stay within the F limit of the least; each is the other's alternative.
    limit = apart * (1 + f_quantile(level, degrees) / degrees)
    betas, sums, ends = [], [], []
    for profile, of, size, own in zip(profiles, best, squared, least, strict=True):
        low, high = profile.beta_region(float(of.beta[0]), (limit - apart + own) / size)
        betas.append(np.unique(np.append(np.geomspace(low, high, _BETAS), np.clip(of.beta, low, high))))
        sums.append(profile.solve(betas[-1]).rss * size)
        ends.append(at_bounds(np.array([low, high])))
    within = sums[0][:, None] + sums[1][None, :] <= max(limit, sums[0].min() + sums[1].min())
    apart_by = (betas[0][:, None] - betas[1][None, :])[within]
    lowest = -math.inf if ends[0][0] or ends[1][1] else float(apart_by.min())
    highest = math.inf if ends[0][1] or ends[1][0] else float(apart_by.max())
    return curve, beta, (lowest, highest)


def _by_resampling(
    first: PowerLawFit, second: PowerLawFit, support: Interval, level: float, seed: int
) -> tuple[float, float, Interval]:
    """The same from pairs of resampled laws."""
    of_first, of_second = _resampled_laws(first, second, seed)

    def losses(of: Array, fit: PowerLawFit) -> Array:
        places = np.geomspace(*support, _PLACES)
        top, beta, gamma = (column[:, None] for column in of.T)
        return top * np.exp(-beta * np.log(places / fit.x0)) + gamma

    apart = losses(of_first, first) - losses(of_second, second)
    curve = min(1.0, _PLACES * min(_two_sided(column) for column in apart.T))
    beta = of_first[:, 1] - of_second[:, 1]
    low, high = percentiles(beta, level)
    return curve, _two_sided(beta), (float(low), float(high))


def _resampled_laws(first: PowerLawFit, second: PowerLawFit, seed: int) -> tuple[Array, Array]:
    """Pairs of laws as alpha at x0, beta and gamma: two arrays of shape (m, 3).

    Fits whose points were chosen bring their own. Two fits of grouped points are resampled together, with one factor
    for the uncertainty of their common noise: twice the groups know it better.
    """
    fits, rng = (first, second), np.random.default_rng(seed)
    clustered = [has_clusters(np.array(fit.groups)) for fit in fits]
    chosen = [bool(fit.replicates) and (bool(fit.left_out) or not of) for fit, of in zip(fits, clustered, strict=True)]
    together = all(clustered) and not any(chosen)
    factor = inflation(max(first.groups) + max(second.groups), REPLICATES, rng) if together else None
    laws = []
    for fit, known in zip(fits, chosen, strict=True):
        if known:  # in another order: two fits of one seed must not be paired draw by draw
            laws.append(rng.permutation(np.array(fit.replicates)))
            continue
        profile = fit.profile
        best = profile.optimum()
        fitted = best.top * np.exp(-best.beta * profile.distance) + best.gamma
        jacobian = law_jacobian(profile.distance, float(best.top[0]), float(best.beta[0]))
        groups = np.array(fit.groups)
        losses, _, _ = resampled(
            fitted, profile.y, profile.weights, jacobian, groups, count=REPLICATES, rng=rng, factor=factor
        )
        laws.append(laws_at(refitted(profile, losses), profile.scale, math.log(fit.x0) - math.log(min(fit.x))))
    return laws[0], laws[1]


def _two_sided(differences: Array) -> float:
    """The p value of no difference from resampled differences: twice the smaller tail, what was seen counted in."""
    tail = 1 + min(int(np.sum(differences >= 0)), int(np.sum(differences <= 0)))
    return min(1.0, 2 * tail / (differences.size + 1))
