"""DLRM (Naumov et al. 2019): bottom MLP, embeddings, dot interaction, dense-sparse interaction layer, over-arch."""

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrs_scaling.config import Training
from tfrs_scaling.input.pipeline import Batch
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.schemes import Shape


class DLRM(tfrs.models.Model):
    """The model that the study scales.

    Its weights are made here and not at the first call: each replica would draw them from random numbers of its own.

    Args:
        shape: widths of its layers.
        schema: the features.
        embedding: gives one vector per categorical feature for a batch's ``ids``.
    """

    def __init__(self, shape: Shape, schema: Schema, embedding: tf.keras.layers.Layer):
        super().__init__()
        self.embedding = embedding
        vectors = 1 + len(schema.categorical)
        interacted = shape.embedding_dim + vectors * (vectors - 1) // 2
        self.bottom = _mlp(max(1, len(schema.dense)), (*shape.bottom, shape.embedding_dim), "bottom")
        # A stack of its own, so that its parameters are counted apart from the over-arch's.
        self.interaction = _mlp(interacted, (shape.interaction,) if shape.interaction else (), "interaction")
        self.overarch = _mlp(shape.interaction or interacted, shape.overarch, "overarch")
        self.logit = tf.keras.layers.Dense(1, name="logit")
        self.logit.build(self.overarch.output_shape)

    def call(self, batch: Batch) -> tf.Tensor:
        """Logits of a click, float32 [batch]."""
        dense_vector = self.bottom(batch["dense"])
        vectors = tf.concat([dense_vector[:, None], self.embedding(batch["ids"])], axis=1)
        interacted = tf.concat([dense_vector, pairwise_dots(vectors)], axis=1)
        return self.logit(self.overarch(self.interaction(interacted)))[:, 0]

    def compute_loss(self, inputs: Batch, training: bool = False) -> tf.Tensor:
        """This replica's share of the mean log loss over the global batch: the replicas' shares add up to it."""
        losses = log_losses(self(inputs), inputs["label"])
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return tf.reduce_sum(inputs["weight"] * losses) / (losses.shape[0] * replicas)


def pairwise_dots(vectors: tf.Tensor) -> tf.Tensor:
    """Dot products of all pairs of different vectors.

    Args:
        vectors: float32 [batch, n, dim].

    Returns:
        float32 [batch, n (n - 1) / 2], in the order (1, 0), (2, 0), (2, 1), (3, 0) ...
    """
    count = vectors.shape[1]
    rows, columns = np.tril_indices(count, -1)
    products = tf.matmul(vectors, vectors, transpose_b=True)
    # A gather of known places: several times faster, with its gradient, than the boolean mask of tfrs' DotInteraction.
    return tf.gather(tf.reshape(products, (-1, count * count)), rows * count + columns, axis=1)


def log_losses(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-ln(predicted probability of what happened) for each row, in nats: float32 [batch]."""
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)


def make_optimizer(training: Training, learning_rate: float) -> tf.keras.optimizers.legacy.Optimizer:
    """Adagrad, for tables and dense layers alike. The legacy one: TPUEmbedding takes no other, and it updates the
    rows of a table that a batch visits in one fused operation and no others."""
    return tf.keras.optimizers.legacy.Adagrad(learning_rate, initial_accumulator_value=training.accumulator)


def _mlp(inputs: int, widths: tuple[int, ...], name: str) -> tf.keras.Sequential:
    # He's initialisation is the one made for ReLU (He et al. 2015); narrow stacks die less often under it.
    layers = [tf.keras.layers.Dense(width, "relu", kernel_initializer="he_normal") for width in widths]
    return tf.keras.Sequential([tf.keras.Input((inputs,)), *layers], name=name)
