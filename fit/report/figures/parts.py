"""The parts of a study's figures: axes, points, laws with their bands, frontiers, legends.

Colours come in pairs, one for a light page and one for a dark one, see ``tfrs_scaling.common.palette``.
A source of points has the column ``key``, the ids of a point's trials, one a line: through it the page links what is
selected in one figure to all others.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    DataRange1d,
    FixedTicker,
    Label,
    Line,
    Scatter,
    TapTool,
    VArea,
)
from bokeh.palettes import viridis

from tfrs_scaling.common.figures import INK, MUTED, add_legend, blank_figure, human_ticks, log_ticks, tint
from tfrs_scaling.common.palette import Colours
from tfrs_scaling.common.words import COUNTS, FLOPS, Units, human
from tfrs_scaling.fit.extrapolation.predictive import predictive_interval
from tfrs_scaling.fit.laws.power_law import PowerLawFit

NE_AXIS = "normalized entropy (test)"
EXTRAPOLATION = 8.0  # how far beyond the data a law is drawn, dashed
MARKERS = (
    "circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star", "square_pin", "triangle_pin",
    "diamond_cross", "circle_cross", "square_cross", "circle_dot", "square_dot", "triangle_dot", "hex_dot",
)  # fmt: skip
UNITS: dict[str, Units] = {
    "data": COUNTS,
    "parameters": COUNTS,
    "compute": FLOPS,
}
_TOOLTIPS = [
    ("trial", "@trial"),
    ("NE", "@ne{0.00000}"),
    ("x", "@x_text"),
    ("seed", "@seed"),
    ("learning rate", "@rate"),
    ("residual", "@residual"),
    ("note", "@note"),
]


def plain(text: str) -> str:
    """A text out of data as a label: Bokeh would typeset what is between two ``$$``."""
    return text.replace("$$", "$\u200b$")


def empty_figure(
    x: str, name: str, tooltips: list[tuple[str, str]] | None = None, y_label: str = NE_AXIS, **options: Any
) -> Any:
    """A figure with a log axis of data, parameters or compute, whose points can be selected.

    Args:
        x: data, parameters or compute: the unit of the axis.
        name: What the axis measures.
        tooltips: As in ``blank_figure``; by default those of measured points.
        y_label: What the other axis measures.
        options: Further options of ``bokeh.plotting.figure``.
    """
    options = {"x_axis_type": "log", "height": 400} | options
    plot = blank_figure(name, y_label, _TOOLTIPS if tooltips is None else tooltips, **options)
    plot.xaxis.formatter = human_ticks(UNITS[x])
    selectable(plot)
    return plot


def selectable(plot: Any) -> None:
    """Let points be selected, by a tap or a box (which takes a click on its tool first)."""
    tap, box = TapTool(renderers=[]), BoxSelectTool(renderers=[])
    plot.add_tools(tap, box)
    plot.toolbar.active_drag = None
    plot.toolbar.active_tap = tap


def add_points(
    plot: Any,
    rows: pd.DataFrame,
    x: str,
    colours: Colours,
    marker: str,
    fit: PowerLawFit | None,
) -> Any:
    """Measured points; hollow where they lie on the plateau and take no part in the fit.

    Args:
        plot: Figure to draw into.
        rows: Columns x, test_ne, plateau and trial_id; seed, learning_rate and key as far as there are.
        x: data, parameters or compute.
        colours: Colours of the points, light and dark.
        marker: Shape of the points.
        fit: The law from which residuals are measured.
    """
    out = rows["plateau"] if x != "parameters" else pd.Series(False, index=rows.index)
    drawn = fit is not None and fit.status.is_fitted
    residuals = rows["test_ne"] - fit.predict(rows[x]) if fit is not None and drawn else None
    size = len(rows)
    return mark(
        plot,
        {
            "x": rows[x].astype("float64").to_list(),
            "ne": short(rows["test_ne"]),
            "fill_alpha": np.where(out, 0.0, 0.85).tolist(),
            "trial": rows["trial_id"].to_list(),
            "key": rows["key" if "key" in rows else "trial_id"].to_list(),
            "x_text": [human(value, UNITS[x]) for value in rows[x]],
            "seed": rows["seed"].to_list() if "seed" in rows else ["mean of all"] * size,
            "rate": _rates(rows),
            "residual": ["no fit"] * size if residuals is None else [f"{value:+.5f}" for value in residuals],
            "note": np.where(out, "on the plateau: not in the fit", "in the fit").tolist(),
        },
        colours,
        marker,
    )


def _rates(rows: pd.DataFrame) -> list[str]:
    if "learning_rate" not in rows:
        return ["selected"] * len(rows)
    return ["not recorded" if math.isnan(rate) else f"{rate:g}" for rate in rows["learning_rate"]]


def mark(plot: Any, columns: dict[str, Any], colours: Colours, marker: str, *, y: str = "ne", size: int = 8) -> Any:
    """Points with tooltips that can be selected: then they are larger and in ink, and the others pale.

    Args:
        plot: Figure to draw into, made by ``empty_figure`` or ``selectable``.
        columns: Columns of the points: ``x``, the y, ``key`` if they can be linked, and whatever the tooltips show.
        colours: Colours of the points, light and dark.
        marker: Shape of the points.
        y: Name of the column to plot on the y axis.
        size: Size of the points in pixels.
    """
    alpha: Any = "fill_alpha" if "fill_alpha" in columns else 0.85
    look = {"x": "x", "y": y, "marker": marker}
    pale = Scatter(**look, size=size, fill_alpha=0.12, line_alpha=0.18)
    scatter = add(
        plot,
        Scatter(**look, size=size, fill_alpha=alpha, line_width=1.5),
        columns,
        selection_glyph=Scatter(**look, size=size + 6, fill_alpha=alpha, line_width=3),
        nonselection_glyph=pale,
        muted_glyph=pale,
    )
    tint(scatter.glyph, line_color=colours, fill_color=colours)
    tint(scatter.selection_glyph, line_color=INK, fill_color=colours)
    tint(pale, line_color=colours, fill_color=colours)
    plot.hover[0].renderers.append(scatter)
    for tool in plot.tools:
        if isinstance(tool, TapTool | BoxSelectTool):
            tool.renderers.append(scatter)
    return scatter


def add(plot: Any, glyph: Any, columns: dict[str, Any], **options: Any) -> Any:
    """A renderer of a glyph; ``plot.line`` and the like would make three glyphs for each, most of them unused."""
    return plot.add_glyph(ColumnDataSource(columns), glyph, **options)


def add_ring(plot: Any, frontier: pd.DataFrame, x: str) -> Any:
    """Rings around the points of a frontier."""
    columns = {"x": frontier[x].astype("float64").to_list(), "y": frontier["test_ne"].to_list()}
    ring = add(plot, Scatter(marker="circle", size=15, fill_alpha=0.0, line_width=1.2, line_alpha=0.55), columns)
    tint(ring.glyph, line_color=INK)
    return ring


def add_line(plot: Any, x: Iterable[float], y: Iterable[float], colours: Colours, **options: Any) -> Any:
    """A line through places; seven digits are more than a screen shows."""
    curve = add(plot, Line(**options), {"x": short(x), "y": short(y)})
    tint(curve.glyph, line_color=colours)
    return curve


def add_curve(plot: Any, fit: PowerLawFit, colours: Colours, width: float) -> list[Any]:
    """The law: solid where it was fitted, dashed beyond where its status allows to extrapolate."""
    if not fit.status.has_law:
        return []
    low, high = min(fit.x), max(fit.x)
    pieces = [(low, high, "solid")]
    if fit.status.has_floor:
        pieces.append((high, high * EXTRAPOLATION, "dashed"))
    curves = []
    for start, end, dash in pieces:
        places = np.geomspace(start, end, 40)
        curves.append(add_line(plot, places, fit.predict(places), colours, line_dash=dash, line_width=width))
    return curves


def add_band(plot: Any, fit: PowerLawFit, colours: Colours) -> list[Any]:
    """The interval of a law, as far as it is drawn; beyond its points, paler, that of a further measurement."""
    if not fit.status.has_law:
        return []
    places = np.geomspace(min(fit.x), max(fit.x), 40)
    bands = [(places, *fit.predict_interval(places), 0.14)]
    if fit.status.has_floor:
        beyond = np.geomspace(max(fit.x), max(fit.x) * EXTRAPOLATION, 20)
        interval = predictive_interval(fit, beyond)
        assert interval is not None, "the fit has a law"
        bands.append((beyond, interval.low, interval.high, 0.07))
    drawn = []
    for x, low, high, alpha in bands:
        band = add(plot, VArea(fill_alpha=alpha), {"x": short(x), "y1": short(low), "y2": short(high)})
        tint(band.glyph, fill_color=colours)
        drawn.append(band)
    return drawn


def finish(
    plot: Any,
    items: list[Any],
    bayes_ne: float | None,
    places: Sequence[float],
    *,
    reach: float = EXTRAPOLATION,
    wide: bool = False,
    height: int = 345,
) -> Any:
    """Ranges set by the points and curves in sight (a wide band must not flatten them), the Bayes NE, the legend.

    Args:
        plot: The figure.
        items: Items of its legend; hiding one fits the y axis to the others.
        bayes_ne: Drawn as a dotted line where known.
        places: Every x that must be visible.
        reach: How far beyond the largest x the axis goes.
        wide: Whether the figure is as wide as the page.
        height: Pixels of the plot of any other.
    """
    start, end = 0.8 * float(min(places)), float(max(places)) * reach
    log_range(plot, start, end)
    shown = [each for item in items for each in item.renderers if isinstance(each.glyph, Scatter | Line)]
    if bayes_ne is not None:
        shown.append(add_line(plot, [start, end], [bayes_ne] * 2, MUTED, line_dash="dotted", line_width=1.5))
        name = Label(
            x=8, x_units="screen", y=bayes_ne, y_offset=3, text=f"Bayes NE {bayes_ne:.4f}", text_font_size="12px"
        )
        tint(name, text_color=MUTED)
        plot.add_layout(name)
    plot.y_range = DataRange1d(renderers=shown, only_visible=True, range_padding=0.15)
    legend_below(plot, items, 236 if wide else height, wide=wide)
    return plot


def legend_below(plot: Any, items: list[Any], height: int, *, wide: bool = False) -> None:
    """A legend that may be long without eating the plot, which gets this many pixels; the page's script gives it as
    many columns as there is room for."""
    columns = 8 if wide else 4 if len(items) > 5 else 3
    plot.height = height + 26 * math.ceil(len(items) / columns)
    add_legend(plot, items, columns)


def log_range(plot: Any, start: float, end: float) -> None:
    """The range of the log x axis, with ticks that are dense enough."""
    plot.x_range.update(start=start, end=end)
    plot.xaxis.ticker = plot.xgrid[0].ticker = FixedTicker(ticks=log_ticks(start, end))


def ramp(rank: int, count: int) -> Colours:
    """The colours of the rank-th of count ordered lines: each has a contrast of 3 or more with the page (WCAG 1.4.11),
    the first of a light page with white at the pale end, of a dark page with black at the dark end."""
    share = rank / max(count - 1, 1)
    palette = viridis(256)
    return palette[round(10 + 135 * share)], palette[round(95 + 150 * share)]


def short(values: Iterable[float]) -> list[float]:
    """Numbers of a curve to seven digits, which keeps the page small."""
    return [float(f"{value:.7g}") for value in values]
