"""Where a budget should go, how sure that is, and which runs would settle it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from tfrs_scaling.fit.advice_words import (
    cost_words,
    gain_words,
    listed,
    option_words,
    plan_words,
    shape_words,
    short_words,
)
from tfrs_scaling.fit.budget import Budget, read_budget
from tfrs_scaling.fit.json_numbers import to_json
from tfrs_scaling.fit.options import Choice, Option, choose
from tfrs_scaling.fit.plans import DATA, Plan, Plans
from tfrs_scaling.fit.screening import at_selected_rate, selected
from tfrs_scaling.fit.settle import Settle

__all__ = ["Advice", "Budget", "advise", "read_budget"]

Verdict = Literal["do", "not enough evidence"]

_SHOWN = 5


@dataclass(frozen=True)
class Advice:
    """An answer to a budget.

    Attributes:
        budget: As it was typed.
        verdict: ``do`` or ``not enough evidence``.
        now: What is done now: the baseline at its largest data size; None where there is no baseline.
        do: What to do; None where there is not enough evidence.
        options: Of each lever, and of levers pulled together, the best plan; lowest expected NE first.
        why: What the verdict rests on, or what is missing; a sentence.
        changes: What would change the answer, a sentence each.
        settle: Which runs would settle what is open: ``runs``, a clause, and ``set``, values of ``--set``; empty
            where nothing is.
        level: Confidence level of the intervals.
    """

    budget: str
    verdict: Verdict
    now: Plan | None
    do: Option | None
    options: tuple[Option, ...]
    why: str
    changes: tuple[str, ...]
    settle: Mapping[str, Any]
    level: float

    def lines(self) -> list[str]:
        """Plain sentences, the first one the answer."""
        lines = [self.answer]
        if self.now is not None and self.do is not None:
            lines += [gain_words(self.do, self.now, self.level), f"It costs {cost_words(self.do.plan, self.now)}."]
        lines.append(self.why)
        if self.now is not None and self.options:
            lines.append(f"Options for {self.budget}, against the baseline on {self.now.examples:,} examples:")
            lines += [f"  {place}. {option_words(of, self.now)}" for place, of in enumerate(self.options[:_SHOWN], 1)]
        if len(self.options) > _SHOWN:
            lines.append(f"  and {len(self.options) - _SHOWN} more, with less to expect")
        if self.changes:
            lines += ["What would change the answer:", *(f"  - {change}" for change in self.changes)]
        if self.settle:
            lines.append(f"What would settle it: {self.settle['runs']}.")
        if self.settle and self.settle["set"]:
            parts = ["tfrs-scaling study CONFIG --workdir ANOTHER", *(f"  --set '{of}'" for of in self.settle["set"])]
            lines += " \\\n  ".join(["", *parts]).splitlines()[1:]
        return lines

    @property
    def answer(self) -> str:
        """One sentence."""
        if self.now is None or self.do is None:
            return f"Not enough evidence to say where {self.budget} should go."
        return f"Do this: {plan_words(self.do.plan, self.now)}."

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON: null for what is not known."""
        now = self.now
        return {
            "budget": self.budget,
            "verdict": self.verdict,
            "answer": self.answer,
            "now": None if now is None else _plan_record(now, now),
            "do": None if self.do is None or now is None else _option_record(self.do, now),
            "options": [] if now is None else [_option_record(option, now) for option in self.options],
            "why": self.why,
            "changes": list(self.changes),
            "settle": dict(self.settle),
            "level": self.level,
        }


def advise(runs: pd.DataFrame, fits: Mapping[str, Any], budget: Budget, *, seed: int = 0) -> Advice:
    """What to do with a budget, from a finished study.

    Now is the baseline at its largest data size. The options are those of ``Plans``, the choice among them is that of
    ``choose``: the option of lowest expected NE, where it is told apart from now and from every other lever.

    Args:
        runs: The run table.
        fits: What ``fit_study`` returned of it.
        budget: What may be spent; see ``read_budget``.
        seed: Of the random draws.

    Returns:
        The answer; ``not enough evidence`` where that is so, with the runs that would settle it.

    Raises:
        InputError: the budget is below what is used now.
    """
    level, chosen = float(fits["level"]), selected(runs)
    if not (chosen["scheme"] == "D").any():
        why = "There is no measured baseline (scheme D at 1×), and every option is compared with that."
        settle = {
            "runs": "the baseline; every study trains it, so see why it failed here and start it again",
            "set": [],
        }
        return Advice(budget.text, "not enough evidence", None, None, (), why, (), settle, level)
    plans = Plans(chosen, fits, budget, seed=seed)
    now, settler = plans.now, Settle(at_selected_rate(runs), plans.noise, plans.now)
    found = plans.all()
    if not found:
        why = (
            "Within the budget no shape was measured that is at least as large as the baseline, and no law reaches "
            "beyond what was measured."
        )
        return Advice(budget.text, "not enough evidence", now, None, (), why, _cautions(fits, plans), {}, level)
    choice = choose(found, now, level=level)
    if choice.answer is None:
        rivals = [option.plan for option in choice.rivals] if choice.options[0].beats_now else [now]
        settle = settler.between(choice.options[0].plan, rivals)
        why = _why_open(choice, plans)
        return Advice(
            budget.text, "not enough evidence", now, None, choice.options, why, _cautions(fits, plans), settle, level
        )
    changes, settle = _what_would_change(choice, choice.answer, plans, fits, settler)
    why = f"It is told apart from what is done now and from every other lever; the noise of one training is {plans.noise.words}."
    return Advice(budget.text, "do", now, choice.answer, choice.options, why, changes, settle, level)


def _why_open(choice: Choice, plans: Plans) -> str:
    first, now = choice.options[0], plans.now
    if not plans.noise.degrees:
        return "How much trainings differ by chance is not known: there is one seed, and no ladder of five data sizes or more."
    if first.beats_now:
        names = listed(short_words(option.plan, now) for option in (first, *choice.rivals[:3]))
        more = f" (and {len(choice.rivals) - 3} more)" if len(choice.rivals) > 3 else ""
        return (
            f"{names}{more} promise more than what is done now, but cannot be told apart from each other: the noise of one "
            f"training is {plans.noise.words}."
        )
    most = max(option.high for option in choice.options)
    bound = f"; if there is any gain, it is at most {most:.4f} of NE ({most / now.ne:.2%})" if most > 0 else ""
    return f"No option is told apart from what is done now{bound}; the noise of one training is {plans.noise.words}."


def _what_would_change(
    choice: Choice, done: Option, plans: Plans, fits: Mapping[str, Any], settler: Settle
) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Sentences, and the runs that would settle the first thing that is open."""
    now, plan = plans.now, done.plan
    changes: list[str] = []
    settle: Mapping[str, Any] = {}
    on_top = [option for option in choice.options if option.as_good and option.plan.levers > plan.levers]
    if on_top:
        names = listed(short_words(option.plan, now) for option in on_top[:2])
        first = on_top[0]
        extra = plan.ne - first.plan.ne
        changes.append(
            f"Whether {names} is better still cannot be told (expected a further {extra:+.4f}, inside the noise of the extrapolation)."
        )
        settle = settler.between(first.plan, [plan])
    rivals = [option for option in choice.options if not option.plan.levers >= plan.levers]
    if rivals:
        gap = rivals[0].plan.ne - plan.ne
        changes.append(
            f"{_capital(short_words(rivals[0].plan, now))} is the best other lever; it would have to gain {gap:.4f} more."
        )
    if done.cheaper is not None:
        changes.append(
            f"{_capital(short_words(done.cheaper, now))} costs less ({done.cheaper.cost['compute'] / now.cost['compute']:.3g}× "
            f"compute, {done.cheaper.cost['params'] / now.cost['params']:.3g}× parameters) and is not told apart from it."
        )
    if plan.affordable:
        changes.append(
            f"The budget would pay for {plan.affordable:,.0f} examples; the law is followed no further than {plan.examples:,}."
        )
    if plans.is_largest(plan):
        larger = settler.larger(plan)
        changes.append(f"{_capital(shape_words(plan))} is the largest multiplier measured; more may be better still.")
        settle = settle or larger
    return (*changes, *_cautions(fits, plans, plan)), settle


def _cautions(fits: Mapping[str, Any], plans: Plans, plan: Plan | None = None) -> tuple[str, ...]:
    """What weakens any answer from this study."""
    words = []
    if plans.noise.source == "ladders":
        words.append("There is one seed: a second one would show what whole trainings differ by.")
    if plans.overshoot:
        words.append(
            "Held-out data sizes were all missed to one side by laws of this study "
            f"({plans.overshoot:.2%} of NE at the median); extrapolations are widened by as much per doubling."
        )
    if plan is not None:
        edge = {
            (record["architecture"], record["scheme"], record["multiplier"])
            for record in fits["flagged"]
            if "lr_at_edge" in record["flags"]
        }
        at_edge = [of for of in (plan, plans.now) if (of.architecture, of.scheme, of.multiplier) in edge]
        if at_edge:
            names = listed(shape_words(of) for of in at_edge)
            words.append(f"The learning rate of {names} is the smallest or largest tried: a better one may lie beyond.")
    missing = {record["trial_id"] for record in fits["missing"]}
    if missing:
        words.append(f"{len(missing)} trials failed or were skipped; what they would have shown is not in this answer.")
    return tuple(words)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _plan_record(plan: Plan, now: Plan) -> dict[str, Any]:
    return {
        "architecture": plan.architecture,
        "scheme": plan.scheme,
        "multiplier": plan.multiplier,
        "embedding_dim": plan.embedding_dim,
        "examples": plan.examples,
        "epochs": plan.epochs,
        "levers": sorted(plan.levers),
        "words": short_words(plan, now) if plan is not now else "the baseline",
        "ne": plan.ne,
        "how": plan.how,
        "cost": {name: float(amount) for name, amount in plan.cost.items()},
        "times_now": {name: amount / now.cost[name] for name, amount in plan.cost.items()},
    }


def _option_record(option: Option, now: Plan) -> dict[str, Any]:
    return {
        **_plan_record(option.plan, now),
        "gain": option.gain,
        "low": to_json(option.low),
        "high": to_json(option.high),
        "beats_now": option.beats_now,
        "as_good": option.as_good,
    }
