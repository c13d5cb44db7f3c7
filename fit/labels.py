"""Names of multipliers, lines, shapes and axes, as tables, figures and sentences write them."""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Protocol

from tfrs_scaling.common.words import human
from tfrs_scaling.fit.schemes import SCHEMES

FRONTIER = "frontier"
AXIS_NAMES: dict[str, str] = {
    "data": "training examples",
    "parameters": "parameters",
    "compute": "training compute (FLOPs)",
}
NON_EMBEDDING = "parameters outside the embedding tables"


class _HasArchitecture(Protocol):
    @property
    def architecture(self) -> str: ...


def multiplier_label(multiplier: float) -> str:
    """A multiplier as people write it: 0.015625 is 1/64, 8.0 is 8, 0.3 is 0.3."""
    fraction = Fraction(multiplier).limit_denominator(4096)
    short = fraction.numerator == 1 or fraction.denominator == 1
    return str(fraction) if short and math.isclose(fraction, multiplier) else f"{multiplier:g}"


def axis_name(x: str, scheme: str) -> str:
    """What an axis measures, in words: O and M are plotted against the parameters they change."""
    return NON_EMBEDDING if x == "parameters" and SCHEMES[scheme].outside_tables else AXIS_NAMES[x]


def line_name(line: str, x: str = "data") -> str:
    """A line in words: 4×, 65.5k examples, or frontier.

    Args:
        line: Name of the line in a study's fits: a multiplier, a data size (against parameters), or ``frontier``.
        x: data, parameters or compute.
    """
    if line == FRONTIER:
        return FRONTIER
    return f"{human(float(line))} examples" if x == "parameters" else f"{line}×"


def shape_name(scheme: str, multiplier: float) -> str:
    """A shape in a few characters: V 4×; a share or a weight is no multiple: N 1/4."""
    times = "" if SCHEMES[scheme].multipliers in ("share", "weight") else "×"
    return f"{scheme} {multiplier_label(multiplier)}{times}"


def has_several_architectures(records: Iterable[_HasArchitecture]) -> bool:
    """Whether names of these records must say which architecture they are about."""
    return len({record.architecture for record in records}) > 1


def architecture_suffix(architecture: str, several: bool) -> str:
    """What is added to a name where a study has several architectures."""
    return f" · {architecture}" if several else ""


def architecture_prefix(architecture: str, several: bool) -> str:
    """What a sentence begins with where a study has several architectures."""
    return f"{architecture}: " if several else ""
