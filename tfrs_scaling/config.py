"""A study's configuration: YAML -> frozen dataclasses."""

import copy
import dataclasses
import fractions
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic.dataclasses import dataclass

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import is_remote, join
from tfrs_scaling.common.shipped import find_shipped
from tfrs_scaling.common.strict_yaml import Location, Source, lines_of_yaml, parse_yaml, read_yaml, validated
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE, KEEPING, LISTED, SCALED, SCHEMES, SIZES, KeptBy
from tfrs_scaling.input.manifest import SplitBy
from tfrs_scaling.input.prepare.synthetic import Synthetic
from tfrs_scaling.input.schema import STRICT, scaled_size

Architecture = Literal["dot", "cross", "wukong", "mlp", "linear"]
MLP_WIDTHS_ALONE: tuple[Architecture, ...] = ("dot", "mlp")  # what A scales of them, and M
Precision = Literal["float32", "tf32", "bfloat16"]
Width = Annotated[int, pydantic.Field(ge=1, le=2**20)]
Widths = Annotated[tuple[Width, ...], pydantic.Field(max_length=100)]
Rows = Annotated[int, pydantic.Field(ge=1, le=2**40)]
Seed = Annotated[int, pydantic.Field(ge=0, lt=2**31)]
BatchSize = Annotated[int, pydantic.Field(ge=1, le=2**24)]

LARGEST_MULTIPLIER = 2**20
LONGEST_MULTIPLIER = 40  # characters: it is part of the names of folders
MOST_TRIALS = 100_000
# An exponent of more digits would make a number that fills the memory.
_NUMBER = re.compile(r"[-+]?[0-9._]+(/[0-9]+|[eE][-+]?[0-9]{1,2})?")


def _multiplier(value: Any) -> fractions.Fraction:
    text = str(value)
    try:
        if len(text) > LONGEST_MULTIPLIER or not _NUMBER.fullmatch(text):
            raise ValueError
        number = fractions.Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{text[:80]!r} is not a multiplier: write 4, 0.25 or 1/4") from None
    if number <= 0 or number == 1:
        raise ValueError(f"{value!r}: a multiplier is above 0 and not 1 (the baseline itself is always trained)")
    if not fractions.Fraction(1, LARGEST_MULTIPLIER) <= number <= LARGEST_MULTIPLIER:
        raise ValueError(f"{value!r}: a multiplier is between 1/{LARGEST_MULTIPLIER} and {LARGEST_MULTIPLIER}")
    if len(str(number)) > LONGEST_MULTIPLIER:
        raise ValueError(f"{value!r}: has too many digits for the name of a folder; round it")
    return number


def _share(value: Any) -> fractions.Fraction:
    number = _multiplier(value)
    if number > 1:
        raise ValueError(f"{value!r}: a share is below 1: data cannot have more features or rows than they have")
    return number


def _weight(value: Any) -> fractions.Fraction:
    number = _multiplier_or_one(value)
    if number > 1:
        raise ValueError(f"{value!r}: a weight is at most 1; the labels have the rest")
    return number


def _multiplier_or_one(value: Any) -> fractions.Fraction:
    return fractions.Fraction(1) if str(value) == "1" else _multiplier(value)


_Multiplier = Annotated[fractions.Fraction, pydantic.PlainValidator(_multiplier), pydantic.PlainSerializer(str)]
_Share = Annotated[fractions.Fraction, pydantic.PlainValidator(_share), pydantic.PlainSerializer(str)]
_Weight = Annotated[fractions.Fraction, pydantic.PlainValidator(_weight), pydantic.PlainSerializer(str)]
_Epochs = Annotated[int, pydantic.Field(ge=2, le=1000)]
# The type of a scheme's multipliers, by the kind in its row of SCHEMES.
_MULTIPLIERS: dict[str, Any] = {
    kind: Annotated[tuple[type_, ...], pydantic.Field(max_length=1000)]  # type: ignore[valid-type]
    for kind, type_ in (("size", _Multiplier), ("share", _Share), ("epochs", _Epochs), ("weight", _Weight))
}


_MultiplierOrOne = Annotated[
    fractions.Fraction, pydantic.PlainValidator(_multiplier_or_one), pydantic.PlainSerializer(str)
]
# Errors do not name these tags: ``strict_yaml`` leaves out what starts with "function-".
_Architectures = Annotated[
    Annotated[tuple[Architecture, ...], pydantic.Tag("function-list")]
    | Annotated[
        dict[Architecture, Annotated[tuple[_MultiplierOrOne, ...], pydantic.Field(max_length=1000)]],
        pydantic.Tag("function-mapping"),
    ],
    pydantic.Discriminator(lambda value: "function-mapping" if isinstance(value, Mapping) else "function-list"),
]
_LearningRates = Annotated[
    Annotated[Literal["auto"], pydantic.Tag("function-auto")]
    | Annotated[
        tuple[Annotated[float, pydantic.Field(ge=1e-12, le=1e3)], ...],
        pydantic.Field(min_length=1, max_length=1000),
        pydantic.Tag("function-list"),
    ],
    pydantic.Discriminator(lambda value: "function-auto" if isinstance(value, str) else "function-list"),
]


@dataclass(frozen=True, config=STRICT)
class Table:
    """The settings of one feature's table.

    Attributes:
        dim: length of its embeddings, which are projected to the model's ``embedding_dim``; None: that itself.
        pooling: how a multi-hot feature's embeddings are pooled.
    """

    dim: Width | None = None
    pooling: Literal["mean", "sum"] = "mean"


@dataclass(frozen=True, config=STRICT)
class Wukong:
    """The interaction layers of Wukong (Zhang et al. 2024), in the paper's letters.

    Each layer makes ``n_f`` embeddings by a factorization machine and an MLP, and ``n_l`` that are linear combinations
    of the layer's input.

    Attributes:
        layers: l, how many there are; interactions of up to 2**l features are explicit.
        n_f: embeddings that a layer's factorization machine makes.
        n_l: embeddings that a layer's linear compression makes.
        k: columns of the projection of a layer's matrix of dot products (the paper's optimized FM).
        mlp: widths of the hidden layers between factorization machine and embeddings.
    """

    layers: Annotated[int, pydantic.Field(ge=1, le=100)] = 2
    n_f: Width = 8
    n_l: Width = 8
    k: Width = 8
    mlp: Widths = (64,)


@dataclass(frozen=True, config=STRICT)
class Model:
    """The baseline DLRM, at multiplier 1.

    Attributes:
        embedding_dim: length of the vectors that interact, and of every embedding unless ``tables`` says otherwise.
        bottom: widths of the bottom MLP's hidden layers; a last layer of ``embedding_dim`` follows them.
        interaction: width of the dense-sparse interaction layer between interaction and over-arch; 0: none.
        overarch: widths of the over-arch's hidden layers; the logit follows them.
        architecture: how vectors interact. ``dot``: dot products of all pairs, beside the bottom vector (DLRM, Naumov
            et al. 2019). ``cross``: a cross network over all vectors side by side (DCN-v2, Wang et al. 2021).
            ``wukong``: stacked factorization machines (Zhang et al. 2024). ``mlp``: not at all before the over-arch,
            which sees them side by side. ``linear``, in ``sweep.A`` alone: logistic regression on the same rows, a
            weight for each row of a table and each dense feature.
        cross_layers: layers of the cross network.
        cross_rank: rank of their matrices; 0: any.
        wukong: the interaction layers of ``wukong``.
        tables: settings of a categorical feature's table, by feature, where they differ from the default.
    """

    embedding_dim: Width
    bottom: Widths
    interaction: Annotated[int, pydantic.Field(ge=0, le=2**20)]
    overarch: Widths
    architecture: Architecture = "dot"
    cross_layers: Annotated[int, pydantic.Field(ge=1, le=100)] = 3
    cross_rank: Annotated[int, pydantic.Field(ge=0, le=2**20)] = 0
    wukong: Wukong = dataclasses.field(default_factory=Wukong)
    tables: dict[str, Table] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class Training:
    """How a trial is trained.

    Attributes:
        batch_size: rows per step, over all replicas.
        learning_rates: every shape is trained with each; the one with the best validation NE counts. ``auto``: rates
            are found for each shape, as ``study.search`` describes, with the first of ``sweep.seeds``; the other seeds
            are trained at the rate found.
        schedule: schedule of the rates. ``constant``: one pass is measured at every rung of the data ladder. ``linear``
            and ``cosine`` (half a period; Loshchilov and Hutter 2017, without restarts) decay to 0 over all steps of a
            training, so each data size is trained from scratch.
        table_optimizer: optimizer of the embedding tables. Both update the rows of a batch only.
        dense_optimizer: optimizer of everything else.
        dense_learning_rate: the dense optimizer's rate in all trials; None: the trial's. Adam needs one of its own. The
            schedule is the same.
        accumulator: what Adagrad's accumulators start from. TensorFlow's 0.1 freezes embeddings: under a mean
            loss a row's squared gradients stay far below it. facebookresearch/dlrm starts from 0; near zero is
            the same except for rows whose gradients vanish.
        embedding_range: embeddings start uniform in (-embedding_range, embedding_range).
        embedding_layer: ``stacked``: tables of equal dimension in one variable; ``tfrs``: TensorFlow Recommenders'
            TPUEmbedding, which a TPU always uses. They train alike; stacked is faster.
        precision: arithmetic of the dense layers. Under ``tf32`` a GPU rounds the factors of its matrix products to 10
            bits, and a TPU to 7; elsewhere it is ``float32``. Under ``bfloat16`` weights, tables, logits and every
            metric stay float32 or better.
        evaluation_batch_size: rows per evaluation step; on a CPU larger batches outgrow the caches and are slower. A
            TPU evaluates in batches of ``batch_size``.
    """

    batch_size: BatchSize
    learning_rates: _LearningRates
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    table_optimizer: Literal["adagrad", "sgd"] = "adagrad"
    dense_optimizer: Literal["adagrad", "sgd", "adam"] = "adagrad"
    dense_learning_rate: Annotated[float, pydantic.Field(ge=1e-12, le=1e3)] | None = None
    accumulator: Annotated[float, pydantic.Field(ge=0, le=1e6)] = 1e-8
    embedding_range: Annotated[float, pydantic.Field(ge=1e-12, le=1e3)] = 0.05
    embedding_layer: Literal["stacked", "tfrs"] = "stacked"
    precision: Precision = "float32"
    evaluation_batch_size: BatchSize = 4096

    def __post_init__(self) -> None:
        if self.learning_rates != "auto":
            alike = Counter(f"{rate:g}" for rate in self.learning_rates)
            if repeated := [text for text, count in alike.items() if count > 1]:
                raise ValueError(f"learning_rates: {repeated[0]} is repeated; six digits name a trial")
        if self.dense_optimizer == "adam" and self.dense_learning_rate is None:
            raise ValueError("dense_optimizer adam needs a dense_learning_rate of its own; 0.001 is usual")
        if self.embedding_layer == "tfrs" and self.table_optimizer == "adagrad" and self.accumulator == 0:
            raise ValueError("accumulator: TPUEmbedding (embedding_layer tfrs) refuses 0 for Adagrad; 1e-8 is as good")


@dataclass(frozen=True, config=STRICT)
class Pruning:
    """Data pruning: which rows of a longer log are trained on (Sorscher et al. 2022); see ``input.pruning``.

    Attributes:
        keep: the shares that are kept.
        by: how rows are chosen, each way at each share. ``hard``: rows whose label the scorer predicts badly are more
            likely to be kept; ``easy``: those that it predicts well; ``random``: all equally, which needs no scorer.
    """

    keep: Annotated[tuple[_Share, ...], pydantic.Field(min_length=1, max_length=1000)]
    by: Annotated[tuple[KeptBy, ...], pydantic.Field(min_length=1)]

    def __post_init__(self) -> None:
        for name, values in (("keep", self.keep), ("by", self.by)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: a value is repeated")


_Examples = Annotated[tuple[Rows, ...], pydantic.Field(min_length=1, max_length=1000)]
# One key per scheme that has a list of multipliers, in the order of SCHEMES; ``examples`` keeps its place before them.
_Ladders: Any = dataclasses.make_dataclass(
    "_Ladders",
    [("examples", _Examples), *((letter, _MULTIPLIERS[SCHEMES[letter].multipliers], ()) for letter in LISTED)],
    frozen=True,
)


@dataclass(frozen=True, config=STRICT)
class Sweep(_Ladders):
    """The grid: the union of the schemes' multipliers, times learning rates and seeds.

    Besides the attributes below there is one for each scheme of ``fit.schemes`` with multipliers of its own, named by
    its letter (``V: [1/4, 4]``); ``multipliers`` reads them. Under F a smaller set of features lies within every larger
    one, and a categorical feature comes first. Under N a row kept by a smaller share is kept by every larger one;
    validation and test keep every row, and predictions there are corrected for the sampling. Under E each data size is
    trained from scratch, with so many passes over its rows, always in the same order. Under T the loss is 1 - weight
    times the log loss against the label, and weight times that against what ``teacher`` predicts.

    Attributes:
        examples: the data ladder: numbers of training rows at which every trial is measured, rising. Each is rounded
            down to whole batches. They are the rows trained on: under N, those left after its sampling; under E, each
            is passed over several times.
        VH: whether V's multipliers are crossed with H's. Alone they are V and H, and need no second training.
        A: architectures beside ``model.architecture``; the baseline is trained in each of them too. As a mapping
            (``{wukong: [1/4, 1, 4], cross: [1/4, 1, 4]}``) each architecture, ``model.architecture`` among them, is
            given multipliers of its dense part, which ``model.shape.scale`` scales by the architecture's own rule.
        P: data pruning: ``{keep: [1/2, 1/4], by: [hard, random]}``. The data sizes count the rows kept.
        seeds: each has its own initialisation and its own order of the training rows, in which the rungs are the first
            rows.
        more_seeds: further seeds of single shapes, by their names in the output of ``plan``: ``{D-1: [1, 2]}``.
        feature_seed: seed of the order in which F takes features.
    """

    examples: _Examples
    VH: bool = False
    A: _Architectures = ()
    P: Pruning | None = None
    seeds: Annotated[tuple[Seed, ...], pydantic.Field(min_length=1, max_length=1000)] = (0,)
    feature_seed: Seed = 0
    more_seeds: dict[str, tuple[Seed, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if list(self.examples) != sorted(set(self.examples)):
            raise ValueError("examples: the data ladder has to rise, each size once")
        lists = {name: getattr(self, name) for name in (*LISTED, "seeds")}
        lists |= {"A": self.A} if isinstance(self.A, tuple) else {f"A.{name}": own for name, own in self.A.items()}
        for name, values in lists.items():
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: a value is repeated")
        for name, seeds in self.more_seeds.items():
            if len({*self.seeds, *seeds}) < len(self.seeds) + len(seeds):
                raise ValueError(f"more_seeds.{name}: a value is repeated, or is one of seeds, which every shape has")
        for name in ("V", "H"):
            if self.VH and not self.multipliers(name):
                raise ValueError(
                    f"VH: crosses V's multipliers with H's, and {name} has none; give some, or leave VH out"
                )

    def multipliers(self, scheme: str) -> tuple[fractions.Fraction, ...]:
        """The multipliers of a scheme that has its own; of ``E``, its numbers of epochs."""
        if scheme in KEEPING:
            return self.P.keep if self.P is not None and SCHEMES[scheme].keeps in self.P.by else ()
        return tuple(fractions.Fraction(value) for value in getattr(self, scheme))

    @property
    def architectures(self) -> dict[Architecture, tuple[fractions.Fraction, ...]]:
        """The multipliers of each of ``A``'s architectures other than 1, its baseline, which is always trained."""
        scaled = dict.fromkeys(self.A, ()) if isinstance(self.A, tuple) else self.A
        return {name: tuple(value for value in multipliers if value != 1) for name, multipliers in scaled.items()}


@dataclass(frozen=True, config=STRICT)
class Scorer:
    """A model of the study that is trained once, on older rows, and predicts the rows that trials are trained on.

    Its rows are held apart from every trial of the study: the oldest of the training split where the data are split by
    time, else drawn ones (``input.history``).

    Attributes:
        examples: rows that it is trained on, in one pass, rounded down to whole batches.
        scheme, multiplier: its shape; D, or a scheme that scales the model.
        architecture: its architecture; None: ``model.architecture``.
        learning_rate: its learning rate. It is not searched; one that trials of the shape found is a good one.
        seed: seed of its initialisation and of the order of its rows.
    """

    examples: Rows
    scheme: str = BASELINE
    multiplier: _MultiplierOrOne = fractions.Fraction(1)
    architecture: Architecture | None = None
    learning_rate: Annotated[float, pydantic.Field(ge=1e-12, le=1e3)] = 0.04
    seed: Seed = 0

    def __post_init__(self) -> None:
        known = (BASELINE, *SIZES, ARCHITECTURE)
        if self.scheme not in known:
            raise ValueError(f"scheme: {self.scheme!r} is none of {', '.join(known)}")
        if (self.scheme == BASELINE) != (self.multiplier == 1):
            raise ValueError(f"multiplier: {self.multiplier} does not suit scheme {self.scheme}; only D's is 1")
        if self.architecture == "linear" and self.scheme != BASELINE:
            raise ValueError("architecture: linear has no size to scale; give scheme D")


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
        if self.scorer is None and self.sweep.P is not None and set(self.sweep.P.by) != {"random"}:
            raise ValueError(
                "sweep.P.by: a scorer decides which rows are hard or easy; give one, as in "
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
