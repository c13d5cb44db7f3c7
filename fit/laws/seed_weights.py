"""Weights from replicates: the precision of the points at each x, estimated from their seeds."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.laws.validation import check_alignment, check_columns, finite, positive


@np.errstate(under="ignore")
def replicate_weights(x: ArrayLike, y: ArrayLike) -> Array:
    """Weights for ``fit_power_law`` from the variance of the replicates at each x.

    A variance estimated from two or three seeds is so uncertain that its inverse is a worse weight than none. Each is
    therefore shrunk towards a common variance, the more so the better chance alone explains their differences
    (empirical Bayes, Smyth 2004): where all x are equally noisy, all weights are 1.

    Args:
        x: Positive and finite, shape (n,); replicates share an x.
        y: Losses, finite, shape (n,).

    Returns:
        Relative precisions, 1 on average, shape (n,); an x without replicates has the common variance.

    Raises:
        ValueError: NaN or infinite values, an x <= 0, unequal lengths, or no points.

    Example:
        >>> replicate_weights([1, 1, 1, 2, 2, 2], [0.9, 0.8, 0.7, 0.500, 0.501, 0.502]).round(2)
        array([0., 0., 0., 2., 2., 2.])
        >>> replicate_weights([1, 1, 2, 2], [0.90, 0.92, 0.80, 0.81])  # no more than chance
        array([1., 1., 1., 1.])
    """
    check_alignment(x=x, y=y)
    xs, ys = positive("x", x), finite("y", y)
    check_columns(x=xs, y=ys)
    _, at, counts = np.unique(xs, return_inverse=True, return_counts=True)
    if (counts > 1).sum() < 2:
        return np.ones_like(xs)
    unit = float(np.abs(ys).max()) or 1.0
    means = np.bincount(at, ys / unit) / counts
    squares = np.bincount(at, (ys / unit - means[at]) ** 2)
    own = (counts - 1).astype(np.float64)
    shrunk, prior = shrunk_variances(squares / np.maximum(own, 1.0), own)
    if math.isinf(prior):
        return np.ones_like(xs)
    weights = 1 / shrunk[at]
    return np.asarray(weights / weights.mean())


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
