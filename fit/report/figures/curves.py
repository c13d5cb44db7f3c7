"""Figures of single questions: the embedding dimension (the paper's Figure 9), training against test (Figure 10),
architectures, and the law of parameters and data."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import DataRange1d, FixedTicker, LegendItem, MultiLine, Scatter, Segment, Text

from tfrs_scaling.common.figures import INK, human_ticks, log_ticks, tint
from tfrs_scaling.common.palette import BLUE, VERMILION
from tfrs_scaling.common.words import FLOPS, human, interval
from tfrs_scaling.fit.analyses.dimension import BestDimension
from tfrs_scaling.fit.analyses.generalisation import Generalisation
from tfrs_scaling.fit.analyses.joint import JointLaw, PathStep
from tfrs_scaling.fit.joint.law import JointFit
from tfrs_scaling.fit.labels import AXIS_NAMES, NON_EMBEDDING, axis_name, multiplier_label
from tfrs_scaling.fit.laws.functions import power_law_value
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.figures.parts import (
    MARKERS,
    add,
    add_band,
    add_curve,
    add_line,
    add_points,
    empty_figure,
    finish,
    legend_below,
    log_range,
    mark,
    ramp,
    short,
)
from tfrs_scaling.fit.schemes import SCHEMES

TEST, TRAIN = BLUE, VERMILION


def dimension_figure(
    records: Sequence[BestDimension], keys: Sequence[Sequence[str]], errors: Sequence[Sequence[float]]
) -> Any:
    """NE against the embedding dimension, a line per multiplier of the rows, with the best dimension and the knee.

    Args:
        records: Records of ``dimension`` for one architecture.
        keys: For each record, the trials behind each of its points.
        errors: For each record, half the width of the interval of each NE; NaN where the noise is unknown.
    """
    tooltips = [("rows", "@name"), ("embedding dimension", "@x{0}"), ("NE", "@ne{0.00000}"), ("note", "@note")]
    plot = empty_figure("data", "embedding dimension", tooltips)
    items = []
    for rank, record in enumerate(records):
        name = f"{multiplier_label(record.multiplier)}×"
        colours, dims = ramp(rank, len(records)), [float(dim) for dim in record.dims]
        columns = {
            "x": dims,
            "ne": list(record.ne),
            "name": [name] * len(dims),
            "key": list(keys[rank]),
            "note": [_dimension_note(record, dim) for dim in record.dims],
        }
        drawn = [add_line(plot, dims, record.ne, colours, line_width=1.5)]
        drawn.insert(0, mark(plot, columns, colours, MARKERS[rank % len(MARKERS)]))
        half = np.nan_to_num(np.asarray(errors[rank], dtype=np.float64))
        ends = {"x": dims, "low": (record.ne - half).tolist(), "high": (record.ne + half).tolist()}
        bars = add(plot, Segment(x0="x", x1="x", y0="low", y1="high", line_width=1), ends)
        tint(bars.glyph, line_color=colours)
        drawn.append(bars)
        for shape, size, dim, low, high in (
            ("star", 18, record.best, record.best_low, record.best_high),
            ("circle", 17, record.knee, record.knee_low, record.knee_high),
        ):
            at = record.ne[record.dims.index(dim)]
            if low is not None and high is not None:
                drawn.append(add_line(plot, [low, high], [at, at], colours, line_width=4, line_alpha=0.35))
            place = {"x": [float(dim)], "y": [at]}
            ring = add(plot, Scatter(marker=shape, size=size, fill_alpha=0.0, line_width=2), place)
            tint(ring.glyph, line_color=INK)
            drawn.append(ring)
        items.append(LegendItem(label=f"rows {name}", renderers=drawn))
    places = sorted({float(dim) for record in records for dim in record.dims})
    finish(plot, items, None, places, reach=1.25, wide=True)
    plot.y_range = DataRange1d(only_visible=True)  # with the bars
    plot.xaxis.ticker = plot.xgrid[0].ticker = FixedTicker(ticks=places)
    return plot


def generalisation_figure(record: Generalisation, rows: pd.DataFrame) -> Any:
    """Training and test NE of one line against data, with their laws.

    Args:
        record: A record of ``generalisation``.
        rows: The line's points: examples, test_ne, train_ne, key and trial_id.
    """
    tooltips = [("trial", "@trial"), ("NE", "@ne{0.00000}"), ("examples", "@x_text"), ("split", "@split")]
    plot = empty_figure("data", AXIS_NAMES["data"], tooltips, "normalized entropy")
    items = []
    for split, law, column, colours, marker in (
        ("test", record.test, "test_ne", TEST, "circle"),
        ("train", record.train, "train_ne", TRAIN, "square"),
    ):
        measured = rows[rows[column].notna()]
        columns = {
            "x": measured["examples"].astype("float64").to_list(),
            "ne": measured[column].to_list(),
            "trial": measured["trial_id"].to_list(),
            "key": measured["key"].to_list(),
            "x_text": [human(value) for value in measured["examples"]],
            "split": [split] * len(measured),
        }
        start, end = law.range
        columns["fill_alpha"] = [0.85 if start <= value <= end else 0.0 for value in columns["x"]]
        drawn = [mark(plot, columns, colours, marker)]
        if law.alpha is not None and law.beta is not None and law.gamma is not None:
            places = np.geomspace(start, end, 40)
            curve = power_law_value(places, alpha=law.alpha, beta=law.beta, gamma=law.gamma)
            drawn.append(add_line(plot, places, curve, colours, line_width=2))
        items.append(LegendItem(label=f"{split} NE", renderers=drawn))
    return finish(plot, items, None, rows["examples"].to_list(), reach=1.25, height=280)


def architectures_figure(
    lines: Mapping[str, tuple[pd.DataFrame, PowerLawFit | None]], bayes_ne: float | None, x: str = "data"
) -> Any:
    """One curve of every architecture, its baseline's or its frontier, with laws and bands.

    Args:
        lines: Points and law of each architecture's curve, by architecture.
        bayes_ne: Drawn as a dashed line where known.
        x: data, parameters (those outside the embedding tables) or compute.
    """
    plot = empty_figure(x, NON_EMBEDDING if x == "parameters" else AXIS_NAMES[x])
    palette = [TEST, TRAIN, *(SCHEMES[scheme].colours for scheme in "OMN")]
    items = []
    for rank, (architecture, (rows, fit)) in enumerate(lines.items()):
        colours = palette[rank % len(palette)]
        law = [] if fit is None else [*add_band(plot, fit, colours), *add_curve(plot, fit, colours, width=2)]
        marks = add_points(plot, rows, x, colours, MARKERS[rank % len(MARKERS)], fit)
        items.append(LegendItem(label=architecture, renderers=[marks, *law], index=len(rows) - 1))
    places = [place for rows, _ in lines.values() for place in rows[x]]
    return finish(plot, items, bayes_ne, places, wide=True)


def joint_figure(record: JointLaw) -> Any:
    """Lines of equal NE over parameters and data, the points they were fitted to, and the compute-optimal path.

    Args:
        record: A joint law that has a fit.
    """
    fit, path = record.fit, record.path
    tooltips = [("parameters", "@n_text"), ("examples", "@d_text"), ("NE", "@ne{0.0000}"), ("note", "@note")]
    plot = empty_figure(
        "parameters", axis_name("parameters", record.scheme), tooltips, "training examples", y_axis_type="log"
    )
    plot.yaxis.formatter = human_ticks()
    ns, ds = [*fit.n, *(step.n for step in path)], [*fit.d, *(step.d for step in path)]
    log_range(plot, min(ns) / 1.4, max(ns) * 1.4)
    bottom, top = min(ds) / 1.6, max(ds) * 1.6
    plot.y_range.update(start=bottom, end=top)
    plot.yaxis.ticker = plot.ygrid[0].ticker = FixedTicker(ticks=log_ticks(bottom, top))
    items = [_contours(plot, fit, bottom, top)]
    columns = {"x": short(fit.n), "y": short(fit.d), "ne": short(fit.y), "note": ["measured"] * len(fit.n)}
    items.append(LegendItem(label="measured", renderers=[mark(plot, _texts(columns), TEST, "circle", y="y", size=6)]))
    if path:
        route: dict[str, Any] = {
            "x": short(step.n for step in path),
            "y": short(step.d for step in path),
            "ne": [step.ne for step in path],
            "note": [_path_note(step) for step in path],
        }
        line = add_line(plot, route["x"], route["y"], TRAIN, line_width=3)
        stops = mark(plot, _texts(route), TRAIN, "diamond", y="y", size=11)
        items.append(LegendItem(label="compute-optimal path", renderers=[stops, line]))
    legend_below(plot, items, 330)
    return plot


def _contours(plot: Any, fit: JointFit, bottom: float, top: float) -> LegendItem:
    """Lines of equal NE."""
    ns = np.geomspace(plot.x_range.start, plot.x_range.end, 80)
    xs, ys = list[list[float]](), list[list[float]]()
    labels: dict[str, list[Any]] = {"x": [], "y": [], "text": []}
    for level in np.unique(np.quantile(fit.predict(fit.n, fit.d), np.linspace(0.05, 0.95, 5)).round(3)):
        d = fit.examples_for(ns, level)
        seen = (d >= bottom) & (d <= top)
        if seen.sum() > 1:
            xs.append(short(ns[seen]))
            ys.append(short(d[seen]))
            middle = int(np.flatnonzero(seen)[int(seen.sum() * 0.6)])
            for name, value in (("x", float(ns[middle])), ("y", float(d[middle])), ("text", f"{level:.3f}")):
                labels[name].append(value)
    lines = add(plot, MultiLine(xs="x", ys="y", line_width=1.2, line_alpha=0.75), {"x": xs, "y": ys})
    names = add(plot, Text(text_font_size="12px", text_align="center", y_offset=-2), labels)
    tint(lines.glyph, line_color=INK)
    tint(names.glyph, text_color=INK)
    return LegendItem(label="equal NE (the law)", renderers=[lines, names])


def _texts(columns: dict[str, Any]) -> dict[str, Any]:
    return columns | {
        "n_text": [human(value) for value in columns["x"]],
        "d_text": [human(value) for value in columns["y"]],
    }


def _path_note(step: PathStep) -> str:
    ends = interval(step.low, step.high, "{:.4f}".format)
    return f"best split of {human(step.budget, FLOPS)} FLOPs{', NE ' * bool(ends)}{ends}"


def _dimension_note(record: BestDimension, dim: int) -> str:
    marks = (("best", record.best), ("knee", record.knee))
    return " and ".join(name for name, marked in marks if marked == dim) or "measured"
