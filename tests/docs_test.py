"""The site shows every public function, and files that exist."""

import re

import tensorflow as tf

import tfrs_scaling.fit
from tests.helpers.studies import REPOSITORY

DOCS = REPOSITORY / "docs"


class DocsTest(tf.test.TestCase):
    def test_reference_has_every_public_name_of_fit_where_it_is_defined(self) -> None:
        shown = re.findall(r"^::: ([\w.]+)\.(\w+)$", (DOCS / "reference" / "fit.md").read_text(), re.MULTILINE)
        self.assertCountEqual([name for _, name in shown], tfrs_scaling.fit.__all__)
        for module, name in shown:
            public = getattr(tfrs_scaling.fit, name)
            self.assertEqual(getattr(public, "__module__", module), module, name)

    def test_pages_show_files_of_the_repository(self) -> None:
        for page in DOCS.glob("*.md"):
            (file,) = re.findall(r'^--8<-- "(.+)"$', page.read_text(), re.MULTILINE)
            self.assertTrue((REPOSITORY / file).is_file(), file)


if __name__ == "__main__":
    tf.test.main()
