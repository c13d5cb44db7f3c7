"""The least-squares surface of ``L(x) = alpha * x**-beta + gamma``, seen along beta.

For a given beta the law is linear in its two other parameters. Everything a fit needs is then a search
along one line, with closed forms across it: the global optimum, and the exact extent of the region of
parameters that explain the data almost as well as the best ones do.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BETA_MIN, BETA_MAX = 1e-3, 20.0
_GRID = np.geomspace(BETA_MIN, BETA_MAX, 200)
_ZOOM_POINTS = 21  # each round of the refinement makes the bracket ten times narrower


@dataclass(frozen=True)
class Solutions:
    """The best law for each of k exponents; every field is float64 of shape (k,)."""

    beta: Array
    top: Array  # the excess over gamma at the smallest x, >= 0, in units of Profile.scale
    gamma: Array  # >= 0, in units of Profile.scale
    rss: Array  # weighted residual sum of squares, in units of Profile.scale squared


@dataclass(frozen=True)
class Profile:
    """One data set, prepared to be solved for any exponent.

    Args:
        distance: ``ln(x / min(x))``, float64 of shape (n,), >= 0. Measuring from the smallest x bounds
            ``x**-beta`` by 1 for every beta, and makes the answer the same whatever unit x is in.
        y: The loss divided by ``scale``, float64 of shape (n,), >= 0.
        weights: Non-negative, mean 1, float64 of shape (n,).
        scale: The largest loss; dividing by it keeps squares of huge and tiny losses within range.
    """

    distance: Array
    y: Array
    weights: Array
    scale: float

    @property
    def floor(self) -> float:
        """The residual sum of squares that rounding alone leaves."""
        return float(self.weights.sum()) * 1e-30

    def total(self, values: Array) -> Array:
        """The weighted sum over the points, the last axis of ``values``.

        Not a BLAS product: those round differently from one machine, or one setting, to the next.
        """
        return np.asarray((values * self.weights).sum(axis=-1))

    def solve(self, beta: Array) -> Solutions:
        """Non-negative least squares in (top, gamma) for each exponent: closed form, shape (k,)."""
        free = self._unconstrained(beta)
        # With two variables the optimum is the free one where that is feasible, else it lies on an edge.
        no_slope = np.zeros_like(beta), np.full_like(beta, free.mean)
        no_floor = np.maximum(free.top_without_floor, 0.0), np.zeros_like(beta)
        options = [self._residuals(beta, top, gamma) for top, gamma in (no_slope, no_floor)]
        flat_is_better = options[0] <= options[1]
        top = np.where(flat_is_better, no_slope[0], no_floor[0])
        gamma = np.where(flat_is_better, no_slope[1], no_floor[1])
        feasible = (free.top >= 0) & (free.gamma >= 0)
        top, gamma = np.where(feasible, free.top, top), np.where(feasible, free.gamma, gamma)
        rss = np.where(feasible, free.rss, np.minimum(*options))
        return Solutions(beta=beta, top=top, gamma=gamma, rss=rss)

    def optimum(self) -> Solutions:
        """The global least-squares optimum, as Solutions of shape (1,).

        Every valley of a 200-point logarithmic grid is refined, so there is no start to be lucky with.
        """
        rss = self.solve(_GRID).rss
        padded = np.concatenate([[np.inf], rss, [np.inf]])
        valleys = np.flatnonzero((rss <= padded[:-2]) & (rss <= padded[2:]))
        # A flat stretch (the best law is a constant) is one valley, not two hundred.
        valleys = valleys[np.concatenate([[True], np.diff(valleys) > 1])]
        last = _GRID.size - 1
        refined = np.array(
            [_zoom(lambda b: self.solve(b).rss, _GRID[max(i - 1, 0)], _GRID[min(i + 1, last)]) for i in valleys]
        )
        solutions = self.solve(refined)
        best = int(np.argmin(solutions.rss))
        return self.solve(refined[best : best + 1])

    def beta_region(self, best: float, limit: float) -> tuple[float, float]:
        """The smallest and largest exponent whose residual sum of squares is at most ``limit``.

        Args:
            best: The exponent of the optimum.
            limit: Residual sum of squares, at least that of the optimum.

        Returns:
            (low, high), within BETA_MIN and BETA_MAX.
        """
        betas = np.unique(np.append(_GRID, best))
        inside = np.flatnonzero((self.solve(betas).rss <= limit) | (betas == best))
        first, last = int(inside[0]), int(inside[-1])
        low, high = float(betas[first]), float(betas[last])
        if first > 0:
            low = self._crossing(low, float(betas[first - 1]), limit)
        if last < betas.size - 1:
            high = self._crossing(high, float(betas[last + 1]), limit)
        return low, high

    def extremes(self, beta: Array, limit: float, distance: Array) -> tuple[Array, Array]:
        """The smallest and largest loss over all laws within a limit, for each exponent and place.

        For a given exponent the laws whose residual sum of squares is at most ``limit`` fill an ellipse in
        (top, gamma), cut by top >= 0 and gamma >= 0. A linear function of them, such as the loss somewhere,
        is largest where the ellipse is, or where its rim meets an edge, or in the corner.

        Args:
            beta: Exponents, shape (k,).
            limit: Residual sum of squares, in units of scale squared.
            distance: ``ln(x / min(x))`` of the places, shape (m,); ``inf`` asks for gamma itself.

        Returns:
            (low, high): shape (k, m), in units of scale; (inf, -inf) for an exponent with no such law.
        """
        free = self._unconstrained(beta)
        slack = limit - free.rss
        # loss = factor * top + gamma; far to the left a factor of e**700 stands for "beyond all bounds"
        factor = np.exp(np.minimum(-beta[:, None] * distance[None, :], 700.0))  # (k, m)
        return self._extreme(free, slack, factor, -1.0), self._extreme(free, slack, factor, 1.0)

    def tops(self, beta: Array, limit: float) -> tuple[Array, Array]:
        """The smallest and largest ``top`` over all laws within a limit, per exponent: shape (k,)."""
        free = self._unconstrained(beta)
        slack = limit - free.rss
        only_top = np.ones((beta.size, 1))
        low = self._extreme(free, slack, only_top, -1.0, gamma_factor=0.0)
        high = self._extreme(free, slack, only_top, 1.0, gamma_factor=0.0)
        return low[:, 0], high[:, 0]

    def _unconstrained(self, beta: Array) -> "_Free":
        """Least squares in (top, gamma) without their signs, solved about the mean for precision."""
        total = float(self.weights.sum())
        below = np.expm1(-beta[:, None] * self.distance[None, :])  # x**-beta minus 1, without cancellation
        below_mean = self.total(below) / total
        centred = below - below_mean[:, None]
        mean = float(self.total(self.y)) / total
        y_centred = self.y - mean
        spread = self.total(centred**2)
        top = self.total(centred * y_centred) / spread
        residuals = y_centred[None, :] - top[:, None] * centred
        power = 1.0 + below
        return _Free(
            top=top,
            mean=mean,
            gamma=mean - top * (1.0 + below_mean),
            rss=self.total(residuals**2),
            spread=spread,
            power_mean=1.0 + below_mean,
            total=total,
            top_without_floor=self.total(power * self.y) / self.total(power**2),
        )

    def _residuals(self, beta: Array, top: Array, gamma: Array) -> Array:
        predicted = top[:, None] * np.exp(-beta[:, None] * self.distance[None, :]) + gamma[:, None]
        return self.total((self.y[None, :] - predicted) ** 2)

    def _crossing(self, inside: float, outside: float, limit: float) -> float:
        """The exponent between two neighbours at which the residual sum of squares meets the limit."""
        for _ in range(8):
            betas = np.geomspace(inside, outside, _ZOOM_POINTS)
            betas[[0, -1]] = inside, outside
            beyond = self.solve(betas).rss > limit
            beyond[0], beyond[-1] = False, True
            first = int(np.argmax(beyond))
            inside, outside = float(betas[first - 1]), float(betas[first])
        return inside

    def _extreme(self, free: "_Free", slack: Array, factor: Array, sign: float, gamma_factor: float = 1.0) -> Array:
        """The extreme of ``factor * top + gamma_factor * gamma``, shape (k, m); see ``extremes``."""
        room = np.maximum(slack, 0.0)[:, None]
        top, spread = free.top[:, None], free.spread[:, None]
        power_mean, total = free.power_mean[:, None], free.total
        # In (top, level) with level = gamma + top * mean(x**-beta) the ellipse stands upright.
        along_top = (factor - gamma_factor * power_mean) / np.sqrt(spread)
        along_level = gamma_factor / np.sqrt(total)
        length = np.hypot(along_top, along_level)
        reach = sign * np.sqrt(room) / np.where(length > 0, length, 1.0)
        rim_top = top + reach * along_top / np.sqrt(spread)
        rim_gamma = free.mean + reach * along_level / np.sqrt(total) - rim_top * power_mean
        candidates = [(rim_top, rim_gamma, room >= 0)]

        left = room - spread * top**2  # on the edge top = 0
        step = np.sqrt(np.maximum(left, 0.0) / total)
        candidates += [(0.0 * top, free.mean + s * step, left >= 0) for s in (-1.0, 1.0)]

        edge = free.top_without_floor[:, None]  # on the edge gamma = 0
        curvature = spread + total * power_mean**2
        left = room - spread * (edge - top) ** 2 - total * (edge * power_mean - free.mean) ** 2
        step = np.sqrt(np.maximum(left, 0.0) / curvature)
        candidates += [(edge + s * step, 0.0 * top, left >= 0) for s in (-1.0, 1.0)]

        in_corner = room >= spread * top**2 + total * free.mean**2
        candidates.append((0.0 * top, 0.0 * top, in_corner))

        best = np.full(factor.shape, -np.inf)
        for a, gamma, exists in candidates:
            feasible = exists & (a >= 0) & (gamma >= 0) & (slack >= 0)[:, None]
            best = np.maximum(best, np.where(feasible, sign * (factor * a + gamma_factor * gamma), -np.inf))
        return sign * best


def profile_of(xs: Array, ys: Array, ws: Array) -> Profile:
    """The least-squares surface of points that ``checked_points`` returned."""
    logs = np.log(xs)
    scale = float(ys.max()) or 1.0
    return Profile(distance=logs - logs.min(), y=ys / scale, weights=ws, scale=scale)


def at_bounds(betas: Array) -> tuple[bool, bool]:
    """Whether sorted exponents reach the lower and the upper end of the search."""
    return bool(betas[0] <= BETA_MIN * 1.001), bool(betas[-1] >= BETA_MAX / 1.001)


@dataclass(frozen=True)
class _Free:
    """Least squares without signs, for k exponents; arrays of shape (k,)."""

    top: Array
    mean: float
    gamma: Array
    rss: Array
    spread: Array  # weighted sum of squares of x**-beta about its mean
    power_mean: Array  # weighted mean of x**-beta
    total: float  # sum of the weights
    top_without_floor: Array  # the best top where gamma is 0


def _zoom(objective: Callable[[Array], Array], low: float, high: float) -> float:
    """The minimiser between two positive bounds, to the last digits, by ever finer grids."""
    for _ in range(14):
        grid = np.geomspace(low, high, _ZOOM_POINTS)
        grid[[0, -1]] = low, high  # geomspace may round its ends
        best = int(np.argmin(objective(grid)))
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, _ZOOM_POINTS - 1)])
    return float(grid[best])
