"""Validation of what a fit is given: every error names the argument, the place and the value."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfrs_scaling.common.arrays import Array, Indices, Mask

_WIDEST = 1e100  # ratio of the largest to the smallest weight


@dataclass(frozen=True)
class Points:
    """Validated points, in an order that does not depend on that of the input.

    Attributes:
        x: Positive and finite, float64, shape (n,), sorted (ties by y).
        y: Losses >= 0, float64, shape (n,).
        weights: Relative precisions > 0, mean 1, float64, shape (n,).
        groups: The group of each point, numbered from 0 without gaps, int64, shape (n,).
    """

    x: Array
    y: Array
    weights: Array
    groups: Indices

    def where(self, kept: Mask) -> "Points":
        """The points at which ``kept``, shape (n,), is true; at least one must be."""
        weights = self.weights[kept]
        groups = np.unique(self.groups[kept], return_inverse=True)[1].astype(np.int64)
        return Points(self.x[kept], self.y[kept], weights / weights.mean(), groups)


def checked_points(
    x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None, groups: Iterable[Any] | None = None
) -> Points:
    """The points of a fit, validated, without those of weight 0.

    Args:
        x: As in ``fit_power_law``, like the other arguments.
        y: Losses.
        weights: Relative precisions; equal if not given.
        groups: A label for each point, text or numbers; each point is its own group if not given.

    Returns:
        The points.

    Raises:
        ValueError: see ``fit_power_law``.
    """
    check_alignment(x=x, y=y, weights=weights, groups=groups)
    xs, ys = positive("x", x), not_negative("y", y)
    ws = np.ones_like(xs) if weights is None else not_negative("weights", weights)
    check_columns(x=xs, y=ys, weights=ws)
    labels = labelled("groups", groups, xs.size)
    counts = weighted(ws)
    xs, ys, ws, labels = xs[counts], ys[counts], ws[counts], labels[counts]
    if ws.max() / _WIDEST > ws.min():
        raise ValueError(
            f"weights range from {ws.min():g} to {ws.max():g}, more than a factor of {_WIDEST:g}; "
            "set the smallest to 0, which leaves the point out"
        )
    if xs.size > 1 and xs.min() == xs.max():
        raise ValueError(f"x is {xs[0]:g} at every point; measure at four or more different x")
    order = np.lexsort((labels, ws, ys, xs))  # the result must not depend on the order of the points
    ws = ws / ws.max()
    return Points(xs[order], ys[order], (ws / ws.mean())[order], numbered(labels[order]))


def weighted(weights: Array) -> Mask:
    """Which points have a weight above 0, shape (n,).

    Raises:
        ValueError: none has.
    """
    above = weights > 0
    if not above.any():
        raise ValueError("weights are all 0; at least one point needs a positive weight")
    return above


def numbered(labels: NDArray[Any]) -> Indices:
    """Labels as numbers from 0, in the order in which they appear: int64, shape (n,)."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def labelled(name: str, labels: Iterable[Any] | None, n: int) -> Indices:
    """Labels as numbers that sort like their text, or 0 to n - 1 if there are none: int64, shape (n,).

    Raises:
        ValueError: there are not n of them, or one is None or NaN.
    """
    if labels is None:
        return np.arange(n)
    given = list(labels)
    if len(given) != n:
        raise ValueError(f"{name} has {len(given)} labels for {n} points; give one label for each point")
    missing = [index for index, label in enumerate(given) if label is None or label != label]
    if missing:
        raise ValueError(f"{name}[{missing[0]}] is {given[missing[0]]}; give every point a label")
    return np.unique([str(label) for label in given], return_inverse=True)[1].astype(np.int64)


def check_columns(**columns: Array) -> None:
    """Check that every argument is one-dimensional, not empty and as long as the first.

    Raises:
        ValueError: one of them is not.
    """
    (first, expected), *_ = columns.items()
    for name, values in columns.items():
        if values.ndim != 1:
            raise ValueError(
                f"{name} has shape {values.shape}; it must be one-dimensional, one value for each point, "
                f"such as {name}.ravel()"
            )
        if values.size != expected.size:
            raise ValueError(f"{name} has {values.size} values and {first} has {expected.size}; the two must match")
    if expected.size == 0:
        raise ValueError(f"{first} is empty; give at least one point")


def check_alignment(**columns: Any) -> None:
    """Check that the arguments that are pandas Series have the same index, as points are matched by position.

    Raises:
        ValueError: two of them differ.
    """
    labelled_columns = [(name, values.index) for name, values in columns.items() if hasattr(values, "iloc")]
    for name, index in labelled_columns[1:]:
        first, expected = labelled_columns[0]
        if not index.equals(expected):
            raise ValueError(
                f"{name} and {first} are Series with different indexes ({_ends(index)}; {_ends(expected)}), but points "
                f"are matched by position; take both from one table, or pass {name}.to_numpy() if positions match"
            )


def _ends(index: Any) -> str:
    return f"{index[0]!r} to {index[-1]!r}" if len(index) else "empty"


def finite(name: str, values: ArrayLike) -> Array:
    """Values as float64 of the same shape.

    Raises:
        ValueError: one of them is NaN or infinite, or they are not numbers.
    """
    try:
        if np.ma.is_masked(values):
            raise TypeError("some are masked; leave them out, such as by compressed()")
        given = np.asarray(values)
        if given.dtype.kind in "cmM":  # NumPy would drop the imaginary part, or count nanoseconds
            raise TypeError(f"it holds {given.dtype}; of dates and durations, give a number such as the seconds")
        array = given.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must hold real numbers, one for each point ({error})") from error
    _refuse(name, array, ~np.isfinite(array), "every value must be finite")
    return array


def positive(name: str, values: ArrayLike) -> Array:
    """Values as float64 of the same shape.

    Raises:
        ValueError: one of them is not finite, or not above 0.
    """
    array = finite(name, values)
    _refuse(name, array, array <= 0, "it must be above 0")
    return array


def not_negative(name: str, values: ArrayLike) -> Array:
    """Values as float64 of the same shape.

    Raises:
        ValueError: one of them is not finite, or below 0.
    """
    array = finite(name, values)
    _refuse(name, array, array < 0, "it must be 0 or above")
    return array


def _refuse(name: str, array: Array, bad: Mask, rule: str) -> None:
    """Raise a ValueError that names the first bad value and, unless the array is a single number, its index."""
    if bad.any():
        where = int(np.argmax(bad.ravel()))
        place = f"{name}[{where}]" if array.ndim else name
        raise ValueError(f"{place} is {array.ravel()[where]:g}; {rule}")


def one_positive(name: str, value: ArrayLike) -> float:
    """A single positive finite number.

    Raises:
        ValueError: it is not.
    """
    array = positive(name, value)
    if array.size != 1:
        raise ValueError(f"{name} has shape {array.shape}; it must be a single number")
    return float(array.item())


def check_level_and_seed(level: float, seed: int) -> None:
    """Check a confidence level and a seed.

    Raises:
        ValueError: level is not between 0 and 1, or seed is negative.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1, such as 0.95")
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or above")
