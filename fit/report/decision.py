"""The first screen: for each budget one sentence, one figure, three numbers and how sure that is."""

import math
from dataclasses import dataclass
from typing import Any

from scipy import special

from tfrs_scaling.common.words import FLOPS, duration, human, interval, signed
from tfrs_scaling.fit.advice.advice import Advice, Detail
from tfrs_scaling.fit.advice.budget import BUDGETS
from tfrs_scaling.fit.advice.choice import Option
from tfrs_scaling.fit.advice.savings import Savings
from tfrs_scaling.fit.advice.use import Use
from tfrs_scaling.fit.advice.words import capitalized, short_words
from tfrs_scaling.fit.analyses.noise.training_noise import noise_of
from tfrs_scaling.fit.report.figures.decision import decision_figure, verdict_words
from tfrs_scaling.fit.report.tables.columns import DOUBTFUL
from tfrs_scaling.fit.report.view import StudyView

_MOST_SHOWN = 7  # options
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
        confidence: A word.
        because: What it rests on.
        rows: The options of the figure, by number.
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
    hidden = len(advice.options) - len(shown)
    return Decision(
        budget=budget,
        title=BUDGETS[budget],
        answer=advice.answer,
        until="" if advice.rows is None else advice.decision[1],
        numbers=_numbers(advice, view),
        confidence=confidence,
        because=capitalized(because.removesuffix(".")),
        rows=rows,
        more=f"{hidden} more with smaller expected gains: tfrs-scaling advise." if hidden else "",
        reasons=advice.reasons,
        details=advice.details[bool(advice.options) :],  # without the options, which the rows are
        element=f"figure-decision-{number}",
        plot=decision_figure(shown, baseline, advice.do, resource, name) if baseline is not None and shown else None,
        says=f"{name}, times the baseline's, against NE gained. " + "; ".join(f"{r.name}: {r.gain}" for r in rows),
    )


def _shown(advice: Advice) -> list[Option]:
    """The options with the lowest expected NE, and the answer."""
    shown = list(advice.options[:_MOST_SHOWN])
    if advice.do is not None and not any(option is advice.do for option in shown):
        shown[-1] = advice.do
    return shown


def _row(option: Option, baseline: Use, answer: Option | None) -> Row:
    return Row(
        name=short_words(option.use, baseline),
        gain=signed(option.gain),
        interval=interval(option.low, option.high, signed) if math.isfinite(option.low) else "",
        compute=times_words(option.use, baseline, "compute"),
        parameters=times_words(option.use, baseline, "params"),
        verdict=verdict_words(option),
        is_answer=option is answer,
    )


def times_words(use: Use, baseline: Use, resource: str) -> str:
    """A cost as a multiple of the baseline's."""
    return f"{use.cost[resource] / baseline.cost[resource]:.3g}×"


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
            ends = f"{short_words(best.use, baseline)}; {level} {interval(best.low, best.high, signed)}"
            numbers.append(Number("Largest expected gain", signed(best.gain), f"{ends}: {verdict_words(best)}"))
        if math.isfinite(error):
            numbers.append(Number("Noise of one training", f"±{error:.4f}", "one standard deviation of NE"))
        return tuple(numbers)
    do, use = advice.do, advice.do.use
    ends = f"{level} {interval(do.low, do.high, signed)}; {do.gain / baseline.ne:.2%} of NE"
    compute, parameters, time = (times_words(use, baseline, name) for name in ("compute", "params", "hours"))
    hours = duration(use.cost["hours"] * 3600)
    return (
        Number("NE gained", signed(do.gain), ends),
        Number("Test NE", f"{use.ne:.4f}", f"instead of {baseline.ne:.4f}"),
        Number("Compute", compute, f"{parameters} parameters, {time} time ({hours})"),
    )


def saved_numbers(saved: Savings) -> tuple[Number, ...]:
    """What the cheapest shape that may stand in for the baseline costs and loses."""
    use, baseline = saved.use.cost, saved.baseline.cost
    note = "within the noise" if saved.low <= 0 <= saved.high else ""
    if math.isfinite(saved.low):
        note = f"{saved.level:.0%} interval {interval(saved.low, saved.high, signed)}{', ' * bool(note)}{note}"
    return (
        Number(
            "Compute", f"{saved.share_of_compute:.0%}", f"{human(use['compute'], FLOPS)} FLOPs instead of "
            f"{human(baseline['compute'], FLOPS)}",
        ),
        Number(
            "Parameters", f"{saved.share_of_parameters:.0%}", f"{use['params']:,.0f} instead of "
            f"{baseline['params']:,.0f}",
        ),
        Number(
            "Time of training", f"{saved.share_of_hours:.0%}", f"{duration(use['hours'] * 3600)} instead of "
            f"{duration(baseline['hours'] * 3600)} on the study's machine",
        ),
        Number("Change of NE", signed(saved.change), note or "the noise of one training is unknown"),
    )  # fmt: skip


def _confidence(advice: Advice, view: StudyView) -> tuple[str, str]:
    """A word, and what it rests on."""
    if advice.do is None:
        return "No answer", advice.why
    use = advice.do.use
    noise = noise_of(use.architecture, view.fits.noise)
    doubts = [] if noise.source == "seeds" else ["with one seed the noise is guessed"]
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
    edge = {(p.architecture, p.scheme, p.multiplier) for p in view.fits.flagged if "lr_at_edge" in p.flags}
    if (use.architecture, use.scheme, use.multiplier) in edge:
        doubts.append("its learning rate is at the edge of those tried")
    if doubts:
        return "Low" if use.is_extrapolated else "Medium", "; ".join((*grounds, *doubts))
    return "Medium" if use.is_extrapolated else "High", "; ".join(grounds)
