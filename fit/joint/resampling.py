"""Bootstrap of a joint law: resampled points, each resample solved to its own optimum."""

import math

import numpy as np
from scipy import special

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.joint.surface import Surface

_FEWEST_TO_RESAMPLE = 10  # points or groups; with fewer, too many resamples would not determine five parameters
_CHUNK = 200  # resamples solved at a time, which bounds the memory


def bootstrap(surface: Surface, theta: Array, groups: Indices, resamples: int, seed: int) -> Array:
    """The optimum of each resample, searched from that of all points: shape (resamples, 5)."""
    rng = np.random.default_rng(seed)
    labels, member = np.unique(groups, return_inverse=True)
    shape = resamples, surface.y.size
    counts, ys = np.ones(shape), np.broadcast_to(surface.y, shape)
    if labels.size >= _FEWEST_TO_RESAMPLE:
        drawn = rng.multinomial(labels.size, np.full(labels.size, 1 / labels.size), size=resamples)
        counts = drawn[:, member].astype(np.float64)
    else:
        dof = surface.y.size - 5
        wider = float(special.stdtrit(dof, 0.975) / special.ndtri(0.975))
        signs = rng.choice([-1.0, 1.0], size=(resamples, labels.size))[:, member]
        noise, law = signs * honest_residuals(surface, theta) * wider, surface.law(theta[None])
        ys = law + noise if surface.objective == "rss" else law * np.exp(noise)
    start = np.repeat(theta[None], _CHUNK, axis=0)
    found = []
    for i in range(0, resamples, _CHUNK):
        part = slice(i, i + _CHUNK)
        found.append(surface.polish(start[: counts[part].shape[0]], y=ys[part], counts=counts[part]))
    return np.concatenate(found)


def honest_residuals(surface: Surface, theta: Array) -> Array:
    """Residuals enlarged by ``sqrt(m / (m - 5))``, as five parameters were fitted to them: shape (m,)."""
    size = surface.y.size
    return surface.residuals(theta[None])[0] * math.sqrt(size / (size - 5))
