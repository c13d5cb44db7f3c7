"""What more x brings: the gain per doubling, where it falls below a threshold, and the x at which a loss is reached.

Probabilities, and intervals of x within the data, assume the form of the law: they are those of the fit. An interval
that goes beyond the data allows for the form being wrong: by the points' ``forecast``, it is where the interval of the
loss (or of the gain of a doubling) holds the value asked for. Its upper end is infinite where no x is certain to be
enough.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tfrs_scaling.common.arrays import Array, Interval
from tfrs_scaling.common.words import five_digits
from tfrs_scaling.fit.extrapolation.predictive import (
    ALLOWS_WRONG_FORM,
    ASSUMES_FORM,
    Forecast,
    forecast_of_points,
    predictive_interval,
)
from tfrs_scaling.fit.laws.display import Printable, facts
from tfrs_scaling.fit.laws.power_law import PowerLawFit, check_fitted
from tfrs_scaling.fit.laws.validation import one_positive

_FARTHEST = 2000.0  # in ln(x / x0): beyond it x is 0 or inf in float64
_NARROW = 1e-6
_AHEAD = np.geomspace(1e-3, 600.0, 200)  # ln(x / largest x) at which a forecast is asked first


@dataclass(frozen=True)
class Return(Printable):
    """The return of a law at one x.

    Attributes:
        x: The x.
        epsilon: The gain per doubling below which the law counts as saturated.
        gain: ``G(x) = [L(x) - L(2x)] / L(x)``, the share of the loss that the next doubling removes.
        elasticity: ``-d ln L / d ln x``, the local exponent of the loss itself; at most beta.
        saturated: Whether ``gain <= epsilon``.
        probability: The probability that it is, if the form is right.
        diminishing_return: The x at which the gain has fallen to epsilon: 0 if it is below everywhere, inf
            if it never falls that far.
        interval: Interval of ``diminishing_return``, at the fit's level; an end that the data do not bound is 0 or inf.
        kind: What the interval assumes: ``ASSUMES_FORM`` if it ends where the next doubling lies within the data, else
            ``ALLOWS_WRONG_FORM``.
        level: The fit's level.
    """

    x: float
    epsilon: float
    gain: float
    elasticity: float
    saturated: bool
    probability: float
    diminishing_return: float
    interval: Interval
    kind: str
    level: float

    def summary(self) -> str:
        """The return at x as a table of text."""
        low, high = map(five_digits, self.interval)
        return facts(
            {
                "at x": five_digits(self.x),
                "gain per doubling": f"{self.gain:.3%} of the loss",
                "elasticity": five_digits(self.elasticity),
                "saturated": f"{'yes' if self.saturated else 'no'}, the gain is "
                f"{'at most' if self.saturated else 'above'} {self.epsilon:g} "
                f"(probability of saturation {self.probability:.2g}, if the form is right)",
                "saturates at": f"x = {five_digits(self.diminishing_return)}, "
                f"{100 * self.level:g} % interval {low} to {high}, which {self.kind}",
            }
        )


@dataclass(frozen=True)
class Reach(Printable):
    """The x at which a law reaches a loss.

    Attributes:
        loss: The loss.
        x: The x at which the law reaches it: inf if the floor is not below it, 0 if the law is below it everywhere.
        interval: Interval of x, at the fit's level; an end that the data do not bound is 0 or inf.
        kind: What the interval assumes: ``ASSUMES_FORM`` if it ends within the data and a loss as low was measured
            there, else ``ALLOWS_WRONG_FORM``.
        reachable: Whether the fitted floor lies below the loss.
        unreachable_probability: The probability that the floor does not lie below the loss, if the form is right.
        level: The fit's level.
    """

    loss: float
    x: float
    interval: Interval
    kind: str
    reachable: bool
    unreachable_probability: float
    level: float

    def summary(self) -> str:
        """The x that the loss takes, as a table of text."""
        low, high = map(five_digits, self.interval)
        return facts(
            {
                "loss": five_digits(self.loss),
                "reached at": f"x = {five_digits(self.x)}, {100 * self.level:g} % interval {low} to {high}, "
                f"which {self.kind}",
                "reachable": f"{'yes' if self.reachable else 'no'} "
                f"(probability of never reaching it: {self.unreachable_probability:.2g}, if the form is right)",
            }
        )


@np.errstate(under="ignore")
def returns_at(fit: PowerLawFit, x: float, epsilon: float = 0.01) -> Return:
    """The return of a law at x: what the next doubling of x brings, and from which x on that is at most epsilon.

    With ``A = alpha_at_x0`` the gain is ``A (x/x0)**-beta (1 - 2**-beta) / L(x)``. It falls with x, and equals
    epsilon at ``x0 * (A (1 - 2**-beta - epsilon) / (epsilon gamma))**(1 / beta)``.

    Args:
        fit: A fit of any status but ``too_few_points``; look at the status before trusting the result.
        x: A positive number, in the unit of the fit's x.
        epsilon: Threshold between 0 and 1; 0.01 is one percent of the loss per doubling.

    Returns:
        The return.

    Raises:
        ValueError: x or epsilon is out of range, or nothing was fitted.

    Examples:
        >>> from tfrs_scaling.fit import fit_power_law
        >>> x = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000]
        >>> fit = fit_power_law(x, [0.9803, 0.9421, 0.9116, 0.8874, 0.8669, 0.8510, 0.8373])
        >>> print(returns_at(fit, 64_000, epsilon=0.01))
        at x               64,000
        gain per doubling  1.274% of the loss
        elasticity         0.020376
        saturated          no, the gain is above 0.01 (probability of saturation 3.4e-05, if the form is right)
        saturates at       x = 149,160, 95 % interval 32,000 to inf, which allows for the form being wrong
    """
    check_fitted("fit", fit)
    x = one_positive("x", x)
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon is {epsilon}; it must lie between 0 and 1, such as 0.01 for 1 % per doubling")
    top, beta, gamma = fit.alpha_at_x0, fit.beta, fit.gamma
    place = math.log(x) - math.log(fit.x0)
    # Divided by the excess, which may overflow far to the left: A x**-beta / L(x) = 1 / (1 + gamma / ...)
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
    diminishing_return = _place_to_x(at, fit.x0)
    interval, kind = _interval(saturated, at, fit), ASSUMES_FORM
    leaves = max(fit.x) / 2  # the x from which on a doubling leaves the data
    if interval[1] > leaves and (ahead := _forecast(fit)) is not None:

        def gains(places: Array) -> tuple[Array, Array]:
            return ahead.fall(places, fit.level)

        interval = _beyond(gains, -math.log1p(-epsilon), leaves, diminishing_return, interval)
        kind = ALLOWS_WRONG_FORM
    return Return(
        x=x,
        epsilon=float(epsilon),
        gain=gain,
        elasticity=beta * reducible,
        saturated=gain <= epsilon,
        probability=saturated(place),
        diminishing_return=diminishing_return,
        interval=interval,
        kind=kind,
        level=fit.level,
    )


@np.errstate(under="ignore")
def samples_to_reach(fit: PowerLawFit, loss: float) -> Reach:
    """The x at which a law reaches a loss: ``x0 * (A / (loss - gamma))**(1 / beta)``, with ``A = alpha_at_x0``.

    Args:
        fit: A fit of any status but ``too_few_points``; look at the status before trusting the result.
        loss: A positive number, in the unit of the fit's y.

    Returns:
        x with its interval, and the probability that the loss is out of reach.

    Raises:
        ValueError: the loss is not a positive finite number, or nothing was fitted.

    Examples:
        >>> from tfrs_scaling.fit import fit_power_law
        >>> x = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000]
        >>> fit = fit_power_law(x, [0.9803, 0.9421, 0.9116, 0.8874, 0.8669, 0.8510, 0.8373])
        >>> print(samples_to_reach(fit, 0.82))
        loss        0.82
        reached at  x = 219,710, 95 % interval 97,406 to inf, which allows for the form being wrong
        reachable   yes (probability of never reaching it: 2.6e-06, if the form is right)
    """
    check_fitted("fit", fit)
    loss = one_positive("loss", loss)
    top, gamma = fit.alpha_at_x0, fit.gamma
    if loss <= gamma:
        at = math.inf
    elif top <= 0:
        at = -math.inf
    else:
        at = (math.log(top) - math.log(loss - gamma)) / fit.beta

    # Where the unit of the loss is a measurement, average over the losses that its error makes possible.
    units, shares = np.polynomial.hermite_e.hermegauss(9) if fit.unit_error else (np.zeros(1), np.ones(1))
    losses, shares = loss * np.maximum(1 + fit.unit_error * units, 1e-9), shares / shares.sum()

    def average(probability: Callable[[float], float]) -> float:
        return float(sum(share * probability(float(value)) for share, value in zip(shares, losses, strict=True)))

    def reached(place: float) -> float:
        return average(lambda value: fit.uncertainty.loss_is_below(place, value))

    x, end = _place_to_x(at, fit.x0), max(fit.x)
    interval, kind = _interval(reached, at, fit), ASSUMES_FORM
    # A law of the wrong form may reach within the data what was not measured there.
    if (interval[1] > end or loss < min(fit.y)) and _forecast(fit) is not None:

        def ends(places: Array) -> tuple[Array, Array]:
            found = predictive_interval(fit, places)
            assert found is not None  # the fit has a law
            return found.low, found.high

        interval, kind = _beyond(ends, loss, end, x, interval), ALLOWS_WRONG_FORM
    return Reach(
        loss=loss,
        x=x,
        interval=interval,
        kind=kind,
        level=fit.level,
        reachable=loss > gamma,
        unreachable_probability=average(fit.uncertainty.floor_reaches),
    )


def _forecast(fit: PowerLawFit) -> Forecast | None:
    """The forecast of a fit's points; None if a loss is 0, of which there is no logarithm."""
    return forecast_of_points(fit.x, fit.y) if min(fit.y) > 0 else None


def _beyond(
    band: Callable[[Array], tuple[Array, Array]], value: float, end: float, at: float, own: Interval
) -> Interval:
    """The interval of x between the first x at which the lower end of a band is at most a value, and the upper end is.

    Args:
        band: Maps x beyond ``end``, shape (m,), to the lower and upper ends there.
        value: The value.
        end: Up to here the form is not in doubt.
        at: The estimate, which the interval holds.
        own: The interval if the form is right.
    """
    places = end * np.exp(_AHEAD[700 - math.log(end) > _AHEAD])
    ends = band(places)

    def first(which: int) -> float:
        below = ends[which] <= value
        if not below.any():
            return math.inf
        place = int(np.argmax(below))
        near, far = math.log(places[place - 1]) if place else math.log(end), math.log(places[place])
        while far - near > _NARROW * max(1.0, abs(far)):
            middle = (near + far) / 2
            near, far = (near, middle) if band(np.exp([middle]))[which][0] <= value else (middle, far)
        return math.exp(far) if place else end

    starts = first(0)
    return (min(own[0], end) if starts <= end else min(starts, at)), max(first(1), at)


def _interval(probability: Callable[[float], float], at: float, fit: PowerLawFit) -> Interval:
    """The x between which the probability of a statement, which increases with x, lies within both tails."""
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
    if beyond(inside):  # the fitted law has no crossing, and the data exclude one
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
    """``gamma / (top * exp(-exponent))``; infinite if top is 0."""
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
