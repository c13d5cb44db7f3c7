"""What TensorBoard shows of a study as a whole: its findings and tables as text, its lines and laws as charts."""

import shutil
import time
from collections.abc import Iterable, Mapping
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

from tfrs_scaling.fit.labels import FRONTIER, multiplier_label
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.tensorboard_texts import board_texts
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.fit.screening import usable_runs
from tfrs_scaling.fit.study import find_line, frontier_points, points

LAW_STEPS = 60
# The axis of these charts is linear: much further, and what was measured would be a sliver at the left.
EXTRAPOLATION = 2.0
_SMOOTHING = "set Smoothing to 0"  # TensorBoard's default of 0.6 lifts curves of so few points off their data

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
    chosen, architectures = usable_runs(runs).reset_index(drop=True), sorted(runs["architecture"].unique())
    drawn: Curves = {}
    for architecture in architectures:
        where = f"{architecture}/" if len(architectures) > 1 else ""
        for scheme in (s for s in SCHEMES if "data" in SCHEMES[s].axes):
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
        for scheme, row in SCHEMES.items():
            title, line, law = f"{scheme}: {row.words}{suffix}", f"{where}ne/{scheme}", f"{where}law/{scheme}"
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
