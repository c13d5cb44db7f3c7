"""A model's predictions on a split, measured."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrs_scaling.dlrm import DLRM
from tfrs_scaling.metrics import Accumulator, Metrics


def predictor(strategy: tf.distribute.Strategy, model: DLRM) -> Callable[[Any], list[tf.Tensor]]:
    """A function that gives logits, labels and weights of a batch, from all replicas."""

    @tf.function(autograph=False)
    def predict(batch: Any) -> list[tf.Tensor]:
        def replica(part: dict[str, tf.Tensor]) -> list[tf.Tensor]:
            return [model(part), part["label"], part["weight"]]

        return [strategy.gather(values, axis=0) for values in strategy.run(replica, args=(batch,))]

    return predict


def evaluate(predict: Callable[[Any], list[tf.Tensor]], dataset: Any, correction: float) -> Metrics:
    """The metrics of a split; ``correction`` is added to every logit."""
    # In NumPy and float64, outside the graph: the same on every strategy, and a TPU has no float64.
    accumulator = Accumulator()
    for batch in dataset:
        logits, labels, weights = (values.numpy() for values in predict(batch))
        accumulator.add(logits + correction, labels, weights)
    return accumulator.result()
