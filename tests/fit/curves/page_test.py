"""Tests of what is shown of a table's curves: the same numbers in text, page and JSON; text from data stays text."""

import functools
import json
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.fit.curves.analysis_test import planted
from tests.helpers import browser
from tfrs_scaling.common.words import five_digits
from tfrs_scaling.fit.curves.analysis import fit_table
from tfrs_scaling.fit.curves.grids import law_grid
from tfrs_scaling.fit.curves.page import render_table_fit, write_table_fit
from tfrs_scaling.fit.curves.records import Columns, TableFit
from tfrs_scaling.fit.curves.text import table_text

EVIL = "<script>alert(1)</script>$$x$$" + "_a_long_name" * 5


@functools.cache
def fitted() -> TableFit:
    frame = planted().replace({"model": {"m1e+06": EVIL}}).rename(columns={"tokens": "<b>tokens"})
    return fit_table(
        frame, Columns(x="<b>tokens", y="loss", group="model", n="params", d="<b>tokens"), source="mine.csv"
    )


class TableFitOutputTest(tf.test.TestCase):
    def test_text_page_and_json_agree(self) -> None:
        table, folder = fitted(), Path(self.get_temp_dir()) / "out"
        text = table_text(table)
        write_table_fit(table, folder)
        page, content = (folder / "fit.html").read_text(), json.loads((folder / "fit.json").read_text())
        self.assertLen(content["curves"], 3)
        for curve, stored in zip(table.curves, content["curves"], strict=True):
            assert curve.law is not None
            self.assertEqual(stored["law"]["beta"], curve.law.beta)
            self.assertEqual(stored["predictions"][0]["low"], curve.predictions[0].low)
            for number in (curve.law.beta, curve.law.gamma, curve.predictions[2].loss, curve.predictions[1].high):
                self.assertIn(five_digits(number), text)
                self.assertIn(f">{five_digits(number)}<", page)
        assert table.joint is not None
        self.assertIn(five_digits(table.joint.splits[0].loss), text)
        self.assertNotIn("<script>alert", page)
        self.assertNotIn("<b>tokens", page)
        before = (folder / "fit.html").read_bytes(), (folder / "fit.json").read_bytes()
        write_table_fit(fitted.__wrapped__(), folder)
        self.assertEqual(before, ((folder / "fit.html").read_bytes(), (folder / "fit.json").read_bytes()))

    def test_a_table_without_a_law_has_text_and_a_page(self) -> None:
        table = fit_table(planted((1e6,)).head(2), Columns(x="tokens", y="loss"))
        self.assertIn("tokens has 2 different values, and a law needs 4", table_text(table))
        self.assertIn("and a law needs 4", render_table_fit(table))
        plane = fit_table(planted(), Columns(y="loss", n="params", d="tokens"))
        self.assertIn("Best split of compute", render_table_fit(plane))

    def test_what_should_not_be_relied_on_is_said(self) -> None:
        frame = planted((1e6,), noise=0).head(5)
        self.assertRegex(
            table_text(fit_table(frame, Columns(x="tokens", y="loss"))), "Do not rely on it: 5 different x"
        )

    def test_what_the_law_does_not_allow_is_said_everywhere(self) -> None:
        x = 1e3 * np.arange(1, 41)
        loss = 2 + 30 * x**-0.4 + 0.003 * np.sin(np.arange(40) / 5)
        table = fit_table(pd.DataFrame({"tokens": x, "loss": loss}), Columns(x="tokens", y="loss"))
        folder = Path(self.get_temp_dir()) / "correlated"
        write_table_fit(table, folder)
        page = (folder / "fit.html").read_text()
        for text in (table_text(table), page):
            self.assertIn("Do not rely on it: neighbouring points miss the power law in the same direction.", text)
            self.assertIn("correlated_residuals: Neighbouring points", text)
        self.assertNotIn("dashed", page.partition('id="figure"')[2].partition("<script")[2])
        self.assertFalse(json.loads((folder / "fit.json").read_text())["curves"][0]["chosen"]["extrapolates"])

    def test_an_exponent_at_a_bound_of_the_search_is_not_shown(self) -> None:
        frame = pd.DataFrame({"tokens": 1e3 * 2.0 ** np.arange(9), "loss": 2.0})
        table = fit_table(frame, Columns(x="tokens", y="loss"))
        [row] = law_grid(table).rows
        self.assertEqual((row[2:4], row[-1]), (("–", "–"), "flat"))
        self.assertRegex(table_text(table), r"beta +– +– +–")


class PageTest(browser.PageTestCase):
    """The page, opened."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.path = Path(tempfile.mkdtemp()) / "fit.html"
        cls.path.write_text(render_table_fit(fitted()))

    def test_figure_is_drawn_and_nothing_is_wider_than_a_phone(self) -> None:
        self.open(390, "dark")
        errors = [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        self.assertEqual(errors, [])
        self.assertLessEqual(self.script("return document.documentElement.scrollWidth"), 390)
        self.assertEqual(self.script(browser.INK_PIXELS.format(part="canvas")), 1)
        self.assertTrue(re.search("tokens", self.script("return document.querySelector('.lead').textContent")))


if __name__ == "__main__":
    tf.test.main()
