"""The shape of a DLRM: (baseline, scheme, multiplier) -> sizes of its layers."""

import dataclasses
import fractions
import math

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Architecture, Model, Table, Wukong
from tfrs_scaling.config.values import MLP_WIDTHS_ALONE
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.input.schema import Schema, scaled_size


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes and kinds of a DLRM's layers.

    Attributes:
        embedding_dim: length of the vectors that interact, and width of the bottom MLP's last layer.
        interaction: width of the dense-sparse interaction layer; 0: none.
        table_dims: length of each table's embeddings; empty: ``embedding_dim`` for all, and filled in.
        pooling: pooling of each table's feature if it is multi-hot; empty: the mean for all, and filled in.
    """

    table_rows: tuple[int, ...]
    embedding_dim: int
    bottom: tuple[int, ...]
    interaction: int
    overarch: tuple[int, ...]
    table_dims: tuple[int, ...] = ()
    pooling: tuple[str, ...] = ()
    architecture: Architecture = "dot"
    cross_layers: int = 3
    cross_rank: int = 0
    wukong: Wukong = dataclasses.field(default_factory=Wukong)

    def __post_init__(self) -> None:
        tables = len(self.table_rows)
        object.__setattr__(self, "table_dims", self.table_dims or (self.embedding_dim,) * tables)
        object.__setattr__(self, "pooling", self.pooling or ("mean",) * tables)

    def bottom_widths(self, schema: Schema) -> tuple[int, ...]:
        """Widths of the bottom MLP from its input to its last layer; without dense features its input is a constant."""
        return (max(1, len(schema.dense)), *self.bottom, self.embedding_dim)

    def interacted_width(self, schema: Schema) -> int:
        """Width of the interaction's output."""
        vectors = 1 + len(schema.categorical)
        match self.architecture:
            case "dot":
                return self.embedding_dim + vectors * (vectors - 1) // 2
            case "linear":
                return 1
            case "wukong":
                return (self.wukong.n_f + self.wukong.n_l) * self.embedding_dim
        return vectors * self.embedding_dim

    def wukong_inputs(self, schema: Schema) -> tuple[int, ...]:
        """How many embeddings enter each of Wukong's layers."""
        return (1 + len(schema.categorical), *(self.wukong.layers - 1) * (self.wukong.n_f + self.wukong.n_l,))


def baseline_shape(model: Model, schema: Schema) -> Shape:
    """The shape at multiplier 1: a table of ``cardinality`` rows per categorical feature.

    A linear model has as many rows, of one number, and no other layer than the one of the dense features.
    """
    rows = tuple(feature.cardinality for feature in schema.categorical)
    if model.architecture == "linear":
        return Shape(rows, embedding_dim=1, bottom=(), interaction=0, overarch=(), architecture="linear")
    tables = [model.tables.get(feature.name, Table()) for feature in schema.categorical]
    return Shape(
        table_rows=rows,
        embedding_dim=model.embedding_dim,
        bottom=model.bottom,
        interaction=model.interaction,
        overarch=model.overarch,
        table_dims=tuple(table.dim or model.embedding_dim for table in tables),
        pooling=tuple(table.pooling for table in tables),
        architecture=model.architecture,
        cross_layers=model.cross_layers,
        cross_rank=model.cross_rank,
        wukong=model.wukong,
    )


def check_tables(model: Model, schema: Schema) -> None:
    """Check that the model's ``tables`` are the data's.

    Raises:
        InputError: one of them is not; names it, and those there are.
    """
    names = [feature.name for feature in schema.categorical]
    for name in model.tables:
        if name not in names:
            raise InputError(f"model.tables: the data have no categorical feature {name!r}, only {', '.join(names)}")


def scale(baseline: Shape, scheme: str, multiplier: fractions.Fraction) -> Shape:
    """The baseline scaled by a scheme's multiplier.

    V scales the rows of every table; H the embedding dimension, and the tables' own in proportion; O the over-arch's
    widths; M the widths of all MLPs (bottom, interaction, over-arch, those of Wukong's layers). H alone scales a cross
    network, by its width. A scales the dense part by the architecture's own rule: the widths of all MLPs (dot, mlp);
    these, the rank and the layers of a cross network, a full rank staying full; Wukong's n_f, n_l, k, MLP widths and
    layers, which Zhang et al. (2024, section 3.8) scale, and nothing else. There layers grow as the square root of the
    multiplier: the paper's largest model has 4 times the layers of its smallest one, and 8 to 24 times the rest (Table
    5). Other schemes scale what the model is trained on, and no size.

    Sizes are rounded to the nearest integer, halves up, and never fall below 1. The last bottom layer keeps the
    embedding dimension, which the interaction needs.

    Raises:
        ValueError: scheme D with a multiplier other than 1, or VH, which has two.
    """

    def times(size: int) -> int:
        return scaled_size(size, multiplier)

    def all_times(sizes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(times(size) for size in sizes)

    match scheme:
        case "V":
            return dataclasses.replace(baseline, table_rows=all_times(baseline.table_rows))
        case "H":
            return dataclasses.replace(
                baseline, embedding_dim=times(baseline.embedding_dim), table_dims=all_times(baseline.table_dims)
            )
        case "O":
            return dataclasses.replace(baseline, overarch=all_times(baseline.overarch))
        case "M":
            wukong = baseline.wukong
            if baseline.architecture == "wukong":
                wukong = dataclasses.replace(wukong, mlp=all_times(wukong.mlp))
            return dataclasses.replace(
                baseline,
                bottom=all_times(baseline.bottom),
                interaction=times(baseline.interaction) if baseline.interaction else 0,
                overarch=all_times(baseline.overarch),
                wukong=wukong,
            )
        case "D":
            if multiplier != 1:
                raise ValueError(f"scheme D is the baseline: its multiplier is 1, not {multiplier}")
            return baseline
        case "A":
            return _scale_dense(baseline, multiplier)
        case "VH":
            raise ValueError("scheme VH has two multipliers: scale by V, then scale the result by H")
    assert not SCHEMES[scheme].sizes, f"scheme {scheme} scales a size, but not yet here"
    return baseline


def _scale_dense(baseline: Shape, multiplier: fractions.Fraction) -> Shape:
    """The baseline with its dense part scaled by its architecture's own rule."""

    def layers(number: int) -> int:
        return max(1, math.floor(number * math.sqrt(multiplier) + 0.5))

    match baseline.architecture:
        case "wukong":
            own = baseline.wukong
            scaled = {name: scaled_size(getattr(own, name), multiplier) for name in ("n_f", "n_l", "k")}
            mlp = tuple(scaled_size(width, multiplier) for width in own.mlp)
            return dataclasses.replace(
                baseline, wukong=dataclasses.replace(own, **scaled, mlp=mlp, layers=layers(own.layers))
            )
        case "cross":
            return dataclasses.replace(
                scale(baseline, "M", multiplier),
                cross_layers=layers(baseline.cross_layers),
                cross_rank=scaled_size(baseline.cross_rank, multiplier) if baseline.cross_rank else 0,
            )
    assert baseline.architecture in MLP_WIDTHS_ALONE, f"{baseline.architecture} has no dense part to scale"
    return scale(baseline, "M", multiplier)
