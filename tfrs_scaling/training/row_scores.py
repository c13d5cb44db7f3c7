"""Scores of a study's training rows: a model trained once on rows held apart, and its predictions beside the data."""

import itertools
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy import special

import tfrs_scaling
from tfrs_scaling.config import Config
from tfrs_scaling.hardware import StrategyName, make_strategy
from tfrs_scaling.input.row_scores import FORMAT_VERSION, Cost, ScoresManifest, write_manifest, write_scores
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.model.accounting import forward_flops, training_flops
from tfrs_scaling.study.row_scores import Scoring
from tfrs_scaling.training.evaluation import evaluate
from tfrs_scaling.training.loop import Progress
from tfrs_scaling.training.trial import Build, set_up_process


def make_scores(
    scoring: Scoring,
    config: Config,
    data: ClickData,
    root: Path,
    strategy_name: StrategyName,
    threads: int,
    report: Callable[[Progress], None],
) -> None:
    """Train the model and write the predicted probability of a click for every row of the training split.

    They appear in ``scoring.folder(root)`` whole or not at all; of an earlier attempt that was killed nothing is used.
    The rows that the model was trained on have predictions too, which no trial reads. Memory holds a batch of rows at
    a time. Must run in a process of its own, as a trial must (``training.trial.run_trial``); the sweep's lock keeps
    others out.

    Raises:
        TrialFailedError: the loss became NaN or infinite.
        OSError, tf.errors.OpError: the folder cannot be written.
    """
    started = time.perf_counter()
    set_up_process(config, strategy_name, threads)
    build = Build(scoring.trial, config, data, make_strategy(strategy_name), strategy_name == "tpu", old_rows=True)
    build.check_batch_size()
    training = build.training(scoring.steps, 0, report, together=False)
    training.train_until(scoring.steps)
    validation, test = (
        evaluate(training.predict, *build.evaluation(split), build.correction) for split in ("validation", "test")
    )
    folder = scoring.folder(root)
    partial = folder.with_name(f"{folder.name}.partial")
    for earlier in (partial, folder):  # of a folder without a manifest, too, nothing is used
        shutil.rmtree(earlier, ignore_errors=True)
    partial.mkdir(parents=True)
    split, per_record = data.manifest.splits["train"], data.manifest.rows_per_record
    sizes = [min(per_record, s.rows - at * per_record) for s in split.shards for at in range(s.records)]
    records = _regrouped(_probabilities(build, training.predict), sizes)
    shards = tuple(
        write_scores(partial, number, itertools.islice(records, shard.records))
        for number, shard in enumerate(split.shards)
    )
    examples = scoring.steps * config.training.batch_size
    flops = training_flops(build.shape, build.schema).total * float(examples)
    per_row = float(forward_flops(build.shape, build.schema).total)
    seconds = time.perf_counter() - started
    cost = Cost(examples, split.rows, flops, per_row, round(seconds, 3), validation.ne, test.ne)
    write_manifest(partial, ScoresManifest(FORMAT_VERSION, scoring.request, shards, cost, tfrs_scaling.__version__))
    partial.replace(folder)


def _probabilities(build: Build, predict: Callable[..., list[tf.Tensor]]) -> Iterator[np.ndarray]:
    """The predicted probabilities of the training split's rows, in the order of the shards, batch by batch: float32
    [batch]; those of rows that fill the last batch up follow.

    Where the data were prepared without some negatives, they are those of a click among the rows that are left, of
    which trials learn too: nothing is corrected.
    """
    batches, count = build.evaluation("train")
    for batch in itertools.islice(batches, count):
        logits, _, _ = predict(batch)
        yield special.expit(logits.numpy().astype(np.float64)).astype(np.float32)


def _regrouped(parts: Iterator[np.ndarray], sizes: Iterable[int]) -> Iterator[np.ndarray]:
    """The numbers of the parts, in arrays of the given sizes."""
    held = np.empty(0, np.float32)
    for size in sizes:
        while len(held) < size:
            held = np.concatenate([held, next(parts)])
        yield held[:size]
        held = held[size:]
