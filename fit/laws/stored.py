"""Results that are stored as JSON, and compared by what is stored."""

from typing import Any


class Stored:
    """A result that equals any other of its type with the same content, NaN counting as equal to NaN.

    The ``__eq__`` of dataclasses compares field by field, and NaN differs from itself (from Python 3.13 on, even the
    same NaN object).
    """

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # as of any record with a dictionary in it
