"""A frontier's law where it is a straight line: log (NE − γ), and what the points miss it by."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import FixedTicker, LegendItem, Segment, Span

from tfrs_scaling.common.figures import INK, MUTED, log_ticks, tint
from tfrs_scaling.common.words import human, signed
from tfrs_scaling.fit.labels import axis_name
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.figures.parts import (
    UNITS,
    add,
    add_line,
    empty_figure,
    legend_below,
    log_range,
    mark,
)
from tfrs_scaling.fit.schemes import SCHEMES


def excess_figure(frontier: pd.DataFrame, x: str, scheme: str, fit: PowerLawFit) -> Any:
    """NE above the floor of a frontier's law, both axes logarithmic.

    Args:
        frontier: The frontier's points: x, test_ne, plateau, trial_id and key.
        x: data, parameters or compute.
        scheme: Its letter.
        fit: Its law, whose floor lies below every point.
    """
    tooltips = [("shape", "@trial"), ("NE − γ", "@ne{0.00000}"), ("x", "@x_text")]
    plot = empty_figure(
        x, axis_name(x, scheme), tooltips, f"NE − γ, γ = {fit.gamma:.4f}", y_axis_type="log", height=300
    )
    excess = frontier["test_ne"] - fit.gamma
    shown = frontier[excess > 0]
    columns = _columns(shown, x) | {"ne": (shown["test_ne"] - fit.gamma).to_list()}
    dots = mark(plot, columns, SCHEMES[scheme].colours, "circle")
    places = np.geomspace(min(fit.x), max(fit.x), 40)
    line = add_line(plot, places, fit.predict(places) - fit.gamma, INK, line_width=2.5)
    low, high = 0.8 * min(columns["ne"]), 1.25 * max(columns["ne"])
    plot.y_range.update(start=low, end=high)
    plot.yaxis.ticker = plot.ygrid[0].ticker = FixedTicker(ticks=log_ticks(low, high))
    _same_range(plot, frontier, x)
    label = f"its law, β = {fit.beta:.3f}"
    items = [
        LegendItem(label="frontier", renderers=[dots], index=len(columns["x"]) - 1),
        LegendItem(label=label, renderers=[line]),
    ]
    legend_below(plot, items, 280, wide=True)
    return plot


def residual_figure(frontier: pd.DataFrame, x: str, scheme: str, fit: PowerLawFit, errors: Sequence[float]) -> Any:
    """What the points of a frontier miss its law by, with the interval of each.

    Args:
        frontier: As in ``excess_figure``.
        x: data, parameters or compute.
        scheme: Its letter.
        fit: Its law.
        errors: Half the width of the interval of each point's NE; NaN where the noise is unknown.
    """
    tooltips = [("shape", "@trial"), ("NE less the law", "@miss"), ("x", "@x_text")]
    plot = empty_figure(x, axis_name(x, scheme), tooltips, "residual", height=150)
    half = np.nan_to_num(np.asarray(errors, dtype=np.float64))
    fitted = (frontier[x] >= min(fit.x)).to_numpy()
    rows, half = frontier[fitted], half[fitted]
    missed = (rows["test_ne"] - fit.predict(rows[x])).to_numpy()
    columns = _columns(rows, x) | {"ne": missed.tolist(), "miss": [signed(float(value), 5) for value in missed]}
    ends = {"x": columns["x"], "low": (missed - half).tolist(), "high": (missed + half).tolist()}
    bars = add(plot, Segment(x0="x", x1="x", y0="low", y1="high", line_width=1.5), ends)
    tint(bars.glyph, line_color=MUTED)
    mark(plot, columns, SCHEMES[scheme].colours, "circle")
    zero = Span(location=0, dimension="width", line_width=1)
    tint(zero, line_color=INK)
    plot.add_layout(zero)
    reach = 1.15 * max(np.abs(missed).max(initial=0.0) + half.max(initial=0.0), 1e-6)
    plot.y_range.update(start=-reach, end=reach)
    _same_range(plot, frontier, x)
    return plot


def _columns(rows: pd.DataFrame, x: str) -> dict[str, Any]:
    return {
        "x": rows[x].astype("float64").to_list(),
        "trial": rows["trial_id"].to_list(),
        "key": rows["key"].to_list(),
        "x_text": [human(value, UNITS[x]) for value in rows[x]],
        "fill_alpha": np.where(rows["plateau"] & (x != "parameters"), 0.0, 0.85).tolist(),
    }


def _same_range(plot: Any, frontier: pd.DataFrame, x: str) -> None:
    """The two figures stand one below the other."""
    plot.min_border_left = 80
    log_range(plot, 0.8 * float(frontier[x].min()), 1.25 * float(frontier[x].max()))
