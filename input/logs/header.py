"""The first line of delimited text: the names of its columns, and what separates them."""

import csv
import re
import shlex
from collections.abc import Iterator, Sequence

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.files import decompressed, partition_values, recbole_tables
from tfrs_scaling.input.logs.lines import MAX_LINE_BYTES, first_line
from tfrs_scaling.input.logs.values.cells import missing_column

SEPARATORS = ("\t", ",", ";", "|", "\x01")  # the last is Hive's
# RecBole's atomic files: user_id:token, rating:float.
_TYPED_NAME = re.compile(r"(.+):(?:token|float)(?:_seq)?")
_NUMBER_OR_DATE = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|\d{4}-\d\d?-\d\d?.*")
_SPARSE_ROW = re.compile(r"[-+]?\d+(\.\d+)?( +\S+:\S+)+ *$")
MAX_COLUMNS = 1 << 18
_DELETE = "tail -n +2 OLD > NEW"
csv.field_size_limit(MAX_LINE_BYTES)  # 128 KiB by default: too little for a long header read with a wrong separator


def text_columns(path: str, separator: str | None = None, encoding: str | None = None) -> list[str]:
    """The names in a delimited text file's header, under the separator (None: the one that finds most of them).

    Raises:
        InputError: the file cannot be read or has no header.
    """
    with decompressed(path, encoding) as stream:
        header = _names_line(header_text(first_line(stream, path)[0], path), path)
    names = max(_split(header, SEPARATORS if separator is None else (separator,), path).values(), key=len)
    return [name.strip(" ") for name in _untyped(names)]


def looks_like_row(names: Sequence[str]) -> bool:
    """Whether a header holds what rows hold: half of it are numbers or dates."""
    named = [name for name in names if name.strip()]
    return bool(named) and 2 * sum(_NUMBER_OR_DATE.fullmatch(name.strip()) is not None for name in named) >= len(named)


def _names_line(line: str, path: str) -> str:
    header = line.lstrip("\ufeff").rstrip("\r\n")
    if not header:
        raise InputError(f"{path}, line 1: no header line; add one that names the columns, or give --columns")
    return header


def header_text(line: bytes, path: str) -> str:
    """A first line as text.

    Raises:
        InputError: it is not UTF-8, or holds a NUL.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line 1: not UTF-8 text (byte {error.start}); if it is text, give its --encoding, such as cp1252"
        ) from None
    if "\0" in text:
        raise InputError(
            f"{path}, line 1: holds NUL characters, as UTF-16 without a mark does; if it is text, give its --encoding, "
            "such as utf-16-le"
        )
    return text


def read_header(
    line: str, columns: list[str], path: str, separator: str | None, earlier: str | None
) -> tuple[list[str], str, bool]:
    """The names in a header line, its separator, and whether a blank follows each separator.

    Args:
        line: the first line of a file.
        columns: what a schema reads.
        path: the file, for errors.
        separator: separator of the columns; None detects it: the one that finds most of ``columns``.
        earlier: a file of the log before this one.

    Raises:
        InputError: a column is missing or repeated, or the line is no header.
    """
    header = _names_line(line, path)
    candidates = SEPARATORS if separator is None else (separator,)
    split = {by: _untyped(names) for by, names in _split(header, candidates, path).items()}
    separator = max(candidates, key=lambda by: len({name.strip(" ") for name in split[by]} & set(columns)))
    names = split[separator]
    spaced = len(names) > 1 and all(name.startswith(" ") for name in names[1:])
    found, in_folders = [name if name in columns else name.strip(" ") for name in names], partition_values(path)
    for column in columns:
        if found.count(column) > 1:
            raise InputError(f"{path}, line 1: the column {column!r} appears twice; rename one")
        if column not in found and column not in in_folders:
            for table in recbole_tables(path):
                if column in text_columns(table, separator):
                    raise InputError(
                        f"{path}: the column {column!r} is in {table}, which is not joined: merge its columns into the "
                        ".inter file, as with pandas.merge"
                    )
            error = missing_column(f"{path}, line 1 (separator {separator!r})", column, found)
            if not looks_like_row(max(split.values(), key=len)):
                single = max(map(len, split.values())) == 1 or header.lower().startswith("sep=")
                hint = header_advice(header) if single else ""
                raise InputError(f"{error}{hint}")
            if earlier is not None:
                raise InputError(
                    f"{path}, line 1: looks like a row, and {earlier} begins with a header line; give every file the "
                    "header, or none and name the columns with --columns"
                )
            raise InputError(f"{error}; line 1 looks like a row, not like names: name the columns with --columns")
    return found, separator, spaced


def _untyped(names: list[str]) -> list[str]:
    """The names without RecBole's types, if all have one."""
    typed = [_TYPED_NAME.fullmatch(name) for name in names]
    return [found[1] for found in typed if found] if all(typed) else names


def row_separator(line: bytes, names: list[str], path: str) -> str:
    """The separator that splits a file's first row into as many values as there are names.

    Raises:
        InputError: none does.
    """
    counts = {by: len(row) for by, row in _split(header_text(line, path).rstrip("\r\n"), SEPARATORS, path).items()}
    for by, count in counts.items():
        if count == len(names):
            return by
    raise InputError(
        f"{path}, line 1: {max(counts.values())} columns, and --columns names {len(names)}; "
        "name each in its order, and give --separator if it is an unusual one"
    )


def _split(header: str, candidates: Sequence[str], path: str) -> dict[str, list[str]]:
    """Per separator, the names it splits the header into."""
    for by in candidates:
        if (count := header.count(by)) >= MAX_COLUMNS:
            raise InputError(
                f"{path}, line 1: {count + 1:,} columns between {by!r}, more than {MAX_COLUMNS:,}; is it a table?"
            )
    try:
        return {by: next(csv_reader([header], by)) for by in candidates}
    except csv.Error as error:
        raise InputError(f"{path}, line 1: not a header line: {csv_problem(error)}") from None


def csv_problem(error: csv.Error) -> str:
    """What Python's reader found wrong with a line, in a user's words."""
    if str(error).startswith("new-line character"):  # and goes on with advice on how to call Python
        return (
            "a carriage return without a line feed; if all lines end so, convert the file: tr '\\r' '\\n' < OLD > NEW"
        )
    return str(error)


def header_advice(header: str) -> str:
    """A hint, to be appended to an error, for a header that no usual separator splits; empty if there is none."""
    if header.lower().startswith("sep="):
        return f"; the line is for spreadsheets alone: delete it, as with {_DELETE}"
    if header.startswith(("#", "%", "--")) or not re.search(r"\w", header):
        return f"; if the table's header is further below, delete what is above it, as with {_DELETE}"
    if _SPARSE_ROW.match(header):
        return "; is it LIBSVM or LIBFFM? Write a table with a column for each feature"
    if "::" in header:
        return r"; is the separator '::'? Replace it by a tab: sed 's/::/\t/g' OLD > NEW"
    found = next((by for by in " ~^\x02" if by in header.strip()), None)
    return "" if found is None else f"; is the separator {found!r}? Give it with --separator {shlex.quote(found)}"


def csv_reader(lines: list[str], separator: str) -> Iterator[list[str]]:
    """The rows of lines; quotes mean something unless the separator is a tab."""
    return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL)
