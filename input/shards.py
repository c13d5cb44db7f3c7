"""Row-group shards: thousands of rows per TFRecord, each column as raw little-endian bytes.

A folder of shards holds ``manifest.json``, written last: a folder without one is incomplete. TensorFlow Datasets
reads the folder too (``tfds.builder_from_directory``).
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import check_utf8, fingerprint, is_remote, join, opened, size
from tfrs_scaling.common.strict_yaml import parse_mapping, validated
from tfrs_scaling.input.manifest import MANIFEST, Manifest, Shard, SplitName
from tfrs_scaling.input.row_scores import RowScores
from tfrs_scaling.input.schema import Schema

REJECTED = "rejected.tsv"
ROWS_PER_RECORD = 4096
RECORDS_PER_SHARD = 64
PADDING = -1  # in the id matrix, fills the slots that a multi-hot row does not use


@dataclasses.dataclass(frozen=True)
class ClickData:
    """An opened folder of shards.

    Attributes:
        scores: scores of the training split's rows, by the model that gave them, ``teacher`` or ``scorer``.
    """

    folder: str
    manifest: Manifest
    scores: Mapping[str, RowScores] = dataclasses.field(default_factory=dict)

    @staticmethod
    def open(folder: str | Path) -> "ClickData":
        """Read the manifest and check that every shard is present and has its full size.

        Raises:
            InputError: there is no valid manifest, or a shard is missing, truncated or a link out of the folder.
        """
        check_utf8(folder)
        path = join(folder, MANIFEST)
        if size(path) is None:
            raise InputError(
                f"{folder}: no {MANIFEST}, so this is not prepared data; create it with `tfrs-scaling prepare`"
            )
        with opened(path) as stream:
            manifest = validated(Manifest, parse_mapping(stream.read(), path), path)
        for split in manifest.splits.values():
            for shard in split.shards:
                file = join(folder, shard.file)
                found = size(file)
                if found is None:
                    raise InputError(f"{file}: the shard is missing; prepare the data again")
                if not is_remote(folder) and Path(file).resolve().parent != Path(folder).resolve():
                    raise InputError(f"{file}: is a symbolic link out of the folder; replace it with the shard itself")
                if found != shard.bytes:
                    raise InputError(
                        f"{file}: the shard has {found} bytes instead of {shard.bytes}; "
                        "it is truncated or was changed: prepare the data again"
                    )
        return ClickData(str(folder), manifest)

    def files(self, split: SplitName) -> list[str]:
        """Paths of the split's shards, in order."""
        return [join(self.folder, shard.file) for shard in self.manifest.splits[split].shards]


def column_specs(schema: Schema) -> dict[str, tuple[int, type]]:
    """Values per row and dtype of each column of a record."""
    specs: dict[str, tuple[int, type]] = {
        "label": (1, np.uint8),
        "ids": (schema.slots[-1].stop, np.int32),
    }
    if schema.dense:
        specs["dense"] = (len(schema.dense), np.float32)
    if schema.time is not None:
        specs["time"] = (1, np.int64)
    if schema.weight is not None:
        specs["weight"] = (1, np.float32)
    return specs


def shard_count(rows: int, rows_per_shard: int = ROWS_PER_RECORD * RECORDS_PER_SHARD) -> int:
    """How many shards a split of ``rows`` rows has."""
    return max(1, round(rows / rows_per_shard))


def shard_file(split: SplitName, number: int, total: int) -> str:
    """The name of a shard's file, given its number, from 0, and how many the split has."""
    return f"clicks-{split}.tfrecord-{number:05d}-of-{total:05d}"


def write_shard(
    folder: str,
    split: SplitName,
    number: int,
    total: int,
    blocks: Iterable[dict[str, np.ndarray]],
    rows_per_record: int = ROWS_PER_RECORD,
) -> Shard:
    """Write one shard of a split.

    Args:
        folder: folder to write to.
        split: name of the split.
        number: number of the shard, from 0.
        total: how many shards the split has.
        blocks: the rows in order; in each block, for each of ``column_specs``, an array [rows, values] of the dtype
            given there. They are taken one by one, so that they need not be in memory together.
        rows_per_record: rows in every record except the last.
    """
    file = shard_file(split, number, total)
    path, rows, records = join(folder, file), 0, 0
    with tf.io.TFRecordWriter(path) as writer:
        for columns in _regrouped(blocks, rows_per_record):
            writer.write(_record(columns))
            rows, records = rows + len(columns["label"]), records + 1
    return Shard(file, rows, records, *fingerprint(path))


def _regrouped(blocks: Iterable[dict[str, np.ndarray]], rows: int) -> Iterator[dict[str, np.ndarray]]:
    """The rows of all blocks in blocks of so many, the last of which may have fewer."""
    rest: dict[str, np.ndarray] = {}
    for block in blocks:
        together = {name: np.concatenate([rest[name], column]) for name, column in block.items()} if rest else block
        count = len(together["label"])
        for start in range(0, count - rows + 1, rows):
            yield {name: column[start : start + rows] for name, column in together.items()}
        rest = {name: column[count - count % rows :] for name, column in together.items()} if count % rows else {}
    if rest:
        yield rest


def record_bytes(schema: Schema, rows: int) -> int:
    """Bytes that a record of ``rows`` rows takes in its file, whatever its values.

    TFRecord puts 8 bytes of length and 4 of its checksum before a record, and 4 of the record's checksum after it.
    """
    specs = column_specs(schema)
    columns: dict[str, np.ndarray] = {name: np.zeros((rows, values), dtype) for name, (values, dtype) in specs.items()}
    return 8 + 4 + len(_record(columns)) + 4


def _record(columns: dict[str, np.ndarray]) -> bytes:
    def raw(column: np.ndarray) -> tf.train.Feature:
        little_endian = np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<"))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[little_endian.tobytes()]))

    example = tf.train.Example(
        features=tf.train.Features(feature={name: raw(column) for name, column in columns.items()})
    )
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def parse_record(record: tf.Tensor, schema: Schema) -> dict[str, tf.Tensor]:
    """The columns of a serialized record (scalar string): per ``column_specs``, a tensor [rows, values]."""
    specs = column_specs(schema)
    raw = tf.io.parse_single_example(record, {name: tf.io.FixedLenFeature([], tf.string) for name in specs})
    return {
        name: tf.reshape(tf.io.decode_raw(raw[name], tf.as_dtype(dtype)), (-1, values))
        for name, (values, dtype) in specs.items()
    }
