"""How wrong a joint law may be beyond its points: as it missed its own largest sizes, predicted from the others."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.extrapolation.predictive import (
    MISS_GROWTH,
    PUBLIC,
    Backtest,
    degrees_of_freedom,
    missed_per_doubling,
)
from tfrs_scaling.fit.joint.status import FEWEST_POINTS, FEWEST_SIZES
from tfrs_scaling.fit.joint.surface import Surface

_HELD_OUT = ((0, 1), (0, 2), (1, 1))  # how many of the largest data sizes, and of the largest models


@dataclass(frozen=True)
class FormError:
    """The error of ``ln`` loss that a law's form makes beyond its points: Student's t.

    Attributes:
        missed: Its scale one doubling beyond the points.
        degrees: Its degrees of freedom.
    """

    missed: float
    degrees: float

    def draws(self, distance: Array, count: int, seed: int) -> Array:
        """Errors, shape (count, m), of which each row is at the same quantile everywhere.

        Args:
            distance: ``ln`` of how far beyond the points, in models and in data together, shape (m,).
            count: Number of draws.
            seed: Seed of their order.
        """
        quantiles = special.stdtrit(self.degrees, (np.arange(count) + 0.5) / count)
        grown = (distance / math.log(2.0)) ** MISS_GROWTH
        return np.random.default_rng(seed).permutation(quantiles)[:, None] * self.missed * grown


def form_error(surface: Surface) -> FormError:
    """The form error of the law of some points.

    The law is fitted without the largest data size, without the two largest, and without the largest model; what it
    then misses of these is pooled with what laws miss of public curves (``extrapolation.predictive``).
    """
    backtests = [test for axis, number in _HELD_OUT if (test := _backtest(surface, axis, number)) is not None]
    sizes = min(np.unique(surface.u).size, np.unique(surface.v).size)
    return FormError(
        missed_per_doubling(backtests, PUBLIC), float(degrees_of_freedom(max(sizes, FEWEST_SIZES), PUBLIC))
    )


def _backtest(surface: Surface, axis: int, number: int) -> Backtest | None:
    """What the law misses without the largest data sizes (axis 0) or models (1); None where too few are left."""
    along = (surface.v, surface.u)[axis]
    places = np.unique(along)
    if places.size - number < FEWEST_SIZES:
        return None
    past = along <= places[-number - 1]
    if past.sum() < FEWEST_POINTS or min(np.unique(values[past]).size for values in (surface.u, surface.v)) < 3:
        return None
    predicted = surface.law(surface.only(past).minimum()[None])[0, ~past]
    distance = along[~past] - places[-number - 1]
    if min(float(predicted.min()), float(surface.y[~past].min())) <= 0:
        return None
    return Backtest(distance, np.log(predicted) - np.log(surface.y[~past]))
