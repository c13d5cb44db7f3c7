"""What all Bokeh figures share: colours for a light and a dark page, axes, ticks, legends.

Colours come in pairs, one for a light page and one for a dark one. A figure is drawn in the light colours; the tags
``property|light|dark`` of a model let the page's script switch between them.
"""

import math
from pathlib import Path
from typing import Any

from bokeh.models import (
    BoxZoomTool,
    CustomJSTickFormatter,
    HoverTool,
    Legend,
    LegendItem,
    NoOverlap,
    PanTool,
    ResetTool,
    SaveTool,
)
from bokeh.plotting import figure

from tfrs_scaling.common.palette import Colours
from tfrs_scaling.common.words import COUNTS, Units

INK: Colours = ("#16181d", "#f2f3f5")
MUTED = ("#5b6270", "#a4abb8")
FAINT = ("#e6e8ec", "#2b303a")
CARD = ("#ffffff", "#181b21")
_TICKS = Path(__file__).with_name("ticks.js").read_text(encoding="utf-8")


def human_ticks(units: Units = COUNTS) -> CustomJSTickFormatter:
    """Writes the ticks of an axis as ``human`` writes counts."""
    return CustomJSTickFormatter(code=f"\n{_TICKS}", args={"units": units})


def blank_figure(x_label: str, y_label: str, tooltips: list[tuple[str, str]], **options: Any) -> Any:
    """A figure without data, as wide as the page lets it be.

    Args:
        x_label: What the axis measures; Bokeh takes ``$$`` in it for mathematics, so no text out of data.
        y_label: What the y axis measures; likewise.
        tooltips: For each hover line, its name and the ``@column`` to show; the hover tool has no renderers yet.
        options: Further options of ``bokeh.plotting.figure``, such as ``x_axis_type``.
    """
    tools = [HoverTool(tooltips=tooltips, renderers=[]), BoxZoomTool(), PanTool(), ResetTool(), SaveTool()]
    plot = figure(
        sizing_mode="stretch_width", min_width=240, tools=tools, toolbar_location="right", output_backend="canvas",
        x_axis_label=x_label, y_axis_label=y_label, **options,
    )  # fmt: skip
    plot.toolbar.logo = None
    plot.toolbar.active_drag = None  # a finger that scrolls the page must not drag the plot
    plot.toolbar.autohide = True
    plot.axis.major_label_policy = NoOverlap()
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.axis_label_text_font_size = "13px"
    plot.axis.major_label_text_font_size = "12px"
    plot.axis.minor_tick_line_color = None
    tint(plot, background_fill_color=CARD, border_fill_color=CARD, outline_line_color=FAINT)
    for axis in plot.axis:
        tint(
            axis, axis_label_text_color=INK, major_label_text_color=MUTED, axis_line_color=MUTED,
            major_tick_line_color=MUTED,
        )  # fmt: skip
    for grid in plot.grid:
        tint(grid, grid_line_color=FAINT)
    return plot


def add_legend(plot: Any, items: list[LegendItem], columns: int) -> None:
    """A legend below the plot; a click on a name hides what it names."""
    legend = Legend(items=items, click_policy="hide", ncols=columns, orientation="horizontal", location="center")
    legend.update(label_text_font_size="12px", border_line_color=None, padding=4, spacing=8, glyph_width=22)
    tint(legend, label_text_color=INK, background_fill_color=CARD, inactive_fill_color=CARD)
    plot.add_layout(legend, "below")


def log_ticks(start: float, end: float) -> list[float]:
    """Ticks of a log axis, denser the fewer decades it spans (Bokeh's own turn linear below two decades)."""
    decades = math.log10(end / start)
    steps = (1, 2, 5) if decades < 2 else (1, 3) if decades < 4 else (1,)
    powers = range(math.floor(math.log10(start)), math.ceil(math.log10(end)) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return [tick for tick in ticks if start <= tick <= end]


def tint(model: Any, **colours: Colours) -> None:
    """Set colour properties to their light values, and note both for the page to choose from."""
    for name, (light, dark) in colours.items():
        setattr(model, name, light)
        model.tags = [*model.tags, f"{name}|{light}|{dark}"]
