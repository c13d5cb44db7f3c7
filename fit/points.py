"""Validation of the points of a fit: every refusal names the argument, the place and the value."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def checked_points(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array, Array]:
    """The points of a fit, validated, without those of weight 0, in an order that does not depend on the input's.

    Returns:
        (x, y, weights): float64 of shape (n,), sorted by x, then y; weights have mean 1.

    Raises:
        ValueError: see ``fit_power_law``.
    """
    xs, ys = positive("x", x), finite("y", y)
    ws = np.ones_like(xs) if weights is None else finite("weights", weights)
    for name, values in (("x", xs), ("y", ys), ("weights", ws)):
        if values.ndim != 1 or values.size != xs.size:
            raise ValueError(f"{name} has shape {values.shape} and x {xs.shape}; both must be one list of equal length")
    for name, values in (("y", ys), ("weights", ws)):
        if (values < 0).any():
            raise ValueError(f"{name}[{int(np.argmax(values < 0))}] is negative; it must be 0 or above")
    if xs.size == 0:
        raise ValueError("x is empty; a fit needs points")
    if not (ws > 0).any():
        raise ValueError("weights are all 0; at least one point must count")
    xs, ys, ws = xs[ws > 0], ys[ws > 0], ws[ws > 0]
    if xs.size > 1 and xs.min() == xs.max():
        raise ValueError(f"x is {xs[0]:g} at every point; a law in x needs different x")
    order = np.lexsort((ws, ys, xs))  # the answer must not depend on the order of the points
    ws = ws / ws.max()
    return xs[order], ys[order], (ws / ws.mean())[order]


def finite(name: str, values: ArrayLike) -> Array:
    """Values as float64 of the same shape.

    Raises:
        ValueError: one of them is NaN or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        where = int(np.argmax(bad.ravel()))
        raise ValueError(f"{name}[{where}] is {array.ravel()[where]}; every value must be finite")
    return array


def positive(name: str, values: ArrayLike) -> Array:
    """Values as float64 of the same shape.

    Raises:
        ValueError: one of them is not finite, or not above 0.
    """
    array = finite(name, values)
    if (array <= 0).any():
        where = int(np.argmax(array.ravel() <= 0))
        raise ValueError(f"{name}[{where}] is {array.ravel()[where]:g}; it must be above 0")
    return array
