"""Parquet click logs as the same blocks of cells that text is read into."""

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import fingerprints, opened
from tfrs_scaling.input.logs.cells import Cells, missing_column
from tfrs_scaling.input.schema import Schema


@dataclasses.dataclass(frozen=True)
class Piece:
    """A row group of a file: the file's number in the log, the group's in the file, and its first row's place."""

    number: int
    group: int
    first: int


@dataclasses.dataclass(frozen=True)
class ParquetLog:
    """Parquet files.

    A null (and a float's NaN) is read as the schema's first ``missing`` text; a list column holds a multi-hot
    feature's values; a timestamp or date becomes seconds since 1970; true and false become 1 and 0. Rows count from 1.

    Attributes:
        schema: the columns that are read; others are passed over.
        files: the paths.
    """

    schema: Schema
    files: tuple[str, ...]

    def pieces(self, number: int) -> Iterator[Piece]:
        """The row groups of a file.

        Raises:
            InputError: it is not Parquet, or lacks a column.
        """
        path = self.files[number]
        with _opened(path) as file:
            for name in self.schema.columns:
                at = file.schema_arrow.get_all_field_indices(name)
                if not at:
                    raise missing_column(path, name, file.schema_arrow.names)
                if len(at) > 1:
                    raise InputError(f"{path}: the column {name!r} stands twice")
            rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        first = 0
        for group, count in enumerate(rows):
            yield Piece(number, group, first)
            first += count

    def cells(self, piece: Piece) -> Cells:
        """The cells of a row group.

        Raises:
            InputError: it cannot be read, or a column is of a type that holds no cells.
        """
        path, columns = self.files[piece.number], self.schema.columns
        with _opened(path) as file:
            table = file.read_row_group(piece.group, columns=columns, use_threads=False)
        cells = cells_of({name: _whole(table.column(name)) for name in columns}, self.schema, path)
        return Cells(path, piece.number, piece.first + np.arange(len(table)), cells, [], unit="row")

    def origins(self) -> tuple[tuple[str, int, str], ...]:
        """The files: the name, size in bytes and SHA-256 of each.

        Raises:
            InputError: one cannot be read.
        """
        return fingerprints(self.files)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[pq.ParquetFile]:
    try:
        with opened(path) as stream, pq.ParquetFile(stream) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {getattr(error, 'strerror', None) or error}") from None


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def cells_of(columns: dict[str, pa.Array], schema: Schema, place: str) -> pa.RecordBatch:
    """Typed columns as cells: binary, without nulls.

    Args:
        columns: per column of the schema, an Arrow array of any type.
        schema: says what stands for a missing value, and between the values of a multi-hot feature.
        place: where they come from, for errors.

    Raises:
        InputError: a column is of a type that holds no cells.
    """
    separators = {feature.name: feature.separator for feature in schema.categorical}
    return pa.record_batch({
        name: _cells(column, f"{place}, column {name!r}", separators.get(name), schema.missing)
        for name, column in columns.items()
    })  # fmt: skip


def _cells(column: pa.Array, place: str, separator: str | None, missing: tuple[str, ...]) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _cells(column.dictionary_decode(), place, separator, missing)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if separator is None:
            raise InputError(f"{place}: holds lists; give the feature max_values and a separator in the schema")
        null = pa.scalar(_null_text(missing).encode(), pa.binary())
        values = pc.fill_null(_text(column.flatten(), place).cast(pa.binary()), null)
        if pc.any(pc.match_substring(values, separator)).as_py():
            raise InputError(f"{place}: a value holds the separator {separator!r}; choose another in the schema")
        counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        lists = pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), values)
        texts = pc.binary_join(lists, separator.encode())
        texts = pc.if_else(pc.equal(pa.array(counts), 0), null, texts)
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
