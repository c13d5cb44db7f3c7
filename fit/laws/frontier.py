"""The Pareto frontier: the points that no other point beats on cost and on loss at once; and its law."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array, Indices, Mask
from tfrs_scaling.fit.laws.learning_curve import PLATEAU
from tfrs_scaling.fit.laws.plateau import power_law_region, power_law_regions
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_points, laws_at
from tfrs_scaling.fit.laws.profile import Profile, profile_of
from tfrs_scaling.fit.laws.resampling import REPLICATES
from tfrs_scaling.fit.laws.status import FEWEST
from tfrs_scaling.fit.laws.validation import finite, labelled, positive

_FEWEST_ON_LADDER = 5  # points that tell a ladder's noise from its law


def pareto_frontier(cost: ArrayLike, loss: ArrayLike) -> Indices:
    """Indices of the points that are not dominated, by increasing cost. O(n log n).

    A point is dominated when another has a cost and a loss that are both no larger, and one of them
    smaller. Of points equal in both, the first in the input stands for all.

    Args:
        cost: Data, parameters or compute, finite, shape (n,).
        loss: The loss at that cost, finite, shape (n,).

    Returns:
        Indices into the input, int64, shape (k,): cost strictly increases and loss strictly decreases.

    Raises:
        ValueError: the two differ in shape, are not one-dimensional, or hold NaN or infinities.
    """
    costs, losses = finite("cost", cost), finite("loss", loss)
    if costs.ndim != 1 or costs.shape != losses.shape:
        raise ValueError(f"cost has shape {costs.shape} and loss {losses.shape}; both must be lists of equal length")
    order = np.lexsort((losses, costs))  # stable: by cost, then loss, then place in the input
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(losses[order])])[:-1]
    return order[losses[order] < best_before].astype(np.int64)


@np.errstate(under="ignore")
def fit_frontier(
    cost: ArrayLike,
    loss: ArrayLike,
    *,
    configurations: Iterable[Any] | None = None,
    groups: Iterable[Any] | None = None,
    plateau: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> PowerLawFit:
    """Fit ``alpha * cost**-beta + gamma`` to the Pareto frontier of many points.

    Which points are on the frontier is itself decided by noise. So the intervals are percentiles over resamples
    of all points, dominated ones included, and each resample has a frontier of its own. The noise of a
    configuration that was trained several times (with several groups) is that between its trainings, kept
    together along the ladder: the wild cluster bootstrap of ``bootstrap.resampled``. That of the others is
    what their ladders scatter about laws of their own, pooled; where no ladder has five points,
    what the frontier scatters about its law.

    Args:
        cost: Data, parameters or compute: positive and finite, shape (n,), in any order.
        loss: Losses >= 0, shape (n,).
        configurations: Whose ladder each point is on, such as the shape of the model (the data size, where
            cost is that of the model): points that share it and the cost are averaged before anything is
            compared, so that the frontier is not made of lucky seeds. The groups if not given.
        groups: Which training each point comes from, such as its trial; each point its own if not given.
        plateau: True for points that are known to lie on the plateau of their learning curve: they may be on
            the frontier, but no law is fitted to them. Shape (n,). If not given, the frontier is taken for a
            learning curve, whose plateau is looked for, in every resample too.
        level: Confidence level of the intervals, between 0 and 1.
        seed: Of the resampling, >= 0.

    Returns:
        The fit of the frontier's points; they are its ``x`` and ``y``, and count as independent.

    Raises:
        ValueError: NaN or infinite values, a cost <= 0, a negative loss, unequal lengths, fewer than two
            different costs on the frontier off its plateau, a negative seed, or a level outside (0, 1).
    """
    candidates = _candidates(cost, loss, configurations, groups, plateau)
    members = pareto_frontier(candidates.cost, candidates.loss)
    xs, ys, flat = candidates.cost[members], candidates.loss[members], candidates.plateau[members]
    if plateau is None and members.size > 1:
        flat = np.arange(members.size) < power_law_region(xs, ys)
    kept = ~flat
    if kept.sum() < 2:
        raise ValueError(f"cost: the frontier has {int(kept.sum())} points to fit a law to; it needs two or more")
    further: dict[str, Any] = {}
    if kept.sum() >= FEWEST:
        further["replicates"] = _replicates(candidates, xs[kept], ys[kept], plateau is None, seed)
    return fit_points(
        xs[kept],
        ys[kept],
        np.ones(int(kept.sum())),
        np.arange(int(kept.sum())),
        robust=False,
        level=level,
        seed=seed,
        left_out=tuple(xs[flat].tolist()),
        why_left_out=PLATEAU if flat.any() else "",
        **further,
    )


@dataclass(frozen=True)
class _Candidates:
    """The mean of each configuration at each cost, sorted by configuration and cost; arrays of shape (m,)."""

    cost: Array
    loss: Array
    plateau: Mask
    configuration: Indices
    trainings: list[Indices]  # the groups that each mean is made of
    deviations: list[Array]  # what each of them is off by


def _candidates(
    cost: ArrayLike,
    loss: ArrayLike,
    configurations: Iterable[Any] | None,
    groups: Iterable[Any] | None,
    plateau: ArrayLike | None,
) -> _Candidates:
    costs, losses = positive("cost", cost), finite("loss", loss)
    if costs.ndim != 1 or costs.shape != losses.shape or not costs.size:
        raise ValueError(f"cost has shape {costs.shape} and loss {losses.shape}; both must be lists of equal length")
    if (losses < 0).any():
        raise ValueError(f"loss[{int(np.argmax(losses < 0))}] is negative; it must be 0 or above")
    training = labelled("groups", groups, costs.size)
    of_configuration = training if configurations is None else labelled("configurations", configurations, costs.size)
    flat = np.zeros(costs.size, dtype=bool) if plateau is None else np.asarray(plateau, dtype=bool)
    if flat.shape != costs.shape:
        raise ValueError(f"plateau has shape {flat.shape} and cost {costs.shape}; both must be lists of equal length")
    keys = np.stack([of_configuration.astype(np.float64), costs], axis=1)
    _, at = np.unique(keys, axis=0, return_inverse=True)
    # In an order that does not depend on the input's, so that the resamples do not either.
    parts = [np.flatnonzero(at == place) for place in range(int(at.max()) + 1)]
    parts = [part[np.lexsort((losses[part], training[part]))] for part in parts]
    means = np.array([losses[part].mean() for part in parts])
    return _Candidates(
        cost=np.array([costs[part[0]] for part in parts]),
        loss=means,
        plateau=np.array([bool(flat[part].any()) for part in parts]),
        configuration=np.array([of_configuration[part[0]] for part in parts]),
        trainings=[training[part] for part in parts],
        deviations=[losses[part] - mean for part, mean in zip(parts, means, strict=True)],
    )


def _replicates(candidates: _Candidates, xs: Array, ys: Array, find_plateau: bool, seed: int) -> Array:
    """Laws of resampled frontiers as alpha, beta and gamma at the x0 of these points, shape (replicates, 3)."""
    log_x0, scale = float(np.mean(np.log(xs))), float(candidates.loss.max()) or 1.0
    deviations = [of_place / scale for of_place in candidates.deviations]
    candidates = replace(candidates, loss=candidates.loss / scale, deviations=deviations)
    centre, shocks = _noise(candidates, xs, ys / scale, np.random.default_rng(seed))
    losses = np.maximum(centre + shocks, 0.0)
    frontiers = [pareto_frontier(candidates.cost, of_one) for of_one in losses]
    if not find_plateau:
        off = [members[~candidates.plateau[members]] for members in frontiers]
        frontiers = [few if few.size >= 2 else members for few, members in zip(off, frontiers, strict=True)]
    counts = np.array([members.size for members in frontiers])
    curves, logs = np.zeros((2, len(losses), int(counts.max())))
    for row, members in enumerate(frontiers):
        curves[row, : members.size], logs[row, : members.size] = losses[row, members], np.log(candidates.cost[members])
    rows, at = np.arange(len(losses)), np.arange(curves.shape[1])
    starts = power_law_regions(logs, curves, counts) if find_plateau else np.zeros_like(counts)
    present = ((at >= starts[:, None]) & (at < counts[:, None])).astype(np.float64)
    first = logs[rows, starts]
    distance = np.where(present > 0, logs - first[:, None], 0.0)
    laws = Profile(distance, curves, present, scale).optima()
    return laws_at(laws, scale, log_x0 - first[:, None])


def _noise(candidates: _Candidates, xs: Array, ys: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """What the losses are resampled around, shape (m,), and the noise that is added, (replicates, m)."""
    size = candidates.loss.size
    centre, shocks = candidates.loss.copy(), np.zeros((REPLICATES, size))
    trainings = np.unique(np.concatenate(candidates.trainings))
    multipliers = rng.standard_normal((REPLICATES, trainings.size))
    alone = np.array([of_place.size == 1 for of_place in candidates.trainings])
    squares, degrees = 0.0, 0
    for configuration in np.unique(candidates.configuration):
        ladder = np.flatnonzero(candidates.configuration == configuration)
        centre[ladder], rss, left = _ladder_law(candidates.cost[ladder], candidates.loss[ladder])
        if alone[ladder].all():
            squares, degrees = squares + rss, degrees + left
        several = {tuple(candidates.trainings[place]) for place in ladder if not alone[place]}
        if several:
            shared = sum(len(of_place) - 1 for of_place in several)
            factor = np.sqrt(shared / rng.chisquare(shared, REPLICATES))[:, None]
        for place in ladder[~alone[ladder]]:
            number = candidates.trainings[place].size
            drawn = multipliers[:, np.searchsorted(trainings, candidates.trainings[place])] * factor
            shocks[:, place] = (drawn * candidates.deviations[place]).mean(axis=1) * np.sqrt(number / (number - 1))
    if alone.any():
        if degrees == 0:  # no ladder is long enough to tell its noise: the frontier may be
            _, squares, degrees = _ladder_law(xs, ys)
        factor = np.sqrt(max(degrees, 1) / rng.chisquare(max(degrees, 1), REPLICATES))[:, None]
        noise = rng.standard_normal((REPLICATES, size)) * factor * np.sqrt(squares / max(degrees, 1))
        shocks[:, alone] = noise[:, alone]
    return centre, shocks


def _ladder_law(xs: Array, ys: Array) -> tuple[Array, float, int]:
    """A ladder's losses by its own law, the residual sum of squares and its degrees of freedom.

    Points on its plateau, and all points of a ladder too short, are their own prediction.
    """
    if xs.size < _FEWEST_ON_LADDER:
        return ys, 0.0, 0
    start = power_law_region(xs, ys)
    profile = profile_of(xs[start:], ys[start:], np.ones(xs.size - start))
    best = profile.optimum()
    law = best.top * np.exp(-best.beta * profile.distance) + best.gamma
    rss = float(best.rss[0]) * profile.scale**2
    return np.concatenate([ys[:start], profile.scale * law]), rss, xs.size - start - 3
