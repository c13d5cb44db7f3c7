"""A learning curve in logarithms, seen from its right end, and the origins from which its end is predicted."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.laws.validation import check_alignment, check_columns, positive

FEWEST = 4  # different x
_MOST = 100  # different x; neighbours on a denser curve are averaged, which bounds the time of a fit
_HELD_OUT = (0.7, 1.0, 1.4, 2.0)  # octaves at the right end that are predicted from the rest
_WIDEST = 1e100  # ratio of the largest to the smallest x, or y


@dataclass(frozen=True)
class Curve:
    """A learning curve with distinct, increasing x.

    Args:
        u: ``ln(x / x_end)``, shape (n,).
        log_y: ``ln(y / y_end)``, shape (n,).
        counts: Number of measurements that each point averages, shape (n,).
        x_end: The largest x.
        y_end: The loss there.
    """

    u: Array
    log_y: Array
    counts: Array
    x_end: float
    y_end: float

    def until(self, n: int) -> "Curve":
        """The first n points, still measured from the largest x and its y."""
        return Curve(self.u[:n], self.log_y[:n], self.counts[:n], self.x_end, self.y_end)

    def weights(self, recency: float) -> Array:
        """Weights of the points, mean 1.

        An interval of ln x has the same weight however densely it was measured, times ``x**recency``.
        """
        w = np.gradient(self.u) * self.counts * np.exp(recency * (self.u - self.u[-1]))
        w = np.maximum(w, 1e-12 * w.max())
        return np.asarray(w / w.mean())

    def origins(self) -> list[int]:
        """The numbers of points from which the others are predicted, increasing; none if there are too few points."""
        n = self.u.size
        origins = {int((self.u <= -octaves * math.log(2.0) + 1e-9).sum()) for octaves in _HELD_OUT}
        origins = {origin for origin in origins if FEWEST <= origin < n}
        if not origins and n > FEWEST:
            origins = {max(FEWEST, 3 * n // 4)}
        return sorted(origins)


def curve_of(x: ArrayLike, y: ArrayLike) -> Curve:
    """The validated points, averaged at each x.

    Raises:
        ValueError: see ``choose_law``.
    """
    check_alignment(x=x, y=y)
    xs, ys = positive("x", x), positive("y", y)
    check_columns(x=xs, y=ys)
    distinct, place = np.unique(xs, return_inverse=True)
    if distinct.size < FEWEST:
        raise ValueError(f"x has {distinct.size} different value(s); choosing a law takes {FEWEST} or more")
    for name, values in (("x", xs), ("y", ys)):
        if math.log(values.max()) - math.log(values.min()) > math.log(_WIDEST):
            raise ValueError(
                f"{name} spans {values.min():g} to {values.max():g}, more than a factor of {_WIDEST:g}; "
                "leave out the extremes"
            )
    order = np.lexsort((np.log(ys), place))  # the result must not depend on the order of the points
    u, logs = np.log(distinct), np.log(ys)
    counts = np.bincount(place).astype(np.float64)
    log_y = np.bincount(place[order], weights=logs[order]) / counts
    if distinct.size > _MOST:
        part = np.arange(distinct.size) * _MOST // distinct.size
        total = np.bincount(part, weights=counts)
        u, log_y = (np.bincount(part, weights=counts * values) / total for values in (u, log_y))
        counts = np.asarray(total, dtype=np.float64)
    end, loss = float(u[-1]), float(log_y[-1])
    return Curve(u - end, log_y - loss, counts, math.exp(end), math.exp(loss))
