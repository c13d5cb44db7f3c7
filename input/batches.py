"""Shards -> batches for training and evaluation."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrs_scaling.input import row_scores
from tfrs_scaling.input.history import SAMPLED_RECORDS, History
from tfrs_scaling.input.manifest import SplitName
from tfrs_scaling.input.pruning import Pruning
from tfrs_scaling.input.row_scores import RowScores
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import PADDING, ClickData, parse_record, record_bytes

Batch = dict[str, tf.Tensor]
READ_BYTES = 256 << 10  # buffer size of a file, TFRecordDataset's default


@tf.autograph.experimental.do_not_convert  # nothing here needs AutoGraph, which takes longer than everything else
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
    history: History | None = None,
    old: bool = False,
    scores: RowScores | None = None,
    pruning: Pruning | None = None,
) -> tf.data.Dataset:
    """A split's rows as batches of one static shape.

    Args:
        data: the shards.
        split: which rows.
        batch_size: rows per batch, over all replicas.
        table_rows: rows of each categorical feature's embedding table; the id i uses row ``i % rows``.
        train: drop an incomplete last batch; else fill it up with rows of weight 0.
        schema: the features that the model sees, a subset of the data's; None: all of them.
        negative_rate: the share of the rows without a click to keep; all clicks are kept. Each row is drawn
            independently, from the data's seed and its place in the split, so the result does not depend on the order
            of rows, and a row that is kept at one rate is kept at every higher one.
        order_seed: seed of the rows' order; None: as in the shards. The shards hold the rows shuffled; an order draws
            records without replacement and shuffles the rows of each, so the first rows are a different random sample
            for each seed. Only the records' numbers are held in memory for it.
        history: which rows are held apart; None: none.
        old: take those rows; else take the others.
        scores: scores of the split's rows.
        pruning: which rows to keep, by how far their scores (without ``scores``, 0) are from their labels, and what
            they then weigh; None: all. Each is drawn as under ``negative_rate``.

    Returns:
        Batches with ``dense`` float32 [batch, max(1, dense features)] (a constant 1 if the schema has no dense feature:
        zeros would leave the dot interaction at a saddle), ``ids`` int32 [batch, slots] (rows of the tables; -1 in the
        unused slots of multi-hot features), ``label`` float32 [batch] and ``weight`` float32 [batch] (the schema's
        weight column, or 1; times that of ``pruning``). With ``scores`` and without ``pruning``, also ``score``
        float32 [batch].
    """
    record_order, row_seed = _order(data, split, order_seed)
    record = _record_reader(data, split)
    model_columns = _column_selector(data.manifest.schema, schema or data.manifest.schema, table_rows)
    score = None if scores is None else _score_reader(data, split, scores)
    seed = data.manifest.seed

    def read(number: tf.Tensor) -> Batch:
        stored = record(number)
        rows = model_columns(stored)
        if score is not None:
            rows["score"] = score(number)
        masks = []
        if negative_rate < 1:
            masks.append((rows["label"] > 0) | (_draws(seed, number, tf.shape(rows["label"])) < negative_rate))
        if pruning is not None:
            errors = tf.abs(rows["label"] - rows.pop("score", rows["label"]))
            masks.append(_draws(seed, number, tf.shape(errors)) < pruning.probability(errors))
            rows["weight"] *= pruning.weight(errors)
        if history is not None:
            masks.append(tf.equal(_is_old(history, stored, _draws(seed + 1, number, tf.shape(rows["label"]))), old))
        if order_seed is None and not masks:
            return rows
        order = tf.range(tf.shape(rows["label"])[0])
        if order_seed is not None:
            order = tf.random.experimental.stateless_shuffle(order, (row_seed, number), alg="philox")
        for kept in masks:
            order = tf.boolean_mask(order, tf.gather(kept, order))
        return {name: tf.gather(column, order) for name, column in rows.items()}

    # The order must be deterministic: the data ladder trains on the first rows.
    numbers = tf.data.Dataset.from_tensor_slices(record_order)
    grouped = numbers.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).rebatch(
        batch_size, drop_remainder=train
    )
    if not train:
        grouped = grouped.map(lambda batch: _fill_up(batch, batch_size))
    return grouped.with_options(_options()).prefetch(tf.data.AUTOTUNE)


def sampled_errors(data: ClickData, scores: RowScores, history: History) -> np.ndarray:
    """How far the scores of a sample of the training rows not held apart are from their labels: float32 [rows]."""
    record, score = _record_reader(data, "train"), _score_reader(data, "train", scores)

    def errors(number: tf.Tensor) -> tf.Tensor:
        stored = record(number)
        found = tf.abs(tf.cast(stored["label"][:, 0], tf.float32) - score(number))
        old = _is_old(history, stored, _draws(data.manifest.seed + 1, number, tf.shape(found)))
        return tf.boolean_mask(found, ~old)

    numbers = tf.data.Dataset.range(len(_order(data, "train", None)[0])).take(SAMPLED_RECORDS)
    return np.concatenate(list(numbers.map(errors).as_numpy_iterator()))


def with_target(batch: Batch, weight: float) -> Batch:
    """The batch with ``target`` float32 [batch], what the model learns, in place of ``score``.

    The log loss is linear in the label, so ``1 - weight`` times that against the label plus ``weight`` times that
    against the score is the log loss against their mean.
    """
    others = {name: column for name, column in batch.items() if name != "score"}
    return {**others, "target": (1 - weight) * batch["label"] + weight * batch["score"]}


def _record_reader(data: ClickData, split: SplitName) -> Callable[[tf.Tensor], Batch]:
    """A function from a record's number in the split (int64 scalar) to its columns, per ``column_specs``."""
    stored = data.manifest.schema
    bytes_each = record_bytes(stored, data.manifest.rows_per_record)  # of every record except the last of a file
    serialized = _serialized_reader(data, split, data.files(split), bytes_each)
    return lambda number: parse_record(serialized(number), stored)


def _score_reader(data: ClickData, split: SplitName, scores: RowScores) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a record's number in the split to the scores of its rows, float32 [rows]."""
    serialized = _serialized_reader(data, split, scores.files, row_scores.record_bytes(data.manifest.rows_per_record))
    return lambda number: tf.io.decode_raw(serialized(number), tf.float32)


def _serialized_reader(
    data: ClickData, split: SplitName, files: list[str], bytes_each: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a record's number in the split to its bytes in files that hold as many records as the shards."""
    first_records = _first_records(data, split)

    def record(number: tf.Tensor) -> tf.Tensor:
        file = tf.searchsorted(first_records, number[None], side="right", out_type=tf.int64)[0] - 1
        offset = bytes_each * (number - tf.gather(first_records, file))
        return _record_at(tf.gather(files, file), offset)

    return record


def _column_selector(stored: Schema, seen: Schema, table_rows: tuple[int, ...]) -> Callable[[Batch], Batch]:
    """A function from a record's columns to what the model sees of them, with ids as rows of the tables."""
    dense_columns = [stored.dense.index(feature) for feature in seen.dense]
    slot_columns = [slot for f in seen.categorical for slot in stored.slots[stored.categorical.index(f)]]
    rows_of_slot = np.concatenate(
        [np.full(len(slots), rows, np.int32) for slots, rows in zip(seen.slots, table_rows, strict=True)]
    )

    def model_columns(columns: Batch) -> Batch:
        ids, label = _columns(columns["ids"], slot_columns), tf.cast(columns["label"][:, 0], tf.float32)
        ones = tf.ones_like(label)
        return {
            "dense": _columns(columns["dense"], dense_columns) if seen.dense else ones[:, None],
            "ids": tf.where(ids == PADDING, PADDING, ids % rows_of_slot),
            "label": label,
            "weight": ones if stored.weight is None else columns["weight"][:, 0],
        }

    return model_columns


def _fill_up(batch: Batch, batch_size: int) -> Batch:
    """The batch with rows of weight 0 added up to ``batch_size``."""
    missing = batch_size - tf.shape(batch["label"])[0]
    filled = {
        name: tf.pad(column, [[0, missing], *[[0, 0]] * (column.shape.rank - 1)]) for name, column in batch.items()
    }
    return {name: tf.ensure_shape(c, (batch_size, *c.shape[1:])) for name, c in filled.items()}


def _order(data: ClickData, split: SplitName, seed: int | None) -> tuple[np.ndarray, int]:
    """The numbers of a split's records, int64, in the order of the seed, and a seed for the order of their rows."""
    records = sum(shard.records for shard in data.manifest.splits[split].shards)
    if seed is None:
        return np.arange(records), 0
    # The rows' seed is drawn: the given one might equal the data's, which decides which negatives are kept.
    rng = np.random.default_rng(seed)
    return rng.permutation(records), int(rng.integers(2**63))


def _first_records(data: ClickData, split: SplitName) -> np.ndarray:
    """The number of the first record of each of the split's files, int64."""
    return np.cumsum([0, *(shard.records for shard in data.manifest.splits[split].shards[:-1])])


def _record_at(file: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """The record (scalar string) that starts at a byte of a TFRecord file."""
    records = tf.raw_ops.TFRecordDatasetV2(
        filenames=file[None], compression_type="", buffer_size=READ_BYTES, byte_offsets=offset[None]
    )
    dataset = tf.data.experimental.from_variant(records, tf.TensorSpec((), tf.string))
    return dataset.take(1).get_single_element()


def _columns(matrix: tf.Tensor, wanted: list[int]) -> tf.Tensor:
    """The wanted columns of a matrix [rows, columns], without a copy if all are wanted."""
    return matrix if wanted == list(range(matrix.shape[1])) else tf.gather(matrix, wanted, axis=1)


def _draws(seed: int, record: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Uniform in [0, 1), float32 of the given shape; each record has its own stream, the same on every machine."""
    return tf.random.stateless_uniform(shape, (tf.constant(seed % 2**63, tf.int64), record), alg="philox")


def _is_old(history: History, stored: Batch, draws: tf.Tensor) -> tf.Tensor:
    """Whether each of a record's rows is held apart: bool [rows]."""
    drawn = draws < history.share
    if history.until is None:
        return drawn
    time = stored["time"][:, 0]
    return (time < history.until) | ((time == history.until) & drawn)


def _options() -> tf.data.Options:
    # Several workers divide each global batch by rows. TensorFlow's default divides by files: each worker would read
    # its own shards, and a rung of the data ladder would no longer be the first rows of the shuffle.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
