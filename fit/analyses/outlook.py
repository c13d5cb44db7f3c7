"""What the laws of a study say about more: which phase each is in (Ardalani et al. 2022, Figure 3), and its limit."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.extrapolation.returns import returns_at, samples_to_reach
from tfrs_scaling.fit.laws.status import Status
from tfrs_scaling.fit.serialization import finite_or_none

Verdict = Literal["yes", "no", "cannot tell"]


@dataclass(frozen=True)
class Saturation:
    """Whether a line is saturated at its largest measured x.

    Attributes:
        x: data, parameters or compute.
        line: A multiplier, a data size, or "frontier".
        at: The largest measured x.
        epsilon: The gain per doubling up to which a line counts as saturated; a share of the loss.
        gain: Gain of the next doubling, as a share of the loss; None where there is no law.
        elasticity: The local exponent of the loss; None where there is no law.
        saturated: The verdict.
        probability: Probability that the line is saturated; None where there is no law.
        diminishing_return: The x beyond which a doubling gains less than epsilon; 0: everywhere, None: nowhere.
        why: Why there is no verdict, or what one rests on that is not the law; else empty.
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

    @property
    def compared(self) -> str:
        """The gain beside the threshold: ``0.75 % < 1 %``."""
        return gain_words(self.gain, self.epsilon)


@dataclass(frozen=True)
class HalfGap:
    """What closing half of the gap between the best model and the floor takes.

    Attributes:
        ne: Half of the gap below the best NE.
        x: The x at which the law reaches ne; None: nowhere.
        factor: x divided by the largest measured x; None: infinite.
        reachable: Whether x is finite.
        unreachable_probability: Probability that the floor lies at ne or above, so that no x suffices.
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
        x: data, parameters or compute.
        best_ne: The lowest NE measured.
        gamma: The floor; None where nothing was fitted.
        gap: best_ne less gamma, or less the Bayes NE if that is known and higher; None where gamma is not known.
        half_gap: None where the gap is not known, or within the noise.
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


# Of the loss, per doubling. At 1 % the data curves of Ardalani et al. (2022), which they call not saturated, would be:
# the steepest, 0.07 x**-0.12 + 0.97, gains 0.2 % where it ends (x = 5120, in millions of examples).
EPSILON = 0.001
_FULL = "every id has a row of its own, so that more rows change nothing"

UNITS = {"data": "examples", "parameters": "parameters", "compute": "FLOPs"}
WITHOUT_LAW = {
    Status.TOO_FEW_POINTS: "there are fewer than four places on the axis, and no law was fitted",
    Status.NOT_MONOTONE: "the loss rises somewhere, and no power law describes it",
    Status.GRID_EDGE: "fewer than four points of the frontier lie inside the grid, and no law was fitted",
    Status.LAST_STEP_MISSED: "the last step is less than half, or more than twice, what the law says, so it is wrong",
}
_NO_FLOOR = WITHOUT_LAW | {
    Status.FLAT: "a constant describes the points as well, so no return can be seen and no limit either",
    Status.BETA_AT_BOUND: "the best exponent is the steepest or flattest one searched, which is no power law",
    Status.CORRELATED_RESIDUALS: "neighbouring points miss the law in the same direction, so its form is in doubt",
    Status.GAMMA_UNIDENTIFIED: "the points do not say where the curve levels off",
}


def gain_words(gain: float | None, epsilon: float) -> str:
    """The gain of the next doubling beside the threshold, in the digits that show which is larger."""
    if gain is None:
        return f"against {100 * epsilon:g} %"
    digits = next((digits for digits in (2, 3, 4) if round(100 * gain, digits) != round(100 * epsilon, digits)), 5)
    return f"{100 * gain:.{digits}f} % {'<' if gain < epsilon else '≥'} {100 * epsilon:g} %"


def saturation(lines: Iterable[LineFit], *, epsilon: float = EPSILON) -> list[Saturation]:
    """Whether each line and frontier is saturated at its largest measured x.

    Saturated is what gains at most epsilon of its loss by the next doubling. The verdict is yes or no where it is as
    probable as the level of the fit's intervals; between the two nobody can tell.

    Args:
        lines: The lines of a study.
        epsilon: Share of the loss per doubling, between 0 and 1.

    Returns:
        One record for each line, in the same order.

    Raises:
        ValueError: epsilon is not between 0 and 1.
    """
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon is {epsilon}; it must lie between 0 and 1, such as 0.01 for 1 % per doubling")
    return [_saturation(line, float(epsilon)) for line in lines]


def _saturation(line: LineFit, epsilon: float) -> Saturation:
    fit = line.fit
    unknown = Saturation(
        architecture=line.architecture,
        scheme=line.scheme,
        x=line.x,
        line=line.line,
        at=max(fit.x),
        epsilon=epsilon,
        gain=None,
        elasticity=None,
        saturated="cannot tell",
        probability=None,
        diminishing_return=None,
        low=None,
        high=None,
        why=WITHOUT_LAW.get(fit.status, ""),
    )
    if not fit.status.has_law:
        return unknown
    found = returns_at(fit, max(fit.x), epsilon)
    saturated: Verdict = "cannot tell"
    why = ""
    if found.probability >= fit.level:
        saturated = "yes"
    elif found.probability <= 1 - fit.level:
        saturated = "no"
    else:
        why = (
            f"the next doubling gains {found.gain:.2%} of the loss by the fit, and is below {epsilon:.2%} with a "
            f"probability of {found.probability:.0%}"
        )
    low, high = found.interval
    return replace(
        unknown,
        gain=finite_or_none(found.gain),
        elasticity=finite_or_none(found.elasticity),
        saturated=saturated,
        probability=finite_or_none(found.probability),
        diminishing_return=finite_or_none(found.diminishing_return),
        low=finite_or_none(low),
        high=finite_or_none(high),
        why=why,
    )


def with_full_tables(found: Iterable[Saturation], full: Mapping[str, float]) -> list[Saturation]:
    """The same, where it is known from how many parameters on every id has a row of its own.

    More rows than ids change nothing, whatever the law of fewer rows says: V is saturated there.

    Args:
        found: Saturation of lines.
        full: These parameters, by architecture.
    """
    return [
        _saturated_from(full[each.architecture], each)
        if each.scheme == "V" and each.x == "parameters" and each.at >= full.get(each.architecture, math.inf)
        else each
        for each in found
    ]


def _saturated_from(place: float, found: Saturation) -> Saturation:
    return replace(
        found,
        gain=0.0,
        elasticity=0.0,
        saturated="yes",
        probability=1.0,
        diminishing_return=place,
        low=place,
        high=place,
        why=_FULL,
    )


def limits(lines: Iterable[LineFit], bayes_ne: float | None = None) -> list[Limit]:
    """How far the best model of each frontier is from the floor of its law, and what closing half of that would take.

    Args:
        lines: The lines of a study; those that are not frontiers are passed over.
        bayes_ne: The lowest NE that any model can reach; None where it is not known.

    Returns:
        One record for each frontier, in the same order.
    """
    return [_limit(line, bayes_ne or 0.0) for line in lines if line.is_frontier]


def _limit(line: LineFit, bayes_ne: float) -> Limit:
    fit = line.fit
    best = float(line.means[1].min())
    gamma_low, gamma_high = fit.interval["gamma"]
    where = " inside the grid" if line.x == "compute" else ""
    name = f"{line.scheme} against {line.x}: the best model{where} stands at NE {best:.4f}"
    why = _NO_FLOOR.get(fit.status, "")
    if not why and fit.gamma >= best:
        why = f"the fitted floor, {fit.gamma:.4f}, does not lie below it"
    unknown = Limit(
        architecture=line.architecture,
        scheme=line.scheme,
        x=line.x,
        best_ne=best,
        gamma=finite_or_none(fit.gamma),
        gamma_low=finite_or_none(gamma_low),
        gamma_high=finite_or_none(gamma_high),
        gap=None,
        half_gap=None,
        words=f"{name}. How far it could fall cannot be determined: {why}.",
    )
    if why:
        return unknown
    floor = max(fit.gamma, bayes_ne)
    gap = best - floor
    if gap <= fit.noise:
        what = "the floor of its law" if floor == fit.gamma else "the Bayes NE"
        words = f"{name}, at {what}, {floor:.4f}, to within the noise of a measurement"
        return replace(unknown, gap=gap, words=f"{words}: nothing is left to gain that way.")
    half, words = _half_gap(line, floor, gap)
    return replace(unknown, gap=gap, half_gap=half, words=f"{name}; {words}.")


def _half_gap(line: LineFit, floor: float, gap: float) -> tuple[HalfGap, str]:
    """What halving the gap to the floor takes, and the same in words."""
    fit, largest = line.fit, max(line.fit.x)
    reach = samples_to_reach(fit, floor + gap / 2)
    low, high = reach.interval
    level, (gamma_low, gamma_high) = f"{fit.level:.0%}", fit.interval["gamma"]
    between = f"{low / largest:.3g}× or more"
    if math.isfinite(high) and high:
        between = f"{low / largest:.3g}× to {high / largest:.3g}×"
    bound = f"and no model gets below the Bayes NE, {floor:.4f}, " if floor > fit.gamma else ""
    words = (
        f"its law levels off at {fit.gamma:.4f} ({level} interval {gamma_low:.4f} to {gamma_high:.4f}), {bound}so "
        f"{gap:.4f} is left. Half of that, NE {reach.loss:.4f}, takes {reach.x / largest:.3g} times the "
        f"{UNITS[line.x]} ({level} interval {between})"
    )
    if reach.unreachable_probability > (1 - fit.level) / 2:
        words += f"; with a probability of {reach.unreachable_probability:.0%} no amount is enough"
    half = HalfGap(
        ne=reach.loss,
        x=finite_or_none(reach.x),
        low=finite_or_none(low),
        high=finite_or_none(high),
        factor=finite_or_none(reach.x / largest),
        reachable=reach.reachable and math.isfinite(reach.x),
        unreachable_probability=reach.unreachable_probability,
    )
    return half, words
