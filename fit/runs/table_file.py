"""A table out of a file that any program may have written: delimited text or Parquet, with located errors."""

import csv
import io
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.common.errors import InputError

_MISSING = ("", "nan", "na", "n/a", "null", "none")  # in lower case
_UNNAMED = re.compile(r"(Unnamed: \d+|__index_level_\d+__)?")  # the index that pandas wrote beside the columns
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"0|[1-9]\d{0,2}(\.\d{3})*")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class TableFile:
    """The columns of a file.

    Attributes:
        path: The file, as messages name it.
        columns: Column name -> values from the first row to the last: texts of delimited text, None for an empty field
            of Parquet.
        rows: Number of rows; row 1 is the first one below the header.
        decimal_comma: Whether ``0,5`` is a number, as it is where fields are separated by semicolons.
    """

    path: str
    columns: Mapping[str, list[Any]]
    rows: int
    decimal_comma: bool = False

    def numbers(self, name: str) -> Array:
        """A column as float64, shape (rows,); NaN where it is empty.

        Raises:
            InputError: a value is not a finite number; the message names file, row, column and value.
        """
        self._refuse_thousands(name)
        values = np.empty(self.rows)
        for row, value in enumerate(self.columns[name]):
            number = self._number(value)
            if number is None or math.isinf(number):
                what = "a number" if number is None else "finite"
                raise InputError(f"{self.path}: row {row + 1}, column {name}: {_shown(value)} is not {what}")
            values[row] = number
        return values

    def whole_numbers(self, name: str) -> list[int]:
        """A column as integers; 512.0 and 1e6, as spreadsheets write them, are whole numbers.

        Raises:
            InputError: as ``numbers``.
        """
        self._refuse_thousands(name)
        found = []
        for row, value in enumerate(self.columns[name]):
            number = self._whole_number(value)
            if number is None:
                wrong = "the field is empty" if _is_missing(value) else f"{_shown(value)} is not a whole number"
                raise InputError(f"{self.path}: row {row + 1}, column {name}: {wrong}")
            found.append(number)
        return found

    def texts(self, name: str) -> list[str]:
        """A column as text; a number without its ``.0``."""
        return [_text(value) for value in self.columns[name]]

    def is_numeric(self, name: str) -> bool:
        """Whether a column holds numbers, and not only empty fields."""
        numbers = [self._number(value) for value in self.columns[name]]
        return None not in numbers and any(number == number for number in numbers)

    def is_empty(self, name: str) -> bool:
        """Whether every field of a column is empty."""
        return all(_is_missing(value) for value in self.columns[name])

    def _refuse_thousands(self, name: str) -> None:
        """Refuse a column whose points may separate thousands or decimals: 1.000 is 1 or 1000."""
        texts = [value.strip() for value in self.columns[name] if isinstance(value, str) and not _is_missing(value)]
        pointed = [text for text in texts if "." in text]
        if self.decimal_comma and pointed and all(map(_THOUSANDS.fullmatch, texts)):
            raise InputError(
                f"{self.path}: column {name}: {pointed[0]!r} may be {pointed[0].replace('.', '')} or have decimals; "
                "write numbers without a point between thousands, and decimals with a comma"
            )

    def _whole_number(self, value: Any) -> int | None:
        if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
            return int(value)  # exact, whatever its size
        number = self._number(value)
        if number is None or not number.is_integer():
            return None
        return value if isinstance(value, int) else int(number)

    def _number(self, value: Any) -> float | None:
        """NaN for an empty field, None for what is not a number."""
        if _is_missing(value):
            return math.nan
        if isinstance(value, str) and self.decimal_comma and _DECIMAL_COMMA.fullmatch(value.strip()):
            value = value.replace(",", ".")
        if not isinstance(value, str | int | float | np.number) or isinstance(value, bool | np.bool_):
            return None
        try:
            return float(value)
        except (ValueError, OverflowError):
            return None


def read_table_file(path: str | os.PathLike[str]) -> TableFile:
    """Read a table of delimited text (commas, tabs or semicolons, with a header) or of Parquet.

    Spaces around names, a byte order mark, empty rows and a column without a name, such as the index that pandas
    writes, are passed over.

    Raises:
        InputError: the file is neither, or has no column, or names one twice, or a row of another length.
        OSError: the file cannot be read.
    """
    name, content = str(path), Path(path).read_bytes()
    if content.startswith(b"PAR1"):
        return _parquet(name, content)
    if content.startswith(b"\x1f\x8b"):
        raise InputError(f"{name}: compressed by gzip; decompress it (gunzip) first")
    try:
        text = content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
        first = text.lstrip("\r\n").partition("\n")[0]
        separator = max(",\t;", key=first.count)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}: neither Parquet nor readable as delimited text in UTF-8 ({error}); save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise InputError(f"{name}: neither Parquet nor readable as delimited text ({error})") from error
    lines = [line for line in lines if len(line) > 1 or "".join(line).strip()]
    if not lines:
        raise InputError(f"{name}: the file is empty")
    header, rows = [field.strip() for field in lines[0]], [line for line in lines[1:] if any(map(str.strip, line))]
    if all(map(_NUMBER.fullmatch, header)):
        raise InputError(f"{name}: the first line, {separator.join(header)}, holds numbers; it must name the columns")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            hint = "; the first line must be the header: delete the lines above it" if number == 1 else ""
            raise InputError(f"{name}: row {number} has {len(row)} fields, the header {len(header)}{hint}")
    columns = [(column, [row[at] for row in rows]) for at, column in enumerate(header)]
    return _named(name, columns, len(rows), separator == ";")


def _parquet(name: str, content: bytes) -> TableFile:
    import pyarrow.parquet  # which delimited text need not wait for

    try:
        table = pyarrow.parquet.read_table(io.BytesIO(content))
    except Exception as error:  # pyarrow raises its own kinds, and OSError, for a damaged file
        raise InputError(f"{name}: not readable as Parquet ({error})") from error
    columns = [(column, table.column(at).to_pylist()) for at, column in enumerate(table.column_names)]
    return _named(name, columns, table.num_rows, False)


def _named(name: str, columns: list[tuple[str, list[Any]]], rows: int, decimal_comma: bool) -> TableFile:
    named = [(column, values) for column, values in columns if not _UNNAMED.fullmatch(column)]
    names = [column for column, _ in named]
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise InputError(f"{name}: repeated columns: {', '.join(twice)}; give each a name of its own")
    if not names:
        raise InputError(f"{name}: no column has a name; the first line must name them")
    return TableFile(name, dict(named), rows, decimal_comma)


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _MISSING
    return value is None or value is pd.NaT or value != value


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else f"{value!r} ({type(value).__name__})"


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)
