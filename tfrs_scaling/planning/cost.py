"""The work of a trial, and the seconds it takes at a given speed. Pure arithmetic: nothing runs here."""

import dataclasses
import heapq
import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.optimize import nnls

from tfrs_scaling.config import Architecture, Config
from tfrs_scaling.fit.schemes import BASELINE
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.model.accounting import forward_flops, training_flops
from tfrs_scaling.study.search import usual_rungs
from tfrs_scaling.study.trials import Trial


@dataclasses.dataclass(frozen=True)
class Work:
    """The work of a trial.

    Attributes:
        starts: models built and traced.
        trained, evaluated: rows, as often as they are trained on or predicted.
        embedding_values: numbers looked up for one row.
        flops_train, flops_forward: FLOPs for one row.
    """

    starts: int
    trained: int
    evaluated: int
    embedding_values: int
    flops_train: int
    flops_forward: int
    architecture: Architecture

    @property
    def per_row(self) -> tuple[int, int, str]:
        """What the cost per row depends on."""
        return self.embedding_values, self.flops_train, self.architecture


def work_of(trial: Trial, config: Config, data_schema: Schema, evaluation_rows: int) -> Work:
    """The work of a trial: its trainings, and predictions of both evaluation splits at each rung. Where learning rates
    are found, those beside ``START_RATE`` are assumed to be worse.

    ``evaluation_rows`` are those of the validation and test splits together.
    """
    schema, shape = trial.schema(config, data_schema), trial.shape(config, data_schema)
    rungs = usual_rungs(trial, config)
    return Work(
        starts=len(trial.trainings(config, rungs)),
        trained=trial.training_rows(config, rungs),
        evaluated=rungs * evaluation_rows,
        embedding_values=schema.slots[-1].stop * shape.embedding_dim,
        flops_train=training_flops(shape, schema).total,
        flops_forward=forward_flops(shape, schema).total,
        architecture=shape.architecture,
    )


@dataclasses.dataclass(frozen=True)
class RowSeconds:
    """Seconds of one row: ``row + embedding_value * values + flop * flops``.

    A sum and not a power law: reading and bookkeeping take the same for every shape, so a shape with a tenth of the
    FLOPs takes far more than a tenth of the time.
    """

    row: float
    embedding_value: float
    flop: float

    def at(self, embedding_values: int, flops: int) -> float:
        """Seconds of a row for which a model looks up so many numbers and makes so many FLOPs."""
        return self.row + self.embedding_value * embedding_values + self.flop * flops


@dataclasses.dataclass(frozen=True)
class Measured:
    """The timings of a trial.

    Attributes:
        start: seconds before the first step and after the last: process, model, tracing.
        training, evaluation: seconds per row.
    """

    trial: Trial
    work: Work
    start: float
    training: float
    evaluation: float


@dataclasses.dataclass(frozen=True)
class Speed:
    """How fast a machine is.

    Attributes:
        training, evaluation: seconds that rows take.
        measured: trials whose deviations from these numbers correct the predictions for similar trials.
    """

    start: float
    training: RowSeconds
    evaluation: RowSeconds
    measured: tuple[Measured, ...] = ()

    def seconds(self, trial: Trial, work: Work) -> float:
        """Seconds that a trial takes.

        If trials of its scheme were measured, the sum over FLOPs and embedding values is corrected by their ratios to
        it: interpolated geometrically between their multipliers, and constant beyond them. So the prediction for a
        measured shape is the measurement.
        """
        near = sorted(
            (
                m
                for m in self.measured
                if m.trial.scheme in (trial.scheme, BASELINE) and m.work.architecture == work.architecture
            ),
            key=lambda m: m.trial.multiplier,
        )
        training, evaluation = self.row_seconds(work)
        if near:
            predicted = [self.row_seconds(m.work) for m in near]
            at, here = [math.log(m.trial.multiplier) for m in near], math.log(trial.multiplier)
            ratios = (
                [math.log(m.training / seconds) for m, (seconds, _) in zip(near, predicted, strict=True)],
                [math.log(m.evaluation / seconds) for m, (_, seconds) in zip(near, predicted, strict=True)],
            )
            training *= math.exp(np.interp(here, at, ratios[0]))
            evaluation *= math.exp(np.interp(here, at, ratios[1]))
        return self.start * work.starts + training * work.trained + evaluation * work.evaluated

    def row_seconds(self, work: Work) -> tuple[float, float]:
        """Seconds of a row trained on and of a row predicted, without the correction."""
        return (
            self.training.at(work.embedding_values, work.flops_train),
            self.evaluation.at(work.embedding_values, work.flops_forward),
        )


# One core of a 2024 server under TensorFlow 2.21, batches of 256. It determines how many steps a calibration can make
# in a few seconds, and how the trials of a sweep compare, so that a sweep can show its progress without a calibration.
TYPICAL = Speed(1.4, RowSeconds(1.0e-6, 6e-9, 1.25e-11), RowSeconds(1.0e-6, 1.5e-9, 1.0e-11))
TYPICAL_WEIGHT = 0.01  # of each of its numbers, relative to a measurement


def fitted_speed(measured: Sequence[Measured]) -> Speed:
    """The speed that explains what trials took: non-negative least squares of relative errors.

    A typical machine's ratios of row, embedding value and FLOP enter with a weight near zero.
    """
    training = [(m.work.embedding_values, m.work.flops_train, m.training) for m in measured]
    evaluation = [(m.work.embedding_values, m.work.flops_forward, m.evaluation) for m in measured]
    return Speed(
        start=float(np.median([m.start for m in measured])),
        training=_row_seconds(training, TYPICAL.training),
        evaluation=_row_seconds(evaluation, TYPICAL.evaluation),
        measured=tuple(measured),
    )


def _row_seconds(measured: list[tuple[int, int, float]], typical: RowSeconds) -> RowSeconds:
    values, flops, seconds = (np.array(column, dtype=np.float64) for column in zip(*measured, strict=True))
    parts = np.stack([np.ones_like(seconds), values, flops], axis=1) * dataclasses.astuple(typical)
    # What a few shapes cannot determine is taken from a typical machine, up to one factor.
    factor = float(np.median(seconds / parts.sum(axis=1)))
    terms = np.concatenate([factor * parts / seconds[:, None], TYPICAL_WEIGHT * np.eye(3)])
    solution, _ = nnls(terms, np.concatenate([np.ones_like(seconds), np.full(3, TYPICAL_WEIGHT)]))
    return RowSeconds(*(float(number) for number in factor * solution * dataclasses.astuple(typical)))


def wall_seconds(seconds: Iterable[float], jobs: int) -> float:
    """When the last trial ends, if each of ``jobs`` takes the longest trial still waiting as soon as it is free."""
    free = [0.0] * jobs
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + duration)
    return max(free)
