"""Where a budget should go, how sure that is, and which runs would settle it."""

import math

import pandas as pd

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import listed, plural
from tfrs_scaling.fit.advice.advice import Advice
from tfrs_scaling.fit.advice.budget import RESOURCES, Budget, read_budget
from tfrs_scaling.fit.advice.choice import Choice, Option, choose
from tfrs_scaling.fit.advice.settle import Settle, Settler
from tfrs_scaling.fit.advice.use import DATA, Use
from tfrs_scaling.fit.advice.uses import Uses
from tfrs_scaling.fit.advice.words import capitalized, shape_words, short_words
from tfrs_scaling.fit.runs import is_recorded
from tfrs_scaling.fit.schemes import BASELINE
from tfrs_scaling.fit.screening import usable_runs
from tfrs_scaling.fit.study import StudyFits

COSTS = (
    "params_total",
    "params_embedding",
    "flops_train",
    "examples_per_second",
)  # of an option, which advice weighs against its gain
_MOST_USED = 0.75  # of the budget: an answer that uses less says so


def advise(runs: pd.DataFrame, study: StudyFits, budget: str | Budget, *, seed: int = 0) -> Advice:
    """Where a budget should go, from a finished study.

    The options are those of ``Uses``; ``choose`` chooses among them: the option of lowest expected NE, where it beats
    the baseline at its largest data size and every other lever by more than the noise.

    Args:
        runs: The run table.
        study: Result of ``fit_study`` for these runs.
        budget: Budget: text for ``read_budget``, or its result.
        seed: Seed of the random draws.

    Returns:
        The answer; ``not enough evidence`` where that is so, with the runs that would settle it.

    Raises:
        InputError: the budget cannot be read, or is below what the baseline used; or the run table does not record
            what an option costs (``COSTS``).

    Example:
        >>> runs = read_runs("runs.csv")
        >>> advice = advise(runs, fit_study(runs), "params=4x")
        >>> print(advice.answer)
        Do this: V at 4× (4 times the embedding rows), on the same 1,280,000 examples.
        >>> [(option.use.scheme, round(option.gain, 3)) for option in advice.options]
        [('V', 0.015)]
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
    uses = Uses(rows, study, budget, seed=seed)
    found = uses.all()
    if not found:
        why = (
            "Within the budget no shape was measured that is at least as large as the baseline, and no law reaches "
            "beyond what was measured."
        )
        return Advice(budget.text, level, why, uses.baseline, changes=_cautions(uses))
    choice, settler = choose(found, uses.baseline, level=level), Settler(rows, uses.noise, uses.baseline)
    if choice.answer is None:
        return _undecided(choice, uses, settler)
    return _decided(choice, choice.answer, uses, settler)


def _undecided(choice: Choice, uses: Uses, settler: Settler) -> Advice:
    rivals = [option.use for option in choice.rivals] if choice.first.beats_baseline else [uses.baseline]
    return Advice(
        uses.budget.text,
        uses.study.level,
        _why_open(choice, uses),
        uses.baseline,
        options=choice.options,
        changes=_cautions(uses, choice),
        settle=settler.distinguish(choice.first.use, rivals),
    )


def _decided(choice: Choice, do: Option, uses: Uses, settler: Settler) -> Advice:
    further = next((o for o in choice.options if o.use.levers > do.use.levers and o.gain > do.gain), None)
    changes = [*_on_top(do, further, uses.baseline), *_alternatives(choice, do, uses.baseline)]
    settle = settler.distinguish(further.use, [do.use]) if further else None
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
        f"It beats the baseline and every other lever by more than the noise ({uses.study.level:.0%} confidence). "
        f"{_unused(do.use, uses)}The noise of one training is {uses.noise.words}.",
        uses.baseline,
        do,
        choice.options,
        (*changes, *_cautions(uses, choice, do.use)),
        settle,
    )


def _unused(use: Use, uses: Uses) -> str:
    """What the answer leaves of the budget, where that is a quarter of it or more."""
    shares = {name: use.cost[name] / limit for name, limit in uses.allowed.items() if math.isfinite(limit)}
    parts = [f"{share:.0%} of the {RESOURCES[name]}" for name, share in shares.items() if share <= _MOST_USED]
    return f"It uses {listed(parts)} allowed; no option that uses more beats it. " if parts else ""


def _why_open(choice: Choice, uses: Uses) -> str:
    first, baseline = choice.first, uses.baseline
    if not uses.noise.is_known:
        return "The noise of one training is unknown: there is one seed, and no ladder of five data sizes."
    noise = f"the noise of one training is {uses.noise.words}."
    if first.beats_baseline:
        names = listed(short_words(option.use, baseline) for option in (first, *choice.rivals[:3]))
        more = f" (and {len(choice.rivals) - 3} more)" if len(choice.rivals) > 3 else ""
        return f"{capitalized(names)}{more} are not distinguishable, though the first beats the baseline; {noise}"
    most = max(option.high for option in choice.options)
    bound = f"; any gain is at most {most:.4f} NE ({most / baseline.ne:.2%})" if most > 0 else ""
    return f"No option is distinguishable from the baseline{bound}; {noise}"


def _on_top(do: Option, further: Option | None, baseline: Use) -> list[str]:
    """What a further lever, combined with those of the answer, might add."""
    if further is None:
        return []
    return [
        f"{capitalized(short_words(further.use, baseline))} promises {further.gain - do.gain:.4f} more, which is "
        "within the uncertainty of the extrapolation."
    ]


def _alternatives(choice: Choice, do: Option, baseline: Use) -> list[str]:
    """How far behind the best other lever is, and whether the same levers are available for less."""
    changes = []
    others = [option.use for option in choice.options if not option.use.levers >= do.use.levers]
    if others:
        name, behind = capitalized(short_words(others[0], baseline)), others[0].ne - do.use.ne
        changes.append(f"{name} is the best alternative: it would have to gain {behind:.4f} more than expected.")
    if do.cheaper is not None:
        compute, params = (do.cheaper.cost[name] / baseline.cost[name] for name in ("compute", "params"))
        changes.append(
            f"{capitalized(short_words(do.cheaper, baseline))} costs less ({compute:.3g}× compute, {params:.3g}× "
            "parameters) and is not distinguishable from it."
        )
    return changes


def _cautions(uses: Uses, choice: Choice | None = None, use: Use | None = None) -> tuple[str, ...]:
    """What weakens an answer from this study."""
    cautions = []
    if uses.noise.source == "ladders":
        cautions.append("There are too few seeds to show how much whole trainings differ: more would.")
    if uses.overshoot and choice is not None and any(DATA in option.use.levers for option in choice.options):
        cautions.append(
            "The study's own laws, tested on held-out data sizes, nearly all erred to the same side "
            f"({uses.overshoot:.2%} of NE at the median); extrapolations are widened by as much per doubling."
        )
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
