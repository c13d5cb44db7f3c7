"""Tests of the figures as files: as many as there are, whole, and the same for the same study."""

import re
import shutil
import struct
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any
from unittest import mock

import tensorflow as tf

from tests.helpers.planted import planted_study
from tests.helpers.planted_answers import answers, study_fits
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.fit.report.images import headless_browser, write_images, write_pdf
from tfrs_scaling.fit.report.report import write_report
from tfrs_scaling.fit.study import fit_study


class ImagesTest(tf.test.TestCase):
    """Files, and what is said where there can be none."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        runs = planted_study(schemes="V").query("learning_rate == 0.02 and multiplier <= 1")
        laws = fit_study(runs).lines
        cls.runs, cls.fits = runs, study_fits(lines=laws, zones=answers().zones[:1])

    def images(self, suffix: Any) -> list[Path]:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        return write_images(self.runs, self.fits, folder / "figures", suffix=suffix)

    def test_every_figure_has_a_file(self) -> None:
        try:
            files = {suffix: self.images(suffix) for suffix in ("png", "svg")}
        except InputError as error:
            self.skipTest(str(error))
        names = {path.stem for path in files["png"]}
        self.assertContainsSubset({"figure-all-data", "figure-V-parameters-regrouped", "figure-zone-V-H"}, names)
        self.assertEqual(names, {path.stem for path in files["svg"]})
        for path in files["png"]:
            head = path.read_bytes()[:24]
            self.assertEqual(head[:8], b"\x89PNG\r\n\x1a\n")
            self.assertEqual(struct.unpack(">I", head[16:20])[0], 3 * 640)
        drawing = next(path for path in files["svg"] if path.stem == "figure-V-data").read_text()
        nodes = list(ElementTree.fromstring(drawing).iter())  # noqa: S314
        texts = [node.text for node in nodes if node.tag.endswith("text")]
        self.assertContainsSubset({"training examples", "1/4×", "frontier"}, set(texts))
        glyphs = [float(node.get("height", "")) for node in nodes if node.tag.endswith("image")]  # of the legend
        self.assertNotEmpty(glyphs)
        self.assertLessEqual(max(glyphs), 20.0)

    def test_a_printed_report_has_few_pages_with_drawings(self) -> None:
        folder = Path(self.get_temp_dir())
        write_report(self.runs, self.fits, folder / "report.html")
        try:
            write_pdf(folder / "report.html", folder / "report.pdf")
        except InputError as error:
            self.skipTest(str(error))
        content = (folder / "report.pdf").read_bytes()
        self.assertStartsWith(content, b"%PDF-")
        self.assertBetween(len(re.findall(rb"/Type /Page\b", content)), 1, 6)

    def test_what_is_missing_is_said(self) -> None:
        nothing = mock.patch.object(shutil, "which", return_value=None)
        with nothing, self.assertRaisesRegex(InputError, "chromium and chromedriver.*apt install"), headless_browser():
            pass
        unfound = mock.patch("importlib.util.find_spec", return_value=None)
        with unfound, self.assertRaisesRegex(InputError, r"need selenium: pip install 'tfrs_scaling\[images\]'"):
            write_images(self.runs, self.fits, "nowhere", suffix="svg")


if __name__ == "__main__":
    tf.test.main()
