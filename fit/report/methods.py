"""The methods of a study in words, from its runs and its settings: enough to repeat it."""

import pandas as pd

from tfrs_scaling.common.words import human
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.report.header import cost_words, names
from tfrs_scaling.fit.report.view import About, StudyView
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES


def methods(view: StudyView) -> list[str]:
    """Paragraphs: the models and their training, the data, the choice of learning rates, the fits, the provenance."""
    runs = view.runs
    return [_trained(runs), _data(runs, view.about), _chosen(runs), _fitted(view.fits.level), _provenance(runs)]


def _trained(runs: pd.DataFrame) -> str:
    parts = []
    for scheme, rows in runs.groupby("scheme", sort=False):
        multipliers = [f"{multiplier_label(value)}×" for value in sorted(rows["multiplier"].unique())]
        if scheme != BASELINE:
            parts.append(f"{scheme} ({SCHEMES[str(scheme)].words}) at {', '.join(multipliers)}")
    shapes = "the baseline alone" if not parts else f"the baseline and {'; '.join(sorted(parts))}"
    architectures = ", ".join(sorted(runs["architecture"].unique()))
    seeds = runs["seed"].nunique()
    epochs = sorted(runs["epochs"].unique())
    passes = "one pass" if epochs == [1] else f"{', '.join(str(value) for value in epochs)} passes"
    sizes = sorted(runs["examples"].unique())
    return (
        f"{runs['trial_id'].nunique()} trials were trained, each in a process of its own, on "
        f"{_names(runs, 'strategy')}: {shapes}; architecture: {architectures}; {seeds} "
        f"seed{'s' if seeds > 1 else ''} of initial weights. Each trial makes {passes} over its training examples. "
        f"{len(sizes)} data sizes, from {human(sizes[0])} to {human(sizes[-1])} examples, are nested prefixes "
        "of one shuffle; the test split is evaluated at each."
    )


def _data(runs: pd.DataFrame, about: About) -> str:
    counted = ", ".join(f"{name} {count:,}" for name, count in about.rows.items()) or "not recorded"
    rates = runs["base_ctr"].dropna()
    rate = f" The click-through rate of the test split is {rates.iloc[0]:.4f}." if len(rates) else ""
    return (
        f"Rows by split: {counted}.{rate} NE is the mean log loss on the test split divided by the entropy of that "
        "rate. Training NE is progressive: that of the rows since the previous data size, each predicted before its "
        "update."
    )


def _chosen(runs: pd.DataFrame) -> str:
    rates = ", ".join(f"{value:g}" for value in sorted(runs["learning_rate"].dropna().unique()))
    own_split = (runs["validation_ne"] != runs["test_ne"])[runs["status"] == "ok"].any()
    split = "validation" if own_split else "test"
    choice = "the test split takes no part in that choice" if own_split else "no other was recorded, which flatters it"
    tried = (
        f"Learning rates {rates} were tried. Each shape uses the one with the lowest {split} NE at the largest data "
        f"size, averaged over its seeds; {choice}."
    )
    if not rates:
        tried = "Learning rates are not recorded."
    return (
        f"{tried} Points left of the power-law "
        "region of a curve (the small-data plateau near NE 1) are drawn hollow and not fitted; an F test per curve "
        "decides which they are. Frontiers are built from averages over seeds, so that lucky seeds do not define them."
    )


def _fitted(level: float) -> str:
    return (
        "Laws NE = α·x⁻ᵝ + γ are fitted by least squares: for a given β the law is linear in α and γ (both kept at 0 "
        "or above), so a search along β finds the global optimum. Intervals, at "
        f"{level:.0%}, are profile-likelihood intervals with F limits for n − 3 degrees of freedom, or "
        "bootstrap intervals where points share a training; frontier and plateau are found again in every resample. An "
        "end that the data do not bound is shown as open."
    )


def _provenance(runs: pd.DataFrame) -> str:
    cost = cost_words(runs)
    took = f" All trials together: {cost}." if cost else ""
    return (
        f"Code {_names(runs, 'code_version')}; configuration {_names(runs, 'config_hash')}; data "
        f"{_names(runs, 'data_hash')}; libraries: {_names(runs, 'libraries')}; machines: {_names(runs, 'machine')}."
        f"{took}"
    )


def _names(runs: pd.DataFrame, column: str) -> str:
    return names(runs, column) or "not recorded"
