"""The report: one HTML page that needs nothing but a browser, and its tables as CSV."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.common.json_numbers import to_json
from tfrs_scaling.common.page import render_page, script_safe
from tfrs_scaling.common.words import listed
from tfrs_scaling.fit.advice.advise import COSTS
from tfrs_scaling.fit.analyses.outlook import EPSILON
from tfrs_scaling.fit.labels import architecture_suffix, has_several_architectures
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.decision import Decision, decisions, saved_numbers
from tfrs_scaling.fit.report.figures.parts import UNITS
from tfrs_scaling.fit.report.figures.phases import INSIDE, TARGET, SharedAxis, shared_axes
from tfrs_scaling.fit.report.header import facts
from tfrs_scaling.fit.report.methods import methods
from tfrs_scaling.fit.report.sections.appendix import appendix
from tfrs_scaling.fit.report.sections.order import study_sections
from tfrs_scaling.fit.report.sections.section import Section, drawings_of
from tfrs_scaling.fit.report.summary import best_point, cautions
from tfrs_scaling.fit.report.view import StudyView, study_view
from tfrs_scaling.fit.runs.columns import COLUMNS_OF_SECTIONS, sentence_without
from tfrs_scaling.fit.runs.run_table import is_recorded
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.fit.study import StudyFits

_TEMPLATE = Path(__file__).with_name("page.html.j2")
_ABSENT = {  # by attribute of StudyFits: how to get an analysis that found nothing
    "ranking": "A ranking of the schemes: scale V, H, O or M (sweep.V, sweep.H, …).",
    "zones": "Zones of V against H and O against M: scale both schemes of a pair, at several data sizes.",
    "dimension": "The embedding dimension against the rows: scale both together (sweep.VH).",
    "generalisation": "Training against test: lines with three or more data sizes.",
    "joint": "A law of parameters and data: three model sizes and three data sizes of one scheme.",
    "architectures": "A comparison of architectures: name another one (sweep.A).",
    "effects": "The effect of each multiplier: a shape at a data size that the baseline reached too.",
    "held_out": "A test of the laws on a held-out data size: lines with five or more data sizes.",
}


def write_report(
    runs: pd.DataFrame,
    study: StudyFits,
    path: str | os.PathLike[str],
    *,
    about: Mapping[str, Any] | None = None,
    tensorboard: str | os.PathLike[str] | None = None,
) -> None:
    """Write the report of a study: one HTML file that opens offline, and ``tables/*.csv`` beside it.

    Same input, same bytes.

    Args:
        runs: The run table.
        study: Result of ``fit_study`` for these runs.
        path: The HTML file to write.
        about: What else is known of the study, as ``study.json`` holds it: ``name`` (by default that of the run
            table), ``config`` (nested mapping), ``data`` (``rows`` by split, ``base_ctr`` by split, ``bayes_ne``,
            ``description``), ``libraries`` and ``machine`` (texts); any may be missing. All of it is shown as plain
            text. ``workdir``, the study's folder, is named in the commands for further runs.
        tensorboard: A folder for the same findings in TensorBoard; what it holds is deleted. None: not written.

    Raises:
        OSError: a file cannot be written.

    Examples:
        >>> runs = read_runs("runs.csv")
        >>> write_report(runs, fit_study(runs), "report.html")
    """
    view = study_view(runs, study, about)
    folder = Path(path).parent / "tables"
    folder.mkdir(exist_ok=True)
    for name, table in view.tables.items():
        write_text_atomically(folder / f"{name}.csv", table.csv())
    write_text_atomically(path, render_report(view))
    if tensorboard is not None:
        from tfrs_scaling.fit.report.tensorboard import write_tensorboard

        write_tensorboard(view, Path(tensorboard))


def render_report(view: StudyView) -> str:
    """The report as HTML."""
    target = _target_slider(view)
    axes = shared_axes(view, target.value)
    sections, answers = study_sections(view, axes), decisions(view)
    return render_page(
        _TEMPLATE,
        _drawn(answers, sections),
        kind="scaling report",
        name=view.about.name,
        description=view.about.description,
        facts=facts(view),
        data=script_safe(_page_data(view, axes, target)),
        decisions=answers,
        level=f"{view.fits.level:.0%}",
        no_answer=_why_no_answer(view),
        cautions=cautions(view),
        savings=view.savings,
        saved=saved_numbers(view.savings) if view.savings else (),
        sections=sections,
        appendix=appendix(view),
        absent=[*(words for name, words in _ABSENT.items() if not getattr(view.fits, name)), *_unrecorded(view)],
        methods=methods(view),
        settings=view.about.settings,
    )


def _why_no_answer(view: StudyView) -> str:
    if view.chosen.empty:
        return "No trial of this study was measured, so there is no answer. The reasons are listed below."
    unknown = [name for name in COSTS if not is_recorded(view.runs, name)]
    return (
        "Which scheme is best is answered below, but not where a budget should go: an option is weighed against what "
        f"it costs, and the run table has no column {listed(unknown)}."
    )


def _unrecorded(view: StudyView) -> list[str]:
    """What the study lacks because its run table does not record a column, a sentence each."""
    return [sentence_without(name) for name in COLUMNS_OF_SECTIONS if not is_recorded(view.runs, name)]


def report_figures(view: StudyView) -> dict[str, Any]:
    """Every figure of the report by the id of its element, in the order of the page."""
    return _drawn(decisions(view), study_sections(view, shared_axes(view, _target_slider(view).value)))


def _drawn(answers: Iterable[Decision], sections: Iterable[Section]) -> dict[str, Any]:
    first = {answer.element: answer.plot for answer in answers if answer.plot is not None}
    return first | drawings_of(sections)


@dataclass(frozen=True)
class _Slider:
    """Range, step and initial value of a slider."""

    min: float
    max: float
    step: float
    value: float


def _target_slider(view: StudyView) -> _Slider:
    """The slider of the target NE: from below the lowest floor to the highest NE."""
    best, fits = best_point(view.chosen), [line.fit for line in view.fits.lines]
    if best is None or not fits:
        return _Slider(min=0.0, max=1.0, step=0.0005, value=0.5)
    floors = [fit.gamma for fit in fits if fit.status.has_floor and fit.gamma > 0.5 * best.ne]
    possible = view.about.bayes_ne or 0.0  # nothing is promised below it
    return _Slider(
        min=max(round(min([0.96 * best.ne, *floors]) - 0.001, 3), math.ceil(1e4 * possible) / 1e4),
        max=round(max(loss for fit in fits for loss in fit.y), 3),
        step=0.0005,
        value=round(max(TARGET * best.ne, possible), 4),
    )


def _page_data(view: StudyView, axes: Sequence[SharedAxis], target: _Slider) -> dict[str, Any]:
    """What the page's script works with, as JSON."""
    architectures = sorted({axis.architecture for axis in axes})
    several = has_several_architectures(axes)
    return {
        "epsilon": EPSILON,
        "inside": INSIDE,
        "target": asdict(target),
        "units": UNITS,
        "tables": {name: table.csv() for name, table in view.tables.items()},
        "levers": [
            {
                "element": axis.name + (f"-{architectures.index(axis.architecture)}" if several else ""),
                "x": axis.x,
                "axis": axis.label + architecture_suffix(axis.architecture, several),
                "laws": [_law_data(scheme, fit) for scheme, fit in axis.laws.items()],
            }
            for axis in axes
        ],
    }


def _law_data(scheme: str, fit: PowerLawFit) -> Any:
    """A frontier's law in the closed form that the script evaluates; low and high are the ends of the fitted range."""
    return to_json(
        {
            "scheme": scheme, "label": SCHEMES[scheme].short, "top": fit.alpha_at_x0, "beta": fit.beta,
            "gamma": fit.gamma, "x0": fit.x0, "low": min(fit.x), "high": max(fit.x), "status": fit.status,
            "words": fit.status.words,
        }
    )  # fmt: skip
