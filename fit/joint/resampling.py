"""Bootstrap of a joint law: points resampled around it, each resample solved to its own optimum."""

from dataclasses import dataclass

import numpy as np

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.joint.surface import Surface
from tfrs_scaling.fit.laws.resampling import has_clusters, inflation

_CHUNK = 200  # resamples solved at a time, which bounds the memory


@dataclass(frozen=True)
class Residuals:
    """Residuals freed of what the fit took of them, as if the law were known.

    Attributes:
        values: Corrected residuals, in the unit of ``Surface.residuals``, shape (m,).
        degrees: Degrees of freedom of the groups' means, with which the noise that a group shares is known: the
            number of groups less what the fit took of their means. For points on their own, m - 5.
    """

    values: Array
    degrees: float


def corrected_residuals(surface: Surface, theta: Array, groups: Indices) -> Residuals:
    """Residuals times ``(I - H)**-0.5``, by group (CR2; Bell and McCaffrey 2002).

    Args:
        surface: The points, shape (m,).
        theta: Their optimum, shape (5,).
        groups: The group of each point, shape (m,).
    """
    residuals = surface.residuals(theta[None])[0]
    root = np.sqrt(surface.majorants(residuals))
    design = surface.slopes(theta[None])[0] * root[:, None]
    sizes = np.linalg.norm(design, axis=0)
    left, values, _ = np.linalg.svd(design / np.where(sizes > 0, sizes, 1.0), full_matrices=False)
    left = left[:, values > 1e-10 * values[0]]
    corrected, degrees = np.empty_like(residuals), 0.0
    for group in np.unique(groups):
        members = groups == group
        number = int(members.sum())
        unexplained = np.eye(number) - left[members] @ left[members].T
        values, vectors = np.linalg.eigh(unexplained)
        inverse = np.where(values > 1e-6, 1 / np.sqrt(np.maximum(values, 1e-6)), 0.0)
        corrected[members] = (vectors * inverse * (vectors.T @ (residuals * root)[members])).sum(axis=1)
        degrees += float(unexplained.sum()) / number
    return Residuals(corrected / root, max(degrees, 1.0))


def bootstrap(surface: Surface, theta: Array, groups: Indices, resamples: int, seed: int) -> Array:
    """The optimum of each resample, searched from that of all points: shape (resamples, 5).

    For ``rss`` a wild cluster bootstrap: the corrected residuals of a group are multiplied by one standard normal
    number, and all groups of a resample by further factors, those of Student's t, as the noise is itself estimated:
    the groups' means with their own degrees of freedom, as E, A and a are fitted to little else, and the deviations
    from them with the number of groups less one. Points on their own have normal noise of a common variance. For
    ``huber_log``, whose optimum depends on how densely residuals lie about 0, groups get exponential weights instead
    (the Bayesian bootstrap, Rubin 1981).
    """
    rng = np.random.default_rng(seed)
    labels, member = np.unique(groups, return_inverse=True)
    shape = resamples, labels.size
    ys = np.broadcast_to(surface.y, (resamples, surface.y.size))
    if surface.objective == "huber_log":
        weights = rng.exponential(size=shape)[:, member]
    else:
        residuals = corrected_residuals(surface, theta, groups)
        noise = residuals.values
        if not has_clusters(member):
            noise = np.full_like(noise, np.sqrt(np.mean(noise**2)))
        means = (np.bincount(member, noise) / np.bincount(member))[member]
        shared, own = (inflation(degrees, rng, resamples) for degrees in (residuals.degrees, labels.size - 1))
        shocks = rng.standard_normal(shape)[:, member] * (shared * means + own * (noise - means))
        ys, weights = np.maximum(surface.law(theta[None]) + shocks, 0.0), np.ones_like(ys)
    start = np.repeat(theta[None], _CHUNK, axis=0)
    parts = [slice(i, i + _CHUNK) for i in range(0, resamples, _CHUNK)]
    return np.concatenate([surface.polish(start[: len(ys[part])], y=ys[part], weights=weights[part]) for part in parts])
