"""Delimited text as blocks of cells."""

import bz2
import contextlib
import csv
import dataclasses
import gzip
import lzma
import zlib
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import fingerprints, opened
from tfrs_scaling.input.logs.cells import Cells, Piece, Rejected, missing_column
from tfrs_scaling.input.schema import Schema

BLOCK_BYTES = 8 << 20
SEPARATORS = ("\t", ",", ";", "|")
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


@dataclasses.dataclass(frozen=True)
class Lines:
    """Whole lines of a file, the content of a piece.

    Attributes:
        text: the lines.
        names: of the columns.
        separator: between them.
        header_lines: lines above the file's first row.
    """

    text: bytes
    names: tuple[str, ...]
    separator: str
    header_lines: int


@dataclasses.dataclass(frozen=True)
class TextLog:
    """Delimited text files, plain or gz, xz, bz2.

    Quotes (``"a, b"``) are understood unless the separator is a tab; a value never spans lines.

    Attributes:
        schema: the columns to read; others in a file are ignored.
        files: the paths.
        separator: None detects it in each file: the one of tab, comma, semicolon and bar that finds most of the
            schema's columns in the header.
        names: of the columns, if the files have no header line; None reads each file's.
        block_bytes: read at a time; a piece is about as large.

    Raises:
        InputError: the separator cannot be used.
    """

    schema: Schema
    files: tuple[str, ...]
    separator: str | None = None
    names: tuple[str, ...] | None = None
    block_bytes: int = BLOCK_BYTES

    def __post_init__(self) -> None:
        by = self.separator
        if by is not None and (len(by) != 1 or not by.isascii() or by in '"\r\n\0'):
            raise InputError(f"the separator {by!r} is not a single ASCII character other than a quote or line break")

    def pieces(self, number: int) -> Iterator[Piece[Lines]]:
        """Blocks of a file's lines.

        Raises:
            InputError: the file cannot be read, or its header lacks a column.
        """
        path = self.files[number]
        with decompressed(path) as stream:
            if self.names is None:
                names, separator = _header(_header_line(stream, path), self.schema.columns, path, self.separator)
            else:
                names, separator = list(self.names), self.separator or "\t"
            first, header_lines = 0, 1 if self.names is None else 0
            for block in line_blocks(stream, self.block_bytes):
                yield Piece(number, first, Lines(block, tuple(names), separator, header_lines))
                first += count_lines(block)

    def cells(self, piece: Piece[Lines]) -> Cells:
        """The cells of a block of lines.

        Raises:
            InputError: the lines cannot be parsed.
        """
        path, columns, lines = self.files[piece.number], self.schema.columns, piece.content
        first_line, count = lines.header_lines + 1, count_lines(lines.text)
        ordinals = np.arange(piece.first, piece.first + count)
        malformed: list[Rejected] = []
        parsed = _parsed(lines, columns, count)
        if parsed is None:
            # An open quote or a lone carriage return puts rows and lines out of step, and pyarrow cannot report a row
            # of the wrong length that is not UTF-8. A slower reader removes such lines first.
            lines, bad = _without_bad_lines(lines)
            malformed = [Rejected(path, piece.first + i + first_line, "", *said) for i, said in bad.items()]
            ordinals = np.delete(ordinals, list(bad))
            parsed = _parsed(lines, columns, len(ordinals), checked=True)
        if parsed is None:
            start, end = piece.first + first_line, piece.first + first_line + count - 1
            raise InputError(f"{path}, lines {start} to {end}: cannot be parsed; check their quotes and line breaks")
        table, ragged = parsed
        for row in ragged:
            why = f"{row.actual_columns} columns instead of {row.expected_columns}"
            malformed.append(Rejected(path, int(ordinals[row.number - 1]) + first_line, "", row.text, why))
        ordinals = np.delete(ordinals, [row.number - 1 for row in ragged])
        cells = pa.record_batch({name: table[name].combine_chunks() for name in columns})
        return Cells(path, piece.number, ordinals, cells, malformed, first_line)

    def fingerprints(self) -> tuple[tuple[str, int, str], ...]:
        """Name, size in bytes and SHA-256 of each file.

        Raises:
            InputError: one cannot be read.
        """
        return fingerprints(self.files)


def text_columns(path: str) -> list[str]:
    """The names in a delimited text file's header, under the separator that finds most of them.

    Raises:
        InputError: the file cannot be read or has no header.
    """
    with decompressed(path) as stream:
        header = _header_line(stream, path)
    return max(_split(header, SEPARATORS, path).values(), key=len)


@contextlib.contextmanager
def decompressed(path: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, plain or gz, xz, bz2 by its suffix.

    Raises:
        InputError: it cannot be read, or ends in the middle of a compressed stream.
    """
    try:
        with opened(path) as raw:
            opener = _OPENERS.get(PurePath(path).suffix)
            if opener is None:
                yield raw
            else:
                with opener(raw, "rb") as stream:
                    yield stream
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def line_blocks(stream: IO[bytes], block_bytes: int) -> Iterator[bytes]:
    """The rest of the stream, in blocks of whole lines, read ``block_bytes`` at a time."""
    rest = b""
    while chunk := stream.read(block_bytes):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield whole + newline
    if rest:
        yield rest


def count_lines(block: bytes) -> int:
    """How many lines a block has, counting a last one without a line break."""
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _header_line(stream: IO[bytes], path: str) -> str:
    header = _text(stream.readline(), path).lstrip("\ufeff").rstrip("\r\n")
    if not header:
        raise InputError(f"{path}, line 1: no header line; add one that names the columns")
    return header


def _text(line: bytes, path: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line 1: not UTF-8 text (byte {error.start})") from None


def _header(header: str, columns: list[str], path: str, separator: str | None) -> tuple[list[str], str]:
    candidates = SEPARATORS if separator is None else (separator,)
    split = _split(header, candidates, path)
    separator = max(candidates, key=lambda by: len(set(split[by]) & set(columns)))
    names = split[separator]
    for column in columns:
        if names.count(column) > 1:
            raise InputError(f"{path}, line 1: the column {column!r} appears twice; rename one")
        if column not in names:
            raise missing_column(f"{path}, line 1 (separator {separator!r})", column, names)
    return names, separator


def _split(header: str, candidates: Sequence[str], path: str) -> dict[str, list[str]]:
    """Per separator, the names it splits the header into."""
    try:
        return {by: next(_csv_reader([header], by)) for by in candidates}
    except csv.Error as error:
        raise InputError(f"{path}, line 1: not a header line: {error}") from None


def _csv_reader(lines: list[str], separator: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL)


def _parsed(
    lines: Lines, columns: list[str], count: int, *, checked: bool = False
) -> tuple[pa.Table, list[pa.csv.InvalidRow]] | None:
    """The columns of a block's rows, and its rows of the wrong length.

    Args:
        lines: the block.
        columns: to read.
        count: how many rows the lines should have.
        checked: pyarrow fails on a row of the wrong length that is not UTF-8; the block has no such rows.

    Returns:
        None where pyarrow fails, or finds another number of rows.
    """
    if not lines.text:
        return pa.table({name: pa.array([], pa.binary()) for name in columns}), []
    if not (checked or _is_utf8(lines.text)):
        return None
    ragged: list[pa.csv.InvalidRow] = []

    def on_ragged(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    # Arrow selects columns by name, and names that are not selected may repeat.
    unique = [name if name in columns else f"{i}:{name}" for i, name in enumerate(lines.names)]
    size = len(lines.text) + 1
    parse_options = pa.csv.ParseOptions(
        delimiter=lines.separator,
        quote_char=False if lines.separator == "\t" else '"',
        invalid_row_handler=on_ragged,
        ignore_empty_lines=False,  # a blank line counts, as empty cells; its label is malformed
    )
    convert_options = pa.csv.ConvertOptions(
        column_types={name: pa.binary() for name in columns},
        include_columns=columns,
        strings_can_be_null=False,
        check_utf8=False,
    )
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(lines.text),
            pa.csv.ReadOptions(column_names=unique, use_threads=False, block_size=size),
            parse_options,
            convert_options,
        )
    except pa.ArrowInvalid:
        return None
    return (table, ragged) if len(table) + len(ragged) == count else None


def _without_bad_lines(lines: Lines) -> tuple[Lines, dict[int, tuple[str, str]]]:
    """The lines that are rows; and by place those that are not: what they hold, and why they are no row."""
    good: list[bytes] = []
    bad: dict[int, tuple[str, str]] = {}
    for place, line in enumerate(lines.text.split(b"\n")[: count_lines(lines.text)]):
        why = _not_a_row(line, len(lines.names), lines.separator)
        if why:
            bad[place] = line.decode("utf-8", "backslashreplace"), why
        else:
            good.append(line + b"\n")
    return dataclasses.replace(lines, text=b"".join(good)), bad


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _not_a_row(line: bytes, columns: int, separator: str) -> str:
    """Why a line is not a row; empty if it is a row."""
    text = line.decode("utf-8", "backslashreplace").removesuffix("\r")
    try:
        # After an open quote, the second line becomes part of the first one's last value.
        first, *second = _csv_reader([text + "\n", "second"], separator)
    except csv.Error as error:  # "new-line character seen in unquoted field - do you need ...", for a lone \r
        return str(error).partition(" - ")[0]
    if not second:
        return "a quoted value does not end on its line"
    found = len(first) or columns  # pyarrow handles blank lines
    return "" if found == columns else f"{found} columns instead of {columns}"
