"""Scaling schemes: (baseline, scheme, multiplier) -> the shape of a DLRM."""

import dataclasses
import fractions
import math

from tfrs_scaling.config import Model, Scheme
from tfrs_scaling.input.schema import Schema


@dataclasses.dataclass(frozen=True)
class Shape:
    """The sizes of a DLRM's layers.

    Attributes:
        table_rows: rows of each embedding table.
        embedding_dim: length of every embedding, and width of the bottom MLP's last layer.
        bottom: widths of the bottom MLP's hidden layers.
        interaction: width of the dense-sparse interaction layer; 0: none.
        overarch: widths of the over-arch's hidden layers.
    """

    table_rows: tuple[int, ...]
    embedding_dim: int
    bottom: tuple[int, ...]
    interaction: int
    overarch: tuple[int, ...]


def baseline_shape(model: Model, schema: Schema) -> Shape:
    """The shape at multiplier 1: a table of ``cardinality`` rows per categorical feature."""
    return Shape(
        table_rows=tuple(feature.cardinality for feature in schema.categorical),
        embedding_dim=model.embedding_dim,
        bottom=model.bottom,
        interaction=model.interaction,
        overarch=model.overarch,
    )


def scale(baseline: Shape, scheme: Scheme, multiplier: fractions.Fraction) -> Shape:
    """The baseline scaled: V the rows of every table, H the embedding dimension, O the over-arch's widths, M the
    widths of all MLPs (bottom, interaction, over-arch); D is the baseline itself.

    Sizes are rounded to the nearest integer, halves up, and never fall below 1. The last bottom layer keeps the
    embedding dimension, which the dot interaction needs.

    Raises:
        ValueError: scheme D with a multiplier other than 1.
    """

    def times(size: int) -> int:
        return max(1, math.floor(size * multiplier + fractions.Fraction(1, 2)))

    def all_times(sizes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(times(size) for size in sizes)

    match scheme:
        case "V":
            return dataclasses.replace(baseline, table_rows=all_times(baseline.table_rows))
        case "H":
            return dataclasses.replace(baseline, embedding_dim=times(baseline.embedding_dim))
        case "O":
            return dataclasses.replace(baseline, overarch=all_times(baseline.overarch))
        case "M":
            return dataclasses.replace(
                baseline,
                bottom=all_times(baseline.bottom),
                interaction=times(baseline.interaction) if baseline.interaction else 0,
                overarch=all_times(baseline.overarch),
            )
        case "D":
            if multiplier != 1:
                raise ValueError(f"scheme D is the baseline: its multiplier is 1, not {multiplier}")
            return baseline
