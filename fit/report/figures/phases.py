"""The two phases of a law (the paper's Figure 3), with the marks that the page's sliders move.

Every frontier has two marks: where its return per doubling has fallen to epsilon, and where it gets down to the target
NE. Both have closed forms (``tfrs_scaling.fit.extrapolation.returns``), which the page's script evaluates for every
place of a slider; what is computed here is where the sliders begin.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import FixedTicker, LegendItem, Scatter, Span

from tfrs_scaling.common.figures import INK, human_ticks, log_ticks, tint
from tfrs_scaling.common.palette import Colours
from tfrs_scaling.fit.analyses.outlook import EPSILON
from tfrs_scaling.fit.extrapolation.returns import returns_at, samples_to_reach
from tfrs_scaling.fit.labels import AXIS_NAMES, FRONTIER, NON_EMBEDDING
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.figures.parts import (
    EXTRAPOLATION,
    MARKERS,
    add,
    add_curve,
    add_line,
    add_points,
    empty_figure,
    legend_below,
    log_range,
)
from tfrs_scaling.fit.report.view import StudyView
from tfrs_scaling.fit.schemes import SCHEMES

Frontiers = Mapping[str, tuple[pd.DataFrame, PowerLawFit]]  # points and law by scheme

TARGET = 0.99  # where the slider of the target NE begins: a share of the lowest NE measured
_REACH = EXTRAPOLATION * 8
INSIDE = 1.12  # how far an arrow is from the end of the axis: a factor of x
_OUTSIDE = tuple(scheme for scheme, row in SCHEMES.items() if row.outside_tables)
_AXES = (  # name, its x, the schemes that share the axis, what it measures
    ("data", "data", tuple(SCHEMES), AXIS_NAMES["data"]),
    ("parameters", "parameters", tuple(s for s in SCHEMES if s not in _OUTSIDE), AXIS_NAMES["parameters"]),
    ("non-embedding", "parameters", _OUTSIDE, NON_EMBEDDING),
    ("compute", "compute", tuple(SCHEMES), AXIS_NAMES["compute"]),
)


@dataclass(frozen=True)
class SharedAxis:
    """The frontiers that share an axis.

    Attributes:
        name: data, parameters, non-embedding or compute.
        architecture: Architecture of the frontiers.
        x: data, parameters or compute.
        label: What the axis measures.
        laws: The law of each frontier that one describes, by scheme.
        ne: The figure that shows NE.
        gain: The figure that shows the return per doubling.
    """

    name: str
    architecture: str
    x: str
    label: str
    laws: dict[str, PowerLawFit]
    ne: Any
    gain: Any


def shared_axes(view: StudyView, target: float) -> list[SharedAxis]:
    """The frontiers of every architecture and axis, with their figures.

    Args:
        view: Result of ``study_view``.
        target: The NE at which the slider of the target begins.
    """
    found = []
    for architecture in view.architectures:
        for name, x, schemes, label in _AXES:
            laws = {scheme: view.law(architecture, scheme, x, FRONTIER) for scheme in schemes}
            frontiers = {
                scheme: (view.frontiers[architecture, scheme, x], law)
                for scheme, law in laws.items()
                if law is not None
            }
            described = {scheme: pair for scheme, pair in frontiers.items() if pair[1].status.has_law}
            if described:
                ne, gain = _ne_figure(frontiers, x, label, target), _gain_figure(described, x, label)
                fits = {scheme: law for scheme, (_, law) in described.items()}
                found.append(SharedAxis(name, architecture, x, label, fits, ne, gain))
    return found


def gain_at(fit: PowerLawFit, x: Any) -> Any:
    """``G(x) = [L(x) - L(2x)] / L(x)`` of ``tfrs_scaling.fit.extrapolation.returns``, of the shape of x."""
    excess = fit.predict(x) - fit.gamma
    return excess * -math.expm1(-fit.beta * math.log(2)) / (excess + fit.gamma)


def _ne_figure(frontiers: Frontiers, x: str, axis: str, target: float) -> Any:
    plot = empty_figure(x, axis)
    start, end = _range(frontiers, x)
    items = []
    for rank, (scheme, (frontier, fit)) in enumerate(frontiers.items()):
        colours = SCHEMES[scheme].colours
        if not fit.status.has_law:
            alone = add_points(plot, frontier, x, colours, MARKERS[rank], None)
            alone.glyph.size = 5
            items.append(LegendItem(label=SCHEMES[scheme].short, renderers=[alone]))
            continue
        curves = add_curve(plot, fit, colours, width=2)
        beyond = np.geomspace(max(fit.x), end, 40)
        curves.append(add_line(plot, beyond, fit.predict(beyond), colours, line_dash="dotted", line_width=1.2))
        marks = add_points(plot, frontier, x, colours, MARKERS[rank], fit)
        marks.glyph.size = 5
        falls, reached = (
            _movable(plot, f"diminishing-{scheme}", colours, 15),
            _movable(plot, f"target-{scheme}", colours, 12),
        )
        _put(falls, returns_at(fit, max(fit.x), EPSILON).diminishing_return, fit.predict, (start, end))
        reach = samples_to_reach(fit, target)
        _put(reached, reach.x, lambda _: target, (start, end), inside="circle_x")
        _hide_with(marks, falls, reached)
        items.append(LegendItem(label=SCHEMES[scheme].short, renderers=[marks, *curves]))
    losses = [ne for frontier, _ in frontiers.values() for ne in frontier["test_ne"]]
    height = (max(losses) - min(losses)) or 0.1
    ends = (float(fit.predict(end)) for _, fit in frontiers.values() if fit.status.has_law)
    lowest = min([min(losses), target, *ends])
    plot.y_range.update(start=lowest - 0.08 * height, end=max(losses) + 0.06 * height)
    log_range(plot, start, end)
    _rule(plot, target, "target")
    legend_below(plot, items, 345)
    return plot


def _gain_figure(frontiers: Frontiers, x: str, axis: str) -> Any:
    tooltips = [("scheme", "@label"), ("x", "@x_text"), ("gain of the next doubling", "@ne{0.000}% of NE")]
    plot = empty_figure(x, axis, tooltips, "NE removed by the next doubling (%)", y_axis_type="log")
    start, end = _range(frontiers, x)
    items, tops = [], [100 * EPSILON]
    for scheme, (_, fit) in frontiers.items():
        colours, within = SCHEMES[scheme].colours, np.geomspace(min(fit.x), max(fit.x), 40)
        beyond = np.geomspace(max(fit.x), end, 40)
        if fit.alpha_at_x0 <= 0 or fit.beta <= 0:
            continue  # flat: no return anywhere, which a log axis cannot show
        dash = "dashed" if fit.status.has_floor else "dotted"
        curves = [
            add_line(plot, within, 100 * gain_at(fit, within), colours, line_width=2),
            add_line(plot, beyond, 100 * gain_at(fit, beyond), colours, line_dash=dash, line_width=1.5),
        ]
        falls = _movable(plot, f"gain-{scheme}", colours, 15)
        _put(falls, returns_at(fit, max(fit.x), EPSILON).diminishing_return, lambda _: 100 * EPSILON, (start, end))
        tops.append(float(100 * gain_at(fit, min(fit.x))))
        _hide_with(curves[0], falls)
        items.append(LegendItem(label=SCHEMES[scheme].short, renderers=curves))
    plot.y_range.update(start=0.01, end=1.6 * max(tops))
    plot.yaxis.formatter = human_ticks()
    plot.yaxis.ticker = plot.ygrid[0].ticker = FixedTicker(ticks=log_ticks(0.01, 1.6 * max(tops)))
    log_range(plot, start, end)
    _rule(plot, 100 * EPSILON, "epsilon")
    legend_below(plot, items, 345)
    return plot


def _range(frontiers: Frontiers, x: str) -> tuple[float, float]:
    places = [place for frontier, _ in frontiers.values() for place in frontier[x]]
    return 0.8 * min(places), _REACH * max(places)


def _movable(plot: Any, name: str, colours: Colours, size: int) -> Any:
    """A mark that the page's script finds by its name and moves."""
    nowhere: dict[str, Any] = {"x": [], "y": [], "marker": [], "angle": []}
    drawn = add(plot, Scatter(marker="marker", angle="angle", size=size, line_width=2), nowhere, name=name)
    tint(drawn.glyph, line_color=INK, fill_color=colours)
    return drawn


def _hide_with(line: Any, *marks: Any) -> None:
    """Hiding a line by its name in the legend hides its marks too."""
    for each in marks:
        line.js_link("visible", each, "visible")


def _put(drawn: Any, x: float, height: Any, ends: tuple[float, float], inside: str = "diamond") -> None:
    """A mark at x, or as an arrow at the end of the axis beyond which x lies."""
    marker, angle, at = inside, 0.0, x
    if not ends[0] <= x <= ends[1]:
        marker, angle = "triangle", math.copysign(math.pi / 2, ends[0] - x)
        at = ends[0] * INSIDE if x < ends[0] else ends[1] / INSIDE
    columns = {"x": [at], "y": [float(height(at))], "marker": [marker], "angle": [angle]}
    drawn.data_source.data = columns


def _rule(plot: Any, location: float, name: str) -> None:
    rule = Span(location=location, dimension="width", line_dash="dashed", line_width=1, name=name)
    tint(rule, line_color=INK)
    plot.add_layout(rule)
