"""Our model and the stock one, trained on the same batches.

The stock peer is TensorFlow Recommenders' own ranking model, trained by Keras as its documentation shows.
"""

import resource
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrs_scaling.config import Training
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.model.dlrm import make_model
from tfrs_scaling.model.shape import Shape
from tfrs_scaling.training.isolation import run_isolated
from tfrs_scaling.training.loop import training_loop

LEARNING_RATE = 0.02


def stock_model(shape: Shape, schema: Schema, training: Training, learning_rate: float) -> tf.keras.Model:
    """``Ranking`` on ``TPUEmbedding`` with its default interaction and metrics: a DLRM without an interaction layer."""
    optimizer = tf.keras.optimizers.legacy.Adagrad(learning_rate, initial_accumulator_value=training.accumulator)
    uniform = tf.random_uniform_initializer(-training.embedding_range, training.embedding_range)
    features = {
        feature.name: tf.tpu.experimental.embedding.FeatureConfig(
            table=tf.tpu.experimental.embedding.TableConfig(
                vocabulary_size=rows, dim=shape.embedding_dim, initializer=uniform, combiner="mean", name=f"table_{k}"
            )
        )
        for k, (feature, rows) in enumerate(zip(schema.categorical, shape.table_rows, strict=True))
    }
    model = tfrs.experimental.models.Ranking(
        embedding_layer=tfrs.layers.embedding.TPUEmbedding(features, optimizer),
        bottom_stack=tfrs.layers.blocks.MLP(units=[*shape.bottom, shape.embedding_dim], final_activation="relu"),
        top_stack=tfrs.layers.blocks.MLP(units=[*shape.overarch, 1], final_activation="sigmoid"),
    )
    model.compile(optimizer)
    return model


def stock_batches(batches: tf.data.Dataset, schema: Schema) -> tf.data.Dataset:
    """Our batches as ``Ranking`` wants them."""

    def as_ranking(batch: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        ids = {}
        for feature, slots in zip(schema.categorical, schema.slots, strict=True):
            column = batch["ids"][:, slots.start : slots.stop]
            ids[feature.name] = column[:, 0] if len(slots) == 1 else tf.ragged.boolean_mask(column, column >= 0)
        return {"dense_features": batch["dense"], "sparse_features": ids}, batch["label"]

    return batches.map(as_ranking, num_parallel_calls=tf.data.AUTOTUNE)


def stock_logits(model: tf.keras.Model, batches: tf.data.Dataset) -> np.ndarray:
    """Logits float64 [rows] of all batches, as ``stock_batches`` gives them."""
    predict = tf.function(model.call, reduce_retracing=True)
    click = np.concatenate([predict(features).numpy() for features, _ in batches]).astype(np.float64)
    click = np.clip(click, 1e-7, 1 - 1e-7)  # as Keras' loss does
    return np.log(click) - np.log1p(-click)


def made_up(shape: Shape, batch_size: int, steps: int) -> dict[str, np.ndarray]:
    """So many batches of ids by Zipf's law and clicks by chance, without dense features."""
    rng, count = np.random.default_rng(0), batch_size * steps
    # The k-th row's share is that of ln(1 + 1 / k), which is Zipf's law with an exponent of 1.
    ids = [np.floor((rows + 1) ** rng.random(count)).clip(1, rows) - 1 for rows in shape.table_rows]
    label = (rng.random(count) < 0.25).astype(np.float32)
    return {"dense": np.ones((count, 1), np.float32), "ids": np.stack(ids, 1).astype(np.int32), "label": label}


def in_memory(data: dict[str, np.ndarray], batch_size: int) -> tf.data.Dataset:
    """The batches, with weights of 1."""
    whole = {**data, "weight": np.ones_like(data["label"])}
    return tf.data.Dataset.from_tensor_slices(whole).batch(batch_size, drop_remainder=True)


def ours(training: Training, shape: Shape, schema: Schema, data: dict[str, np.ndarray]) -> Callable[[], object]:
    """A function that makes one pass over the data with our model."""
    batch_size = training.batch_size
    train_steps = training_loop(tf.distribute.get_strategy(), make_model(shape, schema, training, LEARNING_RATE))
    iterator = iter(in_memory(data, batch_size).cache().repeat().prefetch(tf.data.AUTOTUNE))
    steps = len(data["label"]) // batch_size
    return lambda: train_steps(iterator, tf.constant(steps))


def stock(
    training: Training, shape: Shape, schema: Schema, data: dict[str, np.ndarray], steps_per_execution: int = 1
) -> Callable[[], object]:
    """A function that makes one pass over the data with the stock model under Keras' ``fit``."""
    model = stock_model(shape, schema, training, LEARNING_RATE)
    model.compile(model.optimizer, steps_per_execution=steps_per_execution)
    batches = stock_batches(in_memory(data, training.batch_size), schema).cache().prefetch(tf.data.AUTOTUNE)
    return lambda: model.fit(batches, verbose=0)


def peak_memory(kind: Literal["stock", "ours"], training: Training, shape: Shape, schema: Schema) -> int:
    """The largest memory in bytes of a process that makes a few steps."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = (kind, training, shape, schema)
        peak: int = run_isolated(few_steps, arguments, Path(folder) / "log.txt", lambda _: None, threading.Event())
        return peak


def few_steps(
    kind: Literal["stock", "ours"], training: Training, shape: Shape, schema: Schema, report: Callable[[Any], None]
) -> int:
    """The largest memory in bytes of this process, a few steps having been made in it."""
    batch_size = training.batch_size
    data = made_up(shape, batch_size, 3)
    data["dense"] = np.ones((len(data["label"]), max(1, len(schema.dense))), np.float32)
    run = (ours if kind == "ours" else stock)(training, shape, schema, data)
    run()
    run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
