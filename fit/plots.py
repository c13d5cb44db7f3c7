"""Every Bokeh figure: NE against data, parameters and compute, with laws, bands and the frontier.

Colours come in pairs, one for a light page and one for a dark one, as ``tfrs_scaling.input.page`` wants them.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, FixedTicker, Label, LegendItem, Span
from bokeh.palettes import viridis

from tfrs_scaling.fit.power_law import PowerLawFit
from tfrs_scaling.fit.screening import selected
from tfrs_scaling.fit.study_fits import (
    AXES,
    FRONTIER,
    find_line,
    frontier_points,
    multiplier_label,
    points,
)
from tfrs_scaling.input import page
from tfrs_scaling.input.page import COUNTS, INK, MUTED, Units, add_legend, blank_figure, human_ticks, log_ticks, tint

AXIS_NAMES = {
    "data": "training examples",
    "parameters": "parameters",
    "compute": "training compute (FLOPs)",
}
NON_EMBEDDING = "parameters outside the embedding tables"
EXTRAPOLATION = 8.0  # how far beyond the data a law is drawn, dashed
SCHEME_COLOURS = {  # Okabe and Ito (2008): told apart with any colour vision, on white and on black
    "D": ("#6b6b6b", "#a8a8a8"),
    "V": ("#0072b2", "#56b4e9"),
    "H": ("#d55e00", "#e8853a"),
    "O": ("#009e73", "#2fc39a"),
    "M": ("#b8578f", "#d98cba"),
    "F": ("#5b4300", "#f0e442"),  # theirs is too pale for white, and has no violet: both fit among the others
    "N": ("#2e2585", "#8f7bff"),
    "E": ("#500000", "#78f0f0"),
}
_SHORT_NAMES = {
    "D": "D baseline", "V": "V rows", "H": "H dimension", "O": "O over-arch", "M": "M all MLPs", "F": "F features",
    "N": "N negatives", "E": "E epochs",
}  # fmt: skip
_MARKERS = (
    "circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star", "square_pin", "triangle_pin",
)  # fmt: skip
_UNITS: dict[str, Units] = {
    "data": COUNTS,
    "parameters": COUNTS,
    "compute": [("Z", 1e21), ("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)],
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


def human(value: float, x: str = "data") -> str:
    """A count in few characters: 1280000 is 1.28M, 3e15 of compute is 3P."""
    return page.human(value, _UNITS[x])


def axis_name(x: str, scheme: str) -> str:
    """What an axis measures, in words: O and M are set against the parameters they change."""
    return NON_EMBEDDING if x == "parameters" and scheme in ("O", "M") else AXIS_NAMES[x]


def study_figures(
    runs: pd.DataFrame, fits: Mapping[str, Any], *, bayes_ne: float | None = None
) -> dict[tuple[str, str, str], Any]:
    """All figures of a study.

    Args:
        runs: The run table.
        fits: What ``fit_study`` made of it.
        bayes_ne: Drawn as a dashed line where known.

    Returns:
        Bokeh figures by (architecture, scheme, x); under the scheme ``all``, the frontiers of all schemes.
    """
    figures, chosen = {}, selected(runs).reset_index(drop=True)
    for architecture in sorted({record["architecture"] for record in fits["lines"]}):
        schemes = [
            scheme
            for scheme in AXES
            if any((r["scheme"], r["architecture"]) == (scheme, architecture) for r in fits["lines"])
        ]
        rows = {scheme: points(chosen, architecture, scheme) for scheme in schemes}
        for x in AXIS_NAMES:
            shown = {s: r for s, r in rows.items() if x in AXES[s]}
            # The axes of V, H and F count all parameters, those of O and M some: they do not share a figure.
            if len(shown) > 1 and x != "parameters":
                figures[architecture, "all", x] = frontiers_figure(shown, fits, x, architecture, bayes_ne)
            for scheme, of_scheme in shown.items():
                if scheme != "D" or len(schemes) == 1:
                    figures[architecture, scheme, x] = scheme_figure(of_scheme, fits, scheme, x, architecture, bayes_ne)
    return figures


def scheme_figure(
    rows: pd.DataFrame,
    fits: Mapping[str, Any],
    scheme: str,
    x: str,
    architecture: str,
    bayes_ne: float | None,
) -> Any:
    """One scheme's points and laws: a line per multiplier (per data size, against parameters).

    Args:
        rows: What ``points`` returned for the scheme.
        fits: The fits of the study.
        scheme: V, H, O, M, F, N or D.
        x: data, parameters or compute.
        architecture: Whose fits to draw.
        bayes_ne: Drawn as a dashed line where known.
    """
    plot = _empty_figure(x, axis_name(x, scheme))
    key = "examples" if x == "parameters" else "multiplier"
    names = sorted(rows[key].unique())
    drawn = []
    for rank, name in enumerate(names):
        line = rows[rows[key] == name].sort_values([x, "seed"])
        label = str(name) if x == "parameters" else multiplier_label(name)
        found = find_line(fits, scheme=scheme, x=x, line=label, architecture=architecture)
        colours = _ramp(rank, len(names))
        curve = [] if found is None else _curve(plot, found[1], colours, width=1.5)
        scatter = _points(plot, line, x, colours, _MARKERS[rank % len(_MARKERS)], found and found[1])
        shown = human(float(name)) if x == "parameters" else f"{label}×"
        drawn.append(LegendItem(label=shown, renderers=[scatter, *curve], index=len(line) - 1))
    found = find_line(fits, scheme=scheme, x=x, line=FRONTIER, architecture=architecture)
    frontier = frontier_points(rows, x)
    ring = _ring(plot, frontier, x)
    emphasis = [] if found is None else [*_band(plot, found[1], INK), *_curve(plot, found[1], INK, width=3)]
    drawn.append(LegendItem(label="frontier", renderers=[ring, *emphasis]))
    return _finish(plot, drawn, rows["test_ne"], bayes_ne, rows[x])


def frontiers_figure(
    rows: Mapping[str, pd.DataFrame],
    fits: Mapping[str, Any],
    x: str,
    architecture: str,
    bayes_ne: float | None,
) -> Any:
    """The Pareto frontiers of several schemes against one axis, with their laws and bands.

    Args:
        rows: By scheme, what ``points`` returned.
        fits: The fits of the study.
        x: data or compute.
        architecture: Whose fits to draw.
        bayes_ne: Drawn as a dashed line where known.
    """
    plot = _empty_figure(x, AXIS_NAMES[x])
    drawn, losses, places = [], [], []
    for rank, (scheme, of_scheme) in enumerate(rows.items()):
        frontier = frontier_points(of_scheme, x)
        frontier = frontier.assign(trial_id=[_shape_name(row) for _, row in frontier.iterrows()])
        found = find_line(fits, scheme=scheme, x=x, line=FRONTIER, architecture=architecture)
        colours = SCHEME_COLOURS[scheme]
        law = [] if found is None else [*_band(plot, found[1], colours), *_curve(plot, found[1], colours, width=2)]
        marks = _points(plot, frontier, x, colours, _MARKERS[rank], found and found[1])
        drawn.append(LegendItem(label=_SHORT_NAMES[scheme], renderers=[marks, *law], index=len(frontier) - 1))
        losses.append(frontier["test_ne"])
        places.append(frontier[x])
    return _finish(plot, drawn, pd.concat(losses), bayes_ne, pd.concat(places))


def _shape_name(row: "pd.Series[Any]") -> str:
    return f"{row['scheme']} {multiplier_label(row['multiplier'])}× at {human(row['examples'])} examples"


def _empty_figure(x: str, name: str) -> Any:
    plot = blank_figure(name, "normalized entropy (test)", _TOOLTIPS, x_axis_type="log", height=400)
    plot.xaxis.formatter = human_ticks(_UNITS[x])
    return plot


def _points(
    plot: Any,
    rows: pd.DataFrame,
    x: str,
    colours: tuple[str, str],
    marker: str,
    fit: PowerLawFit | None,
) -> Any:
    """Measured points; hollow where they lie on the plateau and take no part in the fit."""
    out = rows["plateau"] if x != "parameters" else pd.Series(False, index=rows.index)
    drawn = fit is not None and fit.status != "too_few_points"
    residuals = rows["test_ne"] - fit.predict(rows[x]) if fit is not None and drawn else None
    size = len(rows)
    source = ColumnDataSource(
        {
            "x": rows[x].astype("float64").to_list(),
            "ne": rows["test_ne"].to_list(),
            "fill_alpha": np.where(out, 0.0, 0.85).tolist(),
            "trial": rows["trial_id"].to_list(),
            "x_text": [human(value, x) for value in rows[x]],
            "seed": rows["seed"].to_list() if "seed" in rows else ["mean of all"] * size,
            "rate": [f"{v:g}" for v in rows["learning_rate"]] if "learning_rate" in rows else ["selected"] * size,
            "residual": ["no fit"] * size if residuals is None else [f"{value:+.5f}" for value in residuals],
            "note": np.where(out, "on the plateau: not in the fit", "in the fit").tolist(),
        }
    )
    scatter = plot.scatter("x", "ne", source=source, marker=marker, size=8, fill_alpha="fill_alpha", line_width=1.5)
    tint(scatter.glyph, line_color=colours, fill_color=colours)
    plot.hover[0].renderers.append(scatter)
    return scatter


def _ring(plot: Any, frontier: pd.DataFrame, x: str) -> Any:
    ring = plot.scatter(
        frontier[x].astype("float64").to_list(), frontier["test_ne"].to_list(), marker="circle", size=15,
        fill_alpha=0.0, line_width=1.2, line_alpha=0.55,
    )  # fmt: skip
    tint(ring.glyph, line_color=INK)
    return ring


def _curve(plot: Any, fit: PowerLawFit, colours: tuple[str, str], width: float) -> list[Any]:
    """The law: solid where it was fitted, dashed beyond where its status allows to extrapolate."""
    if fit.status in ("too_few_points", "not_monotone"):
        return []
    low, high = min(fit.x), max(fit.x)
    pieces = [(low, high, "solid")]
    if fit.status == "ok":
        pieces.append((high, high * EXTRAPOLATION, "dashed"))
    curves = []
    for start, end, dash in pieces:
        places = np.geomspace(start, end, 60)
        curve = plot.line(
            places.tolist(), fit.predict(places).tolist(), line_dash=dash, line_width=width, line_alpha=0.9
        )
        tint(curve.glyph, line_color=colours)
        curves.append(curve)
    return curves


def _band(plot: Any, fit: PowerLawFit, colours: tuple[str, str]) -> list[Any]:
    if fit.status in ("too_few_points", "not_monotone"):
        return []
    reach = EXTRAPOLATION if fit.status == "ok" else 1.0
    places = np.geomspace(min(fit.x), max(fit.x) * reach, 60)
    low, high = fit.predict_interval(places)
    band = plot.varea(places.tolist(), low.tolist(), high.tolist(), fill_alpha=0.14)
    tint(band.glyph, fill_color=colours)
    return [band]


def _finish(
    plot: Any, items: list[Any], losses: "pd.Series[Any]", bayes_ne: float | None, places: "pd.Series[Any]"
) -> Any:
    """Ranges set by the points (a wide band must not flatten them), the floor, the legend."""
    seen = [*losses, bayes_ne] if bayes_ne is not None else [*losses]
    height = (max(seen) - min(seen)) or 0.1
    plot.y_range.update(start=min(seen) - 0.15 * height, end=max(seen) + 0.06 * height)
    start, end = 0.8 * float(places.min()), float(places.max()) * EXTRAPOLATION
    plot.x_range.update(start=start, end=end)
    plot.xaxis.ticker = plot.xgrid[0].ticker = FixedTicker(ticks=log_ticks(start, end))
    if bayes_ne is not None:
        floor = Span(location=bayes_ne, dimension="width", line_dash="dotted", line_width=1.5)
        name = Label(
            x=8, x_units="screen", y=bayes_ne, y_offset=3, text=f"Bayes NE {bayes_ne:.4f}", text_font_size="12px"
        )
        tint(floor, line_color=MUTED)
        tint(name, text_color=MUTED)
        plot.add_layout(floor)
        plot.add_layout(name)
    columns = 4 if len(items) > 5 else 3
    plot.height = 345 + 26 * math.ceil(len(items) / columns)  # a long legend must not eat the plot
    add_legend(plot, items, columns)
    return plot


def _ramp(rank: int, count: int) -> tuple[str, str]:
    """The colours of the rank-th of count ordered lines, the pale end off white, the dark end off black."""
    share = rank / max(count - 1, 1)
    palette = viridis(256)
    return palette[round(10 + 180 * share)], palette[round(80 + 165 * share)]
