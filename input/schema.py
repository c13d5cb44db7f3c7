"""What a row of a click log holds."""

import dataclasses
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic.dataclasses import dataclass

from tfrs_scaling.common.shipped import find_shipped
from tfrs_scaling.common.strict_yaml import lines_of_yaml, read_yaml, validated

STRICT = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False)

# Ids that one row may hold of one feature; a larger number is a mistake in the schema.
MAX_VALUES = 1000
# What a label may be written as, in any case, and whether it is a click.
LABEL_TEXTS = {"true": True, "false": False, "t": True, "f": False, "yes": True, "no": False, "y": True, "n": False}
LABEL_TEXTS |= {f"{digit}{zeros}": digit == 1 for digit in (0, 1) for zeros in ("", *(f".{'0' * n}" for n in range(7)))}
NOTABLE_REPEATS = 0.05  # share of the rows that equal another, beyond those expected
Name = Annotated[str, pydantic.Field(min_length=1, max_length=200)]


@dataclass(frozen=True, config=STRICT)
class DenseFeature:
    """A number.

    Attributes:
        name: the column.
        transform: ``log1p`` takes ln(1 + x); ``standardize`` takes (x - mean) / standard deviation, both
            measured on the training split. A missing value becomes 0 *after* the transform.
        negative: what ``log1p`` does with a negative value: ``zero`` reads it as 0, ``reject`` treats the row as
            malformed. (Criteo's second integer column holds -1, -2 and -3.)
        integer: a row whose value is not an integer is malformed.
        decimal_comma: whether fractions follow a comma, as in 0,5; then no value may hold a point.
    """

    name: Name
    transform: Literal["log1p", "standardize"] = "log1p"
    negative: Literal["zero", "reject"] = "zero"
    integer: bool = False
    decimal_comma: bool = False


@dataclass(frozen=True, config=STRICT)
class CategoricalFeature:
    """One id out of many, or several of them.

    Attributes:
        name: the column.
        cardinality: rows of the feature's embedding table at V = 1. Under V scaling the table has
            ``scaled_size(cardinality, V)`` rows, and the id ``i`` uses row ``i % rows``.
        encoding: how a value becomes an id. ``vocabulary``: ids 1, 2, 3 ... by descending frequency in the training
            split, up to ``cardinality - 1``, ties ordered by hash; id 0 stands for missing values, for rarer ones and
            for those unseen in training. ``hash``: 31 bits of a fixed hash of the value; a missing value hashes like
            a value of its own. ``id``: the value is the id, an integer from 0 to 2**31 - 1.
        min_count: values with fewer occurrences in the training split get no id (``vocabulary`` only).
        max_values: ids a row can hold; above 1 the feature is multi-hot and its embeddings are averaged.
        separator: text between the values of a multi-hot feature.
        hexadecimal: a row whose value is not a hexadecimal number of at most 32 bits is malformed.
    """

    name: Name
    cardinality: Annotated[int, pydantic.Field(ge=1, le=2**31 - 1)]
    encoding: Literal["vocabulary", "hash", "id"] = "vocabulary"
    min_count: Annotated[int, pydantic.Field(ge=1)] = 1
    max_values: Annotated[int, pydantic.Field(ge=1, le=MAX_VALUES)] = 1
    separator: str | None = None
    hexadecimal: bool = False

    def __post_init__(self) -> None:
        if self.min_count > 1 and self.encoding != "vocabulary":
            raise ValueError(f"feature {self.name!r}: min_count needs the encoding 'vocabulary'")
        if (self.max_values > 1) != (self.separator is not None):
            raise ValueError(f"feature {self.name!r}: max_values above 1 and a separator must be given together")
        if self.separator is not None and len(self.separator) == 0:
            raise ValueError(f"feature {self.name!r}: the separator is empty")


@dataclass(frozen=True, config=STRICT)
class Schema:
    """The columns of a click log.

    Attributes:
        label: the column that is 1 for a click and 0 otherwise.
        label_at_least: if the label is a number such as a rating, the smallest value that counts as a click; None if
            the label is 0 or 1.
        categorical: at least one.
        dense: may be empty; the model then sees a constant 1.
        time: a column of integers that increase with time (epoch seconds, say), or None.
        weight: a column of non-negative numbers that multiply the row's loss, in training and in evaluation; None:
            every row has weight 1.
        missing: the texts that mean a missing value.
    """

    label: Name
    categorical: Annotated[tuple[CategoricalFeature, ...], pydantic.Field(min_length=1)]
    dense: tuple[DenseFeature, ...] = ()
    time: Name | None = None
    weight: Name | None = None
    label_at_least: float | None = None
    missing: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        columns = self.columns
        repeated = sorted({name for name in columns if columns.count(name) > 1})
        if repeated:
            raise ValueError(f"column {repeated[0]!r} is named twice")

    @property
    def columns(self) -> list[str]:
        """Names of all columns to read, the label first."""
        dense, categorical = [f.name for f in self.dense], [f.name for f in self.categorical]
        return [self.label, *dense, *categorical, *(name for name in (self.time, self.weight) if name is not None)]

    @property
    def slots(self) -> list[range]:
        """Per categorical feature, the columns of the id matrix that hold its ids."""
        slots, start = [], 0
        for feature in self.categorical:
            slots.append(range(start, start + feature.max_values))
            start += feature.max_values
        return slots

    def possible_rows(self, vocabulary_sizes: dict[str, int]) -> float:
        """How many different rows there can be; infinite with numbers, times or several values of a feature in a row.

        Args:
            vocabulary_sizes: distinct values per ``vocabulary`` feature; another has ``cardinality`` of them.
        """
        if self.dense or self.time or self.weight or any(feature.max_values > 1 for feature in self.categorical):
            return math.inf
        sizes = (vocabulary_sizes.get(feature.name, feature.cardinality) + 1.0 for feature in self.categorical)
        return 2 * math.prod(sizes)

    def to_dict(self) -> dict[str, Any]:
        """The schema as plain JSON values, for ``Schema.from_dict``."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    @staticmethod
    def from_dict(content: dict[str, Any], source: str) -> "Schema":
        """The schema in a plain mapping.

        Raises:
            InputError: names ``source``, the key, and what is wrong.
        """
        return validated(Schema, content, source)

    @staticmethod
    def read(path: Path) -> "Schema":
        """The schema in a JSON file, or of a name that comes with the package, such as ``movielens``.

        Raises:
            InputError: names the file, the line, the key, and what is wrong.
        """
        path = find_shipped(path, "schemas/*.json")
        return validated(Schema, read_yaml(path), lines_of_yaml(path))


def repeats_by_chance(rows: int, possible: float) -> float:
    """The share of ``rows`` that are expected to equal an earlier one if each is drawn from ``possible`` ones.

    All are equally likely here; the more they differ, the more of them repeat.

    >>> f"{repeats_by_chance(1000, 10):.2f} {repeats_by_chance(1000, 1000):.2f} {repeats_by_chance(1000, math.inf):.2f}"
    '0.99 0.37 0.00'
    """
    if not rows or math.isinf(possible):
        return 0.0
    return 1 + possible / rows * math.expm1(-rows / possible)


def scaled_size(size: int, multiplier: Fraction) -> int:
    """A size times a multiplier: the nearest integer, halves rounded up, and at least 1."""
    return max(1, math.floor(size * multiplier + Fraction(1, 2)))
