"""NE against data, parameters and compute, with laws, bands and the frontier: the paper's Figures 2, 4, 5 and 6."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from bokeh.models import LegendItem

from tfrs_scaling.common.figures import INK
from tfrs_scaling.common.palette import Colours
from tfrs_scaling.common.words import human
from tfrs_scaling.fit.analyses.lines import line_multipliers
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


def schemes_of(view: StudyView, architecture: str) -> list[str]:
    """The schemes with a figure of their own: those with a law, the baseline only where there is no other."""
    rows = view.fitted(architecture)
    return [scheme for scheme in rows if scheme != BASELINE or len(rows) == 1]


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
    keys = rows["examples"] if by_examples else line_multipliers(rows, scheme)
    names = sorted(keys.unique())
    drawn = []
    for rank, name in enumerate(names):
        line = rows[keys == name].sort_values([x, "seed"])
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
    return finish(plot, drawn, view.about.bayes_ne, rows[x].to_list(), wide=True)


def frontiers_figure(view: StudyView, architecture: str, schemes: Sequence[str], x: str) -> Any:
    """The Pareto frontiers of several schemes against one axis, with their laws and bands.

    Args:
        view: Result of ``study_view``.
        architecture: Architecture to show.
        schemes: Letters of the schemes with this axis.
        x: data or compute.
    """
    plot = empty_figure(x, AXIS_NAMES[x])
    drawn, places = [], list[float]()
    for rank, scheme in enumerate(schemes):
        frontier = view.frontiers[architecture, scheme, x]
        fit = view.law(architecture, scheme, x, FRONTIER)
        colours = SCHEMES[scheme].colours
        law = [] if fit is None else [*add_band(plot, fit, colours), *add_curve(plot, fit, colours, width=2)]
        marks = add_points(plot, frontier, x, colours, MARKERS[rank], fit)
        drawn.append(LegendItem(label=SCHEMES[scheme].short, renderers=[marks, *law], index=len(frontier) - 1))
        places += frontier[x].to_list()
    return finish(plot, drawn, view.about.bayes_ne, places)


def _through_means(plot: Any, line: pd.DataFrame, x: str, colours: Colours) -> Any:
    """A thin line through the means of seeds, from the smallest model or data size to the largest."""
    means = line.groupby([*SHAPE, "examples"], sort=True)[[x, "test_ne"]].mean().sort_values([x, "test_ne"])
    return add_line(plot, means[x], means["test_ne"], colours, line_width=1.2)
