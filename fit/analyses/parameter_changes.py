"""Two laws of the same axis, parameter by parameter: does α, β or γ move?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.common.words import compact, interval
from tfrs_scaling.fit.laws.comparison import compare_laws
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.resampled_laws import law_draws
from tfrs_scaling.fit.laws.uncertainty import percentiles
from tfrs_scaling.fit.serialization import finite_or_none

Parameter = Literal["alpha", "beta", "gamma"]
Verdict = Literal["moves", "does not move", "cannot tell"]

LETTERS: dict[Parameter, str] = {"alpha": "α", "beta": "β", "gamma": "γ"}
_STILL = 0.1  # a change by less than this share matters little


@dataclass(frozen=True)
class ParameterChange:
    """A parameter of two laws ``NE = alpha * x**-beta + gamma``; None for what is not known.

    Attributes:
        first, second: the two laws' names.
        first_value, second_value: the parameter, with the interval of its fit, where the law tells it.
        change: that of the second less that of the first.
        verdict: ``moves``: the change's interval leaves out 0. ``does not move``: it holds 0, and nothing beyond a
            tenth of the first's value, of gamma's: of what NE is above it at the first's largest x. Else ``cannot
            tell``.
        words: what the verdict rests on.
    """

    parameter: Parameter
    first: str
    second: str
    first_value: float | None
    first_low: float | None
    first_high: float | None
    second_value: float | None
    second_low: float | None
    second_high: float | None
    change: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    words: str


def parameter_changes(
    laws: Mapping[str, PowerLawFit | None], base: str, *, level: float = 0.95
) -> list[ParameterChange]:
    """The parameters of every law beside those of one of them.

    The laws are resampled apart, which makes intervals too wide where trainings of the two have noise in common. That
    of beta is ``compare_laws``'s, so that it agrees with what is said of the two curves. Each holds at the level for
    itself.

    Args:
        laws: By name; None where there were too few points.
        base: The name of the one that the others are compared with.
        level: Confidence level.

    Returns:
        Three records for each other law, by name; none where ``base`` is not among them.
    """
    names = sorted(laws.keys() - {base}) if base in laws else []
    return [_changed(parameter, base, name, laws, level) for name in names for parameter in LETTERS]


def _changed(
    parameter: Parameter, base: str, name: str, laws: Mapping[str, PowerLawFit | None], level: float
) -> ParameterChange:
    first, second = laws[base], laws[name]
    estimates = *_estimate(first, parameter), *_estimate(second, parameter)
    unknown = ParameterChange(parameter, base, name, *estimates, None, None, None, "cannot tell", "")
    for own, fit in ((base, first), (name, second)):
        if fit is None or not _is_meaningful(fit, parameter):
            why = "too few data sizes" if fit is None else fit.status.words
            return replace(unknown, words=f"{LETTERS[parameter]} of {own} is not known: {why}.")
    assert first is not None and second is not None
    change = getattr(second, parameter) - getattr(first, parameter)
    if parameter == "beta":
        try:
            compared = compare_laws(first, second, level=level)
        except ValueError as error:
            return replace(unknown, words=f"They cannot be compared: {error}.")
        low, high = (-end for end in reversed(compared.beta_interval))
        moves = compared.beta_p_value < 1 - level
    else:
        draws = _draws(second, parameter, seed=2) - _draws(first, parameter, seed=1)
        low, high = (float(end) for end in percentiles(draws, level))
        moves = low > 0 or high < 0
    verdict, words = _verdict(parameter, change, low, high, _STILL * _matters(first, parameter), level, moves=moves)
    return replace(
        unknown, change=change, low=finite_or_none(low), high=finite_or_none(high), verdict=verdict, words=words
    )


def _estimate(fit: PowerLawFit | None, parameter: Parameter) -> tuple[float | None, float | None, float | None]:
    """A parameter and the ends of its interval; None where the law does not tell it."""
    if fit is None or not _is_meaningful(fit, parameter):
        return None, None, None
    low, high = fit.interval[parameter]
    return finite_or_none(getattr(fit, parameter)), finite_or_none(low), finite_or_none(high)


def _is_meaningful(fit: PowerLawFit, parameter: Parameter) -> bool:
    return fit.status.has_floor if parameter == "gamma" else fit.status.has_exponent


def _draws(fit: PowerLawFit, parameter: Parameter, *, seed: int) -> Array:
    top, beta, gamma = law_draws(fit, seed=seed).T
    return gamma if parameter == "gamma" else np.exp(np.log(np.maximum(top, 1e-300)) + beta * math.log(fit.x0))


def _matters(fit: PowerLawFit, parameter: Parameter) -> float:
    """What a change of a parameter is measured by."""
    if parameter == "gamma":
        return float(fit.predict([max(fit.x)])[0]) - fit.gamma
    return float(getattr(fit, parameter))


def _verdict(
    parameter: Parameter, change: float, low: float, high: float, still: float, level: float, *, moves: bool
) -> tuple[Verdict, str]:
    ends = interval(finite_or_none(low), finite_or_none(high), compact)
    said = f"{LETTERS[parameter]} changes by {compact(change)}{ends and f' ({level:.0%} interval {ends})'}"
    if moves:
        return "moves", f"{said}, which leaves out 0."
    part = "of what NE is above γ" if parameter == "gamma" else f"of {LETTERS[parameter]}"
    if -still <= low <= 0 <= high <= still:
        return "does not move", f"{said}: 0 is possible, and more than a tenth {part} ({compact(still)}) is not."
    return "cannot tell", f"{said}: 0 is possible, and so is more than a tenth {part} ({compact(still)})."
