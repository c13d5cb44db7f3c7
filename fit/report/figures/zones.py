"""Two schemes against each other over parameters and data (the paper's Figures 7 and 8), as maps of three outcomes."""

from collections.abc import Mapping
from typing import Any

from bokeh.models import ColumnDataSource, FixedTicker, LegendItem

from tfrs_scaling.common.figures import CARD, FAINT, INK, MUTED, add_legend, blank_figure, tint
from tfrs_scaling.common.words import human
from tfrs_scaling.fit.labels import NON_EMBEDDING
from tfrs_scaling.fit.schemes import SCHEMES

_TOOLTIPS = [
    ("outcome", "@words"),
    ("parameters", "@parameters"),
    ("training examples", "@examples"),
    ("difference of NE", "@difference"),
    ("interval", "@interval"),
]


def zone_figure(zone: Mapping[str, Any]) -> Any:
    """A map of which of two schemes has the lower NE: by colour, and by a letter in every cell.

    Args:
        zone: A record of ``zones``: first, second, margin and cells.
    """
    first, second = zone["first"], zone["second"]
    columns = sorted({cell["parameters"] for cell in zone["cells"]})
    rows = sorted({cell["examples"] for cell in zone["cells"]})
    axis = NON_EMBEDDING if {first, second} <= {"O", "M"} else "parameters"
    height = 130 + max(34 * len(rows), 170)
    plot = blank_figure(axis, "training examples", _TOOLTIPS, height=height)
    plot.x_range.update(start=-0.5, end=len(columns) - 0.5)
    plot.y_range.update(start=-0.5, end=len(rows) - 0.5)
    plot.grid.visible = False
    for place, values in ((plot.xaxis, columns), (plot.yaxis, rows)):
        place.ticker = FixedTicker(ticks=list(range(len(values))))
        place.major_label_overrides = {at: human(float(value)) for at, value in enumerate(values)}
    outcomes = (
        (">", first, SCHEMES[first].colours, CARD),
        ("<", second, SCHEMES[second].colours, CARD),
        ("≈", "≈", FAINT, INK),
    )
    items = []
    for outcome, letter, back, front in outcomes:
        cells = [cell for cell in zone["cells"] if cell["outcome"] == outcome]
        if not cells:
            continue
        words = outcome_words(zone, outcome)
        source = ColumnDataSource(
            {
                "x": [columns.index(cell["parameters"]) for cell in cells],
                "y": [rows.index(cell["examples"]) for cell in cells],
                "words": [words] * len(cells),
                "letter": [letter] * len(cells),
                "parameters": [f"{cell['parameters']:,.0f}" for cell in cells],
                "examples": [f"{cell['examples']:,.0f}" for cell in cells],
                "difference": [_signed(cell["difference"]) for cell in cells],
                "interval": [f"{_signed(cell['low'])} to {_signed(cell['high'])}" for cell in cells],
            }
        )
        tile = plot.rect("x", "y", 0.94, 0.92, source=source, line_width=1)
        tint(tile.glyph, fill_color=back, line_color=MUTED)
        name = plot.text(
            "x", "y", "letter", source=source, text_align="center", text_baseline="middle", text_font_size="14px",
            text_font_style="bold",
        )  # fmt: skip
        tint(name.glyph, text_color=front)
        plot.hover[0].renderers.append(tile)
        items.append(LegendItem(label=words, renderers=[tile, name]))
    add_legend(plot, items, 1)
    return plot


def outcome_words(zone: Mapping[str, Any], outcome: str) -> str:
    """What an outcome of a zone says, such as ``V has the lower NE``."""
    first, second = zone["first"], zone["second"]
    return {
        ">": f"{first} has the lower NE",
        "<": f"{second} has the lower NE",
        "≈": f"≈ no difference beyond {zone['margin']:g}",
    }[outcome]


def pair_name(zone: Mapping[str, Any]) -> str:
    """The two schemes."""
    return f"{zone['first']} against {zone['second']}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.5f}".replace("-", "−")
