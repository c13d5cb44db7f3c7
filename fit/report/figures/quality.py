"""AUC and calibration of the models whose NE makes up the frontiers."""

from collections.abc import Sequence
from typing import Any

from bokeh.models import LegendItem, Span

from tfrs_scaling.common.figures import MUTED, tint
from tfrs_scaling.common.words import human
from tfrs_scaling.fit.labels import AXIS_NAMES
from tfrs_scaling.fit.report.captions import QUALITY
from tfrs_scaling.fit.report.figures.parts import MARKERS, add_line, empty_figure, legend_below, log_range, mark
from tfrs_scaling.fit.report.view import StudyView
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import SCHEMES


def quality_figure(view: StudyView, architecture: str, schemes: Sequence[str], column: str) -> Any:
    """A measure of the models on the data frontier of every scheme, mean of seeds.

    Args:
        view: Result of ``study_view``.
        architecture: Architecture to show.
        schemes: Letters of schemes with a frontier against data.
        column: test_auc or test_calibration.
    """
    tooltips = [("shape", "@trial"), (QUALITY[column], "@ne{0.0000}"), ("examples", "@x_text")]
    plot = empty_figure("data", AXIS_NAMES["data"], tooltips, f"{QUALITY[column]} (test)")
    items, places = [], list[float]()
    for rank, scheme in enumerate(schemes):
        rows = view.points[architecture, scheme]
        means = rows.groupby([*SHAPE, "examples"], sort=True)[column].mean().reset_index()
        frontier = view.frontiers[architecture, scheme, "data"].merge(means, on=[*SHAPE, "examples"])
        frontier = frontier[frontier[column].notna()]
        columns = {
            "x": frontier["data"].to_list(),
            "ne": frontier[column].to_list(),
            "trial": frontier["trial_id"].to_list(),
            "key": frontier["key"].to_list(),
            "x_text": [human(value) for value in frontier["data"]],
        }
        colours = SCHEMES[scheme].colours
        dots = mark(plot, columns, colours, MARKERS[rank])
        line = add_line(plot, columns["x"], columns["ne"], colours, line_width=1.5)
        items.append(LegendItem(label=SCHEMES[scheme].short, renderers=[dots, line], index=max(len(frontier) - 1, 0)))
        places += columns["x"]
    if column == "test_calibration":
        one = Span(location=1, dimension="width", line_dash="dotted", line_width=1.5)
        tint(one, line_color=MUTED)
        plot.add_layout(one)
    log_range(plot, 0.8 * min(places), 1.25 * max(places))
    legend_below(plot, items, 345)
    return plot
