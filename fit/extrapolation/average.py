"""An average over power laws with a floor: what lies beyond the largest x, and how far the laws differ there.

The laws are ``y = y_end * (phi + (1 - phi) * ((x + s) / (x_end + s))**-b)``, which is ``a (x + s)**-b + g`` written by
its value at the largest x and the share phi of that which is floor. ``ln y`` is linear in ``ln y_end`` for given
(b, s, phi), so that a grid over these three, with a closed form for the level, is the whole posterior: nothing is
searched, every curve costs the same, and the floor is averaged over rather than bet on. Least squares prefers no
floor where the data do not say, and then predicts too low a loss.

Half the average is the posterior under each of two likelihoods, which allow for such a law being wrong:

- Student's t with 4 degrees of freedom, points weighted by ``x**3``: the law needs to hold near the end only;
- the law plus integrated Brownian motion that starts at the right end (Wahba 1978), its variance averaged over; points
  that the first likelihood calls outliers weigh less.
"""

import math
from dataclasses import dataclass

import numpy as np

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.extrapolation.curve import Curve

# Shifts are places in ln x between the largest x (0) and the smallest (1); infinitely far left is no shift.
_EXPONENTS, _SHIFTS = np.geomspace(0.03, 3.0, 18), np.array([0.0, 0.25, 0.5, 0.75, 1.0, np.inf])
_FLOORS = np.array([0.0, 0.2, 0.4, 0.55, 0.68, 0.78, 0.86, 0.92, 0.96, 0.98, 0.993])
_BETA, _SHIFT, _PHI = (axis.ravel() for axis in np.meshgrid(_EXPONENTS, _SHIFTS, _FLOORS, indexing="ij"))
# Priors: b is log-normal with median 0.3 and spread 1.2, phi is Beta(1, 0.7).
_LOG_PRIOR = (
    -0.5 * (np.log(_BETA / 0.3) / 1.2) ** 2
    - 0.3 * np.log1p(-_PHI)
    + np.log(np.gradient(_FLOORS)[np.searchsorted(_FLOORS, _PHI)])
)
_RECENCY, _DEGREES = 3.0, 4.0
_ENOUGH = 60  # neighbours on a curve of more points are not independent
_DRIFTS = np.array([0.0, *np.geomspace(1e-3, 1e3, 7)])
_ROUNDING = 1e-10  # mean squared misfit of logarithms that counts as rounding
_NEGLIGIBLE = 1e-3  # weight relative to the largest below which a law is left out


@dataclass(frozen=True)
class Average:
    """Laws with weights that sum to 1: arrays of shape (k,).

    Args:
        beta: Exponents.
        shift: Shifts in units of the largest x.
        floor: Shares of the loss at the largest x that are floor.
        level: ``ln`` of the loss there, in units of the measured one.
        weight: Weights.
    """

    beta: Array
    shift: Array
    floor: Array
    level: Array
    weight: Array

    @np.errstate(under="ignore")
    def predict(self, u: Array) -> tuple[Array, Array]:
        """The mean and the standard deviation of ``ln y`` over the laws at ``ln(x / x_end)``, shape (m,)."""
        return self._moments(self.level[:, None] + _shapes(u, self.beta, self.shift, self.floor))

    @np.errstate(under="ignore")
    def fall(self, u: Array) -> tuple[Array, Array]:
        """The same of the fall of ``ln y`` over the doubling of x that starts there."""
        shapes = _shapes(np.concatenate([u, u + math.log(2.0)]), self.beta, self.shift, self.floor)
        return self._moments(shapes[:, : u.size] - shapes[:, u.size :])

    def _moments(self, values: Array) -> tuple[Array, Array]:
        mean = self.weight @ values
        return mean, np.sqrt(self.weight @ (values - mean) ** 2)


def average_of(curve: Curve) -> Average:
    """The average for a curve, from its own right end (the last u is 0). O(k n**2 + n**3) for k = 1188 laws."""
    shift = np.where(np.isinf(_SHIFT), 0.0, np.exp(np.minimum(_SHIFT, 1.0) * curve.u[0]))
    shapes = _shapes(curve.u, _BETA, shift, _PHI)
    residuals = curve.log_y - shapes
    level, score, variance = _recent(residuals, curve.weights(_RECENCY))
    weight = _weights(score + _LOG_PRIOR)
    missed = curve.log_y - weight @ (level[:, None] + shapes)
    trust = (_DEGREES + 1) / (_DEGREES + missed**2 / max(float(weight @ variance), 1e-18))
    levels, scores = _drifting(curve, residuals, trust)
    by_drift = _weights(scores + _LOG_PRIOR)
    drifting = by_drift.sum(axis=0)
    drifting_level = (by_drift * levels).sum(axis=0) / np.maximum(drifting, 1e-300)
    both = np.concatenate([weight, drifting])
    kept = both >= _NEGLIGIBLE * both.max()
    beta, shift, floor = (np.tile(values, 2)[kept] for values in (_BETA, shift, _PHI))
    return Average(beta, shift, floor, np.concatenate([level, drifting_level])[kept], both[kept] / both[kept].sum())


def _shapes(u: Array, beta: Array, shift: Array, floor: Array) -> Array:
    """``ln`` of each law, shape (k,), at each u, shape (m,), in units of its value at u = 0: shape (k, m)."""
    with np.errstate(divide="ignore"):
        log_shift, log_floor = np.log(shift), np.log(floor)  # -inf without a shift or a floor
    logs = np.logaddexp(u, log_shift[:, None]) - np.log1p(shift)[:, None]
    return np.logaddexp(log_floor[:, None], np.log1p(-floor)[:, None] - beta[:, None] * logs)


def _recent(residuals: Array, w: Array) -> tuple[Array, Array, Array]:
    """Level, log likelihood and squared scale of each law by a weighted t likelihood: EM from least squares."""
    w = w / w.sum()
    level = residuals @ w
    variance = (residuals - level[:, None]) ** 2 @ w
    for _ in range(4):
        v = w * (_DEGREES + 1) / (_DEGREES + _squares(residuals, level, variance))
        level = (v * residuals).sum(axis=1) / v.sum(axis=1)
        variance = (v * (residuals - level[:, None]) ** 2).sum(axis=1)
    tails = (_DEGREES + 1) / 2 * np.log1p(_squares(residuals, level, variance) / _DEGREES) @ w
    effective = 1 / float((w**2).sum())  # number of points (Kish 1965)
    return level, effective * (-0.5 * np.log(variance + _ROUNDING) - tails), variance


def _squares(residuals: Array, level: Array, variance: Array) -> Array:
    return np.asarray((residuals - level[:, None]) ** 2 / np.maximum(variance, 1e-12)[:, None])


def _drifting(curve: Curve, residuals: Array, trust: Array) -> tuple[Array, Array]:
    """Level and log likelihood of each drift and law, shape (drifts, k): generalised least squares of the level."""
    n, v = curve.u.size, curve.u / curve.u[0]
    least, gap = np.minimum(v[:, None], v[None]), np.abs(v[:, None] - v[None])
    precision = np.sqrt(trust * curve.counts / np.mean(trust * curve.counts))
    kernel = precision[:, None] * (least**3 / 3 + gap * least**2 / 2) * precision
    values, vectors = np.linalg.eigh(kernel)
    rotated, one = (residuals * precision) @ vectors, precision @ vectors
    shrink = 1 / (1 + _DRIFTS[:, None] * n * np.maximum(values, 0.0))  # (drifts, n)
    total = shrink @ one**2
    level = (shrink * one) @ rotated.T / total[:, None]
    rss = np.maximum(shrink @ (rotated**2).T - level**2 * total[:, None], 0.0)
    evidence = 0.5 * (np.log(shrink).sum(axis=1) - np.log(total))
    score = -0.5 * (n - 1) * np.log(rss / n + _ROUNDING) + evidence[:, None]
    return level, score * min(1.0, _ENOUGH / n)


def _weights(score: Array) -> Array:
    share = np.exp(score - score.max())
    return np.asarray(share / share.sum())
