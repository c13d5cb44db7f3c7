"""Scores of a study's training rows: a model trained once on rows held apart, and its predictions beside the data."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy import special

import tfrs_scaling
from tfrs_scaling.config import Config
from tfrs_scaling.hardware import ALONE, StrategyName, make_strategy
from tfrs_scaling.input.row_scores import FORMAT_VERSION, Cost, ScoresManifest, write_manifest, write_scores
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.model.accounting import forward_flops, training_flops
from tfrs_scaling.study.row_scores import Scoring
from tfrs_scaling.training.loop import REPORT_SECONDS, Progress
from tfrs_scaling.training.trial import Build, Record, measure, set_up_process


def make_scores(
    scoring: Scoring,
    config: Config,
    data: ClickData,
    directory: Path,
    strategy_name: StrategyName,
    threads: int,
    report: Callable[[Progress], None],
) -> None:
    """Train the model and write the predicted probability of a click for every row of the training split.

    The directory then also holds the measurements of its training, as a trial's does, and the manifest, written last.
    The rows that the model was trained on have predictions too, which no trial reads. Memory holds a batch of rows at
    a time. Must run in a process of its own, as a trial must (``training.trial.run_trial``).

    ``report`` is called with the progress every few seconds; after the rows trained on it counts those predicted.

    Raises:
        TrialFailedError: the loss became NaN or infinite.
        OSError, tf.errors.OpError: the directory cannot be written.
    """
    started = time.perf_counter()
    set_up_process(config, strategy_name, threads)
    strategy = make_strategy(strategy_name)
    build = Build(scoring.trial, config, data, strategy, strategy_name == "tpu", scorer=scoring.name)
    build.check_batch_size()
    batch_size = config.training.batch_size
    training = build.training(scoring.examples // batch_size, 0, report, together=False)
    record = Record(directory, build, ALONE, started)
    for rung in scoring.rungs:
        window = training.train_until(rung // batch_size)
        measured = measure(build, training)
        record.write(rung, measured, window)
    record.close()
    split, per_record = data.manifest.splits["train"], data.manifest.rows_per_record
    sizes = [min(per_record, s.rows - at * per_record) for s in split.shards for at in range(s.records)]
    predicted = _probabilities(build, training.predict)
    records = _regrouped(_reported(predicted, scoring.examples, split.rows, report), sizes)
    shards = tuple(
        write_scores(directory, number, itertools.islice(records, shard.records))
        for number, shard in enumerate(split.shards)
    )
    cost = Cost(
        examples=scoring.examples,
        scored=split.rows,
        flops=training_flops(build.shape, build.schema).total * float(scoring.examples),
        flops_per_row=float(forward_flops(build.shape, build.schema).total),
        seconds=round(time.perf_counter() - started, 3),
        validation_ne=measured["validation"].ne,
        test_ne=measured["test"].ne,
    )
    write_manifest(directory, ScoresManifest(FORMAT_VERSION, scoring.request, shards, cost, tfrs_scaling.__version__))


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


def _reported(
    parts: Iterator[np.ndarray], trained: int, rows: int, report: Callable[[Progress], None]
) -> Iterator[np.ndarray]:
    """The parts, with a report every few seconds of how many of the rows they have reached, after those trained on."""
    done, since = 0, time.perf_counter()
    reported = done
    for part in parts:
        done = min(done + len(part), rows)
        if (elapsed := time.perf_counter() - since) > REPORT_SECONDS or done == rows:
            report(Progress(trained + done, (done - reported) / elapsed))
            reported, since = done, time.perf_counter()
        yield part


def _regrouped(parts: Iterator[np.ndarray], sizes: Iterable[int]) -> Iterator[np.ndarray]:
    """The numbers of the parts, in arrays of the given sizes."""
    held = np.empty(0, np.float32)
    for size in sizes:
        while len(held) < size:
            held = np.concatenate([held, next(parts)])
        yield held[:size]
        held = held[size:]
