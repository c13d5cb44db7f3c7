"""What a row of a click log holds."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic.dataclasses import dataclass

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.strict_yaml import read_yaml, validated

STRICT = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False)

# One record holds at most this many ids of one row; more is a mistake in the schema rather than a feature.
MAX_VALUES = 1000
Name = Annotated[str, pydantic.Field(min_length=1, max_length=200)]


@dataclass(frozen=True, config=STRICT)
class DenseFeature:
    """A number.

    Attributes:
        name: the column.
        transform: ``log1p`` takes ln(1 + x); ``standardize`` takes (x - mean) / standard deviation, both
            measured on the training split. A missing value becomes 0 *after* the transform.
        negative: what ``log1p`` does with a negative value: ``zero`` takes it for 0, ``reject`` for a
            malformed row. (Criteo's second integer column holds -1, -2 and -3.)
        integer: a value that is none makes a malformed row.
    """

    name: Name
    transform: Literal["log1p", "standardize"] = "log1p"
    negative: Literal["zero", "reject"] = "zero"
    integer: bool = False


@dataclass(frozen=True, config=STRICT)
class CategoricalFeature:
    """An id out of many, or several of them.

    Attributes:
        name: the column.
        cardinality: rows of the feature's embedding table at V = 1. Under V scaling the table has
            ``round(cardinality * V)`` rows, and the id ``i`` lies in row ``i % rows``.
        encoding: how a value becomes an id. ``vocabulary``: ids 1, 2, 3 ... by falling frequency in the
            training split, up to ``cardinality - 1``, equally frequent values in the order of their hashes; id 0
            stands for all that is missing, rarer or unseen in training. ``hash``: 31 bits of a fixed hash of the
            value, a missing value being one of its own. ``id``: the value is a non-negative integer below 2**31 and
            is the id.
        min_count: a value that occurs less often in the training split is as good as unseen (``vocabulary`` only).
        max_values: ids a row can hold; above 1 the feature is multi-hot and its embeddings are averaged.
        separator: what stands between the values of a multi-hot feature.
        hexadecimal: a value that is no hexadecimal number of at most 32 bits makes a malformed row.
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
            raise ValueError(f"feature {self.name!r}: min_count is for the encoding 'vocabulary'")
        if (self.max_values > 1) != (self.separator is not None):
            raise ValueError(f"feature {self.name!r}: max_values above 1 and a separator go together")
        if self.separator is not None and len(self.separator) == 0:
            raise ValueError(f"feature {self.name!r}: the separator is empty")


@dataclass(frozen=True, config=STRICT)
class Schema:
    """The columns of a click log.

    Attributes:
        label: the column that is 1 for a click and 0 for none.
        label_at_least: where the label is a number such as a rating, one of at least this counts as a click; None:
            the label is 0 or 1.
        categorical: at least one.
        dense: may be empty; the model then sees a constant 1.
        time: a column of integers that grow with time (epoch seconds, say), or None.
        weight: a column of numbers from 0 up that the row's loss is multiplied by, in training and in evaluation; or
            None: every row counts once.
        missing: the texts that stand for a missing value.
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
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise ValueError(f"column {twice[0]!r} is named twice")

    @property
    def columns(self) -> list[str]:
        """Every column that is read, the label first."""
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

    def to_dict(self) -> dict[str, Any]:
        """The schema as plain JSON values; ``Schema.from_dict`` takes it back."""
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
        """The schema in a JSON file.

        Raises:
            InputError: names the file, the key, and what is wrong.
        """
        return Schema.from_dict(read_yaml(path), str(path))


def criteo() -> Schema:
    """Criteo's display advertising logs: 13 integer counts, 26 categories as 32-bit hexadecimal numbers.

    The tables have 2**16 rows at V = 1: the raw cardinalities run from 4 to 10 million, and hashing them into
    equal tables is the usual way to fit them in memory.
    """
    return Schema(
        label="label",
        dense=tuple(DenseFeature(f"I{i}", integer=True) for i in range(1, 14)),
        categorical=tuple(CategoricalFeature(f"C{i}", 2**16, "hash", hexadecimal=True) for i in range(1, 27)),
    )


__all__ = ["CategoricalFeature", "DenseFeature", "InputError", "Schema", "criteo"]
