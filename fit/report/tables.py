"""Every table of the report, from the records of fits.json; each exists, if empty, so that its CSV does too."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_scaling.common.words import human
from tfrs_scaling.fit.analyses.generalisation import PROGRESSIVE
from tfrs_scaling.fit.labels import FRONTIER, axis_name, multiplier_label
from tfrs_scaling.fit.report.summary import STATUS_MEANING, STATUS_WORDS
from tfrs_scaling.fit.report.table import Column, Table

Fits = Mapping[str, Any]
Record = dict[str, Any]

_WHERE = (Column("architecture", "Architecture"), Column("scheme", "Scheme"), Column("against", "Against"))
_LAW = (
    Column("alpha", "α", "estimate"),
    Column("beta", "β", "estimate"),
    Column("gamma", "γ", "estimate"),
)
_LEFT_OUT = (
    "trial_id", "architecture", "scheme", "multiplier", "learning_rate", "seed", "examples", "status", "reason",
    "flags",
)  # fmt: skip


def study_tables(fits: Fits) -> dict[str, Table]:
    """The tables of a study by name.

    Args:
        fits: What ``fit_study`` made of it.
    """
    tables = [
        _ranking(fits), _pairs(fits), _phases(fits), _limits(fits), _zones(fits), _cells(fits), _dimension(fits),
        _generalisation(fits), _joint(fits), _path(fits), _architectures(fits), _effects(fits), _held_out(fits),
        _paper(fits), _fits(fits), *_left_out(fits),
    ]  # fmt: skip
    return {table.name: table for table in tables}


def line_name(record: Mapping[str, Any]) -> str:
    """A line in words: 4×, 65.5k examples, or frontier."""
    line = str(record["line"])
    if line == FRONTIER:
        return FRONTIER
    return f"{human(float(line))} examples" if record.get("x") == "parameters" else f"{line}×"


def _spread(values: Mapping[str, Any] | None, names: Sequence[str]) -> Record:
    """Parameters with their intervals as plain columns: beta, beta_low, beta_high."""
    out: Record = {}
    for name in names:
        interval = None if values is None else values["interval"]
        low, high = (interval and interval[name]) or (None, None)
        out |= {name: None if values is None else values[name], f"{name}_low": low, f"{name}_high": high}
    return out


def _against(x: str, scheme: str) -> str:
    return axis_name(x, scheme)


def _ranking(fits: Fits) -> Table:
    records = [
        {"architecture": ranking["architecture"], "scheme": row["scheme"]}
        | {"against": _against(ranking["x"], row["scheme"])}
        | _spread(row, ("alpha", "beta", "gamma"))
        | {"r2": row["r2"], "status": STATUS_WORDS[row["status"]], "status_why": STATUS_MEANING[row["status"]]}
        | {"saturated": row["saturated"], "saturated_why": row["why"]}
        | {"gain_percent": None if row["gain"] is None else 100 * row["gain"]}
        for ranking in fits["ranking"]
        for row in ranking["schemes"]
    ]  # fmt: skip
    columns = (
        *_WHERE, *_LAW, Column("r2", "R²", "number"), Column("status", "Fit", "verdict"),
        Column("saturated", "Saturated", "verdict"), Column("gain_percent", "Next doubling, % of NE", "number"),
    )  # fmt: skip
    note = (
        "NE ≈ α·x⁻ᵝ + γ on the frontier of each scheme. In small print: the interval. Saturated: whether the next "
        "doubling of x, from the largest measured, brings less than the threshold."
    )
    return Table("table1", "Table 1: data, parameter and compute efficiency", columns, records, note)


def _pairs(fits: Fits) -> Table:
    records = [
        {"architecture": ranking["architecture"], "against": ranking["x"]}
        | {"pair": f"{pair['first']} against {pair['second']}"}
        | {"outcome": pair["outcome"], "outcome_why": pair["why"], "why": pair["why"]}
        | {"difference": pair["difference"], "difference_low": pair["low"], "difference_high": pair["high"]}
        | {"at": pair["at"]}
        for ranking in fits["ranking"]
        for pair in ranking["pairs"]
    ]  # fmt: skip
    columns = (
        Column("architecture", "Architecture"), Column("against", "Against"), Column("pair", "Pair"),
        Column("outcome", "Outcome", "verdict"), Column("difference", "Difference of NE", "estimate"),
        Column("at", "At x", "count"), Column("why", "Why", "words"),
    )  # fmt: skip
    return Table("table1_pairs", "Pair by pair", columns, records, folded=True)


def _phases(fits: Fits) -> Table:
    records = [
        {"architecture": r["architecture"], "scheme": r["scheme"], "against": _against(r["x"], r["scheme"])}
        | {"line": line_name(r), "at": r["at"], "epsilon_percent": 100 * r["epsilon"]}
        | {"gain_percent": None if r["gain"] is None else 100 * r["gain"], "elasticity": r["elasticity"]}
        | {"saturated": r["saturated"], "probability": r["probability"]}
        | {"diminishing_return": r["diminishing_return"], "diminishing_return_low": r["low"]}
        | {"diminishing_return_high": r["high"]}
        for r in fits["phases"]
    ]  # fmt: skip
    columns = (
        *_WHERE, Column("line", "Line"), Column("at", "Measured to x", "count"),
        Column("epsilon_percent", "Threshold, % of NE", "number"),
        Column("gain_percent", "Next doubling, % of NE", "number"), Column("elasticity", "Local exponent", "number"),
        Column("saturated", "Saturated", "verdict"), Column("probability", "Probability of it", "number"),
        Column("diminishing_return", "Point of diminishing return, x", "estimate"),
    )  # fmt: skip
    return Table("phases", "Phases of every line", columns, records, folded=True)


def _limits(fits: Fits) -> Table:
    records = []
    for r in fits["limits"]:
        half = r["half_gap"] or dict.fromkeys(("ne", "x", "low", "high", "factor", "unreachable_probability"))
        records.append(
            {"architecture": r["architecture"], "scheme": r["scheme"], "against": _against(r["x"], r["scheme"])}
            | {"best_ne": r["best_ne"], "gap": r["gap"]}
            | {"gamma": r["gamma"], "gamma_low": r["gamma_low"], "gamma_high": r["gamma_high"]}
            | {"half_gap_ne": half["ne"], "half_gap_factor": half["factor"]}
            | {"half_gap_x": half["x"], "half_gap_x_low": half["low"], "half_gap_x_high": half["high"]}
            | {"unreachable_probability": half["unreachable_probability"], "words": r["words"]}
        )
    columns = (
        *_WHERE, Column("best_ne", "Lowest NE", "number"), Column("gamma", "Floor γ", "estimate"),
        Column("gap", "Gap", "number"), Column("half_gap_ne", "NE at half the gap", "number", csv_only=True),
        Column("half_gap_x", "x that takes", "estimate"), Column("half_gap_factor", "Times the largest x", "count"),
        Column("unreachable_probability", "Probability it is out of reach", "number", csv_only=True),
        Column("words", "In words", "words"),
    )  # fmt: skip
    note = (
        "How far the best model of each scheme is from the level that no amount of x gets below, and what half of that "
        "way takes."
    )
    return Table("limits", "Limits", columns, records, note)


def _zones(fits: Fits) -> Table:
    records = [
        {"architecture": zone["architecture"], "pair": f"{zone['first']} against {zone['second']}"}
        | {"parameters": row["parameters"], "data": row["data"]}
        | {"outcome": _zone_words(zone, row["outcome"]), "outcome_why": row["why"]}
        | {"cells": _counted(zone, row["cells"]), "why": row["why"]}
        for zone in fits["zones"]
        for row in zone["table"]
    ]
    columns = (
        Column("architecture", "Architecture"), Column("pair", "Pair"), Column("parameters", "Parameter budget"),
        Column("data", "Data budget"), Column("outcome", "Better", "verdict"), Column("cells", "Cells"),
        Column("why", "Why", "words"),
    )  # fmt: skip
    return Table("table2", "Table 2: which scheme is better in which budget", columns, records)


def _zone_words(zone: Mapping[str, Any], outcome: str) -> str:
    return {">": zone["first"], "<": zone["second"]}.get(outcome, outcome)


def _counted(zone: Mapping[str, Any], cells: Any) -> str:
    """How many cells have each outcome."""
    if not isinstance(cells, Mapping):
        return str(cells)
    names = {">": zone["first"], "<": zone["second"], "≈": "≈"}
    return ", ".join(f"{names.get(outcome, outcome)} {count}" for outcome, count in cells.items() if count)


def _cells(fits: Fits) -> Table:
    records = [
        {"architecture": zone["architecture"], "first": zone["first"], "second": zone["second"]}
        | {"margin": zone["margin"]}
        | {name: cell[name] for name in ("parameters", "examples", "outcome", "difference")}
        | {"difference_low": cell["low"], "difference_high": cell["high"]}
        for zone in fits["zones"]
        for cell in zone["cells"]
    ]  # fmt: skip
    columns = (
        Column("architecture", "Architecture"), Column("first", "First"), Column("second", "Second"),
        Column("margin", "Margin", "number"), Column("parameters", "Parameters", "count"),
        Column("examples", "Examples", "count"), Column("outcome", "Outcome", "verdict"),
        Column("difference", "Difference of NE", "estimate"),
    )  # fmt: skip
    return Table("zones", "Every cell of the maps (as CSV)", columns, records, hidden=True)


def _dimension(fits: Fits) -> Table:
    records = [
        {"architecture": r["architecture"], "rows": f"{_multiplier(r['multiplier'])}×", "examples": r["examples"]}
        | {"dimensions": ", ".join(f"{dim:g}" for dim in r["dims"])}
        | {"best": r["best"], "best_low": r["best_low"], "best_high": r["best_high"]}
        | {"knee": r["knee"], "knee_low": r["knee_low"], "knee_high": r["knee_high"], "why": r["why"]}
        for r in fits["dimension"]
    ]
    columns = (
        Column("architecture", "Architecture"), Column("rows", "Rows"), Column("examples", "Examples", "count"),
        Column("dimensions", "Measured"), Column("best", "Best dimension", "estimate"),
        Column("knee", "Knee", "estimate"), Column("why", "Why", "words"),
    )  # fmt: skip
    return Table("dimension", "Best dimension and knee", columns, records)


def _generalisation(fits: Fits) -> Table:
    records = []
    for r in fits["generalisation"]:
        record = {"architecture": r["architecture"], "scheme": r["scheme"], "line": line_name(r)}
        for split in ("train", "test"):
            spread = _spread(r[split], ("beta", "gamma"))
            record |= {f"{split}_{name}": value for name, value in spread.items()}
        record |= {"difference_beta": r["difference_beta"], "words": r["words"]}
        records.append(record | {"difference_beta_low": r["low"], "difference_beta_high": r["high"]})
    columns = (
        *_WHERE[:2], Column("line", "Line"), Column("train_beta", "β of training NE", "estimate"),
        Column("test_beta", "β of test NE", "estimate"), Column("difference_beta", "Difference", "estimate"),
        Column("train_gamma", "γ of training NE", "estimate"), Column("test_gamma", "γ of test NE", "estimate"),
        Column("words", "In words", "words"),
    )  # fmt: skip
    return Table("generalisation", "Exponents of training and test NE", columns, records, PROGRESSIVE)


def _joint(fits: Fits) -> Table:
    records = []
    for r in fits["joint"]:
        record = {"architecture": r["architecture"], "scheme": r["scheme"], "parameters": r["parameters"]}
        record |= _spread(r["fit"], ("E", "A", "a", "B", "b", "split_exponent"))
        records.append(
            record | {"status": r["fit"]["status"].replace("_", " ") if r["fit"] else "not fitted", "words": r["words"]}
        )
    columns = (
        *_WHERE[:2], Column("parameters", "N counts"), Column("E", "E", "estimate"),
        Column("A", "A", "estimate", csv_only=True),
        Column("a", "a", "estimate"), Column("B", "B", "estimate", csv_only=True), Column("b", "b", "estimate"),
        Column("split_exponent", "b / (a + b)", "estimate"), Column("status", "Status"),
        Column("words", "In words", "words"),
    )  # fmt: skip
    note = "NE ≈ E + A·N⁻ᵃ + B·D⁻ᵇ, of N parameters and D training examples."
    return Table("joint_law", "The law of parameters and data", columns, records, note)


def _path(fits: Fits) -> Table:
    records = [
        {"architecture": r["architecture"], "scheme": r["scheme"], "budget": stop["budget"], "n": stop["n"]}
        | {"d": stop["d"]}
        | {"ne": stop["ne"], "ne_low": stop["low"], "ne_high": stop["high"]}
        for r in fits["joint"]
        for stop in r["path"] or ()
    ]  # fmt: skip
    columns = (
        *_WHERE[:2], Column("budget", "Budget, FLOPs", "count"), Column("n", "Parameters", "count"),
        Column("d", "Training examples", "count"), Column("ne", "NE", "estimate"),
    )  # fmt: skip
    return Table("compute_optimal", "Compute-optimal path", columns, records, folded=True)


def _architectures(fits: Fits) -> Table:
    records = [
        {"pair": f"{r['second']} against {r['first']}", "verdict": r["verdict"], "verdict_why": r["words"]}
        | {"beta_difference": r["beta_difference"], "beta_difference_low": r["low"], "beta_difference_high": r["high"]}
        | {name: r[name] for name in ("data_ratio", "data_ratio_low", "data_ratio_high", "p_value", "words")}
        for r in fits["architectures"]
    ]
    columns = (
        Column("pair", "Pair"), Column("verdict", "Verdict", "verdict"),
        Column("beta_difference", "Difference of β", "estimate"),
        Column("data_ratio", "Times the data for the same NE", "estimate"), Column("p_value", "p", "number"),
        Column("words", "In words", "words"),
    )  # fmt: skip
    return Table("architectures", "Architectures: a shifted curve, or another exponent", columns, records)


def _effects(fits: Fits) -> Table:
    records = [
        {"architecture": r["architecture"], "scheme": r["scheme"], "multiplier": _multiplier(r["multiplier"])}
        | {"examples": r["examples"], "ne": r["ne"], "baseline": r["baseline"]}
        | {"change": r["change"], "change_low": r["low"], "change_high": r["high"], "outcome": r["outcome"]}
        | {"embedding_dim": r["embedding_dim"], "outcome_why": r["why"]}
        for r in fits["effects"]
    ]
    columns = (
        *_WHERE[:2], Column("multiplier", "Multiplier"), Column("embedding_dim", "Dimension"),
        Column("examples", "Examples", "count"),
        Column("baseline", "NE of the baseline", "number"), Column("ne", "NE", "number"),
        Column("change", "Change", "estimate"), Column("outcome", "NE against the baseline", "verdict"),
    )  # fmt: skip
    return Table("effects", "What every multiplier changes", columns, records, folded=True)


def _held_out(fits: Fits) -> Table:
    records = [
        {"architecture": r["architecture"], "scheme": r["scheme"], "line": line_name(r), "examples": r["examples"]}
        | {"predicted": r["predicted"], "predicted_low": r["low"], "predicted_high": r["high"]}
        | {"measured": r["measured"], "inside": _inside(r["inside"]), "law": r["law"]}
        | {"relative_error_percent": None if r["relative_error"] is None else 100 * r["relative_error"]}
        for r in fits["held_out"]
    ]
    columns = (
        *_WHERE[:2], Column("line", "Line"), Column("examples", "Examples held out", "count"),
        Column("predicted", "Predicted NE", "estimate"), Column("measured", "Measured NE", "number"),
        Column("inside", "Measured lies", "verdict"), Column("relative_error_percent", "Error, %", "number"),
        Column("law", "Law"),
    )  # fmt: skip
    return Table("held_out", "Predictions of the largest data size", columns, records, folded=True)


def _inside(inside: bool | None) -> str:
    return "" if inside is None else "inside" if inside else "outside"


def _paper(fits: Fits) -> Table:
    columns = (
        Column("claim", "Claim"), Column("source", "Where"), Column("paper", "The paper"), Column("ours", "This study"),
        Column("verdict", "Verdict", "verdict"), Column("why", "Why", "words"),
    )  # fmt: skip
    note = "Ardalani et al. (2022) trained on another log, of much larger models: agreement is a finding, not a target."
    return Table("paper", "Beside the paper", columns, fits["paper"], note)


def _fits(fits: Fits) -> Table:
    ordered = sorted(fits["lines"], key=lambda record: record["line"] != FRONTIER)
    records = [
        {"architecture": r["architecture"], "scheme": r["scheme"], "against": _against(r["x"], r["scheme"])}
        | {"line": line_name(r), "points": r["n"], "left_out": len(r["left_out"])}
        | _spread(r["fit"], ("alpha", "beta", "gamma"))
        | {"r2": r["fit"]["r2"], "status": STATUS_WORDS[r["fit"]["status"]]}
        | {"status_why": STATUS_MEANING[r["fit"]["status"]]}
        for r in ordered
    ]
    columns = (
        *_WHERE, Column("line", "Line"), Column("status", "Verdict", "verdict"), Column("points", "Points", "count"),
        Column("left_out", "On the plateau", "count"), *_LAW, Column("r2", "R²", "number"),
    )  # fmt: skip
    note = (
        "β is how fast more x pays, γ the level that no amount of x gets below. Only where the verdict is sound should "
        "a curve be followed beyond its points."
    )
    return Table("fits", f"{len(records)} lines and frontiers", columns, records, note, folded=True)


def _left_out(fits: Fits) -> list[Table]:
    """What the fits do not show, or show with a caution."""
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
    for name, heading, meaning in groups:
        found = fits[name]
        keys = [key for key in _LEFT_OUT if found and key in found[0]]
        kinds = {"multiplier": "text", "learning_rate": "text"}
        columns = tuple(Column(key, key.replace("_", " "), kinds.get(key, "text")) for key in keys)  # type: ignore[arg-type]
        records = [
            {key: _multiplier(record[key]) if key == "multiplier" else record[key] for key in keys} for record in found
        ]
        title = f"{heading}: {len(found) or 'none'}"
        tables.append(Table(name, title, columns, records, meaning, folded=name == "flagged"))
    return tables


def _multiplier(value: Any) -> str:
    return value if isinstance(value, str) else multiplier_label(float(value))
