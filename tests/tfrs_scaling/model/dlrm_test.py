import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.config import Training, Wukong
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.model.dlrm import DLRM, make_model
from tfrs_scaling.model.shape import Shape

SCHEMA = Schema("y", (CategoricalFeature("a", 3), CategoricalFeature("b", 4)), (DenseFeature("x"),))
SHAPE = Shape((3, 4), 2, (3,), 2, (3,))


def batch(rows: int, seed: int = 0) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    return {
        "dense": tf.constant(rng.random((rows, 1)), tf.float32),
        "ids": tf.constant(np.stack([rng.integers(0, 3, rows), rng.integers(0, 4, rows)], 1), tf.int32),
        "label": tf.constant(rng.integers(0, 2, rows), tf.float32),
        "weight": tf.ones(rows),
    }


# Tables of three dimensions, two of them projected to that of the interaction, and a multi-hot feature.
MIXED = Schema(
    "y",
    (
        CategoricalFeature("a", 5),
        CategoricalFeature("m", 4, max_values=3, separator="|"),
        CategoricalFeature("b", 3),
        CategoricalFeature("c", 6),
    ),
    (DenseFeature("x"), DenseFeature("z")),
)
MIXED_SHAPE = Shape((5, 4, 3, 6), 4, (5,), 6, (7, 3), table_dims=(4, 2, 3, 2), pooling=("mean", "sum", "mean", "mean"))
WUKONG_SHAPE = dataclasses.replace(MIXED_SHAPE, architecture="wukong", wukong=Wukong(1, 3, 1, 2, ()))
LINEAR_SHAPE = Shape((5, 4, 3, 6), 1, (), 0, (), architecture="linear")


def mixed_batch(rows: int, seed: int = 0) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, high, rows) for high in (5, 4, 4, 4, 3, 6)], 1)
    ids[rng.random(rows) < 0.5, 3] = -1
    return {
        "dense": tf.constant(rng.normal(size=(rows, 2)), tf.float32),
        "ids": tf.constant(ids, tf.int32),
        "label": tf.constant(rng.integers(0, 2, rows), tf.float32),
        "weight": tf.constant(rng.integers(0, 3, rows), tf.float32),
    }


def stack(layers: tf.keras.Sequential, x: np.ndarray) -> np.ndarray:
    for layer in layers.layers:
        x = np.maximum(x @ layer.kernel.numpy() + layer.bias.numpy(), 0)
    return x


class DLRMTest(tf.test.TestCase, parameterized.TestCase):
    def built(self, shape: Shape = SHAPE, schema: Schema = SCHEMA, **training: Any) -> DLRM:
        tf.keras.utils.set_random_seed(3)
        return make_model(shape, schema, Training(8, (0.1,), embedding_range=0.5, **training), 0.1)

    def test_logits_equal_a_numpy_model(self) -> None:
        model, data = self.built(), batch(6)
        table_a, table_b = (table.numpy() for table in model.embedding.embeddings())
        bottom = stack(model.bottom, data["dense"].numpy())
        a, b = table_a[data["ids"].numpy()[:, 0]], table_b[data["ids"].numpy()[:, 1]]
        dots = np.stack([(bottom * a).sum(1), (bottom * b).sum(1), (a * b).sum(1)], 1)
        top = stack(model.overarch, stack(model.interaction, np.concatenate([bottom, dots], 1)))
        expected = (top @ model.logit.kernel.numpy() + model.logit.bias.numpy())[:, 0]
        self.assertAllClose(model(data), expected, rtol=1e-5, atol=1e-6)

    def test_logits_of_mixed_dimensions_equal_a_numpy_model(self) -> None:
        model, data = self.built(MIXED_SHAPE, MIXED), mixed_batch(9)
        a, m, b, c = (table.numpy() for table in model.embedding.embeddings())
        ids = data["ids"].numpy()
        from_2, from_3 = (
            next(w.numpy() for w in model.projection.weights if f"from_{dim}" in w.name) for dim in (2, 3)
        )
        of_m = np.stack([sum(m[i] for i in row if i >= 0) for row in ids[:, 1:4]])
        vectors = np.stack(
            [
                stack(model.bottom, data["dense"].numpy()),
                a[ids[:, 0]],
                of_m @ from_2[0],
                b[ids[:, 4]] @ from_3[0],
                c[ids[:, 5]] @ from_2[1],
            ],
            axis=1,
        )
        pairs = [(i, j) for i in range(5) for j in range(i)]
        dots = np.stack([(vectors[:, i] * vectors[:, j]).sum(1) for i, j in pairs], 1)
        top = stack(model.overarch, stack(model.interaction, np.concatenate([vectors[:, 0], dots], 1)))
        expected = (top @ model.logit.kernel.numpy() + model.logit.bias.numpy())[:, 0]
        self.assertAllClose(model(data), expected, rtol=1e-5, atol=1e-6)

    def test_linear_logits_equal_a_numpy_model(self) -> None:
        model, data = self.built(LINEAR_SHAPE, MIXED), mixed_batch(9)
        a, m, b, c = (table.numpy()[:, 0] for table in model.embedding.embeddings())
        (layer,) = model.bottom.layers
        logits = data["dense"].numpy() @ layer.kernel.numpy()[:, 0] + layer.bias.numpy()[0]
        ids = data["ids"].numpy()
        logits += a[ids[:, 0]] + b[ids[:, 4]] + c[ids[:, 5]]
        logits += [np.mean([m[i] for i in row if i >= 0]) for row in ids[:, 1:4]]
        self.assertLess(logits.min(), 0)  # nothing is cut off at 0
        self.assertAllClose(model(data), logits, rtol=1e-5, atol=1e-6)

    def test_mlp_sees_the_vectors_side_by_side(self) -> None:
        model, data = self.built(dataclasses.replace(SHAPE, architecture="mlp")), batch(6)
        table_a, table_b = (table.numpy() for table in model.embedding.embeddings())
        a, b = table_a[data["ids"].numpy()[:, 0]], table_b[data["ids"].numpy()[:, 1]]
        vectors = np.concatenate([stack(model.bottom, data["dense"].numpy()), a, b], 1)
        top = stack(model.overarch, stack(model.interaction, vectors))
        expected = (top @ model.logit.kernel.numpy() + model.logit.bias.numpy())[:, 0]
        self.assertAllClose(model(data), expected, rtol=1e-5, atol=1e-6)

    def test_without_interaction_layer_the_overarch_sees_the_dots(self) -> None:
        model = self.built(Shape((3, 4), 2, (3,), 0, (3,)))
        self.assertEqual(model.overarch.layers[0].kernel.shape, (2 + 3, 3))

    def test_loss_is_the_mean_log_loss(self) -> None:
        model, data = self.built(), batch(6)
        probability = 1 / (1 + np.exp(-model(data).numpy().astype(np.float64)))
        label = data["label"].numpy()
        expected = -np.mean(label * np.log(probability) + (1 - label) * np.log(1 - probability))
        self.assertAllClose(model.compute_loss(data), expected)

    @parameterized.named_parameters(
        ("dot", SHAPE, SCHEMA, batch),
        ("mixed_dimensions", MIXED_SHAPE, MIXED, mixed_batch),
        ("cross", dataclasses.replace(MIXED_SHAPE, architecture="cross", cross_layers=2), MIXED, mixed_batch),
        ("cross_low_rank", dataclasses.replace(SHAPE, architecture="cross", cross_rank=2), SCHEMA, batch),
        ("wukong", WUKONG_SHAPE, MIXED, mixed_batch),
        ("mlp", dataclasses.replace(MIXED_SHAPE, architecture="mlp"), MIXED, mixed_batch),
        ("linear", LINEAR_SHAPE, MIXED, mixed_batch),
    )
    def test_gradients_equal_finite_differences_in_float64(self, shape: Shape, schema: Schema, rows: Any) -> None:
        tf.keras.backend.set_floatx("float64")
        try:
            model = self.built(shape, schema)
            data = {
                name: tf.cast(values, tf.float64) if values.dtype == tf.float32 else values
                for name, values in rows(6).items()
            }
            variables = model.trainable_variables
            for number, bias in enumerate(v for v in variables if v.shape.rank == 1):
                # Away from 0, where a ReLU has no derivative.
                bias.assign(tf.random.stateless_normal(bias.shape, (5, number), stddev=0.3, dtype=tf.float64))
            with tf.GradientTape() as tape:
                loss = model.compute_loss(data)
            for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
                start = variable.numpy()
                derivatives = tf.convert_to_tensor(gradient).numpy()
                places = list(np.ndindex(derivatives.shape))
                for place in places[:: max(1, len(places) // 7)]:
                    sides = []
                    for step in (1e-6, -1e-6):
                        moved = start.copy()
                        moved[place] += step
                        variable.assign(moved)
                        sides.append(float(model.compute_loss(data)))
                    variable.assign(start)
                    self.assertNear((sides[0] - sides[1]) / 2e-6, derivatives[place], 1e-7)
        finally:
            tf.keras.backend.set_floatx("float32")

    @parameterized.parameters("dot", "cross")
    def test_order_of_the_tables_does_not_matter(self, architecture: Any) -> None:
        # The same tables in another order; what follows the interaction has its inputs in another order, too.
        order = [2, 0, 3, 1]
        shape = dataclasses.replace(
            MIXED_SHAPE, table_dims=(4, 2, 4, 2), architecture=architecture, interaction=0, cross_layers=1
        )
        permuted_shape = dataclasses.replace(
            shape,
            table_rows=tuple(shape.table_rows[k] for k in order),
            table_dims=tuple(shape.table_dims[k] for k in order),
            pooling=tuple(shape.pooling[k] for k in order),
        )
        permuted_schema = dataclasses.replace(MIXED, categorical=tuple(MIXED.categorical[k] for k in order))
        model, permuted = self.built(shape, MIXED), self.built(permuted_shape, permuted_schema)
        data = mixed_batch(20)
        columns = [column for k in order for column in MIXED.slots[k]]
        permuted_data = {**data, "ids": tf.gather(data["ids"], columns, axis=1)}

        vectors = [0, *(1 + k for k in order)]  # the permuted model's vectors, as places among the other's
        if architecture == "dot":
            pairs = [(i, j) for i in range(5) for j in range(i)]
            there = [pairs.index(tuple(sorted((vectors[i], vectors[j]), reverse=True))) for i, j in pairs]  # type: ignore[arg-type]
            inputs = [*range(4), *(4 + k for k in there)]
        else:
            inputs = [4 * vector + k for vector in vectors for k in range(4)]
        for mine, theirs in zip(model.bottom.weights, permuted.bottom.weights, strict=True):
            theirs.assign(mine)
        for mine, theirs in zip(model.overarch.weights, permuted.overarch.weights, strict=True):
            theirs.assign(tf.gather(mine, inputs) if mine.shape[0] == len(inputs) else mine)
        for mine, theirs in zip(model.logit.weights, permuted.logit.weights, strict=True):
            theirs.assign(mine)
        if architecture == "cross":
            for mine, theirs in zip(model.interact.weights, permuted.interact.weights, strict=True):
                moved = tf.gather(mine, inputs)
                theirs.assign(tf.gather(moved, inputs, axis=1) if mine.shape.rank == 2 else moved)
        by_dim = [[k for k in range(4) if shape.table_dims[k] == dim] for dim in (4, 2)]
        by_dim_permuted = [[k for k in order if shape.table_dims[k] == dim] for dim in (4, 2)]
        (mine,), (theirs,) = model.projection.weights, permuted.projection.weights
        theirs.assign(tf.gather(mine, [by_dim[1].index(k) for k in by_dim_permuted[1]]))
        tables = model.embedding.embeddings()
        for variable, features in zip(permuted.embedding.table_variables, by_dim_permuted, strict=True):
            stacked = tf.concat([tables[k] for k in features], axis=0)
            variable.assign(tf.concat([stacked, variable[:, stacked.shape[1] :]], axis=1))
        self.assertAllClose(model(data), permuted(permuted_data), rtol=1e-5, atol=1e-6)

    def test_bfloat16_changes_arithmetic_and_no_weight_nor_the_loss_s_type(self) -> None:
        exact, rounded, data = self.built(), self.built(precision="bfloat16"), batch(50)
        for mine, theirs in zip(exact.trainable_variables, rounded.trainable_variables, strict=True):
            self.assertEqual(theirs.dtype, tf.float32)
            theirs.assign(mine)
        self.assertEqual(rounded.bottom.layers[0].compute_dtype, "bfloat16")
        self.assertEqual(rounded(data).dtype, tf.float32)
        self.assertNotAllEqual(rounded(data), exact(data))
        self.assertAllClose(rounded.compute_loss(data), exact.compute_loss(data), rtol=1e-2)

    @parameterized.parameters("adagrad", "sgd", "adam")
    def test_keras_fit_runs_it(self, dense_optimizer: str) -> None:
        model = self.built(dense_optimizer=dense_optimizer, dense_learning_rate=0.01)
        data = tf.data.Dataset.from_tensors(batch(64)).repeat(50)
        history = model.fit(data, epochs=2, verbose=0).history["loss"]
        self.assertLess(history[1], history[0])


if __name__ == "__main__":
    tf.test.main()
