"""NE against data, parameters and compute, with laws, bands and the frontier: the paper's Figures 2, 4, 5 and 6."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from bokeh.models import LegendItem

from tfrs_scaling.common.figures import INK
from tfrs_scaling.common.palette import Colours
from tfrs_scaling.common.words import human
from tfrs_scaling.fit.labels import AXIS_NAMES, FRONTIER, axis_name, line_name, multiplier_label
from tfrs_scaling.fit.report.figures.parts import (
    MARKERS,
    add_band,
    add_curve,
    add_line,
    add_points,
    add_ring,
    empty_figure,
    finish,
    ramp,
)
from tfrs_scaling.fit.report.view import StudyView
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES

Key = tuple[str, str, str]  # architecture, scheme, x


def study_figures(view: StudyView) -> dict[Key, Any]:
    """NE against every axis, for each scheme and for all schemes' frontiers.

    Args:
        view: Result of ``study_view``.

    Returns:
        Bokeh figures by (architecture, scheme, x); under the scheme ``all``, the frontiers of all schemes.
    """
    figures: dict[Key, Any] = {}
    for architecture in view.architectures:
        rows = view.fitted(architecture)
        for x in AXIS_NAMES:
            shown = [scheme for scheme in rows if (architecture, scheme, x) in view.frontiers]
            # The axes of V, H and F count all parameters, those of O and M some: they do not share a figure.
            if len(shown) > 1 and x != "parameters":
                figures[architecture, "all", x] = frontiers_figure(view, architecture, shown, x)
            for scheme in shown:
                if scheme != BASELINE or len(rows) == 1:
                    figures[architecture, scheme, x] = scheme_figure(view, architecture, scheme, x)
    return figures


def regrouped_figures(view: StudyView) -> dict[Key, Any]:
    """The same points in the other grouping: by data size against data and compute, by model against parameters.

    Args:
        view: Result of ``study_view``.

    Returns:
        Bokeh figures by (architecture, scheme, x), for schemes of more than the baseline.
    """
    return {
        (architecture, scheme, x): scheme_figure(view, architecture, scheme, x, regrouped=True)
        for architecture in view.architectures
        for scheme in view.fitted(architecture)
        if scheme != BASELINE
        for x in SCHEMES[scheme].axes
        if (architecture, scheme, x) in view.frontiers
    }


def scheme_figure(view: StudyView, architecture: str, scheme: str, x: str, *, regrouped: bool = False) -> Any:
    """One scheme's points and laws: a line per multiplier (per data size, against parameters).

    Args:
        view: Result of ``study_view``.
        architecture: Architecture to show.
        scheme: A letter of ``SCHEMES`` with this axis.
        x: data, parameters or compute.
        regrouped: A line per data size instead (per multiplier, against parameters), through its means of seeds.
    """
    rows = view.points[architecture, scheme]
    plot = empty_figure(x, axis_name(x, scheme))
    by_examples = (x == "parameters") != regrouped
    key = "examples" if by_examples else "multiplier"
    names = sorted(rows[key].unique())
    drawn = []
    for rank, name in enumerate(names):
        line = rows[rows[key] == name].sort_values([x, "seed"])
        label = str(name) if by_examples else multiplier_label(name)
        colours = ramp(rank, len(names))
        law = None if regrouped else view.law(architecture, scheme, x, label)
        if regrouped:
            curve = [_through_means(plot, line, x, colours)]
        else:
            curve = [] if law is None else add_curve(plot, law, colours, width=1.5)
        scatter = add_points(plot, line, x, colours, MARKERS[rank % len(MARKERS)], law)
        shown = human(float(label)) if by_examples else line_name(label)
        drawn.append(LegendItem(label=shown, renderers=[scatter, *curve], index=len(line) - 1))
    law = view.law(architecture, scheme, x, FRONTIER)
    ring = add_ring(plot, view.frontiers[architecture, scheme, x], x)
    emphasis = [] if law is None else [*add_band(plot, law, INK), *add_curve(plot, law, INK, width=3)]
    drawn.append(LegendItem(label=FRONTIER, renderers=[ring, *emphasis]))
    return finish(plot, drawn, rows["test_ne"].to_list(), view.about.bayes_ne, rows[x].to_list())


def frontiers_figure(view: StudyView, architecture: str, schemes: Sequence[str], x: str) -> Any:
    """The Pareto frontiers of several schemes against one axis, with their laws and bands.

    Args:
        view: Result of ``study_view``.
        architecture: Architecture to show.
        schemes: Letters of the schemes with this axis.
        x: data or compute.
    """
    plot = empty_figure(x, AXIS_NAMES[x])
    drawn, losses, places = [], list[float](), list[float]()
    for rank, scheme in enumerate(schemes):
        frontier = view.frontiers[architecture, scheme, x]
        fit = view.law(architecture, scheme, x, FRONTIER)
        colours = SCHEMES[scheme].colours
        law = [] if fit is None else [*add_band(plot, fit, colours), *add_curve(plot, fit, colours, width=2)]
        marks = add_points(plot, frontier, x, colours, MARKERS[rank], fit)
        drawn.append(LegendItem(label=SCHEMES[scheme].short, renderers=[marks, *law], index=len(frontier) - 1))
        losses += frontier["test_ne"].to_list()
        places += frontier[x].to_list()
    return finish(plot, drawn, losses, view.about.bayes_ne, places)


def _through_means(plot: Any, line: pd.DataFrame, x: str, colours: Colours) -> Any:
    """A thin line through the means of seeds, from the smallest model or data size to the largest."""
    means = line.groupby([*SHAPE, "examples"], sort=True)[[x, "test_ne"]].mean().sort_values([x, "test_ne"])
    return add_line(plot, means[x], means["test_ne"], colours, line_width=1.2, line_alpha=0.7)
