"""What TensorBoard shows of a study as a whole: its findings and tables as text, its lines and laws as charts."""

import shutil
import string
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as custom_scalar
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util import tensor_util

from tfrs_scaling.fit.plots import axis_name, human
from tfrs_scaling.fit.power_law import PowerLawFit
from tfrs_scaling.fit.runs import SCHEMES
from tfrs_scaling.fit.screening import selected
from tfrs_scaling.fit.study_fits import AXES, FRONTIER, find_line, frontier_points, multiplier_label, points
from tfrs_scaling.fit.summary import STATUS_WORDS, gain_words, next_doubling, scheme_gains, unfinished

LAW_STEPS = 60
# The axis of these charts is linear: much further, and what was measured would be a sliver at the left.
EXTRAPOLATION = 2.0
_SMOOTHING = "set Smoothing to 0"  # TensorBoard's default of 0.6 lifts curves of so few points off their data
_PUNCTUATION = str.maketrans({mark: f"&#{ord(mark)};" for mark in string.punctuation} | dict.fromkeys("\n\r", " "))

# NE by training examples, of a (run, tag).
Curves = dict[tuple[str, str], dict[int, float]]


def write_board(runs: pd.DataFrame, fits: Mapping[str, Any], folder: Path, *, name: str) -> None:
    """Write what TensorBoard shows of a study besides its trials; replaces what an earlier call wrote.

    Text holds the findings and the tables of fits; Custom Scalars the charts of ``curves``. Written without
    TensorFlow's operations, like ``hparams.write_layout``.

    Args:
        runs: The run table.
        fits: What ``fit_study`` made of it.
        folder: Where the event files go; what it holds is deleted.
        name: The study's, shown as plain text.

    Raises:
        OSError: the folder cannot be written.
    """
    if folder.exists():
        shutil.rmtree(folder)
    drawn = curves(runs, fits)
    texts = [text_pb(tag, text) for tag, text in board_texts(runs, fits, name=name).items()]
    _write(folder, [(0, _layout_pb(layout(tag for _, tag in drawn))), *((0, text) for text in texts)])
    for run in sorted({run for run, _ in drawn}):
        of_run = [(tag, curve) for (where, tag), curve in drawn.items() if where == run]
        _write(folder / run, [(x, scalar_pb(tag, ne)) for tag, curve in of_run for x, ne in sorted(curve.items())])


def curves(runs: pd.DataFrame, fits: Mapping[str, Any]) -> Curves:
    """Test NE against training examples, of every scheme.

    Returns:
        ``ne/SCHEME``, a run for each multiplier, the baseline's included: the mean of seeds at the selected learning
        rate. In a run for each scheme: ``frontier``, its points, and ``law/SCHEME`` with ``law/SCHEME/low`` and
        ``law/SCHEME/high``, the frontier's law and its interval up to twice the data. With several architectures the
        name of each stands before its tags.
    """
    chosen, architectures = selected(runs).reset_index(drop=True), sorted(runs["architecture"].unique())
    drawn: Curves = {}
    for architecture in architectures:
        where = f"{architecture}/" if len(architectures) > 1 else ""
        for scheme in (s for s in SCHEMES if "data" in AXES[s]):
            if not ((chosen["scheme"] == scheme) & (chosen["architecture"] == architecture)).any():
                continue
            rows = points(chosen, architecture, scheme)
            for multiplier, line in rows.groupby("multiplier", sort=True):
                run = multiplier_label(float(str(multiplier))).replace("/", "_")
                drawn[run, f"{where}ne/{scheme}"] = _by_examples(line)
            drawn[scheme, f"{where}{FRONTIER}"] = _by_examples(frontier_points(rows, "data"))
            found = find_line(fits, scheme=scheme, x="data", line=FRONTIER, architecture=architecture)
            if found is not None and found[1].alpha is not None:
                for end, curve in _law(found[1]).items():
                    drawn[scheme, f"{where}law/{scheme}{end}"] = curve
    return drawn


def layout(tags: Iterable[str]) -> layout_pb2.Layout:
    """The Custom Scalars of ``curves``: a chart of all frontiers, and of each scheme its lines and its law.

    Args:
        tags: The tags there are.
    """
    there = set(tags)
    wheres = sorted(tag.removesuffix(FRONTIER) for tag in there if tag.endswith(FRONTIER))
    frontiers, lines, laws = [], [], []
    for where in wheres:
        suffix = f" · {where.removesuffix('/')}" if where else ""
        frontiers.append(layout_pb2.Chart(title=f"all schemes{suffix}", multiline=_only(f"{where}{FRONTIER}")))
        for scheme, words in SCHEMES.items():
            title, line, law = f"{scheme}: {words}{suffix}", f"{where}ne/{scheme}", f"{where}law/{scheme}"
            if line in there:
                lines.append(layout_pb2.Chart(title=title, multiline=_only(line)))
            if law in there:
                series = layout_pb2.MarginChartContent.Series(value=law, lower=f"{law}/low", upper=f"{law}/high")
                laws.append(layout_pb2.Chart(title=title, margin=layout_pb2.MarginChartContent(series=[series])))
    titled = {
        f"Test NE against training examples: the frontier of each scheme · {_SMOOTHING}": frontiers,
        f"Test NE against training examples: a line per multiplier · {_SMOOTHING}": lines,
        "The law of each frontier with its interval, up to twice the data": laws,
    }
    return layout_pb2.Layout(
        category=[layout_pb2.Category(title=title, chart=charts) for title, charts in titled.items() if charts]
    )


def board_texts(runs: pd.DataFrame, fits: Mapping[str, Any], *, name: str) -> dict[str, str]:
    """Findings and tables as Markdown, by tag. What comes from the study is escaped."""
    architectures = sorted(runs["architecture"].unique())
    found = [
        (f"{architecture}: " if len(architectures) > 1 else "") + words
        for architecture in architectures
        for words in (*map(gain_words, scheme_gains(runs, architecture)), next_doubling(fits, architecture))
    ]
    texts = {"findings": f"### {plain(name)}\n\n{_bullets(found)}"}
    if cautions := unfinished(runs, fits):
        texts["findings"] += f"\n\n**Before you rely on this**\n\n{_bullets(cautions)}"
    frontiers = [record for record in fits["lines"] if record["line"] == FRONTIER]
    lines = [record for record in fits["lines"] if record["line"] != FRONTIER]
    intro = f"NE = α·x^−β + γ, with {fits['level']:.0%} intervals. Follow beyond its points only a *sound* one.\n\n"
    texts["laws of the frontiers"] = intro + _fits_table(frontiers)
    texts["laws of the lines"] = intro + _fits_table(lines)
    if fits["missing"]:
        columns = ("trial_id", "status", "reason")
        rows = [[record[column] for column in columns] for record in fits["missing"]]
        texts["missing trials"] = table(("trial", "status", "reason"), rows)
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


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {plain(sentence)}" for sentence in sentences)


def _fits_table(records: Sequence[Mapping[str, Any]]) -> str:
    several = len({record["architecture"] for record in records}) > 1
    # Few columns: TensorBoard breaks words rather than let a table be wider than the page.
    return table(
        ("line", "against", "points", "α", "β", "γ", "R²", "verdict"),
        [_fit_cells(record, several) for record in records],
    )


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


def _only(tag: str) -> layout_pb2.MultilineChartContent:
    return layout_pb2.MultilineChartContent(tag=[f"^{tag}$"])


def _by_examples(rows: pd.DataFrame) -> dict[int, float]:
    means = rows.groupby("examples", sort=True)["test_ne"].mean()
    return dict(zip(means.index.astype("int64").tolist(), means.tolist(), strict=True))


def _law(fit: PowerLawFit) -> dict[str, dict[int, float]]:
    """The law and its interval by examples, from its first point to twice its last."""
    x = np.unique(np.geomspace(min(fit.x), EXTRAPOLATION * max(fit.x), LAW_STEPS).round().astype(np.int64))
    low, high = fit.predict_interval(x)
    steps = x.tolist()
    ends = {"": fit.predict(x), "/low": low, "/high": high}
    return {end: dict(zip(steps, map(float, values), strict=True)) for end, values in ends.items()}


def _layout_pb(charts: layout_pb2.Layout) -> Summary:
    summary = Summary()
    tensor = tensor_util.make_tensor_proto(charts.SerializeToString(), dtype=np.object_)
    summary.value.add(
        tag=custom_scalar.CONFIG_SUMMARY_TAG, metadata=custom_scalar.create_summary_metadata(), tensor=tensor
    )
    return summary


def _write(folder: Path, summaries: Iterable[tuple[int, Summary]]) -> None:
    writer, now = EventFileWriter(str(folder)), time.time()
    for step, summary in summaries:
        writer.add_event(Event(step=step, summary=summary, wall_time=now))
    writer.close()
