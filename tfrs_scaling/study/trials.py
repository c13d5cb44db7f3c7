"""The trials of a study: which there are, and what each would train."""

import dataclasses
import fractions
from collections.abc import Iterable, Iterator
from typing import Any

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Architecture, Config, Training
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE, SCALED, SCHEMES
from tfrs_scaling.input.schema import Schema, scaled_size
from tfrs_scaling.model.shape import Shape, baseline_shape, scale
from tfrs_scaling.study.features import keep_features

ONE = fractions.Fraction(1)
START_RATE = 0.04  # learning rate at which the search for the baseline's best starts


@dataclasses.dataclass(frozen=True)
class Trial:
    """A shape, a learning rate and a seed, trained and measured at every rung of the data ladder.

    Attributes:
        scheme: letter of the scheme in ``fit.schemes``.
        multiplier: multiplier of the scheme; under VH, of the rows; under E, the number of epochs.
        learning_rate: learning rate at the first step.
        seed: seed of the initialisation and of the order of the training rows.
        dim_multiplier: multiplier of the embedding dimension, under VH alone.
        architecture: architecture, if it differs from the study's; else None.
    """

    scheme: str
    multiplier: fractions.Fraction
    learning_rate: float
    seed: int
    dim_multiplier: fractions.Fraction = ONE
    architecture: Architecture | None = None

    @property
    def shape_id(self) -> str:
        """A name for its shape, whatever learning rate and seed: ``V-1_64``, ``VH-1_4x2``, ``A-4-cross``."""
        multiplier = f"{self.multiplier}x{self.dim_multiplier}" if self.scheme == "VH" else str(self.multiplier)
        architecture = f"-{self.architecture}" if self.architecture else ""
        return f"{self.scheme}-{multiplier.replace('/', '_')}{architecture}"

    @property
    def trial_id(self) -> str:
        """A name for people and for folders: ``V-1_64-lr0.02-seed0``."""
        return f"{self.shape_id}-lr{self.learning_rate:g}-seed{self.seed}"

    def schema(self, config: Config, schema: Schema) -> Schema:
        """The features that the trial's model sees, out of the data's."""
        if self.scheme != "F":
            return schema
        return keep_features(schema, self.multiplier, config.sweep.feature_seed)

    def shape(self, config: Config, schema: Schema) -> Shape:
        """The sizes of the trial's model; ``schema`` is the data's."""
        model = dataclasses.replace(config.model, architecture=self.architecture_in(config))
        baseline = baseline_shape(model, self.schema(config, schema))
        if self.scheme == "VH":
            return scale(scale(baseline, "V", self.multiplier), "H", self.dim_multiplier)
        return scale(baseline, self.scheme, self.multiplier)

    def architecture_in(self, config: Config) -> Architecture:
        """How vectors interact in the trial's model."""
        return self.architecture or config.model.architecture

    def embedding_dim(self, config: Config) -> int:
        """The embedding dimension of the trial's model, whatever the data."""
        if self.architecture_in(config) == "linear":
            return 1
        multiplier = self.multiplier if self.scheme == "H" else self.dim_multiplier
        return scaled_size(config.model.embedding_dim, multiplier)

    def seeds(self, config: Config) -> tuple[int, ...]:
        """The seeds that its shape is trained with."""
        return (*config.sweep.seeds, *config.sweep.more_seeds.get(self.shape_id, ()))

    @property
    def negative_rate(self) -> float:
        """The share of the training split's negatives that the trial is trained on."""
        return float(self.multiplier) if self.scheme == "N" else 1.0

    @property
    def teacher_weight(self) -> float:
        """The weight of a teacher's predictions in the loss; the labels have the rest."""
        return float(self.multiplier) if self.scheme == "T" else 0.0

    @property
    def kept_share(self) -> float:
        """The share of the log's rows that the trial is trained on, under P."""
        return float(self.multiplier) if SCHEMES[self.scheme].keeps is not None else 1.0

    @property
    def epochs(self) -> int:
        """How often each training row is passed over."""
        return int(self.multiplier) if self.scheme == "E" else 1

    def from_scratch(self, config: Config) -> bool:
        """Whether each data size is trained from scratch, because training on it is not the first part of training on
        more: its rows are passed over again, or the learning rate depends on where the training ends."""
        return self.epochs > 1 or config.training.schedule != "constant"

    def trainings(self, config: Config, rungs: int | None = None) -> tuple[int, ...]:
        """The steps of each training of the trial, up to so many rungs (None: all): one per data size if they are
        trained ``from_scratch``, else one."""
        ladder = config.ladder_steps[:rungs]
        return tuple(self.epochs * steps for steps in ladder) if self.from_scratch(config) else ladder[-1:]

    def training_rows(self, config: Config, rungs: int | None = None) -> int:
        """Rows trained on in all, a row counted each time, up to so many rungs (None: all)."""
        return config.training.batch_size * sum(self.trainings(config, rungs))


def all_trials(config: Config) -> list[Trial]:
    """Every trial of the study: each of the ``shapes`` at each learning rate and seed.

    Where rates are found (``training.learning_rates: auto``), those of a study whose every shape is best at
    ``START_RATE``; which ones it needs in fact is for ``study.search`` to say.

    Raises:
        InputError: ``sweep.more_seeds`` names a shape that the study does not have.
    """
    every = shapes(config)
    names = [shape.shape_id for shape in every]
    if unknown := [name for name in config.sweep.more_seeds if name not in names]:
        raise InputError(f"sweep.more_seeds.{unknown[0]}: is none of the study's shapes: {', '.join(names)}")
    trials = []
    for shape in every:
        rates, seeds = config.training.learning_rates, shape.seeds(config)
        if rates == "auto":
            points = [(START_RATE / 2, seeds[0]), *((START_RATE, seed) for seed in seeds), (2 * START_RATE, seeds[0])]
        else:
            points = [(rate, seed) for rate in rates for seed in seeds]
        trials += [dataclasses.replace(shape, learning_rate=rate, seed=seed) for rate, seed in points]
    return trials


def rows_by_trial(config: Config, trial_ids: Iterable[str]) -> dict[str, int]:
    """Rows that each of some trials trains on in all, a row counted each time, unless it is stopped."""
    rows = {shape.shape_id: shape.training_rows(config) for shape in shapes(config)}
    return {name: rows.get(name.rpartition("-lr")[0], config.ladder[-1]) for name in trial_ids}


def shapes(config: Config) -> list[Trial]:
    """Every shape of the study, as its trial at ``START_RATE`` with the first seed: the baseline once in each
    architecture, each scheme's multipliers, and each architecture's."""
    return [
        Trial(scheme, multiplier, START_RATE, config.sweep.seeds[0], **others)
        for scheme, multiplier, others in _points(config)
    ]


def _points(config: Config) -> Iterator[tuple[str, fractions.Fraction, dict[str, Any]]]:
    """The scheme and multiplier of every shape, and the other fields of its trials."""
    sweep = config.sweep
    others = {name: None if name == config.model.architecture else name for name in sweep.architectures}
    yield BASELINE, ONE, {}
    for architecture in filter(None, others.values()):
        yield BASELINE, ONE, {"architecture": architecture}
    for scheme in SCALED:
        for multiplier in sweep.multipliers(scheme):
            yield scheme, multiplier, {}
    if sweep.VH:
        for multiplier in sweep.multipliers("V"):
            for dim_multiplier in sweep.multipliers("H"):
                yield "VH", multiplier, {"dim_multiplier": dim_multiplier}
    for name, multipliers in sweep.architectures.items():
        for multiplier in multipliers:
            yield ARCHITECTURE, multiplier, {"architecture": others[name]}


def check_countable(trial: Trial, parameters: int, flops_train: int) -> None:
    """Refuse a trial whose size the run table cannot hold.

    Raises:
        InputError: names its scheme and multiplier.
    """
    if max(parameters, flops_train) >= 2**63:
        raise InputError(
            f"sweep.{trial.scheme}: a model at {trial.shape_id} has {parameters:.1e} parameters and takes "
            f"{flops_train:.1e} FLOPs an example, more than can be counted; choose a smaller multiplier or model"
        )


def traces_once(training: Training) -> bool:
    """Whether a training traced on one device can be used for another of its shape: elsewhere the number of steps, or a
    table's optimizer, is part of it."""
    return training.schedule == "constant" and training.embedding_layer == "stacked"


def why_from_scratch(config: Config) -> str:
    """Which trials train every data size from scratch, and why; empty if none does."""
    rows = {shape.epochs: shape.training_rows(config) for shape in shapes(config)}
    reasons = []
    if config.training.schedule != "constant":
        reasons.append(
            f"training.schedule {config.training.schedule} depends on where training ends: every trial trains its "
            f"{len(config.ladder)} data sizes from scratch, on {rows[1]:,} rows in all instead of {config.ladder[-1]:,}"
        )
    if epochs := config.sweep.multipliers("E"):
        passes = ", ".join(f"{rows[int(count)]:,} rows at {count}" for count in epochs)
        reasons.append(f"sweep.E repeats each data size: its trials train every size from scratch, on {passes}")
    return "; ".join(reasons)
