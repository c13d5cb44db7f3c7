"""The objective of ``L(n, d) = E + A / n**a + B / d**b`` over its five parameters, and its global minimum.

It avoids two traps. L-BFGS at its default tolerance, started from published values, stops in the valley before
the minimum (Besiroglu et al. 2024, "Chinchilla Scaling: A replication attempt"): here Newton steps with exact second
derivatives continue until the objective no longer falls. And a few starts may miss the right valley: here every
local minimum of a grid over (a, b) is a start, with a closed form for the other three parameters (variable
projection, Golub and Pereyra 1973).
"""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from tfrs_scaling.common.arrays import Array, Mask

Objective = Literal["rss", "huber_log"]

EXPONENT_MIN, EXPONENT_MAX = 1e-3, 20.0
_GRID = np.geomspace(EXPONENT_MIN, EXPONENT_MAX, 48)
_MOST_STARTS = 24
_MOST_STEPS = 300
_LOWER = np.array([0.0, 0.0, EXPONENT_MIN, 0.0, EXPONENT_MIN])
_UPPER = np.array([np.inf, np.inf, EXPONENT_MAX, np.inf, EXPONENT_MAX])
_TINY = 1e-100  # of the largest loss: smaller losses are replaced by it in divisions and logarithms
_STEEPEST = 1e12  # damping above which a step no longer changes a float64


@dataclass(frozen=True)
class Surface:
    """One data set and an objective.

    Parameters are rows (E, A, a, B, b) of float64 arrays of shape (k, 5); E, A and B are in units of ``scale``,
    A and B stated at the smallest n and d, which bounds every power by 1.

    Args:
        u: ``ln(n / min(n))``, shape (m,).
        v: ``ln(d / min(d))``, shape (m,).
        y: The loss divided by ``scale``, shape (m,).
        scale: The largest loss; dividing by it keeps squares of huge and tiny losses within range.
        objective: ``rss``, the sum of ``(y - L)**2``, or ``huber_log``, the sum of Huber's function of
            ``ln y - ln L``: ``r**2 / 2`` where ``|r| <= delta``, else ``delta * (|r| - delta / 2)``.
        delta: Huber's threshold.
    """

    u: Array
    v: Array
    y: Array
    scale: float
    objective: Objective
    delta: float

    def only(self, chosen: Mask) -> "Surface":
        """Some of the points, their parameters in the same units: the smallest n and d must be among them."""
        return replace(self, u=self.u[chosen], v=self.v[chosen], y=self.y[chosen])

    def law(self, theta: Array) -> Array:
        """The law at the points: from shape (k, 5) to (k, m)."""
        p, q = self._powers(theta)
        return theta[:, :1] + theta[:, 1:2] * p + theta[:, 3:4] * q

    def residuals(self, theta: Array, y: Array | None = None) -> Array:
        """``y - L`` in units of scale, or ``ln y - ln L``: shape (k, m)."""
        y, law = self.y if y is None else y, self.law(theta)
        if self.objective == "rss":
            return np.asarray(y - law)
        return np.asarray(np.log(np.maximum(y, _TINY)) - np.log(np.maximum(law, _TINY)))

    def slopes(self, theta: Array) -> Array:
        """Derivatives of what ``residuals`` subtracts by the parameters: shape (k, m, 5)."""
        p, q = self._powers(theta)
        slopes = np.stack([np.ones_like(p), p, -self.u * theta[:, 1:2] * p, q, -self.v * theta[:, 3:4] * q], axis=-1)
        return slopes if self.objective == "rss" else slopes / np.maximum(self.law(theta), _TINY)[..., None]

    def majorants(self, r: Array) -> Array:
        """The weights of least squares that has the objective's gradient at residuals r, relative to 1: shape of r."""
        if self.objective == "rss":
            return np.ones_like(r)
        size = np.abs(r)
        return np.where(size <= self.delta, 1.0, self.delta / np.maximum(size, self.delta))

    def value(self, theta: Array, y: Array | None = None, weights: Array | None = None) -> Array:
        """The objective, shape (k,); ``weights`` is how much each point counts, shape (m,) or (k, m)."""
        terms = self._rho(self.residuals(theta, y))
        return np.asarray((terms if weights is None else terms * weights).sum(axis=-1))

    def minimum(self) -> Array:
        """The global minimum, shape (5,)."""
        starts = self._starts()
        found = self.polish(starts)
        return np.asarray(found[int(np.argmin(self.value(found)))])

    def polish(self, theta: Array, y: Array | None = None, weights: Array | None = None) -> Array:
        """Descend from each start to its local minimum by damped Newton steps within the bounds.

        Args:
            theta: Starts, shape (k, 5).
            y: Losses in units of scale, if they differ between starts, shape (k, m).
            weights: How much each point counts, shape (k, m).

        Returns:
            The minima, shape (k, 5).
        """
        k, m = theta.shape[0], self.u.size
        theta = np.clip(theta, _LOWER, _UPPER)
        ys = np.broadcast_to(self.y if y is None else y, (k, m))
        ws = np.broadcast_to(np.ones(m) if weights is None else weights, (k, m))
        value, damping = self.value(theta, ys, ws), np.full(k, 1e-3)
        quiet = np.zeros(k, dtype=int)
        going = np.arange(k)
        for _ in range(_MOST_STEPS):
            here, here_y, here_weights = theta[going], ys[going], ws[going]
            trial = self._step(here, here_y, here_weights, damping[going])
            trial_value = self.value(trial, here_y, here_weights)
            better = trial_value < value[going]
            # A decrease in the last digits only, twice in a row, is rounding.
            slight = ~better | (value[going] - trial_value <= 1e-15 * value[going])
            theta[going[better]], value[going[better]] = trial[better], trial_value[better]
            damping[going] = np.where(better, damping[going] * 0.1, damping[going] * 8.0)
            damping[going] = np.maximum(damping[going], 1e-14)
            quiet[going] = np.where(better & slight, quiet[going] + 1, np.where(better, 0, quiet[going]))
            still = (trial == here).all(axis=1)
            going = going[~still & (damping[going] < _STEEPEST) & (quiet[going] < 2)]
            if going.size == 0:
                break
        return theta

    def _powers(self, theta: Array) -> tuple[Array, Array]:
        return np.exp(-theta[:, 2:3] * self.u), np.exp(-theta[:, 4:5] * self.v)

    def _rho(self, r: Array) -> Array:
        if self.objective == "rss":
            return np.asarray(r**2)
        size = np.abs(r)
        return np.where(size <= self.delta, 0.5 * r**2, self.delta * (size - 0.5 * self.delta))

    def _step(self, theta: Array, y: Array, weights: Array, damping: Array) -> Array:
        """One damped Newton step from each of k places, clipped at the bounds."""
        p, q = self._powers(theta)
        big_a, big_b = theta[:, 1:2], theta[:, 3:4]
        slopes, r = self.slopes(theta), self.residuals(theta, y)
        majorant = self.majorants(r)
        if self.objective == "rss":
            pull = bend = 2 * r
            curvature = majorant = 2 * majorant
        else:
            psi = majorant * r
            pull, curvature = psi, np.where(np.abs(r) <= self.delta, 1.0, 0.0) + psi
            bend = psi / np.maximum(self.law(theta), _TINY)
        gradient = -(slopes * (pull * weights)[..., None]).sum(axis=1)
        hessian = np.swapaxes(slopes * (curvature * weights)[..., None], 1, 2) @ slopes
        bend = bend * weights  # second derivatives of the law: those in (A, a), (a, a), (B, b) and (b, b).
        for i, x, power, top in ((1, self.u, p, big_a), (3, self.v, q, big_b)):
            mixed = (bend * x * power).sum(axis=1)
            hessian[:, i, i + 1] += mixed
            hessian[:, i + 1, i] += mixed
            hessian[:, i + 1, i + 1] -= (bend * top * x**2 * power).sum(axis=1)
        sizes = (slopes**2 * (majorant * weights)[..., None]).sum(axis=1)
        frozen = ((theta <= _LOWER) & (gradient > 0)) | ((theta >= _UPPER) & (gradient < 0))
        frozen = frozen | (sizes <= 1e-28 * sizes.max(axis=1, keepdims=True))  # a has no effect where A is 0
        unit = np.sqrt(np.where(frozen, 1.0, sizes))
        gradient = np.where(frozen, 0.0, gradient) / unit
        hessian = np.where(frozen[:, :, None] | frozen[:, None, :], 0.0, hessian) / (
            unit[:, :, None] * unit[:, None, :]
        )
        hessian += (damping[:, None] + frozen)[:, :, None] * np.eye(5)
        step = -np.linalg.solve(hessian, gradient[..., None])[..., 0] / unit
        return np.clip(theta + step, _LOWER, _UPPER)

    def _starts(self) -> Array:
        """The local minima of a grid over (a, b), the lowest first: shape (k, 5)."""
        theta = self._projected()
        values = self.value(theta).reshape(_GRID.size, _GRID.size)
        around = np.pad(values, 1, constant_values=np.inf)
        size = _GRID.size
        neighbours = [
            around[1 + i : 1 + i + size, 1 + j : 1 + j + size] for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j
        ]
        valley = (values[None] <= np.stack(neighbours)).all(axis=0).ravel()
        order = np.argsort(values.ravel(), kind="stable")
        # The lowest places as well: a narrow diagonal valley may lie between the lines of the grid.
        chosen = np.concatenate([order[valley[order]][: _MOST_STARTS // 2], order])
        first = np.unique(chosen, return_index=True)[1]
        return np.asarray(theta[chosen[np.sort(first)][:_MOST_STARTS]])

    def _projected(self) -> Array:
        """Non-negative (relative, for huber_log) least squares in (E, A, B) at every place of the grid.

        Each of the seven non-empty subsets of the three variables is tried as the set of those above 0; the best
        feasible solution is the optimum.
        """
        weight = np.ones_like(self.y) if self.objective == "rss" else 1 / np.maximum(self.y, _TINY) ** 2
        weight = weight / weight.max()
        a, b = (grid.ravel() for grid in np.meshgrid(_GRID, _GRID, indexing="ij"))
        # About the smallest place 1 - x**-a is small with a: products of these differences stay exact.
        p, q = np.exp(-_GRID[:, None] * self.u), np.exp(-_GRID[:, None] * self.v)
        one = np.ones((1, self.y.size))
        sums = {
            (i, j): ((left * weight)[:, None, :] * right[None, :, :]).sum(axis=-1)
            for (i, left), (j, right) in combinations(enumerate((one, p, q, self.y[None, :])), 2)
        }
        squares = [(column**2 * weight).sum(axis=-1) for column in (one, p, q)]
        k = a.size
        shape = (_GRID.size, _GRID.size)

        def spread(values: Array, axis: int) -> Array:
            return np.broadcast_to(values.reshape((-1, 1) if axis == 0 else (1, -1)), shape).ravel()

        gram = np.empty((k, 3, 3))
        gram[:, 0, 0] = squares[0][0]
        gram[:, 1, 1], gram[:, 2, 2] = spread(squares[1], 0), spread(squares[2], 1)
        gram[:, 0, 1] = gram[:, 1, 0] = spread(sums[0, 1], 0)
        gram[:, 0, 2] = gram[:, 2, 0] = spread(sums[0, 2], 1)
        gram[:, 1, 2] = gram[:, 2, 1] = sums[1, 2].ravel()
        target = np.stack(
            [np.full(k, sums[0, 3][0, 0]), spread(sums[1, 3], 0), spread(sums[2, 3], 1)],
            axis=1,
        )
        best, lowest = np.zeros((k, 3)), np.zeros(k)
        for size in (1, 2, 3):
            for free in combinations(range(3), size):
                part = gram[:, free][:, :, free] + 1e-13 * np.eye(size) * squares[0][0]
                solution = np.zeros((k, 3))
                solution[:, free] = np.linalg.solve(part, target[:, free, None])[..., 0]
                fall = np.einsum("ki,kij,kj->k", solution, gram, solution) - 2 * (solution * target).sum(axis=1)
                better = (solution >= 0).all(axis=1) & (fall < lowest)
                best[better], lowest[better] = solution[better], fall[better]
        return np.stack([best[:, 0], best[:, 1], a, best[:, 2], b], axis=1)


def surface_of(ns: Array, ds: Array, ys: Array, objective: Objective, delta: float) -> Surface:
    """The surface of points: positive n and d and losses, each of shape (m,)."""
    u, v = np.log(ns), np.log(ds)
    scale = float(ys.max()) or 1.0
    return Surface(u=u - u.min(), v=v - v.min(), y=ys / scale, scale=scale, objective=objective, delta=delta)
