"""The frame of every HTML page: one style, light and dark; figures as data in the page, drawn offline."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bokeh.document import Document
from bokeh.resources import Resources
from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup

from tfrs_scaling.common.inert import inert

_HERE = Path(__file__).parent


def render_page(template: Path, figures: Mapping[str, Any], **content: Any) -> str:
    """One HTML file that needs nothing but a browser. Same input, same bytes.

    Args:
        template: A Jinja2 template such as ``page.html.j2`` that extends ``common/page.html.j2``. A style sheet and a
            script of the same name beside it (``page.css``, ``page.js``) follow those of all pages.
        figures: Bokeh figures by the id of the element to draw into.
        content: Values for the template, always escaped: ``name`` (of the page), ``kind`` (of page), and its own.
    """
    stem = template.name.removesuffix(".html.j2")
    style, script = (
        "".join(f"\n{path.read_text(encoding='utf-8')}" for path in paths if path.exists())
        for paths in ((_HERE / f"page.{kind}", template.with_name(f"{stem}.{kind}")) for kind in ("css", "js"))
    )
    loader = PrefixLoader({"common": FileSystemLoader(_HERE), "page": FileSystemLoader(template.parent)})
    environment = Environment(autoescape=True, undefined=StrictUndefined, loader=loader, finalize=_inert)
    return environment.get_template(f"page/{template.name}").render(
        content,
        style=Markup(style),  # noqa: S704 -- our own file
        script=Markup(script),  # noqa: S704 -- our own file
        bokeh=bokeh_script(),
        documents=embedded(figures),
    )


def _inert(value: Any) -> Any:
    return inert(value) if type(value) is str else value  # not Markup, which is ours


def bokeh_script() -> Markup:
    """Bokeh itself, for the head of a page."""
    return Markup(Resources(mode="inline", components=["bokeh"]).render_js())  # noqa: S704 -- Bokeh's own


def embedded(figures: Mapping[str, Any]) -> Markup:
    """Figures as the JSON that ``page.js`` draws, each when it is needed; same figures, same text.

    Args:
        figures: Bokeh figures by the id of the element to draw into.
    """
    drawn, names, texts, columns = {}, dict[str, str](), dict[str, int](), dict[str, int]()
    for element, each in figures.items():
        document = Document()
        with document.models.freeze():  # collect its models once
            document.add_root(each)
        content = _packed(document.to_json(deferred=False), names, texts, columns)
        drawn[element] = {"document": content, "root": names[each.id]}
    return script_safe({"figures": drawn, "texts": list(texts), "columns": [json.loads(each) for each in columns]})


def _packed(node: Any, names: dict[str, str], texts: dict[str, int], columns: dict[str, int]) -> Any:
    """Bokeh numbers models by process: number them by their place on the page instead. Columns, which many figures
    share, become places in one list of columns, and their texts places in one list of texts."""
    if isinstance(node, dict):
        return {
            key: names.setdefault(value, f"m{len(names)}")
            if key == "id" and isinstance(value, str)
            else _packed(value, names, texts, columns)
            for key, value in node.items()
        }
    if isinstance(node, list | tuple):
        if len(node) > 3 and all(isinstance(item, str) for item in node):
            places = [texts.setdefault(inert(item), len(texts)) for item in node]
            return {"$texts": columns.setdefault(json.dumps(places), len(columns))}
        if len(node) > 3 and all(type(item) in (int, float) for item in node):
            return {"$numbers": columns.setdefault(json.dumps(node), len(columns))}
        return [_packed(item, names, texts, columns) for item in node]
    return _inert(node)


def script_safe(content: Mapping[str, Any]) -> Markup:
    """JSON that no text inside can end: ``<``, ``>`` and ``&`` are written as escapes."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 -- escaped for the only place it is used in
