"""Turns cells of text into typed columns; malformed rows are rejected with their place."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_scaling.input.logs.values.cells import Cells, Rejected
from tfrs_scaling.input.logs.values.lists import split_lists
from tfrs_scaling.input.logs.values.times import (
    BAD,
    DATE,
    LATEST,
    NUMBER,
    is_ambiguous,
    mixed_units,
    parse_times,
    unit_of,
)
from tfrs_scaling.input.prepare.hashing import hash_values
from tfrs_scaling.input.schema import LABEL_TEXTS, CategoricalFeature, DenseFeature, Schema

ID_BITS = 31  # ids must fit a signed int32: tf.io.decode_raw does not support uint32
NO_CODE = np.uint64(2**64 - 1)  # fills the slots that a multi-hot row does not use

_NO_LABEL = "the label is neither 0 nor 1"
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?")
_RATINGS = (
    'if labels are ratings, or -1 and 1, give the schema the key "label_at_least": the smallest number that is a click '
    "(1 where they are -1 and 1)"
)
_NO_LABEL_TEXT = "if no label means no click, write 0 there; else skip such rows with --max-bad-rows"
_DECIMAL_COMMA = 'if the comma is a decimal one, give the feature the key "decimal_comma": true in the schema'
_NO_TEXT = "not UTF-8 text, or a NUL inside a value"
_NOT_TEXT = (
    "if the text is in another encoding, give --encoding, such as cp1252; else skip such rows with --max-bad-rows"
)

# A column's values [n, ...], and which of them are bad, bool [n].
Parsed = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Typed rows.

    Attributes:
        position: int64 [n], non-negative, unique and increasing in the order of the log.
        label: uint8 [n], 0 or 1.
        dense: float64 [n, dense features], as in the log; NaN where missing.
        codes: uint64 [n, slots]: the value's hash or ``MISSING`` for a ``vocabulary`` feature, else the id. ``NO_CODE``
            fills the unused slots of multi-hot features.
        time: int64 [n], or None if the schema has no time.
        weight: float64 [n], or None if the schema has no weight.
        click_probability: float64 [n] for synthetic clicks, else None.
    """

    position: np.ndarray
    label: np.ndarray
    dense: np.ndarray
    codes: np.ndarray
    time: np.ndarray | None = None
    weight: np.ndarray | None = None
    click_probability: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.label)

    def columns(self) -> dict[str, np.ndarray]:
        """The columns that are not None, by name."""
        by_name = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: column for name, column in by_name.items() if column is not None}

    def take(self, index: np.ndarray | slice) -> "Rows":
        """The rows at ``index`` (int64 or bool [m]); views if it is a slice."""
        return Rows(**{name: column[index] for name, column in self.columns().items()})

    @staticmethod
    def concatenate(blocks: Sequence["Rows"]) -> "Rows":
        """All rows of the blocks (at least one), in order; all have the same columns."""
        columns = [block.columns() for block in blocks]
        return Rows(**{name: np.concatenate([block[name] for block in columns]) for name in columns[0]})


@dataclasses.dataclass(frozen=True)
class ParsedRows:
    """The outcome of parsing a block of a log.

    Attributes:
        rows: the well-formed ones, in order.
        rejected: the malformed ones, in order.
        missing: per dense and categorical feature, how many of its values in ``rows`` are missing.
    """

    rows: Rows
    rejected: list[Rejected]
    missing: dict[str, int]


@dataclasses.dataclass(frozen=True)
class _Values:
    """A categorical feature's values, row by row.

    Attributes:
        counts: int64 [n], values of each row.
        places: int64 [values], the index of each in ``codes``.
        codes: uint64 [distinct].
        is_missing: bool [distinct].
    """

    counts: np.ndarray
    places: np.ndarray
    codes: np.ndarray
    is_missing: np.ndarray


class RowParser:
    """Turns the cells of a log into rows; keeps no state between blocks."""

    def __init__(self, schema: Schema):
        self.schema = schema
        self._missing = pa.array([text.encode() for text in schema.missing], pa.binary())

    def parse(self, cells: Cells) -> ParsedRows:
        """The rows of a block of cells; a malformed row is rejected for the first reason found."""
        schema, batch, screen = self.schema, cells.batch, _Screen(cells)
        label = self._label(batch, screen)
        dense = self._dense(batch, screen)
        time = None if schema.time is None else _time(schema.time, batch, screen)
        weight = None if schema.weight is None else _weight(schema.weight, batch, screen)
        values = [self._values(feature, batch, screen) for feature in schema.categorical]
        good = screen.good
        missing = {feature.name: int(np.isnan(dense[good, k]).sum()) for k, feature in enumerate(schema.dense)}
        codes = []
        for feature, found in zip(schema.categorical, values, strict=True):
            feature_codes, missing[feature.name] = _matrix(found, good, feature.max_values)
            codes.append(feature_codes)
        rows = Rows(
            position=cells.positions[good],
            label=label[good],
            dense=dense[good],
            codes=np.concatenate(codes, axis=1),
            time=None if time is None else time[good],
            weight=None if weight is None else weight[good],
        )
        return ParsedRows(rows, screen.rejected(), missing)

    def _label(self, batch: pa.RecordBatch, screen: "_Screen") -> np.ndarray:
        cells, at_least = batch.column(self.schema.label), self.schema.label_at_least
        if at_least is not None:
            number, bad = _cast(cells, pa.float64())
            screen.reject(self.schema.label, "the label is not a finite number", bad | ~np.isfinite(number))
            return (number >= at_least).astype(np.uint8)
        clicked: np.ndarray = pc.equal(cells, b"1").to_numpy(zero_copy_only=False)
        bad = ~(clicked | pc.equal(cells, b"0").to_numpy(zero_copy_only=False))
        if bad.any():
            encoded = cells.dictionary_encode()
            texts = [value.decode("utf-8", "replace").strip().lower() for value in encoded.dictionary.to_pylist()]
            places = encoded.indices.to_numpy()
            clicked = np.array([LABEL_TEXTS.get(text, False) for text in texts], bool)[places]
            bad = np.array([text not in LABEL_TEXTS for text in texts], bool)[places]
            numbers = np.array([_NUMBER.fullmatch(text) is not None for text in texts], bool)[places]
            # Without such rows a class may be gone: all negatives where they are -1, or all ratings but 0 and 1.
            screen.reject(self.schema.label, _NO_LABEL, bad & numbers, _RATINGS)
            empty = np.array([not text for text in texts], bool)[places]
            screen.reject(self.schema.label, _NO_LABEL, bad & empty, _NO_LABEL_TEXT)
        screen.reject(self.schema.label, _NO_LABEL, bad)
        return clicked.astype(np.uint8)

    def _dense(self, batch: pa.RecordBatch, screen: "_Screen") -> np.ndarray:
        """float64 [n, dense features]."""
        dense = np.empty((len(batch), len(self.schema.dense)), np.float64)
        for k, feature in enumerate(self.schema.dense):
            cells = batch.column(feature.name)
            dense[:, k], bad = self._number(feature, cells)
            if bad.any():
                with_comma = pc.match_substring_regex(cells.filter(pa.array(bad)), r"^[-+ ]*\d*,\d+ *$")
                advice = _DECIMAL_COMMA if not feature.decimal_comma and pc.any(with_comma).as_py() else ""
                screen.reject(feature.name, _dense_rule(feature), bad, advice)
        return dense

    def _number(self, feature: DenseFeature, cells: pa.Array) -> Parsed:
        absent = pc.is_in(cells, self._missing)
        if feature.decimal_comma:
            cells = pc.replace_substring(pc.replace_substring(cells, b".", b"?"), b",", b".")
        values, bad = _cast(
            pc.if_else(absent, pa.scalar(None, pa.binary()), cells), pa.int64() if feature.integer else pa.float64()
        )
        values, absent = values.astype(np.float64), absent.to_numpy(zero_copy_only=False)
        values[absent] = np.nan
        bad = (bad | ~(np.abs(values) <= np.finfo(np.float32).max)) & ~absent
        if feature.transform == "log1p" and feature.negative == "reject":
            bad |= values < 0
        return values, bad

    def _values(self, feature: CategoricalFeature, batch: pa.RecordBatch, screen: "_Screen") -> _Values:
        cells = batch.column(feature.name)
        if feature.separator is None:
            counts = np.ones(len(cells), np.int64)
        else:
            lists = split_lists(cells, feature.separator)
            counts = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
            cells = lists.flatten()
        # Logs repeat their values, so everything below handles the few distinct ones.
        encoded = cells.dictionary_encode("encode")
        distinct = encoded.dictionary
        absent = pc.or_(pc.is_in(distinct, self._missing), distinct.is_null())
        codes, bad = _codes(feature, pc.if_else(absent, pa.scalar(None, pa.binary()), distinct))
        places = encoded.indices.to_numpy().astype(np.int64)
        for why, bad_value in bad.items():
            if bad_value.any():
                row = np.repeat(np.arange(len(counts)), counts)
                bad_row = np.bincount(row, bad_value[places], len(counts)) > 0
                screen.reject(feature.name, why, bad_row, _NOT_TEXT if why == _NO_TEXT else "")
        screen.reject(feature.name, f"more than {feature.max_values} values", counts > feature.max_values)
        return _Values(counts, places, codes, absent.to_numpy(zero_copy_only=False))


class _Screen:
    """The malformed rows of a block, and why; a row is rejected once, for the first reason given."""

    def __init__(self, cells: Cells):
        self.good = np.ones(len(cells.ordinals), bool)
        self._cells = cells
        self._rejected: list[tuple[int, Rejected]] = []

    def reject(self, column: str, why: str, bad: np.ndarray, advice: str = "") -> None:
        """Reject the rows that are ``bad``, bool [n], for their cells in ``column``; ``advice`` as in ``Rejected``."""
        found = np.flatnonzero(bad & self.good).tolist()
        self._rejected.extend((index, self._cells.rejected(index, column, why, advice)) for index in found)
        self.good[bad] = False

    def rejected(self) -> list[Rejected]:
        """All malformed rows, in the order of the log."""
        in_order = [row for _, row in sorted(self._rejected, key=lambda found: found[0])]
        return sorted(in_order + self._cells.malformed, key=lambda row: row.line)


def _time(column: str, batch: pa.RecordBatch, screen: _Screen) -> np.ndarray:
    cells = batch.column(column)
    try:
        time: np.ndarray = cells.cast(pa.string()).cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        encoded = cells.dictionary_encode()
        texts = [value.decode("utf-8", "replace") for value in encoded.dictionary.to_pylist()]
        times, kinds = parse_times(pa.array(texts, pa.string()))
        places = encoded.indices.to_numpy()
        time, kind = times[places], kinds[places]
        screen.reject(
            column,
            "the time is neither a number nor a date, such as 2020-07-04 16:08:23",
            kind == BAD,
            _time_advice(texts, kinds),
        )
        # Dates become seconds; numbers may be of another unit.
        rarer = min((NUMBER, DATE), key=lambda k: int((kind == k).sum()))
        screen.reject(column, "numbers and dates are mixed in the column of time", kind == rarer)
    screen.reject(column, "the time is beyond 2**62", np.abs(time) > LATEST)
    if mixed := mixed_units(time):
        units = unit_of(time)
        rarer_unit = min(mixed, key=lambda unit: int((units == unit).sum()))
        why = f"{' and '.join(mixed)} are mixed in the column of time"
        screen.reject(column, why, units == rarer_unit, "write all times in one unit")
    return time


def _time_advice(texts: list[str], kinds: np.ndarray) -> str:
    """What to do about times of which most have a form that is not read, as opposed to a few faulty ones."""
    bad = [text for text, kind in zip(texts, kinds.tolist(), strict=True) if kind == BAD and text.strip()]
    if 2 * len(bad) <= len(texts):
        return ""
    if is_ambiguous(bad[0]):
        return "day or month may come first: write dates as 2020-07-04 16:08:23, or as seconds since 1970"
    return (
        "write times as 2020-07-04 16:08:23, or as seconds since 1970; "
        'or leave "time" out of the schema, for a split at random'
    )


def _weight(column: str, batch: pa.RecordBatch, screen: _Screen) -> np.ndarray:
    weight, bad = _cast(batch.column(column), pa.float64())
    bad |= ~((weight >= 0) & (weight <= np.finfo(np.float32).max))
    screen.reject(column, "the weight is not a finite number within float32 from 0 up", bad)
    return weight


def _codes(feature: CategoricalFeature, values: pa.Array) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Codes uint64 [n] of a feature's values (null where missing), and per reason which values are bad, bool [n]."""
    bad = {_NO_TEXT: _not_text(values)}
    if feature.encoding == "id":
        ids, bad["the id is not an integer from 0 to 2147483647"] = _integer(values, 0, 2**ID_BITS - 1)
        return ids.astype(np.uint64), bad
    if feature.hexadecimal:
        bad["not a hexadecimal number of at most 32 bits"] = _not_hexadecimal(values)
    hashes = hash_values(values)
    return hashes & np.uint64(2**ID_BITS - 1) if feature.encoding == "hash" else hashes, bad


def _matrix(values: _Values, good: np.ndarray, slots: int) -> tuple[np.ndarray, int]:
    """Codes uint64 [good rows, slots], and how many of the values are missing."""
    keep = np.repeat(good, values.counts)
    places, counts = values.places[keep], values.counts[good]
    absent = int(np.bincount(places, minlength=len(values.codes)) @ values.is_missing)
    if slots == 1:
        return values.codes[places][:, None], absent
    codes = np.full((len(counts), slots), NO_CODE, np.uint64)
    codes[np.arange(slots) < counts[:, None]] = values.codes[places]
    return codes, absent


def _dense_rule(feature: DenseFeature) -> str:
    number = "an integer" if feature.integer else "a finite number within float32"
    rejects_negative = feature.transform == "log1p" and feature.negative == "reject"
    return f"not {number}{' from 0 up' if rejects_negative else ''}"


def _not_text(values: pa.Array) -> np.ndarray:
    """Bool [n]: not UTF-8, or containing a NUL; False for null."""
    bad = pc.fill_null(pc.match_substring(values, b"\0"), False).to_numpy(zero_copy_only=False)
    return bad | _failing(values, lambda part: part.cast(pa.string()))


def _not_hexadecimal(values: pa.Array) -> np.ndarray:
    fits = pc.match_substring_regex(values, "^[0-9a-fA-F]{1,8}$")
    return ~pc.fill_null(fits, True).to_numpy(zero_copy_only=False)


def _cast(cells: pa.Array, to: pa.DataType) -> Parsed:
    """Cells as numbers, and which of them are not numbers; null becomes 0 and is not bad."""

    def convert(part: pa.Array) -> pa.Array:
        return part.cast(pa.string()).cast(to)

    try:
        numbers, bad = convert(cells), np.zeros(len(cells), bool)
    except pa.ArrowInvalid:
        cells = pc.replace_substring_regex(cells, rb"^[ \t]+|[ \t]+$", b"")
        if pa.types.is_integer(to):
            cells = pc.replace_substring_regex(cells, rb"^([-+]?\d+)\.0+$", rb"\1")  # pandas and spreadsheets write 3.0
        bad = _failing(cells, convert)
        numbers = convert(pc.if_else(pa.array(bad), pa.scalar(None, pa.binary()), cells))
    return pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False), bad


def _failing(values: pa.Array, convert: Callable[[pa.Array], Any]) -> np.ndarray:
    """Bool [n]: which values make ``convert`` fail; found by halving."""
    try:
        convert(values)
        return np.zeros(len(values), bool)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return np.ones(1, bool)
        middle = len(values) // 2
        return np.concatenate([_failing(values[:middle], convert), _failing(values[middle:], convert)])


def _integer(cells: pa.Array, low: int, high: int) -> Parsed:
    absent = cells.is_null().to_numpy(zero_copy_only=False)
    values, bad = _cast(cells, pa.int64())
    return values, bad | absent | (values < low) | (values > high)
