"""What each option of a budget gains, and what it costs."""

import math
from collections.abc import Sequence
from typing import Any

from bokeh.models import FixedTicker, Scatter, Segment, Span, Text

from tfrs_scaling.common.figures import CARD, INK, blank_figure, human_ticks, log_ticks, tint
from tfrs_scaling.common.palette import NEUTRAL, Colours
from tfrs_scaling.common.words import UNKNOWN, interval, signed, signed_end
from tfrs_scaling.fit.advice.choice import Option
from tfrs_scaling.fit.advice.use import Use
from tfrs_scaling.fit.advice.words import short_cost, short_words
from tfrs_scaling.fit.report.figures.parts import add
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES

_STEP = 0.035  # of the axis: how far apart two options of equal cost are drawn


def decision_figure(options: Sequence[Option], baseline: Use, answer: Option | None, resource: str, name: str) -> Any:
    """NE gained against cost, each option a numbered dot with its interval, the baseline at 0.

    Args:
        options: The options, in the order of their numbers.
        baseline: The baseline.
        answer: The option chosen, drawn larger; None where there is none.
        resource: The cost on the x axis: compute, data, params or hours.
        name: What the axis measures.
    """
    tooltips = [("option", "@name"), ("NE gained", "@gain"), ("interval", "@ends"), ("cost", "@cost"), ("", "@verdict")]
    plot = blank_figure(f"{name}, times the baseline's", "NE gained", tooltips, x_axis_type="log", height=390)
    costs = [option.use.cost[resource] / baseline.cost[resource] for option in options]
    places = _side_by_side(costs)
    low, high = min([1.0, *places]), max([1.0, *places])
    margin = max((high / low) ** 0.08, 1.25)
    plot.x_range.update(start=low / margin, end=high * margin)
    ticks = log_ticks(low / margin, high * margin)
    plot.xaxis.ticker = plot.xgrid[0].ticker = FixedTicker(ticks=ticks if len(ticks) > 1 else sorted({low, 1.0, high}))
    plot.xaxis.formatter = human_ticks()
    now = Span(location=0, dimension="width", line_width=1)
    tint(now, line_color=INK)
    plot.add_layout(now)
    for at, option in enumerate(options):
        _option(plot, at, option, places[at], baseline, option is answer)
    here = add(plot, Scatter(marker="square", size=11), {"x": [1.0], "y": [0.0]})
    tint(here.glyph, fill_color=INK, line_color=INK)
    word = add(plot, Text(text="text", text_font_size="13px", y_offset=22, text_align="center"),
               {"x": [1.0], "y": [0.0], "text": ["now"]})  # fmt: skip
    tint(word.glyph, text_color=INK)
    seen = [0.0, *(end for option in options for end in (option.gain, option.low, option.high) if math.isfinite(end))]
    height = (max(seen) - min(seen)) or 0.01
    plot.y_range.update(start=min(seen) - 0.08 * height, end=max(seen) + 0.08 * height)
    return plot


def _side_by_side(costs: Sequence[float]) -> list[float]:
    """The places of costs, moved to the right where they would be drawn over each other or the baseline."""
    step = _STEP * max(math.log(max([1.0, *costs]) / min([1.0, *costs])), 1.0)
    taken, places = [0.0], [0.0] * len(costs)
    for at in sorted(range(len(costs)), key=lambda number: costs[number]):
        place = math.log(costs[at])
        while any(abs(place - other) < 0.99 * step for other in taken):
            place += step
        taken.append(place)
        places[at] = place
    return [math.exp(place) for place in places]


def _option(plot: Any, at: int, option: Option, place: float, baseline: Use, is_answer: bool) -> None:
    """A dot with its number and interval; filled where it beats the baseline, dashed where that is not safe."""
    scheme = option.use.scheme
    colours: Colours = SCHEMES[scheme].colours if scheme in SCHEMES and scheme != BASELINE else NEUTRAL
    if math.isfinite(option.low) and math.isfinite(option.high):
        ends = {"x": [place], "low": [option.low], "high": [option.high]}
        dash = "solid" if option.is_safe else "dotted"
        width = 3 if is_answer else 2
        bar = add(plot, Segment(x0="x", x1="x", y0="low", y1="high", line_width=width, line_dash=dash), ends)
        tint(bar.glyph, line_color=colours)
    columns = {
        "x": [place], "y": [option.gain], "text": [str(at + 1)],
        "name": [short_words(option.use, baseline)],
        "gain": [signed(option.gain)],
        "ends": [interval(option.low, option.high, signed_end) if math.isfinite(option.low) else UNKNOWN],
        "cost": [short_cost(option.use, baseline)],
        "verdict": [verdict_words(option)],
    }  # fmt: skip
    dot = add(plot, Scatter(marker="circle", size=26 if is_answer else 19, line_width=2), columns)
    filled = option.beats_baseline and option.is_safe
    tint(dot.glyph, line_color=colours, fill_color=colours if filled else CARD)
    plot.hover[0].renderers.append(dot)
    number = add(
        plot,
        Text(text="text", text_align="center", text_baseline="middle", text_font_style="bold",
             text_font_size="14px" if is_answer else "12px"),
        columns,
    )  # fmt: skip
    tint(number.glyph, text_color=CARD if filled else INK)


def verdict_words(option: Option) -> str:
    """How an option compares with the baseline."""
    if math.isnan(option.low):
        return "noise unknown"
    if option.beats_baseline:
        return "beats now" if option.is_safe else "beats, unsafe"
    return "worse than now" if option.high < 0 else "within noise"
