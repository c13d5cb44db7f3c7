import numpy as np
import tensorflow as tf

from tfrs_scaling.config import Training
from tfrs_scaling.dlrm import DLRM, make_optimizer
from tfrs_scaling.embedding import StackedEmbedding, TPUTables, ids_by_feature
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.schemes import Shape

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
IDS = np.array([[4, 1, 3, -1, 2, 0], [0, 0, -1, -1, 1, 1]], np.int32)


class EmbeddingTest(tf.test.TestCase):
    def test_looks_up_and_averages_by_hand(self) -> None:
        layer = StackedEmbedding(SHAPE, SCHEMA, 0.1)
        table = np.arange(28, dtype=np.float32).reshape(14, 2)
        layer.table.assign(table)
        a, m, b, c = table[:5], table[5:9], table[9:12], table[12:]
        expected = [
            [a[4], (m[1] + m[3]) / 2, b[2], c[0]],
            [a[0], m[0], b[1], c[1]],
        ]
        self.assertAllEqual(layer(IDS), expected)

    def test_update_touches_visited_rows_only(self) -> None:
        layer = StackedEmbedding(SHAPE, SCHEMA, 0.1)
        before = layer.table.numpy()
        optimizer = make_optimizer(Training(2, (0.1,)), 0.1)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(IDS) ** 2)
        gradient = tape.gradient(loss, layer.table)
        self.assertIsInstance(gradient, tf.IndexedSlices)
        optimizer.apply_gradients([(gradient, layer.table)])
        changed = np.flatnonzero((layer.table.numpy() != before).any(axis=1))
        self.assertAllEqual(changed, [0, 4, 5, 6, 8, 10, 11, 12, 13])

    def test_initial_values_fill_the_range(self) -> None:
        layer = StackedEmbedding(Shape((10_000, 1, 1, 1), 2, (), 0, ()), SCHEMA, 0.05)
        values = layer.table.numpy()
        self.assertLess(np.abs(values).max(), 0.05)
        self.assertNear(values.std(), 0.05 / 3**0.5, 5e-4)

    def test_trains_to_the_same_weights_as_tpu_embedding(self) -> None:
        # TPUEmbedding keeps ordinary variables off a TPU, with TensorFlow's own lookups and combiner.
        training = Training(8, (0.05,))
        rng = np.random.default_rng(0)
        ids = np.stack([rng.integers(0, high, (100, 8)) for high in (5, 4, 4, 4, 3, 2)], axis=2).astype(np.int32)
        ids[rng.random(ids.shape) < 0.3] = -1
        ids[..., [0, 1, 4, 5]] = np.maximum(ids[..., [0, 1, 4, 5]], 0)  # only further multi-hot slots may be empty
        labels = rng.integers(0, 2, (100, 8)).astype(np.float32)

        models = []
        for home in ("stacked", "tpu"):
            tf.keras.utils.set_random_seed(7)
            optimizer = make_optimizer(training, 0.05)
            embedding = (
                StackedEmbedding(SHAPE, SCHEMA, 0.1) if home == "stacked" else TPUTables(SHAPE, SCHEMA, 0.1, optimizer)
            )
            model = DLRM(SHAPE, SCHEMA, embedding)
            model.compile(optimizer)
            models.append(model)
        stacked, tpu = models

        def batch(step: int, by_feature: bool) -> dict[str, tf.Tensor]:
            ones = tf.ones(8)
            whole = {
                "dense": ones[:, None],
                "ids": tf.constant(ids[step]),
                "label": tf.constant(labels[step]),
                "weight": ones,
            }
            return ids_by_feature(whole, SCHEMA) if by_feature else whole

        stacked(batch(0, False))
        tpu(batch(0, True))
        dense = [v for v in tpu.trainable_variables if "table" not in v.name]
        for mine, theirs in zip([v for v in stacked.trainable_variables if "tables" not in v.name], dense, strict=True):
            theirs.assign(mine)
        tables = {v.name: v for v in tpu.trainable_variables if "table" in v.name}
        starts = np.cumsum([0, *SHAPE.table_rows])
        named = [next(v for name, v in tables.items() if f"table_{i}" in name) for i in range(4)]
        for i, table in enumerate(named):
            table.assign(stacked.embedding.table[starts[i] : starts[i + 1]])
        for step in range(100):
            stacked.train_step(batch(step, False))
            tpu.train_step(batch(step, True))
        for i, table in enumerate(named):
            self.assertAllClose(stacked.embedding.table[starts[i] : starts[i + 1]], table, rtol=1e-5, atol=1e-6)


if __name__ == "__main__":
    tf.test.main()
