"""Typed Arrow columns, of values or of lists, as cells."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.values.cells import Cells, Rejected
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
        number: number of the file in the log.
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


def constant(value: str | None, count: int, missing: tuple[str, ...]) -> pa.Array:
    """A column that holds one value, or the text of a missing one, in all its ``count`` rows: binary."""
    text = (missing or ("",))[0] if value is None else value
    return pa.repeat(pa.scalar(text.encode(), pa.binary()), count)


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


def unusable(kind: pa.DataType) -> bool:
    """Whether no cell can hold a value of an Arrow type: it is neither a number, a text, a time nor a list of these."""
    kind = _stored(kind)
    inner = _stored(kind.value_type) if _is_list(kind) else kind
    return bool(pa.types.is_nested(inner) or pa.types.is_interval(inner))


def is_list_type(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of lists, whatever their layout."""
    return _is_list(_stored(kind))


def _stored(kind: pa.DataType) -> pa.DataType:
    """The type below encodings and extensions."""
    if isinstance(kind, pa.BaseExtensionType):
        return _stored(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _stored(kind.value_type)
    return kind


def _is_list(kind: pa.DataType) -> bool:
    layouts = ("list", "large_list", "fixed_size_list", "list_view", "large_list_view")
    return any(getattr(pa.types, f"is_{layout}")(kind) for layout in layouts)


def _decoded(column: pa.Array) -> pa.Array:
    """The column without encodings and extensions, lists in their usual layout."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _decoded(column.storage)
    if pa.types.is_dictionary(kind):
        return _decoded(column.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return _decoded(pc.run_end_decode(column))
    if _is_list(kind) and not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return column.cast(pa.list_(kind.value_type))
    return column


def _binary(column: pa.Array, place: str, separator: str | None, missing: tuple[str, ...]) -> pa.Array:
    column = _decoded(column)
    null = pa.scalar((missing or ("",))[0].encode(), pa.binary())
    if not _is_list(column.type):
        return pc.fill_null(_text(column, place).cast(pa.binary()), null)
    if separator is None:
        raise InputError(f"{place}: holds lists; give the feature max_values and a separator in the schema")
    values = pc.fill_null(_text(_decoded(column.flatten()), place).cast(pa.binary()), null)
    if pc.any(pc.match_substring(values, separator)).as_py():
        raise InputError(f"{place}: a value holds the separator {separator!r}; choose another in the schema")
    counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    joined = pc.binary_join(list_array(values, np.concatenate([[0], np.cumsum(counts)])), separator.encode())
    return pc.if_else(pc.equal(pa.array(counts), 0), null, joined)


def _text(values: pa.Array, place: str) -> pa.Array:
    kind = values.type
    if unusable(kind):
        raise InputError(f"{place}: holds {kind}; a cell must be a number, a text, a time or a list of these")
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        values = values.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    elif pa.types.is_duration(kind):
        values = values.cast(pa.int64())
    elif pa.types.is_floating(kind):
        if pa.types.is_float16(kind):
            values = values.cast(pa.float32())
        # Whole numbers are written as integers: pandas stores 3.0 for an integer column that has missing values.
        whole = pc.fill_null(pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53)), False)
        integers = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
        return pc.if_else(pc.is_nan(values), None, pc.coalesce(integers, values.cast(pa.string())))
    elif pa.types.is_decimal(kind):
        return pc.replace_substring_regex(values.cast(pa.string()), r"\.0+$", "")
    elif pa.types.is_fixed_size_binary(kind):  # UUIDs and checksums
        return pa.array([None if value is None else value.hex() for value in values.to_pylist()], pa.string())
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return values.cast(pa.binary())
    try:
        return values.cast(pa.string())
    except pa.ArrowException as error:
        raise InputError(f"{place}: holds {kind}, which cannot be read as text: {error}") from None


def _shown(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
