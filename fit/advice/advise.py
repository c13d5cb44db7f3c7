"""Where a budget should go, how sure that is, and which runs would settle it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from tfrs_scaling.common.json_numbers import to_json
from tfrs_scaling.fit.advice.budget import Budget, read_budget
from tfrs_scaling.fit.advice.choice import CHOICE_LEVEL, Choice, Option, choose
from tfrs_scaling.fit.advice.settle import Settle
from tfrs_scaling.fit.advice.uses import DATA, Plan, Plans
from tfrs_scaling.fit.advice.words import (
    cost_words,
    gain_words,
    listed,
    option_words,
    plan_words,
    shape_words,
    short_words,
)
from tfrs_scaling.fit.screening import usable_runs

__all__ = ["Advice", "Budget", "advise", "read_budget"]

Verdict = Literal["do", "not enough evidence"]

_SHOWN = 5
_MOST_USED = 0.75  # of the budget: an answer that uses less says so


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
            "choice_level": CHOICE_LEVEL,
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
    level, chosen = float(fits["level"]), usable_runs(runs)
    if not (chosen["scheme"] == "D").any():
        why = "There is no measured baseline (scheme D at 1×), and every option is compared with that."
        settle = {
            "runs": "the baseline; every study trains it, so see why it failed here and start it again",
            "set": [],
        }
        return Advice(budget.text, "not enough evidence", None, None, (), why, (), settle, level)
    plans = Plans(chosen, fits, budget, seed=seed)
    now, settler = plans.now, Settle(chosen, plans.noise, plans.now)
    found = plans.all()
    if not found:
        why = (
            "Within the budget no shape was measured that is at least as large as the baseline, and no law reaches "
            "beyond what was measured."
        )
        return Advice(budget.text, "not enough evidence", now, None, (), why, _cautions(fits, plans), {}, level)
    choice = choose(found, now, level=level)
    if choice.answer is None:
        rivals = [option.plan for option in choice.rivals] if choice.first.beats_now else [now]
        settle = settler.between(choice.first.plan, rivals)
        why = _why_open(choice, plans)
        return Advice(
            budget.text,
            "not enough evidence",
            now,
            None,
            choice.options,
            why,
            _cautions(fits, plans, choice),
            settle,
            level,
        )
    changes, settle = _what_would_change(choice, choice.answer, plans, fits, settler)
    why = (
        f"This is outside the noise (tested at {CHOICE_LEVEL:.0%}), against what is done now and against every other "
        f"lever{_left_over(plans, choice)}. The noise of one training is {plans.noise.words}."
    )
    return Advice(budget.text, "do", now, choice.answer, choice.options, why, changes, settle, level)


def _left_over(plans: Plans, choice: Choice) -> str:
    """What the answer leaves of the budget, where that is a quarter of it or more."""
    cost = choice.answer.plan.cost if choice.answer else {}
    used = {name: cost[name] / limit for name, limit in plans.allowed.items() if math.isfinite(limit)}
    parts = [f"{share:.0%} of the {name}" for name, share in used.items() if share <= _MOST_USED]
    return f"; it uses {listed(parts)} allowed, and no further use is outside the noise" if parts else ""


def _why_open(choice: Choice, plans: Plans) -> str:
    first, now = choice.first, plans.now
    if not plans.noise.degrees:
        return "How much trainings differ by chance is not known: there is one seed, and no ladder of five data sizes."
    noise = f"the noise of one training is {plans.noise.words}."
    if first.beats_now:
        names = listed(short_words(option.plan, now) for option in (first, *choice.rivals[:3]))
        more = f" (and {len(choice.rivals) - 3} more)" if len(choice.rivals) > 3 else ""
        return (
            f"{_capital(names)}{more} cannot be told apart, though the first is better than what is done now; {noise}"
        )
    most = max(option.high for option in choice.options)
    bound = f"; if there is any gain, it is at most {most:.4f} of NE ({most / now.ne:.2%})" if most > 0 else ""
    return f"No option is told apart from what is done now{bound}; {noise}"


def _what_would_change(
    choice: Choice, done: Option, plans: Plans, fits: Mapping[str, Any], settler: Settle
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Sentences, and the runs that would settle the first thing that is open."""
    now, plan = plans.now, done.plan
    changes: list[str] = []
    settle: dict[str, Any] = {}
    on_top = [option for option in choice.options if option.plan.levers > plan.levers and option.gain > done.gain]
    if on_top:
        further = on_top[0]
        changes.append(
            f"{_capital(short_words(further.plan, now))} promises {further.gain - done.gain:.4f} more, which is not "
            "outside the uncertainty of the extrapolation."
        )
        settle = settler.between(further.plan, [plan])
    others = [option for option in choice.options if not option.plan.levers >= plan.levers]
    if others:
        name, behind = _capital(short_words(others[0].plan, now)), others[0].plan.ne - plan.ne
        changes.append(f"{name} is the best other lever: it would have to gain {behind:.4f} more than it promises.")
    if done.cheaper is not None:
        compute, params = (done.cheaper.cost[name] / now.cost[name] for name in ("compute", "params"))
        changes.append(
            f"{_capital(short_words(done.cheaper, now))} costs less ({compute:.3g}× compute, {params:.3g}× parameters) "
            "and is not told apart from it."
        )
    if plan.affordable:
        changes.append(
            f"The budget would pay for {plan.affordable:,.0f} examples, but the law is followed no further than "
            f"{plan.examples:,}."
        )
    if plans.is_largest(plan):
        larger = settler.larger(plan)
        changes.append(
            f"{_capital(shape_words(plan))} is the largest that was measured; more may be better still "
            f"(--set '{larger['set'][0]}')."
        )
        settle = settle or larger
    return (*changes, *_cautions(fits, plans, choice, plan)), settle


def _cautions(
    fits: Mapping[str, Any], plans: Plans, choice: Choice | None = None, plan: Plan | None = None
) -> tuple[str, ...]:
    """What weakens an answer from this study."""
    words = []
    if plans.noise.source == "ladders":
        words.append("There is one seed of each shape: a second would show what whole trainings differ by.")
    if plans.overshoot and choice is not None and any(DATA in option.plan.levers for option in choice.options):
        words.append(
            "The study's own laws, tried on data sizes held out, were nearly all off to one side "
            f"({plans.overshoot:.2%} of NE at the median); extrapolations are widened by as much per doubling."
        )
    edge = {
        (record["architecture"], record["scheme"], record["multiplier"])
        for record in fits["flagged"]
        if "lr_at_edge" in record["flags"]
    }
    at_edge = [of for of in (plan, plans.now) if of and (of.architecture, of.scheme, of.multiplier) in edge]
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
    }
