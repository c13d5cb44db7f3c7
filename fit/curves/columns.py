"""Which columns of a file hold a curve."""

import difflib
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import listed
from tfrs_scaling.fit.curves.records import Columns
from tfrs_scaling.fit.runs.table_file import TableFile

_LOSS = re.compile(r"loss|error|entropy|perplexity|(?<![a-z])(ne|ce|bce|nll|ppl|bpb|err|m[as]e|rmse)(?![a-z])")
_CLEAR = 100.0  # times: a ratio so much larger is a resource's
_NAMES = ("group", "seed")  # roles whose columns hold names, of whatever kind


def chosen_columns(file: TableFile, given: Mapping[str, str]) -> Columns:
    """The columns that a user names, or the two of a file that has no others.

    Of two, y is the one that is named like a loss, such as ``val_loss``, ``test_ne`` or ``error``. If none or both are,
    x is the one with the larger ratio of largest to smallest value, by a factor of 100 or more: a resource spans orders
    of magnitude, a loss does not.

    Args:
        file: The table.
        given: Role, an attribute of ``Columns``, -> name of a column.

    Raises:
        InputError: a name is not a column's, or the columns that are needed are not named; the message lists the
            file's columns.
    """
    if not file.rows:
        raise InputError(f"{file.path}: has a header and no rows")
    for role, name in given.items():
        if name not in file.columns:
            near = difflib.get_close_matches(name, file.columns, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise InputError(f"{file.path}: --{role} {name}: there is no such column{hint} {_there_are(file)}")
    has_curve, has_plane = {"x", "y"} <= given.keys(), {"y", "n", "d"} <= given.keys()
    if has_plane != ("n" in given or "d" in given):
        raise InputError(f"{file.path}: a law of parameters and data takes --n, --d and --y. {_there_are(file)}")
    if has_curve or (has_plane and "x" not in given):
        return Columns(**given)
    numeric = [name for name in file.columns if file.is_numeric(name)]
    if not given and len(file.columns) == 1:
        raise InputError(
            f"{file.path}: there is one column, {next(iter(file.columns))!r}; separate columns by commas, tabs or "
            "semicolons, and make a table of a log first: fit/README.md shows how"
        )
    if not given and len(file.columns) == 2 and len(numeric) == 1:
        file.numbers(next(name for name in file.columns if name not in numeric))  # which names the first wrong value
    if given or len(file.columns) != 2 or len(numeric) != 2:
        raise InputError(
            f"{file.path}: name the columns of the curve: --x COLUMN (tokens, examples, FLOPs) and --y COLUMN (the "
            f"loss). {_there_are(file)}"
        )
    losses = [name for name in numeric if _LOSS.search(name.lower())]
    if len(losses) == 1:
        return Columns(x=next(name for name in numeric if name not in losses), y=losses[0])
    ratios = {name: _ratio(file.numbers(name)) for name in numeric}
    y, x = sorted(numeric, key=lambda name: ratios[name])
    if ratios[x] < _CLEAR * ratios[y]:
        raise InputError(
            f"{file.path}: neither the names nor the values of {x} and {y} say which is the loss; name the columns: "
            f"--x COLUMN (tokens, examples, FLOPs) and --y COLUMN (the loss)"
        )
    return Columns(x=x, y=y)


def numbers_and_names(file: TableFile, columns: Columns) -> pd.DataFrame:
    """The named columns of a file: numbers as float64, names as text; what is empty is NaN or None.

    Raises:
        InputError: a value is not a number; the message names file, row, column and value.
    """
    named = [(role in _NAMES, name) for role, name in vars(columns).items() if name]
    read = {}
    for is_name, name in sorted(named, reverse=True):  # a column may be both, as the number of parameters is
        if is_name:
            read[name] = pd.Series([text or None for text in file.texts(name)], dtype="object")
        else:
            read[name] = pd.Series(file.numbers(name))
    return pd.DataFrame(read)


def _there_are(file: TableFile) -> str:
    numeric = [name for name in file.columns if file.is_numeric(name)]
    others = [name for name in file.columns if name not in numeric]
    words = f"Numeric columns: {listed(numeric) or 'none'}"
    return f"{words}; others: {listed(others)}" if others else words


def _ratio(values: Array) -> float:
    """Largest by smallest of the values above 0; 1 where there are none."""
    positive = values[values > 0]
    with np.errstate(over="ignore"):
        return float(positive.max() / positive.min()) if positive.size else 1.0
