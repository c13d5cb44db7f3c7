"""The best split of a budget between parameters and data under ``L(n, d) = E + A / n**a + B / d**b``."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array, Interval
from tfrs_scaling.common.words import five_digits
from tfrs_scaling.fit.laws.display import Printable, estimates, facts
from tfrs_scaling.fit.laws.validation import check_columns, positive

CostPerExample = float | Callable[[Array], ArrayLike]

FLOPS_PER_PARAMETER = 6.0  # forward and backward, per parameter and example (Kaplan et al. 2020)
_REACH = math.log(1e6)  # how far beyond the measured n the search for a general cost extends, in ln n
_ZOOM_POINTS, _ZOOMS = 61, 9


@dataclass(frozen=True)
class Allocation(Printable):
    """The split of a budget that minimises the loss.

    Attributes:
        n: Parameters.
        d: Training examples, ``budget / cost_per_example``.
        loss: The fitted loss there.
        cost_per_example: The cost of one example at n; in the unit of the budget.
        budget: The budget, which is spent entirely: ``d * cost_per_example``.
        interval: Bootstrap intervals of ``n``, ``d`` and ``loss`` as (low, high): percentiles of the best split, and of
            the loss there, over the resampled laws.
        level: Confidence level of the intervals.
    """

    n: float
    d: float
    loss: float
    cost_per_example: float
    budget: float
    interval: dict[str, Interval]
    level: float

    def summary(self) -> str:
        """The split with its intervals as a table of text."""
        split = estimates({"n": self.n, "d": self.d, "loss": self.loss}, self.interval, self.level)
        about = {
            "budget": five_digits(self.budget),
            "cost per example": five_digits(self.cost_per_example),
            "intervals": "bootstrap: the form is right, beyond the data too",
        }
        return f"{split}\n\n{facts(about)}"


@dataclass(frozen=True)
class MeasuredCost:
    """The cost of training on one example as a function of n, interpolated between measured models.

    Between two models the cost is a power of n (a straight line in logarithms); beyond the outermost the nearest
    power continues. Call it with n of any shape.

    Args:
        n: Parameters of the measured models, strictly increasing, two or more.
        cost: Cost of one training example for each: FLOPs, seconds or money.

    Raises:
        ValueError: an n or cost is not positive and finite, their numbers differ, there are fewer than
            two, or n does not increase.

    Examples:
        >>> cost = MeasuredCost(n=(1e6, 1e7, 1e8), cost=(1e6, 2e7, 2e8))
        >>> cost([1e7, 5e7]).round()
        array([2.e+07, 1.e+08])
    """

    n: tuple[float, ...]
    cost: tuple[float, ...]

    def __post_init__(self) -> None:
        ns, costs = positive("n", self.n), positive("cost", self.cost)
        check_columns(n=ns, cost=costs)
        if ns.size < 2:
            raise ValueError("n has 1 value; give n and cost of two models or more")
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

    For a cost proportional to n there is a closed form (Hoffmann et al. 2022, equation 4): with
    ``d = budget / (k n)``, ``n**(a + b) = (a A / (b B)) * (budget / k)**b``. For any other cost the optimum is searched
    with successively finer grids, from a millionth of the smallest n to a million times the largest.

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
        return np.where(np.isnan(ln_n), np.inf, ln_n)  # neither n nor d makes a difference: any n is optimal
    edges = math.log(n_range[0]) - _REACH, math.log(n_range[1]) + _REACH
    low, high = np.full(a.shape, edges[0]), np.full(a.shape, edges[1])
    share = np.linspace(0.0, 1.0, _ZOOM_POINTS)
    rows = np.arange(a.size)
    for _ in range(_ZOOMS):
        logs = low[:, None] + (high - low)[:, None] * share
        log_d = math.log(budget) - np.log(costs_at(np.exp(logs), cost_per_example))
        # Far from the optimum a term may exceed the range of float64: compare logarithms.
        log_loss = np.logaddexp((a_term[:, None] - a[:, None] * logs), (b_term[:, None] - b[:, None] * log_d))
        best = np.argmin(log_loss, axis=1)
        low, high = logs[rows, np.maximum(best - 1, 0)], logs[rows, np.minimum(best + 1, _ZOOM_POINTS - 1)]
    return np.asarray(logs[rows, best])


def costs_at(n: Array, cost_per_example: CostPerExample) -> Array:
    """The cost of one example at each n, validated.

    Raises:
        ValueError: it is not positive and finite somewhere, or not of the shape of n.
    """
    if not callable(cost_per_example):
        return np.asarray(cost_per_example * n)
    costs = np.asarray(cost_per_example(n), dtype=np.float64)
    if costs.shape != n.shape:
        raise ValueError(
            f"cost_per_example returned shape {costs.shape} for n of shape {n.shape}; it must return one cost per n"
        )
    bad = ~(np.isfinite(costs) & (costs > 0))
    if bad.any():
        where = int(np.argmax(bad.ravel()))
        raise ValueError(
            f"cost_per_example({n.ravel()[where]:g}) is {costs.ravel()[where]}; every cost must be positive and finite"
        )
    return costs
