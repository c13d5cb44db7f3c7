"""The default study against its plan, its stated answer, and the same grid as separate KerasTuner trials.

``STUDY_WORKDIR=FOLDER`` makes ``default_study`` look at a finished study of ``tuner_configs/study.yaml`` there, run
without a break, and not run one, which takes minutes.
"""

import functools
import gc
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
import tensorflow as tf

from tests.helpers.peers import stock_batches, stock_model
from tests.helpers.sweeps import STUDY, Swept, made, swept
from tfrs_scaling.config import Config, read_config
from tfrs_scaling.input.batches import batches
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.calibration import calibrate
from tfrs_scaling.planning.cost import wall_seconds
from tfrs_scaling.planning.plan import jobs_at_once, plan_on
from tfrs_scaling.study.export import export, read_scalars
from tfrs_scaling.study.trials import Trial, all_trials
from tfrs_scaling.study.workdir import Workdir

# What the head of study.yaml says: by how much a shape, or half the data, changes test NE at the top.
EXPECTED = {
    "V 4": (-0.022, -0.004), "H 4": (-0.022, -0.003), "O 4": (-0.019, -0.001), "M 4": (-0.027, -0.008),
    "V 1/4": (0.0, 0.02), "H 1/4": (0.03, 0.07), "O 1/4": (0.0, 0.02), "M 1/4": (0.05, 0.09),
    "half the data": (0.001, 0.02),
}  # fmt: skip
OTHER_CLICKS = (1, 2)  # seeds of the generator

SAMPLED_PER_RUNG = 5  # of the trials: a tenth or less of the grid


class StudyBenchmark(tf.test.Benchmark):
    """Needs an otherwise idle machine: some 4 minutes for the study, 12 for the separate trials."""

    def benchmark_default_study(self) -> None:
        """The plan of study.yaml against the study, and where the study's time goes."""
        config = read_config(STUDY)
        data = made(config)
        planned = plan_on(config, data.manifest)
        jobs = jobs_at_once(planned, "cpu")
        calibration = calibrate(
            config,
            data,
            planned,
            Path(tempfile.mkdtemp()),
            strategy="cpu",
            jobs=jobs,
            on_progress=lambda _: None,
        )
        planned = plan_on(config, data.manifest, calibration.speed)
        predicted = wall_seconds((p.seconds for p in planned), jobs)
        study = default_study()
        spent = {path.parent.name: spent_by(path.parent) for path in study.workdir.trials.glob("*/trial.json")}
        training, evaluation, tracing, starting = (
            sum(parts) / jobs / study.wall for parts in zip(*spent.values(), strict=True)
        )
        print(f"\nstudy.yaml, {jobs} at a time: {study.wall:.0f} s; predicted {predicted:.0f} s")
        print(f"  after a calibration of {calibration.seconds:.0f} s")
        overhead = 1 - training - evaluation
        print(
            f"  training {training:.1%} of it, evaluation {evaluation:.1%}, overhead {overhead:.1%}: tracing "
            f"{tracing:.1%}, start of trials {starting:.1%}, all else {overhead - tracing - starting:.1%}"
        )
        seconds = {p.trial.trial_id: p.seconds for p in planned}
        ratios = [seconds[name] / sum(of_trial) for name, of_trial in spent.items() if name in seconds]
        print(f"  predicted over real by trial: {np.percentile(ratios, [0, 25, 50, 75, 100]).round(2)}")
        extras = {"predicted": predicted, "training": training, "evaluation": evaluation, "overhead": overhead}
        if study.peak_bytes:
            largest = max(p.bytes for p in planned)
            print(f"  largest trial {study.peak_bytes / 2**20:.0f} MiB, predicted {largest / 2**20:.0f} MiB")
            extras |= {"peak_mib": study.peak_bytes / 2**20, "predicted_peak_mib": largest / 2**20}
        self.report_benchmark(iters=len(planned), wall_time=study.wall, name="default_study", extras=extras)

    def benchmark_answer(self) -> None:
        """Whether the default study finds what its head says."""
        changes = changes_at_top(default_study().workdir)
        print()
        for name, (low, high) in EXPECTED.items():
            said = "as stated" if low <= changes[name] <= high else "NOT as stated"
            print(f"  {name}: {changes[name]:+.4f}, {low:+.3f} to {high:+.3f}: {said}")
        inside = sum(low <= changes[name] <= high for name, (low, high) in EXPECTED.items())
        self.report_benchmark(iters=len(EXPECTED), name="answer", extras={"as_stated": inside})

    def benchmark_answer_on_other_clicks(self) -> None:
        """By how much each lever changes NE on clicks of other seeds of the generator: minutes for each."""
        for seed in OTHER_CLICKS:
            config = read_config(STUDY, [f"synthetic.seed={seed}"])
            data = made(config)
            changes = changes_at_top(swept(config, data, jobs_at_once(plan_on(config, data.manifest), "cpu")).workdir)
            print(f"\nseed {seed}: " + ", ".join(f"{name} {changes[name]:+.4f}" for name in EXPECTED))
            up = sum(changes[f"{scheme} 4"] < 0 for scheme in "VHOM")
            self.report_benchmark(iters=4, name=f"other_clicks_{seed}", extras={"levers_that_pay": up})

    def benchmark_separate_trials(self) -> None:
        """The same grid as one KerasTuner trial, with the stock model under Keras' fit, per shape, rate and data size.

        A seeded sample of the shapes and rates is trained at every data size, and stands for all of them there.
        """
        config = read_config(STUDY)
        data, trials = made(config), all_trials(config)
        draw = random.Random(0)  # noqa: S311 -- a sample
        points = [(trial, rung) for rung in config.ladder for trial in draw.sample(trials, SAMPLED_PER_RUNG)]
        tuner = SeparateTrials(config, data, points, Path(tempfile.mkdtemp()))
        began = time.perf_counter()
        tuner.search()
        between = (time.perf_counter() - began - sum(map(sum, tuner.seconds.values()))) / len(points)
        total = sum((np.mean(seconds) + between) * len(trials) for seconds in tuner.seconds.values())
        print(f"\nstudy.yaml as separate KerasTuner trials: {len(points)} of {len(trials) * len(config.ladder)} run")
        for rung, seconds in tuner.seconds.items():
            print(f"  at {rung:,} rows: {np.mean(seconds):.1f} s, from {min(seconds):.1f} to {max(seconds):.1f} s")
        print(f"  and {between:.2f} s between two trials; all of them: {total / 60:.1f} min")
        study = default_study()
        print(f"  the study: {study.wall / 60:.1f} min, {total / study.wall:.1f} times less")
        self.report_benchmark(
            iters=len(points), wall_time=total, name="separate_trials", extras={"ratio": total / study.wall}
        )


@functools.cache
def default_study() -> Swept:
    """The default study, run here or found where ``STUDY_WORKDIR`` says."""
    if folder := os.environ.get("STUDY_WORKDIR"):
        workdir = Workdir(Path(folder))
        ends = [path.stat().st_mtime for path in workdir.trials.glob("*/trial.json")]
        return Swept(workdir, max(ends) - workdir.study.stat().st_mtime, 0)
    config = read_config(STUDY)
    data = made(config)
    return swept(config, data, jobs_at_once(plan_on(config, data.manifest), "cpu"))


def changes_at_top(workdir: Workdir) -> dict[str, float]:
    """Test NE, a mean over seeds, less the baseline's at the largest data size: of shapes, and of half the data."""
    config, manifest = workdir.reopened()
    runs = export(config, manifest, workdir)
    by = ["scheme", "multiplier", "learning_rate", "examples"]
    ours = (runs["status"] == "ok") & (runs["architecture"] == config.model.architecture)
    points = runs[ours].groupby(by)["test_ne"].agg(["size", "mean"])
    # Every seed is trained at the rate found alone.
    ne = points.loc[points["size"] == len(config.sweep.seeds), "mean"].droplevel("learning_rate")
    half, top = config.ladder[-2:]
    baseline = ne["D", 1.0, top]
    shapes = {f"{scheme} {text}": (scheme, size) for scheme in "VHOM" for text, size in (("1/4", 0.25), ("4", 4.0))}
    changes = {name: float(ne[(*shape, top)] - baseline) for name, shape in shapes.items()}
    return changes | {"half the data": float(ne["D", 1.0, half] - baseline)}


def spent_by(directory: Path) -> tuple[float, float, float, float]:
    """Seconds that a trial spent on training, on evaluation, on tracing its training, and before.

    A shape's first stretch of steps in a process traces the training. What that stretch's rows take without is told by
    the later ones, and so is what an evaluation takes.
    """
    scalars = read_scalars(directory)
    wall, speed = scalars["time/wall_seconds"], scalars["time/examples_per_second"]
    ladder = sorted(wall)
    rows = np.diff((0, *ladder))
    of_training = rows / np.array([speed[examples] for examples in ladder])
    of_evaluation = np.diff([wall[examples] for examples in ladder]) - of_training[1:]
    first = rows[0] / speed[ladder[1]]
    training = first + of_training[1:].sum()
    evaluation = of_evaluation.sum() + np.median(of_evaluation)
    tracing = of_training[0] - first
    return float(training), float(evaluation), float(tracing), float(wall[ladder[-1]] - training - evaluation - tracing)


class SeparateTrials(kt.GridSearch):
    """What one would write without this package: a training per trial, in one process.

    Args:
        config: the study.
        data: its shards.
        points: trials, each with its data size.
        folder: KerasTuner's.
    """

    def __init__(self, config: Config, data: ClickData, points: list[tuple[Trial, int]], folder: Path):
        self._config, self._data = config, data
        self._points = {f"{trial.trial_id} {examples}": (trial, examples) for trial, examples in points}
        self.seconds: dict[int, list[float]] = {examples: [] for _, examples in points}
        space = kt.HyperParameters()
        space.Choice("point", list(self._points))
        super().__init__(
            hypermodel=lambda hp: None,
            objective=kt.Objective("val_loss", "min"),
            hyperparameters=space,
            directory=folder,
            overwrite=True,
        )

    def run_trial(self, trial: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Build, fit and evaluate one model."""
        began = time.perf_counter()
        tf.keras.backend.clear_session()  # as KerasTuner does before it builds a model
        gc.collect()
        point, examples = self._points[trial.hyperparameters.get("point")]
        schema, training = self._data.manifest.schema, self._config.training
        shape = point.shape(self._config, schema)
        tf.keras.utils.set_random_seed(point.seed)
        model = stock_model(shape, schema, training, point.learning_rate)

        def split(name: Any, size: int) -> tf.data.Dataset:
            rows = batches(self._data, name, size, shape.table_rows, train=name == "train")
            return stock_batches(rows, schema).prefetch(tf.data.AUTOTUNE)

        fitted = model.fit(
            split("train", training.batch_size).take(examples // training.batch_size),
            validation_data=split("validation", training.evaluation_batch_size),
            verbose=0,
        )
        model.evaluate(split("test", training.evaluation_batch_size), verbose=0)
        self.seconds[examples].append(time.perf_counter() - began)
        return {"val_loss": fitted.history["val_loss"][-1]}


if __name__ == "__main__":
    tf.test.main()
