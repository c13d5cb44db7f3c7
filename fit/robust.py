"""Weights that keep a stray point from deciding a fit."""

import numpy as np
from numpy.typing import NDArray

from tfrs_scaling.fit.profile import profile_of

Array = NDArray[np.float64]

_TUNING = 1.345  # 95 % as efficient as least squares where the noise is normal after all (Huber 1981)
_MAD_TO_SIGMA = 1.4826
_ROUNDS = 100


def huber_weights(xs: Array, ys: Array, ws: Array) -> Array:
    """The weights at which least squares is Huber's estimate, from the least-squares optimum on.

    Iteratively reweighted: a residual beyond ``f_scale = 1.345 * 1.4826 * MAD`` counts in proportion to its
    size, not its square. MAD is the median absolute residual of the round, its small-sample bias taken out by
    ``sqrt(n / (n - 3))``. A stray point at either end of the curve can bend the law to itself and is not seen:
    no estimate of this kind protects against that.

    Args:
        xs: Points as ``checked_points`` returns them, shape (n,).
        ys: Their losses, shape (n,).
        ws: Their weights, shape (n,).

    Returns:
        Weights of mean 1, shape (n,).
    """
    effective = ws
    for _ in range(_ROUNDS):
        profile = profile_of(xs, ys, effective)
        best = profile.optimum()
        fitted = best.top * np.exp(-best.beta * profile.distance) + best.gamma
        residuals = np.abs(profile.y - fitted) * np.sqrt(ws)
        correction = np.sqrt(xs.size / max(xs.size - 3, 1))
        f_scale = _TUNING * _MAD_TO_SIGMA * float(np.median(residuals)) * correction
        f_scale = max(f_scale, 1e-12)  # where most points fit exactly, the others must still have some weight
        updated = ws * np.minimum(1.0, f_scale / np.maximum(residuals, f_scale))
        updated = updated / updated.mean()
        if np.allclose(updated, effective, rtol=1e-9, atol=0):
            return updated
        effective = updated
    return effective
