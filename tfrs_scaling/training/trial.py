"""One trial: training, measured on fixed splits at every rung of the data ladder."""

import contextlib
import dataclasses
import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams_api

from tfrs_scaling.config import Config
from tfrs_scaling.hardware import ALONE, StrategyName, Worker, make_strategy, this_worker
from tfrs_scaling.input.batches import batches
from tfrs_scaling.input.shards import ClickData, SplitName
from tfrs_scaling.model.accounting import parameters, training_flops
from tfrs_scaling.model.dlrm import DLRM, make_model, stacks_tables
from tfrs_scaling.model.embedding import ids_by_feature
from tfrs_scaling.study.trials import Trial
from tfrs_scaling.training.evaluation import evaluate, predictor, repeated
from tfrs_scaling.training.hparams import hyperparameters
from tfrs_scaling.training.metrics import binary_entropy, prior_correction

# Seconds of training between two signs of life; how the steps are cut into calls changes no result. Several workers,
# whose clocks differ, make FIRST_STEPS in every call: in step with each other, they meet at every exchange.
REPORT_SECONDS = 2.0
FIRST_STEPS = 50
# What a trial leaves to the end of its process. TensorFlow takes seconds to take iterators down one by one, and a
# process with everything in it at once.
_LEFT_TO_THE_END: list[Any] = []


class TrialFailedError(RuntimeError):
    """The trial cannot go on; the message is the reason that its rows will show."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """A sign of life: examples trained on so far, counted each time, and examples trained on per second of training."""

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
    """Train one shape, and write its measurements as TensorBoard summaries against the different examples seen.

    A rung is measured on the way to the next one, or, where the trial trains them ``apart``, at the end of a training
    of its own. Both start alike, from the trial's seed, which also is that of the order of the rows.

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
    on_tpu = strategy_name == "tpu"
    batch_size = config.training.batch_size

    def iterator(dataset: tf.data.Dataset) -> Any:
        if not stacks_tables(config.training, on_tpu=on_tpu):
            dataset = dataset.map(lambda batch: ids_by_feature(batch, schema), num_parallel_calls=tf.data.AUTOTUNE)
        options = tf.distribute.InputOptions(experimental_fetch_to_device=not on_tpu)
        return iter(strategy.experimental_distribute_dataset(dataset, options))

    def new_training(steps: int, trained: int) -> _Training:
        tf.keras.utils.set_random_seed(trial.seed)
        with strategy.scope():
            replica_batch_size = batch_size // strategy.num_replicas_in_sync if on_tpu else None
            model = make_model(shape, schema, config.training, trial.learning_rate, replica_batch_size, steps)
        rows = batches(
            data,
            "train",
            batch_size,
            shape.table_rows,
            train=True,
            schema=schema,
            negative_rate=trial.negative_rate,
            order_seed=trial.seed,
        )
        passes = rows.take(steps // trial.epochs).repeat(trial.epochs)
        loops = training_loop(strategy, model), predictor(strategy, model)
        return _Training(*loops, iterator(passes), batch_size, trained, report, together=worker.count > 1)

    def evaluation(split: SplitName) -> tuple[Any, int]:
        # A model is judged on the clicks as they come. A TPU takes batches of one static size.
        size = batch_size if on_tpu else config.training.evaluation_batch_size
        rows = batches(data, split, size, shape.table_rows, train=False, schema=schema)
        again, count = repeated(rows, data.manifest.splits[split].rows)
        return iterator(again), count

    evaluated = {split: evaluation(split) for split in ("test", "validation")}
    correction = prior_correction(data.manifest.negative_rate * trial.negative_rate)

    writer = tf.summary.create_file_writer(str(directory)) if worker.index == 0 else tf.summary.create_noop_writer()
    with writer.as_default(step=0):
        hparams_api.hparams(hyperparameters(trial, config), trial_id=trial.trial_id)
        tf.summary.scalar("shape/parameters", parameters(shape, schema).total)
        tf.summary.scalar("shape/training_flops", training_flops(shape, schema).total)

    validation_ne = float("nan")
    trainings = iter(trial.trainings(config))
    training: _Training | None = None
    before = 0  # the rung before, in steps
    for rung in config.ladder_steps:
        with _lost_worker_named(worker):
            if training is None or trial.apart(config):
                trained = 0 if training is None else training.trained
                training = None  # the last one's memory is free before the next one takes as much
                gc.collect()
                training = new_training(next(trainings), trained)
            last_pass = (trial.epochs - 1) * rung
            training.train_until(last_pass + before)
            window = training.train_until(last_pass + rung)
            measured = {split: evaluate(training.predict, *rows, correction) for split, rows in evaluated.items()}
        validation_ne = measured["validation"].ne
        with writer.as_default(step=rung * batch_size):
            for split, metrics in measured.items():
                for name, value in dataclasses.asdict(metrics).items():
                    tf.summary.scalar(f"{split}/{name}", value)
            tf.summary.scalar("train/ne", window.ne)
            tf.summary.scalar("time/examples_per_second", window.examples_per_second)
            tf.summary.scalar("time/wall_seconds", time.perf_counter() - started)
        writer.flush()
        before = rung
    writer.close()
    _LEFT_TO_THE_END.append((training, evaluated))
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
    """A part of a training: NE of the predictions made before each update, on the rows trained on, and the speed."""

    ne: float
    examples_per_second: float


class _Training:
    """A model, from its initialisation on.

    Args:
        train_steps, predict: its ``training_loop`` and its ``predictor``.
        iterator: of its batches.
        batch_size: rows of each, over all replicas.
        trained: rows that the trial's earlier trainings took.
        report: takes a sign of life every few seconds.
        together: with other workers.
    """

    def __init__(
        self,
        train_steps: Callable[..., tuple[tf.Tensor, ...]],
        predict: Callable[[Any], list[tf.Tensor]],
        iterator: Any,
        batch_size: int,
        trained: int,
        report: Callable[[Progress], None],
        *,
        together: bool,
    ):
        self.predict, self.trained = predict, trained
        self._train_steps, self._iterator, self._batch_size = train_steps, iterator, batch_size
        self._report, self._together = report, together
        self._done = 0

    def train_until(self, end: int) -> _Window:
        """Make steps until there are ``end`` of them.

        Raises:
            TrialFailedError: the loss became NaN or infinite.
        """
        first, steps = self._done, FIRST_STEPS
        log_loss = clicks = weight = seconds = 0.0
        while self._done < end:
            steps = min(steps, end - self._done)
            started = time.perf_counter()
            sums = self._train_steps(self._iterator, tf.constant(steps))
            step_losses, step_clicks, step_weight = (float(each) for each in sums)
            elapsed = time.perf_counter() - started
            if not np.isfinite(step_losses):
                raise TrialFailedError(
                    f"the training loss became {step_losses} between examples {self._done * self._batch_size} and "
                    f"{(self._done + steps) * self._batch_size}; a smaller learning rate may help"
                )
            self._done += steps
            log_loss, clicks, weight, seconds = (
                log_loss + step_losses * self._batch_size,
                clicks + step_clicks,
                weight + step_weight,
                seconds + elapsed,
            )
            self.trained += steps * self._batch_size
            self._report(Progress(self.trained, steps * self._batch_size / elapsed))
            if not self._together:
                steps = max(1, round(steps * min(8.0, REPORT_SECONDS / elapsed)))
        # The loss of a step is over its rows, whatever they weigh; an NE is over their weight.
        one_label = not 0 < clicks < weight
        ne = float("nan") if one_label else log_loss / weight / binary_entropy(clicks / weight)
        return _Window(ne, (end - first) * self._batch_size / seconds if seconds else float("nan"))


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
