"""Shards -> batches for training and evaluation."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.input.rows import PADDING
from tfrs_scaling.input.shards import ClickData, SplitName, parse_record

Batch = dict[str, tf.Tensor]


def batches(
    data: ClickData, split: SplitName, batch_size: int, table_rows: tuple[int, ...], *, train: bool
) -> tf.data.Dataset:
    """A split's rows, in the order of its shards, as batches of one static shape.

    Args:
        data: the shards.
        split: which rows.
        batch_size: rows per batch, over all replicas.
        table_rows: rows of each categorical feature's embedding table; the id i lies in row ``i % rows``.
        train: a last batch that is not full is dropped; else it is filled up with rows of weight 0.

    Returns:
        Batches with ``dense`` float32 [batch, max(1, dense features)] (a constant 1 where the schema has no
        dense feature: zeros would leave the dot interaction at a saddle), ``ids`` int32 [batch, slots] (rows of
        the tables; -1 in the unused slots of multi-hot features), ``label`` float32 [batch] and ``weight``
        float32 [batch].
    """
    schema = data.manifest.schema
    rows_of_slot = np.concatenate(
        [np.full(len(slots), rows, np.int32) for slots, rows in zip(schema.slots, table_rows, strict=True)]
    )

    def parse(record: tf.Tensor) -> Batch:
        columns = parse_record(record, schema)
        ids, label = columns["ids"], tf.cast(columns["label"][:, 0], tf.float32)
        weight = tf.ones_like(label)
        return {
            "dense": columns["dense"] if schema.dense else weight[:, None],
            "ids": tf.where(ids == PADDING, PADDING, ids % rows_of_slot),
            "label": label,
            "weight": weight,
        }

    def fill_up(batch: Batch) -> Batch:
        missing = batch_size - tf.shape(batch["label"])[0]
        filled = {
            name: tf.pad(column, [[0, missing], *[[0, 0]] * (column.shape.rank - 1)]) for name, column in batch.items()
        }
        return {name: tf.ensure_shape(c, (batch_size, *c.shape[1:])) for name, c in filled.items()}

    # The order of rows is part of the data ladder, so files and records are read in order.
    rows = tf.data.TFRecordDataset(data.files(split)).map(
        parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    grouped = rows.rebatch(batch_size, drop_remainder=train)
    return (grouped if train else grouped.map(fill_up)).prefetch(tf.data.AUTOTUNE)
