"""The scaling laws as plain functions, evaluated through logarithms so that x of any magnitude is safe."""

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array


def power_law_value(x: ArrayLike, *, alpha: float, beta: float, gamma: float, x0: float = 1.0) -> Array:
    """Power law plus a constant, ``L(x) = alpha * (x / x0)**-beta + gamma``.

    The form that Ardalani et al. (2022, "Understanding Scaling Laws for Recommendation Models") fit to
    normalized entropy.

    Args:
        x: Data, parameters or compute; positive, any shape.
        alpha: The part of the loss that more x can still remove, at ``x = x0``; in the unit of the loss.
        beta: Exponent; 0 or above, no unit.
        gamma: The floor, which no x gets below; in the unit of the loss.
        x0: The x at which alpha is stated. 1 gives the law as papers print it.

    Returns:
        The loss at x: float64, the shape of x; infinite where it exceeds the range of float64.

    Examples:
        >>> power_law_value([1, 4, 16], alpha=2.0, beta=0.5, gamma=0.75)
        array([2.75, 1.75, 1.25])
    """
    distance = np.log(np.asarray(x, dtype=np.float64)) - np.log(x0)
    with np.errstate(over="ignore", under="ignore"):  # far to the left of x0 a steep law is infinite
        return np.asarray(law_at(distance, alpha, beta, gamma), dtype=np.float64)


def law_at(distance: Array, top: float | Array, beta: float | Array, gamma: float | Array) -> Array:
    """The power law over logarithmic distances, ``top * exp(-beta * distance) + gamma``.

    Args:
        distance: ``ln(x / x0)``, any shape.
        top: The loss above gamma at x0; like beta and gamma a number or an array that broadcasts with ``distance``.
        beta: Exponent.
        gamma: Floor.
    """
    return np.asarray(top * np.exp(-beta * distance) + gamma)


def joint_law(
    n: ArrayLike,
    d: ArrayLike,
    *,
    E: float,  # noqa: N803 -- the paper's names
    A: float,  # noqa: N803
    a: float,
    B: float,  # noqa: N803
    b: float,
    n0: float = 1.0,
    d0: float = 1.0,
) -> Array:
    """Loss over parameters and data, ``L(n, d) = E + A * (n / n0)**-a + B * (d / d0)**-b``.

    Equation 2 of Hoffmann et al. (2022, "Training Compute-Optimal Large Language Models").

    Args:
        n: Parameters; positive, any shape.
        d: Training examples; positive, a shape that broadcasts with that of n.
        E: The floor; in the unit of the loss.
        A: The part of the loss that more parameters can still remove, at ``n = n0``; in the unit of the loss.
        a: Exponent of n, 0 or above.
        B: The same for examples, at ``d = d0``.
        b: Exponent of d, 0 or above.
        n0: The n at which A is stated; 1 for the law as papers print it.
        d0: The d at which B is stated.

    Returns:
        The loss: float64, of the broadcast shape.
    """
    log_n = np.log(np.asarray(n, dtype=np.float64)) - np.log(n0)
    log_d = np.log(np.asarray(d, dtype=np.float64)) - np.log(d0)
    with np.errstate(over="ignore", under="ignore"):  # far below n0 or d0 a steep law is infinite
        return np.asarray(E + A * np.exp(-a * log_n) + B * np.exp(-b * log_d), dtype=np.float64)


def exponential_law(x: ArrayLike, *, alpha: float, tau: float, gamma: float, x0: float = 0.0) -> Array:
    """Exponential plus a constant, ``L(x) = alpha * exp(-(x - x0) / tau) + gamma``.

    ``tau``, above 0, is the increase of x that divides the excess over gamma by e; the rest is as in
    ``power_law_value``.
    """
    distance = (np.asarray(x, dtype=np.float64) - x0) / tau
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(alpha * np.exp(-distance) + gamma, dtype=np.float64)


def broken_power_law(
    x: ArrayLike, *, alpha: float, beta: float, change: float, width: float, x_break: float, x0: float = 1.0
) -> Array:
    """A power law whose exponent changes once, smoothly, from ``beta`` to ``beta + change``.

    ``L(x) = alpha * (x / x0)**-beta * (1 + (x / x_break)**(1 / width))**(-change * width)``: a smoothly broken
    power law with one break and no floor (Caballero et al. 2023, "Broken Neural Scaling Laws", equation 1).

    ``width``, above 0, is how gradual the change is, in units of ln x; ``x_break`` is its x. The rest is as in
    ``power_law_value``.
    """
    logs = np.log(np.asarray(x, dtype=np.float64))
    with np.errstate(over="ignore", under="ignore"):
        past = width * np.logaddexp(0.0, (logs - np.log(x_break)) / width)
        return np.asarray(alpha * np.exp(-beta * (logs - np.log(x0)) - change * past), dtype=np.float64)


def shifted_power_law(x: ArrayLike, *, alpha: float, beta: float, shift: float, x0: float) -> Array:
    """A power law that starts with a plateau, ``L(x) = alpha * ((x + shift) / (x0 + shift))**-beta``.

    Well below ``shift`` the loss hardly falls (the small-data region of Hestness et al. 2017); well above it the
    exponent is beta. ``alpha`` is the loss at x0.
    """
    xs = np.asarray(x, dtype=np.float64)
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        log_ratio = np.logaddexp(np.log(xs / x0), np.log(shift / x0)) - np.logaddexp(0.0, np.log(shift / x0))
        return np.asarray(alpha * np.exp(-beta * log_ratio), dtype=np.float64)
