"""Fit ``L(x) = alpha * x**-beta + gamma``: the global optimum, its status and its intervals."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from tfrs_scaling.fit.laws import power_law
from tfrs_scaling.fit.points import checked_points, positive
from tfrs_scaling.fit.profile import Profile, Solutions, at_bounds, profile_of
from tfrs_scaling.fit.status import FEWEST, judge

Array = NDArray[np.float64]
Interval = tuple[float, float]

_REGION_POINTS = 201


@dataclass(frozen=True)
class PowerLawFit:
    """A fitted law with the points it was fitted to.

    Parameters, intervals and goodness of fit are NaN where the status is ``too_few_points``.

    Attributes:
        alpha_at_x0: ``alpha * x0**-beta``, what more x can still remove at x0; unit of the loss.
        beta: The exponent.
        gamma: The floor; unit of the loss.
        x0: Geometric mean of the fitted x; unit of x.
        interval: Profile-likelihood intervals of ``alpha``, ``beta`` and ``gamma`` as (low, high); an end
            that the data leave open is 0 or inf.
        level: Confidence level of the intervals.
        rmse: Weighted root mean square of the residuals; unit of the loss.
        r2: Share of the weighted variance of y that the law explains; NaN where y does not vary.
        r2_excess: The same for ``ln(y - gamma)`` against ``ln x``, unweighted, where a law is a straight
            line; NaN where a point lies on or below gamma. Stricter than ``r2`` at the tail.
        aicc: ``n ln(rss / n) + 2k + 2k(k + 1) / (n - k - 1)`` with k = 4 (the variance counts);
            NaN for n < 6. Hurvich and Tsai (1989).
        n: Number of points with a positive weight.
        status: One of STATUSES.
        x: The fitted x, shape (n,).
        y: The fitted losses, shape (n,).
        weights: Their weights, mean 1, shape (n,).
    """

    alpha_at_x0: float
    beta: float
    gamma: float
    x0: float
    interval: dict[str, Interval]
    level: float
    rmse: float
    r2: float
    r2_excess: float
    aicc: float
    n: int
    status: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def alpha(self) -> float:
        """The coefficient at x = 1; inf or 0 where that is out of the range of float64."""
        with np.errstate(over="ignore"):
            return float(self.alpha_at_x0 * np.exp(self.beta * np.log(self.x0)))

    def predict(self, x: ArrayLike) -> Array:
        """The fitted loss at x: float64, the shape of x.

        Raises:
            ValueError: an x is not a positive finite number.
        """
        places = positive("x", x)
        return power_law(places, alpha=self.alpha_at_x0, beta=self.beta, gamma=self.gamma, x0=self.x0)

    def predict_interval(self, x: ArrayLike, kind: Literal["mean", "new"] = "mean") -> tuple[Array, Array]:
        """Interval of the loss at x, at the fit's level.

        ``mean`` is the profile-likelihood interval of the law itself: the range of losses at x over all
        laws whose residual sum of squares is within the F limit of the best one. ``new`` is for one
        further measurement of weight 1: it adds, in quadrature to each half of that range, the
        measurement noise ``t * s`` with ``s**2 = rss / (n - 3)`` and Student's t for n - 3 degrees of
        freedom.

        Args:
            x: Positive numbers, shape (m,) or a scalar.
            kind: ``mean`` or ``new``.

        Returns:
            (low, high): float64, the shape of x; NaN where nothing was fitted.

        Raises:
            ValueError: an x is not a positive finite number, or kind is neither of the two.
        """
        places = positive("x", x)
        if kind not in ("mean", "new"):
            raise ValueError(f"kind is {kind!r}; it must be 'mean' or 'new'")
        if self.status == "too_few_points":
            return np.full(places.shape, np.nan), np.full(places.shape, np.nan)
        profile, limit, betas = self._region
        distance = np.log(places.ravel()) - math.log(min(self.x))
        lows, highs = profile.extremes(betas, limit, distance)
        middle = self.predict(places)
        # The law itself belongs to the range, even where rounding leaves no room around it.
        with np.errstate(over="ignore"):  # infinite far to the left of the data, where anything is possible
            low = np.minimum(profile.scale * lows.min(axis=0).reshape(places.shape), middle)
            high = np.maximum(profile.scale * highs.max(axis=0).reshape(places.shape), middle)
        if kind == "new":
            t = math.sqrt(_f_quantile(self.level, self.n - 3))
            noise = t * self.rmse * math.sqrt(self.n / (self.n - 3))
            low, high = middle - np.hypot(middle - low, noise), middle + np.hypot(high - middle, noise)
        return low, high

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON: numbers at full precision, null for NaN, infinities and open ends.

        An open end of an interval is null (upper) or 0 (lower).
        """
        out: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        out["alpha"] = self.alpha
        out["interval"] = {name: list(ends) for name, ends in self.interval.items()}
        return {name: _to_json(value) for name, value in out.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "PowerLawFit":
        """The fit that ``to_dict`` wrote; it predicts the same, to the last digit.

        Raises:
            ValueError: a field is missing or of the wrong kind.
        """
        try:
            numbers: dict[str, Any] = {name: _from_json(content[name]) for name in _NUMBERS}
            low_high = {
                name: (_from_json(low), math.inf if high is None else float(high))
                for name, (low, high) in content["interval"].items()
            }
            if content["status"] == "too_few_points":
                low_high = dict.fromkeys(low_high, (math.nan, math.nan))
            points: dict[str, Any] = {name: tuple(float(v) for v in content[name]) for name in ("x", "y", "weights")}
            return cls(
                interval=low_high,
                n=int(content["n"]),
                status=str(content["status"]),
                **numbers,
                **points,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is not a fit that to_dict wrote ({error!r}); fit the runs again") from error

    @cached_property
    def _region(self) -> tuple[Profile, float, Array]:
        """The profile, the F limit and exponents that span the region within it, the optimum included."""
        profile = profile_of(np.array(self.x), np.array(self.y), np.array(self.weights))
        return _region(profile, profile.optimum(), self.n, self.level)


_NUMBERS = ("alpha_at_x0", "beta", "gamma", "x0", "level", "rmse", "r2", "r2_excess", "aicc")


def fit_power_law(x: ArrayLike, y: ArrayLike, *, weights: ArrayLike | None = None, level: float = 0.95) -> PowerLawFit:
    """Fit ``L(x) = alpha * x**-beta + gamma`` by weighted least squares, alpha and gamma >= 0.

    For a given beta the law is linear in alpha and gamma, so the search is along beta alone and finds the
    global optimum (variable projection, Golub and Pereyra 1973). Intervals are profile-likelihood
    intervals, calibrated by F with 1 and n - 3 degrees of freedom: the range of a parameter over all laws
    whose residual sum of squares is at most ``1 + F / (n - 3)`` times the least (Bates and Watts 1988).

    Args:
        x: Data, parameters or compute: positive and finite, shape (n,), in any order.
        y: Losses >= 0, shape (n,).
        weights: Relative precisions (1 / variance) >= 0, shape (n,); equal if not given. A point of
            weight 0 does not count.
        level: Confidence level of the intervals, between 0 and 1.

    Returns:
        The fit. Look at its ``status`` first: anything but ``ok`` limits what the numbers mean. With
        fewer than four different x nothing is fitted (``too_few_points``).

    Raises:
        ValueError: NaN or infinite values, an x <= 0, a y or weight < 0, unequal lengths, no two
            different x, no positive weight, or a level outside (0, 1).
    """
    xs, ys, ws = checked_points(x, y, weights)
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1, such as 0.95")
    x0 = math.exp(float(np.mean(np.log(xs))))
    points: dict[str, Any] = {"x": tuple(xs.tolist()), "y": tuple(ys.tolist()), "weights": tuple(ws.tolist())}
    if np.unique(xs).size < FEWEST:
        unknown: dict[str, Any] = dict.fromkeys(set(_NUMBERS) - {"x0", "level"}, math.nan)
        no_interval = dict.fromkeys(("alpha", "beta", "gamma"), (math.nan, math.nan))
        return PowerLawFit(
            **unknown,
            **points,
            x0=x0,
            level=level,
            interval=no_interval,
            n=xs.size,
            status="too_few_points",
        )
    profile = profile_of(xs, ys, ws)
    best = profile.optimum()
    top, beta, gamma, rss = (float(value[0]) for value in (best.top, best.beta, best.gamma, best.rss))
    from_first = math.log(x0) - math.log(xs.min())
    interval = _intervals(profile, best, xs, level)
    return PowerLawFit(
        **points,
        alpha_at_x0=top * profile.scale * math.exp(-beta * from_first),
        beta=beta,
        gamma=gamma * profile.scale,
        x0=x0,
        interval=interval,
        level=level,
        rmse=profile.scale * math.sqrt(rss / xs.size),
        r2=_r2(profile, rss),
        r2_excess=_r2_excess(profile, best),
        aicc=_aicc(rss, profile, xs.size),
        n=xs.size,
        status=judge(profile, best, interval, xs.size, level),
    )


def _f_quantile(level: float, degrees: int) -> float:
    """The quantile of F with 1 and ``degrees`` degrees of freedom: that of Student's t, squared."""
    return float(special.stdtrit(degrees, (1 + level) / 2)) ** 2


def _region(profile: Profile, best: Solutions, n: int, level: float) -> tuple[Profile, float, Array]:
    least = max(float(best.rss[0]), profile.floor)
    limit = least * (1 + _f_quantile(level, n - 3) / (n - 3))
    low, high = profile.beta_region(float(best.beta[0]), limit)
    betas = np.append(np.geomspace(low, high, _REGION_POINTS), best.beta)
    return profile, limit, np.clip(np.unique(betas), low, high)


def _intervals(profile: Profile, best: Solutions, xs: Array, level: float) -> dict[str, Interval]:
    _, limit, betas = _region(profile, best, xs.size, level)
    open_below, open_above = at_bounds(betas)
    floors = np.concatenate([*profile.extremes(betas, limit, np.array([math.inf])), best.gamma[:, None]])
    top_low, top_high = profile.tops(betas, limit)
    tops, their_betas = np.concatenate([top_low, top_high, best.top]), np.concatenate([betas, betas, best.beta])
    alphas = _alphas(tops, their_betas, profile.scale, xs.min())
    alpha_low, alpha_high = float(alphas.min()), float(alphas.max())
    if open_above:  # ever steeper laws remain possible, and with them any alpha on that side
        alpha_low, alpha_high = (alpha_low, math.inf) if xs.min() > 1 else (0.0, alpha_high)
    finite = floors[np.isfinite(floors)]
    return {
        "alpha": (alpha_low, alpha_high),
        "beta": (0.0 if open_below else float(betas[0]), math.inf if open_above else float(betas[-1])),
        "gamma": (profile.scale * float(finite.min()), profile.scale * float(finite.max())),
    }


def _alphas(tops: Array, betas: Array, scale: float, x_min: float) -> Array:
    """``top * scale * x_min**beta`` through logarithms, for the tops that exist (are finite)."""
    exists = np.isfinite(tops)
    tops, betas = tops[exists], betas[exists]
    logs = np.log(np.where(tops > 0, tops, 1.0)) + math.log(scale) + betas * math.log(x_min)
    with np.errstate(over="ignore"):
        return np.where(tops > 0, np.exp(logs), 0.0)


def _r2(profile: Profile, rss: float) -> float:
    mean = float(profile.total(profile.y)) / profile.y.size
    total = float(profile.total((profile.y - mean) ** 2))
    return 1 - rss / total if total > profile.floor else math.nan


def _r2_excess(profile: Profile, best: Solutions) -> float:
    top, beta, gamma = float(best.top[0]), float(best.beta[0]), float(best.gamma[0])
    excess = profile.y - gamma
    if top <= 0 or excess.min() <= 0:
        return math.nan
    logs = np.log(excess)
    residuals = logs - (math.log(top) - beta * profile.distance)
    total = float(np.sum((logs - logs.mean()) ** 2))
    return 1 - float(np.sum(residuals**2)) / total if total > 0 else math.nan


def _aicc(rss: float, profile: Profile, n: int) -> float:
    k = 4
    if n < k + 2:
        return math.nan
    rss_in_units = max(rss, profile.floor) / n
    fit_term = n * (math.log(rss_in_units) + 2 * math.log(profile.scale))
    return fit_term + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def _to_json(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _to_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    return value


def _from_json(value: Any) -> float:
    return math.nan if value is None else float(value)
