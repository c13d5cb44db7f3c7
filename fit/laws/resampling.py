"""Resamples of points around a law; points that share a training share their noise."""

from dataclasses import dataclass

import numpy as np

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.laws.profile import Profile, Solutions

REPLICATES = 399  # the percentiles of usual levels are then order statistics (Davison and Hinkley 1997)


@dataclass(frozen=True)
class Resamples:
    """Losses resampled around a law, and the noise estimated for them.

    Attributes:
        losses: Resampled losses >= 0, float64, shape (REPLICATES, n).
        noise: Standard deviation of one measurement of weight 1, without the uncertainty of the fit.
        noise_degrees: Degrees of freedom of ``noise``.
    """

    losses: Array
    noise: float
    noise_degrees: float


def resample_law(
    profile: Profile, best: Solutions, groups: Indices, rng: np.random.Generator, factor: Array | None = None
) -> Resamples:
    """Points resampled around their law, in units of ``profile.scale``; see ``resample``.

    Args:
        profile: The points, shape (n,).
        best: The points' optimum, shape (1,).
        groups: The group of each point, numbered from 0, shape (n,).
        rng: Source of the random numbers.
        factor: As in ``resample``.
    """
    fitted = best.losses(profile.distance)
    jacobian = law_jacobian(profile.distance, float(best.top[0]), float(best.beta[0]))
    return resample(fitted, profile.y, profile.weights, jacobian, groups, rng, factor)


def resample(
    fitted: Array,
    y: Array,
    weights: Array,
    jacobian: Array,
    groups: Indices,
    rng: np.random.Generator,
    factor: Array | None = None,
) -> Resamples:
    """Losses resampled around a fit: a wild cluster bootstrap where the groups allow one.

    The residuals of a group, corrected for the fit (``(I - H)**-0.5``, the CR2 correction of Bell and McCaffrey
    2002), are multiplied by one standard normal number per group. All groups of a resample share a further factor
    ``sqrt(v / chi2)``, v being the number of groups minus one, which gives the percentiles the tails of Student's t:
    the estimate of the noise is itself uncertain, very much so with few groups.

    Where every point is its own group, or all points are one group (which says nothing about how groups differ), the
    noise is normal and independent, its variance that of all residuals together, and v its degrees of freedom. On
    2 x 400 simulated ladders of six points, 95 % percentile intervals of beta, gamma and a prediction
    at 4 times the data covered the truth 93 to 95 % of the time. The usual wild bootstrap, which multiplies residuals
    by -1 or 1, covered 77 to 82 %; one that multiplies them by normal numbers, with the factor, 91.5 to 93 %.

    Args:
        fitted: The fit at each point, shape (n,).
        y: The losses, shape (n,).
        weights: Relative precisions > 0, shape (n,).
        jacobian: The derivatives of the fit at each point by its p parameters, shape (n, p).
        groups: The group of each point, numbered from 0, shape (n,).
        rng: Source of the random numbers.
        factor: The factors ``sqrt(v / chi2)``, shape (REPLICATES, 1), where several fits share them.

    Returns:
        The resampled losses, in the unit of y.
    """
    root = np.sqrt(weights)
    basis = _basis(jacobian * root[:, None])
    residuals = (y - fitted) * root
    left, number = max(y.size - basis.shape[1], 1), int(groups.max()) + 1
    clustered = has_clusters(groups)
    if factor is None:
        factor = inflation(number - 1 if clustered else left, rng)
    if clustered:
        residuals = corrected(residuals, basis, groups)
        shocks = rng.standard_normal((REPLICATES, number))[:, groups] * residuals
        noise, degrees = _scatter(residuals, groups)
    else:
        noise, degrees = float(np.sqrt(np.sum(residuals**2) / left)), float(left)
        shocks = rng.standard_normal((REPLICATES, y.size)) * noise
    return Resamples(np.maximum(fitted + shocks * factor / root, 0.0), noise, degrees)


def corrected(residuals: Array, basis: Array, groups: Indices) -> Array:
    """Residuals times ``(I - H)**-0.5``, by group: freed of what the fit took of them (CR2).

    Args:
        residuals: Weighted residuals, shape (n,).
        basis: An orthonormal basis of the columns of their Jacobian, shape (n, p).
        groups: The group of each point, numbered from 0, shape (n,).
    """
    found = np.empty_like(residuals)
    for group in range(int(groups.max()) + 1):
        members = groups == group
        vectors, values, _ = np.linalg.svd(basis[members], full_matrices=False)
        unexplained = 1 - values**2  # in these directions; 1 in all others
        inverse = np.where(unexplained > 1e-8, 1 / np.sqrt(np.maximum(unexplained, 1e-8)), 0.0)
        found[members] = residuals[members] + vectors @ ((inverse - 1) * (vectors.T @ residuals[members]))
    return found


def _scatter(residuals: Array, groups: Indices) -> tuple[float, float]:
    """The standard deviation of one point of a new group, and its degrees of freedom by Satterthwaite (1946).

    It combines the mean squares between and within groups, as if each group had an offset.
    """
    counts = np.bincount(groups)
    number, size = counts.size, groups.size
    means = np.bincount(groups, residuals) / counts
    per_group = (size - float(np.sum(counts**2)) / size) / (number - 1)
    between = float(np.sum(counts * means**2)) / number  # about 0, the mean of the residuals of a fit
    within = float(np.sum((residuals - means[groups]) ** 2)) / (size - number)
    share = 1 / per_group
    parts = share * between, (1 - share) * within
    variance = sum(parts)
    if variance == 0:
        return 0.0, float(number - 1)
    degrees = variance**2 / (parts[0] ** 2 / (number - 1) + parts[1] ** 2 / max(size - number - 2, 1))
    return float(np.sqrt(variance)), max(float(degrees), 1.0)


def inflation(degrees: float, rng: np.random.Generator, count: int = REPLICATES) -> Array:
    """Factors ``sqrt(v / chi2)`` for a standard deviation estimated with v degrees of freedom: shape (count, 1)."""
    return np.sqrt(degrees / rng.chisquare(degrees, (count, 1)))


def average_per_x(profile: Profile, losses: Array) -> tuple[Array, Array, Array]:
    """Losses averaged over the points that share an x, which does not change the optimum of a law.

    Args:
        profile: The points.
        losses: Losses at these points, shape (m, n).

    Returns:
        (distance, weights, means): ``ln(x / min(x))`` of the k different x, shape (k,), the weight of each, shape
        (k,), and the mean losses, shape (m, k).
    """
    places, at = np.unique(profile.distance, return_inverse=True)
    weights = np.bincount(at, profile.weights).astype(np.float64)
    share = np.where(at[:, None] == np.arange(places.size), profile.weights[:, None], 0.0) / weights
    return places, weights, np.einsum("mn,nk->mk", losses, share)


def refit(profile: Profile, losses: Array, x0_distance: float) -> Array:
    """The law of each row of resampled losses.

    Args:
        profile: The points, shape (n,).
        losses: Losses at these points, in units of ``profile.scale``, shape (m, n).
        x0_distance: ``ln(x0 / min(x))``.

    Returns:
        alpha at x0, beta and gamma of each, in the unit of the loss, shape (m, 3).
    """
    places, weights, means = average_per_x(profile, losses)
    return Profile(places, means, weights, profile.scale).optima().at_x0(profile.scale, x0_distance)


def has_clusters(groups: Indices) -> bool:
    """Whether there are at least two groups, one of which has more than one point."""
    return 1 < int(groups.max()) + 1 < groups.size


def law_jacobian(distance: Array, top: float, beta: float) -> Array:
    """The derivatives of ``top * exp(-beta * distance) + gamma`` by its parameters, shape (n, 3)."""
    power = np.exp(-beta * distance)
    return np.stack([power, -top * distance * power, np.ones_like(power)], axis=1)


def _basis(design: Array) -> Array:
    """An orthonormal basis of the columns of a design, which may be linearly dependent: shape (n, rank)."""
    left, values, _ = np.linalg.svd(design, full_matrices=False)
    return np.asarray(left[:, values > 1e-10 * max(float(values[0]), 1e-300)])
