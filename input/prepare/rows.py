"""Cells of text into typed columns; what does not fit is rejected with its place."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_scaling.input.logs.cells import Cells, Rejected
from tfrs_scaling.input.prepare.hashing import hash_values
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema

ID_BITS = 31  # ids stay in a signed int32: tf.io.decode_raw knows no uint32
PADDING = -1  # stands in the id matrix where a multi-hot feature has fewer ids than slots
NO_CODE = np.uint64(2**64 - 1)  # the same among codes

# What a column's cells become, and which of them could not: (values [n, ...], bad bool [n]).
Parsed = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Typed rows.

    Attributes:
        position: int64 [n], not negative and different for each row; grows in the order of the log.
        label: uint8 [n], 0 or 1.
        dense: float64 [n, dense features], as they stand in the log; NaN where missing.
        codes: uint64 [n, slots]. Of a ``vocabulary`` feature the value's hash, or ``MISSING``; of the others the id.
            ``NO_CODE`` fills the unused slots of multi-hot features.
        time: int64 [n], or None where the schema has no time.
        weight: float64 [n], or None where the schema has no weight.
        click_probability: float64 [n] where the log's maker knows it (synthetic clicks), else None.
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
        """The columns that there are, by name."""
        by_name = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: column for name, column in by_name.items() if column is not None}

    def take(self, index: np.ndarray | slice) -> "Rows":
        """The rows at ``index`` (int64 or bool [m]); of a slice, views."""
        return Rows(**{name: column[index] for name, column in self.columns().items()})

    @staticmethod
    def concatenate(blocks: Sequence["Rows"]) -> "Rows":
        """All rows of the blocks (at least one), in order; all have the same columns."""
        columns = [block.columns() for block in blocks]
        return Rows(**{name: np.concatenate([block[name] for block in columns]) for name in columns[0]})


@dataclasses.dataclass(frozen=True)
class ParsedRows:
    """What a block of a log came to.

    Attributes:
        rows: the well-formed ones, in order.
        rejected: the malformed ones, in order.
        missing: per dense and categorical feature, how many of its values among ``rows`` are missing.
    """

    rows: Rows
    rejected: list[Rejected]
    missing: dict[str, int]


@dataclasses.dataclass(frozen=True)
class _Values:
    """A categorical feature's values, one row after the other.

    Attributes:
        counts: int64 [n], how many each row has.
        places: int64 [values], where each stands in ``codes``.
        codes: uint64 [distinct].
        is_missing: bool [distinct].
        bad: per reason, bool [distinct].
    """

    counts: np.ndarray
    places: np.ndarray
    codes: np.ndarray
    is_missing: np.ndarray
    bad: dict[str, np.ndarray]


class RowParser:
    """Turns the cells of a log into rows; keeps nothing from block to block."""

    def __init__(self, schema: Schema):
        self.schema = schema
        self._missing = pa.array([text.encode() for text in schema.missing], pa.binary())

    def parse(self, cells: Cells) -> ParsedRows:
        """The rows of a block of cells."""
        schema = self.schema
        good = np.ones(len(cells.ordinals), bool)
        rejected: list[tuple[int, Rejected]] = []

        def check(name: str, why: str, bad: np.ndarray) -> None:
            rejected.extend((int(i), cells.rejected(int(i), name, why)) for i in np.flatnonzero(bad & good))
            good[bad] = False

        label, bad, why = self._label(cells.batch.column(schema.label))
        check(schema.label, why, bad)
        dense = np.empty((len(good), len(schema.dense)), np.float64)
        for k, feature in enumerate(schema.dense):
            dense[:, k], bad = self._number(feature, cells.batch.column(feature.name))
            check(feature.name, _dense_rule(feature), bad)
        time = weight = None
        if schema.time is not None:
            time, bad = _integer(cells.batch.column(schema.time), -(2**62), 2**62)
            check(schema.time, "the time is not an integer", bad)
        if schema.weight is not None:
            weight, bad = _cast(cells.batch.column(schema.weight), pa.float64())
            bad |= ~((weight >= 0) & (weight <= np.finfo(np.float32).max))
            check(schema.weight, "the weight is not a finite number within float32 from 0 up", bad)
        values = {}
        for categorical in schema.categorical:
            found = values[categorical.name] = self._values(categorical, cells.batch.column(categorical.name))
            for why, bad_value in found.bad.items():
                if bad_value.any():
                    row = np.repeat(np.arange(len(good)), found.counts)
                    check(categorical.name, why, np.bincount(row, bad_value[found.places], len(good)) > 0)
            over = found.counts > categorical.max_values
            check(categorical.name, f"more than {categorical.max_values} values", over)

        missing = {f.name: int(np.isnan(dense[good, k]).sum()) for k, f in enumerate(schema.dense)}
        codes = []
        for categorical in schema.categorical:
            feature_codes, absent = _matrix(values[categorical.name], good, categorical.max_values)
            codes.append(feature_codes)
            missing[categorical.name] = absent
        rows = Rows(
            position=cells.positions[good],
            label=label[good],
            dense=dense[good],
            codes=np.concatenate(codes, axis=1),
            time=None if time is None else time[good],
            weight=None if weight is None else weight[good],
        )
        in_order = [row for _, row in sorted(rejected, key=lambda found: found[0])]
        return ParsedRows(rows, sorted(in_order + cells.malformed, key=lambda row: row.line), missing)

    def _label(self, cells: pa.Array) -> tuple[np.ndarray, np.ndarray, str]:
        at_least = self.schema.label_at_least
        if at_least is not None:
            number, bad = _cast(cells, pa.float64())
            return (number >= at_least).astype(np.uint8), bad | ~_finite(number), "the label is not a finite number"
        clicked = pc.equal(cells, b"1").to_numpy(zero_copy_only=False)
        not_clicked = pc.equal(cells, b"0").to_numpy(zero_copy_only=False)
        return clicked.astype(np.uint8), ~(clicked | not_clicked), "the label is neither 0 nor 1"

    def _number(self, feature: DenseFeature, cells: pa.Array) -> Parsed:
        absent = pc.is_in(cells, self._missing)
        values, bad = _cast(
            pc.if_else(absent, pa.scalar(None, pa.binary()), cells), pa.int64() if feature.integer else pa.float64()
        )
        values, absent = values.astype(np.float64), absent.to_numpy(zero_copy_only=False)
        values[absent] = np.nan
        bad = (bad | ~(np.abs(values) <= np.finfo(np.float32).max)) & ~absent
        if feature.transform == "log1p" and feature.negative == "reject":
            bad |= values < 0
        return values, bad

    def _values(self, feature: CategoricalFeature, cells: pa.Array) -> _Values:
        if feature.separator is None:
            counts = np.ones(len(cells), np.int64)
        else:
            lists = pc.split_pattern(cells, feature.separator.encode())
            counts = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
            cells = lists.flatten()
        # Logs repeat their values, so that all that follows has far fewer to look at.
        encoded = cells.dictionary_encode()
        distinct = encoded.dictionary
        absent = pc.is_in(distinct, self._missing)
        is_missing = absent.to_numpy(zero_copy_only=False)
        present = pc.if_else(absent, pa.scalar(None, pa.binary()), distinct)
        bad = {"not UTF-8 text, or a NUL inside a value": _not_text(present)}
        if feature.encoding == "id":
            codes, not_id = _integer(present, 0, 2**ID_BITS - 1)
            bad["the id is not an integer from 0 to 2147483647"] = not_id
            codes = codes.astype(np.uint64)
        else:
            codes = hash_values(present)
            if feature.hexadecimal:
                bad["not a hexadecimal number of at most 32 bits"] = _not_hexadecimal(present)
            if feature.encoding == "hash":
                codes &= np.uint64(2**ID_BITS - 1)
        return _Values(counts, encoded.indices.to_numpy().astype(np.int64), codes, is_missing, bad)


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
    """Bool [n]: not UTF-8, or with a NUL in it; null is neither."""
    bad = pc.fill_null(pc.match_substring(values, b"\0"), False).to_numpy(zero_copy_only=False)
    return bad | _failing(values, lambda part: part.cast(pa.string()))


def _not_hexadecimal(values: pa.Array) -> np.ndarray:
    fits = pc.match_substring_regex(values, "^[0-9a-fA-F]{1,8}$")
    return ~pc.fill_null(fits, True).to_numpy(zero_copy_only=False)


def _finite(values: np.ndarray) -> np.ndarray:
    finite: np.ndarray = np.isfinite(values)
    return finite


def _cast(cells: pa.Array, to: pa.DataType) -> Parsed:
    """Cells (null stays: 0 and not bad) as numbers, and which are none."""

    def convert(part: pa.Array) -> pa.Array:
        return part.cast(pa.string()).cast(to)

    try:
        numbers, bad = convert(cells), np.zeros(len(cells), bool)
    except pa.ArrowInvalid:
        bad = _failing(cells, convert)
        numbers = convert(pc.if_else(pa.array(bad), pa.scalar(None, pa.binary()), cells))
    return pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False), bad


def _failing(values: pa.Array, convert: Callable[[pa.Array], Any]) -> np.ndarray:
    """Bool [n]: which values make ``convert`` fail; it is tried on all, and on halves where it does."""
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
