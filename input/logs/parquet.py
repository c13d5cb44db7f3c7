"""Parquet files as blocks of cells."""

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import fingerprints, opened
from tfrs_scaling.input.logs.arrow import binary_columns, constant
from tfrs_scaling.input.logs.files import partition_values
from tfrs_scaling.input.logs.values.cells import Cells, Piece, missing_column
from tfrs_scaling.input.schema import Schema


@dataclasses.dataclass(frozen=True)
class ParquetLog:
    """Parquet files.

    A null (and a float's NaN) is read as the schema's first ``missing`` text; a list column holds a multi-hot
    feature's values; a timestamp or date becomes seconds since 1970; true and false become 1 and 0. A schema's column
    that the file lacks may be in the names of its folders (Hive). Rows are numbered from 1, and the content of a piece
    is the number of its row group.

    Attributes:
        schema: the columns to read; others are ignored.
        files: the paths.
    """

    schema: Schema
    files: tuple[str, ...]

    def pieces(self, number: int) -> Iterator[Piece[int]]:
        """The row groups of a file.

        Raises:
            InputError: it is not Parquet, or a column is missing or repeated.
        """
        path = self.files[number]
        with parquet_file(path) as file:
            for name in self.schema.columns:
                if name in partition_values(path) and name not in file.schema_arrow.names:
                    continue
                at = file.schema_arrow.get_all_field_indices(name)
                if not at:
                    raise missing_column(path, name, file.schema_arrow.names)
                if len(at) > 1:
                    raise InputError(f"{path}: the column {name!r} appears twice; rename one")
            rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        first = 0
        for group, count in enumerate(rows):
            yield Piece(number, first, group)
            first += count

    def cells(self, piece: Piece[int]) -> Cells:
        """The cells of a row group.

        Raises:
            InputError: it cannot be read, or a column's type cannot become cells.
        """
        path, in_folders = self.files[piece.number], partition_values(self.files[piece.number])
        with parquet_file(path) as file:
            columns = [name for name in self.schema.columns if name in file.schema_arrow.names]
            table = file.read_row_group(piece.content, columns=columns, use_threads=False)
            arrays = {
                name: _whole(table.column(name))
                if name in columns
                else constant(in_folders[name], len(table), self.schema.missing)
                for name in self.schema.columns
            }
            cells = binary_columns(arrays, self.schema, path)
        return Cells(path, piece.number, piece.first + np.arange(len(table)), cells, [], unit="row")

    def fingerprints(self) -> tuple[tuple[str, int, str], ...]:
        """Name, size in bytes and SHA-256 of each file.

        Raises:
            InputError: one cannot be read.
        """
        return fingerprints(self.files)


@contextlib.contextmanager
def parquet_file(path: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file, opened.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with opened(path) as stream, pq.ParquetFile(stream) as file:
            yield file
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {getattr(error, 'strerror', None) or error}") from None


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
