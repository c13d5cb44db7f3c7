"""Whether the laws can be trusted: predictions of what was held out, training against test (the paper's Figure 10), and
the law of parameters and data."""

import pandas as pd

from tfrs_scaling.fit.analyses.generalisation import Generalisation
from tfrs_scaling.fit.analyses.held_out import HeldOut
from tfrs_scaling.fit.labels import (
    FRONTIER,
    architecture_suffix,
    line_name,
    multiplier_label,
)
from tfrs_scaling.fit.report.figures.curves import generalisation_figure, joint_figure
from tfrs_scaling.fit.report.figures.forest import held_out_figure
from tfrs_scaling.fit.report.sections.section import Figure, Section, View, one_view
from tfrs_scaling.fit.report.summary import noise_words
from tfrs_scaling.fit.report.view import StudyView
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import BASELINE


def trust(view: StudyView) -> list[Section]:
    """One section; none where there is nothing to check a law by."""
    figures = (*_held_out(view), *_generalisation(view), *_joint(view))
    tests = (view.fits.held_out_words, *(test.words for test in view.fits.backtests)) if view.fits.held_out else ()
    words = (*tests, *noise_words(view), *_rates(view))
    return [Section("trust", "Trust", "Do the laws predict?", words, figures)] if figures else []


def _rates(view: StudyView) -> list[str]:
    """What one learning rate for all data sizes does to the baseline's law."""
    return [
        f"One learning rate serves all data sizes of a shape. {record.words}"
        for record in view.fits.rates
        if (record.architecture, record.scheme) == (view.fits.base, BASELINE)
    ]


def _held_out(view: StudyView) -> list[Figure]:
    tested = view.fits.held_out
    if not tested:
        return []
    plot = held_out_figure(tested, [_line_label(record, view) for record in tested])
    caption = (
        "Each line was fitted without its largest data size, which was then predicted. Points at 0 were predicted "
        "exactly; crosses are outside the interval. Do not trust longer extrapolations more than these."
    )
    return [Figure("Measured minus predicted NE", "", caption, (one_view("figure-held-out", plot),), layout="tall")]


def _generalisation(view: StudyView) -> list[Figure]:
    """Exponents of training against those of test."""
    views: list[View] = []
    for number, record in enumerate(view.fits.generalisation):
        rows = _with_training(view, record)
        if rows["train_ne"].notna().any():
            plot = generalisation_figure(record, rows)
            views.append(one_view(f"figure-generalisation-{number}", plot, _line_label(record, view)))
    if not views:
        return []
    caption = (
        "Training NE is that of the rows since the previous data size, each predicted before the model learns from it: "
        "in one pass over the data it is another test, and a gap to the test curve is no memorisation. Lines are the "
        "laws of both."
    )
    return [Figure("Training and test NE against data", "Figure 10", caption, tuple(views))]


def _joint(view: StudyView) -> list[Figure]:
    """NE over parameters and data, and the best split of compute."""
    drawn = [law for law in view.fits.joint if law.fit.status.has_law]
    if not drawn:
        return []
    views = tuple(
        one_view(
            f"figure-joint-{number}",
            joint_figure(law),
            law.scheme + architecture_suffix(law.architecture, law.architecture != view.fits.base),
        )
        for number, law in enumerate(drawn)
    )
    caption = (
        "Thin lines connect points of equal NE according to the law. Where they are horizontal, more parameters do not "
        "help; where they are vertical, more data do not."
    )
    if any(law.path for law in drawn):
        caption += (
            " Diamonds: the split of a compute budget (a tenth to ten times the largest measured) with the lowest NE "
            "by the law, whatever the noise; hover for the budget. Beyond the measured points it is extrapolation."
        )
    return [Figure("Equal NE over parameters and data", "", caption, views)]


def _line_label(record: Generalisation | HeldOut, view: StudyView) -> str:
    suffix = architecture_suffix(record.architecture, record.architecture != view.fits.base)
    return f"{record.scheme} {line_name(record.line)}{suffix}"


def _with_training(view: StudyView, record: Generalisation) -> pd.DataFrame:
    """The points of a data line or of the data frontier, with their training NE."""
    rows = view.points[record.architecture, record.scheme]
    if record.line != FRONTIER:
        on_line = [multiplier_label(value) == record.line for value in rows["multiplier"]]
        return rows[on_line].assign(key=rows["trial_id"])
    means = rows.groupby([*SHAPE, "examples"], sort=True)["train_ne"].mean().reset_index()
    frontier = view.frontiers[record.architecture, record.scheme, "data"]
    return frontier.merge(means, on=[*SHAPE, "examples"], how="left")
