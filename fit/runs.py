"""The run table: one row per measured point, and the one seam between training and analysis."""

import csv
import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.fit.schemes import SCHEMES

COLUMNS: dict[str, str] = {
    "study": "str",
    "trial_id": "str",
    "architecture": "str",
    "scheme": "str",
    "multiplier": "float64",
    "seed": "int64",
    "learning_rate": "float64",
    "examples": "int64",  # different training rows
    "epochs": "int64",  # passes over them
    "embedding_dim": "int64",
    "embedding_rows": "int64",  # of all tables together
    "params_embedding": "int64",
    "params_bottom": "int64",
    "params_interaction": "int64",
    "params_overarch": "int64",
    "params_total": "int64",
    "flops_forward": "int64",  # per example
    "flops_train": "int64",  # per example, forward and backward
    "compute": "float64",  # flops_train x examples x epochs, which may exceed int64
    "test_ne": "float64",
    "test_log_loss": "float64",  # nats per example
    "test_auc": "float64",
    "test_calibration": "float64",  # mean prediction / mean label
    "validation_ne": "float64",
    "train_ne": "float64",  # of the rows since the rung before, as they were trained on
    "base_ctr": "float64",  # of the test split; rows count by their weight, as in every mean here
    "examples_per_second": "float64",
    "wall_seconds": "float64",
    "strategy": "str",
    "status": "str",
    "reason": "str",
    "flags": "str",  # joined by ";"
    "config_hash": "str",
    "data_hash": "str",
    "code_version": "str",
    "libraries": "str",  # name and version of each, joined by ";"
    "machine": "str",  # that the trial ran on
}
TIMING_COLUMNS = ("examples_per_second", "wall_seconds")  # differ between two runs of one study
STATUSES = ("ok", "failed", "skipped", "stopped")  # stopped: not trained at further sizes, its rate being bad
FLAGS = ("collapsed", "lr_at_edge", "plateau")

_ALLOWED = {"scheme": tuple(SCHEMES), "status": STATUSES}
_ORDER = ["study", "architecture", "scheme", "multiplier", "learning_rate", "seed", "examples", "trial_id"]
_FLOATS = [name for name, kind in COLUMNS.items() if kind == "float64"]
_PARTS = ["params_embedding", "params_bottom", "params_interaction", "params_overarch"]


def read_runs(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read and validate a run table.

    Args:
        path: A CSV file with a header of exactly COLUMNS, in any order; an empty number is NaN.

    Returns:
        One row per measured point, columns and dtypes of COLUMNS, in the order ``write_runs`` gives.

    Raises:
        InputError: the file is not such a table; the message names file, row, column and value. Row 1 is
            the first one below the header.
        OSError: the file cannot be read.

    Example:
        >>> runs = read_runs("runs.csv")
        >>> runs.groupby("scheme")["trial_id"].nunique().to_dict()
        {'D': 3, 'V': 12}
    """
    try:
        lines = list(csv.reader(io.StringIO(Path(path).read_text(encoding="utf-8"), newline=""), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as CSV ({error}); export the study again") from error
    if not lines:
        raise InputError(f"{path}: the file is empty; export the study again")
    header, rows = lines[0], lines[1:]
    _check_names(header, str(path))
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise InputError(f"{path}: row {number} has {len(row)} fields, the header {len(header)}")
    texts = {name: [row[at] for row in rows] for at, name in enumerate(header)}
    runs = pd.DataFrame({name: _column(texts[name], name, str(path)) for name in COLUMNS})
    return _validated(runs, str(path))


def write_runs(runs: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Validate a run table and write it as CSV, whole or not at all.

    Rows are sorted, floats are written with the fewest digits that read back as the same number, NaN as
    an empty field: the same table always gives the same bytes.

    Raises:
        InputError: the table breaks one of the rules of ``read_runs``.
        OSError: the file cannot be written.

    Example:
        >>> runs = read_runs("runs.csv")
        >>> write_runs(runs[runs["scheme"] == "D"], "baseline.csv")
    """
    _check_names(list(runs.columns), "the run table")
    typed = pd.DataFrame({name: _typed(runs[name], name) for name in COLUMNS})
    sorted_runs = _validated(typed, "the run table")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in sorted_runs.itertuples(index=False):
        writer.writerow([_text(value) for value in row])
    write_text_atomically(path, out.getvalue())


def _check_names(names: list[str], source: str) -> None:
    missing = [name for name in COLUMNS if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    twice = sorted({name for name in names if names.count(name) > 1})
    if missing or unknown or twice:
        problems = [
            f"{what}: {', '.join(found)}"
            for what, found in (
                ("missing columns", missing),
                ("unknown columns", unknown),
                ("repeated columns", twice),
            )
            if found
        ]
        raise InputError(f"{source}: {'; '.join(problems)}; export the study again with this version")


def _column(texts: list[str], name: str, source: str) -> "pd.Series[Any]":
    kind = COLUMNS[name]
    if kind == "str":
        return pd.Series(texts, dtype="str")
    parse = int if kind == "int64" else _float
    values = []
    for number, text in enumerate(texts, start=1):
        try:
            values.append(parse(text))
        except ValueError:
            what = "a whole number" if kind == "int64" else "a number"
            raise InputError(f"{source}: row {number}, column {name}: {text!r} is not {what}") from None
    try:
        return pd.Series(np.array(values, dtype=kind))
    except OverflowError:
        raise InputError(f"{source}: column {name} holds a number beyond 64 bits") from None


def _float(text: str) -> float:
    return float(text) if text else math.nan


def _typed(values: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    """A column as its dtype, refusing any change of value."""
    kind = COLUMNS[name]
    if kind == "str":
        not_text = [value for value in values if not isinstance(value, str)]
        if not_text:
            raise InputError(f"the run table: column {name}: {not_text[0]!r} is not text")
        return values.astype("str").reset_index(drop=True)
    try:
        numbers = pd.Series(values.to_numpy(dtype="float64" if kind == "float64" else None))
        typed = numbers.astype("float64" if kind == "float64" else "int64")
    except (TypeError, ValueError) as error:
        raise InputError(f"the run table: column {name}: {error}") from error
    if kind == "int64" and not (typed == numbers).all():
        raise InputError(f"the run table: column {name} must hold whole numbers")
    return typed


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return str(value)


def _validated(runs: pd.DataFrame, source: str) -> pd.DataFrame:
    """The sorted table; an error names the first row that breaks a rule."""
    ok = runs["status"] == "ok"
    rules: list[tuple[str, pd.Series[Any], str]] = [
        (name, ~runs[name].isin(values), f"must be one of {', '.join(values)}") for name, values in _ALLOWED.items()
    ]
    rules += [(name, ok & ~np.isfinite(runs[name]), "must be finite where status is ok") for name in _FLOATS]
    rules += [
        (name, ~(runs[name] > 0) | ~np.isfinite(runs[name]), "must be above 0")
        for name in ("multiplier", "learning_rate")
    ]
    rules += [
        (name, ok & ~(runs[name] > 0), "must be above 0 where status is ok")
        for name in ("examples", "epochs", "params_total", "flops_forward", "flops_train", "test_ne", "validation_ne")
    ]
    rules += [(name, runs[name] < 0, "must be 0 or above") for name in (*_PARTS, "examples")]
    flops = runs["flops_train"].astype("float64") * runs["examples"] * runs["epochs"]
    rules += [
        ("params_total", ok & (runs[_PARTS].sum(axis=1) != runs["params_total"]), "must be the sum of its parts"),
        ("compute", ok & ((runs["compute"] - flops).abs() > 1e-9 * flops), "must be flops_train x examples x epochs"),
        ("reason", ~ok & (runs["reason"] == ""), "must say why the status is not ok"),
        ("flags", ~runs["flags"].map(_known_flags).astype(bool), f"must be of {', '.join(FLAGS)}, joined by ;"),
        ("examples", runs.duplicated(["study", "trial_id", "examples"]), "is repeated for this trial_id"),
    ]
    for name, broken, rule in rules:
        if broken.any():
            row = int(np.argmax(broken.to_numpy()))
            raise InputError(f"{source}: row {row + 1}, column {name}: {runs[name].tolist()[row]!r} {rule}")
    rank = {scheme: at for at, scheme in enumerate(SCHEMES)}
    order = runs.assign(scheme=runs["scheme"].map(rank)).sort_values(_ORDER, kind="stable").index
    return runs.loc[order].reset_index(drop=True)


def _known_flags(flags: str) -> bool:
    return not flags or set(flags.split(";")) <= set(FLAGS)
