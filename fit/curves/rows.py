"""The rows of a table that can be fitted, what is said of the others, and which training each belongs to."""

import numbers
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import plural
from tfrs_scaling.fit.curves.records import Columns

SMALLEST, LARGEST = 1e-100, 1e100  # of all numbers; laws and budgets far beyond them stay within float64
_SHARED = ({"x", "n"}, {"x", "d"}, {"group", "n"}, {"group", "d"}, {"group", "seed"}, {"seed", "n"}, {"seed", "d"})


def usable_rows(frame: pd.DataFrame, columns: Columns, source: str) -> tuple[pd.DataFrame, list[str]]:
    """The rows that can be fitted, numbers as float64, and a sentence on each kind of row that cannot.

    Args:
        frame: As in ``fit_table``.
        columns: Which column holds what.
        source: The table's name for messages.

    Raises:
        InputError: as in ``fit_table``.
    """
    roles = {role: name for role, name in vars(columns).items() if name}
    _check_roles(frame, columns, roles, source)
    numeric = list(dict.fromkeys(name for role, name in roles.items() if role not in ("group", "seed")))
    read = {name: pd.Series(_numbers(frame[name], columns, source)) for name in numeric}
    for role in ("group", "seed"):
        if role in roles and roles[role] not in read:
            names = frame[roles[role]].reset_index(drop=True)
            read[roles[role]] = names.where(names.astype("str").str.strip() != "")
    table, notices = pd.DataFrame(read), []
    kept = pd.Series(True, index=table.index)
    for name in dict.fromkeys([*numeric, *([columns.group] if "group" in roles else [])]):
        empty = table[name].isna()
        if empty.any():
            notices.append(f"{plural(int(empty.sum()), 'row')} with an empty {name} left out")
        kept &= ~empty
    for name in numeric:
        zero = kept & (table[name] == 0)
        if name != columns.y and zero.any():
            notices.append(f"{plural(int(zero.sum()), 'row')} with {name} = 0 left out: a power law starts above 0")
            kept &= ~zero
    if not kept.any():
        raise InputError(f"{source}: no row has a value in all of {', '.join(map(str, roles.values()))}, above 0")
    used = table[kept].reset_index(drop=True)
    if "seed" in roles and used[columns.seed].isna().any():
        rows = plural(int(used[columns.seed].isna().sum()), "row")
        notices.append(f"{rows} with an empty {columns.seed}: each counts as a training of its own")
    return used, notices


def training_labels(used: pd.DataFrame, columns: Columns) -> pd.Series:
    """A label for the training of each row: its curve, number of parameters and seed; its own without a seed.

    Models share the numbers of their seeds, but not their trainings. The labels do not depend on the order of the rows,
    but for those of rows without a seed.
    """
    own = pd.Series(np.arange(len(used)), index=used.index)
    if not columns.seed:
        return own
    names = list(dict.fromkeys(name for name in (columns.group, columns.n, columns.seed) if name))
    labels = used[names].astype("str").groupby(names).ngroup()
    return labels.where(used[columns.seed].notna(), labels.max() + 1 + own)


def _check_roles(frame: pd.DataFrame, columns: Columns, roles: dict[str, Any], source: str) -> None:
    there = list(frame.columns)
    for name in roles.values():
        if name not in there:
            raise InputError(f"{source}: has no column {name!r}; it has {', '.join(map(str, there))}")
        if there.count(name) > 1:
            raise InputError(f"{source}: has {there.count(name)} columns {name!r}; give each a name of its own")
    for first, second in combinations(roles, 2):
        if roles[first] == roles[second] and {first, second} not in _SHARED:
            raise InputError(
                f"{source}: column {roles[first]} is named as {first} and as {second}; name a different one for each"
            )
    if not columns.x and not (columns.n and columns.d):
        raise InputError(f"{source}: name what the loss is a function of: x, or both n and d")


def _numbers(column: pd.Series, columns: Columns, source: str) -> Array:
    """A column as float64, shape (rows,), NaN where it is empty."""
    empty = column.isna().to_numpy(copy=True)
    if column.dtype.kind in "iuf":
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = np.full(len(column), np.nan)
        for row in np.flatnonzero(~empty).tolist():
            value = column.iloc[row]
            try:
                if isinstance(value, bool | np.bool_ | complex) or not isinstance(value, numbers.Number | str):
                    raise TypeError
                values[row] = float(value)  # type: ignore[arg-type]  # what is neither raises
            except (TypeError, ValueError, OverflowError) as error:
                shown = f"{value!r} ({type(value).__name__})"
                raise InputError(f"{source}: row {row + 1}, column {column.name}: {shown} is not a number") from error
            empty[row] = values[row] != values[row]
    bad = ~empty & (values != 0) & ~((values >= SMALLEST) & (values <= LARGEST))
    if bad.any():
        row = int(np.argmax(bad))
        rule = "0 or above" if column.name == columns.y else "above 0"
        limits = f"must be finite and {rule}"
        if 0 < values[row] < np.inf:
            limits = f"must be between {SMALLEST:g} and {LARGEST:g}; choose another unit"
        raise InputError(f"{source}: row {row + 1}, column {column.name}: {values[row]:g} {limits}")
    return values
