"""What ``fit_law`` is given besides points: the names of the parameters, their bounds, and where to start from."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.laws.validation import finite

Start = Sequence[float] | Mapping[str, float]
Bounds = Sequence[tuple[float, float]] | Mapping[str, tuple[float, float]]

_STARTS = 30  # besides the first
_SPREAD = 2.0  # standard deviation of the logarithm of a start's parameter over the given one


def parameter_names(f: Callable[..., Any], start: Start | None, bounds: Bounds | None) -> list[str]:
    """The names of the parameters: those of f's arguments after x, or p0, p1, ... where it has none.

    Raises:
        ValueError: f needs an argument by keyword, or neither f nor the others say how many parameters there are.
    """
    try:
        arguments = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # a built-in without a signature
        arguments = []
    by_keyword = [each.name for each in arguments if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
    if by_keyword:
        raise ValueError(f"f needs {', '.join(by_keyword)} by keyword; make every parameter positional: f(x, a, b)")
    positional = [each.name for each in arguments if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if positional[1:]:
        return positional[1:]
    counted = start if start is not None else bounds
    if isinstance(counted, Mapping):
        raise ValueError(f"{_named('start' if start is not None else 'bounds', counted)}; f has no named parameters")
    if counted is None or np.ndim(counted) == 0 or not len(counted):
        raise ValueError("f has no named parameters; give start, one number for each")
    return [f"p{at}" for at in range(len(counted))]


def checked_bounds(names: Sequence[str], bounds: Bounds | None) -> tuple[Array, Array]:
    """The lower and the upper bounds, each of shape (p,).

    Raises:
        ValueError: they are not a pair for each parameter, or a low is not below its high.
    """
    if bounds is None:
        return np.full(len(names), -np.inf), np.full(len(names), np.inf)
    pairs = np.asarray(_in_order("bounds", names, bounds), dtype=np.float64)
    if pairs.shape != (len(names), 2):
        raise ValueError(f"bounds have shape {pairs.shape}; give (low, high) for each of {', '.join(names)}")
    for name, (low, high) in zip(names, pairs.tolist(), strict=True):
        if not low < high:
            raise ValueError(f"{name}: bounds {low:g} to {high:g}; the first must be below the second")
    return pairs[:, 0], pairs[:, 1]


def starts(names: Sequence[str], start: Start | None, low: Array, high: Array, rng: np.random.Generator) -> Array:
    """Where to look for optima, the given start first: shape (31, p).

    The others are log-normal around it, or, without one, spread over the bounds: evenly, of bounds above 0 evenly in
    the logarithm.

    Raises:
        ValueError: the start is not one number within its bounds for each parameter, or it is missing and a bound is
            infinite.
    """
    if start is None:
        free = [name for name, *ends in zip(names, low, high, strict=True) if not np.isfinite(ends).all()]
        if free:
            raise ValueError(f"{', '.join(free)}: give start, or a finite lower and upper bound")
        shares, above = rng.random((_STARTS + 1, len(names))), low > 0
        ratio = np.divide(high, low, out=np.ones_like(low), where=above)
        return np.asarray(np.where(above, low * ratio**shares, low + (high - low) * shares))
    first = finite("start", _in_order("start", names, start))
    if first.shape != (len(names),):
        raise ValueError(f"start has shape {first.shape}; f takes {len(names)} parameters: {', '.join(names)}")
    for name, value, bottom, top in zip(names, first.tolist(), low.tolist(), high.tolist(), strict=True):
        if not bottom <= value <= top:
            raise ValueError(f"{name}: start {value:g} must lie within bounds {bottom:g} to {top:g}")
    factors = np.exp(_SPREAD * rng.standard_normal((_STARTS, first.size)))
    around = np.where(first == 0, factors - 1, first * factors)
    return np.concatenate([first[None], np.clip(around, low, high)])


def _in_order(argument: str, names: Sequence[str], values: Start | Bounds) -> ArrayLike:
    if not isinstance(values, Mapping):
        return values
    if set(values) != set(names):
        raise ValueError(f"{_named(argument, values)}; f takes {', '.join(names)}")
    return [values[name] for name in names]


def _named(argument: str, values: Mapping[str, Any]) -> str:
    return f"{argument}: {', '.join(map(str, values)) or 'empty'}"
