"""The sections of a configuration: model, training, grid, and the models that score rows."""

import dataclasses
import fractions
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic
from pydantic.dataclasses import dataclass

from tfrs_scaling.config.values import (
    MULTIPLIERS,
    Architecture,
    Architectures,
    BatchSize,
    Examples,
    LearningRates,
    MultiplierOrOne,
    Precision,
    Rows,
    Seed,
    Share,
    Width,
    Widths,
)
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE, LISTED, SCHEMES, SIZES, KeptBy
from tfrs_scaling.input.schema import STRICT


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
    learning_rates: LearningRates
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

    keep: Annotated[tuple[Share, ...], pydantic.Field(min_length=1, max_length=1000)]
    by: Annotated[tuple[KeptBy, ...], pydantic.Field(min_length=1)]

    def __post_init__(self) -> None:
        for name, values in (("keep", self.keep), ("by", self.by)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: a value is repeated")


def _form(given: Any) -> str:
    if given is None:  # as earlier versions wrote it
        return "function-none"
    return "function-by-way" if isinstance(given, Mapping) and not {"keep", "by"} & {*given} else "function-all"


def _by_way(given: Any) -> Any:
    return dict.fromkeys(given.by, given.keep) if isinstance(given, Pruning) else given or {}


_ByWay = dict[KeptBy, Annotated[tuple[Share, ...], pydantic.Field(min_length=1, max_length=1000)]]
_Given = Annotated[
    Annotated[Pruning, pydantic.Tag("function-all")]
    | Annotated[_ByWay, pydantic.Tag("function-by-way")]
    | Annotated[None, pydantic.Tag("function-none")],
    pydantic.Discriminator(_form),
    pydantic.AfterValidator(_by_way),
]


# One key per scheme that has a list of multipliers, in the order of SCHEMES; ``examples`` keeps its place before them.
_Ladders: Any = dataclasses.make_dataclass(
    "_Ladders",
    [("examples", Examples), *((letter, MULTIPLIERS[SCHEMES[letter].multipliers], ()) for letter in LISTED)],
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
        P: data pruning: ``{keep: [1/2, 1/4], by: [hard, random]}``, or each way to choose rows with its shares,
            ``{hard: [1/2, 1/4], random: [1/2]}``, which is what the field holds. The data sizes count the rows kept.
        seeds: each has its own initialisation and its own order of the training rows, in which the rungs are the first
            rows.
        more_seeds: further seeds of single shapes, by their names in the output of ``plan``: ``{D-1: [1, 2]}``.
        feature_seed: seed of the order in which F takes features.
    """

    examples: Examples
    VH: bool = False
    A: Architectures = ()
    P: Annotated[_ByWay, pydantic.GetPydanticSchema(lambda _, handler: handler(_Given))] = dataclasses.field(
        default_factory=dict
    )
    seeds: Annotated[tuple[Seed, ...], pydantic.Field(min_length=1, max_length=1000)] = (0,)
    feature_seed: Seed = 0
    more_seeds: dict[str, tuple[Seed, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if list(self.examples) != sorted(set(self.examples)):
            raise ValueError("examples: the data ladder has to rise, each size once")
        lists = {name: getattr(self, name) for name in (*LISTED, "seeds")}
        lists |= {f"P.{way}": shares for way, shares in self.P.items()}
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
        if (way := SCHEMES[scheme].keeps) is not None:
            return self.P.get(way, ())
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
    multiplier: MultiplierOrOne = fractions.Fraction(1)
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
