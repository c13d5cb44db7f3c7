"""Two architectures: one curve shifted along the data (or parameters, or compute), or another exponent?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.laws.comparison import Comparison, compare_laws
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.resampled_laws import law_draws, places_of
from tfrs_scaling.fit.laws.uncertainty import percentiles
from tfrs_scaling.fit.serialization import finite_or_none

Verdict = Literal["same", "shifted", "other exponent", "cannot tell"]


@dataclass(frozen=True)
class ArchitectureComparison:
    """Two architectures' curves along one axis; None for what is not known.

    Attributes:
        x: data, parameters (those outside the embedding tables) or compute.
        line: ``1`` for their baselines, ``frontier`` for the frontiers of their dense parts' multipliers.
        verdict: ``same``: the curves do not differ, and the ratio of data is known within a factor of 1.5; ``shifted``:
            they do, and it is known as well; ``other exponent``; ``cannot tell``.
        beta_difference: Exponent of the first less that of the second.
        data_ratio: How many times the data (parameters, compute) the second needs for the same NE.
        p_value: P value of the hypothesis that the curves are the same.
    """

    x: str
    line: str
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


_NEVER = 100.0  # in ln(x)
_ANY = 1e6  # a ratio of data beyond this, or its inverse, says nothing
_KNOWN = 1.5  # the factor within which a ratio of data is known
_AMOUNTS = {"data": "data", "parameters": "dense parameters", "compute": "training compute"}


def architectures(
    laws: Mapping[str, PowerLawFit | None], base: str, *, x: str = "data", line: str = "1", level: float = 0.95
) -> list[ArchitectureComparison]:
    """Every architecture's curve, compared with that of the one studied.

    If one needs k times the data of the other at every NE, its curve is the other's, shifted by k along the logarithm
    of the data, with the same exponent and the same floor. That is tested at both ends of the NE that both have
    reached: their ratios of data must not differ outside the noise. So it is with parameters and with compute.

    Args:
        laws: The law of each architecture's curve; None where it has too few points.
        base: The architecture studied.
        x: As in ``ArchitectureComparison``.
        line: Likewise.
        level: Confidence level.

    Returns:
        One record for each other architecture, by name; none where the one studied has no such curve.
    """
    if base not in laws:
        return []
    unknown = ArchitectureComparison(x, line, base, "", "cannot tell", None, None, None, None, None, None, None, "")
    return [_compared(replace(unknown, second=other), laws, level) for other in sorted(laws) if other != base]


class _DataRatio(NamedTuple):
    """How many times the data the second needs, with its interval, and whether it is the same at every NE."""

    value: float
    low: float
    high: float
    is_constant: bool


def _compared(
    unknown: ArchitectureComparison, every: Mapping[str, PowerLawFit | None], level: float
) -> ArchitectureComparison:
    laws: list[PowerLawFit] = []
    for name in (unknown.first, unknown.second):
        fit = every[name]
        if fit is None or not fit.status.has_exponent:
            missing = "data sizes" if unknown.x == "data" else "points"
            why = f"it has too few {missing}" if fit is None else f"its law is {fit.status.words}"
            return replace(unknown, words=f"{name} has no law to compare: {why}.")
        laws.append(fit)
    try:
        comparison = compare_laws(*laws, level=level)
    except ValueError as error:
        return replace(unknown, words=f"They cannot be compared: {error}.")
    ratio = _data_ratio(laws[0], laws[1], level)
    verdict = _verdict(comparison, ratio, level)
    low, high = comparison.beta_interval
    return replace(
        unknown,
        verdict=verdict,
        beta_difference=finite_or_none(comparison.beta_difference),
        low=finite_or_none(low),
        high=finite_or_none(high),
        data_ratio=finite_or_none(ratio.value) if ratio else None,
        data_ratio_low=finite_or_none(ratio.low) if ratio else None,
        data_ratio_high=finite_or_none(ratio.high) if ratio else None,
        p_value=finite_or_none(comparison.p_value),
        words=_words(unknown, verdict, comparison, ratio, level),
    )


def _data_ratio(first: PowerLawFit, second: PowerLawFit, level: float) -> _DataRatio | None:
    """None where the two have no NE in common."""
    ratios = _ratios(first, second)
    if ratios is None:
        return None
    top, bottom = ratios
    middle = (top + bottom) / 2
    estimate = float(middle[0])
    low, high = (float(end) for end in percentiles(middle[1:], level))
    either_finite = np.isfinite(bottom[1:]) | np.isfinite(top[1:])  # where neither is, nothing drifts that is seen
    drift = bottom[1:][either_finite] - top[1:][either_finite]
    drift_low, drift_high = percentiles(drift, level) if drift.size else (math.nan, math.nan)
    return _DataRatio(
        value=_exp(estimate),
        low=_exp(min(low, estimate)),
        high=_exp(max(high, estimate)),
        is_constant=bool(drift_low <= 0 <= drift_high),
    )


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


def _verdict(comparison: Comparison, ratio: _DataRatio | None, level: float) -> Verdict:
    if comparison.beta_p_value < 1 - level:
        return "other exponent"
    if ratio is None:
        return "cannot tell"
    # A ratio that is hardly known cannot be told from a constant one.
    known = ratio.high < _KNOWN**2 * ratio.low
    if comparison.different and ratio.is_constant and known and (ratio.low > 1 or ratio.high < 1):
        return "shifted"
    if not comparison.different and ratio.low > 1 / _KNOWN and ratio.high < _KNOWN:
        return "same"
    return "cannot tell"


def _words(
    pair: ArchitectureComparison, verdict: Verdict, comparison: Comparison, ratio: _DataRatio | None, level: float
) -> str:
    first, second, amount = pair.first, pair.second, _AMOUNTS[pair.x]
    if ratio is None:
        return f"{first} and {second} reached no NE in common, so their {amount} cannot be compared."
    data = (
        f"for the same NE {second} needs {ratio.value:.2g} times the {amount} of {first} "
        f"({level:.0%} interval {_end(ratio.low)} to {_end(ratio.high)})"
    )
    low, high = comparison.beta_interval
    exponents = (
        f"the exponent of {second} is that of {first} {-comparison.beta_difference:+.2f} ({-high:+.2f} to {-low:+.2f})"
    )
    match verdict:
        case "shifted":
            return f"The curve of {second} is that of {first}, shifted: {data}."
        case "other exponent":
            return f"{second} has another exponent than {first}: {exponents}. On average, {data}."
        case "same":
            return f"Between the curves of {first} and {second}, as wholes, no difference is seen: {data}."
        case "cannot tell":
            return (
                f"Whether {second} is {first} shifted, or falls at another rate, cannot be determined: {data}; "
                f"{exponents}."
            )


def _end(ratio: float) -> str:
    """An end of an interval; open where a law that the data allow never gets down to that NE."""
    return f"{ratio:.2g}" if 1 / _ANY < ratio < _ANY else "open"


def _exp(logarithm: float) -> float:
    return math.exp(logarithm) if logarithm < 700 else math.inf
