"""Delimited text as blocks of cells."""

import csv
import dataclasses
import io
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import fingerprints
from tfrs_scaling.input.logs.arrow import constant
from tfrs_scaling.input.logs.files import (
    HEAD_BYTES,
    decompressed,
    looks_like_json,
    partition_values,
    refuse_binary,
)
from tfrs_scaling.input.logs.header import csv_problem, csv_reader, header_text, read_header, row_separator
from tfrs_scaling.input.logs.lines import BLOCK_BYTES, count_lines, first_line, line_blocks
from tfrs_scaling.input.logs.values.cells import Cells, Piece, Rejected
from tfrs_scaling.input.schema import Schema

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OPEN_QUOTE = "a quoted value does not end on its line"
_HEADER_AGAIN = "the header line again, as where files were joined"
_BLANK_LINE = "a blank line"
_QUOTED_LINES = 1000  # that a quoted value may span


@dataclasses.dataclass(frozen=True)
class Lines:
    """Whole lines of a file, the content of a piece.

    Attributes:
        text: the lines.
        count: how many there are.
        names: names of the columns.
        separator: separator between the columns.
        header: the file's header without its line break; empty if it has none.
        skip_blanks: whether a separator takes the blanks after it along.
    """

    text: bytes
    count: int
    names: tuple[str, ...]
    separator: str
    header: bytes = b""
    skip_blanks: bool = False


@dataclasses.dataclass(frozen=True)
class TextLog:
    """Delimited text files, compressed or not (see ``decompressed``).

    Quotes (``"a, b"``) are understood unless the separator is a tab; a quoted value may span lines. Blank lines at the
    end and files without a byte, beside others, are no rows; other blank lines are malformed. Where a blank follows
    each separator of the header, blanks after separators do not count. A schema's column that the header lacks may be
    in the names of the file's folders (Hive).

    Attributes:
        schema: the columns to read; others in a file are ignored.
        files: the paths.
        separator: None detects it in each file: the one of tab, comma, semicolon and bar that finds most of the
            schema's columns in the header.
        names: names of the columns, if the files have no header line; None reads each file's.
        block_bytes: bytes to read at a time; a piece is about as large.
        encoding: encoding of the files; None: UTF-8, in which single cells may be faulty.

    Raises:
        InputError: the separator cannot be used.
    """

    schema: Schema
    files: tuple[str, ...]
    separator: str | None = None
    names: tuple[str, ...] | None = None
    block_bytes: int = BLOCK_BYTES
    encoding: str | None = None

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
        with decompressed(path, self.encoding) as stream:
            line, rest = first_line(stream, path, self.block_bytes)
            if not line and len(self.files) > 1:
                return
            refuse_binary(line + rest[:HEAD_BYTES], path)
            if looks_like_json(line):
                raise InputError(f"{path}: holds JSON lines, not delimited text; use `prepare jsonl`")
            header, skip_blanks = b"", False
            if self.names is None:
                header = line.removeprefix(_BYTE_ORDER_MARK).rstrip(b"\r\n")
                columns, earlier = self.schema.columns, self.files[0] if number else None
                names, separator, skip_blanks = read_header(
                    header_text(line, path), columns, path, self.separator, earlier
                )
            else:
                rest, names = line.removeprefix(_BYTE_ORDER_MARK) + rest, list(self.names)
                separator = self.separator or row_separator(line, names, path)
            first, at, quotes = 0, 2 if header else 1, separator != "\t"
            for block, count in line_blocks(stream, path, self.block_bytes, rest, first=at, quotes=quotes):
                yield Piece(number, first, Lines(block, count, tuple(names), separator, header, skip_blanks))
                first += count

    def cells(self, piece: Piece[Lines]) -> Cells:
        """The cells of a block of lines.

        Raises:
            InputError: the lines cannot be parsed.
        """
        path, lines = self.files[piece.number], piece.content
        columns = [name for name in self.schema.columns if name in lines.names]
        top, count = 2 if lines.header else 1, lines.count
        ordinals = np.arange(piece.first, piece.first + count)
        malformed: list[Rejected] = []
        if lines.skip_blanks:
            lines = _without_blanks(lines)
        parsed = None if _has_header_again(lines) or _has_blank_line(lines.text) else _parsed(lines, columns, count)
        if parsed is None:
            # A value over several lines, an open quote or a lone carriage return puts rows and lines out of step, and
            # pyarrow cannot report a row of the wrong length that is not UTF-8. A slower reader sorts these out first.
            lines, bad, continued = _without_bad_lines(lines)
            malformed = [Rejected(path, piece.first + i + top, "", *said) for i, said in bad.items()]
            ordinals = np.delete(ordinals, [*bad, *continued])
            parsed = _parsed(lines, columns, len(ordinals), checked=True)
        if parsed is None:
            start, end = piece.first + top, piece.first + top + count - 1
            raise InputError(f"{path}, lines {start} to {end}: cannot be parsed; check their quotes and line breaks")
        table, ragged = parsed
        for row in ragged:
            why = f"{row.actual_columns} columns instead of {row.expected_columns}"
            malformed.append(Rejected(path, int(ordinals[row.number - 1]) + top, "", row.text, why))
        ordinals = np.delete(ordinals, [row.number - 1 for row in ragged])
        in_folders = partition_values(path)
        cells = pa.record_batch({
            name: table[name].combine_chunks()
            if name in columns
            else constant(in_folders[name], len(ordinals), self.schema.missing)
            for name in self.schema.columns
        })  # fmt: skip
        return Cells(path, piece.number, ordinals, cells, malformed, top)

    def fingerprints(self) -> tuple[tuple[str, int, str], ...]:
        """Name, size in bytes and SHA-256 of each file.

        Raises:
            InputError: one cannot be read.
        """
        return fingerprints(self.files)


def _parsed(
    lines: Lines, columns: list[str], count: int, *, checked: bool = False
) -> tuple[pa.Table, list[pa.csv.InvalidRow]] | None:
    """The columns of a block's rows, and its rows of the wrong length.

    Args:
        lines: the block.
        columns: columns to read.
        count: how many rows the lines should have.
        checked: pyarrow fails on a row of the wrong length that is not UTF-8; the block has no such rows.

    Returns:
        None where pyarrow fails, or finds another number of rows.
    """
    if not lines.text:
        return pa.table({name: pa.array([], pa.binary()) for name in columns}), []
    in_step = checked or b"\r" not in lines.text or lines.text.count(b"\r") == lines.text.count(b"\r\n")
    if not in_step or not (checked or _is_utf8(lines.text)):
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
        newlines_in_values=checked,
        ignore_empty_lines=False,  # or rows and lines would be out of step
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


def _without_blanks(lines: Lines) -> Lines:
    """The lines without the blanks after separators, but for those in quoted values."""
    by = re.escape(lines.separator.encode())
    pattern = re.compile(rb'((?:^|%s) *)("(?:[^"]|"")*")|%s +' % (by, by), re.MULTILINE)
    text = pattern.sub(lambda m: m[1].rstrip(b" ") + m[2] if m[2] else lines.separator.encode(), lines.text)
    return dataclasses.replace(lines, text=text)


def _has_header_again(lines: Lines) -> bool:
    header = lines.header
    if not header or header not in lines.text:
        return False
    return re.search(rb"^" + re.escape(header) + rb"\r?$", lines.text, re.MULTILINE) is not None


def _has_blank_line(text: bytes) -> bool:
    return text.startswith((b"\n", b"\r\n")) or b"\n\n" in text or (b"\r" in text and b"\n\r\n" in text)


def _without_bad_lines(lines: Lines) -> tuple[Lines, dict[int, tuple[str, str]], list[int]]:
    """The lines that are rows; by place those that are not: what they hold, and why they are no row; continued ones."""
    good: list[bytes] = []
    bad: dict[int, tuple[str, str]] = {}
    continued: list[int] = []
    all_lines = lines.text.split(b"\n")[: count_lines(lines.text)]
    place = 0
    while place < len(all_lines):
        line, span = all_lines[place], 1
        again = lines.header and line.removesuffix(b"\r") == lines.header
        why = _HEADER_AGAIN if again else _not_a_row(line, len(lines.names), lines.separator)
        if why == _OPEN_QUOTE:
            span = _quoted_span(all_lines[place : place + _QUOTED_LINES], len(lines.names), lines.separator)
        if why and span == 1:
            bad[place] = line.decode("utf-8", "backslashreplace"), why
        else:
            good.append(b"\n".join(all_lines[place : place + span]) + b"\n")
            continued += range(place + 1, place + span)
        place += span
    return dataclasses.replace(lines, text=b"".join(good)), bad, continued


def _quoted_span(lines: list[bytes], columns: int, separator: str) -> int:
    """How many lines make a row, given that the first leaves a quote open; 1 if no row comes of it."""
    for span in range(2, len(lines) + 1):
        if b'"' not in lines[span - 1]:
            continue
        text = b"\n".join(lines[:span]).decode("utf-8", "backslashreplace").removesuffix("\r")
        # Strictly: a separator or the end must follow the closing quote, lest an open quote swallows good rows.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        try:
            row, *more = reader
        except csv.Error as error:
            if str(error) == "unexpected end of data":
                continue
            return 1
        return span if len(row) == columns and not more else 1
    return 1


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _not_a_row(line: bytes, columns: int, separator: str) -> str:
    """Why a line is not a row; empty if it is a row."""
    text = line.decode("utf-8", "backslashreplace").removesuffix("\r")
    if not text:
        return _BLANK_LINE
    try:
        # After an open quote, the second line becomes part of the first one's last value.
        first, *second = csv_reader([text + "\n", "second"], separator)
    except csv.Error as error:
        return csv_problem(error)
    if not second:
        return _OPEN_QUOTE
    return "" if len(first) == columns else f"{len(first)} columns instead of {columns}"
