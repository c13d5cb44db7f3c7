"""Which of several plans is the best, and whether the evidence is enough to say so."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfrs_scaling.fit.advice.uses import Plan
from tfrs_scaling.fit.laws.uncertainty import percentiles

Array = NDArray[np.float64]
Levers = frozenset[str]

CHOICE_LEVEL = 0.92  # two equally good levers pass for different in 8 studies of 100, see tests/advise_benchmark.py

_DIRECT = ("measured", "law of data")  # the others stand in for them only where they promise more beyond noise


@dataclass(frozen=True)
class Option:
    """The best plan of one lever, or of several pulled together.

    Attributes:
        plan: The plan.
        gain: How much lower its NE is than that of what is done now; expected.
        low: Its interval.
        high: Its interval; both NaN where the noise is not known.
        beats_now: Whether the gain is outside the noise.
        cheaper: Another plan of the same levers that costs less and cannot be told apart, or None.
    """

    plan: Plan
    gain: float
    low: float
    high: float
    beats_now: bool
    cheaper: Plan | None


@dataclass(frozen=True)
class Choice:
    """Every option, and which of them is the answer.

    Attributes:
        options: Lowest expected NE first.
        first: The one of lowest expected NE, of those that count.
        rivals: Those that count and cannot be told apart from it.
        answer: ``first``, where it is told apart from now and there is no rival; else None.
    """

    options: tuple[Option, ...]
    first: Option
    rivals: tuple[Option, ...]
    answer: Option | None


def choose(plans: Sequence[Plan], now: Plan, *, level: float = 0.95, choice_level: float = CHOICE_LEVEL) -> Choice:
    """The best of several plans, if the evidence is enough.

    An option that pulls several levers counts only where it is told apart from those that pull some of them: else
    what comes on top is not seen to matter. Of the options that count, that of lowest expected NE is the answer if it
    is told apart from now and from every other one, each by a two-sided test. That it was picked by looking costs
    nothing more: a test of the best against the others errs most often where just two are equally good, and then as
    often as a test of two (Gutmann and Maymin 1987). Where a lever has several plans of its own the test is of the
    largest of their deviations, which pays for that choice among them.

    Args:
        plans: One or more, what is done now not among them.
        now: What is done now.
        level: Confidence level of the options' intervals.
        choice_level: Of the tests.

    Returns:
        The choice.
    """
    by_lever: dict[Levers, list[Plan]] = {}
    for plan in plans:
        by_lever.setdefault(plan.levers, []).append(plan)
    best = {levers: _best(of_lever, choice_level) for levers, of_lever in by_lever.items()}
    order = sorted(best, key=lambda levers: (best[levers].ne, sorted(levers)))

    def told(levers: Levers, rival: Plan) -> bool:
        return is_lower(best[levers], rival, by_lever[levers], level=choice_level)

    options = {levers: _option(best[levers], by_lever[levers], now, told(levers, now), level) for levers in order}
    parts = {levers: [best[other] for other in order if other < levers] for levers in order}
    counting = [levers for levers in order if all(told(levers, part) for part in parts[levers])]
    first = counting[0]
    rivals = tuple(options[levers] for levers in counting[1:] if not told(first, best[levers]))
    return Choice(
        options=tuple(options.values()),
        first=options[first],
        rivals=rivals,
        answer=options[first] if options[first].beats_now and not rivals else None,
    )


def is_lower(plan: Plan, rival: Plan, family: Sequence[Plan], *, level: float = CHOICE_LEVEL) -> bool:
    """Whether a plan's NE is lower than a rival's outside the noise; False where the noise is not known.

    Args:
        plan: The plan.
        rival: Another one.
        family: The plans among which it was picked, itself included, and the rival where that is one of them.
        level: Confidence level of the two-sided test.
    """
    deviations = []
    for member in family:
        if member is rival:
            continue
        apart = rival.draws - member.draws
        middle, spread = _centre(apart)
        if not spread > 0:  # the noise is not known
            return False
        deviations.append((middle - apart) / spread)
    limit = float(np.quantile(np.max(deviations, axis=0), (1 + level) / 2))
    return rival.ne - plan.ne > limit * _centre(rival.draws - plan.draws)[1]


def _centre(values: Array) -> tuple[float, float]:
    """The median, and half of what lies around it in the share of a normal number within one standard deviation."""
    low, middle, high = np.quantile(values, (0.158655, 0.5, 0.841345))
    return float(middle), float(high - low) / 2


def _best(plans: Sequence[Plan], choice_level: float) -> Plan:
    direct = [plan for plan in plans if plan.how in _DIRECT]
    others = sorted((plan for plan in plans if plan.how not in _DIRECT), key=lambda plan: plan.ne)
    if not direct:
        return others[0]
    best = min(direct, key=lambda plan: plan.ne)
    if others and is_lower(others[0], best, others, level=choice_level):
        return others[0]
    return best


def _option(plan: Plan, family: Sequence[Plan], now: Plan, beats_now: bool, level: float) -> Option:
    low, high = (float(end) for end in percentiles(now.draws - plan.draws, level))
    gain = now.ne - plan.ne
    cheap = [other for other in family if _costs_less(other.cost, plan.cost)]
    cheap = [other for other in cheap if not is_lower(plan, other, family)]
    return Option(
        plan=plan,
        gain=gain,
        low=min(low, gain) if math.isfinite(low) else math.nan,
        high=max(high, gain) if math.isfinite(high) else math.nan,
        beats_now=beats_now,
        cheaper=min(cheap, key=lambda other: other.ne) if cheap else None,
    )


def _costs_less(cost: Mapping[str, float], than: Mapping[str, float]) -> bool:
    names = ("compute", "params", "data")
    return all(cost[name] <= than[name] for name in names) and any(cost[name] < than[name] / 1.25 for name in names)
