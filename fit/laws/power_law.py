"""Fit ``L(x) = alpha * x**-beta + gamma``: the global optimum, its status and its intervals."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tfrs_scaling.common.arrays import Array, Indices, Interval
from tfrs_scaling.common.json_numbers import from_json, to_json
from tfrs_scaling.fit.laws.functions import power_law_value
from tfrs_scaling.fit.laws.goodness import aicc, lack_of_fit, r2, r2_excess
from tfrs_scaling.fit.laws.profile import Profile, Solutions, profile_of
from tfrs_scaling.fit.laws.resampling import REPLICATES, has_clusters, law_jacobian, refitted, resampled
from tfrs_scaling.fit.laws.robust import pseudo_losses
from tfrs_scaling.fit.laws.status import FEWEST, Status, judge
from tfrs_scaling.fit.laws.uncertainty import Region, Resampled, Uncertainty, f_quantile
from tfrs_scaling.fit.laws.validation import check_level_and_seed, grouped_points, numbered, positive


@dataclass(frozen=True)
class PowerLawFit:
    """A fitted law with the points it was fitted to.

    Parameters, intervals and goodness of fit are NaN where the status is ``too_few_points``.

    Attributes:
        alpha_at_x0: ``alpha * x0**-beta``, what more x can still remove at x0; unit of the loss.
        beta: The exponent.
        gamma: The floor; unit of the loss.
        x0: Geometric mean of the fitted x; unit of x.
        interval: Intervals of ``alpha``, ``beta`` and ``gamma`` as (low, high); an end that the data leave
            open is 0 or inf.
        level: Confidence level of the intervals.
        rmse: Weighted root mean square of the residuals; unit of the loss.
        noise: Standard deviation of one measurement of weight 1, estimated from the residuals; unit of the
            loss.
        noise_degrees: Its degrees of freedom: n - 3, fewer where points are grouped.
        r2: Share of the weighted variance of y that the law explains; NaN where y does not vary.
        r2_excess: The same for ``ln(y - gamma)`` against ``ln x``, unweighted, where a law is a straight
            line; NaN where a point lies on or below gamma. Stricter than ``r2`` at the tail.
        aicc: ``n ln(rss / n) + 2k + 2k(k + 1) / (n - k - 1)`` with k = 4 (the variance counts);
            NaN for n < 6. Hurvich and Tsai (1989).
        lack_of_fit: The p value of the law against a free loss at every x, by the scatter of replicates;
            small where the law is the wrong one. NaN without replicates, or with three different x.
        n: Number of points with a positive weight.
        status: What its numbers may be used for.
        x: The fitted x, shape (n,).
        y: The fitted losses, shape (n,).
        weights: Their weights, mean 1, shape (n,).
        groups: The group of each point, numbered from 0, shape (n,).
        robust: Whether this is Huber's estimate.
        left_out: The x of points that were given and not fitted, increasing.
        why_left_out: Why they were not fitted; empty where none was left out.
        replicates: Laws refitted to resampled points, as (alpha at x0, beta, gamma), where intervals come
            from these and not from the profile likelihood; else empty.
        unit_error: Relative standard error of the unit of the loss, where that is itself a measurement; see
            ``normalized``.
    """

    alpha_at_x0: float
    beta: float
    gamma: float
    x0: float
    interval: dict[str, Interval]
    level: float
    rmse: float
    noise: float
    noise_degrees: float
    r2: float
    r2_excess: float
    aicc: float
    lack_of_fit: float
    n: int
    status: Status
    x: tuple[float, ...]
    y: tuple[float, ...]
    weights: tuple[float, ...]
    groups: tuple[int, ...]
    robust: bool = False
    left_out: tuple[float, ...] = ()
    why_left_out: str = ""
    replicates: tuple[tuple[float, float, float], ...] = ()
    unit_error: float = 0.0

    @property
    def alpha(self) -> float:
        """The coefficient at x = 1; inf or 0 where that is out of the range of float64."""
        with np.errstate(over="ignore", under="ignore"):
            return float(self.alpha_at_x0 * np.exp(self.beta * np.log(self.x0)))

    def predict(self, x: ArrayLike) -> Array:
        """The fitted loss at x: float64, the shape of x.

        Raises:
            ValueError: an x is not a positive finite number.
        """
        places = positive("x", x)
        return power_law_value(places, alpha=self.alpha_at_x0, beta=self.beta, gamma=self.gamma, x0=self.x0)

    @np.errstate(under="ignore")
    def predict_interval(self, x: ArrayLike, kind: Literal["mean", "new"] = "mean") -> tuple[Array, Array]:
        """Interval of the loss at x, at the fit's level.

        ``mean`` is the interval of the law itself: the range of losses at x over all laws whose residual sum
        of squares is within the F limit of the best one, or percentiles of the ``replicates``. ``new`` is for
        one further measurement of weight 1, in a group of its own: it adds, in quadrature to each half of
        that range, ``noise`` times Student's t for ``noise_degrees``.

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
        if not self.status.is_fitted:
            return np.full(places.shape, np.nan), np.full(places.shape, np.nan)
        middle = self.predict(places)
        low, high = self.uncertainty.band(np.log(places.ravel()) - math.log(self.x0))
        # The law itself belongs to the range, even where rounding leaves no room around it.
        low = np.minimum(low.reshape(places.shape), middle)
        high = np.maximum(high.reshape(places.shape), middle)
        noise = 0.0
        if kind == "new":
            noise = math.sqrt(f_quantile(self.level, self.noise_degrees)) * self.noise
        return self.widened(low, middle, high, noise)

    def widened(self, low: Array, middle: Array, high: Array, noise: float = 0.0) -> tuple[Array, Array]:
        """An interval with the error of the unit, and further noise, added in quadrature to each half."""
        if not (noise or self.unit_error):
            return low, high
        with np.errstate(over="ignore", invalid="ignore"):
            further = np.hypot(noise, -float(special.ndtri((1 - self.level) / 2)) * self.unit_error * middle)
            below, above = middle - np.hypot(middle - low, further), middle + np.hypot(high - middle, further)
        finite = np.isfinite(middle)  # an infinite law has no halves
        return np.where(finite, below, low), np.where(finite, above, high)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON: numbers at full precision, null for NaN, infinities and open ends.

        An open end of an interval is null (upper) or 0 (lower).
        """
        out: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        out["alpha"] = self.alpha
        return {name: to_json(value) for name, value in out.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "PowerLawFit":
        """The fit that ``to_dict`` wrote; it predicts the same, to the last digit.

        Raises:
            ValueError: a field is missing or of the wrong kind.
        """
        try:
            numbers: dict[str, Any] = {name: from_json(content[name]) for name in _NUMBERS}
            low_high = {
                name: (from_json(low), math.inf if high is None else float(high))
                for name, (low, high) in content["interval"].items()
            }
            if content["status"] == "too_few_points":
                low_high = dict.fromkeys(low_high, (math.nan, math.nan))
            points: dict[str, Any] = {
                name: tuple(float(v) for v in content[name]) for name in ("x", "y", "weights", "left_out")
            }
            return cls(
                interval=low_high,
                n=int(content["n"]),
                status=Status(content["status"]),
                groups=tuple(int(group) for group in content["groups"]),
                robust=bool(content["robust"]),
                why_left_out=str(content["why_left_out"]),
                replicates=tuple((float(a), float(b), float(g)) for a, b, g in content["replicates"]),
                **numbers,
                **points,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is not a fit that to_dict wrote ({error!r}); fit the runs again") from error

    @cached_property
    def profile(self) -> Profile:
        """The least-squares surface of the points, of their pseudo-losses where the fit is robust."""
        xs, ys, ws = np.array(self.x), np.array(self.y), np.array(self.weights)
        return profile_of(xs, pseudo_losses(xs, ys, ws) if self.robust else ys, ws)

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """What can be asked about the fit's certainty; not for ``too_few_points``."""
        log_x0 = math.log(self.x0)
        if self.replicates:
            return Resampled(np.array(self.replicates), log_x0, self.level)
        profile = self.profile
        return Region(profile, profile.optimum(), log_x0 - math.log(min(self.x)), log_x0, self.level)


_MEASURES = ("alpha_at_x0", "beta", "gamma", "rmse", "noise", "noise_degrees", "r2", "r2_excess", "aicc", "lack_of_fit")
_NUMBERS = (*_MEASURES, "x0", "level", "unit_error")


@np.errstate(under="ignore")
def fit_power_law(
    x: ArrayLike,
    y: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    groups: Iterable[Any] | None = None,
    robust: bool = False,
    level: float = 0.95,
    seed: int = 0,
) -> PowerLawFit:
    """Fit ``L(x) = alpha * x**-beta + gamma`` by weighted least squares, alpha and gamma >= 0.

    For a given beta the law is linear in alpha and gamma, so the search is along beta alone and finds the
    global optimum (variable projection, Golub and Pereyra 1973).

    Without groups, intervals are profile-likelihood intervals, calibrated by F with 1 and n - 3 degrees of
    freedom (Bates and Watts 1988): they are as wide as the data leave the answer open, and hold their level
    from five points on. With groups they come from a wild cluster bootstrap, which keeps
    the noise of a group together; see ``bootstrap.resampled``. A single group says nothing about how groups
    differ: its points count as independent, and the interval is for that training and not for another one.

    Args:
        x: Data, parameters or compute: positive and finite, shape (n,), in any order.
        y: Losses >= 0, shape (n,).
        weights: Relative precisions (1 / variance) >= 0, shape (n,); equal if not given. A point of
            weight 0 does not count.
        groups: A label for each point, such as its trial: points on one data ladder share a training and
            are not independent. Text or numbers, shape (n,).
        robust: Huber's estimate in place of least squares; see ``robust.pseudo_losses``.
        level: Confidence level of the intervals, between 0 and 1.
        seed: Of the bootstrap, >= 0.

    Returns:
        The fit. Look at its ``status`` first: anything but ``ok`` limits what the numbers mean. With
        fewer than four different x nothing is fitted (``too_few_points``).

    Raises:
        ValueError: NaN or infinite values, an x <= 0, a y or weight < 0, unequal lengths, no two
            different x, no positive weight, a group without a label, a negative seed, or a level outside (0, 1).
    """
    xs, ys, ws, numbers = grouped_points(x, y, weights, groups)
    return fit_points(xs, ys, ws, numbers, robust=robust, level=level, seed=seed)


def fit_points(
    xs: Array,
    ys: Array,
    ws: Array,
    groups: Indices,
    *,
    robust: bool,
    level: float,
    seed: int,
    replicates: Array | None = None,
    left_out: tuple[float, ...] = (),
    why_left_out: str = "",
) -> PowerLawFit:
    """Fit points that ``grouped_points`` returned; ``fit_power_law`` has the rest.

    A caller who has chosen the points brings ``replicates``, shape (m, 3), if that choice is uncertain.
    """
    check_level_and_seed(level, seed)
    x0 = math.exp(float(np.mean(np.log(xs))))
    fitted = np.unique(xs).size >= FEWEST
    points: dict[str, Any] = {"x": xs, "y": ys, "weights": ws, "groups": numbered(groups)}
    points = {name: tuple(values.tolist()) for name, values in points.items()}
    if not fitted:
        unknown: dict[str, Any] = dict.fromkeys(_MEASURES, math.nan)
        no_interval = dict.fromkeys(("alpha", "beta", "gamma"), (math.nan, math.nan))
        return PowerLawFit(
            **unknown,
            **points,
            x0=x0,
            level=level,
            interval=no_interval,
            n=xs.size,
            status=Status.TOO_FEW_POINTS,
            robust=robust,
            left_out=left_out,
            why_left_out=why_left_out,
        )
    profile = profile_of(xs, pseudo_losses(xs, ys, ws) if robust else ys, ws)
    best = profile.optimum()
    top, beta, gamma, rss = (float(value[0]) for value in (best.top, best.beta, best.gamma, best.rss))
    log_x0 = math.log(x0)
    from_first = log_x0 - math.log(xs.min())
    alpha_at_x0 = top * profile.scale * math.exp(-beta * from_first)
    predicted = top * np.exp(-beta * profile.distance) + gamma
    measured = replace(profile, y=ys / profile.scale)
    measured_rss = float(profile.total((measured.y - predicted) ** 2)) if robust else rss
    noise, noise_degrees = math.sqrt(rss / (xs.size - 3)), float(xs.size - 3)
    if has_clusters(groups):
        jacobian = law_jacobian(profile.distance, top, beta)
        losses, noise, noise_degrees = resampled(
            predicted, profile.y, ws, jacobian, groups, count=REPLICATES, rng=np.random.default_rng(seed)
        )
        if replicates is None:
            replicates = laws_at(refitted(profile, losses), profile.scale, from_first)
    if replicates is None:
        interval, without_slope = Region(profile, best, from_first, log_x0, level).intervals(), 0.0
    else:
        interval = Resampled(replicates, log_x0, level).intervals()
        estimate = Resampled(np.array([[alpha_at_x0, beta, gamma * profile.scale]]), log_x0, level).intervals()
        # The law itself belongs to the range, even where rounding leaves no room around it.
        interval = {
            name: (min(low, estimate[name][0]), max(high, estimate[name][1])) for name, (low, high) in interval.items()
        }
        without_slope = float(np.mean(replicates[:, 0] == 0))
    return PowerLawFit(
        **points,
        alpha_at_x0=alpha_at_x0,
        beta=beta,
        gamma=gamma * profile.scale,
        x0=x0,
        interval=interval,
        level=level,
        rmse=profile.scale * math.sqrt(measured_rss / xs.size),
        noise=profile.scale * noise,
        noise_degrees=noise_degrees,
        r2=r2(measured, measured_rss),
        r2_excess=r2_excess(measured, best),
        aicc=aicc(measured_rss, measured, xs.size),
        lack_of_fit=lack_of_fit(profile, rss, groups),
        n=xs.size,
        status=judge(profile, best, interval, without_slope, level),
        robust=robust,
        left_out=left_out,
        why_left_out=why_left_out,
        replicates=() if replicates is None else tuple(map(tuple, replicates.tolist())),
    )


def laws_at(laws: Solutions, scale: float, x0_distance: float | Array) -> Array:
    """Laws of shape (m, 1) as alpha at x0, beta and gamma, in the unit of the loss: shape (m, 3)."""
    alpha_at_x0 = laws.top * scale * np.exp(-laws.beta * x0_distance)
    return np.concatenate([alpha_at_x0, laws.beta, laws.gamma * scale], axis=1)
