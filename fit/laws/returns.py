"""What more x still brings: return per doubling, saturation, where it falls below a threshold, what a loss takes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tfrs_scaling.common.arrays import Interval
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.validation import one_positive

_FARTHEST = 2000.0  # in ln(x / x0): beyond it a place is 0 or inf for every purpose
_NARROW = 1e-9


@dataclass(frozen=True)
class Return:
    """Where on its curve a law stands at one x.

    Attributes:
        x: The place.
        epsilon: The gain per doubling below which the law counts as saturated.
        gain: ``G(x) = [L(x) - L(2x)] / L(x)``, the share of the loss that the next doubling removes.
        elasticity: ``-d ln L / d ln x``, the local exponent of the loss itself; at most beta.
        saturated: Whether ``gain <= epsilon``.
        probability: Of being saturated.
        diminishing_return: The x at which the gain has fallen to epsilon: 0 where it never was above, inf
            where it never falls that far.
        interval: Of ``diminishing_return``, at the fit's level; an end that the data leave open is 0 or inf.
    """

    x: float
    epsilon: float
    gain: float
    elasticity: float
    saturated: bool
    probability: float
    diminishing_return: float
    interval: Interval


@dataclass(frozen=True)
class Reach:
    """What it takes to get down to a loss.

    Attributes:
        loss: The loss.
        x: Where the law meets it; inf where it lies on or below the floor, 0 where the law is below it everywhere.
        interval: Of x, at the fit's level; an end that the data leave open is 0 or inf.
        reachable: Whether the fitted floor lies below the loss.
        unreachable_probability: That the floor does not.
    """

    loss: float
    x: float
    interval: Interval
    reachable: bool
    unreachable_probability: float


@np.errstate(under="ignore")
def returns_at(fit: PowerLawFit, x: float, epsilon: float = 0.01) -> Return:
    """Where a law stands at x: what the next doubling of x brings, and where that is no longer worth it.

    With ``A = alpha_at_x0`` the gain is ``A (x/x0)**-beta (1 - 2**-beta) / L(x)``. It falls with x, and equals
    epsilon at ``x0 * (A (1 - 2**-beta - epsilon) / (epsilon gamma))**(1 / beta)``.

    Args:
        fit: Of any status but ``too_few_points``; mind its status.
        x: A positive number, in the unit of the fit's x.
        epsilon: Between 0 and 1; 0.01 is one percent of the loss per doubling.

    Returns:
        The phase.

    Raises:
        ValueError: x or epsilon is out of range, or nothing was fitted.
    """
    _check(fit)
    x = one_positive("x", x)
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon is {epsilon}; it must lie between 0 and 1, such as 0.01 for 1 % per doubling")
    top, beta, gamma = fit.alpha_at_x0, fit.beta, fit.gamma
    place = math.log(x) - math.log(fit.x0)
    # Divided by the excess, which may be beyond all bounds far to the left: A x**-beta / L(x) = 1 / (1 + gamma / ...)
    floor_share = _ratio(gamma, top, beta * place)
    reducible = 1 / (1 + floor_share)
    gain = reducible * -math.expm1(-beta * math.log(2))

    def saturated(at: float) -> float:
        return fit.uncertainty.gain_is_below(at, epsilon)

    excess_gain = top * (-math.expm1(-beta * math.log(2)) - epsilon)
    if excess_gain <= 0:
        at = -math.inf
    elif gamma <= 0:
        at = math.inf
    else:
        at = math.log(excess_gain / (epsilon * gamma)) / beta
    return Return(
        x=x,
        epsilon=float(epsilon),
        gain=gain,
        elasticity=beta * reducible,
        saturated=gain <= epsilon,
        probability=saturated(place),
        diminishing_return=_place_to_x(at, fit.x0),
        interval=_interval(saturated, at, fit),
    )


@np.errstate(under="ignore")
def samples_to_reach(fit: PowerLawFit, loss: float) -> Reach:
    """The x at which a law gets down to a loss: ``x0 * (A / (loss - gamma))**(1 / beta)``.

    Args:
        fit: Of any status but ``too_few_points``; mind its status.
        loss: A positive number, in the unit of the fit's y.

    Returns:
        x with its interval, or that the loss is out of reach, and how probable that is.

    Raises:
        ValueError: the loss is not a positive finite number, or nothing was fitted.
    """
    _check(fit)
    loss = one_positive("loss", loss)
    top, gamma = fit.alpha_at_x0, fit.gamma
    if loss <= gamma:
        at = math.inf
    elif top <= 0:
        at = -math.inf
    else:
        at = (math.log(top) - math.log(loss - gamma)) / fit.beta

    # Where the unit of the loss is a measurement, so is what the loss is in the unit of the fit: an average over it.
    units, shares = np.polynomial.hermite_e.hermegauss(9) if fit.unit_error else (np.zeros(1), np.ones(1))
    losses, shares = loss * np.maximum(1 + fit.unit_error * units, 1e-9), shares / shares.sum()

    def average(probability: Callable[[float], float]) -> float:
        return float(sum(share * probability(float(of)) for share, of in zip(shares, losses, strict=True)))

    def reached(place: float) -> float:
        return average(lambda of: fit.uncertainty.loss_is_below(place, of))

    return Reach(
        loss=loss,
        x=_place_to_x(at, fit.x0),
        interval=_interval(reached, at, fit),
        reachable=loss > gamma,
        unreachable_probability=average(fit.uncertainty.floor_reaches),
    )


def _check(fit: PowerLawFit) -> None:
    if fit.status == "too_few_points":
        raise ValueError("fit has the status too_few_points: there is no law to ask; measure at more x")


def _interval(probability: Callable[[float], float], at: float, fit: PowerLawFit) -> Interval:
    """The places between which the probability of a statement, which grows with the place, passes both tails."""
    tail = (1 - fit.level) / 2
    low = _crossing(probability, tail, at, -1.0)
    high = _crossing(probability, 1 - tail, at, 1.0)
    return _place_to_x(low, fit.x0), _place_to_x(high, fit.x0)


def _crossing(probability: Callable[[float], float], target: float, at: float, direction: float) -> float:
    """The place on one side of ``at`` where the probability crosses the target; infinite if it does not."""
    outermost = direction * _FARTHEST

    def beyond(place: float) -> bool:
        return probability(place) < target if direction < 0 else probability(place) > target

    if not beyond(outermost):
        return direction * math.inf
    inside = min(max(at, -_FARTHEST), _FARTHEST)
    if beyond(inside):  # the law is at its end, and the data exclude even that
        return at
    near, step = inside, 0.1
    far = near + direction * step
    while abs(far) < _FARTHEST and not beyond(far):
        near, step = far, 2 * step
        far = near + direction * step
    far = min(max(far, -_FARTHEST), _FARTHEST)
    while abs(far - near) > _NARROW * max(1.0, abs(far)):
        middle = (near + far) / 2
        near, far = (near, middle) if beyond(middle) else (middle, far)
    return near


def _ratio(gamma: float, top: float, exponent: float) -> float:
    """``gamma / (top * exp(-exponent))``; infinite where there is no excess at all."""
    if top <= 0:
        return math.inf
    if gamma <= 0:
        return 0.0
    logarithm = math.log(gamma) - math.log(top) + exponent
    return math.exp(logarithm) if logarithm < 700 else math.inf


def _place_to_x(place: float, x0: float) -> float:
    logarithm = math.log(x0) + place
    if logarithm > 709:
        return math.inf
    return math.exp(logarithm) if logarithm > -745 else 0.0
