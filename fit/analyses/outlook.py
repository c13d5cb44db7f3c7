"""What the laws of a study say about more: which phase each is in (Ardalani et al. 2022, Figure 3), and its limit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tfrs_scaling.common.json_numbers import to_json
from tfrs_scaling.fit.labels import FRONTIER
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.returns import returns_at, samples_to_reach

Verdict = Literal["yes", "no", "cannot tell"]


@dataclass(frozen=True)
class Saturation:
    """Whether a line is saturated at its largest measured x.

    Attributes:
        architecture: Of the line.
        scheme: Of the line.
        x: data, parameters or compute.
        line: A multiplier, a data size, or "frontier".
        at: The largest measured x.
        epsilon: The gain per doubling up to which a line counts as saturated; a share of the loss.
        gain: Of the next doubling; a share of the loss; None where there is no law.
        elasticity: The local exponent of the loss; likewise.
        saturated: The verdict.
        probability: Of being saturated; None where there is no law.
        diminishing_return: The x beyond which a doubling gains less than epsilon; 0: everywhere, None: nowhere.
        low: Its interval; None: open.
        high: Its interval; None: open.
        why: What the verdict lacks; empty where there is one.
    """

    architecture: str
    scheme: str
    x: str
    line: str
    at: float
    epsilon: float
    gain: float | None
    elasticity: float | None
    saturated: Verdict
    probability: float | None
    diminishing_return: float | None
    low: float | None
    high: float | None
    why: str


@dataclass(frozen=True)
class HalfGap:
    """What closing half of the gap between the best model and the floor takes.

    Attributes:
        ne: Half of the gap below the best NE.
        x: Where the law gets there; None: nowhere.
        low: Its interval; None: open.
        high: Its interval; None: open.
        factor: x divided by the largest measured x; None: infinite.
        reachable: Whether x is finite.
        unreachable_probability: That the floor lies at ne or above, so that no x suffices.
    """

    ne: float
    x: float | None
    low: float | None
    high: float | None
    factor: float | None
    reachable: bool
    unreachable_probability: float


@dataclass(frozen=True)
class Limit:
    """How far the best model of a frontier is from the floor of its law.

    Attributes:
        architecture: Of the frontier.
        scheme: Of the frontier.
        x: data, parameters or compute.
        best_ne: The lowest NE measured.
        gamma: The floor; None where nothing was fitted.
        gamma_low: Its interval.
        gamma_high: Its interval; None: open.
        gap: best_ne less gamma; None where the floor is not known.
        half_gap: None where the gap is not known, or within the noise.
        words: The same as a sentence.
    """

    architecture: str
    scheme: str
    x: str
    best_ne: float
    gamma: float | None
    gamma_low: float | None
    gamma_high: float | None
    gap: float | None
    half_gap: HalfGap | None
    words: str


EPSILON = 0.01  # of the loss, per doubling

UNITS = {"data": "examples", "parameters": "parameters", "compute": "FLOPs"}
WITHOUT_LAW = {
    "too_few_points": "there are fewer than four places on the axis, and no law was fitted",
    "not_monotone": "the loss rises somewhere, and no power law describes it",
}
_NO_FLOOR = WITHOUT_LAW | {
    "flat": "a constant describes the points as well, so no return can be seen and no limit either",
    "beta_at_bound": "the best exponent is the steepest or flattest one searched, which is no power law",
    "gamma_unidentified": "the points do not say where the curve levels off",
}


def saturation(lines: Iterable[Mapping[str, Any]], *, epsilon: float = EPSILON) -> list[dict[str, Any]]:
    """The phase of every line and frontier at its largest measured x: high return, or saturated.

    Saturated is what gains at most epsilon of its loss by the next doubling. That is told where it is as probable as
    the level of the fit's intervals, or as improbable; else nobody can tell.

    Args:
        lines: The records of a study's fits, as ``fit_study`` makes them.
        epsilon: Share of the loss per doubling, between 0 and 1.

    Returns:
        One record for each line: architecture, scheme, x, line, at (the largest x), epsilon, gain and elasticity (see
        ``Phase``), saturated (``yes``, ``no``, ``cannot tell``), probability (of being saturated),
        diminishing_return (the x beyond which a doubling gains less than epsilon; 0: everywhere, None: nowhere) with
        low and high (None: open), and why (empty where it can be told).

    Raises:
        ValueError: epsilon is not between 0 and 1.
    """
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon is {epsilon}; it must lie between 0 and 1, such as 0.01 for 1 % per doubling")
    return [_phase(line, epsilon) for line in lines]


def _phase(line: Mapping[str, Any], epsilon: float) -> dict[str, Any]:
    fit = PowerLawFit.from_dict(line["fit"])
    named = {name: line[name] for name in ("architecture", "scheme", "x", "line")}
    named |= {"at": max(fit.x), "epsilon": float(epsilon)}
    unknown = dict.fromkeys(("gain", "elasticity", "probability", "diminishing_return", "low", "high"))
    if fit.status in WITHOUT_LAW:
        return named | unknown | {"saturated": "cannot tell", "why": WITHOUT_LAW[fit.status]}
    found = returns_at(fit, max(fit.x), epsilon)
    saturated = (
        "yes" if found.probability >= fit.level else "no" if found.probability <= 1 - fit.level else "cannot tell"
    )
    why = ""
    if saturated == "cannot tell":
        why = (
            f"the next doubling gains {found.gain:.2%} of the loss by the fit, and is below {epsilon:.2%} with a "
            f"probability of {found.probability:.0%}"
        )
    low, high = found.interval
    numbers = {
        "gain": found.gain,
        "elasticity": found.elasticity,
        "probability": found.probability,
        "diminishing_return": found.diminishing_return,
        "low": low,
        "high": high,
    }
    return named | {name: to_json(value) for name, value in numbers.items()} | {"saturated": saturated, "why": why}


def limits(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How far the best model of each frontier is from the floor of its law, and what closing half of that would take.

    Args:
        lines: The records of a study's fits; those that are no frontier are passed over.

    Returns:
        One record for each frontier: architecture, scheme, x, best_ne (the lowest measured), gamma with gamma_low and
        gamma_high, gap (best_ne less gamma; None where no floor can be told), half_gap (None likewise, and where the
        gap is within the noise) and words. Of half_gap: ne (half of the gap below best_ne), x (where the law gets
        there) with low and high (None: open), factor (x by the largest measured x), reachable (whether x is finite)
        and unreachable_probability (that the floor lies at ne or above, so that no x suffices).
    """
    return [_limit(line) for line in lines if line["line"] == FRONTIER]


def _limit(line: Mapping[str, Any]) -> dict[str, Any]:
    fit = PowerLawFit.from_dict(line["fit"])
    best, largest, level = min(fit.y), max(fit.x), f"{fit.level:.0%}"
    gamma_low, gamma_high = (to_json(end) for end in fit.interval["gamma"])
    out = {name: line[name] for name in ("architecture", "scheme", "x")} | {"best_ne": best}
    out |= {"gamma": to_json(fit.gamma), "gamma_low": gamma_low, "gamma_high": gamma_high}
    name = f"{line['scheme']} against {line['x']}: the best model stands at NE {best:.4f}"
    why = _NO_FLOOR.get(fit.status, "")
    if not why and fit.gamma >= best:
        why = f"the fitted floor, {fit.gamma:.4f}, does not lie below it"
    if why:
        return out | {"gap": None, "half_gap": None, "words": f"{name}. How far it could fall cannot be told: {why}."}
    gap = best - fit.gamma
    if gap <= fit.noise:
        words = f"{name}, at the floor of its law, {fit.gamma:.4f}, to within the noise of a measurement"
        return out | {"gap": gap, "half_gap": None, "words": f"{words}: nothing is left to gain that way."}
    reach = samples_to_reach(fit, fit.gamma + gap / 2)
    low, high = reach.interval
    half = {
        "ne": reach.loss,
        "x": reach.x,
        "low": low,
        "high": high,
        "factor": reach.x / largest,
        "reachable": reach.reachable and to_json(reach.x) is not None,
        "unreachable_probability": reach.unreachable_probability,
    }
    between = f"{low / largest:.3g}× to {high / largest:.3g}×" if to_json(high) else f"{low / largest:.3g}× or more"
    words = (
        f"{name}; its law levels off at {fit.gamma:.4f} ({level} interval {gamma_low:.4f} to {gamma_high:.4f}), so "
        f"{gap:.4f} is left. Half of that, NE {reach.loss:.4f}, takes {half['factor']:.3g} times the "
        f"{UNITS[line['x']]} ({level} interval {between})"
    )
    if reach.unreachable_probability > (1 - fit.level) / 2:
        words += f"; with a probability of {reach.unreachable_probability:.0%} no amount is enough"
    return out | {"gap": gap, "half_gap": to_json(half), "words": f"{words}."}
