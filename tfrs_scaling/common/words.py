"""Numbers, durations, sizes, intervals and lists as people write them."""

import math
from collections.abc import Callable, Iterable

Units = list[tuple[str, float]]
COUNTS: Units = [("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)]
FLOPS: Units = [("Z", 1e21), ("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)]
UNKNOWN = "–"


def human(value: float, units: Units = COUNTS) -> str:
    """A count in few characters: 1280000 is 1.28M; 3e15 in ``FLOPS`` is 3P."""
    for unit, size in units:
        if value >= 0.9995 * size:
            return f"{float(f'{value / size:.3g}'):g}{unit}"
    return f"{value:.3g}"


def number(value: float | None) -> str:
    """A number in about four digits; a dash for None."""
    if value is None:
        return UNKNOWN
    if value == round(value) and 2 <= abs(value) < 1000:
        return _minus(f"{value:.0f}")
    if value == 0 or 1e-3 <= abs(value) < 10:
        return _minus(f"{value + 0.0:.4f}")  # not -0
    return _minus(f"{value:,.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}")


def five_digits(value: float) -> str:
    """A number to five significant digits, 149160.3 as 149,160; a dash for NaN."""
    rounded = float(f"{value:.5g}") + 0.0  # not -0
    return UNKNOWN if math.isnan(value) else f"{rounded:,.10g}"


def compact(value: float | None) -> str:
    """A number in few characters: ``human`` from 10,000 on, ``number`` below."""
    return human(value, FLOPS) if value is not None and abs(value) >= 1e4 else number(value)


def signed(value: float | None, digits: int = 4) -> str:
    """A change with its sign, without one where it rounds to zero; a dash for None."""
    if value is None:
        return UNKNOWN
    text = f"{value:+.{digits}f}"
    return _minus(text) if float(text) else text[1:]


def signed_end(value: float | None, digits: int = 4) -> str:
    """An end of an interval of a change, which shows on which side of zero it lies: 0 is exactly that, and what would
    round to zero has as many digits as it takes. A dash for None.

    Examples:
        >>> [signed_end(value) for value in (0.0123, 0.0, 0.00003, -0.00003)]
        ['+0.0123', '0', '+0.00003', '−0.00003']
    """
    if value is None or not math.isfinite(value) or round(value, digits):
        return signed(value, digits)
    return signed(value, math.ceil(-math.log10(abs(value)))) if value else "0"


def share(value: float | None) -> str:
    """A share as a percentage, rounded to 0 % or 100 % only where it is exactly that; a dash for None."""
    if value is None:
        return UNKNOWN
    if value in (0, 1):
        return f"{value:.0%}"
    if value < 0.0005:
        return "<0.1%"
    return ">99.9%" if value > 0.9995 else f"{value:.1%}"


def interval(
    low: float | None, high: float | None, write: Callable[[float], str] = compact, *, unbounded: str = "open"
) -> str:
    """An interval, such as ``0.25 to open``; empty where neither end is known.

    Args:
        low: Lower end; None: open.
        high: Upper end; None: open.
        write: How an end is written.
        unbounded: How an open end is written.
    """
    if low is None and high is None:
        return ""
    return " to ".join(unbounded if end is None else write(end) for end in (low, high))


def duration(seconds: float) -> str:
    """A time in the largest unit of which there are at least two: 90 minutes are ``90.0 min``."""
    for size, unit in ((86400.0 * 365, "years"), (86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds:.0f} s"


def gib(size: float) -> str:
    """A size in bytes as GiB."""
    return f"{size / 2**30:.1f} GiB"


def listed(parts: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``; empty for nothing."""
    *most, last = list(parts) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def plural(count: int, noun: str) -> str:
    """``1 row``, ``2 rows``, ``1,000 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _minus(text: str) -> str:
    return text.replace("-", "−")
