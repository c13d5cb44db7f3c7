"""Numbers of a fit in JSON, which has no NaN and no infinity."""

import math
from typing import Any


def to_json(value: Any) -> Any:
    """A number, or lists and dictionaries of numbers, with null for NaN and infinities; tuples become lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: to_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def from_json(value: Any) -> float:
    """A number that ``to_json`` wrote; NaN for null."""
    return math.nan if value is None else float(value)
