"""What a study will train, and what that will take, before anything runs."""

import dataclasses
import math

from tfrs_scaling.accelerators import gpu_memory
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import gib
from tfrs_scaling.config import Config
from tfrs_scaling.fit.schemes import BASELINE
from tfrs_scaling.hardware import StrategyName, accelerators, count_cores, memory_limit
from tfrs_scaling.input.history import SAMPLED_RECORDS, STANDARD_DEVIATIONS, rows_held_apart, rows_sampled
from tfrs_scaling.input.manifest import SPLITS, Manifest, Split
from tfrs_scaling.input.prepare.synthetic import Synthetic
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import ROWS_PER_RECORD
from tfrs_scaling.model.accounting import DEVICE_BYTES, HOST_BYTES, PROCESS_BYTES, parameters, training_memory
from tfrs_scaling.model.shape import check_tables
from tfrs_scaling.planning.cost import TYPICAL, Speed, Work, work_of
from tfrs_scaling.study.row_scores import Scoring, scorings
from tfrs_scaling.study.trials import Trial, all_trials, check_countable


@dataclasses.dataclass(frozen=True)
class PlannedTrial:
    """A trial with its cost.

    Attributes:
        flops_forward, flops_train: FLOPs per example.
        bytes: memory that it takes: of the machine or, where the model is on GPUs or a TPU, of each.
        seconds: how long that takes at the speed that the plan assumes; 0 if it cannot run.
        too_large: why the trial cannot run on this hardware; empty if it can.
    """

    trial: Trial
    parameters: int
    flops_forward: int
    flops_train: int
    bytes: int
    work: Work
    seconds: float
    too_large: str


@dataclasses.dataclass(frozen=True)
class _Room:
    """The memory for a trial: bytes, whose they are, and over how many devices the batch and the tables are spread."""

    bytes: int
    name: str
    replicas: int = 1
    shards: int = 1
    process: int = PROCESS_BYTES

    def needed(self, trial: Trial, config: Config, data_schema: Schema) -> int:
        """Bytes that a trial takes of it."""
        shape, schema = trial.shape(config, data_schema), trial.schema(config, data_schema)
        return training_memory(shape, schema, config.training, self.replicas, self.shards, self.process).total


def _room(strategy: StrategyName) -> _Room:
    if (on := accelerators(strategy)) is None:
        return _Room(*memory_limit())
    return _Room(on.bytes, on.name, on.replicas, on.replicas if on.shards_tables else 1, DEVICE_BYTES)


def plan(
    config: Config,
    schema: Schema,
    evaluation_rows: int,
    speed: Speed = TYPICAL,
    strategy: StrategyName = "cpu",
) -> list[PlannedTrial]:
    """Every trial of the study with its cost, on the hardware that the strategy uses.

    ``evaluation_rows`` are those of the validation and test splits together. A typical machine's ``speed`` suffices to
    compare trials.

    Raises:
        InputError: the config names a table that the data do not have, a model that is too large to be counted, or a
            teacher that is too large for this machine.
    """
    check_tables(config.model, schema)
    plan_scorers(config, schema, 0, evaluation_rows, strategy=strategy)
    room = _room(strategy)
    return [_planned(trial, config, schema, evaluation_rows, room, speed) for trial in all_trials(config)]


def plan_on(
    config: Config, manifest: Manifest, speed: Speed = TYPICAL, strategy: StrategyName = "cpu"
) -> list[PlannedTrial]:
    """Every trial of the study with its cost, on prepared data.

    Raises:
        InputError: the training split, or what N, P or the rows held apart leave of it, is too small for the data
            ladder; names the first size that is too large, or says how many rows are missing.
    """
    rows = {name: manifest.splits[name].rows for name in SPLITS}
    for index, size in enumerate(config.ladder):
        if size > rows["train"]:
            raise InputError(
                f"sweep.examples[{index}]: {config.sweep.examples[index]:,} rows, but the training split has "
                f"{rows['train']:,} (of {sum(rows.values()):,} in all); shorten the ladder with "
                "--set sweep.examples=[...] or prepare more data"
            )
    check_rows(config, manifest.splits["train"], rows_sampled(manifest), manifest.rows_per_record)
    return plan(config, manifest.schema, rows["validation"] + rows["test"], speed, strategy)


def check_rows(config: Config, train: Split, sampled: int = 0, rows_per_record: int = ROWS_PER_RECORD) -> None:
    """Check that a training split has the rows that N, P and the models that score rows leave to the data ladder.

    ``sampled`` is 0 where the rows held apart are drawn; see ``input.history``.

    Raises:
        InputError: it has not; says what leaves too few, or how many are missing.
    """
    ours = _rows_beside_history(config, train.rows, sampled)
    train = dataclasses.replace(train, rows=ours, clicks=train.clicks * ours // train.rows, shards=())
    for index, rate in enumerate(config.sweep.multipliers("N")):
        left = rows_left(train, float(rate))
        if left < config.ladder[-1]:
            raise InputError(
                f"sweep.N[{index}]: {rate} of the negatives and all clicks of the training split are about {left:,} "
                f"rows, less than the {config.ladder[-1]:,} at the top of sweep.examples; shorten the ladder with "
                f"--set sweep.examples=[...], keep more negatives, or prepare more data"
            )
    for way, share in ((way, share) for way, shares in config.sweep.P.items() for share in shares):
        left = rows_kept(train.rows, float(share), rows_per_record)
        if left < config.ladder[-1]:
            missing = math.ceil((config.ladder[-1] - left) / share)
            beside = " beside those held apart" * bool(config.held_apart)
            raise InputError(
                f"sweep.P, {way}: {share} of the {train.rows:,} training rows{beside} are about {left:,}, less "
                f"than the {config.ladder[-1]:,} at the top of sweep.examples: {missing:,} training rows are missing; "
                "shorten the ladder with --set sweep.examples=[...], keep more rows, or prepare more data"
            )


def splits_to_make(synthetic: Synthetic) -> tuple[Split, int]:
    """The training split of synthetic clicks that are yet to be made, as far as it is known, and the rows of the other
    two."""
    rows = round(0.85 * synthetic.rows)
    return Split(rows, round(rows * synthetic.ctr), ()), round(0.15 * synthetic.rows)


@dataclasses.dataclass(frozen=True)
class PlannedScorer:
    """A model that is trained once and predicts the training rows, with its cost.

    Attributes:
        scored: rows that it predicts.
        flops: FLOPs of its training and its predictions.
        seconds: how long they take.
    """

    scoring: Scoring
    scored: int
    flops: float
    seconds: float


def plan_scorers(
    config: Config,
    schema: Schema,
    train_rows: int,
    evaluation_rows: int,
    speed: Speed = TYPICAL,
    strategy: StrategyName = "cpu",
    data_hash: str = "",
) -> list[PlannedScorer]:
    """The study's models that predict training rows, with their cost.

    ``train_rows`` are those of the training split, ``evaluation_rows`` those of the other two together. ``data_hash``
    is the data's, where scores are to be made.

    Raises:
        InputError: one needs more memory than this hardware has.
    """
    found = []
    room = _room(strategy)
    for scoring in scorings(config, data_hash):
        alone = _planned(scoring.trial, config, schema, evaluation_rows, room, speed)
        if alone.too_large:
            raise InputError(f"{scoring.name}: {scoring.trial.shape_id} {alone.too_large}")
        evaluated = train_rows + evaluation_rows * len(scoring.rungs)
        work = dataclasses.replace(alone.work, starts=1, trained=scoring.examples, evaluated=evaluated)
        flops = float(work.flops_train) * scoring.examples + float(work.flops_forward) * train_rows
        found.append(PlannedScorer(scoring, train_rows, flops, speed.seconds(scoring.trial, work)))
    return found


def _rows_beside_history(config: Config, train_rows: int, sampled: int) -> int:
    """How many rows of the training split are left to the ladder, at least.

    Raises:
        InputError: too few; says how many are missing.
    """
    if not config.held_apart:
        return train_rows
    _, left = rows_held_apart(train_rows, config.held_apart, sampled)
    if left < config.ladder[-1]:
        key = max(config.scorers, key=lambda key: config.scorers[key].examples)
        raise InputError(
            f"{key}.examples: {config.held_apart:,} {'older' if sampled else 'other'} rows held apart leave about "
            f"{left:,} of the training split's {train_rows:,}, and the ladder ends at {config.ladder[-1]:,}: "
            f"{config.ladder[-1] - left:,} are missing; train {key} on fewer rows, shorten the ladder with "
            "--set sweep.examples=[...], or prepare more data"
        )
    return left


def by_shape(planned: list[PlannedTrial]) -> dict[str, PlannedTrial]:
    """The longest planned trial of each shape, by ``shape_id``: what any trial of the shape may take."""
    return {p.trial.shape_id: p for p in sorted(planned, key=lambda p: p.seconds)}


def rows_left(split: Split, negative_rate: float) -> int:
    """Rows left of a split when each negative is kept with this probability: a lower bound that holds with odds of
    30,000 to 1."""
    negatives = split.rows - split.clicks
    deviation = math.sqrt(negatives * negative_rate * (1 - negative_rate))
    return math.floor(split.clicks + negatives * negative_rate - STANDARD_DEVIATIONS * deviation)


def rows_kept(rows: int, share: float, rows_per_record: int) -> int:
    """Rows left of so many under P: a lower bound that holds with odds of 30,000 to 1, however the rows are chosen.

    How likely each row is to be kept is set on a sample, which adds its own error.
    """
    sampled = min(rows, SAMPLED_RECORDS * rows_per_record)
    deviation = math.sqrt(rows * share * (1 - share) * (1 + rows / sampled))
    return math.floor(rows * share - STANDARD_DEVIATIONS * deviation)


def jobs_at_once(planned: list[PlannedTrial], strategy: StrategyName) -> int:
    """How many trials to run at a time: one per core if memory allows; on GPUs the same, if theirs allows too, but one
    on each at least; one where a trial takes all devices.

    Small operations gain little from a second thread: on two cores six trials of the flights study ran 1.6 times as
    fast with two trials of one thread each as with one trial of two.
    """
    largest = max((p.bytes for p in planned if not p.too_large), default=0)
    host, _ = memory_limit()
    if strategy == "gpu":
        gpus = gpu_memory()
        fitting = min(len(gpus) * (min(gpus, default=0) // max(1, largest)), host // HOST_BYTES)
        return max(1, len(gpus), min(count_cores(), fitting))
    if strategy != "cpu":
        return 1
    return max(1, min(count_cores(), host // max(1, largest)))


def crowding(planned: list[PlannedTrial], strategy: StrategyName, jobs: int) -> str:
    """A warning if the largest trials do not fit side by side on a GPU; empty if they do, or if there is none."""
    if strategy != "gpu" or not (gpus := gpu_memory()):
        return ""
    on_each = -(-jobs // len(gpus))
    together = sum(sorted((p.bytes for p in planned if not p.too_large), reverse=True)[:on_each])
    if together <= min(gpus):
        return ""
    return (
        f"note: {on_each} trials share a GPU with {gib(min(gpus))} of memory, and the largest need about "
        f"{gib(together)} together; fewer --jobs are safer"
    )


def _planned(
    trial: Trial, config: Config, data_schema: Schema, evaluation_rows: int, room: _Room, speed: Speed
) -> PlannedTrial:
    schema, shape = trial.schema(config, data_schema), trial.shape(config, data_schema)
    work = work_of(trial, config, data_schema, evaluation_rows)
    needed = room.needed(trial, config, data_schema)
    count = parameters(shape, schema).total
    check_countable(trial, count, work.flops_train)
    return PlannedTrial(
        trial=trial,
        parameters=count,
        flops_forward=work.flops_forward,
        flops_train=work.flops_train,
        bytes=needed,
        work=work,
        seconds=0.0 if needed > room.bytes else speed.seconds(trial, work),
        too_large=(
            f"needs about {gib(needed)} of memory; {room.name} has {gib(room.bytes)}"
            f"{_what_would_fit(trial, config, data_schema, room)}"
            if needed > room.bytes
            else ""
        ),
    )


def _what_would_fit(trial: Trial, config: Config, data_schema: Schema, room: _Room) -> str:
    """Which of ten halvings of the trial's multiplier is the first to fit in memory; empty if none does."""
    if trial.scheme == BASELINE:
        return ""
    for halvings in range(1, 11):
        multiplier = trial.multiplier / 2**halvings
        smaller = dataclasses.replace(trial, multiplier=multiplier)
        if room.needed(smaller, config, data_schema) <= room.bytes:
            return f"; {trial.scheme} at {multiplier} would fit"
    return ""
