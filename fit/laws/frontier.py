"""The Pareto frontier, the points that no other point beats in both cost and loss; and its law."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array, Indices, Mask
from tfrs_scaling.fit.laws.learning_curve import PLATEAU, fit_learning_curve, with_left_out
from tfrs_scaling.fit.laws.plateau import power_law_region, power_law_regions
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_points, fit_power_law
from tfrs_scaling.fit.laws.profile import Profile, profile_of
from tfrs_scaling.fit.laws.resampling import REPLICATES, inflation
from tfrs_scaling.fit.laws.status import FEWEST, Status
from tfrs_scaling.fit.laws.validation import (
    Points,
    check_alignment,
    check_columns,
    check_level_and_seed,
    finite,
    labelled,
    not_negative,
    numbered,
    positive,
)

GRID_EDGE = "on the edge of the grid, where the best shape of that cost may not have been trained"

_FEWEST_ON_LADDER = 5  # points from which the noise of a ladder can be estimated


def pareto_frontier(cost: ArrayLike, loss: ArrayLike) -> Indices:
    """Indices of the points that are not dominated, by increasing cost. O(n log n).

    A point is dominated if neither the cost nor the loss of another one is larger, and one of them is
    smaller. Of points equal in both, only the first in the input is kept.

    Args:
        cost: Data, parameters or compute, finite, shape (n,).
        loss: The loss at that cost, finite, shape (n,).

    Returns:
        Indices into the input, int64, shape (k,): cost strictly increases and loss strictly decreases.

    Raises:
        ValueError: the two differ in length, are not one-dimensional, or hold NaN or infinities.

    Examples:
        >>> pareto_frontier([1, 2, 3, 4], [0.90, 0.80, 0.85, 0.75])
        array([0, 1, 3])
    """
    check_alignment(cost=cost, loss=loss)
    costs, losses = finite("cost", cost), finite("loss", loss)
    if costs.size or losses.size:
        check_columns(cost=costs, loss=losses)
    order = np.lexsort((losses, costs))  # stable: by cost, then loss, then place in the input
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(losses[order])])[:-1]
    return order[losses[order] < best_before].astype(np.int64)


@np.errstate(under="ignore")
def fit_frontier(
    cost: ArrayLike,
    loss: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    configurations: Iterable[Any] | None = None,
    groups: Iterable[Any] | None = None,
    plateau: ArrayLike | None = None,
    edge: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> PowerLawFit:
    """Fit ``alpha * cost**-beta + gamma`` to the Pareto frontier of many points.

    Noise decides which points are on the frontier. The intervals are therefore percentiles over resamples
    of all points, dominated ones included, each with its own frontier. The noise of a
    configuration that was trained several times (with several groups) is that between its trainings, kept
    together along the ladder: the wild cluster bootstrap of ``resampling.resample``. The noise of the others is the
    pooled scatter of their ladders about their own laws or, if no ladder has five points, that of
    the frontier about its law.

    Args:
        cost: Data, parameters or compute: positive and finite, shape (n,), in any order.
        loss: Losses >= 0, shape (n,).
        weights: Relative precisions (1 / variance of one measurement) > 0, shape (n,); equal if not given.
        configurations: A label for the ladder that each point is on, such as the shape of the model (or the data
            size, where cost is that of the model), shape (n,): points that share it and the cost are averaged first,
            so that the frontier does not consist of lucky seeds. The groups if not given.
        groups: A label for the training that each point comes from, such as its trial, shape (n,); each point its own
            if not given.
        plateau: True for points known to lie on the plateau of their learning curve, shape (n,): they may be on
            the frontier, but the law is not fitted to them. If not given, the frontier is treated as a
            learning curve, whose plateau is looked for, in every resample too.
        edge: True for points on the edge of the grid, as ``grid_edge`` finds them, shape (n,): for frontiers of
            compute. They dominate others, but the law is fitted to the longest run of frontier points inside the grid
            alone, and refused (status ``grid_edge``) if these are fewer than four. Its intervals are those of
            ``fit_power_law``: on a coarse grid the frontier is scalloped, as the best shape lies between two that
            were trained, which scatters it about its law but is in no resample.
        level: Confidence level of the intervals, between 0 and 1.
        seed: Seed of the resampling, >= 0.

    Returns:
        The fit of the frontier's points, which are its ``x`` and ``y`` and count as independent. Where several
        configurations are about equal, the least loss is a lucky one and the law too low (by 1.2 standard deviations
        of a point, of five equal ladders with one seed). The intervals allow for that, the law does not: on 40 studies
        of five equal ladders the 95 % band held the truth at 90 +- 5 % of the points with one seed, 87 +- 5 % with
        three. A frontier on which a single configuration lies is that configuration's ladder: the fit is then that of
        all its points by ``fit_learning_curve`` or, where ``plateau`` is given, of those off it by ``fit_power_law``.

    Raises:
        ValueError: NaN or infinite values, a cost <= 0, a negative loss, unequal lengths, fewer than two
            different costs on the frontier off its plateau, a negative seed, or a level outside (0, 1).

    Examples:
        >>> examples = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000]
        >>> small = [0.9803, 0.9521, 0.9316, 0.9174, 0.9069, 0.9010]
        >>> large = [0.9903, 0.9455, 0.9136, 0.8894, 0.8689, 0.8530]
        >>> fit = fit_frontier(examples * 2, small + large, configurations=["small"] * 6 + ["large"] * 6)
        >>> fit.y[:3]
        (0.9803, 0.9455, 0.9136)
        >>> round(fit.beta, 2), round(fit.gamma, 2)
        (0.28, 0.78)
    """
    check_level_and_seed(level, seed)
    candidates = _candidates(cost, loss, weights, configurations, groups, plateau, edge)
    members = pareto_frontier(candidates.cost, candidates.loss)
    xs, ys = candidates.cost[members], candidates.loss[members]
    inside = longest_run(~(candidates.edge | candidates.plateau)[members])
    few_inside = inside.stop - inside.start < FEWEST
    refused = Status.GRID_EDGE if edge is not None and few_inside and members.size >= FEWEST else None
    flat = candidates.plateau[members]
    if plateau is None and members.size > 1:
        flat = np.arange(members.size) < power_law_region(xs, ys)
    why = PLATEAU if flat.any() else ""
    if edge is not None and not few_inside:
        flat, why = np.ones_like(flat), GRID_EDGE
        flat[inside] = False
    kept = ~flat
    if kept.sum() < 2:
        raise ValueError(
            f"the frontier of cost and loss has {kept.sum()} point(s) off the plateau; a law needs two or more, "
            "so measure at more costs"
        )
    if refused is None and np.unique(candidates.configuration[members]).size == 1:
        return _fit_ladder(candidates, int(candidates.configuration[members[0]]), plateau is None, level, seed)
    relative = candidates.weight[members][kept]
    resampled = edge is None and kept.sum() >= FEWEST
    fit = fit_points(
        Points(xs[kept], ys[kept], relative / relative.mean(), np.arange(kept.sum())),
        robust=False,
        level=level,
        seed=seed,
        resampled_laws=_resampled_laws(candidates, xs[kept], ys[kept], plateau is None, seed) if resampled else None,
        refused=refused,
        measured=candidates.measurements(members[kept]),
    )
    if plateau is None and edge is None:
        return with_left_out(fit, xs, ys, candidates.weight[members], int(flat.sum()), why)
    return replace(fit, left_out=tuple(xs[flat].tolist()), why_left_out=why)


def _fit_ladder(
    candidates: "_Candidates", configuration: int, find_plateau: bool, level: float, seed: int
) -> PowerLawFit:
    """The law of all measurements of one configuration."""
    own = np.flatnonzero(candidates.configuration == configuration)
    flat = candidates.plateau[own]
    ladder = candidates.measurements(own[~flat])
    law = fit_learning_curve if find_plateau else fit_power_law
    fit = law(ladder.x, ladder.y, weights=ladder.weights, groups=ladder.groups, level=level, seed=seed)
    if find_plateau:
        return fit
    left_out = tuple(candidates.cost[own[flat]].tolist())
    return replace(fit, left_out=left_out, why_left_out=PLATEAU if left_out else "")


@dataclass(frozen=True)
class _Candidates:
    """The mean of each configuration at each cost, sorted by configuration and cost; arrays of shape (m,)."""

    cost: Array
    loss: Array
    weight: Array
    plateau: Mask
    edge: Mask
    configuration: Indices
    trainings: list[Indices]  # the groups that each mean averages
    measured: list[Array]  # their losses

    def measurements(self, places: Indices) -> Points:
        """All measurements at some of the means, in their order."""
        counts = [self.measured[place].size for place in places]
        x, weights = (np.repeat(values[places], counts) for values in (self.cost, self.weight))
        y, groups = (np.concatenate([values[i] for i in places]) for values in (self.measured, self.trainings))
        return Points(x, y, weights, numbered(groups))


def _candidates(
    cost: ArrayLike,
    loss: ArrayLike,
    weights: ArrayLike | None,
    configurations: Iterable[Any] | None,
    groups: Iterable[Any] | None,
    plateau: ArrayLike | None,
    edge: ArrayLike | None,
) -> _Candidates:
    check_alignment(
        cost=cost, loss=loss, weights=weights, configurations=configurations, groups=groups, plateau=plateau, edge=edge
    )
    costs, losses = positive("cost", cost), not_negative("loss", loss)
    relative = np.ones_like(costs) if weights is None else positive("weights", weights)
    flat, outer = (
        np.zeros_like(costs, dtype=bool) if mask is None else np.asarray(mask, dtype=bool) for mask in (plateau, edge)
    )
    check_columns(
        cost=costs, loss=losses, weights=relative, plateau=flat.astype(np.float64), edge=outer.astype(np.float64)
    )
    training = labelled("groups", groups, costs.size)
    configuration = training if configurations is None else labelled("configurations", configurations, costs.size)
    keys = np.stack([configuration.astype(np.float64), costs], axis=1)
    _, at = np.unique(keys, axis=0, return_inverse=True)
    # Sorted, so that the resamples do not depend on the order of the input.
    parts = [np.flatnonzero(at == place) for place in range(int(at.max()) + 1)]
    parts = [part[np.lexsort((losses[part], training[part]))] for part in parts]
    means = np.array([losses[part].mean() for part in parts])
    return _Candidates(
        cost=np.array([costs[part[0]] for part in parts]),
        loss=means,
        weight=np.array([relative[part].mean() for part in parts]) / relative.mean(),
        plateau=np.array([bool(flat[part].any()) for part in parts]),
        edge=np.array([bool(outer[part].any()) for part in parts]),
        configuration=np.array([configuration[part[0]] for part in parts]),
        trainings=[training[part] for part in parts],
        measured=[losses[part] for part in parts],
    )


def _resampled_laws(candidates: _Candidates, xs: Array, ys: Array, find_plateau: bool, seed: int) -> Array:
    """Laws of resampled frontiers as alpha, beta and gamma at the x0 of these points, shape (REPLICATES, 3)."""
    log_x0, scale = float(np.mean(np.log(xs))), float(candidates.loss.max()) or 1.0
    measured = [values / scale for values in candidates.measured]
    candidates = replace(candidates, loss=candidates.loss / scale, measured=measured)
    losses = _resampled_losses(candidates, xs, ys / scale, np.random.default_rng(seed))
    losses = losses + _luck(candidates, losses)
    frontiers = [pareto_frontier(candidates.cost, row) for row in losses]
    if not find_plateau:
        off = [members[~candidates.plateau[members]] for members in frontiers]
        frontiers = [few if few.size >= 2 else members for few, members in zip(off, frontiers, strict=True)]
    counts = np.array([members.size for members in frontiers])
    curves, logs, weights = np.zeros((3, len(losses), int(counts.max())))
    for row, members in enumerate(frontiers):
        curves[row, : members.size], logs[row, : members.size] = losses[row, members], np.log(candidates.cost[members])
        weights[row, : members.size] = candidates.weight[members]
    rows, at = np.arange(len(losses)), np.arange(curves.shape[1])
    starts = power_law_regions(logs, curves, counts) if find_plateau else np.zeros_like(counts)
    weights = np.where(at >= starts[:, None], weights, 0.0)
    first = logs[rows, starts]
    distance = np.where(weights > 0, logs - first[:, None], 0.0)
    return Profile(distance, curves, weights, scale).optima().at_x0(scale, log_x0 - first[:, None])


def _luck(candidates: _Candidates, losses: Array) -> Array:
    """How much too low the least loss at each cost is for being the least of several noisy ones, shape (m,).

    It is measured on the resamples, whose configurations are first drawn together: differences between those that may
    be the best are themselves part noise (the positive-part estimate of James and Stein 1961).
    """
    luck = np.zeros(losses.shape[1])
    centre, variance = np.median(losses, axis=0), losses.var(axis=0)
    _, number, sizes = np.unique(candidates.configuration, return_inverse=True, return_counts=True)
    variance = variance * np.minimum(3 / sizes[number], 1.0)  # of a law of three parameters, at its points
    for cost in np.unique(candidates.cost):
        here = np.flatnonzero(candidates.cost == cost)
        error = float(variance[here].mean())
        rivals = here[centre[here] - centre[here].min() <= 3 * math.sqrt(2 * error)]
        about = centre[rivals] - centre[rivals].mean()
        squares = float((about**2).sum())
        noise = about * min(error * (rivals.size - 1) / squares, 1.0) if squares > 0 else about
        luck[here] = (centre[rivals] - noise).min() - np.median((losses[:, rivals] - noise).min(axis=1))
    return luck


def _resampled_losses(candidates: _Candidates, xs: Array, ys: Array, rng: np.random.Generator) -> Array:
    """Resampled losses of the candidates, shape (REPLICATES, m); xs and ys are the frontier's."""
    centre, shocks = candidates.loss.copy(), np.zeros((REPLICATES, candidates.loss.size))
    trainings = np.unique(np.concatenate(candidates.trainings))
    multipliers = rng.standard_normal((REPLICATES, trainings.size))
    alone = np.array([groups.size == 1 for groups in candidates.trainings])
    squares, degrees = 0.0, 0
    # One factor for all configurations: of several with few degrees of freedom each, one would always be far off, and
    # the frontier of the resample would be that one.
    factor = inflation(_replicate_degrees(candidates), rng)
    for configuration in np.unique(candidates.configuration):
        ladder = np.flatnonzero(candidates.configuration == configuration)
        points = candidates.cost[ladder], candidates.loss[ladder], candidates.weight[ladder]
        centre[ladder], rss, left = _ladder_law(*points)
        if alone[ladder].all():
            squares, degrees = squares + rss, degrees + left
        for place in ladder[~alone[ladder]]:
            number = candidates.trainings[place].size
            drawn = multipliers[:, np.searchsorted(trainings, candidates.trainings[place])] * factor
            deviations = candidates.measured[place] - candidates.loss[place]
            shocks[:, place] = (drawn * deviations).mean(axis=1) * np.sqrt(number / (number - 1))
    if alone.any():
        if degrees == 0:  # no ladder is long enough to estimate its noise: use the frontier
            _, squares, degrees = _ladder_law(xs, ys, np.ones_like(xs))
        factor = inflation(max(degrees, 1), rng)
        noise = rng.standard_normal(shocks.shape) * factor * np.sqrt(squares / max(degrees, 1))
        shocks[:, alone] = noise[:, alone] / np.sqrt(candidates.weight[alone])
    return np.maximum(centre + shocks, 0.0)


def _replicate_degrees(candidates: _Candidates) -> float:
    """Degrees of freedom of the noise between trainings, for a frontier that is formed by several configurations.

    At each cost it is one configuration, and over all costs those that lie on it: the geometric mean of both. On
    60 simulated frontiers of five configurations and three seeds, 95 % intervals of beta, gamma and a prediction at
    twice the cost covered .93, .93 and .92; with the degrees of all configurations .87, .88 and .82.
    """
    on_frontier = set(candidates.configuration[pareto_frontier(candidates.cost, candidates.loss)].tolist())
    several = {
        (configuration, tuple(groups))
        for configuration, groups in zip(candidates.configuration.tolist(), candidates.trainings, strict=True)
        if groups.size > 1 and configuration in on_frontier
    }
    if not several:
        return 1.0
    total = sum(len(groups) - 1 for _, groups in several)
    return total / math.sqrt(len({configuration for configuration, _ in several}))


def _ladder_law(xs: Array, ys: Array, weights: Array) -> tuple[Array, float, int]:
    """The losses of a ladder by its own law, the weighted residual sum of squares and its degrees of freedom.

    Points on its plateau, and all points of a ladder that is too short, keep their measured losses.
    """
    if xs.size < _FEWEST_ON_LADDER:
        return ys, 0.0, 0
    start = power_law_region(xs, ys)
    profile = profile_of(xs[start:], ys[start:], weights[start:])
    best = profile.optimum()
    rss = float(best.rss[0]) * profile.scale**2
    return np.concatenate([ys[:start], profile.scale * best.losses(profile.distance)]), rss, xs.size - start - 3


def grid_edge(sizes: ArrayLike, rungs: ArrayLike) -> Mask:
    """Whether each point of a grid lies on its edge.

    At the cost of such a point the best shape may lie outside the grid: a smaller model with more data beyond the
    smallest size and the largest rung, a larger model with less data beyond the other two. The point bounds the
    frontier from above, but need not be on it. A point is inside if its ladder has a smaller and a larger rung, and
    its rung a smaller and a larger size; so ladders may have different rungs.

    Args:
        sizes: Size of the model, or its multiplier: positive, shape (n,).
        rungs: Training examples, positive, shape (n,).

    Returns:
        Shape (n,).

    Raises:
        ValueError: NaN or infinite values, values <= 0, or unequal lengths.

    Examples:
        >>> grid_edge([1, 1, 1, 2, 2, 2, 4, 4, 4], [10, 20, 40] * 3)
        array([ True,  True,  True,  True, False,  True,  True,  True,  True])
    """
    check_alignment(sizes=sizes, rungs=rungs)
    size, rung = positive("sizes", sizes), positive("rungs", rungs)
    check_columns(sizes=size, rungs=rung)
    return np.asarray(~(_between_others(size, rung) & _between_others(rung, size)))


def _between_others(values: Array, along: Array) -> Mask:
    """Whether a smaller and a larger value exist among the points with the same ``along``."""
    _, at = np.unique(along, return_inverse=True)
    low, high = np.full(at.max() + 1, np.inf), np.full(at.max() + 1, -np.inf)
    np.minimum.at(low, at, values)
    np.maximum.at(high, at, values)
    return np.asarray((low[at] < values) & (values < high[at]))


def longest_run(flags: Mask) -> slice:
    """The longest stretch of True, the first of equals."""
    bounds = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    starts, stops = bounds[::2], bounds[1::2]
    if not starts.size:
        return slice(0, 0)
    longest = int(np.argmax(stops - starts))
    return slice(int(starts[longest]), int(stops[longest]))
