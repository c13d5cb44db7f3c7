"""Infers a first schema for a log, to be reviewed and edited by someone who knows the columns."""

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import listed, plural, share
from tfrs_scaling.input.logs.arrow import is_list_type, unusable
from tfrs_scaling.input.logs.cells import Cells, read
from tfrs_scaling.input.logs.files import file_kind, find_files, partition_values
from tfrs_scaling.input.logs.formats import TextOptions, open_log
from tfrs_scaling.input.logs.jsonl import json_keys
from tfrs_scaling.input.logs.leaks import NOTABLE_AUC, auc_alone
from tfrs_scaling.input.logs.lists import split_lists
from tfrs_scaling.input.logs.parquet import parquet_file
from tfrs_scaling.input.logs.text import looks_like_row, text_columns
from tfrs_scaling.input.logs.times import BAD, parse_times
from tfrs_scaling.input.schema import MAX_VALUES, CategoricalFeature, Schema

MISSING_TEXTS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N")
# In order of preference; names are compared in lower case with underscores.
LABEL_NAMES = (
    "label", "labels", "target", "y", "click", "clicked", "clicks", "is_click", "is_clicked", "clk", "is_clk",
    "has_click", "was_clicked", "click_flag", "click_label", "ad_click", "ctr_label", "label_click", "is_attributed",
    "converted", "conversion", "is_conversion", "is_converted", "purchased", "is_purchase", "purchase", "is_buy", "buy",
    "bought", "is_like", "like", "liked", "long_view", "is_long_view", "is_favorite", "favorite", "response", "outcome",
)  # fmt: skip
RATING_NAMES = ("rating", "ratings", "score", "stars", "overall", "watch_ratio")
TIME_NAMES = re.compile(
    r"(^|_)(ts|time|timestamp|time_stamp|date_?time|unix_?time|unix_?timestamp|review_time|utc)(_(ms|us|ns|s|sec|utc))?$"
)
DATE_NAMES = re.compile(r"(^|_)(date|day|dt|hour|created_at|updated_at|logged_at|created|at)$")
ID_NAMES = re.compile(r"(^|_)(id|ids|code|zip)$", re.IGNORECASE)
SEPARATORS = ("|", ";", ",", "^", " ")
LIST_SEPARATOR = "\x1f"  # between values of lists, while they are read
# Integers with few distinct values are more likely names (months, weekdays, slots) than measurements, and so are those
# that use nearly every number between the smallest and the largest (consecutive user numbers).
FEWEST_DENSE_VALUES = 50
DENSEST_NUMBERING = 0.9
LEAST_MULTI_HOT_SHARE = 0.05
FIRST_EPOCH_SECOND = 10**8  # smaller integers, of a column named date or hour, are parts of a date
SAMPLE_ROWS = 100_000
_BRACKETS = r"(?s)^\s*[\[({].*[\])}]\s*$"
_INDEX_NAMES = re.compile(r"__index_level_\d+__|Unnamed: \d+|index|row_?(id|number|num|no)?")

Role = Literal["label", "time", "dense", "categorical", "multi-hot", "left out"]


@dataclasses.dataclass
class Column:
    """Statistics of a column.

    Attributes:
        name: name of the column.
        is_list: whether the log holds lists, which are then joined by ``LIST_SEPARATOR``.
        rows: how many were read.
        missing: how many of them have no value.
        values: the distinct values, as text.
        tokens: per separator, the distinct parts that values split into, the largest number of parts of a value, and
            how many values have several.
        bracketed: how many values are in brackets.
        is_number, is_integer: whether all values are.
        counts_rows: whether the values so far are consecutive integers, row by row.
        low, high, last: the smallest, the largest and the latest number.
        total, squares: sums of the numbers and of their squares.
        taken_as: role of the column in the schema.
    """

    name: str
    is_list: bool = False
    rows: int = 0
    missing: int = 0
    values: set[str] = dataclasses.field(default_factory=set)
    tokens: dict[str, tuple[set[str], int, int]] = dataclasses.field(default_factory=dict)
    bracketed: int = 0
    is_number: bool = True
    is_integer: bool = True
    counts_rows: bool = True
    low: float = np.inf
    high: float = -np.inf
    last: float = np.nan
    total: float = 0.0
    squares: float = 0.0
    taken_as: Role = "left out"

    @property
    def plain_name(self) -> str:
        """The name in lower case, its words joined by underscores."""
        return re.sub(r"[\s.-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name)).lower()

    def add(self, texts: pa.Array, missing: set[str]) -> None:
        """Add a block of cells; the texts of missing values are added to ``missing``."""
        absent = pc.is_in(texts, pa.array(MISSING_TEXTS))
        missing.update(pc.unique(texts.filter(absent)).to_pylist())
        present = texts.filter(pc.invert(absent))
        self.rows += len(texts)
        self.missing += len(texts) - len(present)
        self.counts_rows = self.counts_rows and len(present) == len(texts)
        self.values.update(pc.unique(present).to_pylist())
        self._add_tokens(present)
        if self.is_number and len(present):
            try:
                numbers = present.cast(pa.float64()).to_numpy()
            except pa.ArrowInvalid:
                self.is_number = self.is_integer = self.counts_rows = False
                return
            self.is_integer = self.is_integer and bool((numbers == np.floor(numbers)).all())
            steps = np.diff(numbers, prepend=numbers[0] - 1 if math.isnan(self.last) else self.last)
            self.counts_rows = self.counts_rows and self.is_integer and bool((steps == 1).all())
            self.last = float(numbers[-1])
            self.low, self.high = min(self.low, numbers.min()), max(self.high, numbers.max())
            self.total, self.squares = self.total + numbers.sum(), self.squares + (numbers**2).sum()

    def _add_tokens(self, present: pa.Array) -> None:
        bracketed = pc.match_substring_regex(present, _BRACKETS)
        self.bracketed += pc.sum(bracketed).as_py() or 0
        for separator in (LIST_SEPARATOR,) if self.is_list else SEPARATORS:
            holds = pc.match_substring(present, separator)
            several = present.filter(holds if self.is_list else pc.or_(holds, bracketed))
            if not len(several):
                continue
            parts = split_lists(pc.unique(several).cast(pa.binary()), separator)
            distinct = pc.unique(parts.flatten().drop_null()).to_pylist()
            tokens, most, count = self.tokens.get(separator, (set(), 0, 0))
            tokens |= {value.decode("utf-8", "replace") for value in distinct}
            most = max(most, pc.max(pc.list_value_length(parts)).as_py())
            self.tokens[separator] = tokens, most, count + len(several)

    @property
    def separator(self) -> str | None:
        """The separator of the values if they are lists: then there are at most as many distinct parts as values."""
        if self.is_list:
            return LIST_SEPARATOR
        present = self.rows - self.missing
        in_brackets = present > 0 and self.bracketed >= 0.9 * present
        for separator, (tokens, most, count) in sorted(self.tokens.items(), key=lambda item: -item[1][1]):
            # Blanks are between words, too.
            if separator == " " and not all(re.fullmatch(r"-?\d+", token) for token in tokens):
                continue
            often = count >= LEAST_MULTI_HOT_SHARE * present
            if most <= MAX_VALUES and (in_brackets or (often and most > 1 and len(tokens) <= len(self.values))):
                return separator
        return None

    @property
    def parts(self) -> set[str]:
        """The distinct values, or the distinct parts if the values are lists."""
        if self.separator is None:
            return self.values
        tokens = self.tokens.get(self.separator, (set[str](), 0, 0))[0]
        single = {value for value in self.values if self.separator not in value and not re.search(_BRACKETS, value)}
        return tokens | {value.strip() for value in single}

    @property
    def distinct(self) -> int:
        """The number of distinct values, or of distinct parts if the values are lists."""
        return len(self.parts)

    def is_dense(self) -> bool:
        """Whether it is more likely a measurement than a name."""
        if not self.is_number or ID_NAMES.search(self.plain_name):
            return False
        consecutive = len(self.values) >= DENSEST_NUMBERING * (self.high - self.low + 1)
        return not self.is_integer or (len(self.values) > FEWEST_DENSE_VALUES and not consecutive)

    def is_row_number(self) -> bool:
        """Whether it counts the rows; in a short log, only a column without a telling name does."""
        enough = self.rows > FEWEST_DENSE_VALUES or _INDEX_NAMES.fullmatch(self.name) is not None
        return self.counts_rows and enough and self.rows > 1

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
            most = max(2, self.tokens.get(self.separator, (set(), 0, 0))[1])
            feature |= {"max_values": most, "separator": self._free_separator()}
        return feature

    def _free_separator(self) -> str | None:
        """The separator for the schema: for lists of the log, one that no value holds."""
        if not self.is_list:
            return self.separator
        parts = self.parts
        free = (by for by in (*SEPARATORS, LIST_SEPARATOR) if by != " " and not any(by in part for part in parts))
        return next(free, LIST_SEPARATOR)


@dataclasses.dataclass(frozen=True)
class Inferred:
    """A guessed schema.

    Attributes:
        text: text of the schema file.
        columns: the statistics of each, in the log's order.
        notes: what its reader should know or check.
    """

    text: str
    columns: list[Column]
    notes: list[str]


def infer(
    path: str | Path,
    label: str | None = None,
    *,
    label_at_least: float | None = None,
    text: TextOptions = TextOptions(),  # noqa: B008 -- frozen
) -> Inferred:
    """Guess a log's schema.

    Args:
        path: a file, folder or pattern (see ``find_files``) of delimited text with a header, JSON lines, Parquet or
            TFRecord, recognized by its content.
        label: the label's column; None looks for one of 0 and 1 that has a usual name.
        label_at_least: for a label that is a number, the smallest that is a click.
        text: how text is written.

    Raises:
        InputError: the files cannot be read, have no names for their columns, or no column can be the label.
    """
    path = str(path)
    files = find_files((path,))
    notes: list[str] = []
    columns, missing, sample, malformed = _read(files, path, text, notes)
    found = list(columns.values())
    if not found or not found[0].rows:
        raise InputError(f"{path}: no rows")
    if text.columns is None and _header_is_row(found, files[0], text):
        shown = ", ".join(column.name for column in found[:5])
        raise InputError(
            f"{files[0]}, line 1: looks like a row, not like names ({shown}): name the columns, for infer and prepare, "
            "as in --columns label,user,item"
        )
    if malformed:
        notes.append(
            f"{plural(len(malformed), 'row')} with too few or too many columns skipped, the first in "
            f"{malformed[0]}; prepare lists them"
        )
    label_column = _take_label(found, label, label_at_least, path)
    _take_time(found, notes)
    for column in found:
        if column.taken_as != "left out" or len(column.values) < 2:
            continue
        if column.is_row_number():
            notes.append(f"{column.name}: numbers the rows, so it is left out")
        else:
            column.taken_as = "dense" if column.is_dense() else "multi-hot" if column.separator else "categorical"
    if not any(column.taken_as in ("categorical", "multi-hot") for column in found):
        raise InputError(f"{path}: no column can be a categorical feature, and a schema needs one; edit one by hand")
    notes += _suspicions(sample, found, label_column, label_at_least)
    return Inferred(_schema_text(found, missing, label_at_least), found, notes)


def _read(
    files: tuple[str, ...], path: str, text: TextOptions, notes: list[str]
) -> tuple[dict[str, Column], set[str], pa.Table, list[str]]:
    """Every column's statistics, the texts of missing values, the first rows, and where malformed rows are."""
    missing: set[str] = set()
    columns: dict[str, Column] = {}
    sample: list[pa.RecordBatch] = []
    malformed: list[str] = []
    names, lists, blocks = _blocks(files, path, text, notes)
    for block in blocks:
        malformed += [f"{row.file}, {row.unit} {row.line} ({row.why})" for row in block.malformed]
        texts = {name: _as_text(block.batch.column(name)) for name in names}
        for name, cells in texts.items():
            columns.setdefault(name, Column(name, name in lists)).add(cells, missing)
        if sum(map(len, sample)) < SAMPLE_ROWS:
            sample.append(pa.record_batch(texts))
    return columns, missing, pa.Table.from_batches(sample)[:SAMPLE_ROWS] if sample else pa.table({}), malformed


def _blocks(
    files: tuple[str, ...], path: str, text: TextOptions, notes: list[str]
) -> tuple[list[str], set[str], Iterator[Cells]]:
    """The columns in the log's order, which of them hold lists, and the cells of all as text."""
    kinds = {file: file_kind(file, text.encoding) for file in files if not _is_empty(file, files)}
    if len(set(kinds.values())) > 1:
        by_kind = {kind: file for file, kind in kinds.items()}
        raise InputError(f"{path}: holds files of different kinds: {listed(f'{f} ({k})' for k, f in by_kind.items())}")
    first, kind = next(iter(kinds.items()))
    lists: set[str] = set()
    if kind == "parquet":
        with parquet_file(first) as parquet:
            fields = list(parquet.schema_arrow)
        for field in fields:
            if unusable(field.type):
                notes.append(f"{field.name}: holds {field.type}, which no cell can, so it is left out")
        names = [field.name for field in fields if not unusable(field.type)]
        lists = {field.name for field in fields if is_list_type(field.type)}
    elif kind == "tfrecord":
        from tfrs_scaling.input.logs.tfrecord import tfrecord_features  # loads TensorFlow, which takes seconds

        several = tfrecord_features(first)
        names, lists = list(several), {name for name in several if several[name]}
    elif kind == "jsonl":
        keys = json_keys(first, text.encoding)
        names, lists = list(keys), {name for name in keys if keys[name]}
    else:
        names = list(text.columns or text_columns(first, text.delimiter, text.encoding))
        for place, name in enumerate(names, 1):
            if not name.strip():
                notes.append(f"{first}, line 1: column {place} has no name, so it is left out (pandas' row number?)")
    names = [name for name in names if name.strip()]
    names += [name for name in partition_values(first) if name not in names]
    options = text if kind == "csv" else TextOptions(encoding=text.encoding) if kind == "jsonl" else TextOptions()
    return names, lists, read(open_log(kind, files, _everything(path, names, lists), options))


def _is_empty(file: str, files: tuple[str, ...]) -> bool:
    from tfrs_scaling.common.locations import size

    return len(files) > 1 and size(file) == 0


def _everything(path: str, names: list[str], lists: set[str]) -> Schema:
    """A schema that reads every column; the roles do not matter."""
    label = next((name for name in names if name not in lists), None)
    if label is None or len(names) < 2:
        raise InputError(f"{path}: a click log has a label and at least one feature; the columns are {names}")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: the column {repeated[0]!r} appears twice; rename one")
    return Schema(
        label,
        tuple(
            CategoricalFeature(name, 2, "hash", max_values=MAX_VALUES, separator=LIST_SEPARATOR)
            if name in lists
            else CategoricalFeature(name, 2, "hash")
            for name in names
            if name != label
        ),
    )


def _as_text(cells: pa.Array) -> pa.Array:
    try:
        return cells.cast(pa.string())
    except pa.ArrowInvalid:  # prepare reports the place
        return pa.array([value.decode("utf-8", "replace") for value in cells.to_pylist()], pa.string())


def _header_is_row(columns: list[Column], file: str, text: TextOptions) -> bool:
    """Whether the names of delimited text are rather the values of a row."""
    if file_kind(file, text.encoding) != "csv":
        return False
    names = [column.name for column in columns]
    among_values = sum(column.name in column.values for column in columns)
    return looks_like_row(names) or 2 * among_values > len(names)


_BINARY = ({"0", "1"}, {"0.0", "1.0"}, {"true", "false"}, {"t", "f"}, {"yes", "no"})


def _take_label(columns: list[Column], label: str | None, at_least: float | None, path: str) -> str:
    """Find the label; returns its name."""
    binary = [c for c in columns if {value.lower() for value in c.values} in _BINARY and not c.missing]
    usual = [c for name in LABEL_NAMES for c in columns if c.plain_name == name]
    if label is not None:
        named = next((c for c in columns if c.name == label), None)
        if named is None:
            raise InputError(f"{path}: there is no column {label!r}; it has {', '.join(c.name for c in columns)}")
    else:
        ratings = [c for name in RATING_NAMES for c in columns if c.plain_name == name]
        named = next((c for c in usual if c in binary), None)
        if named is None:  # a column of the right name with other values says more than one of 0 and 1 of another name
            named = next((c for c in (*usual, *([] if binary and at_least is None else ratings)) if c.is_number), None)
        if named is None and binary:
            shown = listed(repr(c.name) for c in binary[:5])
            raise InputError(
                f"{path}: no column has a label's usual name, such as 'label' or 'click'; give --label NAME. "
                f"Of 0 and 1 {'is' if len(binary) == 1 else 'are'} {shown}"
            )
        if named is None:
            raise InputError(
                f"{path}: no column holds only 0 and 1, so none can be the label; add such a column, or give --label "
                "NAME and --label-at-least NUMBER for one of ratings"
            )
    if at_least is None and named not in binary:
        shown = ", ".join(sorted(named.values)[:5])
        advice = (
            "; if numbers from a limit up are clicks, give it with --label-at-least (the schema's key "
            f'"label_at_least"){": 1 where labels are -1 and 1" if named.low == -1 else ""}'
            if named.is_number and not named.missing
            else ""
        )
        raise InputError(
            f"{path}, column {named.name!r}: a label is 0 or 1 in every row; this column holds {shown}"
            + (f" and {named.missing:,} missing values" if named.missing else "")
            + advice
        )
    if at_least is not None and (not named.is_number or named.missing):
        raise InputError(f"{path}, column {named.name!r}: --label-at-least needs a number in every row")
    named.taken_as = "label"
    return named.name


def _take_time(columns: list[Column], notes: list[str]) -> None:
    def is_time(column: Column) -> bool:
        if column.taken_as != "left out" or column.missing or len(column.values) < 2:
            return False
        name = column.plain_name
        if column.is_number:
            return bool(TIME_NAMES.search(name)) or bool(DATE_NAMES.search(name) and column.low >= FIRST_EPOCH_SECOND)
        if not (TIME_NAMES.search(name) or DATE_NAMES.search(name)):
            return False
        return bool((parse_times(pa.array(sorted(column.values)))[1] != BAD).all())

    found = sorted(filter(is_time, columns), key=lambda column: TIME_NAMES.search(column.plain_name) is None)
    if found:
        found[0].taken_as = "time"
        return
    notes.append(
        'no column of times found, so prepare will split at random; if there is one, name it in the schema as "time"'
    )
    for column in columns:
        if column.taken_as == "left out" and TIME_NAMES.search(column.plain_name) and len(column.values) > 1:
            example = min(column.values)
            notes.append(f"{column.name}: named like a time, but not every row holds a time that is read ({example!r})")


def _suspicions(sample: pa.Table, columns: list[Column], label: str, at_least: float | None) -> list[str]:
    """What the first rows show: repeated rows, and features that alone reveal the label; they are left out."""
    notes, told = [], []
    texts = [text.strip().lower() for text in sample.column(label).to_pylist()]
    if at_least is None:
        clicked = np.array([text in ("1", "1.0", "true", "t", "yes") for text in texts])
    else:
        clicked = np.array([float(text) >= at_least for text in texts])
    for column in columns:
        if column.taken_as in ("dense", "categorical", "multi-hot"):
            codes = sample.column(column.name).combine_chunks().dictionary_encode()
            numbers = None
            if column.is_number:
                values = pc.if_else(pc.is_in(codes.dictionary, pa.array(MISSING_TEXTS)), None, codes.dictionary)
                numbers = pc.fill_null(values.cast(pa.float64()), np.nan).to_numpy()[codes.indices.to_numpy()]
            auc = auc_alone(codes.indices.to_numpy(), clicked, numbers)
            if auc > NOTABLE_AUC:
                told.append((column, auc))
    names = {column.name for column, _ in told}
    enough = any(c.taken_as in ("categorical", "multi-hot") and c.name not in names for c in columns)
    for column, auc in told:
        if enough:
            column.taken_as = "left out"
        notes.append(
            f"warning: {column.name} alone tells the label (AUC {auc:.3f}), as what is known only after a click does"
            + ("; it is left out" if enough else "")
        )
    repeated = 1 - sample.group_by(sample.column_names).aggregate([]).num_rows / max(1, len(sample))
    if repeated > LEAST_MULTI_HOT_SHARE:
        first = f" (the first {len(sample):,})" if len(sample) == SAMPLE_ROWS else ""
        notes.append(
            f"{share(repeated)} of the rows{first} repeat another in every column: was a part of the log read twice?"
        )
    return notes


def _schema_text(columns: list[Column], missing: set[str], label_at_least: float | None) -> str:
    def lines(kinds: tuple[str, ...]) -> str:
        features = [json.dumps(c.feature(), ensure_ascii=False) for c in columns if c.taken_as in kinds]
        return "[\n    " + ",\n    ".join(features) + "\n  ]" if features else "[]"

    entries = {"label": json.dumps(next(c.name for c in columns if c.taken_as == "label"), ensure_ascii=False)}
    if label_at_least is not None:
        entries["label_at_least"] = json.dumps(label_at_least)
    for column in columns:
        if column.taken_as == "time":
            entries["time"] = json.dumps(column.name, ensure_ascii=False)
    if missing - {""}:
        entries["missing"] = json.dumps(["", *sorted(missing - {""})])
    entries["dense"] = lines(("dense",))
    entries["categorical"] = lines(("categorical", "multi-hot"))
    return "{\n" + ",\n".join(f'  "{key}": {value}' for key, value in entries.items()) + "\n}\n"
