"""Tests of the report: its text, its determinism, and its behaviour in a browser."""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bokeh.resources import Resources

from tests import browser
from tests.planted import GAMMA, planted_row, planted_study
from tfrs_scaling.fit.report import write_report
from tfrs_scaling.fit.runs import COLUMNS
from tfrs_scaling.fit.study_fits import fit_study

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

EVIL = '<script>alert(1)</script> "quoted" \'n \\ & 🎯 </script>'


def evil_study() -> tuple[pd.DataFrame, dict[str, Any], dict[str, Any]]:
    """A study whose every text tries to be markup, with a failed and a collapsed trial."""
    runs = planted_study()
    runs["trial_id"] = runs["trial_id"] + EVIL
    runs.loc[runs["trial_id"].str.startswith("M-4-0.02"), "test_ne"] = 1.0
    nothing = {name: np.nan for name, kind in COLUMNS.items() if kind == "float64"}
    failed = planted_row("V", 64.0, 0, 0.02, 0, 0.0) | nothing
    failed |= {"multiplier": 64.0, "learning_rate": 0.02, "trial_id": "V-64", "status": "failed", "reason": EVIL}
    runs = pd.concat([runs, pd.DataFrame([failed]).astype(COLUMNS)], ignore_index=True)
    study = {
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
    return runs, fit_study(runs, bayes_ne=GAMMA, bayes_ne_standard_error=1e-4), study


def texts_in(node: Any) -> list[str]:
    """Every text in a JSON value."""
    if isinstance(node, dict):
        node = [*node, *node.values()]
    if isinstance(node, list):
        return [text for item in node for text in texts_in(item)]
    return [node] if isinstance(node, str) else []


class ReportTest(tf.test.TestCase):
    """The file."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.study = evil_study()

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.get_temp_dir()) / "report.html"

    def text(self) -> str:
        """The report without Bokeh's own code."""
        return self.path.read_text().replace(Resources(mode="inline", components=["bokeh"]).render_js(), "")

    def test_text_stays_text_and_the_page_is_whole(self) -> None:
        runs, fits, study = self.study
        write_report(runs, fits, self.path, study=study)
        text = self.text()
        self.assertNotIn("<script>alert", text)
        self.assertGreaterEqual(text.count("&lt;script&gt;alert(1)&lt;/script&gt;"), 6)
        documents = text.split('id="documents">')[1].split("</script>")[0]
        self.assertNotIn("<", documents)
        self.assertIn(EVIL, "".join(texts_in(json.loads(documents))))
        best = runs.loc[runs["learning_rate"] == 0.02, "test_ne"].min()
        for part in (
            f"{best:.4f}", "1 of 52 trials failed or were skipped", "1 of 52 trials learned nothing",
            "Bayes NE of these data is 0.7800", "Ardalani et al. 2022, Figure 2", "Figures 4 and 5", "Figure 6",
            "V: vertical", "1,280,000", "Twice the data would take the baseline",
        ):  # fmt: skip
            self.assertIn(part, text)
        self.assertLen(re.findall(r'class="plot"', text), 13)
        self.assertEmpty(re.findall(r"(?:src|href)=\"(?!#|data:)", text))
        self.assertLess(self.path.stat().st_size, 3_000_000)

    def test_same_input_same_bytes_in_this_process_and_another(self) -> None:
        runs = planted_study().query("scheme in ['D', 'V']")
        fits, study = fit_study(runs), {"name": "planted"}
        write_report(runs, fits, self.path, study=study)
        first = self.path.read_bytes()
        write_report(runs, fits, self.path, study=study)
        self.assertEqual(self.path.read_bytes(), first)
        program = (
            "import sys; from tests.planted import planted_study\n"
            "from tfrs_scaling.fit import fit_study\n"
            "from tfrs_scaling.fit.report import write_report\n"
            "runs = planted_study().query(\"scheme in ['D', 'V']\")\n"
            "write_report(runs, fit_study(runs), sys.argv[1], study={'name': 'planted'})\n"
            "assert 'tensorflow' not in sys.modules\n"
        )
        environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONHASHSEED": "7"}
        subprocess.run([sys.executable, "-c", program, str(self.path)], check=True, env=environment)
        self.assertEqual(self.path.read_bytes(), first)

    def test_a_study_in_which_everything_failed_still_has_a_report(self) -> None:
        runs = planted_study().assign(status="failed", reason="out of memory")
        write_report(runs, fit_study(runs), self.path, study={"name": "all failed"})
        self.assertIn("No trial of this study was measured", self.text())
        self.assertIn("out of memory", self.text())

    def test_a_study_needs_a_name(self) -> None:
        with self.assertRaisesRegex(ValueError, "the study has no name"):
            write_report(planted_study(), fit_study(planted_study()), self.path, study={})


class BrowserTest(browser.PageTestCase):
    """The page, opened."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        runs, fits, study = evil_study()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.path = Path(folder.name) / "report.html"
        write_report(runs, fits, cls.path, study=study)

    def test_no_error_no_request_and_every_figure_drawn(self) -> None:
        self.open(1400, "light")
        errors = [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        self.assertEqual(errors, [])
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
        self.assertEqual({url.split(":")[0] for url in urls if not url.startswith("data:")}, {"file"})
        self.assertLen([url for url in urls if url.startswith("file:")], 1)
        self.assertEqual(self.script("return document.querySelector('h1').textContent"), EVIL)
        sizes = self.script(
            "return Bokeh.documents[0].roots().map((r) => Bokeh.index[r.id].el.getBoundingClientRect().width)"
        )
        self.assertLen(sizes, 13)
        self.assertGreater(min(sizes), 300)
        self.assertEqual(self.script(browser.INK_PIXELS.format(part="canvas")), 13)

    def test_nothing_is_wider_than_a_phone_and_dark_figures_are_dark(self) -> None:
        self.open(390, "dark")
        self.assertLessEqual(self.script("return document.documentElement.scrollWidth"), 390)
        backs = self.script("return Bokeh.documents[0].roots().map((r) => r.background_fill_color)")
        self.assertEqual({str(back) for back in backs}, {"#181b21"})

    def test_a_click_in_the_legend_hides_a_line_and_hover_tells_the_trial(self) -> None:
        self.open(1400, "light")
        self.script("document.querySelector('.plot').scrollIntoView({block: 'center', behavior: 'instant'})")
        time.sleep(0.5)
        x, y = self.script(FIRST_POINT)
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
        time.sleep(0.5)
        shown = self.script(TOOLTIPS)
        self.assertIn("D 1× at 10k examples", shown)
        x, y = self.script(LEGEND_ENTRY)
        visible = "return Bokeh.documents[0].roots()[0].renderers.map((renderer) => renderer.visible)"
        before = self.script(visible)
        self.click(x, y)
        after = self.script(visible)
        self.assertNotIn(False, before)
        self.assertIn(False, after)
        self.assertIn(True, after)

    def click(self, x: float, y: float) -> None:
        """A real press of the mouse, which reaches what lies on top at that place."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
        time.sleep(0.3)


# Places in the first figure, in pixels of the window, and the text of the tooltips that are open.
LEGEND_ENTRY = """
const [plot] = Bokeh.documents[0].roots(), legend = plot.below.find((model) => model.type === "Legend")
const box = Bokeh.index.find_one(legend).entries[0].el.getBoundingClientRect()
return [box.x + box.width / 2, box.y + box.height / 2]
"""
FIRST_POINT = """
const [plot] = Bokeh.documents[0].roots(), view = Bokeh.index[plot.id]
const points = plot.renderers.find((renderer) => renderer.glyph.type === "Scatter").data_source.data
const box = view.el.getBoundingClientRect()
return [box.x + view.frame.x_scale.compute(points.x[0]), box.y + view.frame.y_scale.compute(points.ne[0])]
"""
TOOLTIPS = """
const found = (root) => [...root.querySelectorAll("*")].flatMap(
  (e) => e.shadowRoot ? [e.matches(".bk-Tooltip") ? e.shadowRoot.textContent : "", ...found(e.shadowRoot)] : [])
return found(document).join(" ")
"""

# How many figures hold at least one pixel that is not background; Bokeh draws inside shadow roots.


if __name__ == "__main__":
    tf.test.main()
