"""The scaling laws, as plain functions with named arguments."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def power_law(x: ArrayLike, *, alpha: float, beta: float, gamma: float, x0: float = 1.0) -> NDArray[np.float64]:
    """Power law plus a constant, ``L(x) = alpha * (x / x0)**-beta + gamma``.

    The form that Ardalani et al. (2022, "Understanding Scaling Laws for Recommendation Models") fit to
    normalized entropy. It is evaluated through logarithms, so that an ``x`` of any magnitude is safe.

    Args:
        x: Data, parameters or compute; positive, any shape.
        alpha: What more x can still remove, at ``x = x0``; in the unit of the loss.
        beta: Exponent; 0 or above, no unit.
        gamma: The floor that no x gets below; in the unit of the loss.
        x0: The x at which alpha is stated. 1 gives the law as papers print it.

    Returns:
        The loss at x: float64, the shape of x.
    """
    log_ratio = np.log(np.asarray(x, dtype=np.float64)) - np.log(x0)
    with np.errstate(over="ignore"):  # far to the left of x0 a steep law is infinite, and says so
        return np.asarray(alpha * np.exp(-beta * log_ratio) + gamma, dtype=np.float64)
