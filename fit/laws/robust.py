"""Huber's estimate: a stray point must not decide a fit."""

import numpy as np

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.laws.profile import profile_of

_TUNING = 1.345  # 95 % as efficient as least squares where the noise is normal after all (Huber 1981)
_MAD_TO_SIGMA = 1.4826
_ROUNDS = 100
_PARAMETERS = 3


def pseudo_losses(xs: Array, ys: Array, ws: Array) -> Array:
    """The losses whose least-squares fit is Huber's fit of the given ones, with its uncertainty.

    From the least-squares optimum on, iteratively reweighted: a residual beyond
    ``f_scale = 1.345 * 1.4826 * MAD`` counts in proportion to its size and not to its square. MAD is the median
    absolute residual of the round, its small-sample bias taken out by ``sqrt(n / (n - 3))``. At the end each loss is
    replaced by the law plus ``K / m`` times its residual, cut off at f_scale: m is the share of residuals that
    were not, and ``K = 1 + 3 (1 - m) / (n m)`` (Huber 1981, section 7.6). What holds for least squares, intervals
    and resampling included, then holds for Huber's estimate on these.

    A stray point at either end of the curve can bend the law to itself and is not seen: no estimate of this kind
    protects against that.

    Args:
        xs: Points as ``checked_points`` returns them, shape (n,).
        ys: Their losses, shape (n,).
        ws: Their weights, shape (n,).

    Returns:
        Losses, >= 0, shape (n,).
    """
    effective, root, n = ws, np.sqrt(ws), xs.size
    for _ in range(_ROUNDS):
        profile = profile_of(xs, ys, effective)
        best = profile.optimum()
        fitted = best.top * np.exp(-best.beta * profile.distance) + best.gamma
        residuals = (profile.y - fitted) * root
        mad = float(np.median(np.abs(residuals)))
        f_scale = _TUNING * _MAD_TO_SIGMA * mad * np.sqrt(n / max(n - _PARAMETERS, 1))
        f_scale = max(f_scale, 1e-14)  # where most points fit exactly, the others must still have some weight
        updated = ws * np.minimum(1.0, f_scale / np.maximum(np.abs(residuals), f_scale))
        settled = np.allclose(updated / updated.mean(), effective, rtol=1e-9, atol=0)
        effective = updated / updated.mean()
        if settled:
            break
    within = float(np.mean(np.abs(residuals) <= f_scale * (1 + 1e-9)))
    stretch = (1 + _PARAMETERS * (1 - within) / (n * within)) / within
    cut_off = np.clip(residuals, -f_scale, f_scale) / root
    return np.maximum(profile.scale * (fitted + stretch * cut_off), 0.0)
