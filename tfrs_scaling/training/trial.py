"""One trial: trained, and measured on fixed splits at every rung of the data ladder."""

import contextlib
import dataclasses
import functools
import gc
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams_api

from tfrs_scaling.config import Config
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.hardware import ALONE, StrategyName, Worker, make_strategy, this_worker
from tfrs_scaling.input.batches import batches, sampled_errors, with_target
from tfrs_scaling.input.history import History, find_history
from tfrs_scaling.input.manifest import SplitName
from tfrs_scaling.input.pruning import Pruning, at_random, by_error
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.model.accounting import parameters, training_flops
from tfrs_scaling.model.compiled import compiles_step
from tfrs_scaling.model.dlrm import DLRM, initialise_again, make_model, stacks_tables
from tfrs_scaling.model.embedding import ids_by_feature
from tfrs_scaling.model.shape import Shape
from tfrs_scaling.study.search import Need
from tfrs_scaling.study.trials import Trial, traces_once
from tfrs_scaling.training.evaluation import evaluate, evaluation_batches, predictor
from tfrs_scaling.training.hparams import hyperparameters
from tfrs_scaling.training.loop import DivergedError, Progress, Training, TrialFailedError, Window, training_loop
from tfrs_scaling.training.metrics import Metrics, prior_correction


@dataclasses.dataclass
class Kept:
    """What the trials of a shape that run in one process share: it is traced and read once.

    Attributes:
        strategy: the devices.
        traced: the model, and its functions that train and predict; None before the first training, and where each
            training is traced again.
        splits: iterators and numbers of batches of the evaluation splits.
        trainings: those that ended.
    """

    strategy: tf.distribute.Strategy | None = None
    traced: tuple[DLRM, Callable[..., Any], Callable[..., Any]] | None = None
    splits: dict[SplitName, tuple[Any, int]] = dataclasses.field(default_factory=dict)
    trainings: list[Training] = dataclasses.field(default_factory=list)


# By shape, until the process ends: destroying TensorFlow's iterators one by one takes seconds.
_KEPT: dict[tuple[str, ...], Kept] = {}


@dataclasses.dataclass(frozen=True)
class Trained:
    """The outcome of a trial.

    Attributes:
        validation_ne: at each rung measured.
        stopped: why it was not trained on more rows; empty if it was measured at every rung.
        diverged: whether it was stopped because its loss became NaN or infinite.
    """

    validation_ne: tuple[float, ...]
    stopped: str = ""
    diverged: bool = False


def run_trial(
    need: Need,
    config: Config,
    data: ClickData,
    directory: Path,
    strategy_name: StrategyName,
    threads: int,
    report: Callable[[Progress], None],
) -> Trained:
    """Train one shape, and write its measurements as TensorBoard summaries, whose step is the number of training rows.

    Must run in a process for it and other trials of its study: it sets TensorFlow's threads and determinism for good.
    What an earlier trial of the same shape made is used again; the measurements are the same to the last bit.

    Under ``multi_worker`` each worker calls it for the same trial: all train and measure, the chief writes.

    ``report`` is called with the progress every few seconds. ``threads`` are the CPU threads to use.

    Raises:
        TrialFailedError: the loss became NaN or infinite where the need has no limits, the replicas cannot share a
            batch evenly, or another worker was lost.
        InputError: the strategy is ``multi_worker`` and TF_CONFIG is malformed.
    """
    started = time.perf_counter()
    set_up_process(config, strategy_name, threads)
    worker = this_worker() if strategy_name == "multi_worker" else ALONE
    kept = _KEPT.setdefault((need.trial.shape_id, config.config_hash, str(data.folder), strategy_name), Kept())
    kept.strategy = kept.strategy or make_strategy(strategy_name)
    build = Build(need.trial, config, data, kept.strategy, on_tpu=strategy_name == "tpu", kept=kept)
    return measure_ladder(build, directory, report, need=need, worker=worker, started=started)


def set_up_process(config: Config, strategy_name: StrategyName, threads: int) -> None:
    """Set TensorFlow's threads, precision and determinism in this process, for good."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    # Despite its name it concerns TPUs too, which else multiply in bfloat16.
    tf.config.experimental.enable_tensor_float_32_execution(config.training.precision == "tf32")
    if strategy_name == "cpu":  # elsewhere some operations have no deterministic kernel and would refuse to run
        tf.config.experimental.enable_op_determinism()


def measure_ladder(
    build: "Build",
    directory: Path,
    report: Callable[[Progress], None],
    *,
    need: Need | None = None,
    worker: Worker = ALONE,
    started: float | None = None,
) -> Trained:
    """Train and measure a trial at every rung of its ladder; see ``run_trial``.

    A rung is measured on the way to the next one or, if data sizes are trained ``from_scratch``, at the end of its own
    training. Both start alike: from the trial's seed, which also orders the rows.

    ``need`` says where it is stopped; None: nowhere. ``started`` is the time when the trial started by
    ``time.perf_counter``; None: now.
    """
    started = time.perf_counter() if started is None else started
    build.check_batch_size()
    trial, config = build.trial, build.config
    need = need or Need(trial)
    record = Record(directory, build, worker, started)
    validation_ne: list[float] = []
    stopped, diverged = "", False
    trainings = iter(trial.trainings(config))
    training: Training | None = None
    before = 0  # the previous rung, in steps
    for rung in config.ladder_steps:
        with lost_worker_named(worker):
            if training is None or trial.from_scratch(config):
                trained = 0 if training is None else training.trained
                if training is not None:  # free its memory before the next one takes as much
                    training = None
                    gc.collect()
                training = build.training(next(trainings), trained, report, together=worker.count > 1)
            last_pass = (trial.epochs - 1) * rung
            try:
                training.train_until(last_pass + before)
                window = training.train_until(last_pass + rung)
                measured = measure(build, training)
                if not math.isfinite(measured["validation"].ne):
                    raise DivergedError("the validation NE became NaN or infinite; a smaller learning rate may help")
            except DivergedError:
                if not need.limits:
                    raise
                # Not the error's message: between which rows it was noticed differs from run to run.
                rows = rung * config.training.batch_size
                stopped = f"its learning rate is too large: the loss became NaN or infinite before {rows:,} rows"
                diverged = True
                break
        validation_ne.append(measured["validation"].ne)
        record.write(rung * config.training.batch_size, measured, window)
        before = rung
        if stopped := need.why_stop(validation_ne, config.ladder):
            break
    record.close()
    if training is not None:
        build.kept.trainings.append(training)
    return Trained(tuple(validation_ne), stopped, diverged)


def measure(build: "Build", training: Training) -> dict[SplitName, Metrics]:
    """The metrics of a model, as it is trained by now, on the evaluation splits."""
    splits: tuple[SplitName, ...] = ("test", "validation")
    return {split: evaluate(training.predict, *build.evaluation(split), build.correction) for split in splits}


@dataclasses.dataclass(frozen=True)
class Build:
    """Makes the parts of a trial: its rows, its model, its training.

    Attributes:
        on_tpu: whether these are a TPU's, which takes batches of one static size and ids by feature.
        kept: what earlier trials of the shape made, and later ones will use.
        scorer: the name of the scorer that it is, which is trained on the rows that the study holds apart; empty: of
            none, it is trained on the others.
    """

    trial: Trial
    config: Config
    data: ClickData
    strategy: tf.distribute.Strategy
    on_tpu: bool = False
    kept: Kept = dataclasses.field(default_factory=Kept)
    scorer: str = ""

    @functools.cached_property
    def schema(self) -> Schema:
        """The features that the model sees."""
        return self.trial.schema(self.config, self.data.manifest.schema)

    @functools.cached_property
    def shape(self) -> Shape:
        """The model's sizes."""
        return self.trial.shape(self.config, self.data.manifest.schema)

    @functools.cached_property
    def history(self) -> History | None:
        """The rows that the study holds apart."""
        return find_history(self.data, self.config.held_apart) if self.config.held_apart else None

    @functools.cached_property
    def pruning(self) -> Pruning | None:
        """Which rows of the log the trial is trained on; None: all."""
        share, keeps = self.trial.kept_share, SCHEMES[self.trial.scheme].keeps
        if share == 1:
            return None
        if keeps == "random":
            return at_random(share)
        assert self.history is not None, "a study with a scorer holds its rows apart"
        errors = sampled_errors(self.data, self.data.scores["scorer"], self.history)
        return by_error(share, errors, largest=keeps == "hard")

    @property
    def correction(self) -> float:
        """What is added to every logit, for the negatives that training left out."""
        return prior_correction(self.data.manifest.negative_rate * self.trial.negative_rate)

    def check_batch_size(self) -> None:
        """Check that the replicas can share a batch evenly."""
        batch_size, replicas = self.config.training.batch_size, self.strategy.num_replicas_in_sync
        if batch_size % replicas:
            raise TrialFailedError(
                f"training.batch_size: {batch_size} rows cannot be shared evenly by {replicas} replicas; choose a "
                "multiple"
            )

    def training_rows(self) -> tf.data.Dataset:
        """The batches of the training split, in the order of the trial's seed."""
        taught = self.trial.scheme == "T"
        ranked = self.pruning is not None and self.pruning.slope
        scores = self.data.scores["teacher" if taught else "scorer"] if taught or ranked else None
        rows = batches(
            self.data,
            "train",
            self.config.training.batch_size,
            self.shape.table_rows,
            train=True,
            schema=self.schema,
            negative_rate=self.trial.negative_rate,
            order_seed=self.trial.seed,
            history=self.history,
            old=bool(self.scorer),
            scores=scores,
            pruning=self.pruning,
        )
        return rows.map(lambda batch: with_target(batch, self.trial.teacher_weight)) if taught else rows

    def model(self, steps: int) -> DLRM:
        """The model, initialised from the trial's seed, for a training of so many steps."""
        tf.keras.utils.set_random_seed(self.trial.seed)
        training = self.config.training
        replica_batch_size = training.batch_size // self.strategy.num_replicas_in_sync if self.on_tpu else None
        with self.strategy.scope():
            return make_model(self.shape, self.schema, training, self.trial.learning_rate, replica_batch_size, steps)

    @property
    def traces_once(self) -> bool:
        """Whether a traced training can be used for another: copies on several replicas would have to be initialised
        together."""
        return traces_once(self.config.training) and self.strategy.num_replicas_in_sync == 1 and not self.on_tpu

    def traced(self, steps: int) -> tuple[DLRM, Callable[..., Any], Callable[..., Any]]:
        """The model as initialised from the trial's seed, and its functions that train and predict."""
        if self.kept.traced is not None:
            tf.keras.utils.set_random_seed(self.trial.seed)
            model = self.kept.traced[0]
            initialise_again(model, self.shape, self.schema, self.config.training, self.trial.learning_rate)
            return self.kept.traced
        model = self.model(steps)
        stacked = stacks_tables(self.config.training, on_tpu=self.on_tpu)
        train_steps = training_loop(self.strategy, model, compiled=stacked and compiles_step(self.strategy))
        traced = model, train_steps, predictor(self.strategy, model)
        if self.traces_once:
            self.kept.traced = traced
            gc.freeze()  # it stays, so garbage collections need not scan it: they took a fifth of a later trial's start
        return traced

    def training(self, steps: int, trained: int, report: Callable[[Progress], None], *, together: bool) -> Training:
        """A training of so many steps, for a trial that was trained on ``trained`` rows before."""
        (_, train_steps, predict), epochs = self.traced(steps), self.trial.epochs
        passes = self.training_rows().take(steps // epochs).repeat(epochs)
        batch_size = self.config.training.batch_size
        return Training(train_steps, predict, self.iterator(passes), batch_size, trained, report, together=together)

    def evaluation(self, split: SplitName) -> tuple[Any, int]:
        """An endless iterator over the batches of a split, and how many of them are one pass.

        All rows count, whatever share of the negatives the trial is trained on.
        """
        if split not in self.kept.splits:
            size = self.config.training.batch_size if self.on_tpu else self.config.training.evaluation_batch_size
            rows = batches(self.data, split, size, self.shape.table_rows, train=False, schema=self.schema)
            endless, count = evaluation_batches(rows, self.data.manifest.splits[split].rows)
            self.kept.splits[split] = self.iterator(endless), count
        return self.kept.splits[split]

    def iterator(self, dataset: tf.data.Dataset) -> Any:
        """The batches on the strategy's devices, their ids as the embedding layer takes them."""
        if not stacks_tables(self.config.training, on_tpu=self.on_tpu):
            dataset = dataset.map(lambda batch: ids_by_feature(batch, self.schema), num_parallel_calls=tf.data.AUTOTUNE)
        options = tf.distribute.InputOptions(experimental_fetch_to_device=not self.on_tpu)
        return iter(self.strategy.experimental_distribute_dataset(dataset, options))


class Record:
    """A trial's or a scorer's event file; of several workers the chief alone has one.

    ``started``: by ``time.perf_counter``.
    """

    def __init__(self, directory: Path, build: Build, worker: Worker, started: float):
        self._started = started
        chief = worker.index == 0
        self._writer = tf.summary.create_file_writer(str(directory)) if chief else tf.summary.create_noop_writer()
        with self._writer.as_default(step=0):
            name = build.scorer or build.trial.trial_id
            hparams_api.hparams(hyperparameters(build.trial, build.config), trial_id=name)
            tf.summary.scalar("shape/parameters", parameters(build.shape, build.schema).total)
            tf.summary.scalar("shape/training_flops", training_flops(build.shape, build.schema).total)

    def write(self, examples: int, measured: dict[SplitName, Metrics], window: Window) -> None:
        """Write what was measured after training on so many examples."""
        with self._writer.as_default(step=examples):
            for split, metrics in measured.items():
                for name, value in dataclasses.asdict(metrics).items():
                    tf.summary.scalar(f"{split}/{name}", value)
            tf.summary.scalar("train/ne", window.ne)
            tf.summary.scalar("time/examples_per_second", window.examples_per_second)
            tf.summary.scalar("time/wall_seconds", time.perf_counter() - self._started)
        self._writer.flush()

    def close(self) -> None:
        """No more will be written."""
        self._writer.close()


@contextlib.contextmanager
def lost_worker_named(worker: Worker) -> Iterator[None]:
    """Turn an error of an exchange between workers into a reason: TensorFlow's is a page long and names no worker."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if worker.count == 1:
            raise
        raise TrialFailedError(
            "another worker ended or cannot be reached; run the same command again on every worker to retry the trial"
        ) from error
