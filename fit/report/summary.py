"""What a study says, in numbers and plain words: the findings at the top of the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.fit.screening import SHAPE, rows_of_scheme, usable_runs
from tfrs_scaling.fit.study import find_line

STATUS_WORDS = {
    "ok": "sound",
    "gamma_unidentified": "floor not identified",
    "beta_at_bound": "exponent at its bound",
    "flat": "flat",
    "not_monotone": "not falling",
    "too_few_points": "too few points",
}
STATUS_MEANING = {
    "ok": "The exponent and the floor both mean something.",
    "gamma_unidentified": "The points do not say where the curve levels off: do not extrapolate it.",
    "beta_at_bound": "The best exponent is the steepest or flattest one searched: not a power law.",
    "flat": "A constant describes the points as well: no return can be seen.",
    "not_monotone": "The loss rises somewhere: no power law describes it, and none is drawn.",
    "too_few_points": "Fewer than four places on the axis: nothing was fitted.",
}


@dataclass(frozen=True)
class Gain:
    """What the largest multiplier of a scheme changes, at the largest data size of both.

    For a scheme that was only scaled down it is the smallest one.

    Attributes:
        scheme: V, H, O, M, F or N.
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


def seed_means(runs: pd.DataFrame) -> pd.DataFrame:
    """Test NE of every selected shape at every data size, averaged over seeds.

    Returns:
        Columns architecture, scheme, multiplier, examples, test_ne.
    """
    return usable_runs(runs).groupby([*SHAPE, "examples"], sort=True)["test_ne"].mean().reset_index()


def best_point(runs: pd.DataFrame) -> "pd.Series[Any] | None":
    """The row of ``seed_means`` with the lowest test NE; None where nothing was measured."""
    means = seed_means(runs)
    return None if means.empty else means.iloc[int(means["test_ne"].argmin())]


def scheme_gains(runs: pd.DataFrame, architecture: str) -> list[Gain]:
    """The gain of every scheme that was measured at a data size that the baseline reached too."""
    means = seed_means(runs)
    means = means[means["architecture"] == architecture]
    baseline = means[means["scheme"] == "D"].set_index("examples")["test_ne"]
    gains = []
    for scheme in SCHEMES:
        of_scheme = means[(means["scheme"] == scheme) & (means["multiplier"] != 1)]
        both = of_scheme[of_scheme["examples"].isin(baseline.index)]
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


def next_doubling(fits: Mapping[str, Any], architecture: str) -> str:
    """One sentence on what twice the data would bring to the baseline, as sure as the fit allows."""
    found = find_line(fits, scheme="D", x="data", line="1", architecture=architecture)
    if found is None:
        return "The baseline was not measured, so nothing can be said about more data for it."
    _, fit = found
    if fit.status in ("too_few_points", "not_monotone", "beta_at_bound", "flat"):
        why = STATUS_MEANING[fit.status]
        return f"What twice the data would bring to the baseline cannot be told. {why}"
    now, then = (float(value) for value in fit.predict([max(fit.x), 2 * max(fit.x)]))
    low, high = (float(end[0]) for end in fit.predict_interval([2 * max(fit.x)]))
    sentence = (
        f"Twice the data would take the baseline from NE {now:.4f} to {then:.4f} "
        f"({fit.level:.0%} interval {low:.4f} to {high:.4f}), a gain of {100 * (now - then) / now:.2f}%"
    )
    if fit.status == "ok":
        return f"{sentence}."
    return f"{sentence}; one doubling is as far as this curve can be trusted, since its floor is not identified."


def gain_words(gain: Gain) -> str:
    """One sentence on a gain."""
    what = f"{gain.scheme} ({SCHEMES[gain.scheme].words}) at {multiplier_label(gain.multiplier)}×"
    change = f"{abs(gain.drop):.4f}"
    if float(change) == 0:
        return f"{what} leaves NE at {gain.baseline_ne:.4f}."
    verb = "lowers" if gain.drop > 0 else "raises"
    share = abs(gain.drop) / gain.baseline_ne
    return f"{what} {verb} NE by {change} ({share:.2%}), from {gain.baseline_ne:.4f} to {gain.ne:.4f}."


def cautions(runs: pd.DataFrame, fits: Mapping[str, Any]) -> list[str]:
    """Sentences on what the reader must know before trusting the rest; empty for a clean study."""
    words = []
    trials = runs["trial_id"].nunique()
    missing = len({record["trial_id"] for record in fits["missing"]})
    if missing:
        words.append(f"{missing} of {trials} trials failed or were skipped, and are listed below.")
    if fits["collapsed"]:
        dead = len(fits["collapsed"])
        words.append(f"{dead} of {trials} trials learned nothing at any data size: collapsed, and not in the fits.")
    edge = {
        (record["architecture"], record["scheme"], record["multiplier"])
        for record in fits["flagged"]
        if "lr_at_edge" in record["flags"]
    }
    shapes = runs[SHAPE].drop_duplicates()
    if edge:
        words.append(
            f"{len(edge)} of {len(shapes)} shapes did best at the smallest or largest learning rate of the grid: a "
            "better one may lie beyond, and part of what looks like scale may be learning rate."
        )
    baseline = usable_runs(rows_of_scheme(runs, "D"))
    if baseline.empty:
        words.append("There is no measured baseline (scheme D, 1×).")
        return words
    last = baseline[baseline["examples"] == baseline["examples"].max()]
    if last["test_ne"].mean() > 1:
        words.append(
            f"The baseline ends at NE {last['test_ne'].mean():.4f}, worse than always guessing the test split's click "
            f"rate, and predicts {last['test_calibration'].mean():.0%} of the test clicks: what the training split "
            "teaches does not carry over to the test split."
        )
    return words
