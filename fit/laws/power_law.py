"""Fit ``L(x) = alpha * x**-beta + gamma``: the global optimum, its status and its intervals."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tfrs_scaling.common.arrays import Array, Interval
from tfrs_scaling.common.json_numbers import from_json, to_json
from tfrs_scaling.common.words import five_digits
from tfrs_scaling.fit.laws.display import (
    CLUSTER_INTERVALS,
    PROFILE_INTERVALS,
    RESAMPLED_INTERVALS,
    Printable,
    Stored,
    estimates,
    facts,
    law_figure,
)
from tfrs_scaling.fit.laws.functions import power_law_value
from tfrs_scaling.fit.laws.profile import Profile, profile_of
from tfrs_scaling.fit.laws.replicates import misses_last_step
from tfrs_scaling.fit.laws.resampling import has_clusters, refit, resample_law
from tfrs_scaling.fit.laws.robust import pseudo_losses
from tfrs_scaling.fit.laws.status import FEWEST, Status, goodness, judge
from tfrs_scaling.fit.laws.uncertainty import Region, Resampled, Uncertainty, f_quantile
from tfrs_scaling.fit.laws.validation import Points, check_level_and_seed, checked_points, numbered, positive

_MOST_SHOWN = 8  # of the x that are left out


@dataclass(frozen=True, eq=False)
class PowerLawFit(Stored, Printable):
    """A fitted law with the points it was fitted to.

    Parameters, intervals and goodness of fit are NaN where the status is ``too_few_points``.

    Attributes:
        alpha_at_x0: ``alpha * x0**-beta``, the part of the loss that more x can still remove at x0; unit of the loss.
        gamma: The floor; unit of the loss.
        x0: Geometric mean of the fitted x.
        interval: Intervals of ``alpha``, ``beta``, ``gamma``: (low, high); an end the data do not bound is 0 or inf.
        rmse: Weighted root mean square of the residuals; unit of the loss.
        noise: Standard deviation of one measurement of weight 1, from the residuals; unit of the loss.
        noise_degrees: Degrees of freedom of ``noise``: n - 3, fewer where points are grouped.
        r2: Share of the weighted variance of y that the law explains; NaN where y does not vary.
        r2_excess: The same of ``ln(y - gamma)`` against ``ln x``, unweighted; stricter about the tail. NaN if a point
            does not lie above gamma.
        aicc: ``n ln(rss / n) + 2k + 2k(k + 1) / (n - k - 1)`` with k = 4 (the variance counts); NaN for n < 6.
            Hurvich and Tsai (1989).
        lack_of_fit: The p value of the law against a free loss at every x, judged by the scatter of replicates;
            small where the law is wrong. NaN without replicates.
        residual_runs_p: The p value of a runs test of the residuals, averaged at each x; NaN where it cannot be judged.
            Small where neighbours err in the same direction, as they do about a law of the wrong form and along one
            training. It needs no replicates, but 16 or more different x: as residuals of three parameters change their
            sign three times or more, those of fewer x cannot show a correlation at the 1 % level.
        weights: Relative precisions, mean 1, shape (n,), as those of x and y.
        groups: The group of each point, numbered from 0 in order of appearance, shape (n,).
        robust: Whether this is Huber's estimate.
        left_out: The x of points that were given but not fitted, increasing; ``why_left_out`` says why.
        resampled_laws: Laws refitted to resampled points, as (alpha at x0, beta, gamma), if the intervals are their
            percentiles; empty if the intervals come from the profile likelihood.
        unit_error: Relative standard error of the unit of the loss; see ``normalized``.
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
    residual_runs_p: float
    n: int
    status: Status
    x: tuple[float, ...]
    y: tuple[float, ...]
    weights: tuple[float, ...]
    groups: tuple[int, ...]
    robust: bool = False
    left_out: tuple[float, ...] = ()
    why_left_out: str = ""
    resampled_laws: tuple[tuple[float, float, float], ...] = ()
    unit_error: float = 0.0

    @property
    def alpha(self) -> float:
        """The coefficient at x = 1; inf or 0 where it is outside the range of float64."""
        with np.errstate(over="ignore", under="ignore"):
            return float(self.alpha_at_x0 * np.exp(self.beta * np.log(self.x0)))

    @property
    def x0_distance(self) -> float:
        """``ln(x0 / min(x))``."""
        return math.log(self.x0) - math.log(min(self.x))

    @property
    def interval_words(self) -> str:
        """What the intervals of the parameters are, and what they assume; empty where nothing was fitted."""
        if not self.status.is_fitted:
            return ""
        if not self.resampled_laws:
            return PROFILE_INTERVALS
        return CLUSTER_INTERVALS if has_clusters(np.array(self.groups)) else RESAMPLED_INTERVALS

    def predict(self, x: ArrayLike) -> Array:
        """The fitted loss at x: float64, the shape of x.

        Raises:
            ValueError: an x is not a positive finite number.
        """
        places = positive("x", x)
        return power_law_value(places, alpha=self.alpha_at_x0, beta=self.beta, gamma=self.gamma, x0=self.x0)

    @np.errstate(under="ignore")
    def predict_interval(self, x: ArrayLike, kind: Literal["mean", "new"] = "mean") -> tuple[Array, Array]:
        """Interval of the loss at x, at the fit's level. It assumes that the law has the right form.

        ``mean`` is that of the law itself: the range over all laws whose residual sum of squares is within the F limit
        of the best one, or percentiles of the ``resampled_laws``. ``new`` is that of one further measurement of weight
        1 in a group of its own: ``noise`` times Student's t is added in quadrature to each half. Beyond the data the
        form is what fails: see ``extrapolation.predictive.predictive_interval``.

        Returns:
            (low, high): float64, the shape of x; NaN where nothing was fitted.

        Raises:
            ValueError: an x is not a positive finite number, or kind is unknown.
        """
        places = positive("x", x)
        if kind not in ("mean", "new"):
            raise ValueError(f"kind is {kind!r}; it must be 'mean' or 'new'")
        if not self.status.is_fitted:
            return np.full(places.shape, np.nan), np.full(places.shape, np.nan)
        middle = self.predict(places)
        low, high = self.uncertainty.band(np.log(places.ravel()) - math.log(self.x0))
        # The range must contain the law itself, whatever the rounding.
        low = np.minimum(low.reshape(places.shape), middle)
        high = np.maximum(high.reshape(places.shape), middle)
        noise = 0.0
        if kind == "new":
            noise = math.sqrt(f_quantile(self.level, self.noise_degrees)) * self.noise
        return self.widened(low, middle, high, noise)

    def widened(self, low: Array, middle: Array, high: Array, noise: float = 0.0) -> tuple[Array, Array]:
        """An interval with ``noise`` and the error of the unit added in quadrature to each half."""
        if not (noise or self.unit_error):
            return low, high
        with np.errstate(over="ignore", invalid="ignore"):
            further = np.hypot(noise, -float(special.ndtri((1 - self.level) / 2)) * self.unit_error * middle)
            below, above = middle - np.hypot(middle - low, further), middle + np.hypot(high - middle, further)
        finite = np.isfinite(middle)  # no halves where the law is infinite
        return np.where(finite, below, low), np.where(finite, above, high)

    def summary(self) -> str:
        """The parameters with their intervals, the status and the quality of the fit, as a table of text."""
        parameters, interval = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}, dict(self.interval)
        if not self.status.has_exponent:  # such as a bound of the search
            parameters |= {"alpha": math.nan, "beta": math.nan}
            interval |= {"alpha": (math.nan, math.nan), "beta": (math.nan, math.nan)}
        table = estimates(parameters, interval, self.level) + "\n\n" if self.status.is_fitted else ""
        degrees = f"{five_digits(self.noise_degrees)} degree{'' if self.noise_degrees == 1 else 's'} of freedom"
        quality = {
            "noise": f"{five_digits(self.noise)}, {degrees}",
            "R²": five_digits(self.r2),
            "lack of fit": _p_value(self.lack_of_fit),
            "residual runs": _p_value(self.residual_runs_p),
            "intervals": self.interval_words,
        }
        places = ", ".join(map(five_digits, self.left_out))
        if len(self.left_out) > _MOST_SHOWN:
            low, high = map(five_digits, (self.left_out[0], self.left_out[-1]))
            places = f"{low} to {high} ({len(self.left_out)} different x)"
        return f"L(x) = alpha * x**-beta + gamma\n\n{table}" + facts(
            {
                "status": f"{self.status}: {self.status.meaning}",
                "points": f"{self.n}, from x = {five_digits(min(self.x))} to {five_digits(max(self.x))}",
                **(quality if self.status.is_fitted else {}),
                "left out": f"x = {places}: {self.why_left_out}" if self.left_out else "",
                "unit": f"has a relative standard error of {self.unit_error:.2g}" if self.unit_error else "",
            }
        )

    def plot(self) -> Any:
        """A Bokeh figure of the points, and of the law with its band where it describes them.

        Up to 4 times the largest x it is dashed, if the status allows extrapolation.
        """
        law = self.status.has_law
        return law_figure(
            f"Power law, status {self.status}",
            self.x,
            self.y,
            self.predict if law else None,
            self.predict_interval if law else None,
            extrapolated=self.status.has_floor,
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON: numbers at full precision, null for NaN, infinities and unbounded upper ends."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        values["alpha"] = self.alpha
        return {_JSON_KEYS.get(name, name): to_json(value) for name, value in values.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "PowerLawFit":
        """The fit that ``to_dict`` wrote; its predictions are identical to the last digit.

        Raises:
            ValueError: a field is missing or invalid.
        """
        try:
            status = Status(content["status"])
            numbers: dict[str, Any] = {name: from_json(content[name]) for name in _NUMBERS}
            low_high = {
                name: (from_json(low), math.inf if high is None else float(high))
                for name, (low, high) in content["interval"].items()
            }
            if not status.is_fitted:
                low_high = dict.fromkeys(low_high, (math.nan, math.nan))
            points: dict[str, Any] = {
                name: tuple(float(v) for v in content[name]) for name in ("x", "y", "weights", "left_out")
            }
            return cls(
                interval=low_high,
                n=int(content["n"]),
                status=status,
                groups=tuple(int(group) for group in content["groups"]),
                robust=bool(content["robust"]),
                why_left_out=str(content["why_left_out"]),
                resampled_laws=tuple((float(a), float(b), float(g)) for a, b, g in content["replicates"]),
                **numbers,
                **points,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this is not a fit that to_dict wrote ({error!r}); fit the points again") from error

    @cached_property
    def profile(self) -> Profile:
        """The least-squares surface of the points, or of their pseudo-losses if the fit is robust."""
        return _profile(np.array(self.x), np.array(self.y), np.array(self.weights), self.robust)

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """The uncertainty of the fit; not for ``too_few_points``."""
        log_x0 = math.log(self.x0)
        if self.resampled_laws:
            return Resampled(np.array(self.resampled_laws), log_x0, self.level)
        return Region(self.profile, self.profile.optimum(), self.x0_distance, log_x0, self.level)


_MEASURES = (
    *("alpha_at_x0", "beta", "gamma", "rmse", "noise", "noise_degrees", "r2", "r2_excess", "aicc"),
    *("lack_of_fit", "residual_runs_p"),
)
_NUMBERS = (*_MEASURES, "x0", "level", "unit_error")
_JSON_KEYS = {"resampled_laws": "replicates"}  # where it is not the name of the field


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

    For a given beta the law is linear in alpha and gamma, so the search is over beta alone and finds the
    global optimum (variable projection, Golub and Pereyra 1973).

    Without groups, intervals are profile-likelihood intervals, calibrated by F with 1 and n - 3 degrees of
    freedom (Bates and Watts 1988); they hold their level from five points on. With groups, they come from a wild
    cluster bootstrap, which keeps the noise of a group together; see ``resampling.resample``. A single group says
    nothing about how groups differ: its points count as independent, and the intervals are for that training, not for
    another one.

    Args:
        x: Data, parameters or compute: positive and finite, shape (n,), in any order.
        y: Losses >= 0, shape (n,).
        weights: Relative precisions (1 / variance) >= 0, shape (n,); equal if not given. A point of
            weight 0 is left out.
        groups: A label for each point, such as its trial: points on one data ladder share a training and
            are not independent. Text or numbers, shape (n,).
        robust: Whether to use Huber's estimate instead of least squares; see ``robust.pseudo_losses``.
        level: Confidence level of the intervals, between 0 and 1.
        seed: Seed of the bootstrap, >= 0.

    Returns:
        The fit. Look at its ``status`` first: any but ``ok`` limits what the numbers mean. With
        fewer than four different x nothing is fitted (``too_few_points``).

    Raises:
        ValueError: NaN or infinite values, an x <= 0, a y or weight < 0, unequal lengths, no two
            different x, no positive weight, a group without a label, a negative seed, or a level outside (0, 1).

    Examples:
        >>> x = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000]
        >>> fit = fit_power_law(x, [0.9803, 0.9421, 0.9116, 0.8874, 0.8669, 0.8510, 0.8373])
        >>> print(fit)
        L(x) = alpha * x**-beta + gamma
        <BLANKLINE>
               estimate  95 % from       to
        alpha    1.6211     1.5165   1.7358
        beta    0.30384    0.29109  0.31665
        gamma   0.78139    0.77645  0.78596
        <BLANKLINE>
        status         ok: The exponent and the floor are both identified.
        points         7, from x = 1,000 to 64,000
        noise          0.00032842, 4 degrees of freedom
        R²             0.99997
        residual runs  p = 0.97
        intervals      profile likelihood: the form is right, and noise is independent and of one size
    """
    return fit_points(checked_points(x, y, weights, groups), robust=robust, level=level, seed=seed)


def fit_points(
    points: Points,
    *,
    robust: bool,
    level: float,
    seed: int,
    resampled_laws: Array | None = None,
    refused: Status | None = None,
    measured: Points | None = None,
) -> PowerLawFit:
    """Fit validated points; see ``fit_power_law``.

    Args:
        points: The points.
        robust: As in ``fit_power_law``.
        level: As in ``fit_power_law``.
        seed: As in ``fit_power_law``.
        resampled_laws: Rows (alpha at x0, beta, gamma), shape (m, 3), if the choice of the points is itself uncertain:
            the laws of resamples that repeat the choice.
        refused: Why no law is to be fitted, if none is.
        measured: The measurements whose means the points are, if they are means.
    """
    check_level_and_seed(level, seed)
    known: dict[str, Any] = {
        **{name: tuple(getattr(points, name).tolist()) for name in ("x", "y", "weights")},
        "groups": tuple(numbered(points.groups).tolist()),
        "n": points.x.size,
        "x0": math.exp(float(np.mean(np.log(points.x)))),
        "level": level,
        "robust": robust,
    }
    if refused is None and np.unique(points.x).size < FEWEST:
        refused = Status.TOO_FEW_POINTS
    if refused is not None:
        unknown: dict[str, Any] = dict.fromkeys(_MEASURES, math.nan)
        no_interval = dict.fromkeys(("alpha", "beta", "gamma"), (math.nan, math.nan))
        return PowerLawFit(**known, **unknown, interval=no_interval, status=refused)
    profile = _profile(points.x, points.y, points.weights, robust)
    best = profile.optimum()
    log_x0 = math.log(known["x0"])
    x0_distance = log_x0 - math.log(points.x.min())
    if has_clusters(points.groups):
        resamples = resample_law(profile, best, points.groups, np.random.default_rng(seed))
        noise, noise_degrees = resamples.noise, resamples.noise_degrees
        if resampled_laws is None:
            resampled_laws = refit(profile, resamples.losses, x0_distance)
    else:
        noise_degrees = float(points.x.size - 3)
        noise = math.sqrt(float(best.rss[0]) / noise_degrees)
    estimate: dict[str, Any] = {
        "alpha_at_x0": float(best.top[0]) * profile.scale * math.exp(-float(best.beta[0]) * x0_distance),
        "beta": float(best.beta[0]),
        "gamma": float(best.gamma[0]) * profile.scale,
    }
    if resampled_laws is None:
        interval, without_slope = Region(profile, best, x0_distance, log_x0, level).intervals(), 0.0
    else:
        interval = Resampled(resampled_laws, log_x0, level).intervals_around(np.array([list(estimate.values())]))
        without_slope = float(np.mean(resampled_laws[:, 0] == 0))
    quality = goodness(profile, best, points, robust)
    behind = measured or points
    by_law = profile.scale * best.losses(np.log(behind.x / points.x.min()))
    return PowerLawFit(
        **known,
        **estimate,
        **quality,
        interval=interval,
        noise=profile.scale * noise,
        noise_degrees=noise_degrees,
        status=judge(
            profile, best, interval, without_slope, quality["residual_runs_p"], misses_last_step(behind, by_law), level
        ),
        resampled_laws=() if resampled_laws is None else tuple(map(tuple, resampled_laws.tolist())),
    )


def check_fitted(name: str, fit: PowerLawFit) -> None:
    """Check that a fit has a law.

    Raises:
        ValueError: its status is ``too_few_points``.
    """
    if not fit.status.is_fitted:
        raise ValueError(
            f"{name} has the status {fit.status}: nothing was fitted to its {fit.n} points; "
            f"measure at {FEWEST} or more different x"
        )


def _p_value(value: float) -> str:
    return "" if math.isnan(value) else f"p = {value:.2g}"


def _profile(xs: Array, ys: Array, ws: Array, robust: bool) -> Profile:
    return profile_of(xs, pseudo_losses(xs, ys, ws) if robust else ys, ws)
