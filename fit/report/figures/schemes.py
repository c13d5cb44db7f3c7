"""NE against data, parameters and compute, with laws, bands and the frontier: the paper's Figures 2, 4, 5 and 6."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from bokeh.models import LegendItem

from tfrs_scaling.common.figures import INK
from tfrs_scaling.common.words import human
from tfrs_scaling.fit.labels import AXIS_NAMES, FRONTIER, axis_name, multiplier_label
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
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.fit.screening import SHAPE, usable_runs
from tfrs_scaling.fit.study import find_line, frontier_points, points

Key = tuple[str, str, str]  # architecture, scheme, x


def study_figures(runs: pd.DataFrame, fits: Mapping[str, Any], *, bayes_ne: float | None = None) -> dict[Key, Any]:
    """NE against every axis, for each scheme and for all schemes' frontiers.

    Args:
        runs: The run table.
        fits: What ``fit_study`` made of it.
        bayes_ne: Drawn as a dashed line where known.

    Returns:
        Bokeh figures by (architecture, scheme, x); under the scheme ``all``, the frontiers of all schemes.
    """
    figures: dict[Key, Any] = {}
    for architecture, rows in _rows(runs, fits).items():
        for x in AXIS_NAMES:
            shown = {s: r for s, r in rows.items() if x in SCHEMES[s].axes}
            # The axes of V, H and F count all parameters, those of O and M some: they do not share a figure.
            if len(shown) > 1 and x != "parameters":
                figures[architecture, "all", x] = frontiers_figure(shown, fits, x, architecture, bayes_ne)
            for scheme, of_scheme in shown.items():
                if scheme != "D" or len(rows) == 1:
                    figures[architecture, scheme, x] = scheme_figure(of_scheme, fits, scheme, x, architecture, bayes_ne)
    return figures


def regrouped_figures(runs: pd.DataFrame, fits: Mapping[str, Any], *, bayes_ne: float | None = None) -> dict[Key, Any]:
    """The same points in the other grouping: by data size against data and compute, by model against parameters.

    Args:
        runs: The run table.
        fits: What ``fit_study`` made of it.
        bayes_ne: Drawn as a dashed line where known.

    Returns:
        Bokeh figures by (architecture, scheme, x), for schemes of more than the baseline.
    """
    return {
        (architecture, scheme, x): scheme_figure(of_scheme, fits, scheme, x, architecture, bayes_ne, regrouped=True)
        for architecture, rows in _rows(runs, fits).items()
        for scheme, of_scheme in rows.items()
        if scheme != "D"
        for x in SCHEMES[scheme].axes
    }


def scheme_figure(
    rows: pd.DataFrame,
    fits: Mapping[str, Any],
    scheme: str,
    x: str,
    architecture: str,
    bayes_ne: float | None,
    *,
    regrouped: bool = False,
) -> Any:
    """One scheme's points and laws: a line per multiplier (per data size, against parameters).

    Args:
        rows: What ``points`` returned for the scheme.
        fits: The fits of the study.
        scheme: V, H, O, M, F, N, E or D.
        x: data, parameters or compute.
        architecture: Whose fits to draw.
        bayes_ne: Drawn as a dashed line where known.
        regrouped: A line per data size instead (per multiplier, against parameters), through its means of seeds.
    """
    plot = empty_figure(x, axis_name(x, scheme))
    by_examples = (x == "parameters") != regrouped
    key = "examples" if by_examples else "multiplier"
    names = sorted(rows[key].unique())
    drawn = []
    for rank, name in enumerate(names):
        line = rows[rows[key] == name].sort_values([x, "seed"])
        label = str(name) if by_examples else multiplier_label(name)
        colours = ramp(rank, len(names))
        found = None
        if not regrouped:
            found = find_line(fits, scheme=scheme, x=x, line=label, architecture=architecture)
            curve = [] if found is None else add_curve(plot, found[1], colours, width=1.5)
        else:
            curve = [_through_means(plot, line, x, colours)]
        scatter = add_points(plot, line, x, colours, MARKERS[rank % len(MARKERS)], found and found[1])
        shown = human(float(name)) if by_examples else f"{label}×"
        drawn.append(LegendItem(label=shown, renderers=[scatter, *curve], index=len(line) - 1))
    found = find_line(fits, scheme=scheme, x=x, line=FRONTIER, architecture=architecture)
    ring = add_ring(plot, frontier_points(rows, x), x)
    emphasis = [] if found is None else [*add_band(plot, found[1], INK), *add_curve(plot, found[1], INK, width=3)]
    drawn.append(LegendItem(label="frontier", renderers=[ring, *emphasis]))
    return finish(plot, drawn, rows["test_ne"].to_list(), bayes_ne, rows[x].to_list())


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
    plot = empty_figure(x, AXIS_NAMES[x])
    drawn, losses, places = [], list[float](), list[float]()
    for rank, (scheme, of_scheme) in enumerate(rows.items()):
        frontier = named_frontier(of_scheme, x)
        found = find_line(fits, scheme=scheme, x=x, line=FRONTIER, architecture=architecture)
        colours = SCHEMES[scheme].colours
        law = []
        if found is not None:
            law = [*add_band(plot, found[1], colours), *add_curve(plot, found[1], colours, width=2)]
        marks = add_points(plot, frontier, x, colours, MARKERS[rank], found and found[1])
        drawn.append(LegendItem(label=SCHEMES[scheme].short, renderers=[marks, *law], index=len(frontier) - 1))
        losses += frontier["test_ne"].to_list()
        places += frontier[x].to_list()
    return finish(plot, drawn, losses, bayes_ne, places)


def named_frontier(rows: pd.DataFrame, x: str) -> pd.DataFrame:
    """``frontier_points`` with the shape of each in words (``trial_id``) and the trials it is the mean of (``key``)."""
    frontier = frontier_points(rows, x)
    trials = rows.groupby([*SHAPE, "examples"], sort=True)["trial_id"].agg(lambda ids: "\n".join(sorted(ids)))
    keys = trials.reindex(pd.MultiIndex.from_frame(frontier[[*SHAPE, "examples"]])).to_list()
    return frontier.assign(trial_id=[_shape_name(row) for _, row in frontier.iterrows()], key=keys)


def _rows(runs: pd.DataFrame, fits: Mapping[str, Any]) -> dict[str, dict[str, pd.DataFrame]]:
    """The points by architecture and scheme, for all that have a fit."""
    chosen = usable_runs(runs).reset_index(drop=True)
    fitted = {(record["architecture"], record["scheme"]) for record in fits["lines"]}
    return {
        architecture: {s: points(chosen, architecture, s) for s in SCHEMES if (architecture, s) in fitted}
        for architecture in sorted({architecture for architecture, _ in fitted})
    }


def _through_means(plot: Any, line: pd.DataFrame, x: str, colours: tuple[str, str]) -> Any:
    """A thin line through the means of seeds, from the smallest model or data size to the largest."""
    means = line.groupby([*SHAPE, "examples"], sort=True)[[x, "test_ne"]].mean().sort_values([x, "test_ne"])
    return add_line(plot, means[x], means["test_ne"], colours, line_width=1.2, line_alpha=0.7)


def _shape_name(row: "pd.Series[Any]") -> str:
    return f"{row['scheme']} {multiplier_label(row['multiplier'])}× at {human(row['examples'])} examples"
