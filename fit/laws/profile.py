"""The least-squares surface of ``L(x) = alpha * x**-beta + gamma`` as a function of beta.

For a given beta the law is linear in alpha and gamma. What a fit needs is therefore a one-dimensional search over
beta, with closed forms for the rest: the global optimum, and the extent of the region of parameters whose residual
sum of squares is within a limit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.laws.functions import law_at

BETA_MIN, BETA_MAX = 1e-3, 20.0
_GRID = np.geomspace(BETA_MIN, BETA_MAX, 200)
_ZOOM_FRACTIONS = np.linspace(0.0, 1.0, 41)  # each round of a refinement divides the bracket by twenty
_ROUNDS_TO_THE_LAST_DIGIT = 11
_FINE_GRID = np.geomspace(BETA_MIN, BETA_MAX, 250)  # for resampled curves, before they are polished
_COARSE_GRID, _COARSE_ROUNDS = _GRID[::3], 2
_POLISH = 2e-3  # step in ln beta between the points of the last parabola
_BATCH = 64  # curves at a time, so that the arrays fit into the cache


@dataclass(frozen=True)
class Solutions:
    """The best law for each of k exponents; every field is float64 of shape (..., k)."""

    beta: Array
    top: Array  # the excess over gamma at the smallest x, >= 0, in units of Profile.scale
    gamma: Array  # >= 0, in units of Profile.scale
    rss: Array  # weighted residual sum of squares, in units of Profile.scale squared

    def losses(self, distance: Array) -> Array:
        """The laws at ``ln(x / min(x))``, in units of Profile.scale: their broadcast shape."""
        return law_at(distance, self.top, self.beta, self.gamma)

    def at_x0(self, scale: float, x0_distance: float | Array) -> Array:
        """Laws of shape (m, 1) as rows (alpha at x0, beta, gamma), in the unit of the loss: shape (m, 3).

        Args:
            scale: Profile.scale.
            x0_distance: ``ln(x0 / min(x))``, one number or of shape (m, 1).
        """
        alpha_at_x0 = self.top * scale * np.exp(-self.beta * x0_distance)
        return np.concatenate([alpha_at_x0, self.beta, self.gamma * scale], axis=1)


@dataclass(frozen=True)
class Profile:
    """One curve, or many curves of n points each, prepared to be solved for any exponent.

    The last axis of every array holds the points; the axes before it, the curves, broadcast. A curve with fewer points
    has weight 0 at the others.

    Args:
        distance: ``ln(x / min(x))``, float64 of shape (..., n), >= 0. Measuring from the smallest x bounds
            ``x**-beta`` by 1 for every beta, and makes the result independent of the unit of x.
        y: The loss divided by ``scale``, float64 of shape (..., n), >= 0.
        weights: Non-negative, mean 1, float64 of shape (..., n).
        scale: The largest loss; dividing by it keeps squares of huge and tiny losses within range.
    """

    distance: Array
    y: Array
    weights: Array
    scale: float

    @property
    def floor(self) -> float:
        """The residual sum of squares due to rounding alone."""
        return float(self.weights.sum()) * 1e-30

    def total(self, values: Array) -> Array:
        """The weighted sum over the points, the last axis of ``values``.

        Not a BLAS product: its rounding depends on the machine and its settings.
        """
        return np.asarray((values * self.weights).sum(axis=-1))

    def solve(self, beta: Array) -> Solutions:
        """Non-negative least squares in (top, gamma) for each exponent: closed form, shape (..., k)."""
        free = self._unconstrained(beta)
        top, gamma, rss = free.top, free.gamma, free.rss
        feasible = (top >= 0) & (gamma >= 0)
        if feasible.all():
            return Solutions(beta=beta, top=top, gamma=gamma, rss=rss)
        # With two variables the optimum is the unconstrained one where that is feasible; otherwise it lies on an edge.
        no_slope = np.zeros_like(top), np.broadcast_to(free.mean, top.shape)
        no_floor = np.maximum(free.top_without_floor, 0.0), np.zeros_like(top)
        rss_no_slope, rss_no_floor = (self._rss(beta, *edge) for edge in (no_slope, no_floor))
        flat_is_better = rss_no_slope <= rss_no_floor
        edge_top = np.where(flat_is_better, no_slope[0], no_floor[0])
        edge_gamma = np.where(flat_is_better, no_slope[1], no_floor[1])
        return Solutions(
            beta=beta,
            top=np.where(feasible, top, edge_top),
            gamma=np.where(feasible, gamma, edge_gamma),
            rss=np.where(feasible, rss, np.minimum(rss_no_slope, rss_no_floor)),
        )

    def optimum(self) -> Solutions:
        """The global least-squares optimum of one curve, as Solutions of shape (1,).

        Every local minimum of a 200-point logarithmic grid is refined, so the result does not depend on a start.
        """
        best = self.exact_optima()
        return Solutions(best.beta[0], best.top[0], best.gamma[0], best.rss[0])

    def exact_optima(self) -> Solutions:
        """``optimum`` of each of m curves, as Solutions of shape (m, 1)."""
        return self._optima(_GRID, _ROUNDS_TO_THE_LAST_DIGIT)

    def optima(self) -> Solutions:
        """The global optimum of each of m curves, to six digits, as Solutions of shape (m, 1)."""
        if self.distance.ndim == 1 and self.weights.ndim == 1:
            return self._optima_of_one_design()
        n = self.distance.shape[-1]
        distance, y, weights = np.broadcast_arrays(self.distance, self.y, self.weights)
        distance, y, weights = (np.reshape(values, (-1, n)) for values in (distance, y, weights))
        parts = []
        for at in range(0, len(y), _BATCH):
            part = Profile(distance[at : at + _BATCH], y[at : at + _BATCH], weights[at : at + _BATCH], self.scale)
            parts.append(part._polished(part._optima(_COARSE_GRID, _COARSE_ROUNDS).beta))
        return Solutions(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("beta", "top", "gamma", "rss"))
        )

    def _optima_of_one_design(self) -> Solutions:
        """``optima`` for curves that share x and weights: a fine grid, then a parabola through its lowest points."""
        total = float(self.weights.sum())
        below = np.expm1(-_FINE_GRID[:, None] * self.distance)
        below_mean = self.total(below) / total
        centred, power_mean = below - below_mean[:, None], 1.0 + below_mean
        spread = self.total(centred**2)
        mean = self.total(self.y)[:, None] / total
        y_centred = self.y - mean
        # einsum, not BLAS: see ``total``
        top = np.einsum("mn,kn->mk", y_centred * self.weights, centred) / spread
        flat = self.total(y_centred**2)[:, None]
        no_floor = np.maximum(top * spread + total * power_mean * mean, 0.0)
        edges = np.minimum(flat, flat + total * mean**2 - no_floor**2 / (spread + total * power_mean**2))
        rss = np.where((top >= 0) & (mean >= top * power_mean), flat - top**2 * spread, edges)
        lowest = np.argmin(rss, axis=1)
        middle = np.clip(lowest, 1, _FINE_GRID.size - 2)
        shift = _vertex(*(_at(rss, middle + step) for step in (-1, 0, 1)))
        place = np.where(lowest == middle, middle + shift, lowest)
        beta = BETA_MIN * (BETA_MAX / BETA_MIN) ** (place / (_FINE_GRID.size - 1))
        return self._polished(beta[:, None])

    def _polished(self, beta: Array) -> Solutions:
        """Exponents near their optima, shape (m, 1), moved to the minimum of a parabola through three nearby points.

        A grid alone has the same error of 0.05 % in every resample: where the noise is small and intervals are narrow,
        they would miss the estimate itself.
        """
        betas = np.clip(beta * np.exp(_POLISH * np.array([-1.0, 0.0, 1.0])), BETA_MIN, BETA_MAX)
        shift = _vertex(*np.moveaxis(self.solve(betas).rss, -1, 0))
        return self.solve(np.clip(beta * np.exp(_POLISH * shift)[:, None], BETA_MIN, BETA_MAX))

    def _optima(self, grid: Array, rounds: int) -> Solutions:
        distance, y, weights = (np.atleast_2d(values) for values in (self.distance, self.y, self.weights))
        rss = np.broadcast_to(Profile(distance, y, weights, self.scale).solve(grid).rss, (len(y), grid.size))
        before, after = np.full((2, *rss.shape), np.inf)
        before[:, 1:], after[:, :-1] = rss[:, :-1], rss[:, 1:]
        valley = (rss <= before) & (rss <= after)
        valley[:, 1:] &= ~valley[:, :-1]  # count a flat stretch (a constant is best) once
        curve, at = np.nonzero(valley)
        distance, y, weights = (values[curve] if len(values) > 1 else values for values in (distance, y, weights))
        every, curves = Profile(distance, y, weights, self.scale), len(rss)
        low, high = grid[np.maximum(at - 1, 0)], grid[np.minimum(at + 1, grid.size - 1)]
        for _ in range(rounds):
            betas = _between(low, high)
            best = np.argmin(every.solve(betas).rss, axis=-1)
            low = _at(betas, np.maximum(best - 1, 0))
            high = _at(betas, np.minimum(best + 1, betas.shape[-1] - 1))
            beta = _at(betas, best)
        found = every.solve(beta[:, None])
        order = np.lexsort((found.beta[:, 0], found.rss[:, 0], curve))  # the best minimum of each curve first
        first = order[np.searchsorted(curve[order], np.arange(curves))]
        return Solutions(found.beta[first], found.top[first], found.gamma[first], found.rss[first])

    def beta_region(self, best: float, limit: float) -> tuple[float, float]:
        """The smallest and largest exponent whose residual sum of squares is at most ``limit``.

        Args:
            best: The exponent at the optimum.
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
        (top, gamma), cut by top >= 0 and gamma >= 0. A linear function of the two, such as the loss at an x,
        takes its extremes on the rim of the ellipse, where the rim meets an edge, or in the corner.

        Args:
            beta: Exponents, shape (k,).
            limit: Residual sum of squares, in units of scale squared.
            distance: ``ln(x / min(x))`` at the places, shape (m,); ``inf`` stands for gamma itself.

        Returns:
            (low, high): shape (k, m), in units of scale; (inf, -inf) for an exponent without such a law.
        """
        free = self._unconstrained(beta)
        slack = limit - free.rss
        # loss = factor * top + gamma; e**300 stands for any larger factor, far to the left of the data
        factor = np.exp(np.minimum(-beta[:, None] * distance[None, :], 300.0))  # (k, m)
        return self._extreme(free, slack, factor, -1.0), self._extreme(free, slack, factor, 1.0)

    def tops(self, beta: Array, limit: float) -> tuple[Array, Array]:
        """The smallest and largest ``top`` over all laws within a limit, for each exponent: shape (k,)."""
        free = self._unconstrained(beta)
        slack = limit - free.rss
        only_top = np.ones((beta.size, 1))
        low = self._extreme(free, slack, only_top, -1.0, gamma_factor=0.0)
        high = self._extreme(free, slack, only_top, 1.0, gamma_factor=0.0)
        return low[:, 0], high[:, 0]

    def _unconstrained(self, beta: Array) -> "_Free":
        """Least squares in (top, gamma) without sign constraints, solved about the mean for precision."""
        weights = self.weights[..., None, :]
        total = self.weights.sum(axis=-1, keepdims=True)
        below = np.expm1(-beta[..., None] * self.distance[..., None, :])  # x**-beta minus 1, without cancellation
        below_mean = (below * weights).sum(axis=-1) / total
        centred = below - below_mean[..., None]
        mean = (self.y * self.weights).sum(axis=-1, keepdims=True) / total
        y_centred = (self.y - mean)[..., None, :]
        weighted = centred * weights
        spread = np.maximum((weighted * centred).sum(axis=-1), 1e-300)  # 0 for a curve with one x
        top = (weighted * y_centred).sum(axis=-1) / spread
        residuals = y_centred - top[..., None] * centred
        power_mean = 1.0 + below_mean
        # sums about the mean again: x**-beta times y, and its square
        cross, square = top * spread + total * power_mean * mean, spread + total * power_mean**2
        return _Free(
            top=top,
            mean=mean,
            gamma=mean - top * power_mean,
            rss=(residuals**2 * weights).sum(axis=-1),
            spread=spread,
            power_mean=power_mean,
            total=total,
            top_without_floor=cross / square,
        )

    def _rss(self, beta: Array, top: Array, gamma: Array) -> Array:
        law = law_at(self.distance[..., None, :], top[..., None], beta[..., None], gamma[..., None])
        residuals = self.y[..., None, :] - law
        return (residuals**2 * self.weights[..., None, :]).sum(axis=-1)

    def _crossing(self, inside: float, outside: float, limit: float) -> float:
        """The exponent between two neighbours at which the residual sum of squares meets the limit."""
        for _ in range(6):
            betas = _between(np.array([inside]), np.array([outside]))[0]
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
        # The ellipse is parallel to the axes of (top, level) with level = gamma + top * mean(x**-beta).
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
    """The least-squares surface of points: x, losses and weights of mean 1, each float64 of shape (n,)."""
    logs = np.log(xs)
    scale = float(ys.max()) or 1.0
    return Profile(distance=logs - logs.min(), y=ys / scale, weights=ws, scale=scale)


def least_over_beta(objective: Callable[[Array], Array], known: ArrayLike, places: int) -> float:
    """The least value of a function of the exponent.

    Args:
        objective: Maps exponents to values, both of shape (k,).
        known: Exponents that are likely to be good; they are added to the grid.
        places: Size of the logarithmic grid, whose best place is refined.
    """
    betas = np.unique(np.append(np.geomspace(BETA_MIN, BETA_MAX, places), known))
    for _ in range(8):
        values = objective(betas)
        at = int(np.argmin(values))
        low, high = betas[max(at - 1, 0)], betas[min(at + 1, betas.size - 1)]
        betas = np.unique(np.append(low * (high / low) ** np.linspace(0.0, 1.0, 21), betas[at]))
    return float(values[at])


def at_bounds(betas: Array) -> tuple[bool, bool]:
    """Whether sorted exponents reach the lower and the upper end of the search."""
    return bool(betas[0] <= BETA_MIN * 1.001), bool(betas[-1] >= BETA_MAX / 1.001)


@dataclass(frozen=True)
class _Free:
    """Unconstrained least squares for k exponents; arrays of shape (..., k) unless a comment says otherwise."""

    top: Array
    mean: Array  # (..., 1)
    gamma: Array
    rss: Array
    spread: Array  # weighted sum of squares of x**-beta about its mean
    power_mean: Array  # weighted mean of x**-beta
    total: Array  # sum of the weights, (..., 1)
    top_without_floor: Array  # the best top where gamma is 0


def _between(low: Array, high: Array) -> Array:
    """Points from low to high, both positive and of shape (m,), equally spaced in the logarithm: (m, 41)."""
    betas = low[:, None] * (high / low)[:, None] ** _ZOOM_FRACTIONS
    betas[:, -1] = high  # rounding must not leave the bracket
    return betas


def _vertex(before: Array, at: Array, after: Array) -> Array:
    """Where in [-1, 1] the parabola through the values at -1, 0 and 1 is lowest; 0 where it has no minimum."""
    bend = before - 2 * at + after
    shift = np.where(bend > 0, (before - after) / 2 / np.where(bend > 0, bend, 1.0), 0.0)
    return np.clip(shift, -1.0, 1.0)


def _at(values: Array, index: Indices) -> Array:
    """The value at one index of each row: values (m, k), index (m,), the result (m,)."""
    return np.take_along_axis(values, index[:, None], axis=1)[:, 0]
