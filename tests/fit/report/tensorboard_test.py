"""What TensorBoard shows of a study, read back with TensorFlow and TensorBoard's own Markdown."""

import functools
import math
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import tensorflow as tf
from tensorboard.plugin_util import markdown_to_safe_html
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from tests.helpers.planted import LADDER, MULTIPLIERS, planted_ne, planted_study
from tfrs_scaling.fit.advice.budget import BUDGETS
from tfrs_scaling.fit.labels import FRONTIER
from tfrs_scaling.fit.report.tables.table import markdown_table
from tfrs_scaling.fit.report.tensorboard import curves, layout, write_tensorboard
from tfrs_scaling.fit.report.tensorboard_texts import tensorboard_texts
from tfrs_scaling.fit.report.view import StudyView, study_view
from tfrs_scaling.fit.study import fit_study
from tfrs_scaling.training.hparams import METRICS

ONCE = {*METRICS, SESSION_START_INFO_TAG}  # what a shape has besides its line

EVIL = (
    """<script>alert(1)</script> **bold** | `code` _it_ [a](http://b) ![i](j) &amp; # 1. \\ "q" 'n' ~~~ 🎯\n> quote"""
)
EVIL_LINE = EVIL.replace("\n", " ")


class _Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.cells.append("")

    def shown(self, *tags: str) -> list[str]:
        """The text of every such element."""
        return [cell.strip() for tag, cell in zip(self.tags, self.cells, strict=True) if tag in tags]

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def summaries(folder: Path) -> Iterator[tuple[str, Any, int, Any]]:
    """Run, summary value, step and value of everything below a folder."""
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                yield str(path.parent.relative_to(folder)), value, event.step, tf.make_ndarray(value.tensor)


@functools.cache
def study() -> StudyView:
    """A planted study and its fits, which take a while."""
    runs = planted_study(schemes="VM", noise=1e-5)
    return study_view(runs, fit_study(runs))


def without(scheme: str) -> StudyView:
    """The same without one of its schemes."""
    runs, fits = study().runs, study().fits
    lines = tuple(line for line in fits.lines if line.scheme != scheme)
    return study_view(runs[runs["scheme"] != scheme], replace(fits, lines=lines))


def with_another_architecture() -> StudyView:
    """The same, every trial and law a second time under another architecture."""
    runs, fits = study().runs, study().fits
    crossed = runs.assign(architecture="cross", trial_id="cross-" + runs["trial_id"])
    lines = (*fits.lines, *(replace(line, architecture="cross") for line in fits.lines))
    return study_view(pd.concat([runs, crossed], ignore_index=True), replace(fits, lines=lines))


Written = dict[str, dict[str, dict[int, Any]]]


def written(view: StudyView, folder: Path) -> Written:
    """What ``write_tensorboard`` writes, by run, tag and step."""
    write_tensorboard(view, folder)
    found: Written = {}
    for run, value, step, content in summaries(folder):
        found.setdefault(run, {}).setdefault(value.tag, {})[step] = content.item() if content.size == 1 else content
    return found


class BoardTest(tf.test.TestCase):
    folder: Path
    found: Written

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name) / "findings"
        cls.found = written(study(), cls.folder)

    def test_lines_frontiers_and_laws_are_those_planted(self) -> None:
        found = self.found
        names = ("1_16", "1_4", "4", "16")
        shapes = {f"{scheme}-{name}" for scheme in "VM" for name in names} | {"D-1"}
        self.assertEqual(set(found), {".", "D", "V", "M"} | shapes)
        for name, multiplier in zip(names, MULTIPLIERS, strict=True):
            for scheme in "VM":
                line = found[f"{scheme}-{name}"][f"ne/{scheme}"]
                self.assertEqual(tuple(line), LADDER)
                self.assertAllClose(list(line.values()), [planted_ne(scheme, multiplier, x) for x in LADDER], atol=1e-4)
        for scheme in "VM":  # the largest is best at every size
            best = [planted_ne(scheme, MULTIPLIERS[-1], x) for x in LADDER]
            self.assertAllClose(list(found[scheme]["frontier"].values()), best, atol=1e-4)
            law = found[scheme][f"law/{scheme}"]
            self.assertEqual((min(law), max(law)), (LADDER[0], 2 * LADDER[-1]))
            truth = [planted_ne(scheme, MULTIPLIERS[-1], x) for x in law]
            self.assertAllClose(list(law.values()), truth, atol=1e-4)
            low, high = (list(found[scheme][f"law/{scheme}/{end}"].values()) for end in ("low", "high"))
            self.assertTrue(all(a <= b <= c for a, b, c in zip(low, law.values(), high, strict=True)))

    def test_a_row_of_hparams_for_each_shape(self) -> None:
        rows = study().chosen
        top = rows[rows["examples"] == LADDER[-1]]
        own = top[(top["scheme"] == "V") & (top["multiplier"] == 4)]
        for tag, column in (("test/ne", "test_ne"), ("shape/parameters", "params_total"), ("test/auc", "test_auc")):
            self.assertAllClose(self.found["V-4"][tag][0], own[column].mean(), rtol=1e-6)
        written = {value.tag: value for run, value, _, _ in summaries(self.folder) if run == "V-4"}
        told = HParamsPluginData.FromString(written[SESSION_START_INFO_TAG].metadata.plugin_data.content)
        place = told.session_start_info.hparams
        self.assertEqual((place["scheme"].string_value, place["multiplier"].number_value), ("V", 4))
        self.assertContainsSubset(set(METRICS), set(written))

    def test_layout_shows_every_line_and_law(self) -> None:
        (serialized,) = self.found["."]["custom_scalars__config__"].values()
        one = {tag for run, tags in self.found.items() for tag in tags if run != "." and tag not in ONCE}
        two = {tag for _, tag in curves(with_another_architecture())}
        self.assertEqual(two, {f"{architecture}/{tag}" for tag in one for architecture in ("cross", "dot")})
        for shown_layout, tags, architectures in (
            (layout_pb2.Layout.FromString(serialized), one, 1),
            (layout(two), two, 2),
        ):
            charts = [chart for category in shown_layout.category for chart in category.chart]
            shown = {tag.removeprefix("^").removesuffix("$") for chart in charts for tag in chart.multiline.tag}
            for chart in charts:
                shown |= {tag for s in chart.margin.series for tag in (s.value, s.lower, s.upper)}
            self.assertEqual(shown, tags)
            self.assertLen(charts, architectures * (1 + 3 + 3))
            self.assertLen({(chart.title, bool(chart.margin.series)) for chart in charts}, len(charts))

    def test_what_an_earlier_report_showed_is_gone(self) -> None:
        folder = Path(self.get_temp_dir()) / "findings"
        shutil.copytree(self.folder, folder)
        found = written(without("V"), folder)
        self.assertNotIn("V", found)
        self.assertEqual({tag for tag in found["D-1"] if tag not in ONCE}, {"ne/D", "ne/M"})

    def test_nothing_measured(self) -> None:
        failed = (
            study().runs.drop_duplicates("trial_id").assign(test_ne=math.nan, status="failed", reason=EVIL, examples=0)
        )
        (run,) = written(study_view(failed, fit_study(failed)), Path(self.get_temp_dir()) / "failed").values()
        page = _Page(markdown_to_safe_html(run["missing trials"][0].decode()))
        self.assertEqual(page.shown("td")[-1], EVIL_LINE)

    def test_text_of_a_study_is_no_markup(self) -> None:
        page = _Page(markdown_to_safe_html(markdown_table(("a", EVIL), [(EVIL, "–"), ("x", EVIL)])))
        self.assertEqual(set(page.tags), {"table", "thead", "tbody", "tr", "th", "td"})
        self.assertEqual(page.shown("th", "td"), ["a", EVIL_LINE, EVIL_LINE, "–", "x", EVIL_LINE])
        evil = study_view(study().runs, study().fits, {"name": EVIL})
        page = _Page(markdown_to_safe_html(tensorboard_texts(evil)["findings"]))
        self.assertEqual(set(page.tags), {"h3", "ul", "li"})
        self.assertEqual(page.shown("h3"), [EVIL_LINE])

    def test_tables_hold_every_fit(self) -> None:
        view = with_another_architecture()
        rows = [row for tag, text in tensorboard_texts(view).items() if tag.startswith("laws") for row in _rows(text)]
        self.assertLen(rows, len(view.fits.lines))
        names = {tuple(row[name] for name in ("Architecture", "Scheme", "Against", "Line")) for row in rows}
        self.assertLen(names, len(view.fits.lines))

    def test_a_law_that_does_not_describe_its_points_is_not_drawn(self) -> None:
        runs = study().runs
        few = runs[runs["examples"] <= LADDER[2]]
        tags = {tag for _, tag in curves(study_view(few, fit_study(few)))}
        self.assertIn(FRONTIER, tags)
        self.assertEmpty([tag for tag in tags if "law/" in tag])

    def test_effects_and_advice_are_those_of_the_study(self) -> None:
        texts = {tag: content[0].decode() for tag, content in self.found["."].items() if "config" not in tag}
        rows = _rows(texts["in detail/effects"])
        self.assertEqual({(row["Scheme"], row["Multiplier"]) for row in rows}, {
            (scheme, multiplier) for scheme in "VM" for multiplier in ("1/16", "1/4", "4", "16")
        })  # fmt: skip
        for row in rows:
            planted = planted_ne(row["Scheme"], float(Fraction(row["Multiplier"])), LADDER[-1])
            self.assertAllClose(float(row["NE"]), planted, atol=1e-4)
        answers = _Page(markdown_to_safe_html(texts["advice"]))
        self.assertEqual(answers.shown("h3"), list(BUDGETS))
        for advice in study().advice.values():
            items = answers.shown("li")
            self.assertContainsSubset({advice.answer, *advice.reasons}, items)
            for detail in advice.details:
                self.assertIn(detail.summary, items)
                self.assertContainsSubset(() if detail.is_command else detail.items, items)


def _rows(text: str) -> list[dict[str, str]]:
    """The rows of a Markdown table, by heading."""
    page = _Page(markdown_to_safe_html(text))
    names, cells = page.shown("th"), page.shown("td")
    return [dict(zip(names, cells[k : k + len(names)], strict=True)) for k in range(0, len(cells), len(names))]


if __name__ == "__main__":
    tf.test.main()
