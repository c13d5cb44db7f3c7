"""How to split a budget between parameters and data under ``L(n, d) = E + A / n**a + B / d**b``."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array, Interval
from tfrs_scaling.fit.laws.validation import positive

CostPerExample = float | Callable[[Array], ArrayLike]

FLOPS_PER_PARAMETER = 6.0  # forward and backward, per parameter and example (Kaplan et al. 2020)
_REACH = math.log(1e6)  # how far beyond the measured n the search for a general cost goes
_ZOOM_POINTS, _ZOOMS = 61, 9


@dataclass(frozen=True)
class Allocation:
    """The split of a budget that makes the loss smallest.

    Attributes:
        n: Parameters.
        d: Training examples, ``budget / cost_per_example``.
        loss: The fitted loss there.
        cost_per_example: The cost of one example at n; in the unit of the budget.
        budget: The budget, all of it spent: ``d * cost_per_example``.
        interval: Bootstrap intervals of ``n``, ``d`` and ``loss`` as (low, high): the best split, and the
            loss there, under each resampled law.
    """

    n: float
    d: float
    loss: float
    cost_per_example: float
    budget: float
    interval: dict[str, Interval]


@dataclass(frozen=True)
class MeasuredCost:
    """The cost of training on one example as a function of n, through measured points.

    Between two points the cost is a power of n (a straight line of logarithms), beyond the outermost it
    continues the nearest such power. Call it with n of any shape.

    Args:
        n: Parameters of the measured models, strictly increasing, two or more.
        cost: Cost of one training example at each: FLOPs, seconds, money.

    Raises:
        ValueError: an n or cost is not positive and finite, they differ in number, there are fewer than
            two, or n does not increase.
    """

    n: tuple[float, ...]
    cost: tuple[float, ...]

    def __post_init__(self) -> None:
        ns, costs = positive("n", self.n), positive("cost", self.cost)
        if ns.ndim != 1 or ns.shape != costs.shape or ns.size < 2:
            raise ValueError(f"n has shape {ns.shape} and cost {costs.shape}; give both for two models or more")
        falls = np.diff(ns) <= 0
        if falls.any():
            where = int(np.argmax(falls)) + 1
            raise ValueError(f"n[{where}] is {ns[where]:g}, not above n[{where - 1}]; give n in increasing order")

    def __call__(self, n: ArrayLike) -> Array:
        """The cost of one example at n: float64, the shape of n."""
        places, logs, costs = np.log(positive("n", n)), np.log(self.n), np.log(self.cost)
        left = np.clip(np.searchsorted(logs, places) - 1, 0, logs.size - 2)
        slope = (costs[left + 1] - costs[left]) / (logs[left + 1] - logs[left])
        return np.asarray(np.exp(costs[left] + slope * (places - logs[left])))


def best_n(
    a_term: Array,
    a: Array,
    b_term: Array,
    b: Array,
    budget: float,
    cost_per_example: CostPerExample,
    n_range: tuple[float, float],
) -> Array:
    """Logarithm of the n of the split that minimises ``A / n**a + B / d**b`` with ``d = budget / cost_per_example(n)``.

    For a cost proportional to n the optimum is closed (Hoffmann et al. 2022, equation 4): with
    ``d = budget / (k n)``, ``n**(a + b) = (a A / (b B)) * (budget / k)**b``. For any other cost every n in
    the range, a million times wider at both ends, is searched by ever finer grids.

    Args:
        a_term: ``ln A``, A stated at n = 1, shape (k,).
        a: Exponents of n, shape (k,).
        b_term: ``ln B``, B stated at d = 1, shape (k,).
        b: Exponents of d, shape (k,).
        budget: Total cost, in the unit of the cost per example.
        cost_per_example: k for a cost of k n, or the cost as a function of n.
        n_range: Smallest and largest n measured.

    Returns:
        ln n, shape (k,); for a general cost an end of the searched range where the optimum lies beyond.

    Raises:
        ValueError: the cost is not positive and finite everywhere.
    """
    if not callable(cost_per_example):
        log_d_at_1 = math.log(budget) - math.log(cost_per_example)
        with np.errstate(invalid="ignore"):
            ln_n = (np.log(a) + a_term - np.log(b) - b_term + b * log_d_at_1) / (a + b)
        return np.where(np.isnan(ln_n), np.inf, ln_n)  # neither n nor d makes a difference: any n will do
    edges = math.log(n_range[0]) - _REACH, math.log(n_range[1]) + _REACH
    low, high = np.full(a.shape, edges[0]), np.full(a.shape, edges[1])
    share = np.linspace(0.0, 1.0, _ZOOM_POINTS)
    rows = np.arange(a.size)
    for _ in range(_ZOOMS):
        logs = low[:, None] + (high - low)[:, None] * share
        log_d = math.log(budget) - np.log(costs_at(np.exp(logs), cost_per_example))
        # Far from the optimum one term may be beyond float64: compare logarithms.
        log_loss = np.logaddexp((a_term[:, None] - a[:, None] * logs), (b_term[:, None] - b[:, None] * log_d))
        best = np.argmin(log_loss, axis=1)
        low, high = logs[rows, np.maximum(best - 1, 0)], logs[rows, np.minimum(best + 1, _ZOOM_POINTS - 1)]
    return np.asarray(logs[rows, best])


def costs_at(n: Array, cost_per_example: CostPerExample) -> Array:
    """The cost of one example at each n, checked.

    Raises:
        ValueError: it is not positive and finite somewhere, or not of the shape of n.
    """
    if not callable(cost_per_example):
        return np.asarray(cost_per_example * n)
    costs = np.asarray(cost_per_example(n), dtype=np.float64)
    if costs.shape != n.shape:
        raise ValueError(f"cost_per_example gave shape {costs.shape} for n of shape {n.shape}; give one cost per n")
    bad = ~(np.isfinite(costs) & (costs > 0))
    if bad.any():
        where = int(np.argmax(bad.ravel()))
        raise ValueError(
            f"cost_per_example({n.ravel()[where]:g}) is {costs.ravel()[where]}; a cost must be positive and finite"
        )
    return costs
