"""Which trials a study needs, given the outcomes so far: learning rates are found, shape by shape.

Rates are powers of two times ``START_RATE``. The search for a shape's starts where that for its neighbour ended (the
next multiplier towards the baseline) and trains this rate to the end; then half and twice of it; then whatever lies
beside the best, until the rates on both sides of the best are worse (or better by no more than ``MARGIN``), or
``POWERS`` ends. A smaller rate that learned nothing at all shows no trend (it collapsed, by the luck of its seed), so
the next smaller one is tried too. All this with the first seed; the others are trained at the rate found.

A rate is stopped where its validation NE is worse than that of one trained before by more than a margin. The best rate
falls as rows are added (Porian et al. 2024 found the same of language models), so a larger rate that is worse in the
middle of the ladder stays so, but a smaller one may catch up, and is judged later. Until a trial learns anything its
NE says nothing of its rate, so one that has not is judged at the last rung but one alone, and judges none.

What is needed follows from recorded outcomes alone, and a decision waits for all outcomes that it depends on: whoever
trains what, and in whatever order, studies of the same data decide alike.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config
from tfrs_scaling.fit.runs.collapse import COLLAPSED_NE
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES
from tfrs_scaling.study.trials import ONE, START_RATE, Trial, all_trials, shapes

POWERS = range(-6, 7)  # rates from 0.000625 to 2.56
RATES = tuple(START_RATE * 2.0**power for power in POWERS)
# How much worse a rate's NE may be than that of one trained before: a larger rate's from the middle rung on, a smaller
# one's at the last rungs but two and but one. On the default study the noise of the difference of two rates at the top
# is .0005 to .001 with the same seed; that of two seeds is .0003 to .0026. Where NE falls fast this stops rates that
# would have caught up, but margins in proportion to the fall find no better ones: on MovieLens up to 98,304 rows a
# quarter of what the last doubling of rows brought the other rate costs 1.2 times as much and finds the same for all 18
# shapes, as do no stops at all, at 1.9 times. What is lost, is lost at the top, to the luck of the one seed that all
# rates are trained with (tests/benchmarks/truth/search_benchmark.py replays the search on a study of every rate).
MARGIN = 0.001
SMALLER_MARGINS = (0.003, MARGIN)

Record = dict[str, Any]
Records = Callable[[str], Record | None]


@dataclasses.dataclass(frozen=True)
class Need:
    """A trial that a study needs.

    Attributes:
        limits: for each rung the validation NE above which the trial is stopped there; empty where rates are given.
    """

    trial: Trial
    limits: tuple[float, ...] = ()

    def settled(self, record: Record | None, ladder: tuple[int, ...]) -> Record | None:
        """The trial's record, cut where it is to be stopped; None if it has to be run, or run again.

        It was not stopped where it is to be, or the other way round, if other trials had failed and were run again, or
        the study has grown; or it was measured at the data sizes that the study had before.

        Raises:
            InputError: the record does not fit the ladder.
        """
        if record is None or record["status"] not in ("ok", "stopped"):
            return record
        # Earlier versions recorded none where rates are given: every rung was measured.
        measured = record.get("rungs", () if self.limits else ladder)
        if len(measured) > len(ladder):
            raise InputError(
                f"trials/{self.trial.trial_id}/trial.json: rungs: {len(measured)} values, but the study has "
                f"{len(ladder)} data sizes; delete this folder, and the same command runs the trial again"
            )
        if self.limits:
            for rung in range(len(measured)):
                if why := self.why_stop(measured[: rung + 1], ladder):
                    return {**record, "status": "stopped", "reason": why, "rungs": measured[: rung + 1]}
        is_whole = len(measured) == len(ladder) if record["status"] == "ok" else record["diverged"] or not self.limits
        return record if is_whole else None

    def why_stop(self, measured: Sequence[float], ladder: tuple[int, ...]) -> str:
        """Why the trial is to be stopped now, given its validation NE at each rung so far; empty if it is not."""
        rung = len(measured) - 1
        if not self.limits or measured[rung] <= self.limits[rung]:
            return ""
        if rung < len(ladder) - 2 and has_learned_nothing(measured):
            return ""
        return (
            f"its learning rate is worse than another: validation NE {measured[rung]:.4f} after {ladder[rung]:,} rows, "
            f"more than {self.limits[rung]:.4f}"
        )


@dataclasses.dataclass(frozen=True)
class Needs:
    """The trials that a study needs, as far as outcomes tell.

    Attributes:
        needs: in the order of the grid.
        searching: shapes whose search has not ended, as their trials at ``START_RATE``: outcomes may add trials.
        waiting: those of them whose search has not begun, because it starts where another's ends.
    """

    needs: tuple[Need, ...]
    searching: tuple[Trial, ...] = ()
    waiting: tuple[Trial, ...] = ()


def needs_of(config: Config, records: Records) -> Needs:
    """The trials that a study needs.

    Args:
        config: the study.
        records: a trial's record, by its id; None: it has not ended, or is to be run again.

    Examples:
        >>> config = read_config("study.yaml", ["training.learning_rates=auto"])
        >>> [need.trial.trial_id for need in needs_of(config, lambda trial_id: None).needs]
        ['D-1-lr0.04-seed0']
    """
    if config.training.learning_rates != "auto":
        return Needs(tuple(Need(trial) for trial in all_trials(config)))
    every = shapes(config)
    searches: dict[Trial, _Search] = {}
    while True:
        ready = [
            shape
            for shape in every
            if shape not in searches
            and ((near := neighbour(shape, every)) is None or (near in searches and searches[near].has_ended))
        ]
        if not ready:
            break
        for shape in ready:
            near = neighbour(shape, every)
            searches[shape] = _searched(shape, 0 if near is None else searches[near].best, config, records)
    return Needs(
        tuple(need for shape in every if shape in searches for need in searches[shape].needs),
        searching=tuple(shape for shape in every if shape not in searches or not searches[shape].has_ended),
        waiting=tuple(shape for shape in every if shape not in searches),
    )


def neighbour(shape: Trial, every: list[Trial]) -> Trial | None:
    """The shape whose best rate is tried first: the next one towards the baseline, of ``every``; None: none."""
    baselines = {other.architecture: other for other in every if other.scheme == BASELINE}
    if shape.scheme == BASELINE:
        return None if shape.architecture is None else baselines[None]
    if shape.scheme == "VH":
        return next(other for other in every if other.scheme == "V" and other.multiplier == shape.multiplier)
    weights = SCHEMES[shape.scheme].multipliers == "weight"

    def distance(other: Trial) -> float:
        return float(other.multiplier) if weights else abs(math.log(other.multiplier))

    between = [
        other
        for other in every
        if (other.scheme, other.architecture) == (shape.scheme, shape.architecture)
        and (other.multiplier > ONE) == (shape.multiplier > ONE)
        and distance(other) < distance(shape)
    ]
    return max(between, key=distance, default=baselines[shape.architecture])


def waiting_for(config: Config) -> Counter[str]:
    """How many shapes' searches start, directly or through others, where that of each shape (its id) ends."""
    counts: Counter[str] = Counter()
    if config.training.learning_rates == "auto":
        every = shapes(config)
        for shape in every:
            near = neighbour(shape, every)
            while near is not None:
                counts[near.shape_id] += 1
                near = neighbour(near, every)
    return counts


@dataclasses.dataclass(frozen=True)
class _Search:
    """The search for a shape's rate: its trials; the power of the best rate or, if there is none, of the first."""

    needs: tuple[Need, ...]
    best: int
    has_ended: bool


def _searched(shape: Trial, start: int, config: Config, records: Records) -> _Search:
    needs: list[Need] = []
    outcomes: dict[int, Record] = {}  # by power
    wave = [start]
    while wave:
        tried = {
            power: Need(
                dataclasses.replace(shape, learning_rate=START_RATE * 2.0**power),
                _limits(power, outcomes, len(config.ladder)),
            )
            for power in wave
        }
        needs += tried.values()
        for power, need in tried.items():
            outcome = need.settled(records(need.trial.trial_id), config.ladder)
            if outcome is not None:
                outcomes[power] = outcome
        if any(power not in outcomes for power in wave):
            return _Search(tuple(needs), start, has_ended=False)
        wave = _next_wave(outcomes)
    best = _best(outcomes)
    if best is not None:
        rate = START_RATE * 2.0**best
        needs += [Need(dataclasses.replace(shape, learning_rate=rate, seed=seed)) for seed in shape.seeds(config)[1:]]
    return _Search(tuple(needs), start if best is None else best, has_ended=True)


def _best(outcomes: Mapping[int, Record]) -> int | None:
    """The power of the rate with the smallest validation NE at the top; of equals, the smallest.

    One at an end of those tried has to be better by more than ``MARGIN`` than the one beside it, which is taken
    else: where NE hardly depends on the rate, the search would go on and on for nothing.
    """
    ne = {power: outcome["rungs"][-1] for power, outcome in outcomes.items() if outcome["status"] == "ok"}
    if not ne:
        return None
    best = min(ne, key=lambda power: (ne[power], power))
    for beside in (best - 1, best + 1):
        if 2 * best - beside not in outcomes and ne.get(beside, math.inf) <= ne[best] + MARGIN:
            return beside
    return best


def _next_wave(outcomes: Mapping[int, Record]) -> list[int]:
    """The powers to try next."""
    best = _best(outcomes)
    if best is not None:
        below = best - 1
        while below in outcomes and has_learned_nothing(outcomes[below].get("rungs", ())):
            below -= 1
        wanted = [below, best + 1]
    elif any(outcome["status"] == "stopped" for outcome in outcomes.values()):  # all diverged, or failed
        wanted = [min(outcomes) - 1]
    elif len(outcomes) == 1 and all(outcome["status"] == "failed" for outcome in outcomes.values()):
        (first,) = outcomes
        wanted = [first - 1, first + 1]
    else:
        wanted = []
    return [power for power in wanted if power in POWERS and power not in outcomes]


def _limits(power: int, outcomes: Mapping[int, Record], rungs: int) -> tuple[float, ...]:
    """Limits of a rate, given the outcomes of those trained before; none at the top, where the best is chosen."""
    limits = [math.inf] * rungs
    for other, outcome in outcomes.items():
        if outcome["status"] == "ok":
            for rung, margin in _margins(rungs, larger=power > other).items():
                if not has_learned_nothing(outcome["rungs"][: rung + 1]):
                    limits[rung] = min(limits[rung], outcome["rungs"][rung] + margin)
    return tuple(limits)


def has_learned_nothing(measured: Sequence[float]) -> bool:
    """Whether NE is no better than the background CTR's at any rung measured; False where none was."""
    return bool(measured) and min(measured) >= COLLAPSED_NE


def _margins(rungs: int, *, larger: bool) -> dict[int, float]:
    """By rung, the margin of a rate against a smaller or larger one that was trained before."""
    judged = range(rungs // 2, rungs - 1)
    if larger:
        return dict.fromkeys(judged, MARGIN)
    last = judged[-len(SMALLER_MARGINS) :]
    return dict(zip(last, SMALLER_MARGINS[-len(last) :] if last else (), strict=True))


def usual_rungs(trial: Trial, config: Config) -> int:
    """Rungs at which one of ``all_trials`` is measured if ``START_RATE`` is the best where rates are found."""
    rungs = len(config.ladder)
    if config.training.learning_rates != "auto" or trial.learning_rate == START_RATE:
        return rungs
    judged = _margins(rungs, larger=trial.learning_rate > START_RATE)
    return min(judged, default=rungs - 1) + 1
