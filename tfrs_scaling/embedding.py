"""Embedding tables: one interface, a home on CPU and GPU and one on TPU.

Both take the batch's ``ids`` and give one vector per categorical feature, float32 [batch, features, dim]; the
vectors of a multi-hot feature are averaged.
"""

from itertools import accumulate, groupby

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrs_scaling.input.pipeline import Batch
from tfrs_scaling.input.rows import PADDING
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.schemes import Shape


class StackedEmbedding(tf.keras.layers.Layer):
    """All tables stacked into one variable: one gather forward, one deduplicated sparse update backward.

    Args:
        shape: rows of each table, and the embedding dimension.
        schema: the categorical features, in the order of the tables.
        initial_range: embeddings start uniform in (-initial_range, initial_range).
    """

    def __init__(self, shape: Shape, schema: Schema, initial_range: float):
        super().__init__(name="embedding")
        first_rows = list(accumulate(shape.table_rows, initial=0))
        self._first_row_of_slot = np.concatenate(
            [np.full(len(slots), first, np.int32) for slots, first in zip(schema.slots, first_rows, strict=False)]
        )
        # Neighbouring one-hot features are taken together; each multi-hot feature is averaged on its own.
        runs = [(len(slots) > 1 and f, slots) for f, slots in enumerate(schema.slots)]
        self._blocks = [
            (multi_hot is not False, slice(run[0][1].start, run[-1][1].stop))
            for multi_hot, run in ((key, list(members)) for key, members in groupby(runs, key=lambda r: r[0]))
        ]
        self.table = self.add_weight(
            name="tables",
            shape=(first_rows[-1], shape.embedding_dim),
            initializer=tf.keras.initializers.RandomUniform(-initial_range, initial_range),
        )

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Embeddings float32 [batch, features, dim] of ids int32 [batch, slots]."""
        present = ids != PADDING
        embeddings = tf.gather(self.table, tf.where(present, ids, 0) + self._first_row_of_slot)
        vectors = []
        for multi_hot, slots in self._blocks:
            block = embeddings[:, slots]
            if multi_hot:
                counted = tf.cast(present[:, slots], block.dtype)
                share = counted / tf.reduce_sum(counted, axis=1, keepdims=True)
                block = tf.matmul(share[:, None], block)
            vectors.append(block)
        return tf.concat(vectors, axis=1)


class TPUTables(tf.keras.layers.Layer):
    """``tfrs.layers.embedding.TPUEmbedding``: on a TPU, tables in its memory, updated there.

    Elsewhere the same layer keeps ordinary variables, so that it can be tested without a TPU.

    Args:
        shape, schema, initial_range: as for ``StackedEmbedding``.
        optimizer: the one the model is compiled with; on a TPU the tables are updated by its TPU counterpart.
    """

    def __init__(
        self,
        shape: Shape,
        schema: Schema,
        initial_range: float,
        optimizer: tf.keras.optimizers.legacy.Optimizer,
    ):
        super().__init__(name="embedding")
        self._names = [feature.name for feature in schema.categorical]
        config = {
            feature.name: tf.tpu.experimental.embedding.FeatureConfig(
                table=tf.tpu.experimental.embedding.TableConfig(
                    vocabulary_size=rows,
                    dim=shape.embedding_dim,
                    initializer=tf.random_uniform_initializer(-initial_range, initial_range),
                    combiner="mean",
                    name=f"table_{index}",
                ),
                name=f"feature_{index}",
            )
            for index, (feature, rows) in enumerate(zip(schema.categorical, shape.table_rows, strict=True))
        }
        self.tables = tfrs.layers.embedding.TPUEmbedding(config, optimizer)

    def call(self, ids: dict[str, tf.Tensor]) -> tf.Tensor:
        """Embeddings float32 [batch, features, dim] of the ids that ``ids_by_feature`` makes."""
        vectors = self.tables(ids)
        return tf.stack([vectors[name] for name in self._names], axis=1)


def ids_by_feature(batch: Batch, schema: Schema) -> Batch:
    """The batch with ``ids`` as TPUEmbedding wants them, made in tf.data because a TPU cannot: per feature int32
    [batch] if it is one-hot, a ragged [batch, None] if it is multi-hot."""
    ids = {}
    for feature, slots in zip(schema.categorical, schema.slots, strict=True):
        column = batch["ids"][:, slots.start : slots.stop]
        ids[feature.name] = column[:, 0] if len(slots) == 1 else tf.ragged.boolean_mask(column, column != PADDING)
    return {**batch, "ids": ids}
