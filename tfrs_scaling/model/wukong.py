"""Wukong (Zhang et al. 2024, arXiv 2403.02545): interaction layers of stacked factorization machines.

Embeddings are the columns of a matrix here and not its rows, as in the paper: what recombines them is then a product
with one matrix for all rows of a batch.
"""

import tensorflow as tf

from tfrs_scaling.model.mlp import mlp
from tfrs_scaling.model.shape import Shape

EPSILON = 1e-6  # of layer normalization: the variance of dot products of fresh embeddings is near 1e-5


class WukongInteraction(tf.keras.layers.Layer):
    """``shape.wukong.layers`` layers, each of which turns embeddings X into LN(concat(FMB(X), LCB(X)) + X).

    Args:
        shape: sizes of the model.
        embeddings: how many enter each layer.
        policy: arithmetic of the layers' MLPs; all else is float32.
    """

    def __init__(self, shape: Shape, embeddings: tuple[int, ...], policy: tf.keras.mixed_precision.Policy):
        super().__init__(name="wukong")
        self.stack = [_Layer(shape, count, f"layer_{at}", policy) for at, count in enumerate(embeddings)]

    def call(self, bottom: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
        """[batch, dim (n_f + n_l)] of the bottom vector [batch, dim] and the embeddings [batch, n, dim]."""
        x = tf.transpose(tf.concat([bottom[:, None], vectors], axis=1), [0, 2, 1])
        for layer in self.stack:
            x = layer(x)
        return tf.reshape(x, (-1, x.shape[1] * x.shape[2]))


class _Layer(tf.keras.layers.Layer):
    """One layer: a factorization-machine block beside a linear compression block, with a residual connection.

    Of the input X (columns), the compression block makes X W. The factorization machine makes all dot products X'X, of
    which X'X Y is computed as X'(X Y), with a learned Y of ``k`` columns (the optimized FM of section 3.6; that Y may
    depend on the input, as the paper adds, is left out). They are flattened, normalized, and turned into ``n_f``
    embeddings by an MLP with a linear last layer. X is added as it is, or projected where the numbers of embeddings
    differ.
    """

    def __init__(self, shape: Shape, embeddings: int, name: str, policy: tf.keras.mixed_precision.Policy):
        super().__init__(name=name)
        own, dim = shape.wukong, shape.embedding_dim
        self._parts = [own.n_l, own.k] + [own.n_f + own.n_l] * (embeddings != own.n_f + own.n_l)
        # One product for W, Y and the residual's projection; each keeps the mean square of an element.
        self.recombination = self.add_weight(
            "recombination",
            (embeddings, sum(self._parts)),
            initializer=tf.keras.initializers.RandomNormal(stddev=embeddings**-0.5),
        )
        self.norm_of_products = _LayerNorm(embeddings * own.k, "norm_of_products")
        self.mlp = mlp((embeddings * own.k, *own.mlp, own.n_f * dim), "mlp", policy, last=None)
        self.norm = _LayerNorm(dim, "norm")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[batch, dim, n_f + n_l] of [batch, dim, n]."""
        dim, count = x.shape[1:]
        parts = tf.split(tf.tensordot(x, self.recombination, 1), self._parts, axis=2)
        compressed, projected, residual = (*parts, x)[:3]
        products = tf.matmul(tf.transpose(x, [0, 2, 1]), projected)
        products = tf.reshape(products, (-1, count * projected.shape[2]))
        made = tf.cast(self.mlp(self.norm_of_products(products)), x.dtype)
        made = tf.reshape(made, (-1, dim, made.shape[1] // dim))
        together = tf.concat([made, compressed], axis=2) + residual
        return self.norm(together)


class _LayerNorm(tf.keras.layers.Layer):
    """Layer normalization (Ba et al. 2016) of axis 1: mean 0 and variance 1, then a learned scale and shift."""

    def __init__(self, size: int, name: str):
        super().__init__(name=name)
        self.scale = self.add_weight("scale", (size,), initializer="ones")
        self.shift = self.add_weight("shift", (size,), initializer="zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The same shape."""
        scale, shift = (tf.reshape(weight, (1, -1, *[1] * (x.shape.rank - 2))) for weight in (self.scale, self.shift))
        centred = x - tf.reduce_mean(x, axis=1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), axis=1, keepdims=True)
        return centred * tf.math.rsqrt(variance + EPSILON) * scale + shift
