"""Checks that prepared data are unchanged since they were written; reads every byte."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import fingerprint, join, opened
from tfrs_scaling.input.manifest import SPLITS, Shard, Split
from tfrs_scaling.input.shards import PADDING, REJECTED, ClickData, parse_record

_ADVICE = "prepare the data again"


def check(data: ClickData) -> Iterator[Shard]:
    """Compare every shard with the manifest; yields each that agrees.

    Raises:
        InputError: names the first shard that disagrees and, if possible, the record.
    """
    for name in SPLITS:
        clicks = 0
        split = data.manifest.splits[name]
        for shard in split.shards:
            clicks += _clicks(data, shard)
            yield shard
        _compare(f"{data.folder}: the {name} split", split, clicks)
    if data.manifest.rejected:
        path = join(data.folder, REJECTED)
        with opened(path) as stream:
            listed = sum(1 for _ in stream) - 1
        if listed != data.manifest.rejected:
            raise InputError(f"{path}: lists {listed} rows, the manifest has {data.manifest.rejected}; {_ADVICE}")


def _clicks(data: ClickData, shard: Shard) -> int:
    path = join(data.folder, shard.file)
    _, sha256 = fingerprint(path)
    rows = records = clicks = 0
    try:
        for record in tf.data.TFRecordDataset(path):
            columns = {name: c.numpy() for name, c in parse_record(record, data.manifest.schema).items()}
            label, ids = columns["label"], columns["ids"]
            if len({len(column) for column in columns.values()}) > 1:
                raise InputError(f"{path}, record {records}: its columns hold different numbers of rows; {_ADVICE}")
            if label.max(initial=0) > 1 or ids.min(initial=0) < PADDING:
                raise InputError(f"{path}, record {records}: holds a label above 1 or a negative id; {_ADVICE}")
            for name in {"dense", "weight"} & set(columns):
                if not np.isfinite(columns[name]).all() or (name == "weight" and columns[name].min(initial=0) < 0):
                    raise InputError(
                        f"{path}, record {records}: holds a {name} value that is not finite, or a negative weight; "
                        f"{_ADVICE}"
                    )
            rows, records, clicks = rows + len(label), records + 1, clicks + int(label.sum())
    except tf.errors.OpError as error:
        raise InputError(f"{path}, record {records}: cannot be read ({error.message}); {_ADVICE}") from None
    except UnicodeDecodeError:  # TensorFlow, about a record that is not an example
        raise InputError(f"{path}, record {records}: is not an example; {_ADVICE}") from None
    if sha256 != shard.sha256:
        raise InputError(f"{path}: its SHA-256 is {sha256}, the manifest has {shard.sha256}; {_ADVICE}")
    if (rows, records) != (shard.rows, shard.records):
        raise InputError(
            f"{path}: {rows} rows in {records} records, the manifest has {shard.rows} in {shard.records}; {_ADVICE}"
        )
    return clicks


def _compare(what: str, split: Split, clicks: int) -> None:
    rows = sum(shard.rows for shard in split.shards)
    if (rows, clicks) != (split.rows, split.clicks):
        raise InputError(
            f"{what}: {rows} rows with {clicks} clicks, the manifest has {split.rows} with {split.clicks}; {_ADVICE}"
        )
