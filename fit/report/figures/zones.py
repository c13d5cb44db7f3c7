"""Two schemes against each other over parameters and data (the paper's Figures 7 and 8), as maps of three outcomes."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from bokeh.models import ColumnDataSource, FixedTicker, LegendItem

from tfrs_scaling.common.figures import CARD, FAINT, INK, MUTED, add_legend, blank_figure, tint
from tfrs_scaling.common.palette import Colours
from tfrs_scaling.common.words import UNKNOWN, human, interval, signed, signed_end
from tfrs_scaling.fit.analyses.zones import Cell, Zones
from tfrs_scaling.fit.labels import AXIS_NAMES, axis_name
from tfrs_scaling.fit.schemes import SCHEMES

_TOOLTIPS = [
    ("outcome", "@words"),
    ("parameters", "@parameters"),
    ("training examples", "@examples"),
    ("difference of NE", "@difference"),
    ("interval", "@interval"),
]


def zone_figure(zone: Zones) -> Any:
    """A map of which of two schemes has the lower NE: by colour, and by a letter in every cell."""
    columns = sorted({cell.parameters for cell in zone.cells})
    rows = sorted({cell.examples for cell in zone.cells})
    plot = _empty_map(axis_name("parameters", zone.first), columns, rows)
    items = []
    for outcome, letter, back, front in (
        (">", zone.first, SCHEMES[zone.first].colours, CARD),
        ("<", zone.second, SCHEMES[zone.second].colours, CARD),
        ("≈", "≈", FAINT, INK),
    ):
        cells = [cell for cell in zone.cells if cell.outcome == outcome]
        if cells:
            words = _outcome_words(zone, outcome)
            places: dict[str, list[Any]] = {
                "x": [columns.index(cell.parameters) for cell in cells],
                "y": [rows.index(cell.examples) for cell in cells],
                "words": [words] * len(cells),
                "letter": [letter] * len(cells),
            }
            items.append(LegendItem(label=words, renderers=_tiles(plot, cells, places, back, front)))
    add_legend(plot, items, 1)
    return plot


def _empty_map(x_label: str, columns: Sequence[float], rows: Sequence[float]) -> Any:
    """A figure with a place for every cell."""
    plot = blank_figure(x_label, AXIS_NAMES["data"], _TOOLTIPS, height=130 + max(32 * len(rows), 170))
    plot.x_range.update(start=-0.5, end=len(columns) - 0.5)
    plot.y_range.update(start=-0.5, end=len(rows) - 0.5)
    plot.grid.visible = False
    for axis, values in ((plot.xaxis, columns), (plot.yaxis, rows)):
        axis.ticker = FixedTicker(ticks=list(range(len(values))))
        axis.major_label_overrides = {at: human(float(value)) for at, value in enumerate(values)}
    return plot


def _tiles(plot: Any, cells: Sequence[Cell], places: dict[str, list[Any]], back: Colours, front: Colours) -> list[Any]:
    """Coloured tiles, each with its letter."""
    texts = {
        "parameters": [f"{cell.parameters:,.0f}" for cell in cells],
        "examples": [f"{cell.examples:,.0f}" for cell in cells],
        "difference": [signed(cell.difference, 5) for cell in cells],
        "interval": [interval(cell.low, cell.high, partial(signed_end, digits=5)) or UNKNOWN for cell in cells],
    }
    source = ColumnDataSource(places | texts)
    tile = plot.rect("x", "y", 0.94, 0.92, source=source, line_width=1)
    tint(tile.glyph, fill_color=back, line_color=MUTED)
    letter = plot.text(
        "x", "y", "letter", source=source, text_align="center", text_baseline="middle", text_font_size="14px",
        text_font_style="bold",
    )  # fmt: skip
    tint(letter.glyph, text_color=front)
    plot.hover[0].renderers.append(tile)
    return [tile, letter]


def _outcome_words(zone: Zones, outcome: str) -> str:
    return {
        ">": f"{zone.first} has the lower NE",
        "<": f"{zone.second} has the lower NE",
        "≈": f"≈ no difference beyond {zone.margin:g}",
    }[outcome]
