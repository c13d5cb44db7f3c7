"""Validation of the points of a fit: every refusal names the argument, the place and the value."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfrs_scaling.common.arrays import Array, Indices, Mask

_WIDEST = 1e100  # ratio of the largest to the smallest weight


def checked_points(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array, Array]:
    """The points of a fit, validated, without those of weight 0, in an order that does not depend on the input's.

    Returns:
        (x, y, weights): float64 of shape (n,), sorted by x, then y; weights have mean 1.

    Raises:
        ValueError: see ``fit_power_law``.
    """
    return grouped_points(x, y, weights, None)[:3]


def grouped_points(
    x: ArrayLike, y: ArrayLike, weights: ArrayLike | None, groups: Iterable[Any] | None
) -> tuple[Array, Array, Array, Indices]:
    """The points of a fit as ``checked_points`` gives them, with the group each belongs to.

    Args:
        x: As ``fit_power_law``, and so are the others.
        y: Losses.
        weights: Relative precisions.
        groups: A label for each point, text or numbers; each point is a group of its own if not given.

    Returns:
        (x, y, weights, groups): groups are numbered from 0 in the order in which they appear.

    Raises:
        ValueError: see ``fit_power_law``.
    """
    xs, ys = positive("x", x), finite("y", y)
    ws = np.ones_like(xs) if weights is None else finite("weights", weights)
    for name, values in (("x", xs), ("y", ys), ("weights", ws)):
        if values.ndim != 1 or values.size != xs.size:
            raise ValueError(f"{name} has shape {values.shape} and x {xs.shape}; both must be one list of equal length")
    labels = labelled("groups", groups, xs.size)
    for name, values in (("y", ys), ("weights", ws)):
        if (values < 0).any():
            raise ValueError(f"{name}[{int(np.argmax(values < 0))}] is negative; it must be 0 or above")
    if xs.size == 0:
        raise ValueError("x is empty; a fit needs points")
    if not (ws > 0).any():
        raise ValueError("weights are all 0; at least one point must count")
    counts = ws > 0
    xs, ys, ws, labels = xs[counts], ys[counts], ws[counts], labels[counts]
    if ws.max() / _WIDEST > ws.min():
        raise ValueError(f"weights span {ws.min():g} to {ws.max():g}; a point of so little weight must have 0")
    if xs.size > 1 and xs.min() == xs.max():
        raise ValueError(f"x is {xs[0]:g} at every point; a law in x needs different x")
    order = np.lexsort((labels, ws, ys, xs))  # the answer must not depend on the order of the points
    ws = ws / ws.max()
    return xs[order], ys[order], (ws / ws.mean())[order], numbered(labels[order])


def numbered(labels: NDArray[Any]) -> Indices:
    """Labels as numbers from 0, in the order in which they appear: int64, shape (n,)."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def labelled(name: str, labels: Iterable[Any] | None, n: int) -> Indices:
    """Labels as numbers that sort as their text does, or 0 to n - 1 where there are none: int64, shape (n,).

    Raises:
        ValueError: there are not n of them, or one is None or NaN.
    """
    if labels is None:
        return np.arange(n)
    given = list(labels)
    if len(given) != n:
        raise ValueError(f"{name} has {len(given)} labels for {n} points; every point needs one")
    missing = [at for at, label in enumerate(given) if label is None or label != label]
    if missing:
        raise ValueError(f"{name}[{missing[0]}] is {given[missing[0]]}; every point needs a label")
    return np.unique([str(label) for label in given], return_inverse=True)[1].astype(np.int64)


def finite(name: str, values: ArrayLike) -> Array:
    """Values as float64 of the same shape.

    Raises:
        ValueError: one of them is NaN or infinite, or they are not numbers.
    """
    try:
        if np.iscomplexobj(values):
            raise TypeError("complex numbers")
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be real numbers, one for each point ({error})") from error
    bad = ~np.isfinite(array)
    if bad.any():
        raise ValueError(f"{_first(name, array, bad)}; every value must be finite")
    return array


def positive(name: str, values: ArrayLike) -> Array:
    """Values as float64 of the same shape.

    Raises:
        ValueError: one of them is not finite, or not above 0.
    """
    array = finite(name, values)
    if (array <= 0).any():
        raise ValueError(f"{_first(name, array, array <= 0)}; it must be above 0")
    return array


def _first(name: str, array: Array, bad: Mask) -> str:
    """The first bad value with its place, which a single number does not have."""
    where = int(np.argmax(bad.ravel()))
    return f"{name}[{where}] is {array.ravel()[where]:g}" if array.ndim else f"{name} is {array:g}"


def one_positive(name: str, value: ArrayLike) -> float:
    """A single positive finite number.

    Raises:
        ValueError: it is not.
    """
    array = positive(name, value)
    if array.size != 1:
        raise ValueError(f"{name} has shape {array.shape}; it must be one number")
    return float(array.item())


def check_level_and_seed(level: float, seed: int) -> None:
    """Refuse what is no confidence level, or no seed.

    Raises:
        ValueError: level is not between 0 and 1, or seed is negative.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1, such as 0.95")
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or above")
