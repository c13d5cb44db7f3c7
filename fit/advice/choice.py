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
    """A use of one lever, or of several combined: the cheapest that no other beats; of a lever that gains nothing, the
    one of lowest expected NE.

    Attributes:
        use: The use chosen for the lever or levers.
        gain: How much lower its NE is expected to be than the baseline's.
        low: Lower end of its interval; NaN where the noise is unknown. The intervals of all shapes measured on the
            baseline's data that are no smaller hold together, and so do the lower ends of all uses that laws promise.
        high: Upper end.
        is_safe: False for a smaller shape than the baseline's on more data that is not seen to beat the baseline's on
            more data: it is not chosen where others win.
        over_answer: By how much at most its NE is lower than the answer's: the upper end of the interval of that; NaN
            where there is no answer, or the noise is unknown.
    """

    use: Use
    gain: float
    low: float
    high: float
    is_safe: bool = True
    over_answer: float = math.nan

    @property
    def beats_baseline(self) -> bool:
        """Whether the gain is larger than the noise."""
        return self.low > 0


@dataclass(frozen=True)
class Choice:
    """Every option, and which of them is the answer.

    Attributes:
        options: Every option, lowest expected NE first.
        answer: The cheapest use that beats the baseline and that no other beats; None where none beats the baseline, or
            none but shapes on more data of which, on the same data, a cheaper one is as good, as far as is seen.
        unbeaten: The options that beat the baseline and that no other beats, the answer among them.
        open: The other options that beat the baseline and are not distinguishable from the best, lowest expected NE
            first.
        most: The largest gain that the intervals of all uses allow; NaN where the noise is unknown.
        no_better: Dearer uses of the answer's levers that may be as good, and are not distinguishable from it; and by
            how much at most the NE of each is lower.
        beaten: Cheaper uses that beat the baseline, but that another one beats, and that one.
    """

    options: tuple[Option, ...]
    answer: Option | None
    open: tuple[Option, ...]
    unbeaten: tuple[Option, ...] = ()
    most: float = math.nan
    no_better: tuple[tuple[Use, float], ...] = ()
    beaten: tuple[tuple[Use, Use], ...] = ()


def choose(
    uses: Sequence[Use], baseline: Use, *, same_data: Sequence[Use] | None = None, level: float = 0.95
) -> Choice:
    """The cheapest of the uses that are not distinguishable from the best, where they beat the baseline.

    A use wins if it beats the baseline, and is beaten if another winner beats it: each by a two-sided test that pays
    for having picked one of many, as it is about the largest of their deviations. Shapes on the baseline's data are
    tested among all that were measured there, whatever the budget, so one that wins on one budget wins on every other;
    uses that laws promise are tested apart, as the errors of laws have longer tails. Shapes are compared on the same
    data first: one that is not distinguishable there from another, no dearer in anything, is not the answer, however
    far its law may be followed. Of the other winners that none beats the cheapest is the answer: what a dearer one
    would add is not seen. A shape that was not measured has to beat those that were, and a smaller one than the
    baseline's on more data the baseline on more data, where any winner does: it is cheap, and extrapolated further.

    Args:
        uses: One or more, without the baseline.
        baseline: The use they are compared with.
        same_data: All shapes measured on the baseline's data that are no smaller, within the budget or not; by default
            those among the uses.
        level: Confidence level of the intervals and of the tests.
    """
    if same_data is None:
        same_data = [use for use in uses if not use.is_extrapolated and use.examples == baseline.examples]
    field = _Field(tuple(same_data), level)
    gains = {id(use): field.interval(use, baseline, uses) for use in uses}
    winners = [use for use in uses if gains[id(use)][0] > 0]
    alone = [use for use in uses if use.levers == {DATA} and use.measured is not None]
    safe = [use for use in winners if field.is_safe(use, alone, baseline, uses)] or winners
    unsafe = [use for use in winners if not _among(use, safe)]
    needed = field.without_dearer(safe, baseline) or [use for use in safe if not use.is_extrapolated]
    unbeaten, may_be_best = field.unbeaten(needed), field.unbeaten(safe)
    answer = _cheapest(unbeaten, baseline) if unbeaten else None

    def dearer(use: Use, other: Use) -> bool:
        return use.expense(baseline) > other.expense(baseline) * (1 + 1e-6)

    def over_answer(use: Use) -> float:
        return math.nan if answer is None or use is answer else field.interval(use, answer, uses)[1]

    by_lever: dict[Levers, list[Use]] = {}
    for use in uses:
        by_lever.setdefault(use.levers, []).append(use)
    options = []
    for levers, family in by_lever.items():
        # Those that may be the best of all where some may, else those that win where some do.
        groups = ([use for use in family if _among(use, group)] for group in (unbeaten, needed, may_be_best, winners))
        own = next((group for group in groups if group), [])
        if own:
            use = _cheapest(field.unbeaten(own), baseline)
        else:
            use = min([use for use in family if use.has_measured_shape] or family, key=lambda use: use.ne)
        use = answer if answer is not None and answer.levers == levers else use
        gain, (low, high) = baseline.ne - use.ne, gains[id(use)]
        options.append(
            Option(
                use=use,
                gain=gain,
                low=min(low, gain) if math.isfinite(low) else math.nan,
                high=max(high, gain) if math.isfinite(high) else math.nan,
                is_safe=not _among(use, unsafe),
                over_answer=over_answer(use),
            )
        )
    options.sort(key=lambda option: (option.use.ne, sorted(option.use.levers)))
    return Choice(
        options=tuple(options),
        answer=next((option for option in options if option.use is answer), None),
        unbeaten=tuple(option for option in options if _among(option.use, unbeaten)),
        open=tuple(o for o in options if o.use is not answer and _among(o.use, [*unbeaten, *may_be_best])),
        most=max((high for _, high in gains.values() if math.isfinite(high)), default=math.nan),
        no_better=tuple(
            (use, over_answer(use))
            for use in may_be_best
            if answer is not None and use.levers == answer.levers and dearer(use, answer)
        ),
        beaten=tuple(
            (use, min(by, key=lambda rival: rival.ne))
            for use in needed
            if answer is not None and dearer(answer, use) and (by := field.that_beat(use, needed))
        ),
    )


def is_lower(use: Use, rival: Use, family: Iterable[Use], *, level: float) -> bool:
    """Whether a use's NE is lower than a rival's by more than the noise; False where the noise is unknown.

    Args:
        use: The use.
        rival: Another one.
        family: The uses among which it was picked.
        level: Confidence level of the two-sided test.
    """
    return gap_interval(use, rival, family, level=level)[0] > 0


def gap_interval(use: Use, rival: Use, family: Iterable[Use], *, level: float) -> tuple[float, float]:
    """How much lower a use's NE is than a rival's: the ends of its interval; NaN where the noise is unknown.

    Two shapes on equally much data beyond the measured are compared at the largest measured size, where nothing is
    extrapolated. A shape on more data than the other gains no less than there: more data does not make it worse.

    Args:
        use: The use.
        rival: Another one.
        family: The uses among which it was picked: what was measured is compared among what was measured, and what
            laws promise among what they promise.
        level: Confidence level of the intervals of the whole family.
    """
    others = [member for member in family if member is not use and member is not rival]
    least, hand, other = -math.inf, use.at_hand, rival.at_hand
    if hand is not None and other is not None and use.examples >= rival.examples:
        pairs = [(hand, other), *((member, other) for member in others if not member.is_extrapolated)]
        least, most = _interval_of_first(pairs, level)
        if use.examples == rival.examples:
            return least, most
    alike = [member for member in others if member.is_extrapolated == use.is_extrapolated]
    low, high = _interval_of_first([(use, rival), *((member, rival) for member in alike)], level)
    if use.is_extrapolated:  # the upper ends of heavy tails do not hold together within any sensible width
        high = _interval_of_first([(use, rival)], level)[1]
    return max(low, least), high


def _interval_of_first(pairs: Sequence[tuple[Use, Use]], level: float) -> tuple[float, float]:
    """The interval of the first pair's gap, which holds together with those of the other pairs of known noise."""
    gaps = np.array([theirs.ne - ours.ne for ours, theirs in pairs])
    deviations = np.stack([theirs.draws - ours.draws for ours, theirs in pairs], axis=1)
    if np.isnan(deviations[:, 0]).any():
        return math.nan, math.nan
    known = ~np.isnan(deviations).any(axis=0)
    low, high = simultaneous_intervals(gaps[known], deviations[:, known], level)
    return float(low[0]), float(high[0])


@dataclass(frozen=True)
class _Field:
    """The comparisons of uses: ``same_data`` are the shapes measured on the baseline's data, whatever the budget."""

    same_data: tuple[Use, ...]
    level: float

    def interval(self, use: Use, rival: Use, pool: Iterable[Use]) -> tuple[float, float]:
        """``gap_interval`` of a use picked from a pool."""
        family = (*self.same_data, *(member for member in pool if member.is_extrapolated))
        return gap_interval(use, rival, family, level=self.level)

    def lower(self, use: Use, rival: Use, pool: Iterable[Use] = ()) -> bool:
        """``is_lower`` of a use picked from a pool."""
        return self.interval(use, rival, pool)[0] > 0

    def is_safe(self, use: Use, alone: Iterable[Use], baseline: Use, pool: Sequence[Use]) -> bool:
        """Whether a use is none of a smaller shape on more data, or beats the baseline on more data."""
        if use.measured is None or use.measured.expense(baseline) >= 1 - 1e-9:
            return True
        return any(self.lower(use, other, pool) for other in alone)

    def without_dearer(self, winners: Iterable[Use], baseline: Use) -> list[Use]:
        """The winners without shapes of which a cheaper one is as good on the baseline's data, as far as is seen."""
        larger = [shape for shape in self.same_data if shape.expense(baseline) >= 1 - 1e-9]
        kept, left_out = [baseline], set()
        for shape in sorted(larger, key=lambda shape: (round(math.log(shape.expense(baseline)), 6), shape.ne)):
            if all(self.lower(shape, other) for other in kept if _is_no_dearer(other, shape)):
                kept.append(shape)
            else:
                left_out.add(_shape(shape))

        def is_left_out(use: Use) -> bool:
            if use.at_hand is not None:
                return _shape(use) in left_out
            # No law is followed beyond a shape that adds nothing to a smaller one.
            below = [s for s in larger if s.scheme == use.scheme in SIZES and s.multiplier <= use.multiplier]
            return bool(below) and _shape(max(below, key=lambda shape: shape.multiplier)) in left_out

        return [use for use in winners if not is_left_out(use)]

    def unbeaten(self, uses: Sequence[Use]) -> list[Use]:
        """The uses that no other beats; shapes that were not measured only where they beat all that were."""
        measured = [use for use in uses if use.has_measured_shape]
        others = [use for use in uses if not use.has_measured_shape]
        better = [use for use in others if all(self.lower(use, rival, others) for rival in measured)]
        pool = better or measured
        found = [use for use in pool if not self.that_beat(use, pool)]
        return found or pool  # tests of unlike pairs may go round in a circle

    def that_beat(self, use: Use, pool: Sequence[Use]) -> list[Use]:
        """Those of a pool that beat a use of it."""
        return [other for other in pool if other is not use and self.lower(other, use, pool)]


def _among(use: Use, uses: Iterable[Use]) -> bool:
    return any(use is other for other in uses)


def _shape(use: Use) -> tuple[str, str, float, int]:
    return use.architecture, use.scheme, use.multiplier, use.embedding_dim


def _is_no_dearer(use: Use, other: Use) -> bool:
    return all(use.cost[name] <= other.cost[name] * (1 + 1e-9) for name in ("compute", "params", "data"))


def _cheapest(uses: Sequence[Use], baseline: Use) -> Use:
    return min(uses, key=lambda use: (round(math.log(use.expense(baseline)), 6), use.ne))
