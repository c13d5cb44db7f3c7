"""Every fit of a study: each scheme's lines and frontiers against data, parameters and compute."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.fit.analyses.all_analyses import analyses
from tfrs_scaling.fit.analyses.ladders import resample_ladders
from tfrs_scaling.fit.analyses.lines import DataLine
from tfrs_scaling.fit.analyses.outlook import limits, saturation
from tfrs_scaling.fit.analyses.paper import compare_with_paper
from tfrs_scaling.fit.analyses.ranking import rank_schemes
from tfrs_scaling.fit.analyses.zones import scheme_zones
from tfrs_scaling.fit.labels import FRONTIER, multiplier_label
from tfrs_scaling.fit.laws.frontier import fit_frontier, pareto_frontier
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.plateau import power_law_region
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.fit.screening import SHAPE, collapsed_trials, rows_of_scheme, usable_runs, with_flags

FORMAT = 3
_TRIAL = ["trial_id", "architecture", "scheme", "multiplier", "learning_rate", "seed"]


def points(chosen: pd.DataFrame, architecture: str, scheme: str) -> pd.DataFrame:
    """A scheme's points that may carry a fit, the baseline's included, with their x on every axis.

    Args:
        chosen: The rows that may carry a fit, as ``usable_runs`` returns them.
        architecture: Keep this one.
        scheme: D, V, H, O, M, VH, F, N or E.

    Returns:
        Their rows with three columns more: ``data`` (training examples), ``parameters`` (all of
        them but for O and M; those outside the embedding tables for O and M, which change no others) and
        ``plateau`` (left of the power-law region of its shape's curve). ``compute`` they have already.
    """
    rows = rows_of_scheme(chosen, scheme)
    rows = rows[rows["architecture"] == architecture]
    parameters = rows["params_total"].astype("float64")
    if SCHEMES[scheme].outside_tables:
        parameters = parameters - rows["params_embedding"]
    plateau = pd.Series(False, index=rows.index)
    for _, curve in rows.groupby(SHAPE, sort=True):
        plateau[curve.index] = _on_plateau(curve)
    return rows.assign(data=rows["examples"].astype("float64"), parameters=parameters, plateau=plateau)


def fit_study(
    runs: pd.DataFrame,
    *,
    bayes_ne: float | None = None,
    bayes_ne_standard_error: float | None = None,
    level: float = 0.95,
) -> dict[str, Any]:
    """Fit every line and frontier of a study.

    A line is all points of one multiplier (against data and compute) or of one data size (against
    parameters), of every seed; points of one trial share a training, and are grouped. A frontier is the
    Pareto frontier of a scheme's points averaged over seeds, so that it is not made of lucky seeds, and is
    derived anew in every resample. Against data and compute the plateau at the left of a curve is left
    out. Learning rates are selected on the validation split.

    Args:
        runs: The run table.
        bayes_ne: The test NE no model can get below, where the data are synthetic and it is known.
        bayes_ne_standard_error: Its standard error on the test split, 0 if not given.
        level: Confidence level of all intervals.

    Returns:
        The content of fits.json. ``lines`` holds one record for each fit: architecture, scheme, x, line
        (a multiplier such as "1/4", a data size, or "frontier"), n, left_out (the x of plateau points)
        and fit (``PowerLawFit.to_dict``). ``best`` names the scheme whose data frontier reaches the lowest
        NE at the largest data size, and compares its gamma with the Bayes NE. ``phases`` and ``limits`` are those of
        ``outlook``, ``ranking`` and ``zones`` those of ``rank_schemes`` and ``scheme_zones`` with the architecture,
        ``paper`` that of ``compare_with_paper``, ``dimension`` to ``effects`` the records of ``analyses``. ``missing``,
        ``collapsed`` and ``flagged`` list what is not, or not plainly, in the fits.

    Raises:
        InputError: the table has no row.
    """
    if runs.empty:
        raise InputError("the run table has no rows; run the sweep and export it first")
    chosen = usable_runs(runs).reset_index(drop=True)
    planes = {
        (architecture, scheme): points(chosen, architecture, scheme)
        for architecture in sorted(runs["architecture"].unique())
        for scheme in SCHEMES
        if ((runs["scheme"] == scheme) & (runs["architecture"] == architecture)).any()
    }
    lines = [record for of, rows in planes.items() for record in _scheme_lines(rows, *of, level)]
    floor = (bayes_ne, bayes_ne_standard_error or 0.0)
    flagged = with_flags(runs)
    dead = runs[runs["trial_id"].isin(collapsed_trials(runs))].drop_duplicates("trial_id")
    standing = saturation(lines)
    fits = {
        "format": FORMAT,
        "level": level,
        "lines": lines,
        "phases": standing,
        "limits": limits(lines),
        **_comparisons(chosen, lines, standing, level),
        "best": _best(lines, *floor),
        "missing": _records(runs[runs["status"] != "ok"], [*_TRIAL, "status", "reason"]),
        "collapsed": _records(dead, _TRIAL),
        "flagged": _records(flagged[flagged["flags"] != ""], [*_TRIAL, "examples", "flags"]),
        **analyses(chosen, list(_data_lines(planes)), planes, level=level),
    }
    return fits | {"paper": compare_with_paper(fits)}


def write_fits(fits: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write fits.json, whole or not at all; the same fits always give the same bytes.

    Raises:
        ValueError: the fits hold NaN or an infinity.
        OSError: the file cannot be written.
    """
    text = json.dumps(fits, sort_keys=True, allow_nan=False, indent=1, ensure_ascii=False)
    write_text_atomically(path, text + "\n")


def read_fits(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read fits.json.

    Raises:
        InputError: the file is not JSON, or of another format.
        OSError: the file cannot be read.
    """
    try:
        fits = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error}); fit the runs again") from error
    if not isinstance(fits, dict) or fits.get("format") != FORMAT:
        raise InputError(f"{path}: not the fits of format {FORMAT}; fit the runs again")
    return fits


def find_line(
    fits: Mapping[str, Any], *, scheme: str, x: str, line: str, architecture: str
) -> tuple[dict[str, Any], PowerLawFit] | None:
    """The record of one line and its fit, or None where the study has no such line."""
    for record in fits["lines"]:
        named = (record["scheme"], record["x"], record["line"], record["architecture"])
        if named == (scheme, x, line, architecture):
            return record, PowerLawFit.from_dict(record["fit"])
    return None


def frontier_points(rows: pd.DataFrame, x: str) -> pd.DataFrame:
    """The Pareto frontier of a scheme's points, averaged over seeds.

    Args:
        rows: What ``points`` returned.
        x: data, parameters or compute.

    Returns:
        Columns of SHAPE, examples, x, test_ne and plateau, by increasing x.
    """
    values = [x, "test_ne", "plateau"]
    means = rows.groupby([*SHAPE, "examples"], sort=True)[values].mean().reset_index()
    frontier = means.iloc[pareto_frontier(means[x], means["test_ne"])].reset_index(drop=True)
    if x == "data":  # one point per data size: the frontier is itself a learning curve, with its own plateau
        return frontier.assign(plateau=_on_plateau(frontier))
    return frontier.assign(plateau=frontier["plateau"] > 0)


def _data_lines(planes: Mapping[tuple[str, str], pd.DataFrame]) -> Iterator[DataLine]:
    """Every line against data once: the baseline's ladder as D, multipliers and the frontier of every other scheme."""
    for (architecture, scheme), rows in planes.items():
        if not SCHEMES[scheme].axes:
            continue
        for multiplier, line in rows[rows["scheme"] == scheme].groupby("multiplier", sort=True):
            yield DataLine(architecture, scheme, multiplier_label(float(str(multiplier))), False, line)
        if scheme != "D" and not rows.empty:
            yield DataLine(architecture, scheme, FRONTIER, True, rows)


def _scheme_lines(rows: pd.DataFrame, architecture: str, scheme: str, level: float) -> Iterator[dict[str, Any]]:
    for x in SCHEMES[scheme].axes:
        key = "examples" if x == "parameters" else "multiplier"
        named = [
            (str(value) if x == "parameters" else multiplier_label(float(str(value))), line)
            for value, line in rows.groupby(key, sort=True)
        ]
        fit_line = fit_power_law if x == "parameters" else fit_learning_curve
        fits = [
            (name, fit_line(line[x], line["test_ne"], groups=line["trial_id"], level=level))
            for name, line in named
            if line[x].nunique() > 1  # a single place on the axis is a point, not a line
        ]
        if (~frontier_points(rows, x)["plateau"]).sum() > 1:
            fits.append((FRONTIER, _fit_frontier(rows, x, level)))
        for name, fit in fits:
            yield {
                "architecture": architecture,
                "scheme": scheme,
                "x": x,
                "line": name,
                "n": fit.n,
                "left_out": list(fit.left_out),
                "fit": fit.to_dict(),
            }


def _comparisons(
    chosen: pd.DataFrame, lines: list[dict[str, Any]], standing: list[dict[str, Any]], level: float
) -> dict[str, list[dict[str, Any]]]:
    """``ranking`` and ``zones`` of every architecture."""
    found: dict[str, list[dict[str, Any]]] = {"ranking": [], "zones": []}
    for architecture in sorted(chosen["architecture"].unique()):
        ladders = resample_ladders(chosen, architecture)
        of_lines, of_phases = (
            [r for r in records if r["architecture"] == architecture] for records in (lines, standing)
        )
        for key, records in (
            ("ranking", rank_schemes(ladders, of_lines, of_phases, level=level)),
            ("zones", scheme_zones(ladders, level=level)),
        ):
            found[key] += [{"architecture": architecture, **record} for record in records]
    return found


def _fit_frontier(rows: pd.DataFrame, x: str, level: float) -> PowerLawFit:
    """The law of ``frontier_points``."""
    by = ["examples"] if x == "parameters" else SHAPE  # against parameters the ladders are the data sizes
    configurations = rows[by].astype("str").agg(" ".join, axis=1)
    plateau = None if x == "data" else rows["plateau"] & (x != "parameters")
    return fit_frontier(
        rows[x],
        rows["test_ne"],
        configurations=configurations,
        groups=rows["trial_id"],
        plateau=plateau,
        level=level,
    )


def _on_plateau(curve: pd.DataFrame) -> "pd.Series[bool]":
    """Whether each point of one shape lies left of the power-law region of its seed-averaged curve."""
    means = curve.groupby("examples", sort=True)["test_ne"].mean()
    if len(means) < 2:
        return pd.Series(False, index=curve.index)
    start = power_law_region(means.index.to_numpy(), means.to_numpy())
    return curve["examples"].isin(means.index[:start])


def _best(lines: list[dict[str, Any]], bayes_ne: float | None, standard_error: float) -> dict[str, Any] | None:
    """The scheme whose data frontier ends lowest; the scheme's order in SCHEMES breaks ties."""
    frontiers = [record for record in lines if (record["x"], record["line"]) == ("data", FRONTIER)]
    if not frontiers:
        return None
    schemes = [record for record in frontiers if record["scheme"] != "D"] or frontiers
    record = min(schemes, key=lambda candidate: candidate["fit"]["y"][-1])
    best = {"scheme": record["scheme"], "architecture": record["architecture"], "x": "data"}
    best |= {"ne": record["fit"]["y"][-1], "examples": record["fit"]["x"][-1]}
    if bayes_ne is None:
        return best
    return best | {"bayes": _against_bayes(record["fit"], bayes_ne, standard_error)}


def _against_bayes(fit: Mapping[str, Any], bayes_ne: float, standard_error: float) -> dict[str, Any]:
    """Whether gamma's interval, widened by the uncertainty of the Bayes NE, contains it; if not, why."""
    low, high = fit["interval"]["gamma"]
    out = {"bayes_ne": bayes_ne, "standard_error": standard_error, "gamma": fit["gamma"]}
    if low is None or high is None:
        why = "there are too few points on the frontier to fit a floor"
        return out | {"contains": False, "why": why}
    margin = 1.96 * standard_error
    if low - margin <= bayes_ne <= high + margin:
        wide = " (the interval is wide: the data do not say where the floor lies)"
        unsure = fit["status"] != "ok"
        why = "the interval of the fitted floor contains the Bayes NE" + (wide if unsure else "")
        return out | {"contains": True, "why": why}
    if high + margin < bayes_ne:
        why = (
            "the whole interval of the fitted floor lies below the Bayes NE, which no model can get below: "
            "the curve bends more within the measured range than beyond it, so the law extrapolates too far"
        )
    else:
        why = (
            "the whole interval of the fitted floor lies above the Bayes NE: these models, trained for one "
            "pass with these settings, level off before they reach it. The floor of a scheme also holds "
            "what its models cannot represent, or do not learn in one pass"
        )
    return out | {"contains": False, "why": why}


def _records(rows: pd.DataFrame, columns: list[str]) -> list[dict[str, Any]]:
    """Rows as plain values, sorted by trial."""
    order = [name for name in ("trial_id", "examples", "reason") if name in columns]
    plain = rows[columns].sort_values(order, kind="stable")
    return [
        {str(name): value.item() if hasattr(value, "item") else value for name, value in row.items()}
        for row in plain.to_dict("records")
    ]
