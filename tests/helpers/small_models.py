"""Small models of every kind, and a batch for each, to trace."""

from typing import Any

import numpy as np

from tfrs_scaling.config import Wukong
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.shards import PADDING
from tfrs_scaling.model.shape import Shape

BATCH = 64
DENSE = (DenseFeature("x"), DenseFeature("z"))
ONE_HOT = tuple(CategoricalFeature(name, rows) for name, rows in (("a", 50), ("b", 30), ("c", 60)))
SETS = CategoricalFeature("m", 40, max_values=3, separator="|")
MODELS = {
    "one_hot": (Schema("y", ONE_HOT, DENSE), Shape((50, 30, 60), 8, (16,), 16, (16, 16))),
    "multi_hot": (
        Schema("y", (*ONE_HOT, SETS), DENSE),
        Shape((50, 30, 60, 40), 8, (16,), 16, (16,), table_dims=(8, 8, 8, 4), pooling=("mean", "mean", "mean", "sum")),
    ),
    "cross": (
        Schema("y", ONE_HOT, DENSE),
        Shape((50, 30, 60), 8, (16,), 16, (16, 16), architecture="cross", cross_layers=2, cross_rank=2),
    ),
    "wukong": (
        Schema("y", ONE_HOT, DENSE),
        Shape((50, 30, 60), 8, (16,), 16, (16, 16), architecture="wukong", wukong=Wukong(2, 3, 2, 4, (16,))),
    ),
}


def batch_of(schema: Schema) -> dict[str, np.ndarray]:
    """A batch of random rows, half of whose sets have one value."""
    random = np.random.default_rng(0)
    ids = random.integers(0, 30, (BATCH, schema.slots[-1].stop)).astype(np.int32)
    for slots in schema.slots:
        ids[::2, slots.start + 1 : slots.stop] = PADDING
    return {
        "dense": random.random((BATCH, len(schema.dense))).astype(np.float32),
        "ids": ids,
        "label": (random.random(BATCH) < 0.3).astype(np.float32),
        "weight": np.ones(BATCH, np.float32),
    }


def traced(function: Any, *arguments: Any) -> Any:
    """The graph that a ``tf.function`` would run for these arguments."""
    return function.get_concrete_function(*arguments)
