"""Fit ``L(n, d) = E + A / n**a + B / d**b``: the global optimum, its status and its bootstrap intervals."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array, Interval
from tfrs_scaling.common.json_numbers import from_json, to_json
from tfrs_scaling.common.words import five_digits
from tfrs_scaling.fit.joint.allocation import FLOPS_PER_PARAMETER, Allocation, CostPerExample, best_n, costs_at
from tfrs_scaling.fit.joint.form_error import form_error
from tfrs_scaling.fit.joint.resampling import bootstrap, corrected_residuals
from tfrs_scaling.fit.joint.status import FEWEST_POINTS, FEWEST_SIZES, JointStatus, judge
from tfrs_scaling.fit.joint.surface import Objective, Surface, surface_of
from tfrs_scaling.fit.joint.validation import broadcast, checked_joint_points
from tfrs_scaling.fit.laws.display import Printable, Stored, estimates, facts, plane_figure
from tfrs_scaling.fit.laws.functions import joint_law
from tfrs_scaling.fit.laws.resampling import has_clusters
from tfrs_scaling.fit.laws.uncertainty import percentiles
from tfrs_scaling.fit.laws.validation import check_level_and_seed, one_positive


@dataclass(frozen=True, eq=False)
class JointFit(Stored, Printable):
    """A fitted law of parameters n and data d, with the points it was fitted to.

    Parameters, intervals and the objective are NaN where the status is ``too_few_points``.

    Attributes:
        E: The floor; unit of the loss.
        A_at_n0: ``A * n0**-a``, the part of the loss that more parameters can still remove at n0; unit of the loss.
        B_at_d0: ``B * d0**-b``, the same for examples at d0.
        n0: Geometric mean of the fitted n, as d0 is of d.
        delta: Huber's threshold, on ``ln y - ln L``.
        objective_value: ``rss``: sum of ``(y - L)**2``. ``huber_log``: sum of Huber's function of ``ln y - ln L``,
            which is ``r**2 / 2`` up to delta and ``delta * (|r| - delta / 2)`` beyond.
        interval: Bootstrap percentile intervals of ``E``, ``A``, ``a``, ``B``, ``b``, ``split_exponent``, ``A_at_n0``
            and ``B_at_d0``. They assume that the law has the right form.
        n: The fitted n, shape (m,), and so are d, y and groups.
        groups: Number of the group of each point.
    """

    E: float
    A_at_n0: float
    a: float
    B_at_d0: float
    b: float
    n0: float
    d0: float
    objective: Objective
    delta: float
    objective_value: float
    interval: dict[str, Interval]
    level: float
    resamples: int
    seed: int
    status: JointStatus
    n: tuple[float, ...]
    d: tuple[float, ...]
    y: tuple[float, ...]
    groups: tuple[int, ...]

    @property
    def A(self) -> float:  # noqa: N802 -- the paper's name
        """The coefficient of n as papers print it, at n = 1; inf or 0 outside the range of float64."""
        with np.errstate(over="ignore", under="ignore"):
            return float(self.A_at_n0 * np.exp(self.a * np.log(self.n0)))

    @property
    def B(self) -> float:  # noqa: N802 -- the paper's name
        """The coefficient of d as papers print it, at d = 1; inf or 0 outside the range of float64."""
        with np.errstate(over="ignore", under="ignore"):
            return float(self.B_at_d0 * np.exp(self.b * np.log(self.d0)))

    @property
    def split_exponent(self) -> float:
        """``b / (a + b)``: if the cost is proportional to n, the best n grows as the budget to this power."""
        return self.b / (self.a + self.b)

    def predict(self, n: ArrayLike, d: ArrayLike) -> Array:
        """The fitted loss at n and d: float64, of their broadcast shape.

        Raises:
            ValueError: an n or d is not a positive finite number, or their shapes do not broadcast.
        """
        ns, ds = broadcast(n, d)
        law = {"E": self.E, "A": self.A_at_n0, "a": self.a, "B": self.B_at_d0, "b": self.b}
        return joint_law(ns, ds, **law, n0=self.n0, d0=self.d0)

    def examples_for(self, n: ArrayLike, loss: float) -> Array:
        """The examples at which the law reaches a loss: the inverse of ``predict`` in d.

        Args:
            n: Parameters, positive, any shape.
            loss: In the unit of y.

        Returns:
            ``d0 * (B / (loss - E - A * (n / n0)**-a))**(1 / b)``, A and B being those at n0 and d0: float64, the shape
            of n; NaN where no amount of data reaches the loss.
        """
        with np.errstate(all="ignore"):
            rest = loss - self.E - self.A_at_n0 * (np.asarray(n, dtype=np.float64) / self.n0) ** -self.a
            return np.where(rest > 0, self.d0 * (self.B_at_d0 / rest) ** (1 / self.b), np.nan)

    @np.errstate(under="ignore")
    def predict_interval(
        self, n: ArrayLike, d: ArrayLike, kind: Literal["mean", "new"] = "mean"
    ) -> tuple[Array, Array]:
        """Bootstrap percentile interval of the loss at n and d.

        Args:
            n: Parameters, positive.
            d: Training examples, positive, of a shape that broadcasts with that of n.
            kind: ``mean`` is that of the law itself and assumes that its form is right. ``new`` is that of one further
                measurement: a residual, drawn at random, is added to each resampled law (relative for huber_log);
                beyond the largest n or d the law may be wrong too, as much as ``form_error`` says.

        Returns:
            (low, high): float64, of the broadcast shape; NaN where nothing was fitted.

        Raises:
            ValueError: as in ``predict``, or kind is unknown.
        """
        ns, ds = broadcast(n, d)
        if kind not in ("mean", "new"):
            raise ValueError(f"kind is {kind!r}; it must be 'mean' or 'new'")
        if not self.status.is_fitted:
            return np.full(ns.shape, np.nan), np.full(ns.shape, np.nan)
        ln_n, ln_d = np.log(ns.ravel()), np.log(ds.ravel())
        losses = self._losses(self._replicates, ln_n, ln_d)
        if kind == "new":
            losses = self._measured(losses, ln_n, ln_d)
        low, high = (ends.reshape(ns.shape) for ends in percentiles(losses, self.level))
        middle = self.predict(ns, ds)
        return np.minimum(low, middle), np.maximum(high, middle)

    def _measured(self, losses: Array, ln_n: Array, ln_d: Array) -> Array:
        """Losses of resampled laws, (k, m), as further measurements at m places."""
        residuals = corrected_residuals(self._surface, self._theta, np.array(self.groups)).values
        drawn = np.random.default_rng(self.seed + 1).choice(residuals, losses.shape)
        with np.errstate(over="ignore"):
            losses = losses + self._surface.scale * drawn if self.objective == "rss" else losses * np.exp(drawn)
            beyond = np.maximum(ln_n - math.log(max(self.n)), 0) + np.maximum(ln_d - math.log(max(self.d)), 0)
            if (beyond > 1e-9).any():
                error = form_error(self._surface).draws(beyond, len(losses), self.seed + 2)
                losses = losses * np.exp(np.clip(error, -700, 700))
        return losses

    @np.errstate(under="ignore")
    def compute_optimal(self, budget: float, *, cost_per_example: CostPerExample = FLOPS_PER_PARAMETER) -> Allocation:
        """The n and d that minimise the loss for ``d * cost_per_example(n) = budget``.

        Args:
            budget: FLOPs, seconds or money to be spent, in the unit of the cost.
            cost_per_example: The cost of training on one example. A number k means a cost of ``k * n``;
                6 is the FLOPs of dense layers. Otherwise a function of n (from an array to an array), such as
                ``MeasuredCost(n, cost)`` of measured models.

        Returns:
            The split, with bootstrap intervals.

        Raises:
            ValueError: the budget or a cost is not positive and finite; nothing was fitted, or n or d makes
                no difference (status ``too_few_points`` or ``flat``); or the cost grows so slowly with n
                that the best n lies more than a million times beyond the measured ones.
        """
        spent = one_positive("budget", budget)
        if not callable(cost_per_example):
            cost_per_example = one_positive("cost_per_example", cost_per_example)
        if not self.status.is_fitted or min(self.A_at_n0, self.B_at_d0) <= 0:
            raise ValueError(
                f"the fit has the status {self.status} ({self.status.meaning}), which allows no split; "
                "measure at more n and d"
            )
        theta = np.concatenate([self._theta[None], self._replicates])
        ln_n = self._best_n(theta, spent, cost_per_example)
        # Where n or d makes no difference in a resampled law, the best one is 0 or infinite.
        with np.errstate(over="ignore", divide="ignore"):
            n = np.exp(ln_n)
            costs = costs_at(n, cost_per_example)
            d = spent / costs
            losses = self._losses(theta, ln_n[:, None], np.log(d)[:, None])[:, 0]
        if callable(cost_per_example):
            low, high = min(self.n) / 0.99e6, max(self.n) * 0.99e6
            if not low < n[0] < high:
                raise ValueError(
                    f"cost_per_example puts the best n {'above' if n[0] >= high else 'below'} {n[0]:.3g}, a million "
                    "times beyond the measured ones; give a cost that grows faster with n, or measure other n"
                )
        return Allocation(
            n=float(n[0]),
            d=float(d[0]),
            loss=float(losses[0]),
            cost_per_example=float(costs[0]),
            budget=spent,
            interval={name: _interval(v[1:], v[0], self.level) for name, v in (("n", n), ("d", d), ("loss", losses))},
            level=self.level,
        )

    def summary(self) -> str:
        """The parameters with their intervals, the status and the quality of the fit, as a table of text."""
        names = ("E", "A", "a", "B", "b", "split_exponent")
        table = estimates({name: getattr(self, name) for name in names}, self.interval, self.level)
        ranges = {name: f"from {five_digits(min(values))} to {five_digits(max(values))}" for name, values in
                  (("n", self.n), ("d", self.d))}  # fmt: skip
        about = {"status": f"{self.status}: {self.status.meaning}", "points": str(len(self.y)), **ranges}
        if not self.status.is_fitted:
            return f"L(n, d) = E + A / n**a + B / d**b\n\n{facts(about)}"
        units = "trainings" if has_clusters(np.array(self.groups)) else "points"
        about["intervals"] = f"bootstrap: the form is right, and {units} are independent of each other"
        about["objective"] = f"{self.objective} {five_digits(self.objective_value)}"
        return f"L(n, d) = E + A / n**a + B / d**b\n\n{table}\n\n{facts(about)}"

    def plot(self) -> Any:
        """A Bokeh figure of the points over n and d, and of lines of equal loss where a law was fitted."""
        losses = self.predict(self.n, self.d).tolist() if self.status.is_fitted else [math.nan]
        return plane_figure(f"Joint law, status {self.status}", self.n, self.d, losses, self.examples_for)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON: numbers at full precision, null for NaN and infinities."""
        out: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        out |= {"A": self.A, "B": self.B, "split_exponent": self.split_exponent}
        return {name: to_json(value) for name, value in out.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "JointFit":
        """The fit that ``to_dict`` wrote; its predictions are identical to the last digit.

        Raises:
            ValueError: a field is missing or invalid.
        """
        try:
            numbers: dict[str, Any] = {name: from_json(content[name]) for name in _NUMBERS}
            points: dict[str, Any] = {name: tuple(float(v) for v in content[name]) for name in ("n", "d", "y")}
            status = JointStatus(content["status"])
            missing = math.inf if status.is_fitted else math.nan
            interval = {
                str(name): (from_json(low), missing if high is None else float(high))
                for name, (low, high) in content["interval"].items()
            }
            if content["objective"] not in get_args(Objective):
                raise ValueError(f"objective is {content['objective']!r}")
            return cls(
                **numbers,
                **points,
                objective=content["objective"],
                interval=interval,
                resamples=int(content["resamples"]),
                seed=int(content["seed"]),
                status=status,
                groups=tuple(int(v) for v in content["groups"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this is not a joint fit that to_dict wrote ({error!r}); fit the points again") from error

    @cached_property
    def _surface(self) -> Surface:
        return surface_of(np.array(self.n), np.array(self.d), np.array(self.y), self.objective, self.delta)

    @property
    def _theta(self) -> Array:
        """The parameters in the form of Surface, shape (5,)."""
        scale = self._surface.scale
        big_a = self.A_at_n0 / scale * math.exp(self.a * (math.log(self.n0) - math.log(min(self.n))))
        big_b = self.B_at_d0 / scale * math.exp(self.b * (math.log(self.d0) - math.log(min(self.d))))
        return np.array([self.E / scale, big_a, self.a, big_b, self.b])

    @cached_property
    def _replicates(self) -> Array:
        """The law of each resample, in the form of Surface, shape (resamples, 5); determined by the seed."""
        return bootstrap(self._surface, self._theta, np.array(self.groups), self.resamples, self.seed)

    def _losses(self, theta: Array, ln_n: Array, ln_d: Array) -> Array:
        """The losses, (k, m), of laws of shape (k, 5) at m places, whose ln n and ln d have shape (m,) or (k, m)."""

        def excess(top: Array, exponent: Array, distance: Array) -> Array:
            return top[:, None] * np.exp(np.minimum(-exponent[:, None] * distance, 700.0))

        with np.errstate(over="ignore"):  # infinite far to the left of the data
            excess_n = excess(theta[:, 1], theta[:, 2], ln_n - math.log(min(self.n)))
            excess_d = excess(theta[:, 3], theta[:, 4], ln_d - math.log(min(self.d)))
            return np.asarray(self._surface.scale * (theta[:, :1] + excess_n + excess_d))

    def _best_n(self, theta: Array, budget: float, cost_per_example: CostPerExample) -> Array:
        with np.errstate(divide="ignore"):  # a resampled law in which n or d makes no difference
            a_term = np.log(theta[:, 1]) + theta[:, 2] * math.log(min(self.n))
            b_term = np.log(theta[:, 3]) + theta[:, 4] * math.log(min(self.d))
        n_range = min(self.n), max(self.n)
        return best_n(a_term, theta[:, 2], b_term, theta[:, 4], budget, cost_per_example, n_range)


_NUMBERS = ("E", "A_at_n0", "a", "B_at_d0", "b", "n0", "d0", "delta", "objective_value", "level")
_INTERVALS = ("E", "A", "a", "B", "b", "split_exponent", "A_at_n0", "B_at_d0")


@np.errstate(under="ignore")
def fit_joint_law(
    n: ArrayLike,
    d: ArrayLike,
    y: ArrayLike,
    *,
    objective: Objective = "rss",
    delta: float = 1e-3,
    groups: Iterable[Any] | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> JointFit:
    """Fit ``L(n, d) = E + A / n**a + B / d**b`` with E, A, B >= 0, a and b between 0.001 and 20.

    The law is that of Hoffmann et al. (2022); ``huber_log`` with delta = 0.001 is their objective. For given (a, b)
    the law is linear in the rest, so every local minimum of a grid over (a, b) is known, and Newton steps refine
    each: the global optimum to the last digits, whatever the units of n, d and y.

    Intervals are percentiles of a bootstrap that refits every resample to its own optimum (``resampling.bootstrap``):
    noise that the points of a group share counts as often as there are groups. On grids of 4 to 12
    trainings that share noise, 95 % intervals held the truth in 89 to 99 % of 104 each (``make bench-truth
    NAME=worlds/joint``).

    Args:
        n: Parameters, positive and finite, shape (m,), in any order.
        d: Training examples, positive and finite, shape (m,).
        y: Losses >= 0 (> 0 for huber_log), shape (m,).
        objective: ``rss`` or ``huber_log``, see JointFit.objective_value.
        delta: Huber's threshold, on the difference of logarithms; only ``huber_log`` uses it.
        groups: A label for the trial of each point, shape (m,): points of one training are not
            independent. Each point its own if not given.
        level: Confidence level of the intervals, between 0 and 1.
        resamples: Number of bootstrap resamples, 100 or more.
        seed: Seed of the resamples, 0 or above.

    Returns:
        The fit. Look at its ``status`` first: any but ``ok`` limits what the numbers mean.

    Raises:
        ValueError: NaN or infinite values, an n or d <= 0, a y < 0 (or 0 for huber_log), unequal lengths,
            no points, all n or all d equal, fewer than 3 groups, or an option out of its range.

    Examples:
        >>> import numpy as np
        >>> n, d = (values.ravel() for values in np.meshgrid(np.geomspace(1e5, 1e7, 4), np.geomspace(1e4, 1e6, 4)))
        >>> noise = 1e-4 * np.sin(np.arange(16) ** 2)
        >>> fit = fit_joint_law(n, d, 0.75 + 2.5 * n**-0.3 + 1.5 * d**-0.22 + noise)
        >>> fit.status.name, round(fit.E, 2), round(fit.a, 1), round(fit.b, 1)
        ('OK', 0.75, 0.3, 0.2)
        >>> round(fit.compute_optimal(1e14).n, -5)
        1900000.0
    """
    _check_options(objective, delta, resamples)
    check_level_and_seed(level, seed)
    ns, ds, ys, labels = checked_joint_points(n, d, y, groups, objective)
    n0, d0 = (math.exp(float(np.mean(np.log(values)))) for values in (ns, ds))
    known: dict[str, Any] = {
        "n0": n0,
        "d0": d0,
        "n": tuple(ns.tolist()),
        "d": tuple(ds.tolist()),
        "y": tuple(ys.tolist()),
        "groups": tuple(labels.tolist()),
        "objective": objective,
        "delta": float(delta),
        "level": float(level),
        "resamples": int(resamples),
        "seed": int(seed),
    }
    if ns.size < FEWEST_POINTS or min(np.unique(ns).size, np.unique(ds).size) < FEWEST_SIZES:
        unknown: dict[str, Any] = dict.fromkeys(set(_NUMBERS) - set(known), math.nan)
        no_interval = dict.fromkeys(_INTERVALS, (math.nan, math.nan))
        return JointFit(**known, **unknown, interval=no_interval, status=JointStatus.TOO_FEW_POINTS)
    surface = surface_of(ns, ds, ys, objective, delta)
    theta = surface.minimum()
    replicates = bootstrap(surface, theta, labels, resamples, seed)
    interval = _intervals(surface, theta, replicates, (float(ns.min()), float(ds.min())), level)
    e, top_a, a, top_b, b = (float(value) for value in theta)
    value = float(surface.value(theta[None])[0])
    return JointFit(
        **known,
        E=surface.scale * e,
        A_at_n0=surface.scale * top_a * math.exp(-a * (math.log(n0) - math.log(ns.min()))),
        a=a,
        B_at_d0=surface.scale * top_b * math.exp(-b * (math.log(d0) - math.log(ds.min()))),
        b=b,
        objective_value=value * surface.scale * surface.scale if objective == "rss" else value,
        interval=interval,
        status=judge(surface, theta, replicates, interval, labels, level),
    )


def _check_options(objective: str, delta: float, resamples: int) -> None:
    if objective not in get_args(Objective):
        raise ValueError(f"objective is {objective!r}; it must be 'rss' or 'huber_log'")
    if not (math.isfinite(delta) and delta > 0):
        raise ValueError(f"delta is {delta}; it must be a positive number, such as 0.001")
    if resamples < 100:
        raise ValueError(f"resamples is {resamples}; intervals need 100 or more, such as 1000")


def _intervals(
    surface: Surface, theta: Array, replicates: Array, smallest: tuple[float, float], level: float
) -> dict[str, Interval]:
    """The interval of each parameter; A and B at n = 1 and d = 1, and where n and d are average; unit of the loss."""
    e, top_a, a, top_b, b = np.concatenate([theta[None], replicates]).T
    tops = ((top_a, a, surface.u, smallest[0]), (top_b, b, surface.v, smallest[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        big_a, big_b = (
            np.where(top > 0, surface.scale * top * np.exp(exponent * math.log(low)), 0)
            for top, exponent, _, low in tops
        )
        a_at_n0, b_at_d0 = (surface.scale * top * np.exp(-exponent * logs.mean()) for top, exponent, logs, _ in tops)
    columns = (surface.scale * e, big_a, a, big_b, b, b / (a + b), a_at_n0, b_at_d0)
    return {name: _interval(rows[1:], rows[0], level) for name, rows in zip(_INTERVALS, columns, strict=True)}


def _interval(replicates: Array, estimate: float, level: float) -> Interval:
    """Percentiles of the replicates, widened to contain the estimate."""
    low, high = percentiles(replicates, level)
    return min(float(low), float(estimate)), max(float(high), float(estimate))
