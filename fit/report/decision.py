"""The first screen: for each budget one sentence, one figure, three numbers and how sure that is."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import special

from tfrs_scaling.common.words import FLOPS, UNKNOWN, duration, human, interval, listed, signed, signed_end
from tfrs_scaling.fit.advice.advice import Advice, Detail
from tfrs_scaling.fit.advice.budget import BUDGETS
from tfrs_scaling.fit.advice.choice import Option
from tfrs_scaling.fit.advice.savings import Savings
from tfrs_scaling.fit.advice.use import Use
from tfrs_scaling.fit.advice.words import at_most, capitalized, rows_words, shape_words, short_words, times_words
from tfrs_scaling.fit.analyses.noise.training_noise import noise_of
from tfrs_scaling.fit.report.figures.decision import decision_figure, verdict_words
from tfrs_scaling.fit.report.summary import one_sided_words
from tfrs_scaling.fit.report.tables.columns import DOUBTFUL
from tfrs_scaling.fit.report.view import StudyView

_MOST_SHOWN = 7  # options
_NEAR_ZERO = 0.1  # of the gain: an interval that begins below it is a doubt
_AXES = {  # by resource of the budget: the cost of an option on the x axis of its figure, and its name
    "params": ("params", "parameters"),
    "hours": ("hours", "time of training"),
}
_BY_DEFAULT = ("compute", "training compute")


@dataclass(frozen=True)
class Number:
    """A number in large print, its name above and a note below."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Row:
    """An option in words."""

    name: str
    gain: str
    interval: str
    compute: str
    parameters: str
    verdict: str
    is_answer: bool


@dataclass(frozen=True)
class Decision:
    """The answer to one budget, as the page shows it.

    Attributes:
        budget: The budget as typed.
        title: The budget in words.
        answer: One sentence.
        until: What can be done now, where there are too few rows for that; else empty.
        numbers: Three of them.
        confidence: A word, and what it is about.
        because: What it rests on.
        rows: The options of the figure, by number.
        notes: What is said of cheaper options that are not the answer.
        needs: Which options depend on how many rows the log has; empty where none does.
        more: What is said of the options that are not shown; empty for none.
        reasons: Why, in sentences.
        details: What a reader unfolds.
        element: Id of the figure's element.
        plot: The figure; None without an option.
        says: The figure in words.
    """

    budget: str
    title: str
    answer: str
    until: str
    numbers: tuple[Number, ...]
    confidence: str
    because: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    needs: str
    more: str
    reasons: tuple[str, ...]
    details: tuple[Detail, ...]
    element: str
    plot: Any
    says: str


def decisions(view: StudyView) -> list[Decision]:
    """The decision for each budget; empty where there is no advice."""
    return [_decision(view, number, budget, advice) for number, (budget, advice) in enumerate(view.advice.items())]


def _decision(view: StudyView, number: int, budget: str, advice: Advice) -> Decision:
    confidence, because = _confidence(advice, view)
    shown, baseline = _shown(advice), advice.baseline
    resource, name = _AXES.get(budget.partition("=")[0], _BY_DEFAULT)
    rows = () if baseline is None else tuple(_row(option, baseline, advice.do) for option in shown)
    return Decision(
        budget=budget,
        title=BUDGETS[budget],
        answer=advice.answer,
        until="" if advice.rows is None else advice.decision[1],
        numbers=_numbers(advice, view),
        confidence=confidence,
        because=capitalized(because.removesuffix(".")),
        rows=rows,
        notes=advice.notes,
        needs=_needs_words(shown, advice),
        more=_more_words(advice, shown, f"tfrs-scaling advise {view.about.workdir} --budget {budget}"),
        reasons=advice.reasons,
        details=advice.details[bool(advice.options) :],  # without the options, which the rows are
        element=f"figure-decision-{number}",
        plot=decision_figure(shown, baseline, advice.do, resource, name) if baseline is not None and shown else None,
        says=f"{name}, times the baseline's, against NE gained. " + "; ".join(f"{r.name}: {r.gain}" for r in rows),
    )


def _shown(advice: Advice) -> list[Option]:
    """The options with the lowest expected NE, the answer, and what can be done until then."""
    wanted = [option.use for option in (advice.do, advice.now) if option is not None]
    needed = [option for option in advice.options if any(option.use is use for use in wanted)]
    others = [option for option in advice.options if not any(option is each for each in needed)]
    kept = [*needed, *others[: max(_MOST_SHOWN - len(needed), 0)]]
    return [option for option in advice.options if any(option is each for each in kept)]


def _needs_words(shown: Sequence[Option], advice: Advice) -> str:
    """The options that need more rows than the log is known to have, by number."""
    needs: dict[str, list[str]] = {}
    for at, option in enumerate(shown):
        if rows_words(option.use, advice.least_rows):
            needs.setdefault(f"{option.use.cost['data']:,.0f}", []).append(str(at + 1))
    if not needs:
        return ""
    return f"Only if the log has the rows: {'; '.join(f'{rows} for {listed(at)}' for rows, at in needs.items())}"


def _more_words(advice: Advice, shown: Sequence[Option], command: str) -> str:
    """How many options are not shown, and what shows them."""
    hidden = [option for option in advice.options if not any(option is other for other in shown)]
    worse = sum(option.high < 0 for option in hidden)
    which = "" if not worse else ", worse than now" if worse == len(hidden) else f", {worse} of them worse than now"
    return f"{len(hidden)} more{which}: {command}" if hidden else ""


def _row(option: Option, baseline: Use, answer: Option | None) -> Row:
    return Row(
        name=short_words(option.use, baseline),
        gain=signed(option.gain),
        interval=interval(option.low, option.high, signed_end) if math.isfinite(option.low) else "",
        compute=times_words(option.use, baseline, "compute"),
        parameters=times_words(option.use, baseline, "params"),
        verdict=verdict_words(option),
        is_answer=option is answer,
    )


def _numbers(advice: Advice, view: StudyView) -> tuple[Number, ...]:
    """What it brings, where that leads and what it costs; without an answer, what is known instead."""
    baseline, level = advice.baseline, f"{advice.level:.0%} interval"
    if baseline is None:
        return ()
    now = Number("Test NE now", f"{baseline.ne:.4f}", f"the baseline on {baseline.examples:,} examples")
    if advice.do is None:
        sd = noise_of(baseline.architecture, view.fits.noise)
        error = sd.error(baseline.examples, 1) if sd.is_known else math.nan
        best = advice.options[0] if advice.options else None
        numbers = [now]
        if best is not None:
            note = short_words(best.use, baseline)
            note += f"; {level} {interval(best.low, best.high, signed_end)}" * math.isfinite(best.low)
            numbers.append(Number("Largest expected gain", signed(best.gain), f"{note}: {verdict_words(best)}"))
        if math.isfinite(error):
            numbers.append(Number("Noise of one training", f"±{error:.4f}", "one standard deviation of NE"))
        return tuple(numbers)
    do, use = advice.do, advice.do.use
    ends = f"{level} {interval(do.low, do.high, signed_end)}; {do.gain / baseline.ne:.2%} of NE"
    compute, parameters, time = (times_words(use, baseline, name) for name in ("compute", "params", "hours"))
    took = f"{time} time ({duration(use.cost['hours'] * 3600)})"
    if advice.uneven is not None:
        took = f"time {UNKNOWN}: {advice.uneven.short}"
    return (
        Number("NE gained", signed(do.gain), ends),
        Number("Test NE", f"{use.ne:.4f}", f"instead of {baseline.ne:.4f}"),
        Number("Compute", compute, f"{parameters} parameters, {took}"),
    )


def saved_numbers(saved: Savings) -> tuple[Number, ...]:
    """What can be saved of each resource, and what the shape of the least compute loses; nothing without a saving."""
    if saved.verdict != "save":
        return ()
    baseline = saved.baseline.cost
    amounts: dict[str, tuple[str, Callable[[float], str]]] = {
        "compute": ("Compute", lambda flops: f"{human(flops, FLOPS)} FLOPs"),
        "params": ("Parameters", lambda count: f"{count:,.0f}"),
        "hours": ("Time as measured", lambda hours: duration(hours * 3600)),
    }
    numbers = []
    for least in saved.least:
        name, words = amounts[least.resource]
        use, before = least.use.cost[least.resource], baseline[least.resource]
        loses = f"; NE {signed(least.change)}, higher by {at_most(least.high, saved.baseline)}"
        loses = "" if least.use is saved.use else loses
        note = f"{shape_words(least.use)}: {words(use)} instead of {words(before)}{loses}"
        numbers.append(Number(name, f"{least.share:.0%}", note))
    if saved.uneven is not None:
        numbers.append(Number("Time", UNKNOWN, capitalized(saved.uneven.short)))
    within = ", within the noise" if saved.low <= 0 <= saved.high else ""
    ends = f"{shape_words(saved.use)}: {saved.level:.0%} interval {interval(saved.low, saved.high, signed_end)}{within}"
    return (*numbers, Number("Change of NE", signed(saved.change), ends))


def _confidence(advice: Advice, view: StudyView) -> tuple[str, str]:
    """A word, and what it rests on."""
    if advice.do is None:
        return "Why", advice.why
    use = advice.do.use
    noise = noise_of(use.architecture, view.fits.noise)
    doubts = [] if noise.source == "seeds" else ["with one seed the noise is guessed"]
    if advice.do.low < _NEAR_ZERO * advice.do.gain:
        doubts.append("the interval of the gain begins near 0")
    seeds = view.runs["seed"].nunique()
    grounds = [f"this shape was trained on these data with {seeds} seed{'s' * (seeds > 1)}"]
    if use.is_extrapolated:
        grounds = [f"no model was trained like this: the {use.how} says what to expect"]
        made = sum(test.made for test in view.fits.backtests)
        inside = sum(test.inside for test in view.fits.backtests)
        if made:
            counted = f"{inside} of {made} predictions of this study fell inside their {view.fits.level:.0%} interval"
            if special.bdtr(inside, made, view.fits.level) < DOUBTFUL:
                doubts.append(f"{counted}, fewer than should")
            else:
                grounds.append(counted)
        else:
            doubts.append("no prediction of this study could be tested")
        if direction := one_sided_words(view.fits.held_out):
            doubts.append(direction)
    edge = {(p.architecture, p.scheme, p.multiplier) for p in view.fits.flagged if "lr_at_edge" in p.flags}
    if (use.architecture, use.scheme, use.multiplier) in edge:
        one = view.runs["learning_rate"].nunique() == 1
        doubts.append("one learning rate was tried" if one else "its learning rate is at the edge of those tried")
    if doubts:
        return f"Confidence: {'low' if use.is_extrapolated else 'medium'}", "; ".join((*grounds, *doubts))
    return f"Confidence: {'medium' if use.is_extrapolated else 'high'}", "; ".join(grounds)
