"""Advice in plain words."""

import math
from collections.abc import Iterable

from tfrs_scaling.fit.advice.choice import Option
from tfrs_scaling.fit.advice.uses import ARCHITECTURE, DATA, Plan
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.schemes import SCHEMES

_HOW = {
    "law of data": "by this shape's law of data",
    "law of parameters": "by the law of parameters; this shape was not measured",
    "joint law": "by the joint law of parameters and data; this shape was not measured",
}


def shape_words(plan: Plan) -> str:
    """The shape in a few words: ``V at 4×``."""
    if plan.scheme == "D":
        return f"the architecture {plan.architecture}" if ARCHITECTURE in plan.levers else "the baseline"
    times = (
        f"{multiplier_label(plan.multiplier) if plan.how in ('measured', 'law of data') else f'{plan.multiplier:.2g}'}×"
    )
    if plan.scheme == "E":
        return f"{plan.epochs} passes over the data"
    if plan.scheme == "VH":
        return f"V at {times} with embedding dimension {plan.embedding_dim}"
    if plan.scheme == "N":
        return f"N at {multiplier_label(plan.multiplier)} (that share of the negatives)"
    return f"{plan.scheme} at {times}"


def plan_words(plan: Plan, now: Plan) -> str:
    """What to do, as a clause: ``V at 4× (4 times the embedding rows), on the same 524,288 examples``."""
    shape = shape_words(plan)
    if sizes := SCHEMES[plan.scheme].sizes:
        shape += f" ({plan.multiplier:.3g} times the {sizes})"
    if plan.examples == now.examples:
        return f"{shape}, on the same {plan.examples:,} examples"
    return f"{shape}, on {plan.examples:,} examples ({plan.examples / now.examples:.3g} times as many)"


def short_words(plan: Plan, now: Plan) -> str:
    """The same, short: ``V at 4×, 10× the data``."""
    data = "" if plan.examples == now.examples else f"{plan.examples / now.examples:.3g}× the data"
    if not plan.levers - {DATA} and plan.scheme == "D":
        return data
    return f"{shape_words(plan)}{', ' * bool(data)}{data}"


def gain_words(option: Option, now: Plan, level: float) -> str:
    """What to expect, with the interval and where it is from."""
    plan = option.plan
    how = "as measured" if plan.how == "measured" else _HOW[plan.how]
    return (
        f"Expect test NE {plan.ne:.4f} in place of {now.ne:.4f}: lower by {option.gain:.4f} "
        f"({level:.0%} interval {option.low:.4f} to {option.high:.4f}), {option.gain / now.ne:.2%}, {how}."
    )


def cost_words(plan: Plan, now: Plan) -> str:
    """Compute, parameters and time, each also as a multiple of now."""

    def times(name: str) -> str:
        return f"{plan.cost[name] / now.cost[name]:.3g}×"

    return (
        f"{plan.cost['compute']:.2g} training FLOPs ({times('compute')}), {plan.cost['params']:,.0f} parameters "
        f"({times('params')}) and {duration(plan.cost['hours'])} of training on the study's machine ({times('hours')})"
    )


def option_words(option: Option, now: Plan) -> str:
    """One row of the ranking."""
    plan = option.plan
    ends = f" ({option.low:+.4f} to {option.high:+.4f})" if math.isfinite(option.low) else ""
    costs = ", ".join(
        f"{plan.cost[name] / now.cost[name]:.3g}× {word}"
        for name, word in (("compute", "compute"), ("params", "parameters"))
    )
    verdict = "" if option.beats_now else "; within the noise of now"
    return f"{short_words(plan, now)}: NE {plan.ne:.4f}, gain {option.gain:+.4f}{ends}; {costs}{verdict}"


def duration(hours: float) -> str:
    """A time as people say it."""
    for size, unit in ((24.0 * 365, "years"), (24.0, "days"), (1.0, "h"), (1 / 60, "min")):
        if hours >= 2 * size:
            return f"{hours / size:.1f} {unit}"
    return f"{hours * 3600:.2g} s" if hours * 3600 < 100 else f"{hours * 3600:.0f} s"


def listed(parts: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
