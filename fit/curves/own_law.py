"""Fit a form of one's own, ``y = f(x, *parameters)``: the best of many optima, and profile-likelihood intervals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from tfrs_scaling.common.arrays import Array, Interval
from tfrs_scaling.common.json_numbers import to_json
from tfrs_scaling.common.words import five_digits
from tfrs_scaling.fit.curves.own_law_arguments import Bounds, Start, checked_bounds, parameter_names, starts
from tfrs_scaling.fit.laws.display import (
    PROFILE_INTERVALS,
    Printable,
    Stored,
    correlation_words,
    estimates,
    facts,
    law_figure,
)
from tfrs_scaling.fit.laws.status import CORRELATED, ROUNDING, runs_test
from tfrs_scaling.fit.laws.validation import (
    check_alignment,
    check_columns,
    check_level_and_seed,
    finite,
    not_negative,
    weighted,
)

Form = Callable[..., Any]

_DOUBLINGS = 12  # of the distance from the optimum within which the end of an interval is looked for
_EXACT = 1e-12  # relative misfit that is rounding
_POLISHED = 3  # of the optima found
_LARGEST = 1e8  # residual, as a multiple of the largest y: beyond it a form is as wrong as can be


class LawStatus(StrEnum):
    """What the numbers of a fitted form may be used for."""

    OK = "ok"
    AT_BOUND = "at_bound"
    CORRELATED_RESIDUALS = "correlated_residuals"
    UNIDENTIFIED = "unidentified"
    TOO_FEW_POINTS = "too_few_points"

    @property
    def meaning(self) -> str:
        """What the status says about the fit: a sentence."""
        return _MEANING[self]


_MEANING = {
    LawStatus.OK: "The points bound every parameter.",
    LawStatus.AT_BOUND: "A parameter is at its bound: the form, or the bound, is not the points'.",
    LawStatus.CORRELATED_RESIDUALS: "Neighbouring points miss the form in the same direction: it is the wrong one, or "
    "their noise is shared; the intervals are too narrow, do not extrapolate it.",
    LawStatus.UNIDENTIFIED: "The points do not bound every parameter: do not extrapolate the form.",
    LawStatus.TOO_FEW_POINTS: "No more points than parameters: nothing says how well the form fits.",
}


@dataclass(frozen=True, eq=False)
class LawFit(Stored, Printable):
    """A fitted form with its points.

    Attributes:
        form: ``f(x, *parameters)``.
        parameters: By name.
        interval: Profile-likelihood intervals by name; an end that neither the points nor a bound give is infinite.
        correlation: Of the estimates, shape (p, p), from the Jacobian at the optimum.
        rss: Weighted sum of squares of the residuals; the unit of y squared.
        noise: Standard deviation of one measurement of weight 1, from ``rss`` and n - p degrees of freedom.
        r2: Share of the weighted variance of y that the form explains; NaN where y does not vary.
        x: As given, without points of weight 0, and so are y and weights (1 on average).
    """

    form: Form
    parameters: dict[str, float]
    interval: dict[str, Interval]
    correlation: tuple[tuple[float, ...], ...]
    level: float
    rss: float
    noise: float
    r2: float
    status: LawStatus
    x: tuple[float, ...]
    y: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def residual_runs_p(self) -> float:
        """The p value of a runs test of the residuals, averaged at each x; NaN where they are rounding errors."""
        return _residual_runs_p(np.array(self.x), np.array(self.y), np.array(self.weights), self.predict(self.x))

    def predict(self, x: ArrayLike) -> Array:
        """The fitted form at x: float64, the shape of x."""
        return _values(self.form, finite("x", x), np.array([*self.parameters.values()]))

    def predict_interval(self, x: ArrayLike, kind: Literal["mean", "new"] = "mean") -> tuple[Array, Array]:
        """Interval at x, by the form's gradient at the optimum.

        It assumes the form. Beyond the data nothing is known of the form's error: where the form is wrong, the interval
        is too narrow there. ``predictive_interval`` allows for that, of a power law.

        Args:
            x: Places, any shape.
            kind: ``mean`` is that of the form itself, ``new`` that of one further measurement of weight 1.

        Returns:
            (low, high): float64, the shape of x; infinite where the parameters are not determined.
        """
        if kind not in ("mean", "new"):
            raise ValueError(f"kind is {kind!r}; it must be 'mean' or 'new'")
        places, theta = finite("x", x), np.array([*self.parameters.values()])
        covariance, degrees = self._covariance(theta), len(self.x) - theta.size
        if covariance is None or degrees < 1:
            return np.full(places.shape, -np.inf), np.full(places.shape, np.inf)
        slopes = _jacobian(lambda t: _values(self.form, places.ravel(), t), theta)
        variance = np.einsum("ij,jk,ik->i", slopes, covariance, slopes) + (kind == "new") * self.noise**2
        half = float(special.stdtrit(degrees, (1 + self.level) / 2)) * np.sqrt(variance).reshape(places.shape)
        middle = self.predict(places)
        return middle - half, middle + half

    def summary(self) -> str:
        """The parameters with their intervals and correlations, the status and the quality of the fit, as text."""
        name = getattr(self.form, "__name__", "f")
        runs = self.residual_runs_p
        about = {
            "status": f"{self.status}: {self.status.meaning}",
            "points": f"{len(self.x)}, from x = {five_digits(min(self.x))} to {five_digits(max(self.x))}",
            "noise": f"{five_digits(self.noise)}, {len(self.x) - len(self.parameters)} degrees of freedom",
            "R²": five_digits(self.r2),
            "residual runs": "" if math.isnan(runs) else f"p = {runs:.2g}",
            "correlations": correlation_words([*self.parameters], self.correlation),
            "intervals": PROFILE_INTERVALS,
            "predictions": "predict_interval assumes the form; beyond the data nothing is known of its error",
        }
        shown = "<lambda>" if name == "<lambda>" else name
        table = estimates(self.parameters, self.interval, self.level)
        return f"y = {shown}(x, {', '.join(self.parameters)})\n\n{table}\n\n{facts(about)}"

    def plot(self) -> Any:
        """A Bokeh figure of the points and the form with its band; the axis is logarithmic if all x are above 0."""
        sound = self.status is LawStatus.OK
        band = self.predict_interval if sound else None
        return law_figure(f"Fit, status {self.status}", self.x, self.y, self.predict, band, extrapolated=False)

    def to_dict(self) -> dict[str, Any]:
        """All fields but the form as JSON: numbers at full precision, null for NaN and infinities."""
        return {field.name: to_json(getattr(self, field.name)) for field in fields(self) if field.name != "form"}

    def _covariance(self, theta: Array) -> Array | None:
        root = np.sqrt(np.array(self.weights))[:, None]
        return _covariance(root * _jacobian(lambda t: _values(self.form, np.array(self.x), t), theta), self.noise)


def fit_law(
    f: Form,
    x: ArrayLike,
    y: ArrayLike,
    *,
    start: Start | None = None,
    bounds: Bounds | None = None,
    weights: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> LawFit:
    """Fit ``y = f(x, *parameters)`` by weighted least squares.

    The best of 31 local optima is taken, found from the start and random places around it, or from random places within
    the bounds if there is no start. An interval holds all
    values of a parameter at which the others can still be chosen so that the residual sum of squares is within
    ``1 + F / (n - p)`` of the least (profile likelihood, Bates and Watts 1988); it assumes independent noise of one
    size, and that the form is right.

    Args:
        f: The form: x of shape (n,) and p numbers to y of shape (n,), real. It may return NaN where it is not defined.
        x: Finite, shape (n,).
        y: Finite, shape (n,), n > p for intervals.
        start: A guess of each parameter, in the order of f's arguments, or by name; optional if all bounds are finite.
        bounds: (low, high) of each parameter, in the same order, or by name.
        weights: Relative precisions (1 / variance) >= 0, shape (n,); equal if not given. A point of weight 0 is left
            out.
        level: Confidence level of the intervals.
        seed: Seed of the random starts.

    Returns:
        The fit; mind its ``status``.

    Raises:
        ValueError: x or y is not finite or not aligned, all weights are 0, there are fewer points than parameters, the
            start is not within the bounds, there is neither a start nor finite bounds, f needs arguments by keyword,
            returns complex numbers or has no finite values at any start.

    Example:
        >>> import numpy as np
        >>> def saturating(x, top, half):
        ...     return top * x / (half + x)
        >>> x = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
        >>> law = fit_law(saturating, x, [1.9, 3.4, 5.0, 6.8, 7.9], start=[5, 5])
        >>> {name: round(value, 2) for name, value in law.parameters.items()}
        {'top': 9.93, 'half': 3.92}
        >>> [round(end, 1) for end in law.interval["half"]]
        [3.3, 4.7]
        >>> same = fit_law(saturating, x, law.y, bounds={"top": (1, 100), "half": (0, 50)})
        >>> {name: round(value, 2) for name, value in same.parameters.items()}
        {'top': 9.93, 'half': 3.92}
    """
    check_level_and_seed(level, seed)
    check_alignment(x=x, y=y, weights=weights)
    xs, ys = finite("x", x), finite("y", y)
    ws = np.ones_like(xs) if weights is None else not_negative("weights", weights)
    check_columns(x=xs, y=ys, weights=ws)
    used = weighted(ws)
    xs, ys, ws = xs[used], ys[used], ws[used] / ws[used].mean()
    names = parameter_names(f, start, bounds)
    low, high = checked_bounds(names, bounds)
    places = starts(names, start, low, high, np.random.default_rng(seed))
    if xs.size < len(names):
        raise ValueError(f"there are {xs.size} points for {len(names)} parameters; give at least as many")
    problem = _Problem(f, xs, ys, np.sqrt(ws), low, high)
    best = problem.optimum(places)
    degrees = xs.size - len(names)
    interval = dict.fromkeys(names, (-math.inf, math.inf))
    if degrees:
        quantile = float(special.stdtrit(degrees, (1 + level) / 2)) ** 2
        best, ends = problem.profiled(best, quantile / degrees)
        interval = dict(zip(names, ends, strict=True))
    noise = math.sqrt(best.rss / degrees) if degrees else math.nan
    covariance = _covariance(problem.jacobian(best.theta), noise)
    runs_p = _residual_runs_p(xs, ys, ws, _values(f, xs, best.theta))
    mean = np.average(ys, weights=ws)
    total = float(np.sum(ws * (ys - mean) ** 2))
    return LawFit(
        form=f,
        parameters=dict(zip(names, best.theta.tolist(), strict=True)),
        interval=interval,
        correlation=_correlation(covariance, len(names)),
        level=level,
        rss=best.rss,
        noise=noise,
        r2=1 - best.rss / total if total > 0 else math.nan,
        status=_status(best.theta, low, high, [*interval.values()], degrees, runs_p),
        x=tuple(xs.tolist()),
        y=tuple(ys.tolist()),
        weights=tuple(ws.tolist()),
    )


@dataclass(frozen=True)
class _Optimum:
    theta: Array
    rss: float


@dataclass(frozen=True)
class _Problem:
    """Points, a form and the bounds of its parameters; ``root`` holds the square roots of the weights."""

    form: Form
    x: Array
    y: Array
    root: Array
    low: Array
    high: Array

    def residuals(self, theta: Array) -> Array:
        """Weighted residuals; large where the form is not defined, so that no step goes there."""
        values, largest = _values(self.form, self.x, theta) - self.y, _LARGEST * (1 + float(np.abs(self.y).max()))
        return self.root * np.clip(np.where(np.isnan(values), largest, values), -largest, largest)

    def jacobian(self, theta: Array) -> Array:
        """Of the weighted residuals, shape (n, p)."""
        return _jacobian(self.residuals, theta)

    def local(self, start: Array, free: Array, *, exact: bool = True) -> _Optimum:
        """The local optimum from a start, over the parameters that ``free``, shape (p,), marks."""
        if not free.any():
            return _Optimum(start, float(np.sum(self.residuals(start) ** 2)))

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
        return _Optimum(theta, 2 * float(found.cost))

    def optimum(self, starts: Array) -> _Optimum:
        """The best local optimum from several starts, shape (k, p)."""
        usable = [each for each in starts if np.isfinite(_values(self.form, self.x, each)).all()]
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

    def profiled(self, best: _Optimum, excess: float) -> tuple[_Optimum, list[Interval]]:
        """The interval of each parameter; and the optimum, should one better be met on the way."""
        while True:
            ends = []
            for at in range(best.theta.size):
                pair = [self._end(best, at, sign, excess) for sign in (-1, 1)]
                better = [end for end in pair if isinstance(end, _Optimum)]
                if better:
                    best = self.local(better[0].theta, np.full(best.theta.size, True))
                    break
                ends.append((float(pair[0]), float(pair[1])))  # type: ignore[arg-type]  # no optimum among them
            else:
                return best, ends

    def _end(self, best: _Optimum, at: int, sign: int, excess: float) -> float | _Optimum:
        """One end of the interval of a parameter, or an optimum that is better than the best."""
        floor = self.x.size * (_EXACT * (1 + float(np.abs(self.y).max()))) ** 2
        limit = max(best.rss, floor) * (1 + excess)
        free, middle = np.arange(best.theta.size) != at, float(best.theta[at])
        bound = float(self.high[at] if sign > 0 else self.low[at])
        covariance = _covariance(self.jacobian(best.theta), math.sqrt(max(best.rss, floor) * excess))
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


def _values(f: Form, x: Array, theta: Array) -> Array:
    with np.errstate(all="ignore"):
        returned = np.asarray(f(x, *theta.tolist()))
    if returned.dtype.kind == "c":
        raise ValueError("f returned complex numbers; it must return real ones, or NaN where it is not defined")
    values = returned.astype(np.float64)
    if values.shape not in ((), x.shape):
        raise ValueError(f"f returned shape {values.shape} for x of shape {x.shape}; it must return one y for each x")
    return np.broadcast_to(values, x.shape)


def _jacobian(function: Callable[[Array], Array], theta: Array) -> Array:
    """Central differences, shape (n, p)."""
    steps = np.cbrt(np.finfo(np.float64).eps) * np.maximum(np.abs(theta), 1e-8)
    columns = []
    for at, step in enumerate(steps):
        shift = np.zeros_like(theta)
        shift[at] = step
        columns.append((function(theta + shift) - function(theta - shift)) / (2 * step))
    return np.stack(columns, axis=1)


def _covariance(jacobian: Array, noise: float) -> Array | None:
    """Of the estimates; None where the points do not determine them."""
    scale = np.sqrt((jacobian**2).sum(axis=0))
    if not np.isfinite(jacobian).all() or (scale == 0).any():
        return None
    _, values, right = np.linalg.svd(jacobian / scale, full_matrices=False)
    if values[-1] < 1e-10 * values[0]:
        return None
    inverse = (right.T / values**2) @ right / np.outer(scale, scale)
    return np.asarray(noise**2 * inverse)


def _correlation(covariance: Array | None, size: int) -> tuple[tuple[float, ...], ...]:
    if covariance is None or not (np.diag(covariance) > 0).all():
        return tuple(tuple(1.0 if i == j else math.nan for j in range(size)) for i in range(size))
    deviation = np.sqrt(np.diag(covariance))
    return tuple(map(tuple, (covariance / np.outer(deviation, deviation)).tolist()))


def _residual_runs_p(x: Array, y: Array, weights: Array, fitted: Array) -> float:
    """``runs_test`` of the residuals, averaged at each x; NaN where they are rounding errors."""
    residuals = y - fitted
    if np.abs(residuals).max() < ROUNDING * np.abs(y).max():
        return math.nan
    _, at = np.unique(x, return_inverse=True)
    return runs_test(np.bincount(at, weights * residuals) / np.bincount(at, weights))


def _status(
    theta: Array, low: Array, high: Array, ends: Sequence[Interval], degrees: int, residual_runs_p: float
) -> LawStatus:
    if not degrees:
        return LawStatus.TOO_FEW_POINTS
    reach = 1e-9 * np.maximum(np.abs(theta), 1e-12)
    if ((theta - low <= reach) | (high - theta <= reach)).any():
        return LawStatus.AT_BOUND
    if residual_runs_p < CORRELATED:
        return LawStatus.CORRELATED_RESIDUALS
    at_ends = [
        math.isinf(a) or math.isinf(b) or a == bottom or b == top
        for (a, b), bottom, top in zip(ends, low, high, strict=True)
    ]
    return LawStatus.UNIDENTIFIED if any(at_ends) else LawStatus.OK
