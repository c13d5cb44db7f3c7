"""Cells of text into typed columns; what does not fit is rejected with its place."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_scaling.input.formats import Cells, Rejected, Rejects
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema

ID_BITS = 31  # ids stay in a signed int32: tf.io.decode_raw knows no uint32
PADDING = -1  # stands in the id matrix where a multi-hot feature has fewer ids than slots

# What a column's cells become, and which of them could not: (values [n, ...], bad bool [n]).
Parsed = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Typed rows.

    Attributes:
        label: uint8 [n], 0 or 1.
        dense: float64 [n, dense features], as they stand in the log; NaN where missing.
        ids: int32 [n, slots]. Ids of a ``vocabulary`` feature are codes: positions in its list of values, by
            first appearance. ``PADDING`` fills the unused slots of multi-hot features.
        time: int64 [n], or None where the schema has no time.
        click_probability: float64 [n] where the log's maker knows it (synthetic clicks), else None.
    """

    label: np.ndarray
    dense: np.ndarray
    ids: np.ndarray
    time: np.ndarray | None = None
    click_probability: np.ndarray | None = None

    def take(self, index: np.ndarray) -> "Rows":
        """The rows at ``index`` (int64 or bool [m])."""

        def taken(column: np.ndarray | None) -> np.ndarray | None:
            return None if column is None else column[index]

        probability = taken(self.click_probability)
        return Rows(self.label[index], self.dense[index], self.ids[index], taken(self.time), probability)

    @staticmethod
    def concatenate(blocks: Sequence["Rows"]) -> "Rows":
        """All rows of the blocks, in order; a column that one block lacks, all do."""

        def joined(columns: list[np.ndarray | None]) -> np.ndarray | None:
            return None if columns[0] is None else np.concatenate([c for c in columns if c is not None])

        return Rows(
            np.concatenate([block.label for block in blocks]),
            np.concatenate([block.dense for block in blocks]),
            np.concatenate([block.ids for block in blocks]),
            joined([block.time for block in blocks]),
            joined([block.click_probability for block in blocks]),
        )


class Vocabulary:
    """The distinct values of a feature, coded 0, 1, 2 ... by first appearance."""

    def __init__(self) -> None:
        self.codes: dict[str | None, int] = {}

    def encode(self, values: pa.Array) -> np.ndarray:
        """Codes (int32 [n]) of text values, null for missing; new values join the vocabulary."""
        encoded = values.dictionary_encode(null_encoding="encode")
        codes = [self.codes.setdefault(value, len(self.codes)) for value in encoded.dictionary.to_pylist()]
        return np.asarray(codes, np.int32)[encoded.indices.to_numpy()] if len(values) else np.empty(0, np.int32)


def hash_ids(values: pa.Array) -> np.ndarray:
    """31 bits of the (keyed, fixed) SipHash of each text value, null for missing: int32 [n]."""
    encoded = values.dictionary_encode(null_encoding="encode")
    # A missing value gets a hash of its own: a value with a NUL in it has been rejected.
    distinct = np.array([v if v is not None else "\0" for v in encoded.dictionary.to_pylist()], dtype=object)
    hashed = pd.util.hash_array(distinct) & (2**ID_BITS - 1)
    ids: np.ndarray = hashed.astype(np.int32)[encoded.indices.to_numpy()]
    return ids


class RowParser:
    """Turns blocks of cells into rows, growing the vocabularies as it goes.

    Args:
        schema: the columns.
        rejects: takes the malformed rows.
        integer_dense: dense cells have to be integers.
        hexadecimal: categorical cells have to be hexadecimal numbers of at most 32 bits.
    """

    def __init__(
        self,
        schema: Schema,
        rejects: Rejects,
        *,
        integer_dense: bool = False,
        hexadecimal: bool = False,
    ):
        self.schema = schema
        self.rejects = rejects
        self.vocabularies = {f.name: Vocabulary() for f in schema.categorical if f.encoding == "vocabulary"}
        self._dense_type = pa.int64() if integer_dense else pa.float64()
        self._hexadecimal = hexadecimal
        self._missing = pa.array(schema.missing, pa.string())

    def parse(self, cells: Cells) -> Rows:
        """The well-formed rows of a block.

        Raises:
            InputError: more rows are malformed than are allowed; names file, line, column and value.
        """
        schema = self.schema
        rejected = list(cells.ragged)
        good = np.ones(len(cells.lines), bool)
        texts: dict[str, pa.Array] = {}

        def check(name: str, why: str, bad: np.ndarray) -> None:
            for i in np.flatnonzero(bad & good):
                value = cells.columns[name][int(i)].as_py().decode("utf-8", "backslashreplace")
                rejected.append(Rejected(cells.file, int(cells.lines[i]), name, value, why, cells.unit))
            good[bad] = False

        for name in schema.columns:
            texts[name], bad = _utf8(cells.columns[name])
            check(name, "not UTF-8 text, or a NUL inside a value", bad)

        label, bad = _label(texts[schema.label])
        check(schema.label, "the label is neither 0 nor 1", bad)
        dense = np.empty((len(good), len(schema.dense)), np.float64)
        for k, number in enumerate(schema.dense):
            dense[:, k], bad = self._number(number, texts[number.name])
            check(number.name, _dense_rule(number, self._dense_type), bad)
        time = None
        if schema.time is not None:
            time, bad = _integer(texts[schema.time], -(2**62), 2**62)
            check(schema.time, "the time is not an integer", bad)
        lists: dict[str, tuple[pa.Array, np.ndarray]] = {}
        for feature in schema.categorical:
            values, counts = self._values(feature, texts[feature.name])
            check(feature.name, f"more than {feature.max_values} values", counts > feature.max_values)
            bad_value, why = self._bad_ids(feature, values)
            row_of_value = np.repeat(np.arange(len(counts)), counts)
            check(feature.name, why, np.bincount(row_of_value, bad_value, len(counts)) > 0)
            lists[feature.name] = values, counts

        self.rejects.add(rejected)
        # Only now, so that a malformed row adds nothing to a vocabulary.
        ids = [self._ids(feature, *lists[feature.name], good) for feature in schema.categorical]
        return Rows(
            label[good],
            dense[good],
            np.concatenate(ids, axis=1),
            None if time is None else time[good],
        )

    def _number(self, feature: DenseFeature, texts: pa.Array) -> Parsed:
        present = self._without_missing(texts)
        values, bad = _cast(present, self._dense_type)
        values = values.astype(np.float64)
        absent = present.is_null().to_numpy(zero_copy_only=False)
        values[absent] = np.nan
        bad = (bad | ~(np.abs(values) <= np.finfo(np.float32).max)) & ~absent
        if feature.transform == "log1p" and feature.negative == "reject":
            bad |= values < 0
        return values, bad

    def _values(self, feature: CategoricalFeature, texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
        """The feature's values, row after row, null for missing, and how many each row has."""
        if feature.separator is None:
            return self._without_missing(texts), np.ones(len(texts), np.int64)
        lists = pc.split_pattern(texts, feature.separator)
        counts = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
        return self._without_missing(lists.flatten()), counts

    def _bad_ids(self, feature: CategoricalFeature, values: pa.Array) -> tuple[np.ndarray, str]:
        absent = values.is_null().to_numpy(zero_copy_only=False)
        if feature.encoding == "id":
            _, bad = _integer(values, 0, 2**ID_BITS - 1)
            return bad, "the id is not an integer from 0 to 2147483647"
        if self._hexadecimal:
            fits = pc.fill_null(pc.match_substring_regex(values, "^[0-9a-fA-F]{1,8}$"), True)
            return ~fits.to_numpy(zero_copy_only=False), "not a hexadecimal number of at most 32 bits"
        return np.zeros_like(absent), ""

    def _ids(self, feature: CategoricalFeature, values: pa.Array, counts: np.ndarray, good: np.ndarray) -> np.ndarray:
        keep = np.repeat(good, counts)
        values, counts = values.filter(pa.array(keep)), counts[good]
        if feature.encoding == "vocabulary":
            encoded = self.vocabularies[feature.name].encode(values)
        elif feature.encoding == "hash":
            encoded = hash_ids(values)
        else:
            encoded = _integer(values, 0, 2**ID_BITS - 1)[0].astype(np.int32)
        ids = np.full((len(counts), feature.max_values), PADDING, np.int32)
        ids[np.arange(feature.max_values) < counts[:, None]] = encoded
        return ids

    def _without_missing(self, texts: pa.Array) -> pa.Array:
        return pc.if_else(pc.is_in(texts, self._missing), pa.scalar(None, pa.string()), texts)


def _dense_rule(feature: DenseFeature, dense_type: pa.DataType) -> str:
    number = "an integer" if dense_type == pa.int64() else "a finite number within float32"
    rejects_negative = feature.transform == "log1p" and feature.negative == "reject"
    return f"not {number}{' from 0 up' if rejects_negative else ''}"


def _utf8(cells: pa.Array) -> tuple[pa.Array, np.ndarray]:
    bad = pc.match_substring(cells, b"\0").to_numpy(zero_copy_only=False)
    try:
        return cells.cast(pa.string()), bad
    except pa.ArrowInvalid:
        values = cells.to_pylist()
    texts = [value.decode("utf-8", "ignore") for value in values]
    bad |= np.array([text.encode() != value for text, value in zip(texts, values, strict=True)])
    return pa.array(texts, pa.string()), bad


def _label(texts: pa.Array) -> Parsed:
    clicked = pc.equal(texts, "1").to_numpy(zero_copy_only=False)
    not_clicked = pc.equal(texts, "0").to_numpy(zero_copy_only=False)
    return clicked.astype(np.uint8), ~(clicked | not_clicked)


def _cast(texts: pa.Array, to: pa.DataType) -> Parsed:
    """Texts (null stays: 0 and not bad) as numbers, and which are none."""
    try:
        return pc.fill_null(texts.cast(to), 0).to_numpy(), np.zeros(len(texts), bool)
    except pa.ArrowInvalid:  # some cell is no number; halving finds out which
        if len(texts) == 1:
            return np.zeros(1, to.to_pandas_dtype()), np.ones(1, bool)
        middle = len(texts) // 2
        (values, bad), (more_values, more_bad) = _cast(texts[:middle], to), _cast(texts[middle:], to)
        return np.concatenate([values, more_values]), np.concatenate([bad, more_bad])


def _integer(texts: pa.Array, low: int, high: int) -> Parsed:
    absent = texts.is_null().to_numpy(zero_copy_only=False)
    values, bad = _cast(texts, pa.int64())
    return values, bad | absent | (values < low) | (values > high)
