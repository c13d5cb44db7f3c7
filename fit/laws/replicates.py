"""What repeated measurements say of a law: whether it misses their means by more than they scatter."""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse, special

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.laws.profile import Profile
from tfrs_scaling.fit.laws.validation import Points

MISSED = 0.01  # p value of the last step


def lack_of_fit(profile: Profile, rss: float, groups: Indices) -> float:
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
    about_places = float(profile.total((profile.y - place_means(profile.y, profile.weights, at)) ** 2))
    found = _replicates(profile.y, profile.weights, groups, at)
    if found.degrees < 1 or misfit_degrees < 1:
        return math.nan
    variance = max(found.variance, profile.floor / found.degrees)
    return float(special.fdtrc(misfit_degrees, found.degrees, max(rss - about_places, 0.0) / misfit_degrees / variance))


def misses_last_step(points: Points, by_law: Array) -> bool:
    """Whether the loss changes over the last step otherwise than a law says, by more than noise and by much.

    A law may describe the span of its points well, as R² counts it, and promise a further fall that its last points
    already deny; or have a floor that they are about to fall through. More than noise is what a t test with the
    scatter of replicates finds at the 1 % level; much is half of the larger of the two changes. Without replicates
    nothing is known, nor where the last two x share no group and groups have offsets, such as seeds.

    Args:
        points: All measurements, several of an x.
        by_law: The law's losses at their x, shape (n,).
    """
    places, at = np.unique(points.x, return_inverse=True)
    scale = float(points.y.max()) or 1.0  # squares of huge and tiny losses must stay within range
    if places.size < 2:
        return False
    found = _replicates(points.y / scale, points.weights, points.groups, at)
    if found.degrees < 1 or math.isinf(found.last_step_variance):
        return False
    first, last = (float(by_law[at == place][0]) / scale for place in (places.size - 2, places.size - 1))
    change, promised = found.last_step, last - first
    rounding = 1e-30 * float(points.weights.sum()) / found.degrees
    error = math.sqrt(max(found.variance, rounding) * found.last_step_variance)
    p_value = 2 * float(special.stdtr(found.degrees, -abs(change - promised) / error))
    return p_value < MISSED and abs(change - promised) > max(abs(change), abs(promised)) / 2


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


def _replicates(y: Array, weights: Array, groups: Indices, at: Indices) -> _Replicates:
    """Least squares of a loss at each x and an offset of each group.

    Where no group has measurements at several x, its offset is part of the noise.

    Args:
        y: Losses at two or more x, shape (n,).
        weights: Relative precisions, shape (n,).
        groups: The group of each, numbered from 0, shape (n,).
        at: The place of its x among the different ones, shape (n,).
    """
    residuals, totals = y - place_means(y, weights, at), np.bincount(at, weights)
    degrees, moved = y.size - totals.size, np.zeros_like(residuals)
    step_variance, counts = float((1 / totals[-2:]).sum()), np.bincount(groups)
    if degrees > 0 and counts.size > 1 and counts.max() > 1:
        shared: Any = sparse.coo_array((weights, (at, groups))).tocsr()
        shares = shared / totals[:, None]
        own = np.bincount(groups, weights)
        values, vectors = np.linalg.eigh(np.diag(own) - (shared.T @ shares).toarray())
        estimable = values > 1e-10 * own.max()  # the others are those of groups and places that shift together
        scaled = vectors[:, estimable] / np.sqrt(values[estimable])
        moved = (scaled @ (scaled.T @ np.bincount(groups, weights * residuals)))[groups]
        degrees -= int(estimable.sum())
        step = (shares[[-1]] - shares[[-2]]).toarray()[0]
        known = np.abs(step @ vectors[:, ~estimable]).max(initial=0.0) < 1e-6
        step_variance = step_variance + float(((step @ scaled) ** 2).sum()) if known else math.inf
    left = residuals - moved + place_means(moved, weights, at)
    loss = np.bincount(at, weights * (y - moved)) / totals
    variance = float((weights * left**2).sum()) / max(degrees, 1)
    return _Replicates(degrees, variance, float(loss[-1] - loss[-2]), step_variance)


def place_means(values: Array, weights: Array, at: Indices) -> Array:
    """The weighted mean of the values of the points that share an x, at each point: shape (n,)."""
    return (np.bincount(at, weights * values) / np.bincount(at, weights))[at]
