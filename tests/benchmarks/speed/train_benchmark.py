"""How fast a trial trains, and what it takes besides training: evaluation, and all else."""

import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import tensorflow as tf

from tfrs_scaling.config import read_config
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import SyntheticSource
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.study.export import read_scalars
from tfrs_scaling.study.search import Need
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.training.evaluation import evaluate
from tfrs_scaling.training.isolation import run_isolated
from tfrs_scaling.training.trial import run_trial

CONFIG = Path(__file__).parents[3] / "tuner_configs" / "study.yaml"


class TrainBenchmark(tf.test.Benchmark):
    """The baseline of the default study, on one thread."""

    def benchmark_batches_of_256(self) -> None:
        self._measure(256)

    def benchmark_batches_of_2048(self) -> None:
        self._measure(2048)

    def _measure(self, batch_size: int) -> None:
        config = read_config(CONFIG, (f"training.batch_size={batch_size}",))
        assert config.synthetic is not None
        folder = Path(tempfile.mkdtemp())
        prepare(SyntheticSource(config.synthetic), folder / "data", seed=config.synthetic.seed)
        trial, data = all_trials(config)[0], ClickData.open(folder / "data")
        started = time.perf_counter()
        evaluating = run_isolated(
            _seconds_evaluating,
            (Need(trial), config, data, folder, "cpu", 1),
            folder / "log.txt",
            lambda _: None,
            threading.Event(),
        )
        seconds = time.perf_counter() - started
        speeds = read_scalars(folder)["time/examples_per_second"]
        training = sum((b - a) / speeds[b] for a, b in zip((0, *speeds), speeds, strict=False))
        self.report_benchmark(
            iters=config.ladder_steps[-1],
            wall_time=seconds,
            throughput=speeds[config.ladder[-1]],
            extras={
                "seconds_training": round(training, 2),
                "seconds_evaluating": round(evaluating, 2),
                "seconds_else": round(seconds - training - evaluating, 2),
                "share_evaluating": round(evaluating / seconds, 3),
            },
        )


def _seconds_evaluating(*arguments: Any) -> float:
    """What a trial's evaluations take; the first one of a split is traced."""
    seconds = 0.0

    def timed(*of_split: Any) -> Any:
        nonlocal seconds
        started = time.perf_counter()
        metrics = evaluate(*of_split)
        seconds += time.perf_counter() - started
        return metrics

    with mock.patch("tfrs_scaling.training.trial.evaluate", timed):
        run_trial(*arguments)
    return seconds


if __name__ == "__main__":
    tf.test.main()
