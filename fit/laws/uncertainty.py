"""The uncertainty of a fit: from the profile likelihood, or from laws refitted to resampled points."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy import special

from tfrs_scaling.common.arrays import Array, Interval, Mask
from tfrs_scaling.fit.laws.profile import Profile, Solutions, at_bounds, least_over_beta

_REGION_POINTS = 201


class Uncertainty(Protocol):
    """Intervals and probabilities of a fit; a place is ``ln(x / x0)``, losses are in their own unit."""

    def intervals(self) -> dict[str, Interval]:
        """The intervals of alpha, beta and gamma; an end that the data do not bound is 0 or inf."""

    def band(self, places: Array) -> tuple[Array, Array]:
        """The lower and upper end of the law at places of shape (m,)."""

    def floor_reaches(self, loss: float) -> float:
        """The probability that gamma is at least ``loss``."""

    def loss_is_below(self, place: float, loss: float) -> float:
        """The probability that the law at the place is at most ``loss``."""

    def gain_is_below(self, place: float, epsilon: float) -> float:
        """The probability that the next doubling there gains at most ``epsilon`` of the loss."""


@dataclass(frozen=True)
class Region:
    """All laws whose residual sum of squares is within the F limit of the least: profile likelihood.

    The limit is ``1 + F / (n - 3)`` times the least, F with 1 and n - 3 degrees of freedom (Bates and Watts
    1988). The probability of a statement is that of Student's t at the signed root of the increase in the residual
    sum of squares at the boundary of the statement. It agrees with the intervals: it is 97.5 % where the 95 %
    interval ends.

    Args:
        profile: The points.
        best: The points' optimum.
        x0_distance: ``ln(x0 / min(x))``.
        log_x0: ``ln(x0)``.
        level: Confidence level.
    """

    profile: Profile
    best: Solutions
    x0_distance: float
    log_x0: float
    level: float

    @property
    def _degrees(self) -> int:
        return self.profile.y.size - 3

    @cached_property
    def _least(self) -> float:
        return max(float(self.best.rss[0]), self.profile.floor)

    @cached_property
    def _limit(self) -> float:
        return self._least * (1 + f_quantile(self.level, self._degrees) / self._degrees)

    @cached_property
    def _betas(self) -> Array:
        """Exponents that span the region, the optimum included."""
        low, high = self.profile.beta_region(float(self.best.beta[0]), self._limit)
        betas = np.append(np.geomspace(low, high, _REGION_POINTS), self.best.beta)
        return np.clip(np.unique(betas), low, high)

    def intervals(self) -> dict[str, Interval]:
        """See ``Uncertainty``."""
        betas, limit, profile = self._betas, self._limit, self.profile
        open_below, open_above = at_bounds(betas)
        floors = np.concatenate([*profile.extremes(betas, limit, np.array([math.inf])), self.best.gamma[:, None]])
        tops = np.concatenate([*profile.tops(betas, limit), self.best.top])
        log_x_min = self.log_x0 - self.x0_distance
        alphas = _alphas(tops, np.concatenate([betas, betas, self.best.beta]), profile.scale, log_x_min)
        alpha_low, alpha_high = float(alphas.min()), float(alphas.max())
        if open_above:  # arbitrarily steep laws remain possible, and with them any alpha on that side
            alpha_low, alpha_high = (alpha_low, math.inf) if log_x_min > 0 else (0.0, alpha_high)
        finite = floors[np.isfinite(floors)]
        return {
            "alpha": (alpha_low, alpha_high),
            "beta": (0.0 if open_below else float(betas[0]), math.inf if open_above else float(betas[-1])),
            "gamma": (profile.scale * float(finite.min()), profile.scale * float(finite.max())),
        }

    def band(self, places: Array) -> tuple[Array, Array]:
        """See ``Uncertainty``."""
        lows, highs = self.profile.extremes(self._betas, self._limit, places + self.x0_distance)
        with np.errstate(over="ignore"):  # infinite far to the left of the data
            return self.profile.scale * lows.min(axis=0), self.profile.scale * highs.max(axis=0)

    def floor_reaches(self, loss: float) -> float:
        """See ``Uncertainty``."""
        target = loss / self.profile.scale
        return self._confidence(self._least_rss(lambda power, _: (power, target, math.inf)), self.best.gamma >= target)

    def loss_is_below(self, place: float, loss: float) -> float:
        """See ``Uncertainty``."""
        target, distance = loss / self.profile.scale, place + self.x0_distance

        def through(power: Array, beta: Array) -> tuple[Array, float, Array]:
            there = _exp(-beta * distance)
            # gamma = target - top * there, which is 0 at the largest top
            return power - there[:, None], target, target / np.maximum(there, 1e-300)

        is_below = self.best.top * _exp(-self.best.beta * distance) + self.best.gamma <= target
        return self._confidence(self._least_rss(through), is_below)

    def gain_is_below(self, place: float, epsilon: float) -> float:
        """See ``Uncertainty``."""
        distance = place + self.x0_distance

        def ratio(beta: Array) -> Array:
            """Gamma over top where the gain is epsilon; negative for exponents whose gain never is as large."""
            return _exp(-beta * distance) * (1 - 2.0**-beta - epsilon) / epsilon

        def at_epsilon(power: Array, beta: Array) -> tuple[Array, float, Array]:
            floor = ratio(beta)
            return power + np.maximum(floor, 0.0)[:, None], 0.0, np.where(floor >= 0, math.inf, math.nan)

        is_below = self.best.top * ratio(self.best.beta) <= self.best.gamma
        return self._confidence(self._least_rss(at_epsilon), is_below)

    def _least_rss(self, family: Callable[[Array, Array], tuple[Array, float, float | Array]]) -> float:
        """The least residual sum of squares over laws that meet a condition.

        ``family`` maps x**-beta, shape (k, n), and exponents, shape (k,), to the laws ``offset + top * basis`` that
        meet the condition, as (basis, offset, largest top); the largest top is NaN for an exponent without such a law.
        """
        profile = self.profile

        def rss(beta: Array) -> Array:
            basis, offset, largest = family(np.exp(-beta[:, None] * profile.distance), beta)
            # The basis may be huge far to the left of the data; its square must stay finite.
            size = np.maximum(np.abs(basis).max(axis=1), 1e-300)
            basis = basis / size[:, None]
            target = profile.y - offset
            square = profile.total(basis**2)
            coefficient = profile.total(basis * target) / np.where(square > 0, square, 1.0)
            largest = np.broadcast_to(largest, beta.shape)
            coefficient = np.clip(coefficient, 0.0, largest * size)
            found = profile.total((target - coefficient[:, None] * basis) ** 2)
            return np.where(np.isnan(largest), math.inf, found)

        with np.errstate(over="ignore"):  # infinite for a loss far from the measured ones
            return least_over_beta(rss, self.best.beta, _REGION_POINTS)

    def _confidence(self, constrained: float, holds: Mask) -> float:
        """The probability of a statement, given the sum of squares at its boundary and whether the optimum meets it."""
        if not math.isfinite(constrained):
            return 1.0 if holds.all() else 0.0
        increase = max(constrained - self._least, 0.0) / (self._least / self._degrees)
        probability = float(special.stdtr(self._degrees, math.sqrt(increase)))
        return probability if holds.all() else 1 - probability


@dataclass(frozen=True)
class Resampled:
    """Laws refitted to resampled points: intervals are percentiles over them, probabilities shares of them.

    Args:
        laws: alpha at x0, beta and gamma of each, float64 of shape (replicates, 3).
        log_x0: ``ln(x0)``.
        level: Confidence level.
    """

    laws: Array
    log_x0: float
    level: float

    def intervals(self) -> dict[str, Interval]:
        """See ``Uncertainty``."""
        alpha_at_x0, beta, gamma = self.laws.T
        with np.errstate(over="ignore"):
            alpha = alpha_at_x0 * np.exp(beta * self.log_x0)
        low, high = self._percentiles(np.stack([alpha, beta, gamma], axis=1))
        open_below, open_above = at_bounds(np.array([low[1], high[1]]))
        return {
            "alpha": (float(low[0]), float(high[0])),
            "beta": (0.0 if open_below else float(low[1]), math.inf if open_above else float(high[1])),
            "gamma": (float(low[2]), float(high[2])),
        }

    def intervals_around(self, estimate: Array) -> dict[str, Interval]:
        """The intervals, widened to contain an estimate, shape (1, 3), whatever the rounding."""
        own = replace(self, laws=estimate).intervals()
        return {
            name: (min(low, own[name][0]), max(high, own[name][1])) for name, (low, high) in self.intervals().items()
        }

    def band(self, places: Array) -> tuple[Array, Array]:
        """See ``Uncertainty``."""
        return self._percentiles(self._losses(places))

    def floor_reaches(self, loss: float) -> float:
        """See ``Uncertainty``."""
        return float(np.mean(self.laws[:, 2] >= loss))

    def loss_is_below(self, place: float, loss: float) -> float:
        """See ``Uncertainty``."""
        return float(np.mean(self._losses(np.array([place])) <= loss))

    def gain_is_below(self, place: float, epsilon: float) -> float:
        """See ``Uncertainty``."""
        alpha_at_x0, beta, gamma = self.laws.T
        with np.errstate(over="ignore"):
            excess_gain = alpha_at_x0 * _exp(-beta * place) * (1 - 2.0**-beta - epsilon)
        return float(np.mean(excess_gain <= epsilon * gamma))

    def _losses(self, places: Array) -> Array:
        alpha_at_x0, beta, gamma = (column[:, None] for column in self.laws.T)
        with np.errstate(over="ignore"):  # not law_at: a constant law times an infinite power would be NaN
            return alpha_at_x0 * _exp(-beta * places) + gamma

    def _percentiles(self, values: Array) -> tuple[Array, Array]:
        """The lower and upper percentile of each column."""
        return percentiles(values, self.level)


def percentiles(values: Array, level: float) -> tuple[Array, Array]:
    """The ends of the middle ``level`` of values along the first axis: order statistics, as values may be infinite."""
    place = max(math.floor((len(values) + 1) * (1 - level) / 2 + 1e-9), 1)
    ordered = np.sort(values, axis=0)
    return ordered[place - 1], ordered[-place]


def f_quantile(level: float, degrees: float) -> float:
    """The quantile of F with 1 and ``degrees`` degrees of freedom: that of Student's t, squared."""
    return float(special.stdtrit(degrees, (1 + level) / 2)) ** 2


def _exp(exponent: Array) -> Array:
    """The exponential, at most e**300, so that products with it stay finite."""
    return np.exp(np.minimum(exponent, 300.0))


def _alphas(tops: Array, betas: Array, scale: float, log_x_min: float) -> Array:
    """``top * scale * x_min**beta`` through logarithms, for the finite tops."""
    exists = np.isfinite(tops)
    tops, betas = tops[exists], betas[exists]
    logs = np.log(np.where(tops > 0, tops, 1.0)) + math.log(scale) + betas * log_x_min
    with np.errstate(over="ignore"):
        return np.where(tops > 0, np.exp(logs), 0.0)
