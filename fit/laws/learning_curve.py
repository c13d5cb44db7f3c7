"""Fit a learning curve without its plateau, which is looked for again in every resample."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.laws.plateau import power_law_region, power_law_regions
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_points
from tfrs_scaling.fit.laws.profile import Profile, profile_of
from tfrs_scaling.fit.laws.resampling import average_per_x, has_clusters, law_jacobian, resample
from tfrs_scaling.fit.laws.status import CORRELATED, FEWEST, Status, residual_runs
from tfrs_scaling.fit.laws.validation import Points, check_level_and_seed, checked_points

PLATEAU = "with little data the loss stays on a plateau, and the power law starts after it (Hestness et al. 2017)"
_MOST_RESAMPLED = 300  # different x: neighbours on a denser curve are averaged before it is resampled
_NO_PLATEAU = (
    "they are not a plateau, for the loss falls there too; neighbouring points share their noise, or follow another law"
)
_LEVEL = 0.5  # a plateau falls by less than this share of the fall of the law continued to its left
CERTAIN = 0.95  # share of resamples: if as many choose the same points, the choice hardly changes a 95 % interval


@np.errstate(under="ignore")
def fit_learning_curve(
    x: ArrayLike,
    y: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    groups: Iterable[Any] | None = None,
    robust: bool = False,
    level: float = 0.95,
    seed: int = 0,
) -> PowerLawFit:
    """Fit the power-law region of a learning curve, which ``power_law_region`` finds.

    Points that share an x, such as seeds, are averaged to find the region. If its start is uncertain (more than 5 % of
    resampled curves start elsewhere), the intervals are percentiles over resampled curves, each with its own region;
    otherwise they are those of ``fit_power_law``.

    Args:
        x: Training examples: positive and finite, shape (n,), in any order.
        y: Losses >= 0, shape (n,).
        weights: As in ``fit_power_law``.
        groups: As in ``fit_power_law``.
        robust: As in ``fit_power_law``; the region is found by least squares.
        level: As in ``fit_power_law``.
        seed: As in ``fit_power_law``.

    Returns:
        The fit. ``left_out`` holds the x of the plateau, and ``why_left_out`` says how certain it is. Where the loss
        falls there nearly as the law does, it is not a plateau: noise that neighbours share, as steps of one training
        do, looks like one to a test that takes noise for independent. If a runs test of all points says so, the status
        is ``correlated_residuals``, and ``residual_runs_p`` that test's.

    Raises:
        ValueError: as in ``fit_power_law``.

    Examples:
        >>> examples = [3_000, 6_000, 12_000, 25_000, 50_000, 100_000, 200_000, 400_000, 800_000]
        >>> fit = fit_learning_curve(examples, [0.999, 0.992, 0.941, 0.889, 0.858, 0.833, 0.812, 0.798, 0.788])
        >>> fit.left_out
        (3000.0,)
        >>> round(fit.beta, 2), round(fit.gamma, 2)
        (0.38, 0.75)
    """
    check_level_and_seed(level, seed)
    points = checked_points(x, y, weights, groups)
    places, at = np.unique(points.x, return_inverse=True)
    means = np.bincount(at, points.weights * points.y) / np.bincount(at, points.weights)
    start = power_law_region(places, means) if places.size > 1 else 0
    region = points.where(at >= start)
    why, resampled_laws = "", None
    if places.size - start >= FEWEST:
        few, part, first = points, at, start
        if places.size > _MOST_RESAMPLED:
            part = at * _MOST_RESAMPLED // places.size
            first = start * _MOST_RESAMPLED // places.size
            few, part = _averaged(points, part)
        x0_distance = float(np.mean(np.log(region.x)) - np.log(few.x[0]))
        profile = profile_of(few.x, few.y, few.weights)
        starts, laws = _resampled_laws(profile, part, first, few.groups, seed, x0_distance)
        agree = float(np.mean(starts == first))
        if start:
            why = f"{PLATEAU}; {agree:.0%} of resampled curves leave out the same points"
        if has_clusters(points.groups) or agree < CERTAIN:
            resampled_laws = laws
    fit = fit_points(region, robust=robust, level=level, seed=seed, resampled_laws=resampled_laws)
    weights_there = np.bincount(at, points.weights).astype(np.float64)
    return with_left_out(fit, places, means, weights_there, start, why)


def with_left_out(fit: PowerLawFit, x: Array, y: Array, weights: Array, start: int, why: str) -> PowerLawFit:
    """The fit of a region with what was left out before it; its status where that is no plateau but correlated noise.

    A plateau is much flatter than the law of the region continued to its left. What is not, and leaves residuals of all
    points that fail the runs test, was left out because neighbours share their noise.

    Args:
        fit: The law of the region.
        x: All different x, increasing, shape (n,).
        y: The loss at each.
        weights: The weight of each.
        start: The index of the first x of the region.
        why: ``why_left_out`` of a plateau.
    """
    left_out = tuple(x[:start].tolist())
    if start and fit.status in (Status.OK, Status.GAMMA_UNIDENTIFIED, Status.CORRELATED_RESIDUALS):
        continued, reached = fit.predict(x[[0, start]]).tolist()
        whole = profile_of(x, y, weights)
        runs_p = residual_runs(whole, whole.optimum())
        if y[0] - reached >= _LEVEL * (continued - reached) and runs_p < CORRELATED:
            fit = replace(fit, status=Status.CORRELATED_RESIDUALS, residual_runs_p=runs_p)
            why = why.replace(PLATEAU, _NO_PLATEAU)
    return replace(fit, left_out=left_out, why_left_out=why)


def _averaged(points: Points, part: Indices) -> tuple[Points, Indices]:
    """The mean of each part of a curve, group by group if these are clusters, and the part of each mean.

    Args:
        points: Sorted by x, shape (n,).
        part: The number of the stretch of x that each is in, from 0 without gaps, shape (n,).
    """
    group = points.groups if has_clusters(points.groups) else np.zeros_like(points.groups)
    key = part * (int(group.max()) + 1) + group
    kept, first, at = np.unique(key, return_index=True, return_inverse=True)
    w = points.weights
    weights, places = np.bincount(at, w), np.exp(np.bincount(part, w * np.log(points.x)) / np.bincount(part, w))
    groups = group[first] if has_clusters(points.groups) else np.arange(kept.size)
    y = np.bincount(at, w * points.y) / weights
    return Points(places[part[first]], y, weights / weights.mean(), groups), part[first]


def _resampled_laws(
    profile: Profile, at: Indices, start: int, groups: Indices, seed: int, x0_distance: float
) -> tuple[Indices, Array]:
    """The start of the region and its law, for each resampled curve.

    The curve that is resampled has a free loss at each x before ``start`` and follows the law from there on.

    Args:
        profile: All points.
        at: The index of each point's x among the different x, increasing, shape (n,).
        start: The index of the first x of the region.
        groups: The group of each point, shape (n,).
        seed: Seed of the resampling.
        x0_distance: ``ln(x0 / min(x))``.

    Returns:
        (starts, laws): shape (REPLICATES,), and alpha at x0, beta and gamma of each, shape (REPLICATES, 3).
    """
    distance, weights = profile.distance, profile.weights
    region = at >= start
    first = distance[region].min()
    best = Profile(distance[region] - first, profile.y[region], weights[region], profile.scale).optimum()
    total = np.bincount(at, weights)
    means = np.bincount(at, weights * profile.y) / total
    from_first = np.maximum(distance - first, 0.0)
    jacobian = law_jacobian(from_first, float(best.top[0]), float(best.beta[0]))
    free = (at[:, None] == np.arange(start)).astype(np.float64)
    jacobian = np.concatenate([np.where(region[:, None], jacobian, 0.0), free], axis=1)
    fitted = np.where(region, best.losses(from_first), means[at])
    resamples = resample(fitted, profile.y, weights, jacobian, groups, np.random.default_rng(seed))
    places, weights_there, curves = average_per_x(profile, resamples.losses)
    starts = power_law_regions(places, curves)
    laws = np.empty((len(curves), 3))
    for k in np.unique(starts):
        part = Profile(places[k:] - places[k], curves[starts == k, k:], weights_there[k:], profile.scale)
        laws[starts == k] = part.optima().at_x0(profile.scale, x0_distance - float(places[k]))
    return starts, laws
