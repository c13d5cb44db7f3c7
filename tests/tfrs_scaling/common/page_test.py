"""Tests of the frame of every page."""

import json
from pathlib import Path

import jinja2
import tensorflow as tf
from bokeh.plotting import figure

from tfrs_scaling.common.page import embedded, render_page, script_safe

EVIL = '</script><script>alert(1)</script> & "quoted" \u2028 🎯'


class PageTest(tf.test.TestCase):
    """Templates, styles and scripts of files; text that stays text."""

    def setUp(self) -> None:
        super().setUp()
        self.template = Path(self.get_temp_dir()) / "page.html.j2"
        self.template.write_text('{% extends "common/page.html.j2" %}{% block body %}<p>{{ text }}</p>{% endblock %}')

    def test_text_is_escaped_and_the_files_beside_the_template_are_used(self) -> None:
        self.template.with_name("page.css").write_text("p > b { color: red }\n")
        page = render_page(self.template, {}, name=EVIL, kind="test", text=EVIL)
        self.assertNotIn("<script>alert", page)
        self.assertEqual(page.count("&lt;script&gt;alert(1)"), 2)  # title and text
        self.assertIn("p > b { color: red }", page)

    def test_a_forgotten_value_is_an_error(self) -> None:
        with self.assertRaises(jinja2.UndefinedError):
            render_page(self.template, {}, name="n", kind="test")

    def test_no_text_ends_a_script(self) -> None:
        written = script_safe({"text": EVIL})
        self.assertNoCommonElements("<>&", written)
        self.assertEqual(json.loads(written), {"text": EVIL})

    def test_same_figures_same_text(self) -> None:
        def drawn() -> str:
            plot = figure()
            plot.scatter([1, 2], [3, 4])
            return str(embedded({"place": plot}))

        self.assertEqual(drawn(), drawn())


if __name__ == "__main__":
    tf.test.main()
