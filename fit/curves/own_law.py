"""Fit a form of one's own, ``y = f(x, *parameters)``: the best of many optima, and profile-likelihood intervals."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tfrs_scaling.common.arrays import Array, Interval
from tfrs_scaling.common.json_numbers import to_json
from tfrs_scaling.common.words import five_digits, plural
from tfrs_scaling.fit.curves.own_law_arguments import Bounds, Start, checked_bounds, parameter_names, starts
from tfrs_scaling.fit.curves.own_law_search import Form, Problem, covariance_of, jacobian_of, values_of
from tfrs_scaling.fit.extrapolation.predictive import ASSUMES_FORM, PredictiveInterval, forecast_of_points
from tfrs_scaling.fit.laws.display import (
    PROFILE_INTERVALS,
    Printable,
    Stored,
    correlation_words,
    estimates,
    facts,
    law_figure,
)
from tfrs_scaling.fit.laws.resampling import has_clusters
from tfrs_scaling.fit.laws.status import CORRELATED, FEWEST, ROUNDING, runs_test
from tfrs_scaling.fit.laws.validation import (
    check_alignment,
    check_columns,
    check_level_and_seed,
    finite,
    labelled,
    not_negative,
    numbered,
    weighted,
)


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


_CLUSTER_INTERVALS = "Student's t by CR2: the form is right and nearly linear, and trainings are independent"
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
        interval: Intervals by name, as ``fit_law`` says; an end that neither the points nor a bound give is infinite.
        correlation: Of the estimates, shape (p, p), from the Jacobian at the optimum.
        rss: Weighted sum of squares of the residuals; the unit of y squared.
        noise: Standard deviation of one measurement of weight 1, from ``rss`` and n - p degrees of freedom.
        r2: Share of the weighted variance of y that the form explains; NaN where y does not vary.
        x: As given, without points of weight 0, and so are y and weights (1 on average).
        groups: The group of each point, numbered from 0.
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
    groups: tuple[int, ...]

    @property
    def residual_runs_p(self) -> float:
        """The p value of a runs test of the residuals, averaged at each x; NaN where they are rounding errors."""
        return _residual_runs_p(np.array(self.x), np.array(self.y), np.array(self.weights), self.predict(self.x))

    def predict(self, x: ArrayLike) -> Array:
        """The fitted form at x: float64, the shape of x."""
        return values_of(self.form, finite("x", x), np.array([*self.parameters.values()]))

    def predict_interval(self, x: ArrayLike, kind: Literal["mean", "new"] = "mean") -> tuple[Array, Array]:
        """Interval at x, by the form's gradient at the optimum.

        It assumes the form: beyond the data see ``predictive_interval``.

        Args:
            x: Places, any shape.
            kind: ``mean`` is that of the form itself, ``new`` that of one further measurement of weight 1.

        Returns:
            (low, high): float64, the shape of x; infinite where the parameters are not determined.
        """
        if kind not in ("mean", "new"):
            raise ValueError(f"kind is {kind!r}; it must be 'mean' or 'new'")
        places, theta = finite("x", x), np.array([*self.parameters.values()])
        covariance, degrees = self._covariance(theta), self._degrees
        if covariance is None or degrees < 1:
            return np.full(places.shape, -np.inf), np.full(places.shape, np.inf)
        slopes = jacobian_of(lambda t: values_of(self.form, places.ravel(), t), theta)
        variance = np.einsum("ij,jk,ik->i", slopes, covariance, slopes) + (kind == "new") * self.noise**2
        half = float(special.stdtrit(degrees, (1 + self.level) / 2)) * np.sqrt(variance).reshape(places.shape)
        middle = self.predict(places)
        return middle - half, middle + half

    def predictive_interval(self, x: ArrayLike) -> PredictiveInterval:
        """The interval of one further measurement at x, as ``fit.predictive_interval`` gives it of a power law.

        Beyond the data it allows for the form being wrong. That takes x and losses above 0 and four different x;
        without them it assumes the form.
        """
        places = finite("x", x)
        low, high = self.predict_interval(places, "new")
        if min(*self.x, *self.y, *places.ravel()) <= 0 or len(set(self.x)) < FEWEST:
            return PredictiveInterval(low, high, ASSUMES_FORM)
        return forecast_of_points(self.x, self.y).beyond_data(places, low, self.predict(places), high, self.level)

    def summary(self) -> str:
        """The parameters with their intervals and correlations, the status and the quality of the fit, as text."""
        name = getattr(self.form, "__name__", "f")
        runs = self.residual_runs_p
        about = {
            "status": f"{self.status}: {self.status.meaning}",
            "points": f"{len(self.x)}, from x = {five_digits(min(self.x))} to {five_digits(max(self.x))}",
            "noise": f"{five_digits(self.noise)}, {plural(len(self.x) - len(self.parameters), 'degree')} of freedom",
            "R²": five_digits(self.r2),
            "residual runs": "" if math.isnan(runs) else f"p = {runs:.2g}",
            "correlations": correlation_words([*self.parameters], self.correlation),
            "intervals": _CLUSTER_INTERVALS if has_clusters(np.array(self.groups)) else PROFILE_INTERVALS,
            "predictions": "predict_interval assumes the form, predictive_interval allows for it being wrong",
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

    @property
    def _degrees(self) -> int:
        groups = np.array(self.groups)
        return int(groups.max()) if has_clusters(groups) else len(self.x) - len(self.parameters)

    def _covariance(self, theta: Array) -> Array | None:
        x, root = np.array(self.x), np.sqrt(np.array(self.weights))
        jacobian = root[:, None] * jacobian_of(lambda t: values_of(self.form, x, t), theta)
        residuals = root * (np.array(self.y) - values_of(self.form, x, theta))
        return covariance_of(jacobian, self.noise, residuals, np.array(self.groups))


def fit_law(
    f: Form,
    x: ArrayLike,
    y: ArrayLike,
    *,
    start: Start | None = None,
    bounds: Bounds | None = None,
    weights: ArrayLike | None = None,
    groups: Iterable[Any] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> LawFit:
    """Fit ``y = f(x, *parameters)`` by weighted least squares.

    The best of 31 local optima is taken, found from the start and random places around it, or from random places within
    the bounds if there is no start. An interval holds all values of a parameter at which the others can still be chosen
    so that the residual sum of squares is within ``1 + F / (n - p)`` of the least (profile likelihood, Bates and Watts
    1988); it assumes independent noise of one size, and that the form is right. Where points are grouped, it is the
    estimate and Student's t for one degree of freedom fewer than groups, times a standard error that allows for noise
    shared within a group (CR2, Bell and McCaffrey 2002).

    Args:
        f: The form: x of shape (n,) and p numbers to y of shape (n,), real. It may return NaN where it is not defined.
        x: Finite, shape (n,).
        y: Finite, shape (n,), n > p for intervals.
        start: A guess of each parameter, in the order of f's arguments, or by name; optional if all bounds are finite.
        bounds: (low, high) of each parameter, in the same order, or by name.
        weights: Relative precisions (1 / variance) >= 0, shape (n,); equal if not given. A point of weight 0 is left
            out.
        groups: A label for each point, such as its training, as in ``fit_power_law``.
        level: Confidence level of the intervals.
        seed: Seed of the random starts.

    Returns:
        The fit; mind its ``status``.

    Raises:
        ValueError: x or y is not finite or not aligned, all weights are 0, there are fewer points than parameters, the
            start is not within the bounds, there is neither a start nor finite bounds, f needs arguments by keyword,
            returns complex numbers or has no finite values at any start.

    Examples:
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
    check_alignment(x=x, y=y, weights=weights, groups=groups)
    xs, ys = finite("x", x), finite("y", y)
    ws = np.ones_like(xs) if weights is None else not_negative("weights", weights)
    check_columns(x=xs, y=ys, weights=ws)
    used = weighted(ws)
    labels = numbered(labelled("groups", groups, xs.size)[used])
    xs, ys, ws = xs[used], ys[used], ws[used] / ws[used].mean()
    names = parameter_names(f, start, bounds)
    low, high = checked_bounds(names, bounds)
    places = starts(names, start, low, high, np.random.default_rng(seed))
    if xs.size < len(names):
        raise ValueError(f"there are {xs.size} points for {len(names)} parameters; give at least as many")
    problem = Problem(f, xs, ys, np.sqrt(ws), low, high)
    best = problem.optimum(places)
    degrees = xs.size - len(names)
    interval, clustered = dict.fromkeys(names, (-math.inf, math.inf)), has_clusters(labels)
    if degrees and not clustered:
        quantile = float(special.stdtrit(degrees, (1 + level) / 2)) ** 2
        best, ends = problem.profiled(best, quantile / degrees)
        interval = dict(zip(names, ends, strict=True))
    noise = math.sqrt(best.rss / degrees) if degrees else math.nan
    covariance = covariance_of(problem.jacobian(best.theta), noise, problem.residuals(best.theta), labels)
    if degrees and clustered and covariance is not None:
        half = float(special.stdtrit(labels.max(), (1 + level) / 2)) * np.sqrt(np.diag(covariance))
        lows, highs = np.maximum(best.theta - half, low), np.minimum(best.theta + half, high)
        interval = dict(zip(names, zip(lows.tolist(), highs.tolist(), strict=True), strict=True))
    runs_p = _residual_runs_p(xs, ys, ws, values_of(f, xs, best.theta))
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
        groups=tuple(labels.tolist()),
    )


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
