"""Which of several uses of a budget is the best, and whether the evidence is enough to say so."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfrs_scaling.fit.advice.use import Levers, Use
from tfrs_scaling.fit.analyses.ladders import simultaneous_intervals


@dataclass(frozen=True)
class Option:
    """The best use of one lever, or of several combined.

    Attributes:
        use: The use chosen for the lever or levers.
        gain: How much lower its NE is expected to be than the baseline's.
        beats_baseline: Whether the gain is larger than the noise.
        cheaper: Another use of the same levers that costs less and is not distinguishable from it, or None.
    """

    use: Use
    gain: float
    low: float
    high: float
    beats_baseline: bool
    cheaper: Use | None


@dataclass(frozen=True)
class Choice:
    """Every option, and which of them is the answer.

    Attributes:
        options: Every option, lowest expected NE first.
        first: The one of lowest expected NE among the candidates.
        rivals: The other candidates that are not distinguishable from it.
        answer: ``first``, where it beats the baseline and has no rival; else None.
    """

    options: tuple[Option, ...]
    first: Option
    rivals: tuple[Option, ...]
    answer: Option | None


def choose(uses: Sequence[Use], baseline: Use, *, level: float = 0.95) -> Choice:
    """The best of several uses, if the evidence is enough.

    An option that combines several levers is a candidate only where it beats those that take some of them: otherwise
    what it adds is not seen to matter. The candidate of lowest expected NE is the answer if it beats the baseline and
    every other candidate, each by a two-sided test. Picking it after looking costs nothing more: a test of the best
    against the others errs most often where just two are equally good, and then as often as a test of two (Gutmann and
    Maymin 1987). Where a lever has several uses, the test is of the largest of their deviations, which pays for the
    choice among them.

    Args:
        uses: One or more, without the baseline.
        baseline: The use they are compared with.
        level: Confidence level of the options' intervals and of the tests.

    Returns:
        The choice.
    """
    by_lever: dict[Levers, list[Use]] = {}
    for use in uses:
        by_lever.setdefault(use.levers, []).append(use)
    best = {levers: _best(family, level) for levers, family in by_lever.items()}
    order = sorted(best, key=lambda levers: (best[levers].ne, sorted(levers)))

    def beats(levers: Levers, rival: Use) -> bool:
        return is_lower(best[levers], rival, by_lever[levers], level=level)

    options = {
        levers: _option(best[levers], by_lever[levers], baseline, beats(levers, baseline), level) for levers in order
    }
    parts = {levers: [best[other] for other in order if other < levers] for levers in order}
    candidates = [levers for levers in order if all(beats(levers, part) for part in parts[levers])]
    first = candidates[0]
    rivals = tuple(options[levers] for levers in candidates[1:] if not beats(first, best[levers]))
    return Choice(
        options=tuple(options.values()),
        first=options[first],
        rivals=rivals,
        answer=options[first] if options[first].beats_baseline and not rivals else None,
    )


def is_lower(use: Use, rival: Use, family: Sequence[Use], *, level: float) -> bool:
    """Whether a use's NE is lower than a rival's by more than the noise; False where the noise is unknown.

    Args:
        use: The use.
        rival: Another one.
        family: The uses among which it was picked. One that has to beat the others first, as a shape that was not
            measured has, is not picked among them.
        level: Confidence level of the two-sided test.
    """
    others = [
        other
        for other in family
        if other is not use and other is not rival and other.has_measured_shape == use.has_measured_shape
    ]
    members = [use, *others]
    gaps = np.array([rival.ne - member.ne for member in members])
    deviations = np.stack([rival.draws - member.draws for member in members], axis=1)
    return bool(simultaneous_intervals(gaps, deviations, level)[0][0] > 0)


def _best(uses: Sequence[Use], level: float) -> Use:
    """Lowest expected NE; a shape that was not measured only where it beats those that were."""
    measured = [use for use in uses if use.has_measured_shape]
    others = sorted((use for use in uses if not use.has_measured_shape), key=lambda use: use.ne)
    if not measured:
        return others[0]
    best = min(measured, key=lambda use: use.ne)
    if others and is_lower(others[0], best, others, level=level):
        return others[0]
    return best


def _option(use: Use, family: Sequence[Use], baseline: Use, beats_baseline: bool, level: float) -> Option:
    gain = baseline.ne - use.ne
    ends = simultaneous_intervals(np.array([gain]), (baseline.draws - use.draws)[:, None], level)
    low, high = (float(end[0]) for end in ends)
    cheap = [other for other in family if _costs_less(other.cost, use.cost)]
    cheap = [other for other in cheap if not is_lower(use, other, family, level=level)]
    return Option(
        use=use,
        gain=gain,
        low=min(low, gain) if math.isfinite(low) else math.nan,
        high=max(high, gain) if math.isfinite(high) else math.nan,
        beats_baseline=beats_baseline,
        cheaper=min(cheap, key=lambda other: other.ne) if cheap else None,
    )


def _costs_less(cost: Mapping[str, float], than: Mapping[str, float]) -> bool:
    names = ("compute", "params", "data")
    return all(cost[name] <= than[name] for name in names) and any(cost[name] < than[name] / 1.25 for name in names)
