"""What a section of the page is made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tfrs_scaling.fit.report.tables.table import Table


@dataclass(frozen=True)
class Drawing:
    """A Bokeh figure and the id of its element."""

    element: str
    plot: Any


@dataclass(frozen=True)
class View:
    """One of the choices that share a place on the page.

    Attributes:
        label: Its name on the button that shows it.
        drawings: What it shows, one below the other.
        group: The name above its button and those beside it; empty for none.
    """

    label: str
    drawings: tuple[Drawing, ...]
    group: str = ""


@dataclass(frozen=True)
class Figure:
    """A place for figures on the page.

    Attributes:
        title: What they show.
        paper: The paper's figure to compare with; empty: none.
        caption: How to read them; may be empty.
        views: One or more.
        layout: As ``wide`` as the page, as ``tall`` as two others beside it, or neither.
        tab: Its name on the button that shows it, of figures that share a place, one in sight at a time; else empty.
    """

    title: str
    paper: str
    caption: str
    views: tuple[View, ...]
    layout: Literal["", "wide", "tall"] = ""
    tab: str = ""

    @property
    def groups(self) -> list[tuple[str, list[View]]]:
        """The views by group, in order."""
        found: dict[str, list[View]] = {}
        for view in self.views:
            found.setdefault(view.group, []).append(view)
        return list(found.items())


@dataclass(frozen=True)
class Section:
    """A section: id and name for the index, heading, words before, figures, tables.

    Attributes:
        controls: Whether it has the sliders.
        how: How to read the figures that share a place.
    """

    id: str
    short: str
    title: str
    words: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table[Any], ...] = ()
    controls: bool = False
    how: str = ""

    @property
    def in_sight(self) -> list[Figure]:
        """The figures that have a place of their own."""
        return [figure for figure in self.figures if not figure.tab]

    @property
    def in_tabs(self) -> list[Figure]:
        """Those that share a place."""
        return [figure for figure in self.figures if figure.tab]


def one_view(element: str, plot: Any, label: str = "", group: str = "") -> View:
    """A view of one drawing."""
    return View(label, (Drawing(element, plot),), group)


def drawings_of(sections: Iterable[Section]) -> dict[str, Any]:
    """Every Bokeh figure by the id of its element, in the order of the page."""
    views = (view for section in sections for figure in section.figures for view in figure.views)
    return {drawing.element: drawing.plot for view in views for drawing in view.drawings}


def id_suffix(architectures: Sequence[str], architecture: str) -> str:
    """Keeps the ids of several architectures' elements different."""
    return f"-{architectures.index(architecture)}" if len(architectures) > 1 else ""
