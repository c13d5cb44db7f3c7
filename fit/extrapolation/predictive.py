"""Where a further measurement beyond the data may lie, the law being possibly wrong.

An interval that follows from noise alone assumes the form of the law; beyond the data that is what fails. Here ``ln y``
at the distance ``d = ln(x / x_end)`` is predicted by Student's t about ``average_of`` the curve. Its scale pools two
witnesses geometrically and grows with the distance:

    factor * spread(d)**0.6 * missed**0.4 * (1 + d / ln 2)**growth

- ``spread(d)``: the standard deviation of ln y among the laws of the average, which itself grows with d;
- ``missed``: the root mean square of what the average missed per doubling from earlier origins on the curve itself,
  pooled with that of the population of curves, which counts as ``prior_origins`` origins.

The constants are maximum likelihood over 343 public curves (LCDB 1.1, ColPret; whole, cut, and thinned to ladders; each
curve counts once). The factor is then conformal (Vovk et al. 2005): 95 % of their last unseen points lie inside.
``make bench-truth NAME=real_curves`` fits them again, in eight folds of sources. On the sources left out 95 % intervals
held the last unseen point of 343 curves in 95.0 % about ``choose_law``, 95.6 % about ``fit_power_law``, 95.9 % about
``fit_learning_curve`` (binomial error 1.2 %) and 92.4 +- 1.5 % of 316 about ``fit_frontier``; intervals that assume the
form, in 74, 61 and 58 % about the last three. Of the sources with ten curves or more the least is 9 of 11.

The interval is wide for a clean curve of the right form: at 4 times the data it held all of 480 simulated ones. Public
curves do not show beforehand whether they will surprise: the error at the last point, divided by ``spread``, has a 95th
percentile of 4 to 8 whatever their backtests, scatter or number of points say, where simulated curves have 2.0. At 0.57
times the width, which would hold 99 % of the simulated ones, 83 % of the public ones would be held. Where the form is
known to be right, ``fit.predict_interval(x, "new")`` is the narrower one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.extrapolation.average import Average, average_of
from tfrs_scaling.fit.extrapolation.curve import Curve, curve_of
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.validation import positive

SPREAD_POWER = 0.6  # missed has the rest
MISS_GROWTH = 0.7  # misses from earlier origins grow as the distance to this power
_LEAST = 2e-4  # of each witness: below that nothing is known of a curve's future

ASSUMES_FORM = "assumes the form"
ALLOWS_WRONG_FORM = "allows for the form being wrong"


@dataclass(frozen=True)
class Calibration:
    """The constants of the scale; see the module.

    Attributes:
        factor: Conformal factor.
        growth: Power of ``1 + d / ln 2``.
        population: Misses per doubling of the population of curves, in ln y.
        prior_origins: How many origins these count as.
        degrees: Degrees of freedom of Student's t for a long curve.
    """

    factor: float
    growth: float
    population: float
    prior_origins: float
    degrees: float


PUBLIC = Calibration(factor=0.6267, growth=0.408, population=0.00629, prior_origins=0.283, degrees=2.087)


@dataclass(frozen=True)
class PredictiveInterval:
    """Where a further measurement may lie.

    Attributes:
        low: Lower ends, float64, the shape of x; unit of the loss.
        high: Upper ends.
        kind: What the intervals assume: ASSUMES_FORM (noise alone is uncertain) or ALLOWS_WRONG_FORM.
    """

    low: Array
    high: Array
    kind: str


@dataclass(frozen=True)
class Backtest:
    """What the average missed from an earlier origin: arrays of shape (m,).

    Attributes:
        distance: ``ln(x / x_origin)`` of the points beyond it.
        error: ``ln`` predicted minus ``ln`` measured.
    """

    distance: Array
    error: Array


@dataclass(frozen=True)
class Forecast:
    """The average for one curve, and what is known of its errors.

    Attributes:
        curve: The curve.
        average: The average for all its points.
        backtests: The average's misses from earlier origins; none for a curve of four points.
    """

    curve: Curve
    average: Average
    backtests: tuple[Backtest, ...]

    def interval(
        self, x: Array, level: float, calibration: Calibration = PUBLIC, unit_error: float = 0.0
    ) -> tuple[Array, Array]:
        """The lower and upper end of a further measurement at x beyond the data, shape (m,).

        ``unit_error`` is the relative standard error of the unit of the loss.
        """
        u = np.clip(np.log(x) - math.log(self.curve.x_end), 0.0, 600.0)
        middle, spread = self.average.predict(u)
        missed = missed_per_doubling(self.backtests, calibration)
        half = half_widths(u, spread, missed, self.curve.u.size, level, calibration)
        half = np.hypot(half, -float(special.ndtri((1 - level) / 2)) * unit_error)
        # More data is not expected to take the loss above all measured ones.
        most = np.maximum(float(self.curve.log_y.max()), middle) + missed
        log_end = math.log(self.curve.y_end)
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(middle - half + log_end), np.exp(np.minimum(middle + half, most) + log_end)

    def fall(self, x: Array, level: float) -> tuple[Array, Array]:
        """The interval of the fall of ln y over the doubling that starts at x >= x_end / 2, shape (m,)."""
        u = np.log(x) - math.log(self.curve.x_end)
        middle, spread = self.average.fall(u)
        missed = missed_per_doubling(self.backtests, PUBLIC)
        half = half_widths(np.maximum(u + math.log(2.0), 0.0), spread, missed, self.curve.u.size, level, PUBLIC)
        return middle - half, middle + half

    def beyond_data(
        self, x: Array, low: Array, middle: Array, high: Array, level: float, unit_error: float = 0.0
    ) -> PredictiveInterval:
        """An interval about a law at x, any shape; beyond the data, this forecast's, extended to hold the law."""
        ahead = x > self.curve.x_end * (1 + 1e-9)
        if not ahead.any():
            return PredictiveInterval(low, high, ASSUMES_FORM)
        lows, highs = np.array(low), np.array(high)
        further_low, further_high = self.interval(x[ahead], level, unit_error=unit_error)
        lows[ahead], highs[ahead] = np.minimum(middle[ahead], further_low), np.maximum(middle[ahead], further_high)
        return PredictiveInterval(lows, highs, ALLOWS_WRONG_FORM)


def half_widths(
    distance: Array,
    spread: Array,
    missed: float | Array,
    points: int | Array,
    level: float,
    calibration: Calibration,
) -> Array:
    """Half the width of the interval of ln y: Student's t times the scale of the module, shape (m,).

    Args:
        distance: ``ln(x / x_end) >= 0``, shape (m,).
        spread: Standard deviation of ln y among the laws there, shape (m,).
        missed: Result of ``missed_per_doubling``.
        points: Number of different x of the curve, four or more.
        level: Confidence level; the factor is that of 0.95.
        calibration: The constants.
    """
    pooled = (spread + _LEAST) ** SPREAD_POWER * (missed + _LEAST) ** (1 - SPREAD_POWER)
    scale = calibration.factor * pooled * (1 + distance / math.log(2.0)) ** calibration.growth
    return np.asarray(scale * special.stdtrit(degrees_of_freedom(points, calibration), (1 + level) / 2))


def degrees_of_freedom(points: int | Array, calibration: Calibration) -> float | Array:
    """Degrees of freedom of Student's t for a curve of so many different x, four or more."""
    return 1 / (1 / calibration.degrees + 1 / (points - 2))


def missed_per_doubling(backtests: Sequence[Backtest], calibration: Calibration) -> float:
    """Root mean square of the misses per doubling, pooled with those of the population."""
    return float(pooled_misses(sum(map(squared_miss, backtests)), len(backtests), calibration))


def squared_miss(test: Backtest) -> float:
    """The mean squared miss of a backtest per doubling."""
    grown = (test.distance / math.log(2.0)) ** (2 * MISS_GROWTH)
    return float((test.error**2).sum() / grown.sum())


def pooled_misses(squares: float | Array, origins: float | Array, calibration: Calibration) -> float | Array:
    """Root mean square of the sum of the squared misses of so many origins, pooled with the population's."""
    number = calibration.prior_origins
    return ((number * calibration.population**2 + squares) / (number + origins)) ** 0.5


@np.errstate(under="ignore")
def forecast_of(curve: Curve) -> Forecast:
    """The average for the points of a curve, with its backtests."""
    average = average_of(curve)
    backtests = []
    for origin in curve.origins():
        u, log_y = curve.u[origin - 1], curve.log_y[origin - 1]
        past = Curve(
            curve.u[:origin] - u, curve.log_y[:origin] - log_y, curve.counts[:origin], curve.x_end, curve.y_end
        )
        distance = curve.u[origin:] - u
        predicted, _ = average_of(past).predict(distance)
        backtests.append(Backtest(distance, predicted + log_y - curve.log_y[origin:]))
    return Forecast(curve, average, tuple(backtests))


def forecast(x: ArrayLike, y: ArrayLike) -> Forecast:
    """``forecast_of`` points: x positive and finite, shape (n,), in any order; losses y above 0.

    Raises:
        ValueError: as in ``choose_law``.
    """
    return forecast_of(curve_of(x, y))


def predictive_interval(fit: PowerLawFit, x: ArrayLike) -> PredictiveInterval | None:
    """The interval of one further measurement at x, at the fit's level.

    Up to the largest fitted x it is the fit's own, ``fit.predict_interval(x, "new")``. Beyond, it is that of the fitted
    points' ``forecast``, extended to hold the fit's prediction: the law may be wrong there. The forecast needs losses
    above 0; for others, and where all x lie within the data, the interval assumes the form.

    Args:
        fit: A fit by ``fit_power_law``, ``fit_learning_curve`` or ``fit_frontier``.
        x: Positive numbers, any shape.

    Returns:
        The interval; None where nothing was fitted (fewer than four different x).

    Raises:
        ValueError: an x is not a positive finite number.

    Examples:
        >>> from tfrs_scaling.fit import fit_power_law
        >>> examples = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000]
        >>> fit = fit_power_law(examples, [0.97, 0.94, 0.915, 0.895, 0.88, 0.868])
        >>> predictive_interval(fit, 16_000).kind, predictive_interval(fit, 64_000).kind
        ('assumes the form', 'allows for the form being wrong')
    """
    places = positive("x", x)
    if not fit.status.is_fitted:
        return None
    low, high = fit.predict_interval(places, "new")
    if min(fit.y) <= 0:
        return PredictiveInterval(low, high, ASSUMES_FORM)
    return forecast_of_points(fit.x, fit.y).beyond_data(
        places, low, fit.predict(places), high, fit.level, fit.unit_error
    )


@lru_cache(maxsize=64)
def forecast_of_points(x: tuple[float, ...], y: tuple[float, ...]) -> Forecast:
    """``forecast`` of a fit's points, which are asked for it place by place."""
    return forecast(x, y)
