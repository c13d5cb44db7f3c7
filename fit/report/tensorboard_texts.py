"""The findings of a study as Markdown, for TensorBoard's Text tab."""

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from tfrs_scaling.common.words import human
from tfrs_scaling.fit.advice.advise import advise
from tfrs_scaling.fit.advice.budget import read_budget
from tfrs_scaling.fit.labels import FRONTIER, axis_name, multiplier_label
from tfrs_scaling.fit.report.summary import STATUS_WORDS, cautions, gain_words, next_doubling, scheme_gains
from tfrs_scaling.fit.screening import usable_runs

BUDGETS = ("compute=10x", "data=2x", "params=4x")
# Analyses of fits.json that are shown as tables, with their columns, and those that say it in words. Few columns, and a
# scheme without its architecture where there is but one: TensorBoard breaks words rather than let a table be wide.
TABLES: dict[str, tuple[str, ...]] = {
    "ranking": ("x", "text"),
    "phases": ("x", "scheme", "line", "at", "gain", "saturated", "probability", "diminishing_return"),
    "paper": ("claim", "source", "paper", "ours", "verdict", "why"),
    "dimension": ("multiplier", "examples", "best", "best_low", "best_high", "knee", "knee_low", "knee_high"),
    "held_out": ("scheme", "line", "examples", "measured", "predicted", "low", "high", "inside"),
    "effects": ("scheme", "multiplier", "examples", "ne", "baseline", "change", "low", "high", "outcome"),
}
WORDS: dict[str, tuple[str, ...]] = {  # with what their sentences do not name themselves
    "limits": (),
    "generalisation": ("scheme", "line"),
    "joint": ("scheme",),
    "architectures": (),
}
_PUNCTUATION = str.maketrans({mark: f"&#{ord(mark)};" for mark in string.punctuation} | dict.fromkeys("\n\r", " "))


def board_texts(runs: pd.DataFrame, fits: Mapping[str, Any], *, name: str) -> dict[str, str]:
    """Advice, findings and tables as Markdown, by tag. What comes from the study is shown as it is.

    Args:
        runs: The run table.
        fits: What ``fit_study`` made of it.
        name: The study's.
    """
    architectures = sorted(runs["architecture"].unique())
    found = [
        (f"{architecture}: " if len(architectures) > 1 else "") + words
        for architecture in architectures
        for words in (*map(gain_words, scheme_gains(runs, architecture)), next_doubling(fits, architecture))
    ]
    texts = {"findings": f"### {plain(name)}\n\n{_bullets(found)}"}
    if words := cautions(runs, fits):
        texts["findings"] += f"\n\n**Before you rely on this**\n\n{_bullets(words)}"
    if not usable_runs(runs).empty:
        texts["advice"] = "\n\n".join(_advice(runs, fits, budget) for budget in BUDGETS)
    intro = f"NE = α·x^−β + γ, with {fits['level']:.0%} intervals. Follow beyond its points only a *sound* one.\n\n"
    frontiers = [record for record in fits["lines"] if record["line"] == FRONTIER]
    lines = [record for record in fits["lines"] if record["line"] != FRONTIER]
    texts |= {"laws of the frontiers": intro + _fits_table(frontiers), "laws of the lines": intro + _fits_table(lines)}
    # TensorBoard opens the first two groups, by name: advice and findings.
    details = _details(fits, several_architectures=len(architectures) > 1)
    texts |= {f"in detail/{key.replace('_', ' ')}": text for key, text in details.items()}
    if fits["missing"]:
        texts["missing trials"] = _records(fits["missing"], ("trial_id", "status", "reason"))
    return texts


def plain(text: Any) -> str:
    """Markdown that shows a text as it is, on one line, whatever markup it holds."""
    return str(text).translate(_PUNCTUATION)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table whose cells are shown as they are."""
    return "\n".join(
        f"| {' | '.join(cells)} |"
        for cells in (map(plain, columns), ["---"] * len(columns), *(map(plain, row) for row in rows))
    )


def _details(fits: Mapping[str, Any], *, several_architectures: bool) -> dict[str, str]:
    """The analyses that found something, by their key in fits.json."""
    details = {}
    for key, named in WORDS.items():
        of = ["architecture", *named] if several_architectures and key != "architectures" else named
        if fits.get(key):
            details[key] = _bullets(_sentence(record, of) for record in fits[key])
    for key, columns in TABLES.items():
        if fits.get(key):
            details[key] = _records(fits[key], columns, several_architectures=several_architectures)
    if "held_out" in details:
        details["held_out"] = f"{plain(fits['held_out_words'])}\n\n{details['held_out']}"
    if fits.get("zones"):
        details["zones"] = _zones(fits["zones"], several_architectures=several_architectures)
    return details


def _sentence(record: Mapping[str, Any], named: Sequence[str]) -> str:
    name = " ".join(_shown(column, record[column]) for column in named)
    return f"{name}: {record['words']}" if name else str(record["words"])


def _advice(runs: pd.DataFrame, fits: Mapping[str, Any], budget: str) -> str:
    lines = "\n".join(advise(runs, fits, read_budget(budget)).lines())
    commands_whole = re.sub(r"\s*\\\n\s*", " ", lines)
    items = [
        f"{'    ' if line.startswith(' ') else ''}- {plain(line.strip().removeprefix('- '))}"
        for line in commands_whole.splitlines()
    ]
    return "\n".join([f"### {plain(budget)}\n", *items])


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {plain(sentence)}" for sentence in sentences)


def _records(
    records: Iterable[Mapping[str, Any]], columns: Sequence[str], *, several_architectures: bool = False
) -> str:
    columns = [*(["architecture"] if several_architectures else []), *columns]
    rows = [[_shown(column, record.get(column)) for column in columns] for record in records]
    return table([column.replace("_", " ") for column in columns], rows)


def _zones(zones: Iterable[Mapping[str, Any]], *, several_architectures: bool) -> str:
    quarters = [
        {**zone, **quarter, "better": f"{zone['first']} {quarter['outcome']} {zone['second']}"}
        for zone in zones
        for quarter in zone["table"]
    ]
    columns = ("parameters", "data", "better", "why")
    return _records(quarters, columns, several_architectures=several_architectures)


def _fits_table(records: Sequence[Mapping[str, Any]]) -> str:
    several = len({record["architecture"] for record in records}) > 1
    rows = [_fit_cells(record, several) for record in records]
    return table(("line", "against", "points", "α", "β", "γ", "R²", "verdict"), rows)


def _fit_cells(record: Mapping[str, Any], several_architectures: bool) -> list[str]:
    fit, line = record["fit"], record["line"]
    if line != FRONTIER:
        line = f"at {human(float(line))} examples" if record["x"] == "parameters" else f"{line}×"
    return [
        f"{record['scheme']} {line}" + (f" · {record['architecture']}" if several_architectures else ""),
        axis_name(record["x"], record["scheme"]),
        str(record["n"]),
        *(_with_interval(fit[name], *fit["interval"][name]) for name in ("alpha", "beta", "gamma")),
        "–" if fit["r2"] is None else f"{fit['r2']:.4f}",
        STATUS_WORDS[fit["status"]],
    ]


def _with_interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    if low is None:
        return f"{value:.4g}"
    return f"{value:.4g} ({low:.4g} to {'∞' if high is None else f'{high:.4g}'})"


def _shown(column: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column == "multiplier":
        return f"{multiplier_label(value)}×"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
