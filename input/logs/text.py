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
from tfrs_scaling.input.logs.cells import Cells, Rejected, missing_column
from tfrs_scaling.input.schema import Schema

BLOCK_BYTES = 8 << 20
SEPARATORS = ("\t", ",", ";", "|")
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


@dataclasses.dataclass(frozen=True)
class Piece:
    """Whole lines of a file.

    Attributes:
        number: of the file in the log.
        first: place of the first line among the file's rows, from 0.
        header_lines: lines above the file's first row.
        names: of the columns.
        separator: between them.
        content: the lines.
    """

    number: int
    first: int
    header_lines: int
    names: tuple[str, ...]
    separator: str
    content: bytes


@dataclasses.dataclass(frozen=True)
class TextLog:
    """Delimited text files, plain or gz, xz, bz2.

    Quotes (``"a, b"``) are understood unless the separator is a tab; a value never spans lines.

    Attributes:
        schema: the columns that are read; others in a file are passed over.
        files: the paths.
        separator: None finds it in each file: the one of tab, comma, semicolon and bar under which the header has
            the columns.
        names: of the columns, where the files have no header line; None reads each file's.

    Raises:
        InputError: the separator is none.
    """

    schema: Schema
    files: tuple[str, ...]
    separator: str | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        by = self.separator
        if by is not None and (len(by) != 1 or not by.isascii() or by in '"\r\n\0'):
            raise InputError(f"the separator {by!r} is not a single ASCII character other than a quote or line break")

    def pieces(self, number: int) -> Iterator[Piece]:
        """Blocks of a file's lines.

        Raises:
            InputError: the file cannot be read, or has no such header.
        """
        path = self.files[number]
        with decompressed(path) as stream:
            if self.names is None:
                names, separator = _header(_header_line(stream, path), self.schema.columns, path, self.separator)
            else:
                names, separator = list(self.names), self.separator or "\t"
            first, header_lines = 0, 1 if self.names is None else 0
            for block in line_blocks(stream):
                yield Piece(number, first, header_lines, tuple(names), separator, block)
                first += count_lines(block)

    def cells(self, piece: Piece) -> Cells:
        """The cells of a block of lines.

        Raises:
            InputError: the lines cannot be told apart.
        """
        path, columns, content = self.files[piece.number], self.schema.columns, piece.content
        first_line = piece.header_lines + 1
        ordinals = np.arange(piece.first, piece.first + count_lines(content))
        malformed: list[Rejected] = []
        parsed = _parsed(content, piece.names, columns, piece.separator)
        if parsed is None or len(parsed[0]) + len(parsed[1]) != len(ordinals):
            # A quote left open or a lone carriage return puts rows and lines out of step; and pyarrow cannot tell of
            # a row of another length that is not UTF-8. Such lines are taken out beforehand, by a slower reader.
            whole, kept = [], []
            for ordinal, text in zip(ordinals.tolist(), content.split(b"\n"), strict=False):
                why = _not_a_row(text, len(piece.names), piece.separator)
                if why:
                    shown = text.decode("utf-8", "backslashreplace")
                    malformed.append(Rejected(path, ordinal + first_line, "", shown, why))
                else:
                    whole.append(text)
                    kept.append(ordinal)
            ordinals = np.array(kept, np.int64)
            content = b"".join(text + b"\n" for text in whole)
            parsed = _parsed(content, piece.names, columns, piece.separator, checked=True)
            if parsed is None or len(parsed[0]) + len(parsed[1]) != len(ordinals):
                last = piece.first + first_line + count_lines(piece.content) - 1
                raise InputError(f"{path}: the lines up to {last} cannot be told apart")
        table, ragged = parsed
        for row in ragged:
            why = f"{row.actual_columns} columns instead of {row.expected_columns}"
            malformed.append(Rejected(path, int(ordinals[row.number - 1]) + first_line, "", row.text, why))
        ordinals = np.delete(ordinals, [row.number - 1 for row in ragged])
        cells = pa.record_batch({name: table[name].combine_chunks() for name in columns})
        return Cells(path, piece.number, ordinals, cells, malformed, first_line)

    def origins(self) -> tuple[tuple[str, int, str], ...]:
        """The files: the name, size in bytes and SHA-256 of each.

        Raises:
            InputError: one cannot be read.
        """
        return fingerprints(self.files)


def text_columns(path: str) -> list[str]:
    """The names in a delimited text file's header, under the separator that gives the most of them.

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


def line_blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """The rest of the stream, in blocks of whole lines."""
    rest = b""
    while chunk := stream.read(BLOCK_BYTES):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield whole + newline
    if rest:
        yield rest


def count_lines(block: bytes) -> int:
    """How many lines a block has, the last one perhaps without its line break."""
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _header_line(stream: IO[bytes], path: str) -> str:
    header = _text(stream.readline(), path).lstrip("\ufeff").rstrip("\r\n")
    if not header:
        raise InputError(f"{path}, line 1: no header line, which should name the columns")
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
            raise InputError(f"{path}, line 1: the column {column!r} stands twice")
        if column not in names:
            raise missing_column(f"{path}, line 1 (separator {separator!r})", column, names)
    return names, separator


def _split(header: str, candidates: Sequence[str], path: str) -> dict[str, list[str]]:
    """Per separator, the names it parts the header into."""
    try:
        return {by: next(_csv_reader([header], by)) for by in candidates}
    except csv.Error as error:
        raise InputError(f"{path}, line 1: not a header line: {error}") from None


def _csv_reader(lines: list[str], separator: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL)


def _parsed(
    block: bytes, names: Sequence[str], columns: list[str], separator: str, *, checked: bool = False
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
