"""Shards -> batches for training and evaluation."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.input.prepare.rows import PADDING
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import ClickData, SplitName, parse_record, record_bytes

Batch = dict[str, tf.Tensor]
READ_BYTES = 256 << 10  # that are read at a time, as TFRecordDataset does


@tf.autograph.experimental.do_not_convert  # nothing here needs AutoGraph, which takes longer than all the rest
def batches(
    data: ClickData,
    split: SplitName,
    batch_size: int,
    table_rows: tuple[int, ...],
    *,
    train: bool,
    schema: Schema | None = None,
    negative_rate: float = 1.0,
    order_seed: int | None = None,
) -> tf.data.Dataset:
    """A split's rows as batches of one static shape.

    Args:
        data: the shards.
        split: which rows.
        batch_size: rows per batch, over all replicas.
        table_rows: rows of each categorical feature's embedding table; the id i lies in row ``i % rows``.
        train: a last batch that is not full is dropped; else it is filled up with rows of weight 0.
        schema: the features that the model sees, out of the data's; None: all of them.
        negative_rate: the share of the rows without a click that is kept, all clicks being kept. Each row is drawn
            for itself, from the data's seed and its place in the split: always the same way, in any order of rows,
            and a row that is kept at one rate is kept at every higher one.
        order_seed: of the order of rows; None: that of the shards. The shards hold the rows shuffled; an order draws
            records without replacement and shuffles the rows of each, so that the first rows are a random sample of
            their own for each seed. No more is held in memory for it than the records' numbers.

    Returns:
        Batches with ``dense`` float32 [batch, max(1, dense features)] (a constant 1 where the schema has no
        dense feature: zeros would leave the dot interaction at a saddle), ``ids`` int32 [batch, slots] (rows of
        the tables; -1 in the unused slots of multi-hot features), ``label`` float32 [batch] and ``weight``
        float32 [batch] (the schema's weight column, or 1).
    """
    stored, seed = data.manifest.schema, data.manifest.seed
    record_order, row_seed = _order(data, split, order_seed)
    files, first_records = _places(data, split)
    bytes_each = record_bytes(stored, data.manifest.rows_per_record)  # of all records but the last one of a file
    seen = schema or stored
    dense_columns = [stored.dense.index(feature) for feature in seen.dense]
    slot_columns = [slot for f in seen.categorical for slot in stored.slots[stored.categorical.index(f)]]
    rows_of_slot = np.concatenate(
        [np.full(len(slots), rows, np.int32) for slots, rows in zip(seen.slots, table_rows, strict=True)]
    )

    def read(number: tf.Tensor) -> Batch:
        file = tf.searchsorted(first_records, number[None], side="right", out_type=tf.int64)[0] - 1
        record = _record_at(tf.gather(files, file), bytes_each * (number - tf.gather(first_records, file)))
        columns = parse_record(record, stored)
        ids, label = _columns(columns["ids"], slot_columns), tf.cast(columns["label"][:, 0], tf.float32)
        ones = tf.ones_like(label)
        rows = {
            "dense": _columns(columns["dense"], dense_columns) if seen.dense else ones[:, None],
            "ids": tf.where(ids == PADDING, PADDING, ids % rows_of_slot),
            "label": label,
            "weight": ones if stored.weight is None else columns["weight"][:, 0],
        }
        if order_seed is None and negative_rate == 1:
            return rows
        order = tf.range(tf.shape(label)[0])
        if order_seed is not None:
            order = tf.random.experimental.stateless_shuffle(order, (row_seed, number), alg="philox")
        if negative_rate < 1:
            kept = (label > 0) | (_draws(seed, number, tf.shape(label)) < negative_rate)
            order = tf.boolean_mask(order, tf.gather(kept, order))
        return {name: tf.gather(column, order) for name, column in rows.items()}

    def fill_up(batch: Batch) -> Batch:
        missing = batch_size - tf.shape(batch["label"])[0]
        filled = {
            name: tf.pad(column, [[0, missing], *[[0, 0]] * (column.shape.rank - 1)]) for name, column in batch.items()
        }
        return {name: tf.ensure_shape(c, (batch_size, *c.shape[1:])) for name, c in filled.items()}

    # The order of rows is part of the data ladder.
    numbers = tf.data.Dataset.from_tensor_slices(record_order)
    rows = numbers.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    grouped = rows.rebatch(batch_size, drop_remainder=train)
    return (grouped if train else grouped.map(fill_up)).with_options(_options()).prefetch(tf.data.AUTOTUNE)


def _order(data: ClickData, split: SplitName, seed: int | None) -> tuple[np.ndarray, int]:
    """The numbers of a split's records, int64, in the order that the seed stands for, and a seed for their rows."""
    records = sum(shard.records for shard in data.manifest.splits[split].shards)
    if seed is None:
        return np.arange(records), 0
    # The rows' seed is drawn: were it the given one, it could be the data's, which decides what negatives are kept.
    rng = np.random.default_rng(seed)
    return rng.permutation(records), int(rng.integers(2**63))


def _places(data: ClickData, split: SplitName) -> tuple[list[str], np.ndarray]:
    """The split's files, and the number of the first record of each, int64."""
    records = [shard.records for shard in data.manifest.splits[split].shards]
    return data.files(split), np.cumsum([0, *records[:-1]])


def _record_at(file: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """The record (scalar string) that starts at a byte of a TFRecord file."""
    records = tf.raw_ops.TFRecordDatasetV2(
        filenames=file[None], compression_type="", buffer_size=READ_BYTES, byte_offsets=offset[None]
    )
    dataset = tf.data.experimental.from_variant(records, tf.TensorSpec((), tf.string))
    return dataset.take(1).get_single_element()


def _columns(matrix: tf.Tensor, wanted: list[int]) -> tf.Tensor:
    """The wanted columns of a matrix [rows, columns]; no copy where all are wanted."""
    return matrix if wanted == list(range(matrix.shape[1])) else tf.gather(matrix, wanted, axis=1)


def _draws(seed: int, record: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Uniform in [0, 1), float32 of the given shape: a stream for each record, the same on every machine."""
    return tf.random.stateless_uniform(shape, (tf.constant(seed % 2**63, tf.int64), record), alg="philox")


def _options() -> tf.data.Options:
    # Several workers share a global batch row by row. By files, as TensorFlow would choose, each would read shards of
    # its own, and a rung of the data ladder would no longer be the first rows of the one shuffle.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
