"""The types of a configuration's values: numbers within bounds, multipliers as fractions."""

import fractions
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic

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


Multiplier = Annotated[fractions.Fraction, pydantic.PlainValidator(_multiplier), pydantic.PlainSerializer(str)]
Share = Annotated[fractions.Fraction, pydantic.PlainValidator(_share), pydantic.PlainSerializer(str)]
Weight = Annotated[fractions.Fraction, pydantic.PlainValidator(_weight), pydantic.PlainSerializer(str)]
Epochs = Annotated[int, pydantic.Field(ge=2, le=1000)]
# The type of a scheme's multipliers, by the kind in its row of SCHEMES.
MULTIPLIERS: dict[str, Any] = {
    kind: Annotated[tuple[type_, ...], pydantic.Field(max_length=1000)]  # type: ignore[valid-type]
    for kind, type_ in (("size", Multiplier), ("share", Share), ("epochs", Epochs), ("weight", Weight))
}
MultiplierOrOne = Annotated[
    fractions.Fraction, pydantic.PlainValidator(_multiplier_or_one), pydantic.PlainSerializer(str)
]
# Errors do not name these tags: ``strict_yaml`` leaves out what starts with "function-".
Architectures = Annotated[
    Annotated[tuple[Architecture, ...], pydantic.Tag("function-list")]
    | Annotated[
        dict[Architecture, Annotated[tuple[MultiplierOrOne, ...], pydantic.Field(max_length=1000)]],
        pydantic.Tag("function-mapping"),
    ],
    pydantic.Discriminator(lambda value: "function-mapping" if isinstance(value, Mapping) else "function-list"),
]
LearningRates = Annotated[
    Annotated[Literal["auto"], pydantic.Tag("function-auto")]
    | Annotated[
        tuple[Annotated[float, pydantic.Field(ge=1e-12, le=1e3)], ...],
        pydantic.Field(min_length=1, max_length=1000),
        pydantic.Tag("function-list"),
    ],
    pydantic.Discriminator(lambda value: "function-auto" if isinstance(value, str) else "function-list"),
]
Examples = Annotated[tuple[Rows, ...], pydantic.Field(min_length=1, max_length=1000)]
