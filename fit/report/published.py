"""The studies that come with the project, and the parts of a page about them in Markdown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml
from pydantic import TypeAdapter

from tfrs_scaling.common.words import UNKNOWN, interval, signed
from tfrs_scaling.fit.analyses.effects import Change
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.runs.run_table import read_runs
from tfrs_scaling.fit.study import StudyFits, fit_study

STUDIES = "studies.yaml"


@dataclass(frozen=True)
class Entry:
    """A study in ``studies.yaml``.

    Attributes:
        title: Name of the log, in a heading.
        about: What the log is, in a sentence or two.
        rows: Training rows of the log, and how it was split.
        commands: What makes the run table again.
        cost: Of these commands.
        levers: Whether it measures every lever at equal cost, and not the claims.
        beside: Of a study that is split by time, the name of the one of the same log that is split at random.
    """

    title: str
    about: str
    rows: str
    commands: tuple[str, ...]
    cost: str
    levers: bool = False
    beside: str | None = None


@dataclass(frozen=True)
class Published:
    """A study with its run table and all that was fitted to it."""

    name: str
    entry: Entry
    runs: pd.DataFrame
    fits: StudyFits


def read_published(folder: Path) -> list[Published]:
    """The studies that a folder publishes, fitted, in the order of its ``studies.yaml``."""
    content = yaml.safe_load((folder / STUDIES).read_text(encoding="utf-8"))
    entries = TypeAdapter(dict[str, Entry]).validate_python(content)
    studies = []
    for name, entry in entries.items():
        runs = read_runs(folder / f"{name}.parquet")
        studies.append(Published(name, entry, runs, fit_study(runs)))
    return studies


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
    beta = _estimate(fit.beta, fit.interval["beta"]) if fit.status.has_exponent else UNKNOWN
    gamma = _estimate(fit.gamma, fit.interval["gamma"]) if fit.status.has_floor else UNKNOWN
    return alpha, beta, gamma, f"{fit.r2:.4f}", fit.status.words


def _estimate(value: float, ends: tuple[float, float]) -> str:
    low, high = (end if math.isfinite(end) else None for end in ends)
    return f"{value:.3g} ({interval(low, high, '{:.3g}'.format)})"


def change_words(change: Change) -> str:
    """A change of NE with its interval."""
    return f"{signed(change.change)} ({signed(change.low)} to {signed(change.high)})"
