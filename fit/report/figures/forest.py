"""Differences of NE with their intervals, one a row: what each multiplier changes, and how good predictions were."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from bokeh.models import AllLabels, ColumnDataSource, FixedTicker, LegendItem, Span

from tfrs_scaling.common.figures import INK, MUTED, add_legend, blank_figure, tint
from tfrs_scaling.common.palette import BLUE, VERMILION, Colours
from tfrs_scaling.common.words import human, interval, signed, signed_end
from tfrs_scaling.fit.analyses.effects import Change, Effect
from tfrs_scaling.fit.analyses.held_out import HeldOut
from tfrs_scaling.fit.labels import architecture_suffix, has_several_architectures, multiplier_label, shape_name
from tfrs_scaling.fit.report.figures.parts import MARKERS, plain, selectable
from tfrs_scaling.fit.report.figures.parts import mark as add_marks
from tfrs_scaling.fit.schemes import ARCHITECTURE, SCHEMES


def effects_figure(effects: Sequence[Effect], keys: Sequence[str], changes: Sequence[Change]) -> Any:
    """How much each multiplier changes NE, against the baseline at the same data size or at the same cost.

    Args:
        effects: Records of ``effects``.
        keys: The trials behind each effect.
        changes: Of each, the effect itself, its ``at_compute`` or its ``at_rows``.
    """
    tooltips = [
        ("shape", "@name"), ("change of NE", "@change"), ("interval", "@interval"), ("examples", "@examples"),
        ("against the baseline", "@outcome"),
    ]  # fmt: skip
    several = has_several_architectures(effect for effect in effects if effect.scheme != ARCHITECTURE)
    names = [
        effect_name(effect) + architecture_suffix(plain(effect.architecture), several and effect.scheme != ARCHITECTURE)
        for effect in effects
    ]
    plot = _rows_figure(names, "change of test NE (left is better)", tooltips)
    items = []
    for scheme in dict.fromkeys(effect.scheme for effect in effects):
        rows = [at for at, effect in enumerate(effects) if effect.scheme == scheme]
        columns: dict[str, Any] = {
            "x": [changes[at].change for at in rows],
            "y": [-at for at in rows],
            "key": [keys[at] for at in rows],
            "name": [names[at] for at in rows],
            "change": [signed(changes[at].change, 5) for at in rows],
            "interval": [interval(changes[at].low, changes[at].high, partial(signed_end, digits=5)) for at in rows],
            "examples": [human(changes[at].examples) for at in rows],
            "outcome": [changes[at].outcome for at in rows],
        }
        ends = [(changes[at].low, changes[at].high) for at in rows]
        colours = SCHEMES[scheme].colours
        bar = _bars(plot, ends, columns["y"], colours)
        marker = MARKERS[[*SCHEMES].index(scheme)]  # the same at equal examples and at equal cost
        dots = add_marks(plot, columns, colours, marker, y="y", size=9)
        items.append(
            LegendItem(
                label="other architecture" if scheme == ARCHITECTURE else SCHEMES[scheme].short, renderers=[dots, bar]
            )
        )
    add_legend(plot, items, 3)
    return plot


def effect_name(effect: Effect) -> str:
    """The shape of an effect: V 4×, VH 4× dim 8, or the architecture, and how much of it."""
    if effect.scheme == ARCHITECTURE:
        times = f" {multiplier_label(effect.multiplier)}×" if effect.multiplier != 1 else ""
        return f"{plain(effect.architecture)}{times}"
    dimension = f" dim {effect.embedding_dim}" if effect.scheme == "VH" else ""
    return f"{shape_name(effect.scheme, effect.multiplier)}{dimension}"


def held_out_figure(records: Sequence[HeldOut], names: Sequence[str]) -> Any:
    """The largest data size of each line, measured, against what the law of the smaller ones predicts.

    Args:
        records: The study's held-out predictions.
        names: Name of each row.
    """
    tooltips = [
        ("line", "@name"), ("measured", "@measured"), ("predicted", "@predicted"), ("interval", "@interval"),
        ("examples held out", "@examples"), ("law", "@law"),
    ]  # fmt: skip
    shown = [plain(name) for name in names]
    plot = _rows_figure(shown, "measured NE minus predicted NE", tooltips)
    ends = [
        (None if low is None else low - predicted, None if high is None else high - predicted)
        for low, high, predicted in ((record.low, record.high, record.predicted) for record in records)
    ]
    bar = _bars(plot, ends, [-at for at in range(len(records))], MUTED)
    items = [LegendItem(label="its interval", renderers=[bar])]
    for inside, marker, colours, label in (
        (True, "circle", BLUE, "inside it"),
        (False, "x", VERMILION, "outside it"),
    ):
        rows = [at for at, record in enumerate(records) if record.inside is inside]
        if not rows:
            continue
        columns = {
            "x": [records[at].measured - records[at].predicted for at in rows],
            "y": [-at for at in rows],
            "name": [names[at] for at in rows],
            "measured": [f"{records[at].measured:.5f}" for at in rows],
            "predicted": [f"{records[at].predicted:.5f}" for at in rows],
            "interval": [interval(records[at].low, records[at].high, "{:.5f}".format) for at in rows],
            "examples": [human(records[at].examples) for at in rows],
            "law": [records[at].law for at in rows],
        }
        dots = add_marks(plot, columns, colours, marker, y="y", size=10)
        items.append(LegendItem(label=label, renderers=[dots]))
    add_legend(plot, items, 3)
    return plot


def _rows_figure(names: Sequence[str], x_label: str, tooltips: list[tuple[str, str]]) -> Any:
    """A figure with a name for each row, the first at the top, and a line at zero."""
    plot = blank_figure(x_label, "", tooltips, height=120 + max(20 * len(names), 120))
    plot.y_range.update(start=0.6 - len(names), end=0.6)
    plot.yaxis.major_label_policy = AllLabels()  # rows are as high as their labels
    plot.yaxis.ticker = FixedTicker(ticks=sorted(-at for at in range(len(names))))  # labels are laid out in this order
    plot.yaxis.major_label_overrides = {-at: name for at, name in enumerate(names)}
    plot.ygrid.visible = False
    zero = Span(location=0, dimension="height", line_width=1)
    tint(zero, line_color=INK)
    plot.add_layout(zero)
    selectable(plot)
    return plot


def _bars(plot: Any, ends: Sequence[Any], places: Sequence[float], colours: Colours) -> Any:
    closed = [(low, high, y) for (low, high), y in zip(ends, places, strict=True) if low is not None is not high]
    source = ColumnDataSource(
        {"low": [e[0] for e in closed], "high": [e[1] for e in closed], "y": [e[2] for e in closed]}
    )
    bar = plot.segment("low", "y", "high", "y", source=source, line_width=2.5)
    tint(bar.glyph, line_color=colours)
    return bar
