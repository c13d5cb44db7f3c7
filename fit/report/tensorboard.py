"""What TensorBoard shows of a study as a whole: its findings and tables as text, its lines and laws as charts.

TensorBoard selects no run of more than 40, so there is one for each shape and each scheme, and none for each trial:
those that have ended are in files that it does not look for (``study.attempts``).
"""

import math
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as custom_scalar
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util import tensor_util

from tfrs_scaling.fit.labels import FRONTIER, multiplier_label
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.tensorboard_texts import tensorboard_texts
from tfrs_scaling.fit.report.view import StudyView
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import SCHEMES

LAW_STEPS = 60
# The axis of these charts is linear: much further, and what was measured would be a sliver at the left.
EXTRAPOLATION = 2.0
_SMOOTHING = "set Smoothing to 0"  # TensorBoard's default of 0.6 lifts curves of so few points off their data

_METRICS = {  # as each trial writes them, and the columns of the run table
    "test/ne": "test_ne",
    "shape/parameters": "params_total",
    "shape/training_flops": "flops_train",
    "validation/ne": "validation_ne",
    "test/auc": "test_auc",
    "test/calibration": "test_calibration",
    "time/examples_per_second": "examples_per_second",
}

# NE by training examples, of a (run, tag).
Curves = dict[tuple[str, str], dict[int, float]]


def write_tensorboard(view: StudyView, folder: Path) -> None:
    """Write what TensorBoard shows of a study besides its trials; replaces what an earlier call wrote.

    The Text tab holds the findings and the tables, Custom Scalars the charts of ``curves``, HParams a row for each
    shape. It is written without TensorFlow's operations, as ``hparams.write_layout`` does.

    Args:
        view: The study.
        folder: Folder for the event files; its previous content is deleted.

    Raises:
        OSError: the folder cannot be written.
    """
    if folder.exists():
        shutil.rmtree(folder)
    drawn = curves(view)
    texts = [text_pb(tag, text) for tag, text in tensorboard_texts(view).items()]
    _write(folder, [(0, _layout_pb(layout(tag for _, tag in drawn))), *((0, text) for text in texts)])
    shapes = dict(_shapes(view))
    for run in sorted({*shapes, *(run for run, _ in drawn)}):
        by_tag = [(tag, curve) for (its_run, tag), curve in drawn.items() if its_run == run]
        lines = [(x, scalar_pb(tag, ne)) for tag, curve in by_tag for x, ne in sorted(curve.items())]
        _write(folder / run, [*((0, summary) for summary in shapes.get(run, ())), *lines])


def _shapes(view: StudyView) -> Iterator[tuple[str, list[Summary]]]:
    """Of each shape the name of its run, and its row of HParams: the mean of seeds on its most data."""
    for (architecture, scheme, multiplier, dim), rows in view.chosen.groupby(SHAPE, sort=True):
        last = rows[rows["examples"] == rows["examples"].max()]
        run = _run(view, str(architecture), str(scheme), float(str(multiplier)), int(str(dim)))
        place: dict[str, bool | float | str] = {
            "architecture": str(architecture),
            "scheme": str(scheme),
            "multiplier": float(str(multiplier)),
            "embedding_dim": int(str(dim)),
            "epochs": int(last["epochs"].iloc[0]),
            "learning_rate": float(last["learning_rate"].iloc[0]),
        }
        means = ((tag, float(last[column].mean())) for tag, column in _METRICS.items())
        known = [scalar_pb(tag, mean) for tag, mean in means if math.isfinite(mean)]
        yield run, [hparams_pb({name: value for name, value in place.items() if value == value}, trial_id=run), *known]


def _run(view: StudyView, architecture: str, scheme: str, multiplier: float, dim: int) -> str:
    """The name of a shape's run: ``V-1_4``."""
    name = f"{scheme}-{multiplier_label(multiplier).replace('/', '_')}"
    if SCHEMES[scheme].crosses:
        name += f"-dim{dim}"
    return f"{name}-{architecture}" if view.has_several_architectures else name


def curves(view: StudyView) -> Curves:
    """Test NE against training examples, of every scheme.

    Returns:
        ``ne/SCHEME``, in the run of each shape and in the baseline's: the mean of seeds at the selected learning rate.
        In a run for each scheme: ``frontier``, its points, and, where a law describes them, ``law/SCHEME`` with
        ``law/SCHEME/low`` and ``law/SCHEME/high``, that law and its interval up to twice the data. With several
        architectures each tag begins with the name of its own.
    """
    drawn: Curves = {}
    for (architecture, scheme), rows in view.points.items():
        if "data" not in SCHEMES[scheme].axes or not (rows["scheme"] == scheme).any():
            continue
        where = f"{architecture}/" if view.has_several_architectures else ""
        for (_, own, multiplier, dim), line in rows.groupby(SHAPE, sort=True):
            run = _run(view, architecture, str(own), float(str(multiplier)), int(str(dim)))
            drawn[run, f"{where}ne/{scheme}"] = _by_examples(line)
        drawn[scheme, f"{where}{FRONTIER}"] = _by_examples(view.frontiers[architecture, scheme, "data"])
        law = view.law(architecture, scheme, "data", FRONTIER)
        if law is not None and law.status.has_law:
            for end, curve in _law(law).items():
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
