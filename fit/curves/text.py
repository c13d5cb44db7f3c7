"""The curves of a table as text for a terminal."""

from collections.abc import Iterator

from tfrs_scaling.fit.curves.grids import Grid, comparison_grid, law_grid, prediction_grid, source_words, split_grid
from tfrs_scaling.fit.curves.records import TableFit
from tfrs_scaling.fit.laws.display import columns


def table_text(table: TableFit) -> str:
    """All that was fitted: of one curve everything, of several a line each; then what compares and what joins them."""
    return "\n\n".join(_parts(table)) + "\n"


def _parts(table: TableFit) -> Iterator[str]:
    yield source_words(table)
    if len(table.curves) == 1:
        if table.curves[0].law is not None:
            yield table.curves[0].law.summary()
    elif table.curves:
        yield _text(law_grid(table))
    if table.curves:
        yield _text(prediction_grid(table))
    if table.comparisons:
        yield _text(comparison_grid(table))
    if table.joint is not None:
        yield f"The law of n = {table.columns.n} and d = {table.columns.d}\n\n{table.joint.fit.summary()}"
        if table.joint.splits:
            yield _text(split_grid(table, table.joint))
    if table.notices:
        yield "\n".join(f"note: {notice}" for notice in table.notices)


def _text(grid: Grid) -> str:
    parts = [grid.title]
    if grid.rows:
        parts.append(columns([grid.header, *grid.rows]))
    if grid.words:
        parts.append("\n".join(grid.words))
    return "\n\n".join(parts)
