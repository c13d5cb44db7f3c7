"""Records of a study's fits as JSON, which has no NaN and no infinity, and back."""

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, TypeVar

from pydantic import PlainValidator

from tfrs_scaling.common.json_numbers import to_json
from tfrs_scaling.fit.joint.law import JointFit
from tfrs_scaling.fit.laws.power_law import PowerLawFit

Fit = TypeVar("Fit", PowerLawFit, JointFit)


def finite_or_none(value: float) -> float | None:
    """A number as records hold it: None where it is unknown (NaN) or open (infinite)."""
    return float(value) if math.isfinite(value) else None


def known_intervals(fit: PowerLawFit) -> dict[str, tuple[float | None, float | None]]:
    """A law's intervals as records hold them."""
    return {name: (finite_or_none(low), finite_or_none(high)) for name, (low, high) in fit.interval.items()}


def encode(value: Any) -> Any:
    """A record, or a collection of records, as plain JSON values: tuples become lists, NaN and infinities null."""
    if isinstance(value, PowerLawFit | JointFit):
        return value.to_dict()
    if is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {name: encode(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return to_json(value)


def flat(record: Any, prefix: str = "") -> dict[str, Any]:
    """A record as one row of a table: what a record within it holds has the name of that before its own.

    Of a fit the points are left out, and so are its resampled laws.
    """
    row: dict[str, Any] = {}
    if isinstance(record, PowerLawFit | JointFit):
        items = {name: value for name, value in record.to_dict().items() if not isinstance(value, list)}
    else:
        items = record if isinstance(record, dict) else {f.name: getattr(record, f.name) for f in fields(record)}
    for name, value in items.items():
        if name == "interval" and value:
            for parameter, (low, high) in value.items():
                row |= {f"{prefix}{parameter}_low": low, f"{prefix}{parameter}_high": high}
        elif isinstance(value, dict) or is_dataclass(value):
            row |= flat(value, f"{prefix}{name}_")
        else:
            row[f"{prefix}{name}"] = value
    return row


def _reader(kind: type[Fit]) -> Callable[[Any], Fit]:
    def read(content: Any) -> Fit:
        if isinstance(content, kind):
            return content
        try:
            return kind.from_dict(content)
        except (AttributeError, OverflowError) as error:  # a list where an object is expected, or 10**400
            raise ValueError(f"not a fit ({error})") from error

    return read


# The types of record fields that hold a fit: ``to_dict`` and ``from_dict`` know its JSON, with its NaN and infinities.
StoredPowerLaw = Annotated[PowerLawFit, PlainValidator(_reader(PowerLawFit))]
StoredJointFit = Annotated[JointFit, PlainValidator(_reader(JointFit))]
