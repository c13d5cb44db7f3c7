"""The figure of a table's curves: points, laws, and what is expected beyond them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from bokeh.models import LegendItem, VArea

from tfrs_scaling.common.figures import blank_figure, human_ticks, tint
from tfrs_scaling.common.palette import BLUE, GREEN, VERMILION, Colours
from tfrs_scaling.fit.curves.grids import place_words
from tfrs_scaling.fit.curves.records import CurveFit, TableFit
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.figures.parts import (
    MARKERS,
    add,
    add_band,
    add_curve,
    add_line,
    finish,
    mark,
    plain,
    ramp,
    short,
)
from tfrs_scaling.fit.schemes import SCHEMES

_REACH = 10.0  # times the largest x
_HIGHER = 100  # pixels than a figure of the report, as it is the only one
_LONGEST = 36  # characters of a name in the legend
_PALETTE: tuple[Colours, ...] = (BLUE, VERMILION, GREEN, SCHEMES["M"].colours, SCHEMES["N"].colours)


def curves_figure(table: TableFit) -> Any:
    """A Bokeh figure of every curve, solid where its law was fitted, dashed where it is extrapolated."""
    names = table.columns
    tooltips = [("curve", "@name"), (plain(names.x), "@x_text"), (plain(names.y), "@ne{0.00000}"), ("", "@note")]
    plot = blank_figure(plain(names.x), plain(names.y), tooltips, x_axis_type="log")
    plot.xaxis.formatter = human_ticks()
    count, items = len(table.curves), []
    for rank, curve in enumerate(table.curves):
        colours = _PALETTE[rank] if count <= len(_PALETTE) else ramp(rank, count)
        law = _law(plot, curve, table.level, colours)
        left_out = set(curve.law.left_out) if curve.law else set()
        columns = {
            "x": list(curve.x),
            "ne": list(curve.y),
            "name": [plain(curve.name or names.y)] * len(curve.x),
            "x_text": [place_words(x) for x in curve.x],
            "fill_alpha": [0.0 if x in left_out else 0.85 for x in curve.x],
            "note": ["on the plateau: not in the fit" if x in left_out else "in the fit" for x in curve.x],
        }
        points = mark(plot, columns, colours, MARKERS[rank % len(MARKERS)])
        items.append(
            LegendItem(label=_in_legend(curve.name or names.y), renderers=[points, *law], index=len(curve.x) - 1)
        )
    places = [x for curve in table.curves for x in curve.x]
    finish(plot, items, None, places, reach=_REACH)
    plot.height += _HIGHER
    return plot


def power_law_plot(laws: PowerLawFit | Mapping[str, PowerLawFit], *, x_name: str = "x", y_name: str = "loss") -> Any:
    """A Bokeh figure of one or several power laws with their points, as the report draws them.

    Within the data a band is the interval of the law; beyond them, where the law may be extrapolated, it is that of
    one further measurement, which allows for the form being wrong (``predictive_interval``).

    Args:
        laws: The law, or laws by name.
        x_name: What x is.
        y_name: What the loss is.

    Raises:
        TypeError: one of them is the fit of another form.
        ValueError: there is none.

    Examples:
        >>> from tfrs_scaling.fit import fit_power_law
        >>> x = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000]
        >>> plot = power_law_plot(fit_power_law(x, [0.97, 0.94, 0.915, 0.895, 0.88, 0.868]), x_name="tokens")
        >>> plot.xaxis[0].axis_label
        'tokens'
    """
    named = dict(laws) if isinstance(laws, Mapping) else {"measured": laws}
    if not named:
        raise ValueError("there is no law to draw; give one or more")
    for name, law in named.items():
        if not isinstance(law, PowerLawFit):
            raise TypeError(
                f"{name!r} is a {type(law).__name__}; power_law_plot draws a PowerLawFit, or several by name; other "
                "fits have a method plot()"
            )
    tooltips = [("", "@name"), (plain(x_name), "@x_text"), (plain(y_name), "@ne{0.00000}")]
    plot = blank_figure(plain(x_name), plain(y_name), tooltips, x_axis_type="log")
    plot.xaxis.formatter = human_ticks()
    items = []
    for rank, (name, law) in enumerate(named.items()):
        colours = _PALETTE[rank] if len(named) <= len(_PALETTE) else ramp(rank, len(named))
        drawn = [*add_band(plot, law, colours), *add_curve(plot, law, colours, width=2)]
        columns = {
            "x": list(law.x),
            "ne": list(law.y),
            "name": [plain(name)] * law.n,
            "x_text": [place_words(x) for x in law.x],
        }
        points = mark(plot, columns, colours, MARKERS[rank % len(MARKERS)])
        items.append(LegendItem(label=_in_legend(name), renderers=[points, *drawn], index=law.n - 1))
    return finish(plot, items, None, [x for law in named.values() for x in law.x])


def _in_legend(name: str) -> str:
    """The name, shortened in the middle to what a line of a phone holds: names of runs often differ at their ends."""
    return plain(name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2 - 1]}…{name[-_LONGEST // 2 :]}")


def _law(plot: Any, curve: CurveFit, level: float, colours: Colours) -> list[Any]:
    """The law within its points, and the average that extrapolates it, with its band, where it may be relied on."""
    drawn = []
    if curve.law is not None and curve.law.status.has_law:
        inside = np.geomspace(min(curve.law.x), max(curve.law.x), 60)
        drawn.append(add_line(plot, inside, curve.law.predict(inside), colours, line_width=2))
    if curve.chosen is not None and curve.chosen.extrapolates:
        beyond = np.geomspace(max(curve.x), _REACH * max(curve.x), 40)[1:]
        interval = curve.chosen.predict_interval(beyond, level)
        band = add(
            plot, VArea(fill_alpha=0.12), {"x": short(beyond), "y1": short(interval.low), "y2": short(interval.high)}
        )
        tint(band.glyph, fill_color=colours)
        drawn += [
            band,
            add_line(plot, beyond, curve.chosen.predict(beyond), colours, line_width=2, line_dash="dashed"),
        ]
    return drawn
