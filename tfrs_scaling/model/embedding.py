"""Embedding tables: one interface, with an implementation for CPU and GPU and one for TPU.

Both map the batch's ``ids`` to one float32 [batch, features, dim] for each dimension that tables have: the vectors of
the features with such tables (``features_by_dim``). A multi-hot feature's embeddings are averaged or added up.
"""

from collections.abc import Callable
from itertools import accumulate, groupby, pairwise

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrs_scaling.input.batches import Batch
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import PADDING
from tfrs_scaling.model.compiled import compiled_on_cpu, in_compiled_step
from tfrs_scaling.model.shape import Shape

INITIAL_NUMBERS = 1 << 20  # of a table, that are initialised at a time


def features_by_dim(shape: Shape) -> dict[int, list[int]]:
    """The places in the schema of the features whose tables have each dimension, both in the schema's order."""
    features: dict[int, list[int]] = {}
    for feature, dim in enumerate(shape.table_dims):
        features.setdefault(dim, []).append(feature)
    return features


class StackedEmbedding(tf.keras.layers.Layer):
    """Tables of equal dimension stacked into one variable: one lookup, and one sparse update of those rows.

    Args:
        shape: rows, dimension and pooling of each table.
        schema: the categorical features, in the order of the tables.
        initial_range: embeddings start uniform in (-initial_range, initial_range).
        accumulator: initial value of the accumulators that each row holds behind its embedding, for
            ``optimizers.RowAdagrad``; None: there are none.
    """

    def __init__(self, shape: Shape, schema: Schema, initial_range: float, accumulator: float | None):
        super().__init__(name="embedding")
        features_of = features_by_dim(shape)
        self._stacks = [
            _Stack(
                dim,
                [shape.table_rows[f] for f in features],
                [schema.slots[f] for f in features],
                [shape.pooling[f] for f in features],
            )
            for dim, features in features_of.items()
        ]
        self._order = np.argsort([feature for features in features_of.values() for feature in features])
        self.table_variables = [
            self.add_weight(
                name=f"tables_of_{stack.dim}",
                shape=(stack.rows, stack.dim if accumulator is None else 2 * stack.dim),
                initializer="zeros",
            )
            for stack in self._stacks
        ]
        self._initial = initial_range, accumulator
        self.initialise()

    def initialise(self) -> None:
        """Initialise the tables, also when they were trained before, from the seed that Keras was given."""
        for stack, table in zip(self._stacks, self.table_variables, strict=True):
            _initialise(table, stack.dim, *self._initial)

    def call(self, ids: tf.Tensor) -> list[tf.Tensor]:
        """Vectors of ids int32 [batch, slots]; see the module."""
        return [
            stack.pooled(_looked_up(table, stack.dim), ids)
            for stack, table in zip(self._stacks, self.table_variables, strict=True)
        ]

    def embeddings(self) -> list[tf.Tensor]:
        """Per table of the schema, float32 [rows, dim], without accumulators."""
        tables = [
            variable[first:last, : stack.dim]
            for stack, variable in zip(self._stacks, self.table_variables, strict=True)
            for first, last in pairwise(stack.first_rows)
        ]
        return [tables[place] for place in self._order]


class _Stack:
    """Tables of one dimension, one after the other.

    ``slots`` are the columns of the id matrix that each one's feature has.
    """

    def __init__(self, dim: int, rows: list[int], slots: list[range], pooling: list[str]):
        first_rows = list(accumulate(rows, initial=0))
        self.dim, self.rows = dim, first_rows[-1]
        self.first_rows = first_rows
        self._columns = [column for columns in slots for column in columns]
        self._first_row_of_slot = np.concatenate(
            [np.full(len(columns), first, np.int32) for columns, first in zip(slots, first_rows, strict=False)]
        )
        # Adjacent one-hot features are looked up together; each multi-hot feature is pooled on its own.
        starts = list(accumulate((len(columns) for columns in slots), initial=0))
        self._blocks: list[tuple[str | None, slice]] = []  # pooling, or None of one-hot features, and columns
        for multi_hot, run in groupby(range(len(slots)), key=lambda f: f if len(slots[f]) > 1 else None):
            members = list(run)
            how = None if multi_hot is None else pooling[multi_hot]
            self._blocks.append((how, slice(starts[members[0]], starts[members[-1] + 1])))

    def pooled(self, look_up: Callable[[tf.Tensor], tf.Tensor], ids: tf.Tensor) -> tf.Tensor:
        """Vectors float32 [batch, features, dim] of ids int32 [batch, slots of all features]."""
        if self._columns != list(range(ids.shape[1])):
            ids = tf.gather(ids, self._columns, axis=1)
        one_hot = all(how is None for how, _ in self._blocks)
        present = ids != PADDING
        rows = (ids if one_hot else tf.where(present, ids, 0)) + self._first_row_of_slot
        embeddings = tf.reshape(look_up(tf.reshape(rows, (-1,))), (-1, len(self._columns), self.dim))
        if one_hot:
            return embeddings
        vectors = []
        for how, slots in self._blocks:
            block = embeddings[:, slots]
            if how:
                counted = tf.cast(present[:, slots], block.dtype)[:, :, None]
                block = tf.reduce_sum(counted * block, axis=1, keepdims=True)
                if how == "mean":
                    block /= tf.reduce_sum(counted, axis=1, keepdims=True)
            vectors.append(block)
        return tf.concat(vectors, axis=1)


def _looked_up(table: tf.Variable, dim: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from rows int32 [n] to embeddings float32 [n, dim].

    Its gradient is one of each distinct row's embedding, [rows, dim]: the accumulators behind it have none. As that of
    ``tf.gather(table, rows)[:, :dim]`` added up by row, in a third of the time.
    """

    def look_up(rows: tf.Tensor) -> tf.Tensor:
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            # Replicas exchange gradients, whose number must not vary; the optimizer adds up those of a row.
            return tf.gather(table, rows)[:, :dim]

        @tf.custom_gradient
        def embeddings(rows: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tuple[None, list[tf.IndexedSlices]]]]:
            distinct, place = _distinct(rows, table.shape[0]) if in_compiled_step() else tf.unique(rows)

            def gradient(upstream: tf.Tensor, variables: list[tf.Variable]) -> tuple[None, list[tf.IndexedSlices]]:
                assert [variable.ref() for variable in variables] == [table.ref()]
                sums = _sum_by_place(upstream, place)[: tf.shape(distinct)[0]]
                return None, [tf.IndexedSlices(sums, distinct, tf.constant([table.shape[0], dim]))]

            return tf.gather(tf.gather(table, distinct)[:, :dim], place), gradient

        return embeddings(rows)

    return look_up


def _distinct(rows: tf.Tensor, beyond: int) -> tuple[tf.Tensor, tf.Tensor]:
    """``tf.unique`` for XLA, whose own is a loop over all rows with a result of varying size: a GPU launches each turn.

    Args:
        rows: int32 [n], n static.
        beyond: what no row is. XLA reads some row for one beyond a table's last, and leaves out updates of it.

    Returns:
        int32 [n]: the distinct rows, rising, and then ``beyond`` for the rest.
        int32 [n]: the place of each row among them.
    """
    order = tf.argsort(rows)
    rising = tf.gather(rows, order)
    rank = tf.cumsum(tf.concat([[0], tf.cast(rising[1:] != rising[:-1], tf.int32)], axis=0))
    place = tf.scatter_nd(order[:, None], rank, rows.shape)
    return tf.tensor_scatter_nd_update(tf.fill(rows.shape, beyond), rank[:, None], rising), place


@compiled_on_cpu  # three times as fast as TensorFlow's operation
def _sum_by_place(values: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Float [n, dim]: sums of the values [n, dim] that have each place, int32 [n], below n."""
    return tf.math.unsorted_segment_sum(values, place, tf.shape(values)[0])


def _initialise(table: tf.Variable, dim: int, initial_range: float, accumulator: float | None) -> None:
    """Initialise the rows in chunks: all at once would need the table's memory a second time."""
    random = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002 -- follows the seed that Keras sets
    on_each_device = tf.distribute.get_strategy().experimental_local_results(table)
    at_a_time = max(1, INITIAL_NUMBERS // table.shape[1])
    for first in range(0, table.shape[0], at_a_time):
        rows = np.full((min(at_a_time, table.shape[0] - first), table.shape[1]), accumulator or 0, np.float32)
        rows[:, :dim] = initial_range * (2 * random.random((len(rows), dim), np.float32) - 1)
        for copy in on_each_device:
            copy.scatter_update(tf.IndexedSlices(tf.cast(rows, table.dtype), tf.range(first, first + len(rows))))


class TFRSEmbedding(tf.keras.layers.Layer):
    """``tfrs.layers.embedding.TPUEmbedding``: on a TPU, tables are in its memory and updated there.

    Elsewhere the same layer keeps ordinary variables, one per table.

    Args:
        shape, schema, initial_range: as in ``StackedEmbedding``.
        optimizer: optimizer of the tables. On a TPU, they are updated by its TPU counterpart; elsewhere by itself.
        replica_batch_size: rows of every batch on each replica, in training and in evaluation. A TPU needs it (its
            SparseCores, the static shape of what they give); elsewhere batches may be of any size, and it is None.
    """

    def __init__(
        self,
        shape: Shape,
        schema: Schema,
        initial_range: float,
        optimizer: tf.keras.optimizers.legacy.Optimizer,
        replica_batch_size: int | None,
    ):
        super().__init__(name="embedding")
        self._groups = [[schema.categorical[f].name for f in features] for features in features_by_dim(shape).values()]
        config = {
            feature.name: tf.tpu.experimental.embedding.FeatureConfig(
                table=tf.tpu.experimental.embedding.TableConfig(
                    vocabulary_size=shape.table_rows[index],
                    dim=shape.table_dims[index],
                    initializer=tf.random_uniform_initializer(-initial_range, initial_range),
                    combiner=shape.pooling[index],
                    name=f"table_{index}",
                ),
                output_shape=None if replica_batch_size is None else [replica_batch_size],
                name=f"feature_{index}",
            )
            for index, feature in enumerate(schema.categorical)
        }
        limits = None if replica_batch_size is None else _sparse_core_limits(schema, replica_batch_size)
        self.tables = tfrs.layers.embedding.TPUEmbedding(config, optimizer, sparse_core_embedding_config=limits)

    @property
    def table_variables(self) -> list[tf.Variable]:
        """The variables that hold the tables; none on a TPU."""
        variables: list[tf.Variable] = self.tables.trainable_variables
        return variables

    def call(self, ids: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        """Vectors of the ids that ``ids_by_feature`` makes; see the module."""
        vectors = self.tables(ids)
        return [tf.stack([vectors[name] for name in names], axis=1) for names in self._groups]


class _Everywhere(dict[str, int]):
    """The same limit for all tables that TensorFlow stacks, whose names it makes up."""

    def __init__(self, limit: int):
        super().__init__()
        self._limit = limit

    def __contains__(self, _: object) -> bool:
        return True

    def __getitem__(self, _: str) -> int:
        return self._limit


def _sparse_core_limits(
    schema: Schema, replica_batch_size: int
) -> tf.tpu.experimental.embedding.SparseCoreEmbeddingConfig:
    """Buffers of SparseCores that hold all ids of a batch, whichever they are: none is dropped, and none refused.

    TensorFlow's own take 256 ids for each pair of SparseCores, and a step with more fails
    (sparse_core_preprocess_ops.cc); at worst all ids of a SparseCore's rows lie in one other. 64 ids of each row and
    feature fit in its own buffer, where those of each pair are filled up to multiples of 8.
    """
    defaults = tf.tpu.experimental.embedding.SparseCoreEmbeddingConfig()
    feature = getattr(tf.distribute.get_strategy().extended, "tpu_hardware_feature", None)
    cores = max(1, feature.num_embedding_devices_per_chip if feature else 1)
    at_worst = max(256, -(-replica_batch_size // cores) * schema.slots[-1].stop)
    per_row = max(defaults.max_ids_per_chip_per_sample, 2 * max(len(slots) for slots in schema.slots))
    return tf.tpu.experimental.embedding.SparseCoreEmbeddingConfig(
        max_ids_per_chip_per_sample=per_row,
        max_ids_per_table=_Everywhere(at_worst),
        max_unique_ids_per_table=_Everywhere(at_worst),
        allow_id_dropping=False,
    )


def ids_by_feature(batch: Batch, schema: Schema) -> Batch:
    """The batch with ``ids`` in TPUEmbedding's form, made in tf.data because a TPU cannot: for each feature int32
    [batch] if it is one-hot, a ragged [batch, None] if it is multi-hot."""
    ids = {}
    for feature, slots in zip(schema.categorical, schema.slots, strict=True):
        column = batch["ids"][:, slots.start : slots.stop]
        ids[feature.name] = column[:, 0] if len(slots) == 1 else tf.ragged.boolean_mask(column, column != PADDING)
    return {**batch, "ids": ids}
