"""Two architectures: one curve shifted along the data, or another exponent?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.laws.comparison import compare_laws
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.resampled_laws import law_draws, places_of
from tfrs_scaling.fit.laws.uncertainty import percentiles
from tfrs_scaling.fit.serialization import finite_or_none

Verdict = Literal["same", "shifted", "other exponent", "cannot tell"]


@dataclass(frozen=True)
class ArchitectureComparison:
    """Two architectures' baselines against data; None for what is not known.

    Attributes:
        first: One architecture.
        second: The other.
        verdict: ``same``: the curves do not differ, and the ratio of data is known within a factor of 1.5; ``shifted``;
            ``other exponent``; ``cannot tell``.
        beta_difference: Exponent of the first less that of the second.
        low: Its interval.
        high: Its interval.
        data_ratio: How many times the data the second needs for the same NE.
        data_ratio_low: Its interval.
        data_ratio_high: Its interval.
        p_value: Of the curves being one.
        words: The same as a sentence.
    """

    first: str
    second: str
    verdict: Verdict
    beta_difference: float | None
    low: float | None
    high: float | None
    data_ratio: float | None
    data_ratio_low: float | None
    data_ratio_high: float | None
    p_value: float | None
    words: str


_FIGURES = ("beta_difference", "low", "high", "data_ratio", "data_ratio_low", "data_ratio_high", "p_value")
_NEVER = 100.0  # in ln(examples)


def architectures(
    baselines: Mapping[str, PowerLawFit | None], base: str, *, level: float = 0.95
) -> list[ArchitectureComparison]:
    """Every architecture's baseline against data, compared with that of the one studied.

    If one needs k times the data of the other at every NE, its curve is the other's, shifted by k along the logarithm
    of the data, with the same exponent and the same floor. That is tested at both ends of the NE that both have
    reached: their ratios of data must not differ outside the noise.

    Args:
        baselines: The law of each architecture's baseline against data; None where it has too few data sizes.
        base: The architecture studied.
        level: Confidence level.

    Returns:
        One record for each other architecture, by name; none where the one studied has no baseline.
    """
    if base not in baselines:
        return []
    return [_compared(base, other, baselines, level) for other in sorted(baselines) if other != base]


def _compared(
    first: str, second: str, baselines: Mapping[str, PowerLawFit | None], level: float
) -> ArchitectureComparison:
    names = {"first": first, "second": second}
    laws: list[PowerLawFit] = []
    for name in (first, second):
        fit = baselines[name]
        if fit is None or not fit.status.has_exponent:
            why = "it has too few data sizes" if fit is None else f"its status is {fit.status}"
            return _unknown(names, f"{name} has no law to compare: {why}.")
        laws.append(fit)
    try:
        comparison = compare_laws(*laws, level=level)
    except ValueError as error:
        return _unknown(names, f"They cannot be compared: {error}.")
    found = dict.fromkeys(_FIGURES, math.nan) | {
        "beta_difference": comparison.beta_difference,
        "low": comparison.beta_interval[0],
        "high": comparison.beta_interval[1],
        "p_value": comparison.p_value,
    }
    constant, ratios = False, _ratios(*laws)
    if ratios is not None:
        top, bottom = ratios
        middle = (top + bottom) / 2
        low, high = (float(end) for end in percentiles(middle[1:], level))
        found |= {"data_ratio": _exp(float(middle[0]))}
        found |= {"data_ratio_low": _exp(min(low, float(middle[0])))}
        found |= {"data_ratio_high": _exp(max(high, float(middle[0])))}
        drift_low, drift_high = percentiles(bottom[1:] - top[1:], level)
        constant = bool(drift_low <= 0 <= drift_high)
    verdict = _verdict(comparison.different, comparison.beta_p_value < 1 - level, constant, found)
    words = _words(names, verdict, found, level)
    numbers = {name: finite_or_none(value) for name, value in found.items()}
    return ArchitectureComparison(**names, verdict=verdict, **numbers, words=words)


def _unknown(names: dict[str, str], words: str) -> ArchitectureComparison:
    return ArchitectureComparison(**names, verdict="cannot tell", **dict.fromkeys(_FIGURES), words=words)


def _ratios(first: PowerLawFit, second: PowerLawFit) -> tuple[Array, Array] | None:
    """``ln`` of the ratio of data at the highest and at the lowest NE that both laws take within their data.

    Each has the estimate first and the draws after it, shape (m + 1,); None where the two have no NE in common. A
    draw that never gets down to that NE counts as one that needs e**100 examples.
    """
    spans = [fit.predict([min(fit.x), max(fit.x)]) for fit in (first, second)]
    highest, lowest = min(float(span[0]) for span in spans), max(float(span[1]) for span in spans)
    if highest <= lowest:
        return None
    draws = []
    for fit, seed in ((first, 1), (second, 2)):
        own = np.array([[fit.alpha_at_x0, fit.beta, fit.gamma]])
        draws.append(np.concatenate([own, law_draws(fit, seed=seed)]))
    out = []
    for ne in (highest, lowest):
        here, there = (places_of(laws, fit, ne) for laws, fit in zip(draws, (first, second), strict=True))
        out.append(np.minimum(there, _NEVER) - np.minimum(here, _NEVER))
    return out[0], out[1]


def _verdict(different: bool, exponents_differ: bool, constant: bool, found: dict[str, float]) -> Verdict:
    if exponents_differ:
        return "other exponent"
    if math.isnan(found["data_ratio"]):
        return "cannot tell"
    low, high = found["data_ratio_low"], found["data_ratio_high"]
    if different and constant and (low > 1 or high < 1):
        return "shifted"
    if not different and low > 1 / 1.5 and high < 1.5:
        return "same"
    return "cannot tell"


def _words(names: dict[str, str], verdict: str, found: dict[str, float], level: float) -> str:
    first, second = names["first"], names["second"]
    if math.isnan(found["data_ratio"]):
        return f"{first} and {second} reached no NE in common, so their data cannot be compared."
    low, high = found["data_ratio_low"], found["data_ratio_high"]
    data = (
        f"for the same NE {second} needs {found['data_ratio']:.2g} times the data of {first} "
        f"({level:.0%} interval {low:.2g} to {high:.2g})"
    )
    exponents = f"exponents differ by {found['beta_difference']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
    match verdict:
        case "shifted":
            return f"The curve of {second} is that of {first}, shifted: {data}."
        case "other exponent":
            return f"{second} has another exponent than {first}: {exponents}; on average {data}."
        case "same":
            return f"The curves of {first} and {second} are the same as far as can be told: {data}."
    return f"Whether {second} is {first} shifted, or falls at another rate, cannot be told: {data}; {exponents}."


def _exp(logarithm: float) -> float:
    return math.exp(logarithm) if logarithm < 700 else math.inf
