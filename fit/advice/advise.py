"""Where a budget should go, how sure that is, and which runs would settle it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import FLOPS, human, listed, plural
from tfrs_scaling.fit.advice.advice import Advice
from tfrs_scaling.fit.advice.budget import RESOURCES, Budget, read_budget
from tfrs_scaling.fit.advice.choice import Choice, Option, choose
from tfrs_scaling.fit.advice.settle import Place, Settle, Settler
from tfrs_scaling.fit.advice.use import DATA, Use, measured_shapes
from tfrs_scaling.fit.advice.uses import Uses
from tfrs_scaling.fit.advice.words import (
    at_most,
    capitalized,
    several_words,
    shape_words,
    short_cost,
    short_words,
    takes_rows,
)
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.runs.costs import uneven_speed
from tfrs_scaling.fit.runs.run_table import is_recorded
from tfrs_scaling.fit.runs.screening import usable_runs
from tfrs_scaling.fit.schemes import BASELINE
from tfrs_scaling.fit.study import StudyFits

COSTS = (
    "params_total",
    "params_embedding",
    "flops_train",
    "examples_per_second",
)  # of an option, which advice weighs against its gain
_MOST_USED = 0.75  # of the budget: an answer that uses less says so
_MOST_OPEN = 3  # options that may be better than the answer


def advise(
    runs: pd.DataFrame, study: StudyFits, budget: str | Budget, *, seed: int = 0, place: Place | None = None
) -> Advice:
    """Where a budget should go, from a finished study.

    The options are those of ``Uses``; ``choose`` chooses among them: the cheapest of those that beat the baseline at
    its largest data size by more than the noise and are not distinguishable from the best.

    Args:
        runs: The run table.
        study: Result of ``fit_study`` for these runs.
        budget: Budget: text for ``read_budget``, or its result.
        seed: Seed of the random draws.
        place: The configuration and the data of the study, where they are known: proposed runs name them, and need
            no more examples than there are.

    Returns:
        The answer; ``not enough evidence`` where that is so, with the runs that would settle it.

    Raises:
        InputError: the budget cannot be read, or is below what the baseline used; or the run table does not record
            what an option costs (``COSTS``).

    Examples:
        >>> runs = read_runs("runs.csv")
        >>> advice = advise(runs, fit_study(runs), "params=4x")
        >>> print(advice.answer)
        Do this: V at 4× (4 times the embedding rows), on the same 1,280,000 examples.
        >>> {option.use.scheme: round(option.gain, 3) for option in advice.options}
        {'V': 0.015}
    """
    budget = read_budget(budget) if isinstance(budget, str) else budget
    unknown = [name for name in COSTS if not is_recorded(runs, name)]
    if unknown and (runs["status"] == "ok").any():
        raise InputError(
            f"the run table does not record {listed(unknown)}: options cannot be weighed against their cost; add "
            f"{'it' if len(unknown) == 1 else 'them'} as columns"
        )
    rows, level = usable_runs(runs), study.level
    if not (rows["scheme"] == BASELINE).any():
        return Advice(
            budget.text,
            level,
            "There is no measured baseline (scheme D at 1×), and every option is compared with that.",
            settle=Settle("Every study trains the baseline: find out why it failed here, and start the study again."),
        )
    uneven = uneven_speed(runs)
    if uneven and "hours" in budget.limits:
        why = f"How long a training takes is not known: {uneven.words}. Name compute instead of hours."
        return Advice(
            budget.text, level, why, measured_shapes(rows, study.noise, uneven=uneven).baseline, uneven=uneven
        )
    own_rows_from = None if place is None else place.own_rows_from
    uses = Uses(rows, study, budget, own_rows_from=own_rows_from, uneven=uneven, seed=seed)
    found = uses.all()
    if not found:
        why = (
            "Within the budget no shape was measured that is at least as large as the baseline, and no law reaches "
            "beyond what was measured."
        )
        return Advice(budget.text, level, why, uses.baseline, changes=_cautions(uses), uneven=uneven)
    choice = choose(found, uses.baseline, same_data=uses.same_data, level=level)
    settler = Settler(
        rows, uses.noise, uses.baseline,
        learning_rates=runs["learning_rate"].unique(), place=place, rows_used=uses.rows_used,
    )  # fmt: skip
    if choice.answer is None:
        return replace(_undecided(choice, uses, settler), uneven=uneven)
    now = None
    if not settler.has_rows_for(choice.answer.use):
        there = [use for use in found if settler.has_rows_for(use)]
        now = choose(there, uses.baseline, same_data=uses.same_data, level=level).answer if there else None
    decided = _decided(choice, choice.answer, now, uses, settler, place)
    return replace(decided, uneven=uneven)


def _undecided(choice: Choice, uses: Uses, settler: Settler) -> Advice:
    return Advice(
        uses.budget.text,
        uses.study.level,
        _why_open(choice, uses),
        uses.baseline,
        options=choice.options,
        changes=(*_rows_missing(choice, settler, uses.baseline), *_cautions(uses, choice)),
        settle=settler.distinguish(_first(choice.options, settler).use, [uses.baseline]),
        least_rows=settler.least_rows,
    )


def _decided(
    choice: Choice, do: Option, now: Option | None, uses: Uses, settler: Settler, place: Place | None
) -> Advice:
    better = [option for option in choice.open if option.gain > do.gain]
    changes = [
        *_no_better_words(choice, uses.baseline),
        *_open_words(better, choice, do, uses.baseline, settler.least_rows),
    ]
    settle = settler.distinguish(_first(better, settler).use, [do.use]) if better else None
    if do.use.affordable:
        changes.append(
            f"The budget would pay for {do.use.affordable:,.0f} examples, but the law is extrapolated no further than "
            f"{do.use.examples:,}."
        )
    if uses.is_largest(do.use):
        larger = settler.larger_multiplier(do.use)
        changes.append(
            f"{capitalized(shape_words(do.use))} is the largest that was measured; more may be better still "
            f"(--set '{larger.overrides[0]}')."
        )
        settle = settle or larger
    return Advice(
        uses.budget.text,
        uses.study.level,
        f"{_why_this(choice, uses)} {_unused(do.use, uses)}"
        f"{_one_sided_words(uses) if do.use.is_extrapolated else ''}"
        f"The noise of one training is {uses.noise.words}.",
        uses.baseline,
        do,
        choice.options,
        (*changes, *_rows_missing(choice, settler, uses.baseline, do.use), *_cautions(uses, choice, do.use)),
        settle,
        now,
        None if settler.can_be_trained(do.use) or place is None else place.training_rows,
        place is not None and place.made_rows is not None,
        _cheaper_words(choice, do, uses.baseline),
        least_rows=settler.least_rows,
    )


def _rows_missing(choice: Choice, settler: Settler, baseline: Use, do: Use | None = None) -> list[str]:
    """The options, other than the answer, that need more rows than there are."""
    missing = [option.use for option in choice.options if not settler.can_be_trained(option.use) and option.use != do]
    if not missing:
        return []
    needs = (f"{short_words(use, baseline)} ({use.cost['data']:,.0f})" for use in missing)
    return [
        f"More rows of the log than the {settler.training_rows:,} there are would be needed for {listed([*needs])}."
    ]


def _first(options: Sequence[Option], settler: Settler) -> Option:
    """The first option that there are rows for; the first of all where there is none."""
    return next((option for option in options if settler.can_be_trained(option.use)), options[0])


def _why_this(choice: Choice, uses: Uses) -> str:
    beats = f"It beats the baseline by more than the noise ({uses.study.level:.0%} confidence)"
    others = sum(option.beats_baseline for option in choice.options) - 1
    if len(choice.unbeaten) > 1:
        dearer = max(option.over_answer for option in choice.unbeaten if option is not choice.answer)
        return (
            f"{beats}, and is the cheapest of {len(choice.unbeaten)} options that do and that no other beats; the "
            f"others may bring more, {at_most(dearer, uses.baseline)}. Cheapest means the smallest product of compute, "
            "parameters and data."
        )
    if not others:
        return f"{beats}; no other option does."
    so_does = "So does one other option, which is" if others == 1 else f"So do {others} other options, which are each"
    more = max(o.over_answer for o in choice.options if o.beats_baseline and o is not choice.answer)
    better = f": {at_most(more, uses.baseline)} better" if more > 0 else ""
    return f"{beats}. {so_does} beaten, dearer without being seen to add anything, or too uncertain{better}."


def _cheaper_words(choice: Choice, do: Option, baseline: Use) -> tuple[str, ...]:
    """The cheaper options that beat the baseline, and why they are not the answer."""
    words, beaten = [], dict[str, list[Use]]()
    unsafe = [o.use for o in choice.options if not o.is_safe and o.use.expense(baseline) < do.use.expense(baseline)]
    if unsafe:
        s, are, models = ("s", "is", "a smaller model") if len(unsafe) == 1 else ("", "are", "smaller models")
        words.append(
            f"{several_words(unsafe, baseline)} cost{s} less and beat{s} the baseline too, but {are} not safe: "
            f"{models} on more data, not seen to beat the baseline's shape on more data."
        )
    for use, by in choice.beaten:
        if any(option.use is use for option in choice.options):
            beaten.setdefault(short_words(by, baseline), []).append(use)
    for name, uses in beaten.items():
        costs, it = ("costs", "it") if len(uses) == 1 else ("cost", "each")
        words.append(f"{several_words(uses, baseline)} {costs} less, but {name} beats {it} by more than the noise.")
    return tuple(words)


def _unused(use: Use, uses: Uses) -> str:
    """What the answer leaves of the budget, where that is a quarter of it or more."""
    shares = {name: use.cost[name] / limit for name, limit in uses.allowed.items() if math.isfinite(limit)}
    parts = [f"{share:.0%} of the {RESOURCES[name]}" for name, share in shares.items() if share <= _MOST_USED]
    return f"It uses {listed(parts)} allowed; no option that uses more is seen to be better. " if parts else ""


def _why_open(choice: Choice, uses: Uses) -> str:
    if not uses.noise.is_known:
        return "The noise of one training is unknown: there is one seed, and no ladder of five data sizes."
    if winners := [option.use for option in choice.options if option.beats_baseline]:
        beats, it_is = ("beats", "it is") if len(winners) == 1 else ("beat", "they are")
        return (
            f"{several_words(winners, uses.baseline)} {beats} the baseline, but on the same data {it_is} not seen to "
            f"beat a cheaper shape, which is not seen to gain from more data. The noise of one training is "
            f"{uses.noise.words}."
        )
    most = choice.most
    bound = f"; any gain is at most {most:.4f} NE ({most / uses.baseline.ne:.2%})" if most > 0 else ""
    return f"No option is distinguishable from the baseline{bound}; the noise of one training is {uses.noise.words}."


def _no_better_words(choice: Choice, baseline: Use) -> list[str]:
    """The dearer uses of the answer's levers, which are not seen to add anything."""
    if not choice.no_better:
        return []
    costs = "costs" if len(choice.no_better) == 1 else "cost"
    names = several_words((use for use, _ in choice.no_better), baseline)
    most = at_most(max(most for _, most in choice.no_better), baseline)
    return [f"{names} {costs} more, and what that adds is within the noise: {most}."]


def _open_words(
    better: Sequence[Option], choice: Choice, do: Option, baseline: Use, least_rows: float | None
) -> list[str]:
    """The options that may be better than the answer, and what they cost."""
    words = []
    for option in better[:_MOST_OPEN]:
        chance = "which is not distinguishable from chance"
        if option.use.is_extrapolated and not any(option is other for other in choice.unbeaten):
            chance = "but on the same data it is not seen to beat a cheaper shape"
        words.append(
            f"{several_words([option.use], baseline)} may gain {option.gain - do.gain:.4f} more, "
            f"{at_most(option.over_answer, baseline)}, {chance}; it costs {short_cost(option.use, baseline)}"
            f"{takes_rows(option.use, least_rows)}."
        )
    return [*words, f"{len(better) - _MOST_OPEN} more may be better."] if len(better) > _MOST_OPEN else words


def _one_sided_words(uses: Uses) -> str:
    """That the laws which extrapolate are wrong rather than noisy, where that is seen."""
    if not uses.overshoot:
        return ""
    return (
        "The study's own laws, tested on held-out data sizes, nearly all erred to the same side "
        f"({uses.overshoot:.2%} of NE at the median); extrapolations are widened as these call for. "
    )


def _data_left_out(uses: Uses) -> Iterator[str]:
    """Why the baseline on more data is not an option, where the budget allows it."""
    law = uses.baseline_law
    if uses.budget.grows_data and law is not None and not law.status.has_exponent:
        yield (
            "What the baseline would gain from more data is unknown, so it is not among the options. Its law of data: "
            f"{law.status.words}. {law.status.meaning}"
        )


def _cautions(uses: Uses, choice: Choice | None = None, use: Use | None = None) -> tuple[str, ...]:
    """What weakens an answer from this study."""
    cautions = [*_data_left_out(uses)]
    cautions += [
        f"V above {multiplier_label(multiplier)}× can add nothing: no two ids share a row any more."
        if scheme == "V"
        else f"{scheme} above {multiplier_label(multiplier)}× adds no parameters."
        for scheme, multiplier in uses.full.items()
    ]
    for model, schemes in (("teacher", ["T"]), ("scorer", [name for name in uses.scored if name != "T"])):
        scored = [uses.scored[name] for name in schemes if name in uses.scored]
        if not scored:
            continue
        shape = scored[0][0]
        cost = shape.scorer
        flops = cost["compute"] + shape.scoring_flops * uses.baseline.examples
        out = [name for name, (_, affords) in zip(schemes, scored, strict=True) if not affords]
        left_out = f", more than this budget allows, so {listed(out)} {'is' if len(out) == 1 else 'are'} left out"
        cautions.append(
            f"{listed(schemes)} {'takes' if len(schemes) == 1 else 'take'} {cost['data']:,.0f} rows that trials are "
            f"not trained on, and {human(flops, FLOPS)} FLOPs for the {model}{left_out * bool(out)}. Without "
            f"such rows (older ones, if the data are split by time) there is no {model}."
        )
    if uses.noise.source == "ladders":
        cautions.append("There are too few seeds to show how much whole trainings differ: more would.")
    extrapolates = choice is not None and any(DATA in option.use.levers for option in choice.options)
    if extrapolates and not (use and use.is_extrapolated):  # of which the reasons say it
        cautions += [words.strip()] if (words := _one_sided_words(uses)) else []
    edge = {
        (point.architecture, point.scheme, point.multiplier)
        for point in uses.study.flagged
        if "lr_at_edge" in point.flags
    }
    at_edge = [u for u in (use, uses.baseline) if u and (u.architecture, u.scheme, u.multiplier) in edge]
    if at_edge:
        names = listed(shape_words(u) for u in at_edge)
        cautions.append(f"The learning rate of {names} is the smallest or largest tried: a better one may lie beyond.")
    missing = {trial.trial_id for trial in uses.study.missing}
    if missing:
        cautions.append(f"This answer leaves out {plural(len(missing), 'trial')} that failed or had to be skipped.")
    return tuple(cautions)
