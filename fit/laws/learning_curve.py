"""Fit a learning curve: its plateau found and left out, and that choice made anew in every resample."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.laws.plateau import power_law_region, power_law_regions
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_points, laws_at
from tfrs_scaling.fit.laws.profile import Profile, profile_of
from tfrs_scaling.fit.laws.resampling import REPLICATES, averaged, has_clusters, law_jacobian, resampled
from tfrs_scaling.fit.laws.status import FEWEST
from tfrs_scaling.fit.laws.validation import grouped_points

PLATEAU = "with little data the loss stays on a plateau, and the power law starts after it (Hestness et al. 2017)"
CERTAIN = 0.95  # of resamples: where as many choose the same points, the choice cannot be seen in a 95 % interval


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

    Points that share an x, such as seeds, are averaged to find the region. Where the start of the region is
    uncertain (another one is chosen in more than 5 % of resampled curves), the intervals are percentiles
    over resampled curves, each with a region of its own. Where it is certain they are those of
    ``fit_power_law``.

    Args:
        x: Training examples: positive and finite, shape (n,), in any order.
        y: Losses >= 0, shape (n,).
        weights: As ``fit_power_law``.
        groups: As ``fit_power_law``.
        robust: As ``fit_power_law``; the region is found by least squares.
        level: As ``fit_power_law``.
        seed: As ``fit_power_law``.

    Returns:
        The fit. ``left_out`` holds the x of the plateau, and ``why_left_out`` says how certain it is.

    Raises:
        ValueError: as ``fit_power_law``.
    """
    xs, ys, ws, numbers = grouped_points(x, y, weights, groups)
    places, at = np.unique(xs, return_inverse=True)
    means = np.bincount(at, ws * ys) / np.bincount(at, ws)
    start = power_law_region(places, means) if places.size > 1 else 0
    region = at >= start
    further: dict[str, Any] = {"left_out": tuple(places[:start].tolist())}
    xs_kept, ys_kept, ws_kept = xs[region], ys[region], ws[region] / ws[region].mean()
    if places.size - start >= FEWEST:
        x0_distance = float(np.mean(np.log(xs_kept)) - np.log(xs[0]))
        starts, laws = _resampled_laws(profile_of(xs, ys, ws), at, start, numbers, seed, x0_distance)
        agree = float(np.mean(starts == start))
        if start:
            share = f"{agree:.0%} of resampled curves leave out the same points"
            further["why_left_out"] = f"{PLATEAU}; {share}"
        if has_clusters(numbers) or agree < CERTAIN:
            further["replicates"] = laws
    return fit_points(xs_kept, ys_kept, ws_kept, numbers[region], robust=robust, level=level, seed=seed, **further)


def _resampled_laws(
    profile: Profile, at: Indices, start: int, groups: Indices, seed: int, x0_distance: float
) -> tuple[Indices, Array]:
    """The start of the region and its law, for each resampled curve.

    The model that is resampled has a free loss at each place before ``start`` and the law from there on.

    Args:
        profile: All points.
        at: The number of the place of each point, increasing, shape (n,).
        start: The first place of the region.
        groups: The group of each point.
        seed: Of the resampling.
        x0_distance: ``ln(x0 / min(x))``.

    Returns:
        (starts, laws): shape (replicates,), and alpha at x0, beta and gamma of each, shape (replicates, 3).
    """
    distance, weights = profile.distance, profile.weights
    region = at >= start
    first = distance[region].min()
    best = Profile(distance[region] - first, profile.y[region], weights[region], profile.scale).optimum()
    total = np.bincount(at, weights)
    means = np.bincount(at, weights * profile.y) / total
    from_first = np.maximum(distance - first, 0.0)
    law = best.top * np.exp(-best.beta * from_first) + best.gamma
    jacobian = law_jacobian(from_first, float(best.top[0]), float(best.beta[0]))
    free = (at[:, None] == np.arange(start)).astype(np.float64)
    jacobian = np.concatenate([np.where(region[:, None], jacobian, 0.0), free], axis=1)
    fitted = np.where(region, law, means[at])
    losses, _, _ = resampled(
        fitted, profile.y, weights, jacobian, groups, count=REPLICATES, rng=np.random.default_rng(seed)
    )
    places, weights_there, curves = averaged(profile, losses)
    starts = power_law_regions(places, curves)
    laws = np.empty((len(curves), 3))
    for k in np.unique(starts):
        part = Profile(places[k:] - places[k], curves[starts == k, k:], weights_there[k:], profile.scale)
        laws[starts == k] = laws_at(part.optima(), profile.scale, x0_distance - float(places[k]))
    return starts, laws
