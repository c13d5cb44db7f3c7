"""TFRecord files of ``tf.train.Example`` records, one row each, as blocks of cells."""

import dataclasses
import gzip
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import fingerprints, opened, size
from tfrs_scaling.input.logs.arrow import cells_of_lists, list_array
from tfrs_scaling.input.logs.values.cells import Cells, Piece, Rejected, missing_column
from tfrs_scaling.input.schema import Schema

BLOCK_BYTES = 8 << 20
_UNPACKED_BYTES = 1 << 20  # of a gzipped file at a time
_READ_RECORDS = 128
_FRAME_BYTES = 16  # around a record: its length, and checksums of both
_KINDS = {
    "int64_list": (tf.int64, pa.int64(), "integers"),
    "float_list": (tf.float32, pa.float32(), "floats"),
    "bytes_list": (tf.string, pa.binary(), "bytes"),
}
# TensorFlow quotes the record in its error, and fails to do so if the record is not UTF-8.
_UNPARSABLE = (tf.errors.InvalidArgumentError, UnicodeDecodeError)


@dataclasses.dataclass(frozen=True)
class Records:
    """Records of a file, the content of a piece.

    Attributes:
        serialized: the records.
        kinds: for each column of the schema, the kind of list that the file's records hold; None if all are empty.
    """

    serialized: list[bytes]
    kinds: dict[str, str | None]


@dataclasses.dataclass(frozen=True)
class TFRecordLog:
    """TFRecord files of ``tf.train.Example`` records, plain or gz (by their first bytes).

    A feature that is absent from a record or empty there is missing; a multi-hot feature's list holds its values. All
    records of a file must hold a feature as the same kind of list. Records are numbered from 1.

    Attributes:
        schema: the features to read; others are ignored.
        files: the paths.
        block_bytes: size of a piece's records, reached by the last one.
    """

    schema: Schema
    files: tuple[str, ...]
    block_bytes: int = BLOCK_BYTES

    def pieces(self, number: int) -> Iterator[Piece[Records]]:
        """Blocks of a file's records.

        Raises:
            InputError: the file cannot be read, or no record has one of the features.
        """
        path = self.files[number]
        kinds = self._kinds(path)
        block: list[bytes] = []
        first = held = 0
        for records in _read(path):
            block += records
            held += sum(map(len, records))
            if held >= self.block_bytes:
                yield Piece(number, first, Records(block, kinds))
                first, block, held = first + len(block), [], 0
        if block:
            yield Piece(number, first, Records(block, kinds))

    def cells(self, piece: Piece[Records]) -> Cells:
        """The cells of a block of records; those that cannot be parsed are malformed.

        Raises:
            InputError: a value holds the separator that the schema gives its feature.
        """
        path, records, kinds = self.files[piece.number], piece.content.serialized, piece.content.kinds
        ordinals = piece.first + np.arange(len(records))
        malformed: list[Rejected] = []
        try:
            columns = _parsed(records, kinds)
        except _UNPARSABLE:
            records = [_without_empty(record) for record in records]
            bad = dict(_unparsable(records, kinds))
            for place, (column, shown, why) in bad.items():
                malformed.append(Rejected(path, piece.first + place + 1, column, shown, why, "record"))
            columns = _parsed([record for place, record in enumerate(records) if place not in bad], kinds)
            ordinals = np.delete(ordinals, list(bad))
        return cells_of_lists(columns, self.schema, path, piece.number, ordinals, malformed, "record")

    def fingerprints(self) -> tuple[tuple[str, int, str], ...]:
        """Name, size in bytes and SHA-256 of each file.

        Raises:
            InputError: one cannot be read.
        """
        return fingerprints(self.files)

    def _kinds(self, path: str) -> dict[str, str | None]:
        """The kind of each feature in the first record where it is not empty; rarely reads far."""
        kinds: dict[str, str | None] = dict.fromkeys(self.schema.columns)
        names: set[str] = set()
        for feature in _examples(path):
            names.update(feature)
            for name in [name for name in kinds if kinds[name] is None and name in feature]:
                kinds[name] = _kind(feature[name])
            if None not in kinds.values():
                return kinds
        for name in self.schema.columns:
            if names and name not in names:
                raise missing_column(path, name, sorted(names))
        return kinds


def tfrecord_features(path: str) -> dict[str, bool]:
    """A file's feature names in alphabetical order, each with whether a record may hold several values of it.

    Raises:
        InputError: the file cannot be read.
    """
    several: dict[str, bool] = {}
    for feature in _examples(path):
        for name, values in feature.items():
            several[name] = several.get(name, False) or _length(values) > 1
    return dict(sorted(several.items()))


def _read(path: str) -> Iterator[list[bytes]]:
    """The records of a file, in lists of a few."""
    with opened(path) as stream:  # its error is clearer than TensorFlow's
        compression = "GZIP" if stream.read(2) == b"\x1f\x8b" else ""
    length = 0
    try:
        for batch in tf.data.TFRecordDataset(os.fsencode(path), compression).batch(_READ_RECORDS).as_numpy_iterator():
            records = batch.tolist()
            length += sum(map(len, records)) + _FRAME_BYTES * len(records)
            yield records
    except tf.errors.DataLossError:
        raise _corrupt(path, compression) from None
    except tf.errors.OpError as error:
        raise InputError(f"{path}: cannot be read: {error.message}") from None
    # TensorFlow ignores an incomplete header at the end of a file, and the missing end of a truncated gzip stream.
    if (_unpacked_size(path) if compression else size(path)) != length:
        raise _corrupt(path, compression)


def _unpacked_size(path: str) -> int | None:
    """Bytes that a gzipped file holds; None if it is truncated."""
    with opened(path) as packed, gzip.GzipFile(fileobj=packed) as stream:
        try:
            return sum(map(len, iter(lambda: stream.read(_UNPACKED_BYTES), b"")))
        except EOFError:
            return None


def _corrupt(path: str, compression: str) -> InputError:
    return InputError(
        f"{path}, record {_count_whole(path, compression) + 1}: corrupt or truncated, or this is not a TFRecord "
        "file; get a new copy of it"
    )


def _count_whole(path: str, compression: str) -> int:
    """How many records precede the one that cannot be read."""
    count = 0
    try:
        for _ in tf.data.TFRecordDataset(os.fsencode(path), compression):
            count += 1
    except tf.errors.DataLossError:
        pass
    return count


def _examples(path: str) -> Iterator[Any]:
    """The features of each record by name, skipping records that are not a ``tf.train.Example``."""
    for records in _read(path):
        for record in records:
            try:
                yield tf.train.Example.FromString(record).features.feature
            except DecodeError:
                continue


def _parsed(records: list[bytes], kinds: dict[str, str | None]) -> dict[str, pa.ListArray]:
    """Per feature, its lists [records].

    Raises:
        tf.errors.InvalidArgumentError, UnicodeDecodeError: a record cannot be parsed.
    """
    known = {name: _KINDS[kind][:2] for name, kind in kinds.items() if kind is not None}
    features = {name: tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64) for name, (dtype, _) in known.items()}
    ragged = tf.io.parse_example(tf.constant(records, tf.string), features) if features else {}
    empty = list_array(pa.array([], pa.binary()), np.zeros(len(records) + 1))
    return {
        name: list_array(pa.array(ragged[name].values.numpy(), known[name][1]), ragged[name].row_splits.numpy())
        if name in known
        else empty
        for name in kinds
    }


def _without_empty(record: bytes) -> bytes:
    """The record without its empty features: they are missing values, whatever their kind of list."""
    try:
        example = tf.train.Example.FromString(record)
    except DecodeError:
        return record
    feature = example.features.feature
    for name in [name for name, values in feature.items() if not _length(values)]:
        del feature[name]
    mended: bytes = example.SerializeToString()
    return mended


def _unparsable(
    records: list[bytes], kinds: dict[str, str | None], first: int = 0
) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """The places of records that cannot be parsed, with the column, its value and why; found by halving."""
    try:
        _parsed(records, kinds)
    except _UNPARSABLE:
        if len(records) == 1:
            yield first, _reason(records[0], kinds)
            return
        middle = len(records) // 2
        yield from _unparsable(records[:middle], kinds, first)
        yield from _unparsable(records[middle:], kinds, first + middle)


def _reason(record: bytes, kinds: dict[str, str | None]) -> tuple[str, str, str]:
    """The column, its value, and why the record cannot be parsed."""
    try:
        feature = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        feature = {}
    for name, kind in kinds.items():
        found = _kind(feature[name]) if name in feature else None
        if found is not None and kind is not None and found != kind:
            shown = ", ".join(map(str, getattr(feature[name], found).value))
            return (
                name,
                shown,
                f"holds {_KINDS[found][2]}, where the first record that has the feature holds {_KINDS[kind][2]}",
            )
    return "", record[:40].decode("utf-8", "backslashreplace"), "not a tf.train.Example"


def _kind(feature: Any) -> str | None:
    """Which list the feature holds; None if it is empty."""
    return feature.WhichOneof("kind") if _length(feature) else None


def _length(feature: Any) -> int:
    kind = feature.WhichOneof("kind")
    return len(getattr(feature, kind).value) if kind else 0
