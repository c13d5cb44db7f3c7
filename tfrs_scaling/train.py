"""One trial: one pass over the training data, measured on fixed splits at every rung of the data ladder."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams_api

from tfrs_scaling.accounting import parameters, training_flops
from tfrs_scaling.config import Config
from tfrs_scaling.dlrm import DLRM, make_model
from tfrs_scaling.embedding import TFRSEmbedding, ids_by_feature
from tfrs_scaling.hparams import hyperparameters
from tfrs_scaling.input.pipeline import batches
from tfrs_scaling.input.shards import ClickData, SplitName
from tfrs_scaling.metrics import Accumulator, Metrics, binary_entropy, prior_correction
from tfrs_scaling.strategy import ALONE, StrategyName, Worker, make_strategy, this_worker
from tfrs_scaling.trials import Trial

# Seconds of training between two signs of life; how the steps are cut into calls changes no result. Several workers,
# whose clocks differ, make FIRST_STEPS in every call: in step with each other, they meet at every exchange.
REPORT_SECONDS = 2.0
FIRST_STEPS = 50


class TrialFailedError(RuntimeError):
    """The trial cannot go on; the message is the reason that its rows will show."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """A sign of life: examples trained on so far, and examples trained on per second of training."""

    examples: int
    examples_per_second: float


def run_trial(
    trial: Trial,
    config: Config,
    data: ClickData,
    directory: Path,
    strategy_name: StrategyName,
    threads: int,
    report: Callable[[Progress], None],
) -> float:
    """Train one shape, and write its measurements as TensorBoard summaries against examples seen.

    Must run in a process of its own: it sets TensorFlow's threads, seed and determinism for good. Under
    ``multi_worker`` each worker calls it for the same trial: all train and measure, the chief writes.

    Args:
        trial: what to train.
        config: the study.
        data: its shards.
        directory: where the event file goes; a worker that is not the chief leaves it alone.
        strategy_name: the hardware.
        threads: CPU threads to use.
        report: takes a sign of life every few seconds.

    Returns:
        The validation NE at the last rung.

    Raises:
        TrialFailedError: the loss became NaN or infinite, the replicas cannot share a batch evenly, or another worker
            was lost.
        InputError: the strategy is ``multi_worker`` and TF_CONFIG is malformed.
    """
    started = time.perf_counter()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.keras.utils.set_random_seed(trial.seed)
    if strategy_name == "cpu":  # elsewhere some operations know no deterministic way and would refuse to run
        tf.config.experimental.enable_op_determinism()
    worker = this_worker() if strategy_name == "multi_worker" else ALONE
    strategy = make_strategy(strategy_name)
    if config.training.batch_size % strategy.num_replicas_in_sync:
        raise TrialFailedError(
            f"training.batch_size: {config.training.batch_size} rows cannot be shared evenly by "
            f"{strategy.num_replicas_in_sync} replicas; choose a multiple"
        )

    schema, shape = trial.schema(config, data.manifest.schema), trial.shape(config, data.manifest.schema)
    # A TPU takes batches of one static size.
    evaluation_batch_size = (
        config.training.batch_size if strategy_name == "tpu" else config.training.evaluation_batch_size
    )
    with strategy.scope():
        replica_batch_size = config.training.batch_size // strategy.num_replicas_in_sync
        model = make_model(
            shape, schema, config.training, trial.learning_rate, replica_batch_size if strategy_name == "tpu" else None
        )
    by_feature = isinstance(model.embedding, TFRSEmbedding)

    def split_batches(split: SplitName, batch_size: int) -> tf.data.Dataset:
        train = split == "train"
        dataset = batches(
            data,
            split,
            batch_size,
            shape.table_rows,
            train=train,
            schema=schema,
            negative_rate=trial.negative_rate if train else 1.0,  # a model is judged on the clicks as they come
        )
        if by_feature:
            dataset = dataset.map(lambda batch: ids_by_feature(batch, schema), num_parallel_calls=tf.data.AUTOTUNE)
        options = tf.distribute.InputOptions(experimental_fetch_to_device=strategy_name != "tpu")
        return strategy.experimental_distribute_dataset(dataset, options)

    train_iterator = iter(split_batches("train", config.training.batch_size))
    evaluation = {split: split_batches(split, evaluation_batch_size) for split in ("test", "validation")}
    train_steps, predict = training_loop(strategy, model), _predictor(strategy, model)
    correction = prior_correction(data.manifest.negative_rate * trial.negative_rate)

    done = 0
    validation_ne = float("nan")
    writer = tf.summary.create_file_writer(str(directory)) if worker.index == 0 else tf.summary.create_noop_writer()
    with writer.as_default(step=0):
        hparams_api.hparams(hyperparameters(trial), trial_id=trial.trial_id)
        tf.summary.scalar("shape/parameters", parameters(shape, schema).total)
        tf.summary.scalar("shape/training_flops", training_flops(shape, schema).total)
    for rung in config.ladder_steps:
        with _lost_worker_named(worker):
            window = _train_until(
                rung, done, train_steps, train_iterator, config.training.batch_size, report, together=worker.count > 1
            )
            measured = {split: _evaluate(predict, dataset, correction) for split, dataset in evaluation.items()}
        done = rung
        examples = done * config.training.batch_size
        validation_ne = measured["validation"].ne
        with writer.as_default(step=examples):
            for split, metrics in measured.items():
                for name, value in dataclasses.asdict(metrics).items():
                    tf.summary.scalar(f"{split}/{name}", value)
            tf.summary.scalar("train/ne", window.ne)
            tf.summary.scalar("time/examples_per_second", window.examples_per_second)
            tf.summary.scalar("time/wall_seconds", time.perf_counter() - started)
        writer.flush()
    writer.close()
    return validation_ne


@contextlib.contextmanager
def _lost_worker_named(worker: Worker) -> Iterator[None]:
    """TensorFlow's words about a broken exchange are a page long, and the worker that broke it is not in them."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if worker.count == 1:
            raise
        raise TrialFailedError(
            "another worker ended or cannot be reached; the same command, on every worker, tries the trial again"
        ) from error


@dataclasses.dataclass(frozen=True)
class _Window:
    """Training between two rungs: NE of the predictions made before each update, on the rows trained on, and the
    speed."""

    ne: float
    examples_per_second: float


def _train_until(
    rung: int,
    done: int,
    train_steps: Callable[..., tuple[tf.Tensor, ...]],
    iterator: Any,
    batch_size: int,
    report: Callable[[Progress], None],
    *,
    together: bool,
) -> _Window:
    first, steps = done, FIRST_STEPS
    log_loss = clicks = weight = seconds = 0.0
    while done < rung:
        steps = min(steps, rung - done)
        started = time.perf_counter()
        step_losses, step_clicks, step_weight = (float(sums) for sums in train_steps(iterator, tf.constant(steps)))
        elapsed = time.perf_counter() - started
        if not np.isfinite(step_losses):
            raise TrialFailedError(
                f"the training loss became {step_losses} between examples {done * batch_size} and "
                f"{(done + steps) * batch_size}; a smaller learning rate may help"
            )
        done += steps
        log_loss, clicks, weight, seconds = (
            log_loss + step_losses * batch_size,
            clicks + step_clicks,
            weight + step_weight,
            seconds + elapsed,
        )
        report(Progress(done * batch_size, steps * batch_size / elapsed))
        if not together:
            steps = max(1, round(steps * min(8.0, REPORT_SECONDS / elapsed)))
    # The loss of a step is over its rows, whatever they weigh; an NE is over their weight.
    one_label = not 0 < clicks < weight
    ne = float("nan") if one_label else log_loss / weight / binary_entropy(clicks / weight)
    return _Window(ne, (rung - first) * batch_size / seconds)


def training_loop(strategy: tf.distribute.Strategy, model: DLRM) -> Callable[..., tuple[tf.Tensor, ...]]:
    """A function that takes an iterator and a number of steps, and makes them without returning to Python; it
    gives the sum over steps of the mean log loss before the update, and the sums of the clicks' weights and of all."""

    def step(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        weight = batch["weight"]
        return model.train_step(batch)["loss"], tf.reduce_sum(weight * batch["label"]), tf.reduce_sum(weight)

    # Without AutoGraph, whose rewriting of every function it meets took half of a trial's start.
    @tf.function(autograph=False)
    def train_steps(iterator: Any, steps: tf.Tensor) -> tuple[tf.Tensor, ...]:
        def one_more(done: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
            of_step = strategy.run(step, args=(next(iterator),))
            added = (tf.cast(strategy.reduce("SUM", s, axis=None), tf.float64) for s in of_step)
            return done + 1, *(before + s for before, s in zip(sums, added, strict=True))

        zero = tf.zeros((), tf.float64)
        _, *sums = tf.while_loop(lambda done, *_: done < steps, one_more, (tf.constant(0), zero, zero, zero))
        return tuple(sums)

    return train_steps


def _predictor(strategy: tf.distribute.Strategy, model: DLRM) -> Callable[[Any], list[tf.Tensor]]:
    """A function that gives logits, labels and weights of a batch, from all replicas."""

    @tf.function(autograph=False)
    def predict(batch: Any) -> list[tf.Tensor]:
        def replica(part: dict[str, tf.Tensor]) -> list[tf.Tensor]:
            return [model(part), part["label"], part["weight"]]

        return [strategy.gather(values, axis=0) for values in strategy.run(replica, args=(batch,))]

    return predict


def _evaluate(predict: Callable[[Any], list[tf.Tensor]], dataset: Any, correction: float) -> Metrics:
    """The metrics of a split; ``correction`` is added to every logit."""
    # In NumPy and float64, outside the graph: the same on every strategy, and a TPU has no float64.
    accumulator = Accumulator()
    for batch in dataset:
        logits, labels, weights = (values.numpy() for values in predict(batch))
        accumulator.add(logits + correction, labels, weights)
    return accumulator.result()
