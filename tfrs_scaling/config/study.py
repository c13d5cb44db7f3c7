"""A study's configuration, and reading it."""

import copy
import dataclasses
import fractions
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic.dataclasses import dataclass

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import is_remote, join
from tfrs_scaling.common.shipped import find_shipped
from tfrs_scaling.common.strict_yaml import Location, Source, lines_of_yaml, parse_yaml, read_yaml, validated
from tfrs_scaling.config.sections import Model, Scorer, Sweep, Training
from tfrs_scaling.config.values import MLP_WIDTHS_ALONE
from tfrs_scaling.fit.schemes import SCALED
from tfrs_scaling.input.manifest import SplitBy
from tfrs_scaling.input.prepare.synthetic import Synthetic
from tfrs_scaling.input.schema import STRICT, scaled_size

MOST_TRIALS = 100_000


@dataclass(frozen=True, config=STRICT)
class RawLog:
    """The raw log that a study prepares for itself, as ``prepare`` does; what is not here takes that command.

    Attributes:
        format: as ``prepare`` calls it: ``csv``, ``parquet``, ``criteo``, ``tfds:NAME``, ...
        files: files, folders and patterns, relative to the folder of the configuration.
        schema: the schema's file, relative to the same folder; None: the format's own.
        split: as ``prepare --split``; None: by time where the schema names a column of times, else at random.
    """

    format: str
    files: tuple[str, ...] = ()
    schema: str | None = None
    split: SplitBy | None = None


@dataclass(frozen=True, config=STRICT)
class Config:
    """A study.

    Attributes:
        synthetic: the clicks that a study makes for itself.
        log: the raw log that it prepares for itself. A study with neither is given prepared data with ``--data``.
        teacher: the model whose predictions T's trials learn from.
        scorer: the model that decides which rows are hard and which are easy under P.
    """

    study: Annotated[str, pydantic.Field(min_length=1, max_length=100)]
    model: Model
    training: Training
    sweep: Sweep
    synthetic: Synthetic | None = None
    log: RawLog | None = None
    teacher: Scorer | None = None
    scorer: Scorer | None = None

    def __post_init__(self) -> None:
        if self.synthetic is not None and self.log is not None:
            raise ValueError("log: the study makes synthetic clicks already; leave one of the two out")
        if self.sweep.examples[0] < self.training.batch_size:
            raise ValueError(
                f"sweep.examples[0]: {self.sweep.examples[0]} rows are less than one batch "
                f"(training.batch_size {self.training.batch_size})"
            )
        if self.model.architecture == "linear":
            raise ValueError("model.architecture: linear has no size to scale; name it in sweep.A, beside another")
        self._check_architectures()
        if self.sweep.multipliers("T") and self.teacher is None:
            raise ValueError(
                "sweep.T: needs the key teacher, such as teacher: {scheme: V, multiplier: 4, examples: 100_000}; its "
                "rows are held apart from every trial"
            )
        for name, scorer in self.scorers.items():
            if scorer.examples < self.training.batch_size:
                raise ValueError(f"{name}.examples: {scorer.examples} rows are less than one batch")
        if self.scorer is None and {*self.sweep.P} - {"random"}:
            raise ValueError(
                "sweep.P: a scorer decides which rows are hard or easy; give one, as in "
                "scorer: {examples: 100_000}, or choose rows by: [random] alone"
            )
        rates = 1 if self.training.learning_rates == "auto" else len(self.training.learning_rates)
        own = {scheme: len(self.sweep.multipliers(scheme)) for scheme in SCALED}
        shapes = 1 + sum(own.values()) + self.sweep.VH * own["V"] * own["H"]
        shapes += sum(
            (name != self.model.architecture) + len(multipliers)
            for name, multipliers in self.sweep.architectures.items()
        )
        more = sum(len(seeds) for seeds in self.sweep.more_seeds.values())
        if (trials := rates * (shapes * len(self.sweep.seeds) + more)) > MOST_TRIALS:
            raise ValueError(f"sweep: {trials:,} trials, more than {MOST_TRIALS:,}; leave some out")
        steps = self.ladder_steps
        if len(set(steps)) < len(steps):
            raise ValueError("sweep.examples: two sizes are the same number of whole batches")

    def _check_architectures(self) -> None:
        studied, others = self.model.architecture, self.sweep.architectures
        if studied in others and not others[studied]:
            raise ValueError(
                f"sweep.A: {studied} is model.architecture, which is always trained; name others, or give it "
                "multipliers of its dense part"
            )
        if others.get("linear"):
            raise ValueError("sweep.A.linear: has no dense part to scale; give no multiplier but 1")
        if self.sweep.M and others.get(studied) and studied in MLP_WIDTHS_ALONE:
            raise ValueError(f"sweep.A.{studied}: these are the shapes of sweep.M; leave one of the two out")
        narrowed = self.sweep.multipliers("H") if studied == "wukong" else ()
        smallest = scaled_size(self.model.embedding_dim, min((fractions.Fraction(1), *narrowed)))
        if "wukong" in (studied, *others) and smallest == 1:
            raise ValueError(
                "model.embedding_dim: wukong normalizes each embedding, which takes 2 numbers or more; choose a larger "
                "dimension or larger multipliers of sweep.H"
            )

    @property
    def has_own_data(self) -> bool:
        """Whether the study makes or prepares its data itself."""
        return self.synthetic is not None or self.log is not None

    @property
    def scorers(self) -> dict[str, Scorer]:
        """The models whose predictions trials use, by their key."""
        named = {"teacher": self.teacher, "scorer": self.scorer}
        return {name: scorer for name, scorer in named.items() if scorer is not None}

    @property
    def held_apart(self) -> int:
        """Rows that every trial leaves to them."""
        return max((scorer.examples for scorer in self.scorers.values()), default=0)

    @property
    def ladder_steps(self) -> tuple[int, ...]:
        """The data ladder in training steps, rising."""
        return tuple(size // self.training.batch_size for size in self.sweep.examples)

    @property
    def ladder(self) -> tuple[int, ...]:
        """The data ladder in rows, rounded down to whole batches."""
        return tuple(steps * self.training.batch_size for steps in self.ladder_steps)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), default=str))
        return plain

    @property
    def config_hash(self) -> str:
        """16 hexadecimal digits that change when the configuration does."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]


def read_config(source: Path | str | Mapping[str, Any] | Config, overrides: Sequence[str] = ()) -> Config:
    """A validated configuration.

    Args:
        source: a YAML file, or the name of one that comes with the package, such as ``smoke``; or what one would hold;
            or a configuration.
        overrides: ``key.key=value`` texts, the value in YAML; each replaces the value in ``source``.

    Raises:
        InputError: names the file and the line (or the override), the key, and the nearest valid key or the value.
    """
    if isinstance(source, Config) and not overrides:
        return source
    if isinstance(source, Config | Mapping):
        given = source.to_dict() if isinstance(source, Config) else dict(source)
        content = copy.deepcopy(given)
        where: Source = lambda _: "the configuration"  # noqa: E731
    else:
        path = find_shipped(Path(source), "*.yaml")
        content, where = read_yaml(path), lines_of_yaml(path)
        _locate_log(content, path.absolute().parent)
    by_key = {_override(content, override): f"--set {override!r}" for override in overrides}

    def written(location: Location) -> str:
        for key, override in reversed(by_key.items()):
            if location[: len(key)] == key:
                return override
        return where(location)

    return validated(Config, content, written)


def _locate_log(content: dict[str, Any], folder: Path) -> None:
    """Make the paths of a file's ``log`` section absolute; what is not a path there is told by ``validated``."""
    log = content.get("log")
    if not isinstance(log, dict):
        return
    if isinstance(log.get("files"), list):
        log["files"] = [_located(file, folder) for file in log["files"]]
    if log.get("schema") is not None:
        log["schema"] = _located(log["schema"], folder)


def _located(file: Any, folder: Path) -> Any:
    is_relative = isinstance(file, str) and not is_remote(file) and not Path(file).is_absolute()
    return join(str(folder), file) if is_relative else file


def _override(content: dict[str, Any], override: str) -> Location:
    """Override a value in a configuration; where it is."""
    dotted, equals, text = override.partition("=")
    if not equals or not all(dotted.split(".")):
        raise InputError(f"--set {override!r}: write key=value, such as training.batch_size=512")
    *outer, key = dotted.split(".")
    for name in outer:
        content = content.setdefault(name, {})
        if not isinstance(content, dict):
            raise InputError(f"--set {override!r}: {name!r} holds a value, not keys")
    content[key] = parse_yaml(text, f"--set {override!r}")
    return (*outer, key)
