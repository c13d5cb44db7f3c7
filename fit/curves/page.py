"""The curves of a table as files: a page that opens offline, and JSON for programs."""

import json
import os
from pathlib import Path

from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.common.page import render_page
from tfrs_scaling.fit.curves.figure import curves_figure
from tfrs_scaling.fit.curves.grids import comparison_grid, law_grid, prediction_grid, source_words, split_grid
from tfrs_scaling.fit.curves.records import TableFit
from tfrs_scaling.fit.serialization import encode

FORMAT = 1
_TEMPLATE = Path(__file__).with_name("page.html.j2")


def write_table_fit(table: TableFit, folder: str | os.PathLike[str]) -> None:
    """Write ``fit.html`` and ``fit.json``. Same input, same bytes.

    Args:
        table: Result of ``fit_table``.
        folder: Folder to write to; it is made.

    Raises:
        OSError: a file cannot be written.

    Examples:
        >>> import pandas as pd
        >>> log = pd.DataFrame({"tokens": [1e6, 2e6, 4e6, 8e6, 16e6], "loss": [3.2, 2.9, 2.68, 2.51, 2.39]})
        >>> write_table_fit(fit_table(log, Columns(y="loss", x="tokens")), "page")
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT, **encode(table)}
    text = json.dumps(content, sort_keys=True, allow_nan=False, indent=1, ensure_ascii=False)
    write_text_atomically(Path(folder) / "fit.json", text + "\n")
    write_text_atomically(Path(folder) / "fit.html", render_table_fit(table))


def render_table_fit(table: TableFit) -> str:
    """The page as HTML."""
    grids = []
    if table.curves:
        grids += [law_grid(table), prediction_grid(table)]
    if table.comparisons:
        grids.append(comparison_grid(table))
    if table.joint is not None and table.joint.splits:
        grids.append(split_grid(table, table.joint))
    figure = curves_figure(table) if table.curves else None
    return render_page(
        _TEMPLATE,
        {"curves": figure} if figure else {},
        height=figure.height if figure else 0,
        kind="curve fit",
        name=Path(table.source).name,
        lead=source_words(table),
        grids=grids,
        summaries=[(curve.name, str(curve.law)) for curve in table.curves if curve.law is not None],
        joint=str(table.joint.fit) if table.joint is not None else "",
        notices=table.notices,
        level=f"{100 * table.level:g} %",
    )
