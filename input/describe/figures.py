"""The figures of a data description: the click-through rate over time, and the frequency of ids by rank."""

import datetime
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, Label, LegendItem, Span

from tfrs_scaling.common.figures import INK, MUTED, add_legend, blank_figure, human_ticks, log_ticks, tint
from tfrs_scaling.common.palette import BLUE, GREEN, VERMILION, Colours
from tfrs_scaling.input.describe.description import FeatureSummary, TimeBin
from tfrs_scaling.input.manifest import SPLITS, SplitName

_SPLIT_COLOURS: dict[SplitName, Colours] = {
    "train": BLUE,
    "validation": GREEN,
    "test": VERMILION,
}
SPLIT_NAMES = {"train": "training", "validation": "validation", "test": "test"}
_MARKERS = {"train": "circle", "validation": "triangle", "test": "square"}
# Moments are taken for Unix time in the unit that puts them between 1980 and 2033; smaller numbers in seconds are row
# numbers or days such as 20130131, larger ones hours such as 2013013105.
_UNIX_UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_YEAR_1980, _YEAR_2033 = 315_532_800, 1_988_150_400


def unix_unit(first: int, last: int) -> str | None:
    """The unit in which two moments lie between 1980 and 2033 in Unix time, or None."""
    fits = [name for name, size in _UNIX_UNITS.items() if _YEAR_1980 * size <= first and last <= _YEAR_2033 * size]
    return fits[0] if fits else None


def time_unit(time_bins: dict[SplitName, tuple[TimeBin, ...]]) -> str | None:
    """The unit of Unix time that all bins are in, or None."""
    every = [each for bins in time_bins.values() for each in bins]
    return unix_unit(min(each.first for each in every), max(each.last for each in every))


def time_figure(time_bins: dict[SplitName, tuple[TimeBin, ...]], training_ctr: float) -> Any:
    """The rate of every bin, with its interval, coloured by split.

    Args:
        time_bins: time bins by split.
        training_ctr: drawn as a dotted line.
    """
    unit = time_unit(time_bins)
    tooltips = [("split", "@split"), ("CTR", "@ctr_text"), ("from", "@first"), ("to", "@last"), ("rows", "@rows")]
    if any(each.rate.weighted_ctr is not None for bins in time_bins.values() for each in bins):
        tooltips.insert(2, ("weighted CTR", "@weighted"))
    label, kind = ("time (UTC)", "datetime") if unit else ("time", "linear")
    plot = blank_figure(label, "click-through rate", tooltips, x_axis_type=kind, height=400)
    items = []
    for split in SPLITS:
        source = ColumnDataSource(_bin_columns(split, time_bins[split], unit))
        bars = plot.segment("x", "low", "x", "high", source=source, line_width=1.5, line_alpha=0.7)
        line = plot.line("x", "ctr", source=source, line_width=1, line_alpha=0.45)
        marks = plot.scatter("x", "ctr", source=source, marker=_MARKERS[split], size=7)
        colours = _SPLIT_COLOURS[split]
        for glyph in (bars.glyph, line.glyph, marks.glyph):
            tint(glyph, line_color=colours)
        tint(marks.glyph, fill_color=colours)
        plot.hover[0].renderers.append(marks)
        items.append(LegendItem(label=SPLIT_NAMES[split], renderers=[marks, line, bars]))
    lows = [each.rate.low for bins in time_bins.values() for each in bins]
    highs = [each.rate.high for bins in time_bins.values() for each in bins]
    height = max(highs) - min(lows)
    plot.y_range.update(start=max(0.0, min(lows) - 0.08 * height), end=min(1.0, max(highs) + 0.08 * height))
    _mark_level(plot, training_ctr, f"training {training_ctr:.4f}")
    add_legend(plot, items, len(items))
    return plot


def _bin_columns(split: SplitName, bins: tuple[TimeBin, ...], unit: str | None) -> dict[str, list[Any]]:
    """The plotted columns of a split's bins. Bokeh's time axis is in milliseconds."""
    scale = 1000 / _UNIX_UNITS[unit] if unit else 1.0
    return {
        "x": [(each.first + each.last) / 2 * scale for each in bins],
        "ctr": [each.rate.ctr for each in bins],
        "low": [each.rate.low for each in bins],
        "high": [each.rate.high for each in bins],
        "split": [SPLIT_NAMES[split]] * len(bins),
        "ctr_text": [f"{each.rate.ctr:.4f} ({each.rate.low:.4f} to {each.rate.high:.4f})" for each in bins],
        "weighted": ["–" if each.rate.weighted_ctr is None else f"{each.rate.weighted_ctr:.4f}" for each in bins],
        "first": [_moment(each.first, unit) for each in bins],
        "last": [_moment(each.last, unit) for each in bins],
        "rows": [f"{each.rate.rows:,}" for each in bins],
    }


def _moment(time: int, unit: str | None) -> str:
    if unit is None:
        return str(time)
    return datetime.datetime.fromtimestamp(time // _UNIX_UNITS[unit], datetime.UTC).strftime("%Y-%m-%d %H:%M")


def _mark_level(plot: Any, level: float, text: str) -> None:
    span = Span(location=level, dimension="width", line_dash="dotted", line_width=1.5)
    name = Label(x=8, x_units="screen", y=level, y_offset=3, text=text, text_font_size="12px")
    tint(span, line_color=MUTED)
    tint(name, text_color=MUTED)
    plot.add_layout(span)
    plot.add_layout(name)


def curve_figure(feature: FeatureSummary) -> Any:
    """How many training rows hold the id of each rank, and the fitted Zipf law, dashed; both axes logarithmic."""
    ranks, counts = (np.array(part, float) for part in zip(*feature.curve, strict=True))
    fitted = _law_counts(feature, ranks)
    columns = {
        "rank": ranks.tolist(),
        "count": counts.tolist(),
        "rank_text": [f"{rank:,.0f}" for rank in ranks],
        "count_text": [f"{count:,.0f}" for count in counts],
        "law": ["–" if fitted is None else f"{value:,.1f}" for value in (counts if fitted is None else fitted)],
    }
    tooltips = [("rank", "@rank_text"), ("rows", "@count_text"), ("by the law", "@law")]
    plot = blank_figure("rank", "training rows", tooltips, x_axis_type="log", y_axis_type="log", height=300)
    marks = plot.scatter("rank", "count", source=ColumnDataSource(columns), size=5, fill_alpha=0.75, line_alpha=0)
    tint(marks.glyph, fill_color=BLUE)
    plot.hover[0].renderers.append(marks)
    shown = counts
    if fitted is not None:
        law = plot.line(ranks.tolist(), fitted.tolist(), line_dash="dashed", line_width=1.5)
        tint(law.glyph, line_color=INK)
        shown = np.concatenate([counts, fitted])
    for axis, grid, extent, values in (
        (plot.xaxis, plot.xgrid, plot.x_range, ranks),
        (plot.yaxis, plot.ygrid, plot.y_range, shown),
    ):
        start, end = _decade(float(values.min()) / 1.5, float(values.max()) * 1.5)
        extent.update(start=start, end=end)
        axis.ticker = grid[0].ticker = FixedTicker(ticks=log_ticks(start, end))
        axis.formatter = human_ticks()
    return plot


def _decade(start: float, end: float) -> tuple[float, float]:
    """The range of a log axis, widened to at least a factor of 10, so that it has ticks."""
    widen = max(1.0, 10 * start / end) ** 0.5
    return start / widen, end * widen


def _law_counts(feature: FeatureSummary, ranks: np.ndarray) -> np.ndarray | None:
    """The counts that the law predicts at these ranks."""
    if feature.zipf is None:
        return None
    every = np.arange(1, feature.distinct + 1, dtype=float) ** -feature.zipf.exponent
    counts: np.ndarray = feature.occurrences * ranks**-feature.zipf.exponent / every.sum()
    return counts
