"""Models of other libraries beside a published study, trained on the same rows."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import compact, listed
from tfrs_scaling.fit.report.published import Published, best_on_validation, largest_shapes, spread, table
from tfrs_scaling.fit.schemes import BASELINE

LIBRARIES = "libraries.csv"


@dataclass(frozen=True)
class Library:
    """One training of a model of another library.

    Attributes:
        log: Name of the study whose rows it was trained on.
        settings: What was set, and what matters of the library's defaults.
        examples: Rows of training.
        seed: That of the rows' order, as in the study, and of the model.
        parameters: Numbers learned; of trees, their leaves.
        seconds: Of training and predicting, by one thread.
        data_hash: Of the prepared data, as in the study's run table.
        date: ISO 8601.
    """

    log: str
    model: str
    package: str
    version: str
    settings: str
    examples: int
    seed: int
    test_ne: float
    test_auc: float
    parameters: int
    seconds: float
    data_hash: str
    date: str


def read_libraries(folder: Path) -> list[Library]:
    """The trainings in a folder's ``libraries.csv``; none where there is no such file.

    Raises:
        InputError: a row is not one.
    """
    path = folder / LIBRARIES
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return TypeAdapter(list[Library]).validate_python(rows)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


_HEAD = """## Is the trainer any good?

A law of a bad trainer would say little, so here are models of other libraries on the same rows, beside the study's own:
the same split, the first rows of the same order, mean and standard deviation over seeds. Each makes one pass over them,
but for two: trees see all rows for every tree, and the validation split to know when to stop; L-BFGS, which fits the
hashed logistic regression, makes up to 100 passes. The studies' learning rates were picked on the validation split, and
so was the best of their shapes; the other libraries ran once, at the settings in the table, which most users start from
and nobody tuned for these logs. So the table can show that the trainer is not a weak one, not that one model is better
than another."""


_TREES = "lightgbm"  # whose parameters are leaves


class _Row(NamedTuple):
    model: str
    settings: str
    ne: Sequence[float]
    auc: Sequence[float]
    parameters: str


def libraries_section(libraries: Sequence[Library], studies: Sequence[Published], folder: str) -> str:
    """The section of the page, a table for each log.

    Raises:
        InputError: rows of a library are not those of the study.
    """
    parts = [_HEAD]
    for study in studies:
        own = [row for row in libraries if row.log == study.name]
        if own:
            parts.append(_log(own, study))
    logs = {row.log for row in libraries}
    missing = [study.entry.title for study in studies if study.name not in logs]
    if missing:
        parts.append(f"No other library was tried on {listed(missing)}.")
    versions = sorted({f"{row.package} {row.version}" for row in libraries})
    dates = sorted({row.date for row in libraries})
    parts.append(
        f"Every training: [{LIBRARIES}]({folder}/{LIBRARIES}), of {' and '.join(dates)}, with {', '.join(versions)}. "
        "Made by, DATA being the log as prepared for its study,"
    )
    commands = [
        f"    python -m tests.benchmarks.libraries DATA {log} --examples {examples}"
        for log, examples in dict.fromkeys((row.log, row.examples) for row in libraries)
    ]
    parts.append("\n".join(["    pip install deepctr lightgbm scikit-learn", *commands]))
    return "\n\n".join(parts) + "\n"


def _log(libraries: Sequence[Library], study: Published) -> str:
    examples = int(study.runs["examples"].max())
    (data,) = study.runs["data_hash"].unique()
    for row in libraries:
        if (row.examples, row.data_hash) != (examples, data):
            raise InputError(
                f"{LIBRARIES}: {row.model} was trained on {row.examples} rows of data {row.data_hash}, and "
                f"{study.name} on {examples} of {data}; run tests.benchmarks.libraries again"
            )
    rows = _shapes(study)
    for (model, settings), group in groupby(libraries, key=lambda row: (f"{row.model} ({row.package})", row.settings)):
        runs = list(group)
        ne, auc = [run.test_ne for run in runs], [run.test_auc for run in runs]
        learned = compact(float(np.mean([run.parameters for run in runs])))
        parameters = f"{learned} leaves" if runs[0].package == _TREES else learned
        rows.append(_Row(model, settings, ne, auc, parameters))
    lines = [
        (row.model, spread(row.ne), spread(row.auc), row.parameters, str(len(row.ne)), row.settings)
        for row in sorted(rows, key=lambda row: float(np.mean(row.ne)))
    ]
    columns = ("model", "test NE", "test AUC", "parameters", "seeds", "settings")
    return f"### Other libraries on {study.entry.title}, {compact(examples)} rows\n\n{table(columns, lines).rstrip()}"


def _shapes(study: Published) -> list[_Row]:
    """The baseline, the shape that is best on the validation split, and the logistic regression of a study."""
    shapes = largest_shapes(study)
    names = {
        shape: "this project: baseline" if shape.architecture == study.fits.base else f"this project: {shape.name}"
        for shape in shapes
        if shape.scheme == BASELINE
    }
    best = best_on_validation(shapes)
    names.setdefault(best, f"this project: {best.name}, best on the validation split")
    return [_row(name, shapes[shape]) for shape, name in names.items()]


def _row(name: str, rows: pd.DataFrame) -> _Row:
    settings = f"Adagrad at {rows['learning_rate'].iloc[0]:g}, dimension {rows['embedding_dim'].iloc[0]}"
    return _Row(
        name, settings, list(rows["test_ne"]), list(rows["test_auc"]), compact(float(rows["params_total"].iloc[0]))
    )
