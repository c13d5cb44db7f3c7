"""How a DLRM's vectors interact: dot products of all pairs (DLRM), a cross network (DCN-v2), or not at all."""

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrs_scaling.model.compiled import compiled_on_cpu


class DotInteraction(tf.keras.layers.Layer):
    """The bottom MLP's vector, and the dot products of all pairs of vectors (Naumov et al. 2019)."""

    def __init__(self) -> None:
        super().__init__(name="dots")
        # Compiled, this is twice as fast on two cores as TensorFlow's operations one by one.
        self._compiled = compiled_on_cpu(_with_dots)

    def call(self, bottom: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
        """[batch, dim + n (n + 1) / 2] of the bottom vector [batch, dim] and the embeddings [batch, n, dim]."""
        return self._compiled(bottom, vectors)


class CrossInteraction(tf.keras.layers.Layer):
    """A cross network over all vectors side by side (Wang et al. 2021, DCN-v2).

    Layer l computes ``x0 * (W x + b) + x`` from its input x and the first layer's, x0. Its weights are created here and
    not at the first call.

    Args:
        width: width of its input and output, (n + 1) dim.
        layers: how many; at least 1.
        rank: rank of each W = U V; 0: W has full rank.
    """

    def __init__(self, width: int, layers: int, rank: int):
        super().__init__(name="cross")
        x = x0 = tf.keras.Input((width,))
        if rank:
            x = tfrs.layers.feature_interaction.MultiLayerDCN(projection_dim=rank, num_layers=layers)(x0)
        else:
            for _ in range(layers):
                x = tfrs.layers.feature_interaction.Cross()(x0, x)
        self.network = tf.keras.Model(x0, x)

    def call(self, bottom: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
        """[batch, (n + 1) dim] of the bottom vector [batch, dim] and the embeddings [batch, n, dim]."""
        return self.network(_side_by_side(bottom, vectors))


class NoInteraction(tf.keras.layers.Layer):
    """All vectors side by side."""

    def call(self, bottom: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
        """[batch, (n + 1) dim] of the bottom vector [batch, dim] and the embeddings [batch, n, dim]."""
        return _side_by_side(bottom, vectors)


class Sum(tf.keras.layers.Layer):
    """The sum of all vectors: of one number each, the logit of a linear model."""

    def call(self, bottom: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
        """[batch, dim] of the bottom vector [batch, dim] and the embeddings [batch, n, dim]."""
        return bottom + tf.reduce_sum(vectors, axis=1)


def _side_by_side(bottom: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    return tf.concat([bottom, tf.reshape(vectors, (-1, vectors.shape[1] * vectors.shape[2]))], axis=1)


def _with_dots(bottom: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    return tf.concat([bottom, pairwise_dots(tf.concat([bottom[:, None], vectors], axis=1))], axis=1)


@tf.custom_gradient
def pairwise_dots(vectors: tf.Tensor) -> tuple[tf.Tensor, object]:
    """Dot products of all pairs of different vectors.

    Args:
        vectors: float [batch, n, dim].

    Returns:
        float [batch, n (n - 1) / 2], in the order (1, 0), (2, 0), (2, 1), (3, 0) ...
    """
    count = vectors.shape[1]
    rows, columns = np.tril_indices(count, -1)
    products = tf.matmul(vectors, vectors, transpose_b=True)
    dots = tf.gather(tf.reshape(products, (-1, count * count)), rows * count + columns, axis=1)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        # A pair's gradient flows to both its vectors: one product with a symmetric matrix of them, whose diagonal is 0.
        # TensorFlow would differentiate the two sides of the product by two products.
        place = np.full((count, count), len(rows))
        place[rows, columns] = place[columns, rows] = np.arange(len(rows))
        symmetric = tf.gather(tf.pad(upstream, [[0, 0], [0, 1]]), place.ravel(), axis=1)
        return tf.matmul(tf.reshape(symmetric, (-1, count, count)), vectors)

    return dots, gradient
