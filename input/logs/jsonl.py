"""JSON lines, one object a row, as blocks of cells."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import fingerprints
from tfrs_scaling.input.logs.arrow import cells_of_lists, constant, list_array
from tfrs_scaling.input.logs.files import decompressed, partition_values, refuse_binary
from tfrs_scaling.input.logs.lines import BLOCK_BYTES, count_lines, line_blocks
from tfrs_scaling.input.logs.values.cells import Cells, Piece, Rejected, missing_column
from tfrs_scaling.input.schema import Schema


@dataclasses.dataclass(frozen=True)
class JsonLinesLog:
    """Files of JSON objects, one on each line, compressed or not (see ``decompressed``).

    A key that is absent or null is a missing value; true and false are 1 and 0; a list holds a multi-hot feature's
    values. A line that is no object, or has an object for a value, is malformed; a blank one is no row. A schema's
    column may be in the names of the file's folders (Hive).

    Attributes:
        schema: the keys to read; others are ignored.
        files: the paths.
        encoding: encoding of the files; None: UTF-8.
        block_bytes: bytes to read at a time; a piece is about as large.
    """

    schema: Schema
    files: tuple[str, ...]
    encoding: str | None = None
    block_bytes: int = BLOCK_BYTES

    def pieces(self, number: int) -> Iterator[Piece[bytes]]:
        """Blocks of a file's lines.

        Raises:
            InputError: the file cannot be read, or no line of the first block has one of the keys.
        """
        path, first = self.files[number], 0
        with decompressed(path, self.encoding) as stream:
            for block, count in line_blocks(stream, path, self.block_bytes):
                if not first:
                    self._check_first(block, path)
                yield Piece(number, first, block)
                first += count

    def _check_first(self, block: bytes, path: str) -> None:
        refuse_binary(block, path)
        rows = [row for row in _objects(block) if isinstance(row, dict)]
        if not rows:
            raise InputError(
                f"{path}, lines 1 to {count_lines(block)}: no JSON object; for delimited text use `prepare csv`"
            )
        names = {name for row in rows for name in row}
        for column in self.schema.columns:
            if names and column not in names and column not in partition_values(path):
                raise missing_column(f"{path}, lines 1 to {count_lines(block)}", column, sorted(names))

    def cells(self, piece: Piece[bytes]) -> Cells:
        """The cells of a block of lines.

        Raises:
            InputError: a value holds the separator that the schema gives its feature.
        """
        path, columns = self.files[piece.number], self.schema.columns
        in_folders = partition_values(path)
        lines = piece.content.split(b"\n")
        rows, ordinals, malformed = [], [], []
        for place, row in enumerate(_objects(piece.content)):
            if row is None:
                continue
            column = ""
            if isinstance(row, str):
                why = row
            elif column := next((name for name in columns if _is_nested(row.get(name))), ""):
                why = "an object or a list of lists, where a number, a text or a list of these belongs"
            else:
                rows.append(row)
                ordinals.append(piece.first + place)
                continue
            shown = lines[place].decode("utf-8", "backslashreplace")
            malformed.append(Rejected(path, piece.first + place + 1, column, shown, why))
        arrays = {}
        for name in columns:
            if name in in_folders and not any(name in row for row in rows):
                arrays[name] = constant(in_folders[name], len(rows), self.schema.missing)
            else:
                arrays[name] = _array([row.get(name) for row in rows])
        return cells_of_lists(arrays, self.schema, path, piece.number, np.array(ordinals, np.int64), malformed, "line")

    def fingerprints(self) -> tuple[tuple[str, int, str], ...]:
        """Name, size in bytes and SHA-256 of each file.

        Raises:
            InputError: one cannot be read.
        """
        return fingerprints(self.files)


def json_keys(path: str, encoding: str | None = None) -> dict[str, Literal["value", "list", "nested"]]:
    """The keys of a file's objects, in order of appearance, and what they hold.

    ``nested`` where half of the values or more are objects or lists of lists; else ``list`` where one is a list.

    Raises:
        InputError: the file cannot be read.
    """
    counts: dict[str, Counter[str]] = {}
    with decompressed(path, encoding) as stream:
        for block, _ in line_blocks(stream, path):
            for row in _objects(block):
                for name, value in row.items() if isinstance(row, dict) else ():
                    kind = "nested" if _is_nested(value) else "list" if isinstance(value, list) else "value"
                    counts.setdefault(name, Counter()).update([kind] if value is not None else [])
    return {
        name: "nested"
        if found["nested"] and 2 * found["nested"] >= found.total()
        else "list"
        if found["list"]
        else "value"
        for name, found in counts.items()
    }


def _objects(block: bytes) -> Iterator[dict[str, Any] | str | None]:
    """The object on each line, or why there is none; None for a blank line."""
    for line in block.split(b"\n")[: count_lines(block)]:
        if not line.strip():
            yield None
            continue
        try:
            # Numbers stay as they are written, whatever their length.
            row = json.loads(line.decode("utf-8-sig"), parse_int=str, parse_float=str)
        except UnicodeDecodeError:
            yield "not UTF-8 text"
        except ValueError as error:
            yield f"not JSON: {str(error).partition(':')[0]}"
        except RecursionError:
            yield "not JSON: nested too deeply"
        else:
            yield row if isinstance(row, dict) else "not a JSON object"


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict | list) for v in value))


def _array(values: list[Any]) -> pa.Array:
    """A column's values as binary, or as lists of it if one is a list."""
    if not any(isinstance(value, list) for value in values):
        return pa.array(map(_text, values), pa.binary())
    lists = [value if isinstance(value, list) else [value] if value is not None else [] for value in values]
    flat = pa.array([_text(value) for each in lists for value in each], pa.binary())
    return list_array(flat, np.concatenate([[0], np.cumsum([len(each) for each in lists])]))


def _text(value: Any) -> bytes | None:
    if value is None or value != value:  # NaN
        return None
    return str(int(value) if isinstance(value, bool) else value).encode("utf-8", "surrogatepass")
