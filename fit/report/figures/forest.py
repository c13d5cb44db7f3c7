"""Differences of NE with their intervals, one a row: what each multiplier changes, and how predictions fared."""

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.models import ColumnDataSource, FixedTicker, LegendItem, Span

from tfrs_scaling.common.figures import INK, MUTED, add_legend, blank_figure, tint
from tfrs_scaling.common.words import human
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.report.figures.parts import mark as add_marks
from tfrs_scaling.fit.report.figures.parts import plain, selectable
from tfrs_scaling.fit.schemes import SCHEMES

_OTHER = ("#333333", "#dddddd")  # another architecture


def effects_figure(effects: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> Any:
    """How much each multiplier changes NE at the largest data size, against the baseline.

    Args:
        effects: Records of ``effects``.
        keys: The trials of each.
    """
    tooltips = [
        ("shape", "@name"), ("change of NE", "@change"), ("interval", "@interval"), ("examples", "@examples"),
        ("against the baseline", "@outcome"),
    ]  # fmt: skip
    several = len({record["architecture"] for record in effects if record["scheme"] != "A"}) > 1
    names = [
        effect_name(record) + (f" · {plain(record['architecture'])}" if several and record["scheme"] != "A" else "")
        for record in effects
    ]
    plot = _rows_figure(names, "change of test NE (left is better)", tooltips)
    items = []
    for scheme in dict.fromkeys(record["scheme"] for record in effects):
        rows = [at for at, record in enumerate(effects) if record["scheme"] == scheme]
        columns = {
            "x": [effects[at]["change"] for at in rows],
            "y": [-at for at in rows],
            "key": [keys[at] for at in rows],
            "name": [names[at] for at in rows],
            "change": [f"{effects[at]['change']:+.5f}" for at in rows],
            "interval": [_interval(effects[at]) for at in rows],
            "examples": [human(effects[at]["examples"]) for at in rows],
            "outcome": [effects[at]["outcome"] for at in rows],
        }
        ends = [(effects[at]["low"], effects[at]["high"]) for at in rows]
        colours = SCHEMES[scheme].colours if scheme in SCHEMES else _OTHER
        bar = _bars(plot, ends, columns["y"], colours)
        dots = add_marks(plot, columns, colours, "circle", y="y", size=9)
        items.append(
            LegendItem(
                label=SCHEMES[scheme].short if scheme in SCHEMES else "other architecture", renderers=[dots, bar]
            )
        )
    add_legend(plot, items, 3)
    return plot


def effect_name(record: Mapping[str, Any]) -> str:
    """The shape of a record of ``effects``: V 4×, VH 4× dim 8, or the architecture."""
    if record["scheme"] not in SCHEMES:
        return plain(f"{record['architecture']}")
    dimension = f" dim {record['embedding_dim']}" if record["scheme"] == "VH" else ""
    return f"{record['scheme']} {multiplier_label(record['multiplier'])}×{dimension}"


def held_out_figure(records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Any:
    """The largest data size of each line, measured, against what the law of the smaller ones predicts.

    Args:
        records: Those of ``held_out`` with a prediction and a measurement.
        names: What each row is called.
    """
    tooltips = [
        ("line", "@name"), ("measured", "@measured"), ("predicted", "@predicted"), ("interval", "@interval"),
        ("examples held out", "@examples"), ("law", "@law"),
    ]  # fmt: skip
    shown = [plain(name) for name in names]
    plot = _rows_figure(shown, "measured NE minus predicted NE", tooltips)
    ends = [
        tuple(None if record[end] is None else record[end] - record["predicted"] for end in ("low", "high"))
        for record in records
    ]
    bar = _bars(plot, ends, [-at for at in range(len(records))], MUTED)
    items = [LegendItem(label="its interval", renderers=[bar])]
    for inside, marker, colours, label in (
        (True, "circle", ("#0072b2", "#56b4e9"), "inside it"),
        (False, "x", ("#d55e00", "#e8853a"), "outside it"),
    ):
        rows = [at for at, record in enumerate(records) if bool(record["inside"]) is inside]
        columns = {
            "x": [records[at]["measured"] - records[at]["predicted"] for at in rows],
            "y": [-at for at in rows],
            "name": [names[at] for at in rows],
            "measured": [f"{records[at]['measured']:.5f}" for at in rows],
            "predicted": [f"{records[at]['predicted']:.5f}" for at in rows],
            "interval": [_interval(records[at]) for at in rows],
            "examples": [human(records[at]["examples"]) for at in rows],
            "law": [str(records[at]["law"]) for at in rows],
        }
        dots = add_marks(plot, columns, colours, marker, y="y", size=10)
        items.append(LegendItem(label=label, renderers=[dots]))
    add_legend(plot, items, 3)
    return plot


def _rows_figure(names: Sequence[str], x_label: str, tooltips: list[tuple[str, str]]) -> Any:
    """A figure with a name for each row, the first at the top, and a line at zero."""
    plot = blank_figure(x_label, "", tooltips, height=120 + max(24 * len(names), 120))
    plot.y_range.update(start=0.6 - len(names), end=0.6)
    plot.yaxis.ticker = FixedTicker(ticks=sorted(-at for at in range(len(names))))  # labels are laid out in this order
    plot.yaxis.major_label_overrides = {-at: name for at, name in enumerate(names)}
    plot.ygrid.visible = False
    zero = Span(location=0, dimension="height", line_width=1)
    tint(zero, line_color=INK)
    plot.add_layout(zero)
    selectable(plot)
    return plot


def _bars(plot: Any, ends: Sequence[Any], places: Sequence[float], colours: tuple[str, str]) -> Any:
    closed = [(low, high, y) for (low, high), y in zip(ends, places, strict=True) if low is not None is not high]
    source = ColumnDataSource(
        {"low": [e[0] for e in closed], "high": [e[1] for e in closed], "y": [e[2] for e in closed]}
    )
    bar = plot.segment("low", "y", "high", "y", source=source, line_width=2.5, line_alpha=0.75)
    tint(bar.glyph, line_color=colours)
    return bar


def _interval(record: Mapping[str, Any]) -> str:
    ends = ["open" if record[end] is None else f"{record[end]:+.5f}".replace("+0", "0") for end in ("low", "high")]
    return " to ".join(ends)
