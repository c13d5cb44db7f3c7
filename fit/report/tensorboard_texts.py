"""The findings of a study as Markdown, for TensorBoard's Text tab."""

import re

from tfrs_scaling.fit.advice.advice import Advice, Detail
from tfrs_scaling.fit.report.sections.evidence import ranking_words
from tfrs_scaling.fit.report.summary import cautions, findings
from tfrs_scaling.fit.report.tables.laws import fits_table
from tfrs_scaling.fit.report.tables.table import bullets, plain
from tfrs_scaling.fit.report.view import StudyView

# Tables that have a text of their own, or that only the page shows.
_ELSEWHERE = ("fits", "missing", "left_out", "flagged")


def tensorboard_texts(view: StudyView) -> dict[str, str]:
    """Advice, findings and tables as Markdown, by tag. What comes from the study is shown as it is.

    Args:
        view: The study.
    """
    texts = {"findings": f"### {plain(view.about.name)}\n\n{bullets(findings(view))}"}
    if words := cautions(view):
        texts["findings"] += f"\n\n**Before you rely on this**\n\n{bullets(words)}"
    if view.advice:
        texts["advice"] = "\n\n".join(_advice_text(advice) for advice in view.advice.values())
    intro = f"NE = α·x^−β + γ, with {view.fits.level:.0%} intervals. Follow beyond its points only a *sound* one.\n\n"
    frontiers = [line for line in view.fits.lines if line.is_frontier]
    lines = [line for line in view.fits.lines if not line.is_frontier]
    texts["laws of the frontiers"] = intro + fits_table(frontiers).markdown()
    texts["laws of the lines"] = intro + fits_table(lines).markdown()
    # TensorBoard opens the first two groups, by name: advice and findings.
    details = {
        name: table.markdown()
        for name, table in view.tables.items()
        if table.records and not table.hidden and name not in _ELSEWHERE
    }
    if view.fits.ranking:
        details["table1"] = f"{bullets(ranking_words(view))}\n\n{details['table1']}"
    if view.fits.held_out:
        details["held_out"] = f"{plain(view.fits.held_out_words)}\n\n{details['held_out']}"
    texts |= {f"in detail/{name.replace('_', ' ')}": text for name, text in details.items()}
    if view.fits.missing:
        texts["missing trials"] = view.tables["missing"].markdown()
    return texts


def _advice_text(advice: Advice) -> str:
    items = [advice.answer, *advice.reasons]
    return "\n".join([f"### {plain(advice.budget)}\n", bullets(items), *map(_detail_text, advice.details)])


def _detail_text(detail: Detail) -> str:
    """A list item with a list below it. A command is one item: Markdown has no line breaks in a list."""
    items = [re.sub(r"\s*\\\n\s*", " ", detail.command)] if detail.is_command else detail.items
    return "\n".join([f"- {plain(detail.summary)}", *(f"    - {plain(item)}" for item in items)])
