"""The methods of a study in words, from its runs and its settings: what was done, so that it can be done again."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tfrs_scaling.common.words import human
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.schemes import SCHEMES


def methods(runs: pd.DataFrame, fits: Mapping[str, Any], study: Mapping[str, Any]) -> list[str]:
    """Paragraphs: the models and their training, the data, the choice of learning rates, the fits.

    Args:
        runs: The run table.
        fits: What ``fit_study`` made of it.
        study: As ``write_report`` takes it.
    """
    return [_trained(runs), _data(runs, study), _chosen(runs), _fitted(fits), _provenance(runs)]


def settings(study: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the study was given, as blocks of (dotted name, text) rows."""
    data = study.get("data") or {}
    known = {"description", "bayes_ne", "bayes_ne_standard_error"}
    parts = {
        "Data": {key: value for key, value in data.items() if key not in known and value is not None},
        "Configuration": study.get("config") or {},
        "Software and machine": {key: study[key] for key in ("libraries", "machine") if study.get(key)},
    }
    return [{"title": title, "rows": _flat(content)} for title, content in parts.items() if content]


def _trained(runs: pd.DataFrame) -> str:
    parts = []
    for scheme, rows in runs.groupby("scheme", sort=False):
        multipliers = [f"{multiplier_label(value)}×" for value in sorted(rows["multiplier"].unique())]
        if scheme != "D":
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


def _data(runs: pd.DataFrame, study: Mapping[str, Any]) -> str:
    rows = (study.get("data") or {}).get("rows") or {}
    counted = ", ".join(f"{name} {count:,}" for name, count in rows.items()) if rows else "not recorded"
    rates = runs["base_ctr"].dropna()
    rate = f" The click-through rate of the test split is {rates.iloc[0]:.4f}." if len(rates) else ""
    return (
        f"Rows by split: {counted}.{rate} NE is the mean log loss on the test split divided by the entropy of that "
        "rate. Training NE is progressive: of the rows since the data size before, each predicted before its update."
    )


def _chosen(runs: pd.DataFrame) -> str:
    rates = ", ".join(f"{value:g}" for value in sorted(runs["learning_rate"].unique()))
    return (
        f"Learning rates {rates} were tried. For every shape that of the lowest validation NE at the largest data size "
        "is used, of all its seeds together; the test split takes no part in that choice. Points left of the power-law "
        "region of a curve (the small-data plateau near NE 1) are drawn hollow and not fitted; an F test per curve "
        "decides which they are. Frontiers are made of seed averages, so that they are not made of lucky seeds."
    )


def _fitted(fits: Mapping[str, Any]) -> str:
    return (
        "Laws NE = α·x⁻ᵝ + γ are fitted by least squares: for a given β the law is linear in α and γ (both kept at 0 "
        "or above), so a search along β finds the global optimum. Intervals, at "
        f"{fits['level']:.0%}, are profile-likelihood intervals with F limits for n − 3 degrees of freedom, or "
        "bootstrap intervals where points share a training; frontier and plateau are found anew in every resample. An "
        "end that the data leave open is written so."
    )


def _provenance(runs: pd.DataFrame) -> str:
    return (
        f"Code {_names(runs, 'code_version')}; configuration {_names(runs, 'config_hash')}; data "
        f"{_names(runs, 'data_hash')}; libraries: {_names(runs, 'libraries')}; machines: {_names(runs, 'machine')}. "
        f"Training took {runs.groupby('trial_id')['wall_seconds'].max().sum() / 3600:.2g} hours of all trials together."
    )


def _names(runs: pd.DataFrame, column: str) -> str:
    return ", ".join(sorted(value for value in runs[column].unique() if value)) or "not recorded"


def _flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, text) pairs, in the order given."""
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            rows.append((name, ", ".join(str(item) for item in value)))
        else:
            rows.append((name, f"{value:,}" if isinstance(value, int) and value > 9999 else str(value)))
    return rows
