"""Tests of the report: its text, its tables, its determinism, and its behaviour in a browser."""

import csv
import functools
import html
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from bokeh.resources import Resources

from tests.helpers import browser
from tests.helpers.planted import GAMMA, LADDER, planted_row, planted_study
from tests.helpers.planted_answers import answered, study_fits
from tfrs_scaling.fit.analyses.outlook import EPSILON
from tfrs_scaling.fit.extrapolation.returns import returns_at, samples_to_reach
from tfrs_scaling.fit.report.report import write_report
from tfrs_scaling.fit.report.sections.evidence import ranking_words
from tfrs_scaling.fit.report.summary import bayes_words, cautions, noise_words
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.runs.run_table import COLUMNS, read_runs, write_runs
from tfrs_scaling.fit.study import StudyFits, fit_study

EVIL = '<script>alert(1)</script> "quoted" \'n \\ & 🎯 </script>'
Study = tuple[pd.DataFrame, StudyFits, dict[str, Any]]


@functools.cache
def evil_study() -> Study:
    """A study whose every text tries to be markup, with a failed and a collapsed trial."""
    runs = planted_study(schemes="VM")
    runs["trial_id"] = runs["trial_id"] + EVIL
    runs.loc[runs["trial_id"].str.startswith("M-4-0.02"), ["train_ne", "test_ne"]] = 1.0
    nothing = {name: np.nan for name, kind in COLUMNS.items() if kind == "float64"}
    failed = planted_row("V", 64.0, 0, 0.02, 0, 0.0) | nothing
    failed |= {"multiplier": 64.0, "learning_rate": 0.02, "trial_id": "V-64", "status": "failed", "reason": EVIL}
    runs = pd.concat([runs, pd.DataFrame([failed]).astype(COLUMNS)], ignore_index=True)
    about = {
        "name": EVIL,
        "config": {EVIL: {"nested": [EVIL, 1]}, "seed": 7},
        "data": {
            "rows": {"train": 1_280_000, "validation": 64_000, "test": 64_000},
            "base_ctr": {"train": 0.2},
            "bayes_ne": GAMMA,
            "bayes_ne_standard_error": 1e-4,
            "description": EVIL,
        },
        "libraries": EVIL,
        "machine": EVIL,
    }
    return runs, answered(runs, bayes_ne=GAMMA, bayes_ne_standard_error=1e-4), about


@functools.cache
def _written() -> "tempfile.TemporaryDirectory[str]":
    """A folder with that study's runs, fits and report, for as long as the tests run."""
    runs, fits, about = evil_study()
    folder = tempfile.TemporaryDirectory()
    place = Path(folder.name)
    write_runs(runs, place / "runs.csv")
    fits.write(place / "fits.json")
    write_report(read_runs(place / "runs.csv"), StudyFits.read(place / "fits.json"), place / "report.html", about=about)
    return folder


def evil_report() -> Path:
    """The report of that study, its tables beside it."""
    return Path(_written().name) / "report.html"


def texts_in(node: Any) -> list[str]:
    """Every text in a JSON value."""
    if isinstance(node, dict):
        node = [*node, *node.values()]
    if isinstance(node, list):
        return [text for item in node for text in texts_in(item)]
    return [node] if isinstance(node, str) else []


class ReportTest(tf.test.TestCase):
    """The file."""

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.get_temp_dir()) / self._testMethodName / "report.html"
        self.path.parent.mkdir()

    def text(self, path: Path | None = None) -> str:
        """A report without Bokeh's own code."""
        return (path or self.path).read_text().replace(Resources(mode="inline", components=["bokeh"]).render_js(), "")

    def test_text_stays_text_and_the_page_is_whole(self) -> None:
        runs, fits, about = evil_study()
        text = self.text(evil_report())
        self.assertNotIn("<script>alert", text)
        self.assertGreaterEqual(text.count("&lt;script&gt;alert(1)&lt;/script&gt;"), 6)
        for script in ("documents", "report"):
            content = text.split(f'id="{script}">')[1].split("</script>")[0]
            self.assertNotIn("<", content)
            self.assertIn(EVIL[:20], "".join(texts_in(json.loads(content))))
        sections = set(re.findall(r'<section id="([^"]+)"', text))
        links = set(re.findall(r'<a href="#([^"]+)"', text))
        self.assertEqual(sections, links)
        expected = ["answer", "evidence", "limits", "trust", "zones", "paper", "appendix", "methods"]
        self.assertEqual(re.findall(r'<section id="([^"]+)"', text), expected)
        view = study_view(runs, fits, about)
        shown = html.unescape(text)
        for advice in view.advice.values():
            parts = [advice.answer, *advice.reasons, *(detail.summary for detail in advice.details[1:])]
            for part in parts:
                self.assertIn(part, shown)
        words = (*cautions(view), *ranking_words(view), *bayes_words(view), *noise_words(view), fits.held_out_words)
        for sentence in words:
            self.assertIn(sentence, shown)
        assert fits.best is not None and fits.best.bayes is not None
        for number in (fits.best.bayes.bayes_ne, fits.best.bayes.gamma):
            self.assertIn(f"{number:.4f}", text)
        for heading in (table.title for table in view.tables.values()):
            self.assertIn(heading, shown)
        for fact in ("train 1,280,000", "0.2000 (test)"):
            self.assertIn(fact, shown)
        elements = re.findall(r' id="([^"]+)"', text.split("<body>")[1])
        self.assertLen(set(elements), len(elements))
        self.assertEmpty(re.findall(r"(?:src|href)=\"(?!#|data:)", text))
        self.assertLess(evil_report().stat().st_size, 3_500_000)

    def test_every_figure_names_the_papers_figure(self) -> None:
        found = re.findall(
            r"<figcaption><strong>(.*?)</strong>\s*<span class=\"paper\">(.*?)</span>", self.text(evil_report())
        )
        papers = {html.unescape(title)[:12]: re.findall(r"Figure (\d+)", paper) for title, paper in found}
        self.assertEqual(papers["V: vertical:"], ["4", "2", "6"])  # data with its overview, parameters
        self.assertEqual(papers["M: width of "], ["4", "2", "6", "5"])
        self.assertEqual(papers["Schemes side"], ["4", "2", "5"])
        self.assertEqual((papers["NE and its t"], papers["Next doublin"]), (["3"], ["3"]))
        self.assertEqual((papers["V against H"], papers["O against M"]), (["7"], ["8"]))
        self.assertEqual((papers["NE against e"], papers["Training and"]), (["9"], ["10"]))
        self.assertEqual((papers["Change of NE"], papers["Measured min"]), ([], []))

    def test_every_table_is_written_as_csv(self) -> None:
        runs, fits, about = evil_study()
        files = {path.stem: path.read_text() for path in (evil_report().parent / "tables").iterdir()}
        embedded = json.loads(self.text(evil_report()).split('id="report">')[1].split("</script>")[0])["tables"]
        self.assertEqual(files, embedded)
        self.assertEqual(set(files), set(study_view(runs, fits, about).tables))
        rows = {name: list(csv.DictReader(io.StringIO(text))) for name, text in files.items()}
        self.assertEqual([row["reason"] for row in rows["missing"]], [EVIL])
        self.assertLen(rows["fits"], len(fits.lines))
        found = {(r["scheme"], r["against"], r["line"]): float(r["beta"] or "nan") for r in rows["fits"]}
        self.assertEqual(found["V", "training examples", "4×"], fits.law("V", multiplier=4).beta)
        cells = sum(len(zone.cells) for zone in fits.zones)
        self.assertLen(rows["zones"], cells)
        self.assertEqual(rows["limits"][0]["half_gap_x_high"], "")
        self.assertEqual([row["verdict"] for row in rows["paper"]], ["agrees", "differs", "cannot tell"])

    def test_same_input_same_bytes_in_this_process_and_another(self) -> None:
        *_, about = evil_study()
        program = (
            "import json, sys\n"
            "from pathlib import Path\n"
            "from tfrs_scaling import fit\n"
            "assert 'bokeh' not in sys.modules\n"
            "folder, path, about = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])\n"
            "runs, fits = fit.read_runs(folder / 'runs.csv'), fit.StudyFits.read(folder / 'fits.json')\n"
            "fit.write_report(runs, fits, path, about=about)\n"
            "assert 'tensorflow' not in sys.modules\n"
        )
        environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONHASHSEED": "7"}
        command = [sys.executable, "-c", program, str(evil_report().parent), str(self.path), json.dumps(about)]
        subprocess.run(command, check=True, env=environment)
        self.assertEqual(self.path.read_bytes(), evil_report().read_bytes())

    def test_a_study_in_which_everything_failed_still_has_a_report(self) -> None:
        runs = planted_study(schemes="V").assign(status="failed", reason="out of memory")
        write_report(runs, fit_study(runs), self.path)
        self.assertIn("No trial of this study was measured", self.text())
        self.assertIn("out of memory", self.text())
        self.assertIn("Not in this study", self.text())

    def test_a_study_of_which_half_failed_says_so(self) -> None:
        runs = planted_study(schemes="V")
        names = sorted(runs["trial_id"].unique())
        lost = runs["trial_id"].isin(names[::2])
        numbers = [name for name, kind in COLUMNS.items() if kind == "float64" and name.startswith(("test", "valid"))]
        runs.loc[lost, numbers] = np.nan
        runs.loc[lost, ["status", "reason"]] = ["failed", "the machine was lost"]
        write_report(runs, fit_study(runs), self.path)
        self.assertIn(f"{len(names[::2])} of {len(names)} trials failed or were skipped", self.text())
        self.assertIn("NE against the baseline", self.text())
        self.assertIn("Not in this study", self.text())

    def test_a_study_without_more_about_it_has_the_name_in_its_run_table(self) -> None:
        runs = planted_study(schemes="V")
        write_report(runs, study_fits(), self.path)
        self.assertIn("<h1>planted</h1>", self.text())


class BrowserTest(browser.PageTestCase):
    """The page, opened."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        _, cls.fits, _ = evil_study()
        cls.path = evil_report()

    def test_no_error_no_request_and_every_figure_drawn(self) -> None:
        self.open(1400, "light")
        errors = [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        self.assertEqual(errors, [])
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
        self.assertEqual({url.split(":")[0] for url in urls if not url.startswith("data:")}, {"file"})
        self.assertLen([url for url in urls if url.startswith("file:")], 1)
        self.assertEqual(self.script("return document.querySelector('h1').textContent"), EVIL)
        sizes = self.script("return [...roots.values()].map((r) => Bokeh.index[r.id].el.getBoundingClientRect().width)")
        shown = self.script("return [...document.querySelectorAll('.plot')].filter((p) => p.offsetParent).length")
        self.assertGreater(shown, 10)
        self.assertLen(sizes, shown)  # what is hidden waits until it is shown
        self.assertGreater(min(sizes), 300)
        self.assertEqual(self.script(browser.INK_PIXELS.format(part="canvas")), shown)

    def test_nothing_is_wider_than_a_phone_and_dark_figures_are_dark(self) -> None:
        self.open(390, "dark")
        self.assertLessEqual(self.script("return document.documentElement.scrollWidth"), 390)
        backs = self.script("return [...roots.values()].map((r) => r.background_fill_color)")
        self.assertEqual({str(back) for back in backs}, {"#181b21"})

    def test_paper_gets_drawings_in_the_colours_of_paper(self) -> None:
        self.open(1400, "dark")
        self.script("dispatchEvent(new Event('beforeprint'))")
        pictures = self.script(
            "return [...document.querySelectorAll('.on-paper')].map((p) => decodeURIComponent(p.src))"
        )
        shown = self.script("return [...document.querySelectorAll('.plot')].filter((p) => p.offsetParent).length")
        self.assertLen(pictures, shown)
        for picture in pictures:
            self.assertStartsWith(picture, "data:image/svg+xml;charset=utf-8,<svg")
            for night in ("#181b21", "rgb(24,27,33)", "rgb(86,180,233)"):
                self.assertNotIn(night, picture)
        self.assertTrue(any("rgb(0,114,178)" in picture for picture in pictures))
        self.assertEqual(self.script("return [...roots.values()][0].background_fill_color"), "#181b21")

    def test_a_click_in_the_legend_hides_a_line_and_hover_shows_the_trial(self) -> None:
        self.open(1400, "light")
        x, y = self.point("figure-all-data", 0)
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
        time.sleep(0.5)
        self.assertIn("D 1× at 10k examples", self.script(TOOLTIPS))
        x, y = self.script(LEGEND_ENTRY)
        visible = "return roots.get('figure-all-data').renderers.map((renderer) => renderer.visible)"
        before = self.script(visible)
        self.click(x, y)
        after = self.script(visible)
        self.assertNotIn(False, before)
        self.assertIn(False, after)
        self.assertIn(True, after)

    def test_a_tap_selects_the_trial_in_every_figure_and_in_those_drawn_later(self) -> None:
        self.open(1400, "light")
        x, y = self.point("figure-V-data", 7)
        self.click(x, y)
        name = self.script("return document.querySelector('#chosen span').textContent")
        self.assertRegex(name, r"^V-0.0625-0.02-0<script>")
        self.assertEqual(self.script(SELECTED, "figure-V-data"), [name] * len(LADDER))
        self.assertEmpty(self.script(SELECTED, "figure-M-data"))
        self.assertIn(True, self.script("return roots.get('figure-M-data').renderers.map((r) => r.muted)"))
        for element in ("figure-V-data-regrouped", "figure-V-parameters"):
            self.script(f"document.querySelector('[data-shows=view-{element}]').click()")
            self.wait_until("document.body.dataset.drawn === 'true'")
            self.assertEqual(self.script(SELECTED, element), [name] * len(LADDER), element)
        self.script("document.querySelector('#chosen button').click()")
        self.assertEmpty(self.script(SELECTED, "figure-V-parameters"))
        self.assertTrue(self.script("return document.getElementById('chosen').hidden"))
        self.assertNotIn(True, self.script("return roots.get('figure-M-data').renderers.map((r) => r.muted)"))

    def test_sliders_move_the_marks_to_where_the_law_says(self) -> None:
        self.open(1400, "light")
        fit = self.fits.law("V")
        before = self.script(MARK, "lever-ne-data", "diminishing-V")
        # At the page's own threshold it lies beyond the figure, and the mark stands at the edge.
        self.assertBetween(before["x"][0], max(fit.x), returns_at(fit, max(fit.x), EPSILON).diminishing_return)
        for power in (-1.7, -2.3):
            self.script(SLIDE, "epsilon", power)
            least = 10 ** float(self.script("return document.getElementById('epsilon').value"))
            wanted = returns_at(fit, max(fit.x), least).diminishing_return
            for element, name in (("lever-ne-data", "diminishing-V"), ("lever-gain-data", "gain-V")):
                mark = self.script(MARK, element, name)
                self.assertEqual(mark["marker"], ["diamond"])
                self.assertAllClose(mark["x"][0], wanted, rtol=1e-9)
            self.assertAllClose(self.script(MARK, "lever-gain-data", "gain-V")["y"][0], 100 * least)
        reachable = round((fit.gamma + min(fit.y)) / 2, 3)
        self.script(SLIDE, "target", reachable)
        mark = self.script(MARK, "lever-ne-data", "target-V")
        self.assertEqual(mark["y"], [reachable])
        self.assertAllClose(mark["x"][0], samples_to_reach(fit, reachable).x, rtol=1e-9)
        self.script(SLIDE, "target", 0)  # the slider's least: below every floor
        mark = self.script(MARK, "lever-ne-data", "target-V")
        self.assertEqual(mark["marker"], ["triangle"])
        self.assertIn("out of reach: floor", self.script("return document.getElementById('levers-now').textContent"))

    def test_nothing_stands_in_the_way_of_assistive_technology(self) -> None:
        if importlib.util.find_spec("axe_core_python") is None:
            self.skipTest("axe-core is not installed: pip install 'tfrs_scaling[test]'")
        axe = (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
        for width, scheme in ((1400, "light"), (390, "dark")):
            self.open(width, scheme)
            self.script("document.querySelectorAll('details').forEach((each) => { each.open = true })")
            self.script(axe)
            self.driver.set_script_timeout(120)
            found = self.driver.execute_async_script("axe.run(document, {}).then(arguments[0])")
            problems = {each["id"]: [node["html"][:200] for node in each["nodes"][:3]] for each in found["violations"]}
            self.assertEqual(problems, {}, (width, scheme))
            self.assertGreater(len(found["passes"]), 30)

    def test_the_first_screen_holds_the_decision_and_the_page_is_short(self) -> None:
        self.open(1400, "light")
        within = self.script("return document.querySelector('.decision .picture').getBoundingClientRect().bottom")
        self.assertLess(within, 900)
        self.assertEmpty(self.script("return [...document.querySelectorAll('details[open]')].map((each) => each.id)"))
        self.script("window.scrollTo({top: 3000, behavior: 'instant'})")
        self.assertEqual(self.script("return document.querySelector('nav').getBoundingClientRect().top"), 0)
        self.assertLess(self.script("return document.body.scrollHeight"), 8000)

    def test_a_budget_and_a_view_are_chosen_by_keyboard(self) -> None:
        self.open(1400, "light")
        shown = "return [...document.querySelectorAll('.decision')].map((each) => !each.hidden)"
        self.assertEqual(self.script(shown), [True, False, False])
        self.script("document.querySelectorAll('#answer [data-shows]')[1].focus()")
        for kind in ("rawKeyDown", "char", "keyUp"):
            event = {"type": kind, "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13}
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", event)
        self.assertEqual(self.script(shown), [False, True, False])
        self.wait_until("document.body.dataset.drawn === 'true' && roots.has('figure-decision-1')")

    def test_levers_share_a_place_and_all_of_them_reach_paper(self) -> None:
        self.open(1400, "light")
        bottom = "return document.getElementById('evidence').getBoundingClientRect().bottom"
        widths = (
            "return Object.fromEntries([...document.querySelectorAll('.tab')].map((each) =>"
            " [each.id, each.checkVisibility({visibilityProperty: true}) ? each.clientWidth : 0]))"
        )
        before, end = self.script(widths), self.script(bottom)
        width = before["tab-figure-V-data"]
        self.assertEqual(before, {"tab-figure-V-data": width, "tab-figure-M-data": 0})
        self.assertGreater(width, 1200)
        self.script("document.querySelector('[data-shows=view-figure-V-parameters]').click()")
        self.script("document.querySelector('[data-shows=tab-figure-M-data]').click()")
        self.wait_until("document.body.dataset.drawn === 'true'")
        self.wait_until("Bokeh.index[roots.get('figure-M-data').id].el.getBoundingClientRect().width > 1200")
        self.assertEqual(self.script(widths), {"tab-figure-V-data": 0, "tab-figure-M-data": width})
        self.assertLess(abs(self.script(bottom) - end), 200)
        self.assertFalse(self.script("return document.getElementById('view-figure-V-parameters').hidden"))
        self.script("dispatchEvent(new Event('beforeprint'))")
        drawn = self.script("return [...document.querySelectorAll('.tab .on-paper')].map((each) => each.dataset.of)")
        self.assertEqual(drawn, ["figure-V-parameters", "figure-M-data"])

    def test_a_table_is_sorted_by_its_numbers(self) -> None:
        self.open(1400, "light")
        column = (
            "return [...document.querySelectorAll('#table-quality tbody tr')].map((row) => row.cells[5].textContent)"
        )
        heads = "document.querySelectorAll('#table-quality thead th')"
        rows = [row["ne"] for row in csv.DictReader((self.path.parent / "tables" / "quality.csv").open())]
        wanted = sorted(rows, key=float)
        for direction in ("ascending", "descending"):
            self.script(f"{heads}[5].querySelector('button').click()")
            self.assertEqual(self.script(f"return {heads}[5].getAttribute('aria-sort')"), direction)
            shown = [float(text) for text in self.script(column)]
            self.assertAllClose(shown, [float(ne) for ne in wanted], atol=6e-5)
            wanted.reverse()

    def test_hiding_a_line_fits_the_axis_to_the_others(self) -> None:
        self.open(1400, "light")
        ends = "const {start, end} = roots.get('figure-V-data').y_range; return [start, end]"
        before = self.script(ends)
        self.script(
            "const plot = roots.get('figure-V-data')\n"
            "const item = plot.below.find((m) => m.type === 'Legend').items[0]\n"  # the smallest, and worst
            "for (const each of item.renderers) each.visible = false"
        )
        time.sleep(0.5)
        after = self.script(ends)
        self.assertLess(after[1], before[1])

    def test_print_straight_from_load_has_the_decision_first_and_every_figure(self) -> None:
        chromium = shutil.which("chromium")
        if chromium is None:
            raise unittest.SkipTest("no chromium on the PATH")
        pdf = Path(self.get_temp_dir()) / "report.pdf"
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
        subprocess.run(
            [chromium, *options, f"--print-to-pdf={pdf}", self.path.as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        self.assertBetween(len(re.findall(rb"/Type /Page\b", pdf.read_bytes())), 2, 6)
        self.open(703, "light")  # the width between the margins of A4
        self.script("dispatchEvent(new Event('beforeprint'))")
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        self.addCleanup(self.driver.execute_cdp_cmd, "Emulation.setEmulatedMedia", {"media": ""})
        bottom = self.script("return document.getElementById('answer').getBoundingClientRect().bottom + scrollY")
        self.assertLess(bottom, 1040)  # its height
        tall = "return [...document.querySelectorAll('figure')].map((each) => each.getBoundingClientRect().height)"
        self.assertLess(max(self.script(tall)), 1040)
        empty = "[...document.querySelectorAll('figure')].filter((each) => !each.querySelector('.on-paper')).length"
        self.assertEqual(self.script(f"return {empty}"), 0)

    def test_a_table_is_downloaded_as_the_file_beside_the_report(self) -> None:
        self.open(1400, "light")
        self.script(
            "URL.createObjectURL = (blob) => { blob.text().then((t) => { window.kept = t }); return '#' }\n"
            "document.querySelector('[data-table=table1]').click()"
        )
        self.wait_until("window.kept !== undefined")
        self.assertEqual(self.script("return window.kept"), (self.path.parent / "tables" / "table1.csv").read_text())

    def point(self, element: str, at: int) -> tuple[float, float]:
        """Where a point of the first source of a figure is in the window, scrolled to."""
        self.script(
            "document.getElementById(arguments[0]).scrollIntoView({block: 'center', behavior: 'instant'})", element
        )
        time.sleep(0.5)
        x, y = self.script(POINT, element, at)
        return x, y

    def click(self, x: float, y: float) -> None:
        """A real press of the mouse, which reaches what lies on top at that place."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
        time.sleep(0.5)


# Places in a figure, in pixels of the window; the text of the tooltips that are open; what is selected.
LEGEND_ENTRY = """
const plot = roots.get("figure-all-data"), legend = plot.below.find((model) => model.type === "Legend")
const box = Bokeh.index.find_one(legend).entries[0].el.getBoundingClientRect()
return [box.x + box.width / 2, box.y + box.height / 2]
"""
POINT = """
const plot = roots.get(arguments[0]), view = Bokeh.index[plot.id], {data} = pointsIn(plot)[0].data_source
const box = view.el.getBoundingClientRect(), at = arguments[1]
return [box.x + view.frame.x_scale.compute(data.x[at]), box.y + view.frame.y_scale.compute(data.ne[at])]
"""
TOOLTIPS = """
const found = (root) => [...root.querySelectorAll("*")].flatMap(
  (e) => e.shadowRoot ? [e.matches(".bk-Tooltip") ? e.shadowRoot.textContent : "", ...found(e.shadowRoot)] : [])
return found(document).join(" ")
"""
SELECTED = """
return pointsIn(roots.get(arguments[0])).flatMap(
  ({data_source: s}) => s.selected.indices.map((at) => s.data.trial[at]))
"""
MARK = """
const {x, y, marker} = roots.get(arguments[0]).select_one(arguments[1]).data_source.data
return {x: [...x], y: [...y], marker: [...marker]}
"""
SLIDE = """
const slider = document.getElementById(arguments[0])
slider.value = arguments[1]
slider.dispatchEvent(new Event("input"))
"""


if __name__ == "__main__":
    tf.test.main()
