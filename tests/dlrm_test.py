import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrs_scaling.config import Training
from tfrs_scaling.dlrm import DLRM, make_optimizer, pairwise_dots
from tfrs_scaling.embedding import StackedEmbedding
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.schemes import Shape

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


class DLRMTest(tf.test.TestCase):
    def built(self, shape: Shape = SHAPE) -> DLRM:
        tf.keras.utils.set_random_seed(3)
        model = DLRM(shape, SCHEMA, StackedEmbedding(shape, SCHEMA, 0.5))
        model(batch(2))
        return model

    def test_pairwise_dots_by_hand(self) -> None:
        vectors = tf.constant([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
        self.assertAllEqual(pairwise_dots(vectors), [[3 + 8, 5 + 12, 15 + 24]])

    def test_pairwise_dots_are_those_of_tfrs(self) -> None:
        vectors = tf.random.stateless_normal((7, 5, 4), (1, 2))
        stock = tfrs.layers.feature_interaction.DotInteraction()(tf.unstack(vectors, axis=1))
        self.assertAllClose(pairwise_dots(vectors), stock)

    def test_logits_equal_a_numpy_model(self) -> None:
        model, data = self.built(), batch(6)
        tables = model.embedding.table.numpy()

        def stack(layers: tf.keras.Sequential, x: np.ndarray) -> np.ndarray:
            for layer in layers.layers:
                x = np.maximum(x @ layer.kernel.numpy() + layer.bias.numpy(), 0)
            return x

        bottom = stack(model.bottom, data["dense"].numpy())
        a, b = tables[data["ids"].numpy()[:, 0]], tables[3 + data["ids"].numpy()[:, 1]]
        dots = np.stack([(bottom * a).sum(1), (bottom * b).sum(1), (a * b).sum(1)], 1)
        top = stack(model.overarch, stack(model.interaction, np.concatenate([bottom, dots], 1)))
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

    def test_gradients_equal_finite_differences_in_float64(self) -> None:
        tf.keras.backend.set_floatx("float64")
        try:
            model = self.built()
            data = {
                name: tf.cast(values, tf.float64) if values.dtype == tf.float32 else values
                for name, values in batch(6).items()
            }
            variables = model.trainable_variables
            with tf.GradientTape() as tape:
                loss = model.compute_loss(data)
            for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
                derivatives = tf.convert_to_tensor(gradient).numpy().reshape(-1)
                flat = variable.numpy().reshape(-1)
                for k in range(0, flat.size, max(1, flat.size // 5)):
                    sides = []
                    for step in (1e-6, -1e-6):
                        moved = flat.copy()
                        moved[k] += step
                        variable.assign(moved.reshape(variable.shape))
                        sides.append(float(model.compute_loss(data)))
                    variable.assign(flat.reshape(variable.shape))
                    self.assertNear((sides[0] - sides[1]) / 2e-6, derivatives[k], 1e-7)
        finally:
            tf.keras.backend.set_floatx("float32")

    def test_adagrad_starts_near_zero(self) -> None:
        # First step of Adagrad from an accumulator a: lr * g / sqrt(a + g^2), which is lr for any g >> sqrt(a).
        variable = tf.Variable([1.0, 1.0])
        optimizer = make_optimizer(Training(1, (0.1,)), 0.1)
        optimizer.apply_gradients([(tf.constant([1e-2, -3.0]), variable)])
        self.assertAllClose(variable, [0.9, 1.1], atol=1e-5)

    def test_keras_fit_runs_it(self) -> None:
        model = self.built()
        model.compile(make_optimizer(Training(8, (0.1,)), 0.1))
        data = tf.data.Dataset.from_tensors(batch(64)).repeat(50)
        history = model.fit(data, epochs=2, verbose=0).history["loss"]
        self.assertLess(history[1], history[0])


if __name__ == "__main__":
    tf.test.main()
