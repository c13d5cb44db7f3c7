"""Optimizers of tables and of dense layers."""

from typing import Any, TypeAlias

import tensorflow as tf

from tfrs_scaling.config import Training

# Keras' legacy optimizers throughout: TPUEmbedding supports no others.


class RowAdagrad(tf.keras.optimizers.legacy.Adagrad):
    """Adagrad for tables whose rows hold their accumulators behind the embedding.

    A row is then one place in memory: looking one up and updating it costs a cache miss or two. With the accumulators
    in a variable of their own it costs four, and TensorFlow's kernel takes three to four times as long.

    Duchi et al. 2011, with Keras' epsilon: ``a += g**2; w -= rate * g / (sqrt(a) + epsilon)``. Rows that have no
    gradient are neither read nor written.
    """

    def _create_slots(self, var_list: list[tf.Variable]) -> None:
        """The rows hold them."""

    def _aggregate_gradients(
        self, grads_and_vars: list[tuple[tf.IndexedSlices, tf.Variable]]
    ) -> list[tf.IndexedSlices]:
        # The loss does not depend on accumulators: their gradients, zeros all, need not travel between replicas.
        trimmed = []
        for grad, var in grads_and_vars:
            rows, dim = var.shape[0], var.shape[1] // 2
            trimmed.append((tf.IndexedSlices(grad.values[:, :dim], grad.indices, tf.constant([rows, dim])), var))
        return super()._aggregate_gradients(trimmed)

    def _resource_apply_sparse_duplicate_indices(
        self, grad: tf.Tensor, handle: tf.Variable, indices: tf.Tensor, **kwargs: Any
    ) -> tf.Operation:
        # A batch's rows are made unique by the lookup; those of several replicas are not unique together.
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            return super()._resource_apply_sparse_duplicate_indices(grad, handle, indices, **kwargs)
        return self._resource_apply_sparse(grad, handle, indices)

    def _resource_apply_sparse(
        self, grad: tf.Tensor, var: tf.Variable, indices: tf.Tensor, apply_state: Any = None
    ) -> tf.Operation:
        dim = var.shape[1] // 2
        rows = tf.gather(var, indices)
        accumulators = rows[:, dim:] + tf.square(grad)
        step = self._decayed_lr(grad.dtype) * grad / (tf.sqrt(accumulators) + self.epsilon)
        rows = tf.concat([rows[:, :dim] - step, accumulators], axis=1)
        return var.scatter_update(tf.IndexedSlices(rows, indices))


Rate: TypeAlias = "float | tf.keras.optimizers.schedules.LearningRateSchedule"


def scheduled(training: Training, learning_rate: float, steps: int | None) -> Rate:
    """The learning rate of each step.

    Of ``steps`` steps counted from 0, step t has ``learning_rate`` times ``1 - t / steps`` under the schedule
    ``linear`` and ``(1 + cos(pi t / steps)) / 2`` under ``cosine``; no step has rate 0.

    ``steps`` are those of the whole training; they may be None under ``constant`` alone.

    Raises:
        ValueError: the schedule needs the number of steps.
    """
    if training.schedule == "constant":
        return learning_rate
    if steps is None:
        raise ValueError(f"training.schedule {training.schedule} needs the number of steps")
    if training.schedule == "linear":
        return tf.keras.optimizers.schedules.PolynomialDecay(learning_rate, steps, end_learning_rate=0.0)
    return tf.keras.optimizers.schedules.CosineDecay(learning_rate, steps)


def table_optimizer(
    training: Training, learning_rate: float, *, rows_hold_accumulators: bool, steps: int | None = None
) -> tf.keras.optimizers.legacy.Optimizer:
    """The optimizer of embedding tables.

    ``rows_hold_accumulators``: the tables are made for ``RowAdagrad``; ``steps``: as for ``scheduled``.
    """
    rate = scheduled(training, learning_rate, steps)
    if training.table_optimizer == "sgd":
        return tf.keras.optimizers.legacy.SGD(rate, name="update_tables")
    adagrad = RowAdagrad if rows_hold_accumulators else tf.keras.optimizers.legacy.Adagrad
    return adagrad(rate, initial_accumulator_value=training.accumulator, name="update_tables")


def dense_optimizer(
    training: Training, learning_rate: float, steps: int | None = None
) -> tf.keras.optimizers.legacy.Optimizer:
    """The optimizer of everything but the tables, at ``training.dense_learning_rate`` if there is one."""
    rate = scheduled(training, training.dense_learning_rate or learning_rate, steps)
    match training.dense_optimizer:
        case "adagrad":
            return tf.keras.optimizers.legacy.Adagrad(
                rate, initial_accumulator_value=training.accumulator, name="update_dense"
            )
        case "sgd":
            return tf.keras.optimizers.legacy.SGD(rate, name="update_dense")
        case "adam":
            return tf.keras.optimizers.legacy.Adam(rate, name="update_dense")
