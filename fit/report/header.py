"""The head of the page: what was studied, when, with what, and what it cost."""

from dataclasses import dataclass

import pandas as pd

from tfrs_scaling.common.words import FLOPS, duration, human, listed, plural
from tfrs_scaling.fit.report.view import StudyView
from tfrs_scaling.fit.runs.run_table import is_recorded


@dataclass(frozen=True)
class Fact:
    """A fact and its name."""

    name: str
    text: str
    is_code: bool = False


def facts(view: StudyView) -> list[Fact]:
    """Date, rows, click-through rate, trials, cost, machine, code, command, and which of them, or of how the log was
    split, are not recorded: a run table tells little of it."""
    runs, about = view.runs, view.about
    found = [Fact("Date", about.date)]
    found.append(Fact("Rows", ", ".join(f"{name} {count:,}" for name, count in about.rows.items())))
    if not about.rows:
        found.append(Fact("Largest training", f"{runs['examples'].max():,} examples"))
    rates = runs["base_ctr"].dropna()
    found.append(Fact("Click-through rate", f"{rates.iloc[0]:.4f} (test)" if len(rates) else ""))
    found.append(Fact("Trials", f"{runs['trial_id'].nunique():,}, {plural(runs['seed'].nunique(), 'seed')}"))
    found.append(Fact("Cost of the study", cost_words(runs)))
    found.append(Fact("Machine", names(runs, "machine")))
    commit = f", commit {about.commit}" if about.commit else ""
    found.append(Fact("Code", f"{names(runs, 'code_version')}{commit}"))
    found.append(Fact("Command", about.command, is_code=True))
    missing = [f"{fact.name[0].lower()}{fact.name[1:]}" for fact in found if not fact.text]
    missing += [] if about.description else ["split"]  # which it ends with
    return [*(fact for fact in found if fact.text), *([Fact("Not recorded", listed(missing))] if missing else [])]


def cost_words(runs: pd.DataFrame) -> str:
    """Training time and FLOPs of all trials; empty where neither is recorded."""
    parts = []
    if is_recorded(runs, "wall_seconds"):
        parts.append(f"{duration(float(runs.groupby('trial_id')['wall_seconds'].max().sum()))} of training")
    if is_recorded(runs, "compute"):
        parts.append(f"{human(float(runs.groupby('trial_id')['compute'].max().sum()), FLOPS)} FLOPs")
    return ", ".join(parts)


def names(runs: pd.DataFrame, column: str) -> str:
    """What a column of texts holds, each once; empty for nothing."""
    return ", ".join(sorted(value for value in runs[column].unique() if value))
