"""The studies that come with the project, and the parts of a page about them in Markdown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml
from pydantic import TypeAdapter

from tfrs_scaling.common.words import UNKNOWN, interval, plural, signed
from tfrs_scaling.fit.analyses.effects import Change, Effect
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.labels import shape_name
from tfrs_scaling.fit.runs.run_table import read_runs
from tfrs_scaling.fit.runs.screening import SHAPE, usable_runs
from tfrs_scaling.fit.schemes import BASELINE
from tfrs_scaling.fit.study import StudyFits, fit_study

STUDIES = "studies.yaml"


@dataclass(frozen=True)
class Entry:
    """A study in ``studies.yaml``.

    Attributes:
        title: Name of the log, in a heading.
        about: What the log is, in a sentence or two.
        training_rows: Of the log's training split, rounded.
        split: How the log was split, in words.
        commands: What makes the run table again; $DATA is the folder of the log's public files.
        cost: What to add to what the run table says of it.
        levers: Whether it measures every lever at equal cost, and not the claims.
        beside: Of a study that is split by time, the name of the one of the same log that is split at random.
        own_rows_from: The multiplier of V from which every id has a row of its own; None where that is not known.
        draws_other_rows: Whether the commands split the log into other rows than the run table's.
    """

    title: str
    about: str
    training_rows: int
    split: str
    commands: tuple[str, ...]
    cost: str
    levers: bool = False
    beside: str | None = None
    own_rows_from: float | None = None
    draws_other_rows: bool = False


@dataclass(frozen=True)
class Published:
    """A study with its run table and all that was fitted to it."""

    name: str
    entry: Entry
    runs: pd.DataFrame
    fits: StudyFits


class Shape(NamedTuple):
    """A shape of a study, as ``SHAPE`` names it."""

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int

    @property
    def name(self) -> str:
        """Such as ``H 4×``; that of the architecture for its baseline."""
        return self.architecture if self.scheme == BASELINE else shape_name(self.scheme, self.multiplier)


def read_entries(folder: Path) -> dict[str, Entry]:
    """The studies in a folder's ``studies.yaml``, by name."""
    content = yaml.safe_load((folder / STUDIES).read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, Entry]).validate_python(content)


def read_published(folder: Path) -> list[Published]:
    """The studies that a folder publishes, fitted, in the order of its ``studies.yaml``."""
    studies = []
    for name, entry in read_entries(folder).items():
        runs = read_runs(folder / f"{name}.parquet")
        studies.append(Published(name, entry, runs, fit_study(runs, own_rows_from=entry.own_rows_from)))
    return studies


def largest_shapes(study: Published) -> dict[Shape, pd.DataFrame]:
    """The rows of each shape at its selected learning rate and the study's largest data size: one per seed."""
    usable = usable_runs(study.runs)
    largest = usable[usable["examples"] == study.runs["examples"].max()]
    return {Shape(*shape): rows for shape, rows in largest.groupby(SHAPE)}


def best_on_validation(shapes: dict[Shape, pd.DataFrame]) -> Shape:
    """The shape of the lowest mean NE of the validation split."""
    return min(shapes, key=lambda shape: float(shapes[shape]["validation_ne"].mean()))


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    deviation = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{deviation}"


def made_by(study: Published) -> str:
    """The commands that made the run table, of which data, and what they took."""
    (data,) = study.runs["data_hash"].unique()
    note = f" {study.entry.cost}" if study.entry.cost else ""
    printed = "; these commands draw other rows and print another" if study.entry.draws_other_rows else ""
    return (
        f"{commands(study.entry)}\n\nData hash, which `tfrs-scaling data check` prints: {data}{printed}. "
        f"Cost: {cost(study.runs)}.{note}"
    )


def cost(runs: pd.DataFrame) -> str:
    """Of a study: how many trainings, and the sum of what each took by the clock."""
    seconds = runs.groupby("trial_id")["wall_seconds"].max()
    stopped = runs.loc[runs["status"] == "stopped", "trial_id"].nunique()
    longest = plural(round(seconds.max() / 60), "minute") if seconds.max() >= 90 else f"{seconds.max():.0f} seconds"
    together = plural(round(seconds.sum() / 60), "minute")
    return (
        f"{len(seconds)} trainings, of which {stopped} stopped early: {together} one after the other; the median took "
        f"{seconds.median():.0f} seconds, the longest {longest}"
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def commands(entry: Entry) -> str:
    """What makes a run table again, as a block of code."""
    return "\n".join(f"    {command}" for command in entry.commands)


def verdict_words(verdict: str) -> str:
    """A verdict on a claim, bold where it is one."""
    return {"agrees": "**agrees**", "differs": "**differs**"}.get(verdict, verdict)


def law_words(line: LineFit) -> tuple[str, str, str, str, str]:
    """alpha, beta, gamma, R² and status of a line's law, as far as they are known."""
    fit = line.fit
    if not fit.status.is_fitted:
        return UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, fit.status.words
    alpha = f"{fit.alpha_at_x0:.3g}" if fit.status.has_exponent else UNKNOWN
    beta = value_words(fit.beta, *fit.interval["beta"]) if fit.status.has_exponent else UNKNOWN
    gamma = value_words(fit.gamma, *fit.interval["gamma"]) if fit.status.has_floor else UNKNOWN
    return alpha, beta, gamma, f"{fit.r2:.4f}", fit.status.words


def value_words(value: float | None, low: float | None, high: float | None) -> str:
    """A parameter of a law with its interval; an end that is infinite, or None, is open."""
    if value is None:
        return UNKNOWN
    first, last = (end if end is not None and math.isfinite(end) else None for end in (low, high))
    return f"{value:.3g} ({interval(first, last, '{:.3g}'.format)})"


def slope_words(effect: Effect) -> str:
    """The change of NE for each doubling of the parameters, with its interval."""
    slope = effect.per_doubling
    return UNKNOWN if slope is None else f"{signed(slope[0])} ({signed(slope[1])} to {signed(slope[2])})"


def change_words(change: Change) -> str:
    """A change of NE with its interval."""
    return f"{signed(change.change)} ({signed(change.low)} to {signed(change.high)})"
