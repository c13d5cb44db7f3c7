"""The findings at the top of the report, in numbers and words."""

from dataclasses import dataclass

import pandas as pd

from tfrs_scaling.fit.analyses.best import Bayes
from tfrs_scaling.fit.labels import architecture_prefix, multiplier_label
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.view import StudyView
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES
from tfrs_scaling.fit.screening import SHAPE


@dataclass(frozen=True)
class BestPoint:
    """The shape and data size of the lowest test NE, mean of seeds.

    Attributes:
        architecture: Of the shape.
        scheme: Likewise.
        multiplier: Likewise.
        examples: The data size.
        ne: The test NE.
    """

    architecture: str
    scheme: str
    multiplier: float
    examples: int
    ne: float


@dataclass(frozen=True)
class Gain:
    """What the largest multiplier of a scheme changes, at the largest data size that the baseline reached too.

    For a scheme that was only scaled down it is the smallest multiplier.

    Attributes:
        scheme: Its letter.
        multiplier: The largest one measured; the smallest, if none is above 1.
        examples: The data size of the comparison.
        baseline_ne: Test NE of the baseline, mean of seeds.
        ne: Test NE of the scheme at that multiplier, mean of seeds.
    """

    scheme: str
    multiplier: float
    examples: int
    baseline_ne: float
    ne: float

    @property
    def drop(self) -> float:
        """How much NE falls; negative where it rises."""
        return self.baseline_ne - self.ne


def best_point(chosen: pd.DataFrame) -> BestPoint | None:
    """The lowest test NE of usable rows; None where nothing was measured."""
    means = _seed_means(chosen)
    if means.empty:
        return None
    row = means.iloc[int(means["test_ne"].argmin())]
    return BestPoint(
        architecture=str(row["architecture"]),
        scheme=str(row["scheme"]),
        multiplier=float(row["multiplier"]),
        examples=int(row["examples"]),
        ne=float(row["test_ne"]),
    )


def scheme_gains(chosen: pd.DataFrame, architecture: str) -> list[Gain]:
    """The gain of every scheme that was measured at a data size that the baseline reached too.

    Args:
        chosen: The usable rows.
        architecture: Keep this one.
    """
    means = _seed_means(chosen)
    means = means[means["architecture"] == architecture]
    baseline = means[means["scheme"] == BASELINE].set_index("examples")["test_ne"]
    gains = []
    for scheme in SCHEMES:
        scaled = means[(means["scheme"] == scheme) & (means["multiplier"] != 1)]
        both = scaled[scaled["examples"].isin(baseline.index)]
        if both.empty:
            continue
        up = both["multiplier"].max() > 1
        extreme = both["multiplier"].max() if up else both["multiplier"].min()
        ladder = both[both["multiplier"] == extreme]
        row = ladder.iloc[int(ladder["examples"].argmax())]
        gains.append(
            Gain(
                scheme=scheme,
                multiplier=float(row["multiplier"]),
                examples=int(row["examples"]),
                baseline_ne=float(baseline[row["examples"]]),
                ne=float(row["test_ne"]),
            )
        )
    return gains


def findings(view: StudyView) -> list[str]:
    """What was found of each architecture, and of the Bayes NE where it is known, a sentence each."""
    if view.chosen.empty:
        return []
    words = []
    for architecture in view.architectures:
        prefix = architecture_prefix(architecture, view.has_several_architectures)
        words += [prefix + gain_words(gain) for gain in scheme_gains(view.chosen, architecture)]
        words.append(prefix + next_doubling(view.law(architecture, BASELINE, "data", "1")))
    if view.fits.best is not None and view.fits.best.bayes is not None:
        words.append(_bayes_words(view.fits.best.scheme, view.fits.best.bayes))
    return words


def _bayes_words(scheme: str, bayes: Bayes) -> str:
    floor = "an unknown level" if bayes.gamma is None else f"{bayes.gamma:.4f}"
    return (
        f"The Bayes NE of these data is {bayes.bayes_ne:.4f} (standard error {bayes.standard_error:.4f}); "
        f"the data frontier of {scheme} levels off at {floor}: {bayes.why}."
    )


def next_doubling(fit: PowerLawFit | None) -> str:
    """One sentence on what the baseline would gain from twice the data, as far as its law allows."""
    if fit is None:
        return "The baseline was not measured, so its gain from more data is unknown."
    if not fit.status.has_exponent:
        return f"What the baseline would gain from twice the data is unknown. {fit.status.meaning}"
    now, then = (float(value) for value in fit.predict([max(fit.x), 2 * max(fit.x)]))
    low, high = (float(end[0]) for end in fit.predict_interval([2 * max(fit.x)]))
    sentence = (
        f"Twice the data would take the baseline from NE {now:.4f} to {then:.4f} "
        f"({fit.level:.0%} interval {low:.4f} to {high:.4f}), a gain of {100 * (now - then) / now:.2f}%"
    )
    if fit.status.has_floor:
        return f"{sentence}."
    return f"{sentence}; do not extrapolate this curve beyond one doubling, because its floor is not identified."


def gain_words(gain: Gain) -> str:
    """One sentence on a gain."""
    what = f"{gain.scheme} ({SCHEMES[gain.scheme].words}) at {multiplier_label(gain.multiplier)}×"
    change = f"{abs(gain.drop):.4f}"
    if float(change) == 0:
        return f"{what} leaves NE at {gain.baseline_ne:.4f}."
    verb = "lowers" if gain.drop > 0 else "raises"
    share = abs(gain.drop) / gain.baseline_ne
    return f"{what} {verb} NE by {change} ({share:.2%}), from {gain.baseline_ne:.4f} to {gain.ne:.4f}."


def cautions(view: StudyView) -> list[str]:
    """Warnings to read before trusting the rest, one sentence each; empty for a clean study."""
    words = []
    runs, fits = view.runs, view.fits
    trials = runs["trial_id"].nunique()
    missing = len({trial.trial_id for trial in fits.missing})
    if missing:
        words.append(f"{missing} of {trials} trials failed or were skipped; they are listed below.")
    if fits.collapsed:
        dead = len(fits.collapsed)
        words.append(
            f"{dead} of {trials} trials collapsed: they learned nothing at any data size, and are not in the fits."
        )
    edge = {
        (point.architecture, point.scheme, point.multiplier) for point in fits.flagged if "lr_at_edge" in point.flags
    }
    shapes = runs[SHAPE].drop_duplicates()
    if edge:
        words.append(
            f"{len(edge)} of {len(shapes)} shapes did best at the smallest or largest learning rate of the grid. A "
            "better one may lie outside it, so part of what looks like scale may be learning rate."
        )
    baseline = view.chosen[view.chosen["scheme"] == BASELINE]
    if baseline.empty:
        words.append("There is no measured baseline (scheme D, 1×).")
        return words
    last = baseline[baseline["examples"] == baseline["examples"].max()]
    if last["test_ne"].mean() > 1:
        words.append(
            f"The baseline ends at NE {last['test_ne'].mean():.4f}, worse than always guessing the test split's click "
            f"rate, and predicts {last['test_calibration'].mean():.0%} of the test clicks: what the model "
            "learns from the training split does not carry over to the test split."
        )
    return words


def _seed_means(chosen: pd.DataFrame) -> pd.DataFrame:
    """Test NE of every shape at every data size, averaged over seeds: columns SHAPE, examples, test_ne."""
    return chosen.groupby([*SHAPE, "examples"], sort=True)["test_ne"].mean().reset_index()
