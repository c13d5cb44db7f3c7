"""Raw click logs as blocks of undecoded cells, each of which knows its file and line."""

import bz2
import contextlib
import csv
import dataclasses
import difflib
import gzip
import lzma
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.validated import InputError

BLOCK_BYTES = 8 << 20
SEPARATORS = ("\t", ",", ";", "|")
_OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


@dataclasses.dataclass(frozen=True)
class Cells:
    """A block of rows as they stand in the file.

    Attributes:
        file: the path read.
        lines: int64 [n], the line of each row, from 1.
        columns: per column name, a binary Arrow array [n] without nulls.
        ragged: rows between these that have too few or too many columns.
        unit: what ``lines`` counts, in words.
    """

    file: str
    lines: np.ndarray
    columns: dict[str, pa.Array]
    ragged: list["Rejected"]
    unit: str = "line"


@dataclasses.dataclass(frozen=True)
class Rejected:
    """A malformed row: where it stands, and why it cannot be used."""

    file: str
    line: int
    column: str
    value: str
    why: str
    unit: str = "line"

    def __str__(self) -> str:
        column = f", column {self.column!r}" if self.column else ""
        return f"{self.file}, {self.unit} {self.line}{column}: {self.why}, got {self.value[:80]!r}"


class Rejects:
    """Malformed rows: the first one is an error, unless some are allowed; then they are counted and listed."""

    def __init__(self, allowed: int = 0):
        self.allowed = allowed
        self.rows: list[Rejected] = []

    def add(self, rows: list[Rejected]) -> None:
        """Take note of malformed rows.

        Raises:
            InputError: more rows than are allowed are malformed; names the one too many.
        """
        rows = sorted(rows, key=lambda row: row.line)
        room = self.allowed - len(self.rows)
        self.rows += rows[:room]
        if len(rows) > room:
            advice = (
                "mend the row, or let --max-bad-rows skip, count and list such rows"
                if self.allowed == 0
                else f"that is one more malformed row than the {self.allowed} allowed"
            )
            raise InputError(f"{rows[room]}; {advice}")


def read_csv(path: Path, schema: Schema, separator: str | None = None) -> Iterator[Cells]:
    """The schema's columns of a delimited text file with a header line, plain or gz, xz, bz2.

    Quotes (``"a, b"``) are understood unless the separator is a tab; a value never spans lines.

    Args:
        path: the file.
        schema: its columns; others in the file are passed over.
        separator: None finds it: the one of tab, comma, semicolon and bar under which the header has the columns.

    Raises:
        InputError: the file cannot be read or has no such header.
    """
    if separator is not None and (len(separator) != 1 or not separator.isascii() or separator in '"\r\n\0'):
        raise InputError(
            f"the separator {separator!r} is not a single ASCII character other than a quote or line break"
        )
    with _opened(path) as stream:
        header = _text(stream.readline(), path).lstrip("\ufeff").rstrip("\r\n")
        if not header:
            raise InputError(f"{path}, line 1: no header line; the columns {schema.columns} were expected")
        names, separator = _header(header, schema.columns, path, separator)
        yield from _rows(stream, path, names, schema.columns, separator, first_line=2)


def csv_columns(path: Path) -> list[str]:
    """The names in a delimited text file's header, under the separator that gives the most of them.

    Raises:
        InputError: the file cannot be read or has no header.
    """
    with _opened(path) as stream:
        header = _text(stream.readline(), path).lstrip("\ufeff").rstrip("\r\n")
    if not header:
        raise InputError(f"{path}, line 1: no header line")
    return max(_split(header, SEPARATORS, path).values(), key=len)


def read_criteo(path: Path, schema: Schema) -> Iterator[Cells]:
    """Criteo's tab-separated rows (label, 13 integers, 26 hexadecimal numbers; no header), plain or gz, xz, bz2.

    Raises:
        InputError: the file cannot be read.
    """
    with _opened(path) as stream:
        yield from _rows(stream, path, schema.columns, schema.columns, "\t", first_line=1)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with _OPENERS.get(path.suffix, open)(path, "rb") as stream:  # type: ignore[operator]
            yield stream
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _text(line: bytes, path: Path) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line 1: not UTF-8 text (byte {error.start})") from None


def _header(header: str, columns: list[str], path: Path, separator: str | None) -> tuple[list[str], str]:
    candidates = SEPARATORS if separator is None else (separator,)
    split = _split(header, candidates, path)
    separator = max(candidates, key=lambda by: len(set(split[by]) & set(columns)))
    names = split[separator]
    for column in columns:
        if names.count(column) > 1:
            raise InputError(f"{path}, line 1: the column {column!r} stands twice")
        if column not in names:
            raise missing_column(f"{path}, line 1 (separator {separator!r})", column, names)
    return names, separator


def _split(header: str, candidates: Sequence[str], path: Path) -> dict[str, list[str]]:
    """Per separator, the names it parts the header into."""
    try:
        return {by: next(_csv_reader([header], by)) for by in candidates}
    except csv.Error as error:
        raise InputError(f"{path}, line 1: not a header line: {error}") from None


def missing_column(place: str, column: str, names: Sequence[str]) -> InputError:
    """What to say of a log that lacks a column of the schema."""
    near = difflib.get_close_matches(column, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, names[:30]))}"
    return InputError(f"{place}: there is no column {column!r}; {hint}")


def _csv_reader(lines: list[str], separator: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL)


def _rows(
    stream: IO[bytes],
    path: Path,
    names: list[str],
    columns: list[str],
    separator: str,
    *,
    first_line: int,
) -> Iterator[Cells]:
    for block in _blocks(stream):
        lines = np.arange(first_line, first_line + block.count(b"\n") + (not block.endswith(b"\n")))
        first_line += len(lines)
        passed: list[Rejected] = []
        parsed = _parsed(block, names, columns, separator)
        if parsed is None or len(parsed[0]) + len(parsed[1]) != len(lines):
            # A quote left open or a lone carriage return puts rows and lines out of step; and pyarrow cannot tell of
            # a row of another length that is not UTF-8. Such lines are taken out beforehand, by a slower reader.
            whole, kept = [], []
            for line, text in zip(lines.tolist(), block.split(b"\n"), strict=False):
                why = _not_a_row(text, len(names), separator)
                if why:
                    passed.append(Rejected(str(path), line, "", text.decode("utf-8", "backslashreplace"), why))
                else:
                    whole.append(text)
                    kept.append(line)
            lines = np.array(kept, np.int64)
            parsed = _parsed(b"".join(text + b"\n" for text in whole), names, columns, separator, checked=True)
            if parsed is None or len(parsed[0]) + len(parsed[1]) != len(lines):
                raise InputError(f"{path}: the lines up to {first_line - 1} cannot be told apart")
        table, ragged = parsed
        for row in ragged:
            why = f"{row.actual_columns} columns instead of {row.expected_columns}"
            passed.append(Rejected(str(path), int(lines[row.number - 1]), "", row.text, why))
        lines = np.delete(lines, [row.number - 1 for row in ragged])
        cells = {name: table[name].combine_chunks() for name in columns}
        yield Cells(str(path), lines, cells, passed)


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """The rest of the stream, in blocks of whole lines."""
    rest = b""
    while chunk := stream.read(BLOCK_BYTES):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield whole + newline
    if rest:
        yield rest


def _parsed(
    block: bytes, names: list[str], columns: list[str], separator: str, *, checked: bool = False
) -> tuple[pa.Table, list[pa.csv.InvalidRow]] | None:
    """The columns of a block's rows, and its rows of another length; None where pyarrow gives up.

    It does on a row of another length that is not UTF-8, so only a ``checked`` block may hold such bytes.
    """
    ragged: list[pa.csv.InvalidRow] = []

    def on_ragged(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    if not block:
        return pa.table({name: pa.array([], pa.binary()) for name in columns}), []
    if not (checked or _is_utf8(block)):
        return None
    # Column names may repeat among the columns that are not asked for; Arrow selects by name.
    unique = [name if name in columns else f"{i}:{name}" for i, name in enumerate(names)]
    wanted = {name: pa.binary() for name in columns}
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(block),
            read_options=pa.csv.ReadOptions(column_names=unique, use_threads=False, block_size=len(block) + 1),
            parse_options=pa.csv.ParseOptions(
                delimiter=separator,
                quote_char=False if separator == "\t" else '"',
                invalid_row_handler=on_ragged,
                ignore_empty_lines=False,  # a blank line counts, as empty cells; its label is malformed
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=wanted,
                include_columns=columns,
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    return table, ragged


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _not_a_row(line: bytes, columns: int, separator: str) -> str:
    """Why a line is not a row; empty if it is one."""
    text = line.decode("utf-8", "backslashreplace").removesuffix("\r")
    try:
        # Where a quote is left open, the second line is drawn into the first one's last value.
        first, *second = _csv_reader([text + "\n", "second"], separator)
    except csv.Error as error:  # "new-line character seen in unquoted field - do you need ...", for a lone \r
        return str(error).partition(" - ")[0]
    if not second:
        return "a quoted value does not end on its line"
    found = len(first) or columns  # a blank line is left to pyarrow
    return "" if found == columns else f"{found} columns instead of {columns}"
