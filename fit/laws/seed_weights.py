"""Variances of a few seeds each, shrunk towards a common one."""

import math

import numpy as np
from scipy import special

from tfrs_scaling.common.arrays import Array


def shrunk_variances(variances: Array, degrees: Array) -> tuple[Array, float]:
    """Variances shrunk towards a common one, the more so the better chance alone explains their differences.

    Empirical Bayes, Smyth (2004).

    Args:
        variances: Estimates, >= 0, shape (k,).
        degrees: Degrees of freedom of the estimates, shape (k,); 0 where there is no estimate. Some must be above 0.

    Returns:
        (variances, prior): the shrunk variances, shape (k,), the common one where there was no estimate; and the
        degrees of freedom of the prior, inf where all variances are taken to be equal.
    """
    measured = degrees > 0
    estimates = np.maximum(variances[measured], 1e-30)
    half = degrees[measured] / 2
    logs = np.log(estimates) - special.digamma(half) + np.log(half)
    excess = float(np.var(logs, ddof=1) - special.polygamma(1, half).mean()) if measured.sum() > 1 else 0.0
    if excess <= 0:
        pooled = float((degrees[measured] * estimates).sum() / degrees[measured].sum())
        return np.full_like(variances, pooled), math.inf
    prior_half = _inverse_trigamma(excess)
    common = math.exp(float(logs.mean()) + special.digamma(prior_half) - math.log(prior_half))
    own = np.where(measured, degrees, 0.0)
    shrunk = (2 * prior_half * common + own * np.maximum(variances, 1e-30)) / (2 * prior_half + own)
    return shrunk, 2 * prior_half


def _inverse_trigamma(value: float) -> float:
    """The x at which the trigamma function is ``value``, by Newton's method on its reciprocal (Smyth 2004)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-12 * x:
            break
    return x
