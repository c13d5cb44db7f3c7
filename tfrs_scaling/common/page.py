"""What every page and figure shares: one style, light and dark; figures that are data in the page, drawn offline.

Colours come in pairs, one for a light page and one for a dark one. A figure is made in the light colours;
a model's tags ``property|light|dark`` let the page's script change them.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from bokeh.document import Document
from bokeh.models import (
    BoxZoomTool,
    CustomJSTickFormatter,
    HoverTool,
    Legend,
    LegendItem,
    NoOverlap,
    PanTool,
    ResetTool,
    SaveTool,
)
from bokeh.plotting import figure
from bokeh.resources import Resources
from markupsafe import Markup

INK = ("#16181d", "#f2f3f5")
MUTED = ("#5b6270", "#a4abb8")
FAINT = ("#e6e8ec", "#2b303a")
CARD = ("#ffffff", "#181b21")
Units = list[tuple[str, float]]
COUNTS: Units = [("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)]
_TICKS = """
for (const [unit, size] of units) if (tick >= 0.9995 * size) return Number((tick / size).toPrecision(3)) + unit
return String(Number(tick.toPrecision(3)))
"""


def human(value: float, units: Units = COUNTS) -> str:
    """A count in few characters: 1280000 is 1.28M."""
    for unit, size in units:
        if value >= 0.9995 * size:
            return f"{float(f'{value / size:.3g}'):g}{unit}"
    return f"{value:.3g}"


def human_ticks(units: Units = COUNTS) -> CustomJSTickFormatter:
    """Writes the ticks of an axis as ``human`` writes counts."""
    return CustomJSTickFormatter(code=_TICKS, args={"units": units})


def blank_figure(x_label: str, y_label: str, tooltips: list[tuple[str, str]], **options: Any) -> Any:
    """A figure without data, as wide as the page lets it be.

    Args:
        x_label: What the axis measures; Bokeh takes ``$$`` in it for mathematics, so no text out of data.
        y_label: Likewise.
        tooltips: Per line of the hover box, its name and the ``@column`` to show; the hover tool has no renderers yet.
        options: Further ones of ``bokeh.plotting.figure``, such as ``x_axis_type``.
    """
    tools = [HoverTool(tooltips=tooltips, renderers=[]), BoxZoomTool(), PanTool(), ResetTool(), SaveTool()]
    plot = figure(
        sizing_mode="stretch_width", min_width=240, tools=tools, toolbar_location="above", output_backend="canvas",
        x_axis_label=x_label, y_axis_label=y_label, **options,
    )  # fmt: skip
    plot.toolbar.logo = None
    plot.toolbar.active_drag = None  # a finger that scrolls the page must not drag the plot
    plot.toolbar.autohide = True
    plot.axis.major_label_policy = NoOverlap()
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.axis_label_text_font_size = "13px"
    plot.axis.major_label_text_font_size = "12px"
    plot.axis.minor_tick_line_color = None
    tint(plot, background_fill_color=CARD, border_fill_color=CARD, outline_line_color=FAINT)
    for axis in plot.axis:
        tint(
            axis, axis_label_text_color=INK, major_label_text_color=MUTED, axis_line_color=MUTED,
            major_tick_line_color=MUTED,
        )  # fmt: skip
    for grid in plot.grid:
        tint(grid, grid_line_color=FAINT)
    return plot


def add_legend(plot: Any, items: list[LegendItem], columns: int) -> None:
    """A legend below the plot, whose names hide what they stand for when clicked."""
    legend = Legend(items=items, click_policy="hide", ncols=columns, orientation="horizontal", location="center")
    legend.update(label_text_font_size="12px", border_line_color=None, padding=4, spacing=8, glyph_width=22)
    tint(legend, label_text_color=INK, background_fill_color=CARD, inactive_fill_color=CARD)
    plot.add_layout(legend, "below")


def log_ticks(start: float, end: float) -> list[float]:
    """Ticks of a log axis, denser the fewer decades it spans (Bokeh's own turn linear below two decades)."""
    decades = math.log10(end / start)
    steps = (1, 2, 5) if decades < 2 else (1, 3) if decades < 4 else (1,)
    powers = range(math.floor(math.log10(start)), math.ceil(math.log10(end)) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return [tick for tick in ticks if start <= tick <= end]


def tint(model: Any, **colours: tuple[str, str]) -> None:
    """Set colour properties to their light values, and note both for the page to choose from."""
    for name, (light, dark) in colours.items():
        setattr(model, name, light)
        model.tags = [*model.tags, f"{name}|{light}|{dark}"]


def bokeh_script() -> Markup:
    """Bokeh itself, for the head of a page."""
    return Markup(Resources(mode="inline", components=["bokeh"]).render_js())  # noqa: S704 -- Bokeh's own


def embedded(figures: Mapping[str, Any]) -> Markup:
    """Figures as the JSON that ``SCRIPT`` draws, each when it is needed; same figures, same text.

    Args:
        figures: By the id of the element to draw into.
    """
    drawn, names, texts = {}, dict[str, str](), dict[str, int]()
    for element, each in figures.items():
        document = Document()
        with document.models.freeze():  # collect its models once
            document.add_root(each)
        content = _packed(document.to_json(deferred=False), names, texts)
        drawn[element] = {"document": content, "root": names[each.id]}
    return script_safe({"figures": drawn, "texts": list(texts)})


def _packed(node: Any, names: dict[str, str], texts: dict[str, int]) -> Any:
    """Bokeh numbers models by process: number them by their place on the page instead. Columns of texts, which
    many figures share, become places in one list of texts."""
    if isinstance(node, dict):
        return {
            key: names.setdefault(value, f"m{len(names)}")
            if key == "id" and isinstance(value, str)
            else _packed(value, names, texts)
            for key, value in node.items()
        }
    if isinstance(node, list | tuple):
        if len(node) > 3 and all(isinstance(item, str) for item in node):
            return {"$texts": [texts.setdefault(item, len(texts)) for item in node]}
        return [_packed(item, names, texts) for item in node]
    return node


def script_safe(content: Mapping[str, Any]) -> Markup:
    """JSON that no text inside can end: ``<``, ``>`` and ``&`` are written as escapes."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 -- escaped for the only place it is used in


STYLE = """
:root { --page: #f5f6f8; --card: #ffffff; --ink: #16181d; --muted: #5b6270; --faint: #e1e4ea; --accent: #0b5cad;
  --good: #0b6b4f; --good-back: #dcf3ea; --warn: #7a4a00; --warn-back: #fdf0d5; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1115; --card: #181b21; --ink: #f2f3f5; --muted: #a4abb8;
  --faint: #2b303a; --accent: #6db3f8; --good: #7fdcb8; --good-back: #12382c; --warn: #f5c878; --warn-back: #3a2c10; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.55;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header, main, nav { max-width: 1360px; margin: 0 auto; padding: 0 28px; }
header { padding-top: 40px; }
h1 { font-size: 34px; line-height: 1.15; margin: 0 0 10px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 22px; line-height: 1.25; margin: 0 0 12px; }
h3 { font-size: 16px; margin: 22px 0 6px; }
p { margin: 0 0 12px; max-width: 80ch; }
.kicker { text-transform: uppercase; letter-spacing: 0.09em; font-size: 13px; color: var(--muted); margin-bottom: 4px; }
.lead { font-size: 18px; color: var(--muted); }
p + h3 { margin-top: 26px; } .references { margin: 22px 0 0; }
.small, .caption { font-size: 14px; color: var(--muted); }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; padding-top: 6px; padding-bottom: 18px; font-size: 15px; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
section { margin: 0 0 40px; scroll-margin-top: 12px; }
.card { background: var(--card); border: 1px solid var(--faint);
  border-radius: 12px; padding: 24px 26px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 0 0 18px; }
.tile { border: 1px solid var(--faint); border-radius: 10px; padding: 12px 14px; background: var(--page); }
.tile p { margin: 0; } .tile-name, .tile-note { font-size: 13px; color: var(--muted); line-height: 1.4; }
.tile-value { font-size: 27px; font-weight: 650; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; }
ul { margin: 0 0 14px; padding-left: 22px; } li { margin: 3px 0; max-width: 90ch; overflow-wrap: anywhere; }
.caution { background: var(--warn-back); color: var(--warn); border-radius: 10px; padding: 12px 16px;
  margin: 0 0 14px; }
.caution h3 { margin: 0 0 4px; } .caution ul { margin: 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 18px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--faint); border-radius: 12px;
  padding: 16px 14px 6px; min-width: 0; break-inside: avoid; }
figcaption { padding: 0 6px 6px; } .paper { font-size: 13px; color: var(--muted); display: inline-block; }
.plot { min-height: 371px; } .caption { padding: 8px 6px 0; max-width: none; }
.on-paper { display: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--faint); vertical-align: top; }
thead th { color: var(--muted); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; } .n { text-align: right; white-space: nowrap; } .line { white-space: nowrap; }
td small { display: block; color: var(--muted); font-size: 12px; }
.pairs th { color: var(--muted); font-weight: 400; width: 16em; } .pairs td { overflow-wrap: anywhere; }
.verdict { display: inline-block; padding: 1px 9px; border-radius: 99px; font-size: 13px; white-space: nowrap;
  background: var(--warn-back); color: var(--warn); }
.verdict.ok { background: var(--good-back); color: var(--good); }
details { margin: 0 0 12px; } summary { cursor: pointer; font-weight: 600; padding: 4px 0; }
@media (max-width: 600px) { header, main, nav { padding-left: 14px; padding-right: 14px; } header { padding-top: 24px; }
  h1 { font-size: 27px; } .lead { font-size: 16px; } .tiles { grid-template-columns: 1fr 1fr; }
  .tile-value { font-size: 22px; }
  .card { padding: 18px 14px; } figure { padding: 12px 4px 4px; }
  figcaption, .caption { padding-left: 10px; padding-right: 10px; } .pairs th { width: 9em; } }
@media print { :root { --page: #ffffff; --card: #ffffff; --ink: #000000; --muted: #444444; --faint: #cccccc; }
  nav { display: none; } body { font-size: 11pt; } section { margin-bottom: 18px; }
  .plot { display: none; } .on-paper { display: block; width: 100%; height: auto; }
  .figures { grid-template-columns: 1fr 1fr; } .scroll { overflow: visible; } table { font-size: 9pt; } }
"""

# The beginning of a page, as a Jinja2 template: what it shows, the kind of page it is, style and bokeh.
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{{ name }} · {{ kind }}</title>
<style>{{ style }}</style>
{{ bokeh }}
</head>
"""

SCRIPT = """
"use strict"
const content = JSON.parse(document.getElementById("documents").textContent)
const dark = matchMedia("(prefers-color-scheme: dark)"), paper = matchMedia("print")
const shade = () => dark.matches && !paper.matches ? 2 : 1
const roots = new Map()  // what is drawn, by the id of its element
// A model's tags "property|light|dark" carry both colours of what it draws.
const shades = (tags) => (tags ?? []).map((tag) => String(tag).split("|")).filter((parts) => parts.length === 3)
function unpacked(node) {
  if (node === null || typeof node !== "object") return node
  if (Array.isArray(node)) return node.map(unpacked)
  if (node.$texts) return node.$texts.map((place) => content.texts[place])
  const made = {}
  for (const key of Object.keys(node)) made[key] = unpacked(node[key])
  for (const parts of shades(made.attributes?.tags)) made.attributes[parts[0]] = parts[shade()]
  return made
}
function paint() {
  for (const root of roots.values()) for (const model of root.references())
    for (const parts of shades(model.tags)) model[parts[0]] = parts[shade()]
}
const begun = new Map()
function draw(place) {
  if (!begun.has(place.id)) begun.set(place.id, drawNow(place))
  return begun.get(place.id)
}
async function drawNow(place) {
  const {document: figure, root: id} = content.figures[place.id]
  await Bokeh.embed.embed_items({page: unpacked(figure)}, [{docid: "page", roots: {[id]: place.id}, root_ids: [id]}])
  const root = Bokeh.documents.flatMap((each) => each.roots()).find((each) => each.id === id)
  roots.set(place.id, root)
  place.dispatchEvent(new CustomEvent("figure-drawn", {bubbles: true, detail: root}))
}
// What is in sight at once, the rest one by one in spare moments; what is hidden when it is shown.
async function drawAll() {
  delete document.body.dataset.drawn
  const next = () => [...document.querySelectorAll(".plot")].find((p) => !begun.has(p.id) && p.offsetParent)
  for (let place = next(); place; place = next()) {
    await draw(place)
    await new Promise((done) => setTimeout(done, 0))
  }
  await Promise.all(begun.values())
  document.body.dataset.drawn = "true"
}
const sight = new IntersectionObserver((seen) => {
  for (const each of seen) if (each.isIntersecting) draw(each.target)
}, {rootMargin: "300px"})
// Paper gets drawings that scale: a canvas keeps the width it had on the screen. Their colours are those of paper,
// put into the finished drawing, since what is painted changes its colours only later.
const rgb = (hex) => `rgb(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join()})`
function onPaper(drawing, root) {
  const light = new Map()
  for (const model of root.references()) for (const [, day, night] of shades(model.tags))
    light.set(night, day).set(rgb(night), rgb(day))
  return drawing.replace(/#[0-9a-f]{6}\\b|rgb\\([0-9,]+\\)/g, (colour) => light.get(colour) ?? colour)
}
function toPaper() {
  for (const [id, root] of roots) {
    const place = document.getElementById(id), view = Bokeh.index[root.id]
    if (!place.offsetParent) continue
    const picture = place.parentElement.querySelector(`img[data-of="${id}"]`) ?? document.createElement("img")
    const drawn = view.export("svg").ctx.get_serialized_svg(true)
    const drawing = shade() === 2 ? onPaper(drawn, root) : drawn
    picture.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(drawing)
    picture.alt = ""
    picture.className = "on-paper"
    picture.dataset.of = id
    place.after(picture)
  }
}
Bokeh.set_log_level("error")
document.querySelectorAll(".plot").forEach((place) => sight.observe(place))
dark.addEventListener("change", paint)
paper.addEventListener("change", paint)
addEventListener("beforeprint", toPaper)
requestAnimationFrame(() => setTimeout(drawAll, 0))
"""
