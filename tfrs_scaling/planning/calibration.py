"""A machine's speed, measured by a few seconds of real trials of the study, run as the sweep will run them."""

import dataclasses
import itertools
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_scaling.config import Config, read_config
from tfrs_scaling.fit.schemes import BASELINE
from tfrs_scaling.hardware import StrategyName, count_cores, make_strategy, on_own_device
from tfrs_scaling.input.manifest import MANIFEST, SPLITS, Split, SplitName
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import SyntheticSource
from tfrs_scaling.input.prepare.synthetic import Synthetic
from tfrs_scaling.input.shards import ClickData, parse_record, write_shard
from tfrs_scaling.planning.cost import TYPICAL, Measured, Speed, Work, fitted_speed
from tfrs_scaling.planning.plan import PlannedTrial, rows_left
from tfrs_scaling.study.export import read_scalars
from tfrs_scaling.study.search import Need
from tfrs_scaling.training.isolation import IsolatedError, run_isolated, side_by_side
from tfrs_scaling.training.trial import run_trial

# A trial makes some steps, in which its functions are traced, and then two stretches of steps that count. Each takes
# about this many seconds on a typical machine, and so does each evaluation of the baseline.
STRETCH_SECONDS = 0.8
STRETCH_STEPS = 3
EVALUATION_SECONDS = 0.5
# Shapes that would take longer are extrapolated, and so are those not measured when time is up.
TRIAL_SECONDS = 10.0
ALL_SECONDS = 60.0
SECONDS_PER_PARAMETER = 2e-8  # to initialise it
# In larger batches a row takes as long as in these, and a step would take minutes.
LARGEST_BATCH = 4096
# The most that a calibration reads or makes: training rows, synthetic rows, and ids of a feature of those.
TRAIN_ROWS = 1 << 20
SYNTHETIC_ROWS = 1 << 19
SYNTHETIC_IDS = 1 << 18


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The result of a calibration.

    Attributes:
        speed: speed of this machine with so many trials at a time; a typical one's if no trial could be measured.
        left_out: why a trial could not be measured, by trial id.
        server_seconds: seconds that the sweep needs before its first trial.
    """

    speed: Speed
    left_out: Mapping[str, str]
    server_seconds: float
    seconds: float


def synthetic_data(settings: Synthetic, folder: Path) -> ClickData:
    """Clicks to calibrate on: the study's features, with fewer rows, and fewer ids of large features."""
    few = dataclasses.replace(
        settings,
        rows=min(settings.rows, SYNTHETIC_ROWS),
        features=tuple(dataclasses.replace(f, ids=min(f.ids, SYNTHETIC_IDS)) for f in settings.features),
    )
    prepare(SyntheticSource(few), folder, seed=few.seed)
    return ClickData.open(folder)


def calibrate(
    config: Config,
    data: ClickData,
    planned: list[PlannedTrial],
    folder: Path,
    *,
    strategy: StrategyName,
    jobs: int,
    on_progress: Callable[[str], None],
    machine: "Machine | None" = None,
) -> Calibration:
    """Measure how fast the study's trials are on this machine.

    The baseline and each scheme's smallest and largest shape that end in seconds make a few steps and evaluations in
    processes of their own, on as many threads and GPUs and as many at a time as in the sweep, so that the measurements
    include what trials running side by side cost each other.

    ``data`` may be similar ones to the study's; ``folder`` is an empty one, to work in.
    """
    machine = machine or Machine()
    began = machine.clock()
    on_progress("starting")
    stop = threading.Event()
    machine.run(_nothing, (), folder / "log.txt", _ignore, stop)
    server_seconds = machine.clock() - began
    batch_size = min(config.training.batch_size, LARGEST_BATCH)
    training = dataclasses.replace(config.training, batch_size=batch_size, schedule="constant")  # in one go
    unscored = read_config(config, ("sweep.T=[]", "sweep.P={}", "scorer=null", "teacher=null"))  # not yet there
    short = dataclasses.replace(unscored, training=training)
    data = subsample(data, planned[0].work, folder, stop, machine)
    ladders = {p: ladder for p in shapes_to_measure(planned) if (ladder := _ladder(p, short, data)) is not None}
    measured: list[Measured] = []
    left_out: dict[str, str] = {}
    free: queue.SimpleQueue[int] = queue.SimpleQueue()  # jobs, each on the GPU that is its turn
    for job in range(jobs):
        free.put(job)

    def measure(p: PlannedTrial) -> None:
        alone = dataclasses.replace(short, sweep=dataclasses.replace(short.sweep, examples=ladders[p]))
        job = free.get()
        try:
            result = _measured(p, alone, data, folder / p.trial.trial_id, strategy, job, jobs, stop, machine)
        finally:
            free.put(job)
        if isinstance(result, Measured):
            measured.append(result)
        else:
            left_out[p.trial.trial_id] = result
        on_progress(f"calibrating: {len(measured) + len(left_out)} of {len(ladders)} shapes")

    out_of_time = threading.Timer(ALL_SECONDS, stop.set)
    out_of_time.start()
    try:
        side_by_side(measure, list(ladders), jobs, stop)
    finally:
        out_of_time.cancel()
    return Calibration(
        fitted_speed(sorted(measured, key=lambda m: m.trial.trial_id)) if measured else TYPICAL,
        left_out,
        server_seconds,
        machine.clock() - began,
    )


@dataclasses.dataclass(frozen=True)
class Machine:
    """How a calibration runs trials and reads their results."""

    run: Callable[..., Any] = run_isolated
    read: Callable[[Path], dict[str, dict[int, float]]] = read_scalars
    clock: Callable[[], float] = time.monotonic


def _measured(
    planned: PlannedTrial,
    config: Config,
    data: ClickData,
    directory: Path,
    strategy: StrategyName,
    job: int,
    jobs: int,
    stop: threading.Event,
    machine: Machine,
) -> Measured | str:
    """A trial's timings, or why there are none."""
    directory.mkdir()
    arguments = (Need(planned.trial), config, data, directory, strategy, max(1, count_cores() // jobs))
    function, *given = on_own_device(strategy, job, run_trial, *arguments)
    started = machine.clock()
    try:
        machine.run(function, tuple(given), directory / "log.txt", _ignore, stop, on_tpu=strategy == "tpu")
    except IsolatedError as error:
        return str(error)
    except KeyboardInterrupt:
        return f"not done within {ALL_SECONDS:.0f} s"
    seconds = machine.clock() - started
    return timings_of(planned, machine.read(directory), config.ladder, _evaluation_rows(data), seconds)


def shapes_to_measure(planned: list[PlannedTrial]) -> list[PlannedTrial]:
    """The trials to measure: every scheme's smallest and largest shape that fit and whose steps end in seconds, each
    shape once, the baseline first."""
    quick = [p for p in planned if not p.too_large and _typical_seconds(p) < TRIAL_SECONDS]
    ends: dict[Any, PlannedTrial] = {}
    for scheme in dict.fromkeys(p.trial.scheme for p in quick):
        same = [p for p in quick if p.trial.scheme == scheme]
        smallest, largest = (end(same, key=lambda p: (p.trial.multiplier, p.flops_train)) for end in (min, max))
        for p in same if scheme == BASELINE else (smallest, largest):  # each architecture has a baseline
            ends.setdefault((p.parameters, p.trial.negative_rate, p.work.per_row), p)
    return list(ends.values())


def timings_of(
    planned: PlannedTrial,
    scalars: Mapping[str, Mapping[int, float]],
    ladder: tuple[int, ...],
    rows: int,
    seconds: float,
) -> Measured:
    """The timings of a trial.

    ``scalars`` are its summaries, by tag and examples; functions are traced until the ladder's first size. ``rows`` are
    those of an evaluation, and ``seconds`` lie between the start of the trial's process and its end.
    """
    wall, speed = scalars["time/wall_seconds"], scalars["time/examples_per_second"]
    pairs = list(itertools.pairwise(ladder))
    training = sum((end - start) / speed[end] for start, end in pairs)
    evaluation = wall[ladder[-1]] - wall[ladder[0]] - training
    training_row = training / (ladder[-1] - ladder[0])
    evaluation_row = max(evaluation / len(pairs) / rows, 1e-12)  # clocks are coarse
    start = seconds - ladder[-1] * training_row - len(ladder) * rows * evaluation_row
    return Measured(planned.trial, planned.work, max(start, 0.0), training_row, evaluation_row)


def _ladder(planned: PlannedTrial, config: Config, data: ClickData) -> tuple[int, ...] | None:
    """Examples at which to evaluate a trial: after its first steps and after each stretch; None if rows are too few."""
    batch_size = config.training.batch_size
    available = rows_left(data.manifest.splits["train"], planned.trial.negative_rate) // batch_size
    step_seconds = batch_size * TYPICAL.row_seconds(planned.work)[0]
    stretch = min(max(STRETCH_STEPS, round(STRETCH_SECONDS / step_seconds)), (available - STRETCH_STEPS) // 2)
    if stretch < 1:
        return None
    return tuple(batch_size * (STRETCH_STEPS + k * stretch) for k in range(3))


def _typical_seconds(planned: PlannedTrial) -> float:
    """Seconds of the fewest steps and evaluations."""
    training, evaluation = TYPICAL.row_seconds(planned.work)
    start = TYPICAL.start + SECONDS_PER_PARAMETER * planned.parameters
    return start + 3 * (STRETCH_STEPS * LARGEST_BATCH * training + LARGEST_BATCH * evaluation)


def subsample(data: ClickData, baseline: Work, folder: Path, stop: threading.Event, machine: Machine) -> ClickData:
    """The first rows of the data, no more than a calibration needs."""
    evaluated = max(LARGEST_BATCH, round(EVALUATION_SECONDS / TYPICAL.row_seconds(baseline)[1]))
    share = min(1.0, evaluated / _evaluation_rows(data))
    rows: dict[SplitName, int] = {name: round(share * data.manifest.splits[name].rows) for name in SPLITS}
    rows["train"] = min(TRAIN_ROWS, data.manifest.splits["train"].rows)
    if all(rows[name] == data.manifest.splits[name].rows for name in SPLITS):
        return data
    few: ClickData = machine.run(excerpt, (data, rows, folder / "data"), folder / "log.txt", _ignore, stop)
    return few


def excerpt(data: ClickData, rows: Mapping[SplitName, int], folder: Path, report: Callable[[Any], None]) -> ClickData:
    """The first rows of each split, at least one, in shards of their own."""
    make_strategy("cpu")  # copying needs no GPU
    folder.mkdir()
    splits: dict[SplitName, Split] = {}
    for name in SPLITS:
        groups: list[dict[str, np.ndarray]] = []
        for record in tf.data.TFRecordDataset(data.files(name)):
            groups.append({key: column.numpy() for key, column in parse_record(record, data.manifest.schema).items()})
            if sum(len(group["label"]) for group in groups) >= rows[name]:
                break
        columns = {key: np.concatenate([group[key] for group in groups])[: max(1, rows[name])] for key in groups[0]}
        shard = write_shard(str(folder), name, 0, 1, [columns])
        splits[name] = Split(shard.rows, int(columns["label"].sum()), (shard,))
    read = sum(split.rows for split in splits.values())
    few = dataclasses.replace(data.manifest, splits=splits, read=read, dropped=0, rejected=0)
    (folder / MANIFEST).write_text(few.to_json(), encoding="utf-8")
    return ClickData.open(folder)


def _evaluation_rows(data: ClickData) -> int:
    return data.manifest.splits["validation"].rows + data.manifest.splits["test"].rows


def _nothing(report: Callable[[Any], None]) -> None:
    """Do nothing: the first process starts the server that all are forked from."""


def _ignore(report: Any) -> None:
    """Drop the progress of a trial that is measured."""
