"""Resamples of the points of a joint law, each solved to its own optimum."""

import math

import numpy as np
from scipy import special

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.joint.surface import Surface

_FEWEST_TO_RESAMPLE = 10  # points or groups; with fewer, too many resamples could not tell five parameters
_CHUNK = 200  # resamples solved side by side: bounds the memory


def bootstrap(surface: Surface, theta: Array, groups: Indices, resamples: int, seed: int) -> Array:
    """The optimum of each resample, started from that of all points: shape (resamples, 5)."""
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
    """Residuals enlarged for the five parameters that made them small, shape (m,)."""
    size = surface.y.size
    return surface.residuals(theta[None])[0] * math.sqrt(size / (size - 5))
