"""A budget as it is typed: ``compute=10x``, ``params=2M``, ``hours=12`` or several of them."""

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import human, listed

RESOURCES = {
    "compute": "training FLOPs",
    "data": "training examples",
    "params": "parameters",
    "hours": "hours of training",
}
_SHORT = {"compute": "compute", "data": "data", "params": "parameters", "hours": "hours of training"}
_GROWS_DATA = ("compute", "data", "hours")
_UNITS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12, "P": 1e15}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)([kKMGBTP]?)([x×]?)")


@dataclass(frozen=True)
class Limit:
    """How much of one resource may be used: an amount, or a multiple of what the baseline used."""

    amount: float
    is_factor: bool


@dataclass(frozen=True)
class Budget:
    """What may be spent.

    Resources that are not named are unlimited, except data, which may grow only if data, compute or hours are named.

    Attributes:
        text: The budget as typed.
        limits: The amount allowed, by resource (one of RESOURCES).
    """

    text: str
    limits: Mapping[str, Limit]

    @property
    def grows_data(self) -> bool:
        """Whether it may pay for more examples."""
        return any(name in self.limits for name in _GROWS_DATA)

    def allowed(self, baseline: Mapping[str, float]) -> dict[str, float]:
        """The largest amount of each resource, inf where it is not limited.

        Args:
            baseline: What the baseline used, by resource.

        Raises:
            InputError: a limit is below what the baseline used.
        """
        allowed = dict.fromkeys(RESOURCES, math.inf)
        for name, limit in self.limits.items():
            amount = limit.amount * baseline[name] if limit.is_factor else limit.amount
            if amount < baseline[name] * (1 - 1e-9):
                hint = "" if limit.is_factor else f"; {name}={limit.amount:g}x would be {limit.amount:g} times as much"
                raise InputError(
                    f"--budget {self.text!r}: {amount:.3g} {RESOURCES[name]} are less than the {baseline[name]:.3g} "
                    f"that the study's baseline used{hint}"
                )
            allowed[name] = amount
        return allowed


def read_budget(text: str) -> Budget:
    """A budget from text.

    Args:
        text: ``resource=amount``, several joined by commas. The amount is a multiple of what the baseline used at the
            largest data size (``10x``), or absolute (``3e15``, ``2M``, ``12``): FLOPs, examples, parameters, hours.
            k, M, G (or B), T and P stand for thousands to 1e15.

    Raises:
        InputError: names the part that cannot be read, and the nearest resource.

    Examples:
        >>> budget = read_budget("compute=10x,params=2M")
        >>> budget.limits["compute"], budget.limits["params"]
        (Limit(amount=10.0, is_factor=True), Limit(amount=2000000.0, is_factor=False))
    """
    limits: dict[str, Limit] = {}
    for part in text.split(","):
        name, equals, amount = (piece.strip() for piece in part.partition("="))
        where = f"--budget {text!r}"
        if name not in RESOURCES:
            near = difflib.get_close_matches(name, RESOURCES, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(RESOURCES)}"
            raise InputError(f"{where}: unknown resource {name!r}; {hint}")
        if not equals:
            raise InputError(f"{where}: {name!r} has no amount; write {name}=10x, ten times what the baseline used")
        if name in limits:
            raise InputError(f"{where}: {name!r} is given twice")
        found = _NUMBER.fullmatch(amount)
        value = float(found[1]) * _UNITS[found[2]] if found else math.nan
        if not (math.isfinite(value) and value > 0):
            raise InputError(
                f"{where}: {amount!r} is not an amount of {name}; write {name}=10x, or a number such as 2M or 3e15"
            )
        limits[name] = Limit(value, bool(found and found[3]))
    return Budget(text, limits)


def budget_words(text: str) -> str:
    """A budget in words.

    Examples:
        >>> budget_words("data=2x"), budget_words("compute=10x,params=2M")
        ('twice the data', '10 times the compute and 2M parameters')
    """
    return listed(
        f"{'twice' if limit.amount == 2 else f'{limit.amount:g} times'} the {_SHORT[name]}"
        if limit.is_factor
        else f"{human(limit.amount)} {RESOURCES[name]}"
        for name, limit in read_budget(text).limits.items()
    )


BUDGETS = {  # that are answered where none is named: as typed, and in words
    text: f"With {budget_words(text)}" for text in ("compute=10x", "data=2x", "params=4x")
}
