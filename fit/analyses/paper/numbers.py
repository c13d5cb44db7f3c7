"""The numbers of the paper, read from ``numbers.yaml``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import TypeAdapter

NUMBERS = Path(__file__).with_name("numbers.yaml")
Half = Literal["low", "high"]
Where = Literal[
    "few parameters for the data",
    "many parameters for the data",
    "many of both",
    "few parameters",
    "the most parameters",
]


@dataclass(frozen=True)
class TableRow:
    """What Table 1 of the paper says of one axis: ranges over the schemes V, H, O and M."""

    alpha: tuple[float, float]
    beta: tuple[float, float]
    gamma: tuple[float, float]
    r2: float
    saturated: str
    ranking: str
    figure: int


@dataclass(frozen=True)
class TableEntry:
    """An entry of Table 2: which scheme of a pair is better with few or many parameters and data."""

    parameters: Half
    data: Half
    outcomes: tuple[str, ...]


@dataclass(frozen=True)
class PaperZone:
    """A zone of Figure 7 or 8."""

    figure: int
    zone: int
    where: Where
    outcome: str


@dataclass(frozen=True)
class Exponents:
    """beta of the loss against data on training and on test data, Figure 10."""

    train: float
    test: float


@dataclass(frozen=True)
class PaperNumbers:
    """The numbers of the paper that a study is compared with.

    Attributes:
        table_1: By axis.
        best_dimension: Embedding dimension of the lowest loss, by multiple of the baseline's rows.
        knee: Embedding dimension beyond which more of it brings little, at every number of rows.
    """

    source: str
    table_1: dict[str, TableRow]
    table_2: tuple[TableEntry, ...]
    zones: tuple[PaperZone, ...]
    best_dimension: dict[float, int]
    knee: int
    exponents: Exponents


def read_paper_numbers() -> PaperNumbers:
    """The numbers of the paper, as ``numbers.yaml`` holds them."""
    return TypeAdapter(PaperNumbers).validate_python(yaml.safe_load(NUMBERS.read_text(encoding="utf-8")))
