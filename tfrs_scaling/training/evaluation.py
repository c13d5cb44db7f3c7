"""A model's predictions on a split, measured."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrs_scaling.model.dlrm import DLRM
from tfrs_scaling.training.metrics import Accumulator, Metrics

# Of a split's batches; a larger split is read again for each evaluation.
KEPT_BYTES = 64 << 20


def evaluation_batches(dataset: tf.data.Dataset, rows: int) -> tuple[tf.data.Dataset, int]:
    """The batches of so many rows, repeated endlessly, and how many batches one pass has.

    They are read and parsed once if they take no more than ``KEPT_BYTES``. One iterator over them serves all rungs:
    making one takes as long as predicting some ten thousand rows.
    """
    bytes_per_batch = sum(spec.shape.num_elements() * spec.dtype.size for spec in dataset.element_spec.values())
    count = -(-rows // dataset.element_spec["label"].shape[0])
    return (dataset.cache() if count * bytes_per_batch <= KEPT_BYTES else dataset).repeat(), count


def predictor(strategy: tf.distribute.Strategy, model: DLRM) -> Callable[[Any], list[tf.Tensor]]:
    """A function from a batch to the logits, labels and weights of its rows, from all replicas."""

    @tf.function(autograph=False)
    def predict(batch: Any) -> list[tf.Tensor]:
        def replica(part: dict[str, tf.Tensor]) -> list[tf.Tensor]:
            return [model(part), part["label"], part["weight"]]

        return [strategy.gather(values, axis=0) for values in strategy.run(replica, args=(batch,))]

    return predict


def evaluate(predict: Callable[[Any], list[tf.Tensor]], iterator: Any, count: int, correction: float) -> Metrics:
    """The metrics of the iterator's next ``count`` batches, a split; ``correction`` is added to every logit."""
    # In NumPy and float64, outside the graph: the same on every strategy, and a TPU has no float64.
    accumulator = Accumulator()
    for _ in range(count):
        logits, labels, weights = (values.numpy() for values in predict(next(iterator)))
        accumulator.add(logits + correction, labels, weights)
    return accumulator.result()
