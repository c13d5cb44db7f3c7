"""Parquet click logs as the same blocks of cells that text is read into."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrs_scaling.input.formats import Cells, missing_column
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.validated import InputError

BLOCK_ROWS = 1 << 16


def read_parquet(path: Path, schema: Schema) -> Iterator[Cells]:
    """The schema's columns of a Parquet file.

    A null (and a float's NaN) is read as the schema's first ``missing`` text; a list column holds a multi-hot
    feature's values; a timestamp or date becomes seconds since 1970; true and false become 1 and 0. Rows count from 1.

    Args:
        path: the file.
        schema: its columns; others in the file are passed over.

    Raises:
        InputError: the file cannot be read, lacks a column, or a column is of a type that holds no cells.
    """
    try:
        with pq.ParquetFile(path) as file:
            separators = {feature.name: feature.separator for feature in schema.categorical}
            for name in schema.columns:
                at = file.schema_arrow.get_all_field_indices(name)
                if not at:
                    raise missing_column(str(path), name, file.schema_arrow.names)
                if len(at) > 1:
                    raise InputError(f"{path}: the column {name!r} stands twice")
            first = 1
            for batch in file.iter_batches(BLOCK_ROWS, columns=schema.columns):
                cells = {
                    name: _cells(batch.column(name), f"{path}, column {name!r}", separators.get(name), schema.missing)
                    for name in schema.columns
                }
                yield Cells(str(path), np.arange(first, first + len(batch)), cells, [], unit="row")
                first += len(batch)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {getattr(error, 'strerror', None) or error}") from None


def _cells(column: pa.Array, place: str, separator: str | None, missing: tuple[str, ...]) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _cells(column.dictionary_decode(), place, separator, missing)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if separator is None:
            raise InputError(f"{place}: holds lists; give the feature max_values and a separator in the schema")
        values = pc.fill_null(_text(column.flatten(), place), _null_text(missing))
        if pc.any(pc.match_substring(values, separator)).as_py():
            raise InputError(f"{place}: a value holds the separator {separator!r}; choose another in the schema")
        counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        lists = pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), values)
        texts = pc.binary_join(lists, separator)
        texts = pc.if_else(pc.equal(pa.array(counts), 0), _null_text(missing), texts)
    else:
        texts = pc.fill_null(_text(column, place), _null_text(missing))
    return texts.cast(pa.binary())


def _text(values: pa.Array, place: str) -> pa.Array:
    kind = values.type
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        values = values.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    elif pa.types.is_nested(kind):
        raise InputError(f"{place}: holds {kind}; a cell has to be a number, a text, a time or a list of these")
    elif pa.types.is_floating(kind):
        # A whole number is written as one: pandas makes 3.0 of an integer column that has missing values.
        whole = pc.fill_null(pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53)), False)
        integers = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
        return pc.if_else(pc.is_nan(values), None, pc.coalesce(integers, values.cast(pa.string())))
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return values
    return values.cast(pa.string())


def _null_text(missing: tuple[str, ...]) -> str:
    return missing[0] if missing else ""
