"""Tests of the page of a data description: its text, its figures, and its behaviour in a browser."""

import dataclasses
import re
import tempfile
from pathlib import Path

import tensorflow as tf
from bokeh.models import Scatter
from bokeh.resources import Resources

from tests.fit.report.report_test import EVIL
from tests.helpers import browser
from tests.input.describe.description_test import planted_log, written
from tfrs_scaling.input.describe.description import Description, Rate, describe_data
from tfrs_scaling.input.describe.figures import curve_figure, time_figure, unix_unit
from tfrs_scaling.input.describe.page import findings, write_description
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature

EVIL_FEATURES = (
    CategoricalFeature(EVIL, 500, "id"),
    CategoricalFeature("$$\\frac{1}{2}$$ " + "long" * 30, 40, "vocabulary", 1, 3, "|"),
)


def evil_description(folder: Path) -> Description:
    """A log whose every name tries to be markup."""
    data = written(
        folder, planted_log(weighted=True), weight="w", categorical=EVIL_FEATURES, dense=(DenseFeature(EVIL + "d"),)
    )
    return dataclasses.replace(describe_data(data, lambda rows: None), source=EVIL)


class PageTest(tf.test.TestCase):
    """The file."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        with tempfile.TemporaryDirectory() as folder:
            cls.description = evil_description(Path(folder))

    def _text(self, description: Description, name: str = "clicks") -> str:
        """The page without Bokeh's own code."""
        path = Path(self.get_temp_dir()) / "page.html"
        write_description(description, path, name=name)
        return path.read_text().replace(Resources(mode="inline", components=["bokeh"]).render_js(), "")

    def test_text_stays_text_and_the_page_is_whole(self) -> None:
        text = self._text(self.description, EVIL)
        self.assertNotIn("<script>alert", text)
        self.assertGreaterEqual(text.count("&lt;script&gt;alert(1)&lt;/script&gt;"), 7)
        documents = text.split('id="documents">')[1].split("</script>")[0]
        self.assertNotIn("<", documents)
        self.assertNotIn("$$", documents)  # Bokeh would typeset it
        self.assertEmpty(re.findall(r"(?:src|href)=\"(?!#|data:)", text))
        self.assertLen(re.findall(r'class="plot', text), 3)
        train = self.description.splits["train"]
        zipf = self.description.categorical[0].zipf
        assert zipf is not None and train.weighted_ctr is not None
        for part in (
            f"{train.ctr:.4f}", f"{train.weighted_ctr:.4f}", "6,000", f"{zipf.exponent:.4f} ± ", "Unix seconds",
            "V = 1/64", self.description.data_hash, "≤ ",
        ):  # fmt: skip
            self.assertIn(part, text)

    def test_same_input_same_bytes(self) -> None:
        self.assertEqual(self._text(self.description), self._text(self.description))

    def test_a_log_without_time_dense_features_and_known_ids(self) -> None:
        feature = dataclasses.replace(self.description.categorical[0], curve=(), zipf=None, distinct=0)
        text = self._text(dataclasses.replace(self.description, time_bins=None, dense=(), categorical=(feature,)))
        self.assertIn("the schema names no time column", text)
        self.assertIn("No training row has an id", text)
        self.assertNotIn("Dense features", text)

    def test_findings_tell_a_test_split_unlike_the_training_split(self) -> None:
        train, test = Rate(1000, 100, 0.1, 0.08, 0.12, None), Rate(1000, 200, 0.2, 0.18, 0.22, None)
        user, tags = self.description.categorical
        user = dataclasses.replace(user, name="user", unseen=0.25)
        tags = dataclasses.replace(tags, name="tags", no_own_id={"train": 0.1, "validation": 0.1, "test": 0.3})
        rates = {"train": train, "validation": train, "test": test}
        described = dataclasses.replace(self.description, splits=rates, categorical=(user, tags))
        first, second, third = findings(described)
        self.assertIn("test split is 0.2000, that of the training split 0.1000", first)
        self.assertIn("user: 25.0% of the test rows hold an id unseen in training", second)
        self.assertIn("tags: 30.0% of the test rows are missing, rare or unseen (id 0), of the training rows 10", third)
        self.assertIn("keeps 0.1 of its negatives", findings(dataclasses.replace(described, negative_rate=0.1))[0])
        alike = dict.fromkeys(rates, train)
        few = (dataclasses.replace(user, unseen=0.04),)
        self.assertEmpty(findings(dataclasses.replace(described, splits=alike, categorical=few)))


class FiguresTest(tf.test.TestCase):
    """What is drawn."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        with tempfile.TemporaryDirectory() as folder:
            cls.description = evil_description(Path(folder))

    def test_every_bin_is_drawn_at_its_rate(self) -> None:
        bins = self.description.time_bins
        assert bins is not None
        plot = time_figure(bins, 0.5)
        marks = [r.data_source.data for r in plot.renderers if isinstance(r.glyph, Scatter)]
        for drawn, of_split in zip(marks, bins.values(), strict=True):
            self.assertEqual(drawn["ctr"], [each.rate.ctr for each in of_split])
            self.assertEqual(drawn["x"], [(each.first + each.last) * 500 for each in of_split])
            self.assertIn(f"{of_split[0].rate.weighted_ctr:.4f}", drawn["weighted"][0])
        self.assertStartsWith(marks[0]["first"][0], "2020-09-13 12:2")

    def test_law_and_counts_have_the_same_sum(self) -> None:
        tags = self.description.categorical[1]
        plot = curve_figure(tags)
        marks, law = (renderer.data_source.data for renderer in plot.renderers)
        self.assertEqual(list(zip(marks["rank"], marks["count"], strict=True)), list(tags.curve))
        self.assertLen(tags.curve, tags.distinct)  # so few ids that none is thinned out
        self.assertAllClose(sum(law["y"]), tags.occurrences, rtol=1e-9)
        assert tags.zipf is not None
        self.assertAllClose(law["y"][0] / law["y"][1], 2**tags.zipf.exponent, rtol=1e-9)

    def test_units_of_time(self) -> None:
        second = 1_357_017_300
        for unit, size in (("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9)):
            self.assertEqual(unix_unit(second * size, (second + 10**6) * size), unit)
        for first, last in ((0, 10**6), (20130101, 20131231), (2013010100, 2013123123), (5, second), (-3, -2)):
            self.assertIsNone(unix_unit(first, last))


class BrowserTest(browser.PageTestCase):
    """The page, opened."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.path = Path(folder.name) / "page.html"
        write_description(evil_description(Path(folder.name)), cls.path, name=EVIL)

    def test_no_error_no_request_and_every_figure_drawn(self) -> None:
        self.open(1400, "light")
        errors = [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        self.assertEqual(errors, [])
        requests = [entry["message"] for entry in self.driver.get_log("performance")]
        self.assertEmpty([m for m in requests if re.search(r'requestWillBeSent".*"url":"(http|ws|ftp)', m)])
        self.assertEqual(self.script("return document.querySelector('h1').textContent"), EVIL)
        self.assertEqual(self.script(browser.INK_PIXELS.format(part="canvas")), 3)

    def test_nothing_is_wider_than_a_phone_and_dark_figures_are_dark(self) -> None:
        self.open(390, "dark")
        self.assertLessEqual(self.script("return document.documentElement.scrollWidth"), 390)
        backs = self.script("return [...roots.values()].map((r) => r.background_fill_color)")
        self.assertEqual({str(back) for back in backs}, {"#181b21"})


if __name__ == "__main__":
    tf.test.main()
