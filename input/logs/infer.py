"""Infers a first schema for a log, to be reviewed and edited by someone who knows the columns."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.cells import Cells, read
from tfrs_scaling.input.logs.parquet import ParquetLog
from tfrs_scaling.input.logs.text import TextLog, text_columns
from tfrs_scaling.input.schema import MAX_VALUES, CategoricalFeature, Schema

MISSING_TEXTS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N")
LABEL_NAMES = ("label", "click", "clicked", "is_click", "is_clicked", "target", "y")
TIME_NAMES = re.compile(r"(^|_)(ts|time|timestamp|datetime|unixtime)$", re.IGNORECASE)
ID_NAMES = re.compile(r"(^|_)(id|ids|code|zip)$", re.IGNORECASE)
TFRECORD = re.compile(r"\.tfrecords?(-\d+-of-\d+)?(\.gz)?$")
SEPARATORS = ("|", ";", ",")
# Integers with few distinct values are more likely names (months, weekdays, slots) than measurements, and so are those
# that use nearly every number between the smallest and the largest (consecutive user numbers).
FEWEST_DENSE_VALUES = 50
DENSEST_NUMBERING = 0.9
LEAST_MULTI_HOT_SHARE = 0.05


@dataclasses.dataclass
class Column:
    """Statistics of a column.

    Attributes:
        name: of the column.
        rows: how many were read.
        missing: how many of them have no value.
        values: the distinct values, as text.
        tokens: per separator, the distinct parts that values split into, the largest number of parts of a value, and
            how many values have several.
        is_number, is_integer: whether all values are.
        low, high: the smallest and the largest number.
        total, squares: sums of the numbers and of their squares.
        taken_as: its role in the schema.
    """

    name: str
    rows: int = 0
    missing: int = 0
    values: set[str] = dataclasses.field(default_factory=set)
    tokens: dict[str, tuple[set[str], int, int]] = dataclasses.field(default_factory=dict)
    is_number: bool = True
    is_integer: bool = True
    low: float = np.inf
    high: float = -np.inf
    total: float = 0.0
    squares: float = 0.0
    taken_as: Literal["label", "time", "dense", "categorical", "multi-hot", "left out"] = "left out"

    def add(self, texts: pa.Array, missing: set[str]) -> None:
        """Add a block of cells; the texts of missing values are added to ``missing``."""
        absent = pc.is_in(texts, pa.array(MISSING_TEXTS))
        missing.update(pc.unique(texts.filter(absent)).to_pylist())
        present = texts.filter(pc.invert(absent))
        self.rows += len(texts)
        self.missing += len(texts) - len(present)
        distinct = pc.unique(present)
        self.values.update(distinct.to_pylist())
        self._add_tokens(present)
        if self.is_number and len(present):
            try:
                numbers = present.cast(pa.float64()).to_numpy()
            except pa.ArrowInvalid:
                self.is_number = self.is_integer = False
                return
            self.is_integer = self.is_integer and bool((numbers == np.floor(numbers)).all())
            self.low, self.high = min(self.low, numbers.min()), max(self.high, numbers.max())
            self.total, self.squares = self.total + numbers.sum(), self.squares + (numbers**2).sum()

    def _add_tokens(self, present: pa.Array) -> None:
        for separator in SEPARATORS:
            several = present.filter(pc.match_substring(present, separator))
            if not len(several):
                continue
            parts = pc.split_pattern(pc.unique(several), separator)
            tokens, most, count = self.tokens.get(separator, (set(), 0, 0))
            tokens |= set(pc.unique(parts.flatten()).to_pylist())
            most = max(most, pc.max(pc.list_value_length(parts)).as_py())
            self.tokens[separator] = tokens, most, count + len(several)

    @property
    def separator(self) -> str | None:
        """The separator of the values if they are lists: then there are at most as many distinct parts as values."""
        for separator, (tokens, most, count) in self.tokens.items():
            often = count >= LEAST_MULTI_HOT_SHARE * (self.rows - self.missing)
            if often and len(tokens) <= len(self.values) and most <= MAX_VALUES:
                return separator
        return None

    @property
    def distinct(self) -> int:
        """The number of distinct values, or of distinct parts if the values are lists."""
        if self.separator is None:
            return len(self.values)
        single = {value for value in self.values if self.separator not in value}
        return len(self.tokens[self.separator][0] | single)

    def is_dense(self) -> bool:
        """Whether it is more likely a measurement than a name."""
        if not self.is_number or ID_NAMES.search(self.name):
            return False
        consecutive = len(self.values) >= DENSEST_NUMBERING * (self.high - self.low + 1)
        return not self.is_integer or (len(self.values) > FEWEST_DENSE_VALUES and not consecutive)

    def feature(self) -> dict[str, Any]:
        """The feature's entry in the schema file."""
        if self.taken_as == "dense":
            count = self.rows - self.missing
            mean = self.total / count
            deviation = max(0.0, self.squares / count - mean**2) ** 0.5
            # Counts with a heavy tail need a logarithm; values spread around a mean do not.
            log1p = self.low >= 0 and deviation > mean
            return {"name": self.name, "transform": "log1p" if log1p else "standardize"}
        feature: dict[str, Any] = {"name": self.name, "cardinality": self.distinct + 1}
        if self.separator is not None:
            feature |= {"max_values": self.tokens[self.separator][1], "separator": self.separator}
        return feature


def infer(path: Path, label: str | None = None) -> tuple[str, list[Column], int]:
    """Guess a log's schema.

    Args:
        path: delimited text with a header, or Parquet or TFRecord (by its suffix).
        label: the label's column; None looks for a column of 0 and 1, preferring the usual names.

    Returns:
        A schema file's text; the statistics of each column, in the log's order; and how many rows were skipped because
        they have too few or too many columns.

    Raises:
        InputError: the file cannot be read, or no column can be the label.
    """
    missing: set[str] = set()
    columns: dict[str, Column] = {}
    skipped = 0
    for block in _blocks(path):
        skipped += len(block.malformed)
        for name, cells in zip(block.batch.schema.names, block.batch.columns, strict=True):
            columns.setdefault(name, Column(name)).add(_as_text(cells), missing)
    if not columns or not next(iter(columns.values())).rows:
        raise InputError(f"{path}: no rows")
    found = list(columns.values())
    _take_label(found, label, path)
    _take_time(found)
    for column in found:
        if column.taken_as == "left out" and len(column.values) > 1:
            column.taken_as = "dense" if column.is_dense() else "multi-hot" if column.separator else "categorical"
    return _schema_text(found, missing), found, skipped


def _blocks(path: Path) -> Iterator[Cells]:
    """Every column of the log, as text."""
    if path.suffix == ".parquet":
        try:
            arrow = pq.read_schema(path)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path}: cannot be read as Parquet: {error}") from None
        lists = {field.name for field in arrow if pa.types.is_list(field.type) or pa.types.is_large_list(field.type)}
        return read(ParquetLog(_everything(path, arrow.names, lists), (str(path),)))
    if TFRECORD.search(path.name):
        from tfrs_scaling.input.logs.tfrecord import (  # loads TensorFlow, which takes seconds
            TFRecordLog,
            tfrecord_features,
        )

        several = tfrecord_features(str(path))
        lists = {name for name in several if several[name]}
        return read(TFRecordLog(_everything(path, list(several), lists), (str(path),)))
    return read(TextLog(_everything(path, text_columns(str(path)), set()), (str(path),)))


def _everything(path: Path, names: list[str], lists: set[str]) -> Schema:
    """A schema that reads every column; the roles do not matter."""
    label = next((name for name in names if name not in lists), None)
    if label is None or len(names) < 2:
        raise InputError(f"{path}: a click log has a label and at least one feature; the columns are {names}")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: the column {repeated[0]!r} appears twice; rename one")
    others = (name for name in names if name != label)
    return Schema(
        label,
        tuple(
            CategoricalFeature(n, 2, "hash", max_values=MAX_VALUES, separator="|")
            if n in lists
            else CategoricalFeature(n, 2, "hash")
            for n in others
        ),
    )


def _as_text(cells: pa.Array) -> pa.Array:
    try:
        return cells.cast(pa.string())
    except pa.ArrowInvalid:  # prepare reports the place
        return pa.array([value.decode("utf-8", "replace") for value in cells.to_pylist()], pa.string())


def _take_label(columns: list[Column], label: str | None, path: Path) -> None:
    binary = [c for c in columns if c.values == {"0", "1"} and not c.missing]
    if label is not None:
        named = next((c for c in columns if c.name == label), None)
        if named is None:
            raise InputError(f"{path}: there is no column {label!r}; it has {', '.join(c.name for c in columns)}")
        if named not in binary:
            shown = ", ".join(sorted(named.values)[:5])
            raise InputError(
                f"{path}, column {label!r}: a label is 0 or 1 in every row; this column holds {shown}"
                + (f" and {named.missing:,} missing values" if named.missing else "")
            )
        binary = [named]
    if not binary:
        raise InputError(f"{path}: no column holds only 0 and 1, so none can be the label; add such a column")
    usual = [c for name in LABEL_NAMES for c in binary if c.name.lower() == name]
    (usual or binary)[0].taken_as = "label"


def _take_time(columns: list[Column]) -> None:
    for column in columns:
        candidate = column.taken_as == "left out" and column.is_number and column.is_integer and not column.missing
        if candidate and TIME_NAMES.search(column.name) and len(column.values) > 1:
            column.taken_as = "time"
            return


def _schema_text(columns: list[Column], missing: set[str]) -> str:
    def lines(kinds: tuple[str, ...]) -> str:
        features = [json.dumps(c.feature(), ensure_ascii=False) for c in columns if c.taken_as in kinds]
        return "[\n    " + ",\n    ".join(features) + "\n  ]" if features else "[]"

    entries = {"label": json.dumps(next(c.name for c in columns if c.taken_as == "label"), ensure_ascii=False)}
    for column in columns:
        if column.taken_as == "time":
            entries["time"] = json.dumps(column.name, ensure_ascii=False)
    if missing - {""}:
        entries["missing"] = json.dumps(["", *sorted(missing - {""})])
    entries["dense"] = lines(("dense",))
    entries["categorical"] = lines(("categorical", "multi-hot"))
    return "{\n" + ",\n".join(f'  "{key}": {value}' for key, value in entries.items()) + "\n}\n"
