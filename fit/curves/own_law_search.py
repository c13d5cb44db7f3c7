"""The best of many local optima of a form of one's own, and how its residuals bound the parameters."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from tfrs_scaling.common.arrays import Array, Indices, Interval
from tfrs_scaling.fit.laws.resampling import corrected, has_clusters

Form = Callable[..., Any]

_DOUBLINGS = 12  # of the distance from the optimum within which the end of an interval is looked for
_EXACT = 1e-12  # relative misfit that is rounding
_POLISHED = 3  # of the optima found
_LARGEST = 1e8  # residual, as a multiple of the largest y: beyond it a form is as wrong as can be


@dataclass(frozen=True)
class Optimum:
    """Parameters, shape (p,), and their weighted residual sum of squares."""

    theta: Array
    rss: float


@dataclass(frozen=True)
class Problem:
    """Points, a form and the bounds of its parameters; ``root`` holds the square roots of the weights."""

    form: Form
    x: Array
    y: Array
    root: Array
    low: Array
    high: Array

    def residuals(self, theta: Array) -> Array:
        """Weighted residuals; large where the form is not defined, so that no step goes there."""
        values, largest = values_of(self.form, self.x, theta) - self.y, _LARGEST * (1 + float(np.abs(self.y).max()))
        return self.root * np.clip(np.where(np.isnan(values), largest, values), -largest, largest)

    def jacobian(self, theta: Array) -> Array:
        """Of the weighted residuals, shape (n, p)."""
        return jacobian_of(self.residuals, theta)

    def local(self, start: Array, free: Array, *, exact: bool = True) -> Optimum:
        """The local optimum from a start, over the parameters that ``free``, shape (p,), marks."""
        if not free.any():
            return Optimum(start, float(np.sum(self.residuals(start) ** 2)))

        def residuals(some: Array) -> Array:
            theta = start.copy()
            theta[free] = some
            return self.residuals(theta)

        inside = np.clip(start, self.low, self.high)[free]
        tolerance, steps = (1e-13, 200) if exact else (1e-6, 40)
        found = optimize.least_squares(
            residuals, inside, "3-point" if exact else "2-point", (self.low[free], self.high[free]), x_scale="jac",
            xtol=tolerance, ftol=tolerance, gtol=tolerance, max_nfev=steps,
        )  # fmt: skip
        theta = start.copy()
        theta[free] = found.x
        return Optimum(theta, 2 * float(found.cost))

    def optimum(self, starts: Array) -> Optimum:
        """The best local optimum from several starts, shape (k, p)."""
        usable = [each for each in starts if np.isfinite(values_of(self.form, self.x, each)).all()]
        if not usable:
            raise ValueError(
                f"f has no finite values at start = {starts[0].tolist()}, nor at {len(starts) - 1} other places; "
                "give a start where it has"
            )
        everything = np.full(starts.shape[1], True)
        with np.errstate(all="ignore"):
            rough = sorted((self.local(each, everything, exact=False) for each in usable), key=lambda found: found.rss)
            polished = (self.local(found.theta, everything) for found in rough[:_POLISHED])
            return min(polished, key=lambda found: found.rss)

    def profiled(self, best: Optimum, excess: float) -> tuple[Optimum, list[Interval]]:
        """The interval of each parameter; and the optimum, should one better be met on the way."""
        while True:
            ends = []
            for at in range(best.theta.size):
                pair = [self._end(best, at, sign, excess) for sign in (-1, 1)]
                better = [end for end in pair if isinstance(end, Optimum)]
                if better:
                    best = self.local(better[0].theta, np.full(best.theta.size, True))
                    break
                ends.append((float(pair[0]), float(pair[1])))  # type: ignore[arg-type]  # no optimum among them
            else:
                return best, ends

    def _end(self, best: Optimum, at: int, sign: int, excess: float) -> float | Optimum:
        """One end of the interval of a parameter, or an optimum that is better than the best."""
        floor = self.x.size * (_EXACT * (1 + float(np.abs(self.y).max()))) ** 2
        limit = max(best.rss, floor) * (1 + excess)
        free, middle = np.arange(best.theta.size) != at, float(best.theta[at])
        bound = float(self.high[at] if sign > 0 else self.low[at])
        covariance = covariance_of(self.jacobian(best.theta), math.sqrt(max(best.rss, floor) * excess))
        step = math.sqrt(covariance[at, at]) if covariance is not None else 0.1 * abs(middle)
        step = step if 0 < step < math.inf else 0.1 * abs(middle) or 0.1
        warm, inside, outside = best.theta, middle, math.nan
        found = best

        def above(value: float) -> float:
            nonlocal found
            theta = warm.copy()
            theta[at] = value
            with np.errstate(all="ignore"):
                found = self.local(theta, free)
            return found.rss - limit

        for doubling in range(_DOUBLINGS):
            value = middle + sign * step * 2.0**doubling
            value = min(value, bound) if sign > 0 else max(value, bound)
            if above(value) > 0:
                outside = value
                break
            if found.rss < best.rss * (1 - 1e-9) - floor:
                return found
            warm, inside = found.theta, value
            if value == bound:
                return bound
        if math.isnan(outside):
            return sign * math.inf
        tolerance = 1e-7 * abs(outside - middle)
        return (
            float(optimize.brentq(above, inside, outside, xtol=max(tolerance, 5e-324), rtol=1e-12))
            if (above(inside) < 0)
            else inside
        )


def values_of(f: Form, x: Array, theta: Array) -> Array:
    """The form at x, shape (n,).

    Raises:
        ValueError: f returns complex numbers, or another shape.
    """
    with np.errstate(all="ignore"):
        returned = np.asarray(f(x, *theta.tolist()))
    if returned.dtype.kind == "c":
        raise ValueError("f returned complex numbers; it must return real ones, or NaN where it is not defined")
    values = returned.astype(np.float64)
    if values.shape not in ((), x.shape):
        raise ValueError(f"f returned shape {values.shape} for x of shape {x.shape}; it must return one y for each x")
    return np.broadcast_to(values, x.shape)


def jacobian_of(function: Callable[[Array], Array], theta: Array) -> Array:
    """Central differences, shape (n, p)."""
    steps = np.cbrt(np.finfo(np.float64).eps) * np.maximum(np.abs(theta), 1e-8)
    columns = []
    for at, step in enumerate(steps):
        shift = np.zeros_like(theta)
        shift[at] = step
        columns.append((function(theta + shift) - function(theta - shift)) / (2 * step))
    return np.stack(columns, axis=1)


def covariance_of(
    jacobian: Array, noise: float, residuals: Array | None = None, groups: Indices | None = None
) -> Array | None:
    """Covariance of the estimates, shape (p, p); None where the points do not determine them.

    Args:
        jacobian: Of the weighted residuals, shape (n, p).
        noise: Standard deviation of a weighted residual, for points on their own.
        residuals: Weighted residuals, shape (n,), where points are grouped.
        groups: The group of each point, numbered from 0, shape (n,). Where they are clusters, the covariance is that of
            their scores (CR2; Bell and McCaffrey 2002).
    """
    scale = np.sqrt((jacobian**2).sum(axis=0))
    if not np.isfinite(jacobian).all() or (scale == 0).any():
        return None
    left, values, right = np.linalg.svd(jacobian / scale, full_matrices=False)
    if values[-1] < 1e-10 * values[0]:
        return None
    middle = noise**2 * np.eye(values.size)
    if residuals is not None and groups is not None and has_clusters(groups):
        scores = np.zeros((int(groups.max()) + 1, values.size))
        np.add.at(scores, groups, left * corrected(residuals, left, groups)[:, None])
        middle = scores.T @ scores
    inverse = right.T / values / scale[:, None]
    return np.asarray(inverse @ middle @ inverse.T)
