import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.config import Training
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.model.dlrm import DLRM, make_model
from tfrs_scaling.model.embedding import StackedEmbedding, TFRSEmbedding, ids_by_feature
from tfrs_scaling.model.optimizers import table_optimizer
from tfrs_scaling.model.shape import Shape

SCHEMA = Schema(
    "y",
    (
        CategoricalFeature("a", 5),
        CategoricalFeature("m", 4, max_values=3, separator="|"),
        CategoricalFeature("b", 3),
        CategoricalFeature("c", 2),
    ),
)
SHAPE = Shape((5, 4, 3, 2), 2, (8,), 4, (8,))
MIXED = Shape((5, 4, 3, 2), 2, (8,), 4, (8,), table_dims=(2, 3, 2, 3), pooling=("mean", "sum", "mean", "mean"))
IDS = np.array([[4, 1, 3, -1, 2, 0], [0, 0, -1, -1, 1, 1]], np.int32)


class EmbeddingTest(tf.test.TestCase, parameterized.TestCase):
    def test_looks_up_and_averages_by_hand(self) -> None:
        layer = StackedEmbedding(SHAPE, SCHEMA, 0.1, None)
        table = np.arange(28, dtype=np.float32).reshape(14, 2)
        layer.table_variables[0].assign(table)
        a, m, b, c = table[:5], table[5:9], table[9:12], table[12:]
        expected = [
            [a[4], (m[1] + m[3]) / 2, b[2], c[0]],
            [a[0], m[0], b[1], c[1]],
        ]
        (vectors,) = layer(IDS)
        self.assertAllEqual(vectors, expected)

    def test_tables_of_two_dimensions_are_two_stacks(self) -> None:
        layer = StackedEmbedding(MIXED, SCHEMA, 0.1, 1e-8)
        a, m, b, c = (table.numpy() for table in layer.embeddings())
        self.assertEqual([t.shape for t in (a, m, b, c)], [(5, 2), (4, 3), (3, 2), (2, 3)])
        of_two, of_three = layer(IDS)
        self.assertAllEqual(of_two, [[a[4], b[2]], [a[0], b[1]]])
        self.assertAllClose(of_three, [[m[1] + m[3], c[0]], [m[0], c[1]]], rtol=1e-6)

    @parameterized.parameters("adagrad", "sgd")
    def test_update_touches_visited_rows_only(self, optimizer: Any) -> None:
        training = Training(2, (0.1,), table_optimizer=optimizer)
        accumulator = training.accumulator if optimizer == "adagrad" else None
        layer = StackedEmbedding(SHAPE, SCHEMA, 0.1, accumulator)
        (table,) = layer.table_variables
        before = table.numpy()
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(IDS)[0] ** 2)
        gradient = tape.gradient(loss, table)
        self.assertIsInstance(gradient, tf.IndexedSlices)
        self.assertEqual(len(set(gradient.indices.numpy())), len(gradient.indices))
        table_optimizer(training, 0.1, rows_hold_accumulators=True).apply_gradients([(gradient, table)])
        changed = np.flatnonzero((table.numpy() != before).any(axis=1))
        self.assertAllEqual(changed, [0, 4, 5, 6, 8, 10, 11, 12, 13])

    def test_initial_values_fill_the_range_and_accumulators_start_where_told(self) -> None:
        layer = StackedEmbedding(Shape((10_000, 1, 1, 1), 2, (), 0, ()), SCHEMA, 0.05, 0.25)
        values = layer.embeddings()[0].numpy()
        self.assertLess(np.abs(values).max(), 0.05)
        self.assertNear(values.std(), 0.05 / 3**0.5, 5e-4)
        self.assertAllEqual(layer.table_variables[0][:, 2:], np.full((10_003, 2), 0.25))

    @parameterized.named_parameters(
        ("one_dimension", SHAPE, None, "constant"),
        ("mixed", MIXED, None, "constant"),
        ("static_batches", MIXED, 8, "constant"),
        ("decay", MIXED, None, "cosine"),
    )
    def test_trains_to_the_same_weights_as_tfrs(self, shape: Shape, static_batch: int | None, schedule: Any) -> None:
        # TPUEmbedding keeps ordinary variables off a TPU, with TensorFlow's own lookups, combiners and Adagrad.
        rng = np.random.default_rng(0)
        ids = np.stack([rng.integers(0, high, (100, 8)) for high in (5, 4, 4, 4, 3, 2)], axis=2).astype(np.int32)
        ids[rng.random(ids.shape) < 0.3] = -1
        ids[..., [0, 1, 4, 5]] = np.maximum(ids[..., [0, 1, 4, 5]], 0)  # only further multi-hot slots may be empty
        labels = rng.integers(0, 2, (100, 8)).astype(np.float32)

        tf.keras.utils.set_random_seed(7)
        training = Training(8, (0.05,), schedule, embedding_range=0.1)
        stacked = make_model(shape, SCHEMA, training, 0.05, steps=100)
        tfrs = make_model(shape, SCHEMA, dataclasses.replace(training, embedding_layer="tfrs"), 0.05, static_batch, 100)
        assert isinstance(tfrs.embedding, TFRSEmbedding)

        def batch(step: int, model: DLRM) -> dict[str, tf.Tensor]:
            ones = tf.ones(8)
            whole = {
                "dense": ones[:, None],
                "ids": tf.constant(ids[step]),
                "label": tf.constant(labels[step]),
                "weight": ones,
            }
            return ids_by_feature(whole, SCHEMA) if model is tfrs else whole

        tfrs(batch(0, tfrs))
        for mine, theirs in zip(stacked.dense_variables, tfrs.dense_variables, strict=True):
            theirs.assign(mine)
        variables = {v.name: v for v in tfrs.embedding.table_variables}
        named = [next(v for name, v in variables.items() if f"table_{i}" in name) for i in range(4)]
        for mine, theirs in zip(stacked.embedding.embeddings(), named, strict=True):
            theirs.assign(mine)
        for model in (stacked, tfrs):
            # Off a TPU, TensorFlow looks up multi-hot features of a static batch eagerly only.
            step = model.train_step if static_batch else tf.function(model.train_step)
            for number in range(100):
                step(batch(number, model))
        for mine, theirs in zip(
            [*stacked.embedding.embeddings(), *stacked.dense_variables], [*named, *tfrs.dense_variables], strict=True
        ):
            scale = np.abs(theirs.numpy()).max()
            self.assertAllClose(mine / scale, theirs / scale, rtol=0, atol=1e-5)


if __name__ == "__main__":
    tf.test.main()
