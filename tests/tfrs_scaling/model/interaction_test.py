import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from absl.testing import parameterized

from tfrs_scaling.model.interaction import CrossInteraction, DotInteraction, pairwise_dots


class InteractionTest(tf.test.TestCase, parameterized.TestCase):
    def test_pairwise_dots_by_hand(self) -> None:
        vectors = tf.constant([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
        self.assertAllEqual(pairwise_dots(vectors), [[3 + 8, 5 + 12, 15 + 24]])

    @parameterized.parameters(2, 5, 9)
    def test_pairwise_dots_and_their_gradient_are_those_of_tfrs(self, count: int) -> None:
        vectors = tf.random.stateless_normal((7, count, 4), (1, 2))
        upstream = tf.random.stateless_normal((7, count * (count - 1) // 2), (3, 4))
        results = []
        for dots in (
            pairwise_dots,
            lambda v: tfrs.layers.feature_interaction.DotInteraction()(tf.unstack(v, axis=1)),
        ):
            with tf.GradientTape() as tape:
                tape.watch(vectors)
                given = dots(vectors)
            results.append((given, tape.gradient(given, vectors, upstream)))
        for mine, theirs in zip(*results, strict=True):
            self.assertAllClose(mine, theirs, rtol=1e-5, atol=1e-6)

    def test_dots_stand_behind_the_bottom_vector(self) -> None:
        bottom, vectors = tf.constant([[1.0, 2.0]]), tf.constant([[[3.0, 4.0]]])
        self.assertAllEqual(DotInteraction()(bottom, vectors), [[1, 2, 11]])

    @parameterized.parameters(0, 2)
    def test_cross_network_is_wang_s_equation(self, rank: int) -> None:
        tf.keras.utils.set_random_seed(1)
        layer = CrossInteraction(6, 3, rank)
        for variable in layer.weights:
            variable.assign(tf.random.stateless_normal(variable.shape, (1, len(variable.shape))))
        bottom, vectors = np.array([[1.0, -2.0]]), np.array([[[0.5, 1.5], [2.0, -1.0]]])
        x0 = np.concatenate([bottom, vectors.reshape(1, 4)], axis=1)
        weights = [w.numpy().astype(np.float64) for w in layer.weights]
        matrices, biases = [w for w in weights if w.ndim == 2], [w for w in weights if w.ndim == 1]
        if rank:  # u of all layers stand before v of all, or in turn, as the layer keeps them
            u, v = [m for m in matrices if m.shape == (6, 2)], [m for m in matrices if m.shape == (2, 6)]
            matrices = [left @ right for left, right in zip(u, v, strict=True)]
        x = x0
        for matrix, bias in zip(matrices, biases, strict=True):
            x = x0 * (x @ matrix + bias) + x
        self.assertAllClose(layer(tf.constant(bottom, tf.float32), tf.constant(vectors, tf.float32)), x, rtol=1e-4)


if __name__ == "__main__":
    tf.test.main()
