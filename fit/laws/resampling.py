"""Points resampled around a law, the noise of points that share a training kept together."""

import numpy as np

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.laws.profile import Profile, Solutions

REPLICATES = 399  # so that percentiles of usual levels fall on one of them (Davison and Hinkley 1997)


def resampled(
    fitted: Array,
    y: Array,
    weights: Array,
    jacobian: Array,
    groups: Indices,
    *,
    count: int,
    rng: np.random.Generator,
    factor: Array | None = None,
) -> tuple[Array, float, float]:
    """Losses resampled around a fit: a wild cluster bootstrap where groups allow one.

    The residuals of a group, freed of what the fit took from them (``(I - H)**-0.5``, the CR2 correction of Bell
    and McCaffrey 2002), are multiplied by one normal number for the group. All groups of a resample share one
    factor ``sqrt(v / chi2)`` more, with v one less than the number of groups, so that percentiles have the tails of
    Student's t: the estimate of the noise is itself uncertain, and with few groups very much so.

    Where every point is a group of its own, or all are one group (which says nothing about how groups differ), the
    noise is normal and independent, its variance that of all residuals together, v the degrees of freedom. On
    2 x 400 simulated ladders of six points 95 % percentile intervals of beta, gamma and a prediction
    at 4 times the data covered the truth 93 to 95 % of the time. The usual wild bootstrap, whose points are
    multiplied by -1 or 1, covered 77 to 82 %, and by a normal number each, with the factor, 91.5 to 93 %.

    Args:
        fitted: The fit at each point, shape (n,).
        y: The losses, shape (n,).
        weights: Relative precisions > 0, shape (n,).
        jacobian: The derivative of the fit at each point by each of its p parameters, shape (n, p).
        groups: The group of each point, numbered from 0, shape (n,).
        count: Number of resamples.
        rng: Source of the random numbers.
        factor: The factors ``sqrt(v / chi2)``, shape (count, 1), where they are not those of this fit alone.

    Returns:
        (losses, noise, degrees): the resampled losses, >= 0, shape (count, n), and the standard deviation of one
        measurement of weight 1, without the fit's own uncertainty, with its degrees of freedom.
    """
    root = np.sqrt(weights)
    hat = _projection(jacobian * root[:, None])
    residuals = (y - fitted) * root
    left, number = max(y.size - round(float(np.trace(hat))), 1), int(groups.max()) + 1
    clustered = has_clusters(groups)
    if factor is None:
        factor = inflation(number - 1 if clustered else left, count, rng)
    if clustered:
        freed = np.empty_like(residuals)
        for group in range(number):
            members = groups == group
            values, vectors = np.linalg.eigh(np.eye(int(members.sum())) - hat[np.ix_(members, members)])
            inverse = np.where(values > 1e-8, 1 / np.sqrt(np.maximum(values, 1e-8)), 0.0)
            freed[members] = (vectors * inverse * (vectors.T @ residuals[members])).sum(axis=1)
        shocks = rng.standard_normal((count, number))[:, groups] * freed
        noise, degrees = _scatter(freed, groups)
    else:
        noise, degrees = float(np.sqrt(np.sum(residuals**2) / left)), float(left)
        shocks = rng.standard_normal((count, y.size)) * noise
    return np.maximum(fitted + shocks * factor / root, 0.0), noise, degrees


def _scatter(freed: Array, groups: Indices) -> tuple[float, float]:
    """The standard deviation of one point of a new group, and its degrees of freedom by Satterthwaite (1946).

    It is made of the mean squares between and within groups, as if groups had an offset each.
    """
    counts = np.bincount(groups)
    number, size = counts.size, groups.size
    means = np.bincount(groups, freed) / counts
    per_group = (size - float(np.sum(counts**2)) / size) / (number - 1)
    between = float(np.sum(counts * means**2)) / number  # about 0, where the fit has put it
    within = float(np.sum((freed - means[groups]) ** 2)) / (size - number)
    share = 1 / per_group
    parts = share * between, (1 - share) * within
    variance = sum(parts)
    if variance == 0:
        return 0.0, float(number - 1)
    degrees = variance**2 / (parts[0] ** 2 / (number - 1) + parts[1] ** 2 / max(size - number - 2, 1))
    return float(np.sqrt(variance)), max(float(degrees), 1.0)


def inflation(degrees: int, count: int, rng: np.random.Generator) -> Array:
    """``sqrt(v / chi2)`` with v degrees of freedom, shape (count, 1)."""
    return np.sqrt(degrees / rng.chisquare(degrees, (count, 1)))


def averaged(profile: Profile, losses: Array) -> tuple[Array, Array, Array]:
    """Losses averaged over the points that share an x: laws have the same optimum, and there are fewer points.

    Args:
        profile: The points.
        losses: Losses of these points, shape (count, n).

    Returns:
        (distance, weights, means): the k places, shape (k,), the weight of each, and the mean losses (count, k).
    """
    places, at = np.unique(profile.distance, return_inverse=True)
    weights = np.bincount(at, profile.weights).astype(np.float64)
    share = np.where(at[:, None] == np.arange(places.size), profile.weights[:, None], 0.0) / weights
    return places, weights, np.einsum("mn,nk->mk", losses, share)


def refitted(profile: Profile, losses: Array) -> Solutions:
    """The law of each row of resampled losses, shape (count, n): Solutions of shape (count, 1)."""
    places, weights, means = averaged(profile, losses)
    return Profile(places, means, weights, profile.scale).optima()


def has_clusters(groups: Indices) -> bool:
    """Whether there are at least two groups, and not every point is a group of its own."""
    return 1 < int(groups.max()) + 1 < groups.size


def law_jacobian(distance: Array, top: float, beta: float) -> Array:
    """The derivatives of ``top * exp(-beta * distance) + gamma`` by its parameters, shape (n, 3)."""
    power = np.exp(-beta * distance)
    return np.stack([power, -top * distance * power, np.ones_like(power)], axis=1)


def _projection(design: Array) -> Array:
    """The matrix that projects onto the columns of a design, some of which may be 0 or alike."""
    left, values, _ = np.linalg.svd(design, full_matrices=False)
    left = left[:, values > 1e-10 * max(float(values[0]), 1e-300)]
    return left @ left.T
