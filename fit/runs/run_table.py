"""The run table: one row per measured point, and the one seam between training and analysis."""

import csv
import difflib
import io
import math
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.common.words import plural
from tfrs_scaling.fit.runs.columns import COLUMNS as COLUMNS
from tfrs_scaling.fit.runs.columns import COLUMNS_OF_SECTIONS, REQUIRED, RUN_COLUMNS, sentence_without
from tfrs_scaling.fit.runs.table_file import TableFile, read_table_file
from tfrs_scaling.fit.schemes import SCHEMES, Axis

TIMING_COLUMNS = ("examples_per_second", "wall_seconds", "scorer_seconds")  # differ between two runs of one study
STATUSES = ("ok", "failed", "skipped", "stopped")  # stopped: not trained at further sizes, its rate being bad
FLAGS = ("collapsed", "lr_at_edge", "plateau", "unstable")

_ALLOWED = {"scheme": tuple(SCHEMES), "status": STATUSES}
_ORDER = ["study", "architecture", "scheme", "multiplier", "learning_rate", "seed", "examples", "trial_id"]
_FLOATS = [name for name, kind in COLUMNS.items() if kind == "float64"]
_SCORER = ("scorer_examples", "scorer_compute")
_PARTS = ["params_embedding", "params_bottom", "params_interaction", "params_overarch"]


@dataclass(frozen=True)
class RunTable:
    """A run table, and what its file left to be assumed.

    Attributes:
        runs: As ``read_runs`` returns it.
        absent: The columns that the file lacks, in the order of ``COLUMNS``.
        ignored: Its columns of other names.
    """

    runs: pd.DataFrame
    absent: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def notices(self) -> list[str]:
        """What was ignored, and which sections a report lacks by the columns that are absent: a sentence each."""
        said = []
        for name in self.ignored:
            near = _nearest(name, self.absent)
            said.append(f"column {name!r} is ignored{f'; did you mean {near!r}?' if near else ''}")
        return [*said, *(sentence_without(name) for name in COLUMNS_OF_SECTIONS if not is_recorded(self.runs, name))]


def read_runs(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read and validate a run table, of this program or of another trainer.

    Args:
        path: A CSV, TSV or Parquet file with the columns ``scheme``, ``multiplier``, ``examples`` and ``test_ne``, and
            any others of ``fit.RUN_COLUMNS``, which says what each is for and what is assumed without it. An
            empty number is NaN.

    Returns:
        One row per measured point, columns and dtypes of COLUMNS, in the order ``write_runs`` gives. A column that is
        not recorded holds NaN, 0 or an empty text throughout; see ``is_recorded``.

    Raises:
        InputError: the file is not such a table; the message names file, row, column and value. Row 1 is
            the first one below the header.
        OSError: the file cannot be read.

    Warns:
        UserWarning: a column is ignored, as its name is none of COLUMNS.

    Examples:
        >>> runs = read_runs("runs.csv")
        >>> runs.groupby("scheme")["trial_id"].nunique().to_dict()
        {'D': 3, 'V': 12}
    """
    table = read_run_table(path)
    if table.ignored:
        warnings.warn(f"{path}: {'; '.join(table.notices[: len(table.ignored)])}", stacklevel=2)
    return table.runs


def read_run_table(path: str | os.PathLike[str]) -> RunTable:
    """``read_runs``, with what the file left to be assumed."""
    file = read_table_file(path)
    present = [name for name in COLUMNS if name in file.columns and not (_is_number(name) and file.is_empty(name))]
    if "status" in present and "test_ne" in file.columns and "ok" not in file.texts("status"):
        present.append("test_ne")  # empty because every trial failed
    _check_required(present, file)
    given = {name: _column(file, name) for name in dict.fromkeys(present)}
    runs = _completed(given, file.rows, Path(path).stem)
    return RunTable(
        runs=_validated(runs, str(path)),
        absent=tuple(name for name in COLUMNS if name not in present),
        ignored=tuple(name for name in file.columns if name not in COLUMNS),
    )


def is_recorded(runs: pd.DataFrame, name: str) -> bool:
    """Whether a numeric column of the run table holds anything but NaN and 0, which mean that it is not recorded."""
    return bool((runs[name].notna() & (runs[name] != 0)).any())


def recorded_axes(runs: pd.DataFrame, scheme: str) -> tuple[Axis, ...]:
    """The axes of a scheme on which the rows have a place."""
    needed: dict[Axis, tuple[str, ...]] = {
        "data": (),
        "parameters": ("params_total", *(["params_embedding"] if SCHEMES[scheme].outside_tables else [])),
        "compute": ("flops_train",),
    }
    return tuple(x for x in SCHEMES[scheme].axes if all(is_recorded(runs, name) for name in needed[x]))


def write_runs(runs: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Validate a run table and write it as CSV, whole or not at all.

    Rows are sorted, floats are written with the fewest digits that read back as the same number, NaN as
    an empty field: the same table always gives the same bytes.

    Raises:
        InputError: the table breaks one of the rules of ``read_runs``.
        OSError: the file cannot be written.

    Examples:
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


def _is_number(name: str) -> bool:
    return COLUMNS[name] != "str"


def _check_required(present: Iterable[str], file: TableFile) -> None:
    instead_of_ne = {"test_log_loss", "base_ctr"} <= set(present)
    needed = [name for name in REQUIRED if name not in present and not (name == "test_ne" and instead_of_ne)]
    missing = [name for name in needed if name not in file.columns]
    if missing:
        others = [name for name in file.columns if name not in COLUMNS]
        hints = {name: _nearest(name, others) for name in missing}
        needs = "".join(
            f"\n  {name}: {RUN_COLUMNS[name].meaning}" + f" (is it the column {hints[name]!r}?)" * bool(hints[name])
            for name in missing
        )
        raise InputError(
            f"{file.path}: a run table needs {plural(len(missing), 'more column')}:{needs}\n"
            f"It has: {', '.join(file.columns)}. To fit one curve of it: tfrs-scaling fit {file.path} --x X --y Y"
        )
    if file.rows == 0:
        raise InputError(
            f"{file.path}: there are no rows below the header; a run table needs one for each measured point"
        )
    if needed:
        raise InputError(f"{file.path}: column {needed[0]} is empty: no row holds its {RUN_COLUMNS[needed[0]].meaning}")


def _nearest(name: str, candidates: Iterable[str]) -> str:
    """The candidate that a misspelt name most likely means, whatever its case; empty if none is near."""
    lowered = {candidate.lower(): candidate for candidate in candidates}
    return lowered.get(next(iter(difflib.get_close_matches(name.lower(), lowered, n=1)), ""), "")


def _column(file: TableFile, name: str) -> "pd.Series[Any]":
    kind = COLUMNS[name]
    if kind == "str":
        return pd.Series(file.texts(name), dtype="str")
    if kind == "float64":
        return pd.Series(file.numbers(name))
    try:
        return pd.Series(np.array(file.whole_numbers(name), dtype=np.int64))
    except OverflowError:
        raise InputError(f"{file.path}: column {name} holds a number beyond 64 bits") from None


def _completed(given: dict[str, "pd.Series[Any]"], rows: int, name: str) -> pd.DataFrame:
    """All columns, from those that a file has: what ``RUN_COLUMNS`` says, in its order."""
    runs = pd.DataFrame(given, index=range(rows))

    def fill(column: str, values: Any) -> None:
        if column not in given:
            runs[column] = pd.Series(values, index=runs.index)

    if "test_ne" not in given:
        entropy = special.entr(runs["base_ctr"]) + special.entr(1 - runs["base_ctr"])
        fill("test_ne", runs["test_log_loss"] / entropy)
    measured = runs["test_ne"].notna()
    fill("status", np.where(measured, "ok", "failed"))
    fill("reason", np.where(runs["status"] == "ok", "", np.where(measured, "not recorded", "test_ne is empty")))
    fill("epochs", np.where(runs["scheme"] == "E", runs["multiplier"].fillna(0), 1))
    passes = (runs["examples"] * runs["epochs"]).astype("float64")
    if set(_PARTS) <= set(given):
        fill("params_total", runs[_PARTS].sum(axis=1))
    if "compute" in given:
        fill("flops_train", (runs["compute"] / passes.where(passes > 0)).round().fillna(0))
    if "flops_train" not in given:
        runs["compute"] = runs.get("flops_train", pd.Series(0.0, index=runs.index)) * passes
    elif "compute" not in given:
        runs["compute"] = runs["flops_train"] * passes
    if "wall_seconds" in given:
        fill("examples_per_second", passes / runs["wall_seconds"].where(runs["wall_seconds"] > 0))
    elif "examples_per_second" in given:
        runs["wall_seconds"] = passes / runs["examples_per_second"].where(runs["examples_per_second"] > 0)
    fill("validation_ne", runs["test_ne"])
    fill("study", name)
    fill("architecture", "model")
    for column, kind in COLUMNS.items():
        if column not in runs and column != "trial_id":
            fill(column, {"str": "", "int64": 0, "float64": math.nan}[kind])
    if "trial_id" not in given:
        names = ("architecture", "scheme", "multiplier", "embedding_dim", "learning_rate", "seed")
        parts = pd.DataFrame({column: _labelled(runs[column]) for column in names if column in given})
        runs["trial_id"] = [" ".join(row) for row in parts.itertuples(index=False)]
    return runs[list(COLUMNS)].astype(COLUMNS)


def _labelled(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """The values of a column as part of a trial's name."""
    prefix = "" if values.name in ("architecture", "scheme") else f"{values.name}="
    return prefix + values.map(lambda value: f"{value:g}" if isinstance(value, float) else str(value)).astype("str")


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
    measured = runs[ok]
    has = {name: name in REQUIRED or is_recorded(measured, name) for name in COLUMNS if _is_number(name)}
    rules: list[tuple[str, pd.Series[Any], str]] = [
        (name, ~runs[name].isin(values), f"must be one of {', '.join(values)}") for name, values in _ALLOWED.items()
    ]
    share = runs["base_ctr"]  # where it gives test_ne, a wrong one shows there first
    outside = ok & ((share <= 0) | (share >= 1)) & (has["base_ctr"] | ~np.isfinite(runs["test_ne"]))
    rules.append(("base_ctr", outside, "must lie between 0 and 1: it is the mean label"))
    rules += [
        (name, ok & ~np.isfinite(runs[name]), "must be finite where status is ok") for name in _FLOATS if has[name]
    ]
    rules += [
        (name, ~(runs[name] > 0) | ~np.isfinite(runs[name]), "must be above 0")
        for name in ("multiplier", "learning_rate")
        if has[name]
    ]
    positive = ("examples", "epochs", "params_total", "flops_forward", "flops_train", "test_ne", "validation_ne")
    rules += [(name, ok & ~(runs[name] > 0), "must be above 0 where status is ok") for name in positive if has[name]]
    rules += [(name, runs[name] < 0, "must be 0 or above") for name in (*_PARTS, "examples", *_SCORER, *TIMING_COLUMNS)]
    flops, parts = runs["flops_train"].astype("float64") * runs["examples"] * runs["epochs"], runs[_PARTS].sum(axis=1)
    # Another trainer may know the parameters of its tables, and no other part of the total.
    in_parts = parts != runs["params_total"] if is_recorded(runs, "params_overarch") else parts > runs["params_total"]
    rules += [
        ("params_total", ok & in_parts & has["params_total"], "must be the sum of its parts"),
        ("compute", ok & ((runs["compute"] - flops).abs() > 1e-9 * flops), "must be flops_train x examples x epochs"),
        ("reason", ~ok & (runs["reason"] == ""), "must say why the status is not ok"),
        ("flags", ~runs["flags"].map(_known_flags).astype(bool), f"must be of {', '.join(FLAGS)}, joined by ;"),
        (
            "examples",
            runs.duplicated(["study", "trial_id", "examples"]),
            "is repeated in one training; a column seed or trial_id says which training a row belongs to",
        ),
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
