"""Which of several uses of a budget to take, and whether the evidence is enough to say so."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tfrs_scaling.fit.advice.use import DATA, Levers, Use
from tfrs_scaling.fit.analyses.noise.ladders import simultaneous_intervals
from tfrs_scaling.fit.schemes import SIZES


@dataclass(frozen=True)
class Option:
    """A use of one lever, or of several combined: of those that no other beats, the cheapest.

    Attributes:
        use: The use chosen for the lever or levers.
        gain: How much lower its NE is expected to be than the baseline's.
        beats_baseline: Whether the gain is larger than the noise.
    """

    use: Use
    gain: float
    low: float
    high: float
    beats_baseline: bool


@dataclass(frozen=True)
class Choice:
    """Every option, and which of them is the answer.

    Attributes:
        options: Every option, lowest expected NE first.
        answer: The cheapest use that beats the baseline and that no other beats; None where none beats the baseline.
        open: The other options that beat the baseline and are not distinguishable from the best, lowest NE first.
        no_better: Dearer uses of the answer's levers that may be as good, and are not distinguishable from it.
    """

    options: tuple[Option, ...]
    answer: Option | None
    open: tuple[Option, ...]
    no_better: tuple[Use, ...] = ()


def choose(uses: Sequence[Use], baseline: Use, *, level: float = 0.95) -> Choice:
    """The cheapest of the uses that are not distinguishable from the best, where they beat the baseline.

    A use wins if it beats the baseline, and is beaten if another winner beats it: each by a two-sided test that pays
    for having picked one of many, as it is about the largest of their deviations. Measured uses and those that laws
    promise are tested apart, as the errors of laws have longer tails. Shapes are compared on the same data first: one
    that is not distinguishable there from another, no dearer in anything, is not the answer, however far its law may
    be followed. Of the other winners that none beats the cheapest is the answer: what a dearer one would add is not
    seen. A shape that was not measured has to beat those that were, and a smaller one than the baseline's on more data
    the baseline on more data, where any winner does: it is cheap, and extrapolated further.

    Args:
        uses: One or more, without the baseline.
        baseline: The use they are compared with.
        level: Confidence level of the options' intervals and of the tests.
    """
    winners = [use for use in uses if is_lower(use, baseline, uses, level=level)]
    safe = [use for use in winners if _is_safe(use, uses, baseline, level)] or winners
    may_be_best = _unbeaten(safe, level)
    needed = _without_dearer(safe, baseline, level)
    unbeaten = _unbeaten(needed, level)
    answer = _cheapest(unbeaten, baseline) if unbeaten else None
    by_lever: dict[Levers, list[Use]] = {}
    for use in uses:
        by_lever.setdefault(use.levers, []).append(use)
    options = []
    for levers, family in by_lever.items():
        # Those that may be the best of all where some may, else those that win where some do.
        groups = (
            [use for use in family if _among(use, group)] for group in (unbeaten, needed, may_be_best, winners, family)
        )
        own = _unbeaten(next(group for group in groups if group), level)
        use = answer if answer is not None and answer.levers == levers else _cheapest(own, baseline)
        options.append(_option(use, baseline, _among(use, winners), level))
    options.sort(key=lambda option: (option.use.ne, sorted(option.use.levers)))
    return Choice(
        options=tuple(options),
        answer=next((option for option in options if option.use is answer), None),
        open=tuple(o for o in options if o.use is not answer and _among(o.use, [*unbeaten, *may_be_best])),
        no_better=tuple(
            use
            for use in may_be_best
            if answer is not None and use.levers == answer.levers and use.expense(baseline) > answer.expense(baseline)
        ),
    )


def _among(use: Use, uses: Iterable[Use]) -> bool:
    return any(use is other for other in uses)


def is_lower(use: Use, rival: Use, family: Iterable[Use], *, level: float) -> bool:
    """Whether a use's NE is lower than a rival's by more than the noise; False where the noise is unknown.

    Two shapes on equally much data beyond the measured are compared at the largest measured size, where nothing is
    extrapolated. So is a shape on more data with one on less: more data does not make it worse.

    Args:
        use: The use.
        rival: Another one.
        family: The uses among which it was picked.
        level: Confidence level of the two-sided test.
    """
    others = [o for o in family if o is not use and o is not rival and o.is_extrapolated == use.is_extrapolated]
    pairs = [_at_equal_data(member, rival) for member in (use, *others)]
    if _differ(pairs, level):
        return True
    if use.examples <= rival.examples or use.measured is None or rival.measured is None:
        return False
    return _differ([(o.measured, rival.measured) for o in (use, *others) if o.measured is not None], level)


def _differ(pairs: Sequence[tuple[Use, Use]], level: float) -> bool:
    """Whether the first use of the first pair has the lower NE, where the pair was picked among all."""
    gaps = np.array([theirs.ne - ours.ne for ours, theirs in pairs])
    deviations = np.stack([theirs.draws - ours.draws for ours, theirs in pairs], axis=1)
    return bool(simultaneous_intervals(gaps, deviations, level)[0][0] > 0)


def _is_safe(use: Use, uses: Sequence[Use], baseline: Use, level: float) -> bool:
    """Whether a use is none of a smaller shape on more data, or beats the baseline on more data."""
    if use.measured is None or use.measured.expense(baseline) >= 1 - 1e-9:
        return True
    alone = [other for other in uses if other.levers == {DATA} and other.measured is not None]
    return any(is_lower(use, other, uses, level=level) for other in alone)


def _without_dearer(winners: Sequence[Use], baseline: Use, level: float) -> list[Use]:
    """The winners without shapes of which a cheaper one is as good on the baseline's data, as far as is seen."""
    shapes = {_shape(use): use.at_hand for use in winners if use.at_hand is not None}
    larger = [shape for shape in shapes.values() if shape.levers and shape.expense(baseline) >= 1 - 1e-9]
    kept, left_out = [baseline], set()
    for shape in sorted(larger, key=lambda shape: (round(math.log(shape.expense(baseline)), 6), shape.ne)):
        cheaper = [other for other in kept if _is_no_dearer(other, shape)]
        if all(is_lower(shape, other, larger, level=level) for other in cheaper):
            kept.append(shape)
        else:
            left_out.add(_shape(shape))
    measured = [shape for shape in larger if shape.scheme in SIZES]

    def is_left_out(use: Use) -> bool:
        if use.at_hand is not None:
            return _shape(use) in left_out
        # No law is followed beyond a shape that adds nothing to a smaller one.
        below = [shape for shape in measured if shape.scheme == use.scheme and shape.multiplier <= use.multiplier]
        return bool(below) and _shape(max(below, key=lambda shape: shape.multiplier)) in left_out

    return [use for use in winners if not is_left_out(use)]


def _shape(use: Use) -> tuple[str, str, float, int]:
    return use.architecture, use.scheme, use.multiplier, use.embedding_dim


def _is_no_dearer(use: Use, other: Use) -> bool:
    return all(use.cost[name] <= other.cost[name] * (1 + 1e-9) for name in ("compute", "params", "data"))


def _at_equal_data(use: Use, rival: Use) -> tuple[Use, Use]:
    if use.measured is None or rival.measured is None or use.examples != rival.examples:
        return use, rival
    return use.measured, rival.measured


def _unbeaten(uses: Sequence[Use], level: float) -> list[Use]:
    """The uses that no other beats; shapes that were not measured only where they beat all that were."""

    def beaten(rival: Use, by: Sequence[Use]) -> bool:
        return any(is_lower(use, rival, by, level=level) for use in by if use is not rival)

    measured = [use for use in uses if use.has_measured_shape]
    others = [use for use in uses if not use.has_measured_shape]
    better = [use for use in others if all(is_lower(use, rival, others, level=level) for rival in measured)]
    pool = better or measured
    return [use for use in pool if not beaten(use, pool)] or pool  # tests of unlike pairs may go round in a circle


def _cheapest(uses: Sequence[Use], baseline: Use) -> Use:
    return min(uses, key=lambda use: (round(math.log(use.expense(baseline)), 6), use.ne))


def _option(use: Use, baseline: Use, beats_baseline: bool, level: float) -> Option:
    gain = baseline.ne - use.ne
    ends = simultaneous_intervals(np.array([gain]), (baseline.draws - use.draws)[:, None], level)
    low, high = (float(end[0]) for end in ends)
    return Option(
        use=use,
        gain=gain,
        low=min(low, gain) if math.isfinite(low) else math.nan,
        high=max(high, gain) if math.isfinite(high) else math.nan,
        beats_baseline=beats_baseline,
    )
