"""The report: one HTML page that needs nothing but a browser."""

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from tfrs_scaling.fit.plots import study_figures
from tfrs_scaling.fit.plots_parts import axis_name, human
from tfrs_scaling.fit.report_page import PAGE, TABLE
from tfrs_scaling.fit.runs import SCHEMES
from tfrs_scaling.fit.study_fits import FRONTIER, multiplier_label
from tfrs_scaling.fit.summary import (
    STATUS_MEANING,
    STATUS_WORDS,
    best_point,
    gain_words,
    next_doubling,
    scheme_gains,
    unfinished,
)
from tfrs_scaling.input.files import write_text_atomically
from tfrs_scaling.input.page import HEAD, SCRIPT, STYLE, bokeh_script, embedded

_TITLES = {
    "data": "NE against data",
    "parameters": "NE against parameters",
    "compute": "NE against compute",
}
_PAPER = {
    "data": "Ardalani et al. 2022, Figure 2",
    "parameters": "Ardalani et al. 2022, Figures 4 and 5",
    "compute": "Ardalani et al. 2022, Figure 6",
}
_CAPTIONS = {
    "data": "One line per multiplier, from the smallest to the largest. A line that flattens has had its return from "
    "data; lines that fan out to the right say that larger models use more data better.",
    "parameters": "One line per data size. Where a line is level, more parameters of this kind bring nothing at that "
    "data size.",
    "compute": "One line per multiplier; compute is training FLOPs per example times examples. The frontier says how "
    "large a model to train for a given budget.",
}
_HOW = (
    " Ringed points and the thick curve with its band are the Pareto frontier and its law; dashed is extrapolation; "
    "hollow points lie on the plateau and are not fitted. Click a name to hide a line."
)
_SCHEME_CAPTIONS = {
    "F": " The model sees this share of the features, dense and categorical, each smaller set within the larger ones.",
    "E": " The model passes over its training rows this many times; compute counts every pass.",
    "N": " The model is trained on every click and this share of the other rows, which examples and compute count; a "
    "smaller share needs a longer log for the same examples. NE is measured on all test rows, with predictions "
    "corrected for the sampling.",
}
_LEFT_OUT_COLUMNS = (
    "trial_id", "architecture", "scheme", "multiplier", "learning_rate", "seed", "examples",
    "status", "reason", "flags",
)  # fmt: skip
_ALL = {
    "data": "The frontier of every scheme: for each data size, the best shape of that scheme. The lowest curve uses "
    "data best. Bands are the intervals of the laws; where they overlap, the schemes are not told apart.",
    "compute": "The frontier of every scheme that changes compute: the lowest NE for a budget.",
}


def write_report(
    runs: pd.DataFrame,
    fits: Mapping[str, Any],
    path: str | os.PathLike[str],
    *,
    study: Mapping[str, Any],
) -> None:
    """Write the report of a study: one HTML file that opens offline. Same input, same bytes.

    Args:
        runs: The run table.
        fits: What ``fit_study`` made of it.
        path: The file to write.
        study: ``name``, and as far as known ``config`` (nested mapping), ``data`` (``rows`` by split,
            ``base_ctr`` by split, ``bayes_ne``, ``bayes_ne_standard_error``, ``description``),
            ``libraries`` and ``machine`` (texts). All of it is shown as plain text.

    Raises:
        ValueError: the study has no name.
        OSError: the file cannot be written.
    """
    if not study.get("name"):
        raise ValueError("the study has no name; give study={'name': ...}")
    write_text_atomically(path, render_report(runs, fits, study))


def render_report(runs: pd.DataFrame, fits: Mapping[str, Any], study: Mapping[str, Any]) -> str:
    """The report as HTML; arguments as ``write_report``."""
    data = study.get("data") or {}
    figures = study_figures(runs, fits, bayes_ne=data.get("bayes_ne"))
    sections = _sections(list(figures))
    by_element = {item["element"]: figures[item["key"]] for section in sections for item in section["figures"]}
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    table = environment.from_string(TABLE)
    return environment.from_string(HEAD + PAGE).render(
        kind="scaling report",
        name=study["name"],
        description=data.get("description"),
        level=f"{fits['level']:.0%}",
        style=Markup(STYLE),  # noqa: S704 -- ours, no part of it comes from the study
        script=Markup(SCRIPT),  # noqa: S704 -- ours
        bokeh=bokeh_script(),
        documents=embedded(by_element),
        table=lambda rows, lines: Markup(table.render(rows=rows, lines=lines)),  # noqa: S704 -- autoescaped
        sections=sections,
        tiles=_tiles(runs, fits),
        findings=_findings(runs, fits),
        cautions=unfinished(runs, fits),
        frontier_rows=[_fit_row(r) for r in fits["lines"] if r["line"] == FRONTIER],
        line_rows=[_fit_row(r) for r in fits["lines"] if r["line"] != FRONTIER],
        left_out=_left_out(fits),
        methods=_methods(study),
    )


def _sections(keys: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """The figures by scheme, each with its title, caption and the id of its place on the page."""
    architectures = sorted({architecture for architecture, _, _ in keys})
    sections = []
    for architecture in architectures:
        for scheme in ("all", *SCHEMES):
            found = [key for key in keys if key[:2] == (architecture, scheme)]
            if not found:
                continue
            name = f"-{architectures.index(architecture)}" if len(architectures) > 1 else ""
            where = f" · {architecture}" if len(architectures) > 1 else ""
            title = "Schemes side by side" if scheme == "all" else f"{scheme}: {SCHEMES[scheme]}"
            sections.append(
                {
                    "id": f"scheme-{scheme}{name}",
                    "short": ("Side by side" if scheme == "all" else scheme) + where,
                    "title": title + where,
                    "figures": [_figure_item(key, f"figure-{scheme}-{key[2]}{name}") for key in found],
                }
            )
    return sections


def _figure_item(key: tuple[str, str, str], element: str) -> dict[str, Any]:
    _, scheme, x = key
    caption = _ALL[x] if scheme == "all" else _CAPTIONS[x] + _SCHEME_CAPTIONS.get(scheme, "") + _HOW
    return {"key": key, "element": element, "title": _TITLES[x], "paper": _PAPER[x], "caption": caption}


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
                "value": f"{-gain.drop:+.4f}".replace("-", "−"),
                "note": f"NE against the baseline at {human(gain.examples)} examples",
            }
        )
    return tiles


def _findings(runs: pd.DataFrame, fits: Mapping[str, Any]) -> list[str]:
    best = best_point(runs)
    if best is None:
        return ["No trial of this study was measured; the reasons are listed below."]
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


def _fit_row(record: Mapping[str, Any]) -> dict[str, Any]:
    fit = record["fit"]
    return {
        "scheme": record["scheme"],
        "against": axis_name(record["x"], record["scheme"]),
        "line": _line_name(record),
        "points": record["n"],
        "left_out": len(record["left_out"]),
        "parameters": [
            {"best": _number(fit[name]), "interval": _interval(fit, name)} for name in ("alpha", "beta", "gamma")
        ],
        "r2": "–" if fit["r2"] is None else f"{fit['r2']:.4f}",
        "status": fit["status"],
        "verdict": STATUS_WORDS[fit["status"]],
        "meaning": STATUS_MEANING[fit["status"]],
    }


def _line_name(record: Mapping[str, Any]) -> str:
    if record["line"] == FRONTIER:
        return FRONTIER
    return f"{human(float(record['line']))} examples" if record["x"] == "parameters" else f"{record['line']}×"


def _interval(fit: Mapping[str, Any], name: str) -> str:
    low, high = fit["interval"][name]
    if fit[name] is None or low is None:
        return ""
    return f"{_number(low)} to {'∞' if high is None else _number(high)}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 10:
        return f"{value:.4f}"
    return f"{value:,.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def _left_out(fits: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the fits do not show, or show with a caution: one table each, open where it must be seen."""
    groups = (
        ("missing", "Failed or skipped trials", "They gave no measurement; the reason is the trial's own."),
        ("collapsed", "Collapsed trials", "Test NE 0.9995 or more at every data size: a dead network. Not fitted."),
        (
            "flagged",
            "Flagged points",
            "plateau: left of the power-law region of its curve. lr_at_edge: the learning rate selected for this shape "
            "is the smallest or largest of the grid. collapsed: see above.",
        ),
    )
    tables = []
    for name, title, meaning in groups:
        columns = [column for column in _LEFT_OUT_COLUMNS if fits[name] and column in fits[name][0]]
        rows = [[_cell(column, record[column]) for column in columns] for record in fits[name]]
        headings = [column.replace("_", " ") for column in columns]
        tables.append(
            {"title": title, "meaning": meaning, "open": name != "flagged", "columns": headings, "rows": rows}
        )
    return tables


def _cell(key: str, value: Any) -> str:
    if key == "multiplier":
        return multiplier_label(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _methods(study: Mapping[str, Any]) -> list[dict[str, Any]]:
    data = study.get("data") or {}
    known = {"description", "bayes_ne", "bayes_ne_standard_error"}
    parts = {
        "Data": {key: value for key, value in data.items() if key not in known and value is not None},
        "Configuration": study.get("config") or {},
        "Software and machine": {key: study[key] for key in ("libraries", "machine") if study.get(key)},
    }
    return [{"title": title, "rows": _flat(content)} for title, content in parts.items() if content]


def _flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, text) pairs, in the order given."""
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            rows.append((name, ", ".join(str(item) for item in value)))
        else:
            rows.append((name, f"{value:,}" if isinstance(value, int) and value > 9999 else str(value)))
    return rows
