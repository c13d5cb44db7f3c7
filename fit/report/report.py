"""The report: one HTML page that needs nothing but a browser, and its tables as CSV."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.common.json_numbers import to_json
from tfrs_scaling.common.page import render_page, script_safe
from tfrs_scaling.common.words import human
from tfrs_scaling.fit.advice.advise import advise, read_budget
from tfrs_scaling.fit.analyses.outlook import EPSILON
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.report.figures.parts import UNITS
from tfrs_scaling.fit.report.figures.phases import INSIDE, TARGET, Levers, levers
from tfrs_scaling.fit.report.methods import methods, settings
from tfrs_scaling.fit.report.sections import (
    Section,
    beyond_sections,
    dimension_section,
    generalisation_section,
    joint_section,
    levers_section,
    ranking_section,
    scheme_sections,
    zone_sections,
)
from tfrs_scaling.fit.report.summary import (
    STATUS_WORDS,
    best_point,
    cautions,
    gain_words,
    next_doubling,
    scheme_gains,
)
from tfrs_scaling.fit.report.table import Table, signed
from tfrs_scaling.fit.report.tables import study_tables
from tfrs_scaling.fit.screening import usable_runs

BUDGETS = {  # of the first panel
    "compute=10x": "With 10 times the compute",
    "data=2x": "With twice the data",
    "params=4x": "With 4 times the parameters",
}
_TEMPLATE = Path(__file__).with_name("page.html.j2")
_BULLET = re.compile(r"^ +(- |\d+\. )?")  # what the terminal writes before an item
_ABSENT = {  # what a study without it could add
    "ranking": "A ranking of the schemes: scale V, H, O or M (sweep.V, sweep.H, …).",
    "zones": "Zones of V against H and O against M: both schemes of a pair, at several data sizes.",
    "dimension": "The embedding dimension against the rows: cross both (sweep.VH).",
    "generalisation": "Training against test: lines of three data sizes or more.",
    "joint": "A law of parameters and data: three sizes of model and of data of one scheme.",
    "architectures": "Architectures side by side: name another one (sweep.A).",
    "effects": "The effect of each multiplier: a shape at a data size that the baseline reached.",
    "held_out": "A test of the laws on a held-out data size: lines of five data sizes or more.",
}


def write_report(
    runs: pd.DataFrame,
    fits: Mapping[str, Any],
    path: str | os.PathLike[str],
    *,
    study: Mapping[str, Any],
) -> None:
    """Write the report of a study: one HTML file that opens offline, and ``tables/*.csv`` beside it.

    Same input, same bytes.

    Args:
        runs: The run table.
        fits: What ``fit_study`` made of it.
        path: The HTML file to write.
        study: ``name``, and as far as known ``config`` (nested mapping), ``data`` (``rows`` by split,
            ``base_ctr`` by split, ``bayes_ne``, ``bayes_ne_standard_error``, ``description``),
            ``libraries`` and ``machine`` (texts). All of it is shown as plain text.

    Raises:
        ValueError: the study has no name.
        OSError: a file cannot be written.
    """
    if not study.get("name"):
        raise ValueError("the study has no name; give study={'name': ...}")
    folder = Path(path).parent / "tables"
    folder.mkdir(exist_ok=True)
    for name, table in study_tables(fits).items():
        write_text_atomically(folder / f"{name}.csv", table.csv())
    write_text_atomically(path, render_report(runs, fits, study))


def render_report(runs: pd.DataFrame, fits: Mapping[str, Any], study: Mapping[str, Any]) -> str:
    """The report as HTML; arguments as ``write_report``."""
    tables = study_tables(fits)
    sections, groups, target = report_sections(runs, fits, study, tables)
    data = study.get("data") or {}
    return render_page(
        _TEMPLATE,
        figures_of(sections),
        kind="scaling report",
        name=study["name"],
        description=data.get("description"),
        data=script_safe(_page_data(groups, tables, target)),
        sections=sections,
        advice=_advice(runs, fits),
        tiles=_tiles(runs, fits),
        findings=_findings(runs, fits),
        absent=[words for name, words in _ABSENT.items() if not fits[name]],
        cautions=cautions(runs, fits),
        fits=tables["fits"],
        left_out=[tables[name] for name in ("missing", "collapsed", "flagged")],
        methods=methods(runs, fits, study),
        settings=settings(study),
    )


def report_sections(
    runs: pd.DataFrame, fits: Mapping[str, Any], study: Mapping[str, Any], tables: Mapping[str, Table]
) -> tuple[list[Section], list[Levers], dict[str, float]]:
    """The sections with their figures, the frontiers that the sliders move, and the slider of the target NE."""
    bayes_ne = (study.get("data") or {}).get("bayes_ne")
    best, chosen = best_point(runs), usable_runs(runs).reset_index(drop=True)
    target = _target_slider(fits, None if best is None else float(best["test_ne"]))
    groups = [] if best is None else levers(chosen, fits, target["value"])
    sections = [
        *ranking_section(fits, tables),
        *scheme_sections(runs, fits, bayes_ne),
        *levers_section(groups, tables),
        *zone_sections(fits, tables),
        *dimension_section(chosen, fits, tables),
        *generalisation_section(chosen, fits, tables),
        *joint_section(fits, tables),
        *beyond_sections(chosen, fits, tables, bayes_ne),
    ]
    return sections, groups, target


def figures_of(sections: Sequence[Section]) -> dict[str, Any]:
    """Every figure by the id of its element, in the order of the page."""
    return {view.element: view.plot for section in sections for figure in section.figures for view in figure.views}


def _target_slider(fits: Mapping[str, Any], best: float | None) -> dict[str, float]:
    """Ends, step and beginning of the slider of the target NE."""
    losses = [loss for record in fits["lines"] for loss in record["fit"]["y"]] if best is not None else []
    if best is None or not losses:
        return {"min": 0.0, "max": 1.0, "step": 0.0005, "value": 0.5}
    floors = [r["fit"]["gamma"] for r in fits["lines"] if r["fit"]["status"] == "ok" and r["fit"]["gamma"] > 0.5 * best]
    low = round(min([0.96 * best, *floors]) - 0.001, 3)
    return {"min": low, "max": round(max(losses), 3), "step": 0.0005, "value": round(TARGET * best, 4)}


def _page_data(groups: Sequence[Levers], tables: Mapping[str, Table], target: Mapping[str, float]) -> dict[str, Any]:
    """What the page's script works with."""
    architectures = sorted({group.architecture for group in groups})
    several = len(architectures) > 1
    return {
        "epsilon": EPSILON,
        "inside": INSIDE,
        "target": target,
        "units": UNITS,
        "tables": {name: table.csv() for name, table in tables.items()},
        "levers": [
            {
                "element": group.name + (f"-{architectures.index(group.architecture)}" if several else ""),
                "x": group.x,
                "axis": group.axis + (f" · {group.architecture}" if several else ""),
                "laws": [to_json(law | {"words": STATUS_WORDS[law["status"]]}) for law in group.laws],
            }
            for group in groups
        ],
    }


def _advice(runs: pd.DataFrame, fits: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answer for each budget; none where nothing was measured."""
    if best_point(runs) is None:
        return []
    return [{"title": title} | advice_parts(runs, fits, budget) for budget, title in BUDGETS.items()]


def advice_parts(runs: pd.DataFrame, fits: Mapping[str, Any], budget: str) -> dict[str, Any]:
    """The lines of an ``Advice`` as the page sets them: answer, reasons, and what is indented below a line, folded."""
    lines = advise(runs, fits, read_budget(budget)).lines()
    reasons, folded = list[str](), list[dict[str, Any]]()
    for at, line in enumerate(lines[1:], 1):
        if line.startswith(" "):
            folded[-1]["items"].append(line)
        elif at + 1 < len(lines) and lines[at + 1].startswith(" "):
            folded.append({"summary": line.rstrip(":"), "items": []})
        else:
            reasons.append(line)
    for part in folded:
        part["code"] = part["items"][0].lstrip().startswith("tfrs-scaling")
        if not part["code"]:
            part["items"] = [_BULLET.sub("", item) for item in part["items"]]
    return {"answer": lines[0], "reasons": reasons, "folded": folded}


def _tiles(runs: pd.DataFrame, fits: Mapping[str, Any]) -> list[dict[str, str]]:
    best = best_point(runs)
    if best is None:
        return []
    shape = "baseline" if best["scheme"] == "D" else f"{best['scheme']} {multiplier_label(best['multiplier'])}×"
    tiles = [
        {
            "name": "Lowest test NE",
            "value": f"{best['test_ne']:.4f}",
            "note": f"{shape} at {human(best['examples'])} examples",
        }
    ]
    for gain in scheme_gains(runs, str(best["architecture"])):
        tiles.append(
            {
                "name": f"{gain.scheme} at {multiplier_label(gain.multiplier)}×",
                "value": signed(-gain.drop),
                "note": f"NE against the baseline at {human(gain.examples)} examples",
            }
        )
    return tiles


def _findings(runs: pd.DataFrame, fits: Mapping[str, Any]) -> list[str]:
    if best_point(runs) is None:
        return []
    words = []
    architectures = sorted(runs["architecture"].unique())
    for architecture in architectures:
        where = f"{architecture}: " if len(architectures) > 1 else ""
        words += [where + gain_words(gain) for gain in scheme_gains(runs, architecture)]
        words.append(where + next_doubling(fits, architecture))
    bayes = (fits["best"] or {}).get("bayes")
    if bayes:
        words.append(
            f"The Bayes NE of these data is {bayes['bayes_ne']:.4f} (standard error {bayes['standard_error']:.4f}); "
            f"the data frontier of {fits['best']['scheme']} levels off at "
            + (f"{bayes['gamma']:.4f}" if bayes["gamma"] is not None else "an unknown level")
            + f": {bayes['why']}."
        )
    return words
