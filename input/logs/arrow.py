"""Typed Arrow columns, of values or of lists, as cells."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.cells import Cells, Rejected
from tfrs_scaling.input.schema import Schema


def cells_of_lists(
    columns: dict[str, pa.Array],
    schema: Schema,
    file: str,
    number: int,
    ordinals: np.ndarray,
    malformed: Sequence[Rejected],
    unit: str,
) -> Cells:
    """Typed columns as cells; a row with several values where the schema allows one is malformed.

    Args:
        columns: per column of the schema, an Arrow array [n] of values or of lists; an empty list is a missing value.
        schema: which features hold several values.
        file: where the columns come from, for errors.
        number: of the file in the log.
        ordinals: int64 [n], the rows' places in the file, from 0.
        malformed: the rows of the block that are not among the n.
        unit: the word for a row there.

    Raises:
        InputError: a column's type cannot become cells.
    """
    multi_hot = {feature.name for feature in schema.categorical if feature.separator is not None}
    good = np.ones(len(ordinals), bool)
    rejected = list(malformed)
    single = {}
    for name, column in columns.items():
        if not pa.types.is_list(column.type) or name in multi_hot:
            single[name] = column
            continue
        counts = pc.list_value_length(column).to_numpy(zero_copy_only=False)
        for index in np.flatnonzero((counts > 1) & good).tolist():
            shown = ", ".join(map(_shown, column[index].as_py()))
            why = f"{counts[index]} values in a feature of one; see max_values in the schema"
            rejected.append(Rejected(file, int(ordinals[index]) + 1, name, shown, why, unit))
        good &= counts <= 1
        single[name] = column.values.take(pa.array(column.offsets.to_numpy()[:-1], mask=counts == 0))
    kept = {name: column.filter(pa.array(good)) for name, column in single.items()}
    return Cells(file, number, ordinals[good], binary_columns(kept, schema, file), rejected, unit=unit)


def list_array(values: pa.Array, splits: np.ndarray) -> pa.ListArray:
    """Lists made of their concatenated values and the places (int [n + 1]) where each list begins."""
    return pa.ListArray.from_arrays(pa.array(splits.astype(np.int32)), values)


def binary_columns(columns: dict[str, pa.Array], schema: Schema, place: str) -> pa.RecordBatch:
    """Typed columns as ``Cells.batch``: binary, without nulls.

    Args:
        columns: per column of the schema, an Arrow array of any type.
        schema: the text of a missing value, and the separators of multi-hot features.
        place: where the columns come from, for errors.

    Raises:
        InputError: a column's type cannot become cells.
    """
    separators = {feature.name: feature.separator for feature in schema.categorical}
    return pa.record_batch({
        name: _binary(column, f"{place}, column {name!r}", separators.get(name), schema.missing)
        for name, column in columns.items()
    })  # fmt: skip


def _binary(column: pa.Array, place: str, separator: str | None, missing: tuple[str, ...]) -> pa.Array:
    kind = column.type
    null = pa.scalar(missing[0] if missing else "")
    if pa.types.is_dictionary(kind):
        return _binary(column.dictionary_decode(), place, separator, missing)
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return pc.fill_null(_text(column, place), null).cast(pa.binary())
    if separator is None:
        raise InputError(f"{place}: holds lists; give the feature max_values and a separator in the schema")
    null = null.cast(pa.binary())
    values = pc.fill_null(_text(column.flatten(), place).cast(pa.binary()), null)
    if pc.any(pc.match_substring(values, separator)).as_py():
        raise InputError(f"{place}: a value holds the separator {separator!r}; choose another in the schema")
    counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    joined = pc.binary_join(list_array(values, np.concatenate([[0], np.cumsum(counts)])), separator.encode())
    return pc.if_else(pc.equal(pa.array(counts), 0), null, joined)


def _text(values: pa.Array, place: str) -> pa.Array:
    kind = values.type
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        values = values.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    elif pa.types.is_nested(kind):
        raise InputError(f"{place}: holds {kind}; a cell must be a number, a text, a time or a list of these")
    elif pa.types.is_floating(kind):
        # Whole numbers are written as integers: pandas stores 3.0 for an integer column that has missing values.
        whole = pc.fill_null(pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53)), False)
        integers = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
        return pc.if_else(pc.is_nan(values), None, pc.coalesce(integers, values.cast(pa.string())))
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return values
    return values.cast(pa.string())


def _shown(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
