"""The findings at the top of the report, in numbers and words."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfrs_scaling.common.words import interval, signed, signed_end
from tfrs_scaling.fit.advice.advice import Advice
from tfrs_scaling.fit.advice.use import DATA
from tfrs_scaling.fit.advice.words import gain_words
from tfrs_scaling.fit.analyses.effects import Effect
from tfrs_scaling.fit.analyses.held_out import HeldOut, one_sided
from tfrs_scaling.fit.analyses.noise.ladder_laws import shape_points
from tfrs_scaling.fit.labels import architecture_prefix, multiplier_label, shape_name
from tfrs_scaling.fit.report.view import StudyView
from tfrs_scaling.fit.runs.costs import uneven_speed
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES


@dataclass(frozen=True)
class BestPoint:
    """The shape and data size of the lowest test NE, mean of seeds."""

    architecture: str
    scheme: str
    multiplier: float
    examples: int
    ne: float


def best_point(chosen: pd.DataFrame) -> BestPoint | None:
    """The lowest test NE of usable rows; None where nothing was measured."""
    means = shape_points(chosen)
    if means.empty:
        return None
    row = means.iloc[int(means["ne"].argmin())]
    return BestPoint(
        architecture=str(row["architecture"]),
        scheme=str(row["scheme"]),
        multiplier=float(row["multiplier"]),
        examples=int(row["examples"]),
        ne=float(row["ne"]),
    )


def scheme_effects(effects: Iterable[Effect], architecture: str) -> list[Effect]:
    """Of each scheme the effect of its largest multiplier; where none is above the neutral one, of its smallest."""
    own = [
        effect
        for effect in effects
        if effect.architecture == architecture and effect.multiplier != SCHEMES[effect.scheme].neutral
    ]
    found = []
    for scheme in dict.fromkeys(effect.scheme for effect in own):
        multipliers = [effect.multiplier for effect in own if effect.scheme == scheme]
        extreme = max(multipliers) if max(multipliers) > SCHEMES[scheme].neutral else min(multipliers)
        ends = [effect for effect in own if (effect.scheme, effect.multiplier) == (scheme, extreme)]
        found.append(max(ends, key=lambda effect: effect.examples))
    return found


def findings(view: StudyView) -> list[str]:
    """What was found of each architecture, and of the Bayes NE where it is known, a sentence each."""
    if view.chosen.empty:
        return []
    words = []
    for architecture in view.architectures:
        prefix = architecture_prefix(architecture, view.has_several_architectures)
        effects = scheme_effects(view.fits.effects, architecture)
        words += [prefix + effect_words(effect, view.fits.level) for effect in effects]
    if view.advice:  # none where costs are not recorded
        words.append(next_doubling(view.advice["data=2x"], view))
    return [*words, *noise_words(view), *bayes_words(view)]


def noise_words(view: StudyView) -> list[str]:
    """The noise of one training, a sentence for each architecture."""
    return [
        f"{architecture_prefix(noise.architecture, noise.architecture != view.fits.base)}The noise of one training is "
        f"{noise.words}."
        for noise in view.fits.noise
    ]


def bayes_words(view: StudyView) -> list[str]:
    """The Bayes NE beside the floor of the best scheme, where it is known."""
    best = view.fits.best
    if best is None or best.bayes is None:
        return []
    bayes = best.bayes
    floor = "an unknown level" if bayes.gamma is None else f"{bayes.gamma:.4f}"
    return [
        f"The Bayes NE of these data, which no model can get below, is {bayes.bayes_ne:.4f} (standard error "
        f"{bayes.standard_error:.4f}); the data frontier of {best.scheme} levels off at {floor}: {bayes.why}."
    ]


def next_doubling(advice: Advice | None, view: StudyView) -> str:
    """What the baseline would gain from twice the data, in the words of the advice on that budget."""
    if advice is None or advice.baseline is None:
        return "The baseline was not measured, so its gain from more data is unknown."
    baseline = advice.baseline
    fit = view.law(baseline.architecture, BASELINE, "data", "1")
    option = next((option for option in advice.options if option.use.levers == {DATA}), None)
    if option is None or fit is None:
        why = "It was measured at too few data sizes." if fit is None else fit.status.meaning
        return f"What the baseline would gain from twice the data is unknown. {why}"
    sentence = gain_words(option, baseline, advice.level).removesuffix(".")
    sentence = f"With {option.use.examples / baseline.examples:.3g} times the data, {sentence[0].lower()}{sentence[1:]}"
    if not option.beats_baseline:
        sentence += ", within the noise"
    if fit.status.has_floor:
        return f"{sentence}."
    return f"{sentence}; do not extrapolate this curve further, because its floor is not identified."


def effect_words(effect: Effect, level: float) -> str:
    """One sentence on what a multiplier changes, with the interval or how it compares with the noise."""
    what = f"{effect.scheme} ({SCHEMES[effect.scheme].words}) at {multiplier_label(effect.multiplier)}×"
    ends = f"from {effect.baseline:.4f} to {effect.ne:.4f}"
    if effect.low is None or effect.high is None:
        return f"{what} changes NE by {signed(effect.change)}, {ends}; whether by chance is unknown."
    ends += f" ({level:.0%} interval of the change {interval(effect.low, effect.high, signed_end)})"
    if effect.outcome == "≈":
        return f"{what} changes NE by {signed(effect.change)}, {ends}: within the noise."
    verb = "lowers" if effect.change < 0 else "raises"
    return f"{what} {verb} NE by {abs(effect.change):.4f} ({abs(effect.change) / effect.baseline:.2%}), {ends}."


def one_sided_words(tested: Iterable[HeldOut]) -> str:
    """That the laws of a study are wrong rather than noisy, where predictions of held-out data sizes show it."""
    errors = np.array([record.relative_error for record in tested], dtype=np.float64)
    if not one_sided(errors):
        return ""
    low = np.median(errors) < 0
    return (
        f"nearly all of {errors.size} laws, tested on a held-out data size, predicted too "
        f"{'low' if low else 'high'} an NE, by {np.median(np.abs(errors)):.1%} at the median: they promise "
        f"{'more' if low else 'less'} of further data than these bring"
    )


def cautions(view: StudyView) -> list[str]:
    """Warnings to read before trusting the rest, one sentence each; empty for a clean study."""
    words = []
    runs, fits = view.runs, view.fits
    trials = runs["trial_id"].nunique()
    missing = len({trial.trial_id for trial in fits.missing})
    if missing:
        words.append(f"{missing} of {trials} trials failed or were skipped; they are listed below.")
    if dead := sum(trial.why == "collapsed" for trial in fits.left_out):
        words.append(f"{dead} of {trials} trials collapsed: they end as dead networks, and are not in the fits.")
    unstable = {
        f"{trial.architecture} {shape_name(trial.scheme, trial.multiplier)}"
        for trial in fits.left_out
        if trial.why == "unstable"
    }
    if unstable:
        words.append(
            f"{', '.join(sorted(unstable))}: more than a quarter of the seeds collapsed, so nothing is said of it. "
            "Train it at a smaller learning rate."
        )
    edge = {
        (point.architecture, point.scheme, point.multiplier) for point in fits.flagged if "lr_at_edge" in point.flags
    }
    shapes = runs[SHAPE].drop_duplicates()
    if runs["learning_rate"].nunique() == 1:
        words.append(
            "One learning rate was tried. Each shape has a best one of its own, so part of what looks like scale may "
            "be learning rate."
        )
    elif edge:
        words.append(
            f"{len(edge)} of {len(shapes)} shapes did best at the smallest or largest learning rate of the grid. A "
            "better one may lie outside it, so part of what looks like scale may be learning rate."
        )
    if uneven := uneven_speed(runs):
        words.append(f"No time is compared: {uneven.words}.")
    promised = any(advice.do is not None and advice.do.use.is_extrapolated for advice in view.advice.values())
    if promised and (direction := one_sided_words(fits.held_out)):
        words.append(f"{direction[0].upper()}{direction[1:]}.")
    baseline = view.chosen[view.chosen["scheme"] == BASELINE]
    if baseline.empty:
        words.append("There is no measured baseline (scheme D, 1×).")
        return words
    last = baseline[baseline["examples"] == baseline["examples"].max()]
    if last["test_ne"].mean() > 1:
        calibration = last["test_calibration"].mean()
        predicts = "" if math.isnan(calibration) else f", and predicts {calibration:.0%} of the test clicks"
        words.append(
            f"The baseline ends at NE {last['test_ne'].mean():.4f}, worse than always guessing the test split's click "
            f"rate{predicts}: what the model learns from the training split does not carry over to the test split."
        )
    return words
