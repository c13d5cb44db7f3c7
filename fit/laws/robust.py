"""Huber's estimate, which limits the influence of outliers."""

import numpy as np

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.laws.profile import profile_of

_TUNING = 1.345  # 95 % as efficient as least squares under normal noise (Huber 1981)
_MAD_TO_SIGMA = 1.4826
_ROUNDS = 100
_PARAMETERS = 3


def pseudo_losses(xs: Array, ys: Array, ws: Array) -> Array:
    """Losses whose least-squares fit is Huber's fit of the given losses, with its uncertainty.

    Iteratively reweighted least squares: a residual beyond ``f_scale = 1.345 * 1.4826 * MAD`` counts in proportion to
    its size instead of its square. MAD is the median absolute residual of the iteration, corrected for small samples
    by ``sqrt(n / (n - 3))``. Finally each loss is replaced by the law plus ``K / m`` times its residual, clipped at
    f_scale: m is the share of residuals that were not clipped, and ``K = 1 + 3 (1 - m) / (n m)`` (Huber 1981, section
    7.6). Least-squares intervals and resampling of these losses are then those of Huber's estimate.

    An outlier at either end of the curve can bend the law towards itself and go unnoticed: M-estimates such as this
    one do not protect against that.

    Args:
        xs: Validated x, shape (n,).
        ys: Losses of the points, shape (n,).
        ws: Weights of the points, mean 1, shape (n,).

    Returns:
        Losses, >= 0, shape (n,).
    """
    effective, root, n = ws, np.sqrt(ws), xs.size
    for _ in range(_ROUNDS):
        profile = profile_of(xs, ys, effective)
        best = profile.optimum()
        fitted = best.losses(profile.distance)
        residuals = (profile.y - fitted) * root
        mad = float(np.median(np.abs(residuals)))
        f_scale = _TUNING * _MAD_TO_SIGMA * mad * np.sqrt(n / max(n - _PARAMETERS, 1))
        f_scale = max(f_scale, 1e-14)  # where most points fit exactly, the others still need some weight
        updated = ws * np.minimum(1.0, f_scale / np.maximum(np.abs(residuals), f_scale))
        settled = np.allclose(updated / updated.mean(), effective, rtol=1e-9, atol=0)
        effective = updated / updated.mean()
        if settled:
            break
    within = float(np.mean(np.abs(residuals) <= f_scale * (1 + 1e-9)))
    stretch = (1 + _PARAMETERS * (1 - within) / (n * within)) / within
    cut_off = np.clip(residuals, -f_scale, f_scale) / root
    return np.maximum(profile.scale * (fitted + stretch * cut_off), 0.0)
