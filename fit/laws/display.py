"""What results have in common: they print as aligned tables, plot with their law, and compare by what is stored."""

import abc
import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfrs_scaling.common.arrays import Array, Interval
from tfrs_scaling.common.palette import BLUE
from tfrs_scaling.common.words import five_digits

_AHEAD = 4.0  # how far beyond the largest x an extrapolated law is drawn
_COLOUR = BLUE[0]
_LINES = 7  # of equal loss

# What intervals are, and what they assume.
PROFILE_INTERVALS = "profile likelihood: the form is right, and noise is independent and of one size"
CLUSTER_INTERVALS = "wild cluster bootstrap: the form is right, and trainings are independent of each other"
RESAMPLED_INTERVALS = "bootstrap that chooses the points again: the form is right, and trainings are independent"


class Stored(abc.ABC):
    """A result that equals any other of its type with the same content, NaN counting as equal to NaN.

    The ``__eq__`` of dataclasses compares field by field, and NaN differs from itself (from Python 3.13 on, even the
    same NaN object).
    """

    @abc.abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # as of any record with a dictionary in it


class Printable(abc.ABC):
    """A result that prints as its summary, in a notebook too."""

    @abc.abstractmethod
    def summary(self) -> str:
        """The result as an aligned table of text."""

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def estimates(values: Mapping[str, float], interval: Mapping[str, Interval], level: float) -> str:
    """A table of estimates and the ends of their intervals, one a line; blank for a value without an interval."""
    rows = [("", "estimate", f"{100 * level:g} % from", "to")]
    for name, value in values.items():
        rows.append((name, five_digits(value), *(map(five_digits, interval[name]) if name in interval else ("", ""))))
    return columns(rows)


def correlation_words(names: Sequence[str], correlation: Sequence[Sequence[float]]) -> str:
    """The correlations of estimates, the strongest first; those below 0.1 are left out, as lmfit does."""
    pairs = [
        (correlation[i][j], f"{first} and {second} {correlation[i][j]:+.2f}")
        for i, first in enumerate(names)
        for j, second in enumerate(names[:i])
    ]
    return ", ".join(words for value, words in sorted(pairs, key=lambda pair: -abs(pair[0])) if abs(value) >= 0.1)


def facts(values: Mapping[str, str]) -> str:
    """Names and their values in words, one a line; empty values are left out."""
    width = max(map(len, values))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in values.items() if value)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, one a line: the first column flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def law_figure(
    title: str,
    x: Sequence[float],
    y: Sequence[float],
    predict: Callable[[Array], Array] | None,
    band: Callable[[Array], tuple[Array, Array]] | None = None,
    *,
    extrapolated: bool,
    band_ahead: bool = False,
) -> Any:
    """A Bokeh figure of points, their law (dashed beyond the data) and its band; the axis of x is logarithmic if x > 0.

    A band that assumes that the form is right ends with the data, as beyond them that is what fails.

    Args:
        title: Title of the figure.
        x: The points' x.
        y: The points' losses.
        predict: The law, if it is to be drawn: x of shape (k,) to losses.
        band: The lower and upper end of its interval, likewise.
        extrapolated: Whether the law is drawn up to 4 times the largest x.
        band_ahead: Whether the band goes as far, as one may that allows for the form being wrong.
    """
    from bokeh.plotting import figure  # fitting must not wait for Bokeh

    axis, spaced = ("log", np.geomspace) if min(x) > 0 else ("linear", np.linspace)
    plot = figure(title=title, x_axis_type=axis, x_axis_label="x", y_axis_label="loss", width=640, height=400)
    if predict is not None:
        inside = spaced(min(x), max(x), 200)
        if band is not None:
            plot.varea(inside, *band(inside), fill_color=_COLOUR, fill_alpha=0.2)
        plot.line(inside, predict(inside), color=_COLOUR, line_width=2)
        if extrapolated:
            beyond = spaced(max(x), _AHEAD * max(x), 50)
            if band is not None and band_ahead:
                plot.varea(beyond, *band(beyond), fill_color=_COLOUR, fill_alpha=0.2)
            plot.line(beyond, predict(beyond), color=_COLOUR, line_width=2, line_dash="dashed")
    plot.scatter(list(x), list(y), size=8, color=_COLOUR)
    return plot


def plane_figure(
    title: str, n: Sequence[float], d: Sequence[float], losses: Sequence[float], reach: Callable[[Array, float], Array]
) -> Any:
    """A Bokeh figure of points over parameters and data, and of lines of equal loss through them.

    Args:
        title: Title of the figure.
        n: The points' parameters.
        d: Their examples.
        losses: The fitted losses there, between whose quantiles the lines lie.
        reach: The examples at which n of shape (k,) reaches a loss; NaN where none do.
    """
    from bokeh.plotting import figure

    axes = {"x_axis_type": "log", "y_axis_type": "log", "x_axis_label": "n", "y_axis_label": "d"}
    plot = figure(title=title, **axes, width=640, height=400)
    places = np.geomspace(min(n), max(n), 100)
    for level in np.unique(np.quantile(losses, np.linspace(0.05, 0.95, _LINES))):
        examples = reach(places, float(level))
        seen = (examples >= 0.5 * min(d)) & (examples <= 2 * max(d))
        if seen.any():
            plot.line(places[seen], examples[seen], color=_COLOUR, line_width=1.5)
            plot.text([places[seen][-1]], [examples[seen][-1]], [five_digits(float(level))], text_font_size="11px")
    plot.scatter(list(n), list(d), size=8, color=_COLOUR)
    return plot
