"""The formats by name, and what each needs."""

import tempfile
from pathlib import Path

import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.criteo import criteo
from tfrs_scaling.input.logs.formats import FORMATS, TextOptions, open_log
from tfrs_scaling.input.logs.jsonl import JsonLinesLog
from tfrs_scaling.input.logs.parquet import ParquetLog
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.schema import CategoricalFeature, Schema

SCHEMA = Schema("y", (CategoricalFeature("c", 3),))


class FormatsTest(tf.test.TestCase):
    """``open_log``."""

    def setUp(self) -> None:
        super().setUp()
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        self.files = (str(folder / "b"), str(folder / "a"))
        for file in self.files:
            Path(file).write_bytes(b"")

    def test_logs_of_the_formats(self) -> None:
        files = self.files
        text = TextOptions(r"\t", ("y", "c"), "cp1252")
        self.assertEqual(
            open_log("csv", files, SCHEMA, text), TextLog(SCHEMA, files, "\t", ("y", "c"), encoding="cp1252")
        )
        self.assertEqual(open_log("csv", files, SCHEMA, TextOptions("tab")), TextLog(SCHEMA, files, "\t"))
        encoded = TextOptions(encoding="utf-16")
        self.assertEqual(open_log("jsonl", files, SCHEMA, encoded), JsonLinesLog(SCHEMA, files, "utf-16"))
        self.assertEqual(open_log("parquet", files, SCHEMA), ParquetLog(SCHEMA, files))
        log = open_log("criteo", files, None)
        self.assertEqual((log.schema, log.files), (criteo(), files))
        self.assertEqual(open_log("criteo", files, SCHEMA).schema, SCHEMA)

    def test_what_a_format_lacks_or_does_not_take_is_said(self) -> None:
        for name in FORMATS:
            if FORMATS[name].schema is None:
                with self.assertRaisesRegex(InputError, f"prepare {name} needs --schema FILE"):
                    open_log(name, self.files, None)
            if name != "csv":
                for text in (TextOptions(","), TextOptions(columns=("y", "c"))):
                    with self.assertRaisesRegex(InputError, f"--(separator|columns) applies to csv only, not .*{name}"):
                        open_log(name, self.files, SCHEMA, text)
        with self.assertRaisesRegex(InputError, "--encoding applies to csv and jsonl only, not to parquet"):
            open_log("parquet", self.files, SCHEMA, TextOptions(encoding="utf-16"))
        with self.assertRaisesRegex(InputError, "'ab' is not a single ASCII character"):
            open_log("csv", self.files, SCHEMA, TextOptions("ab"))


if __name__ == "__main__":
    tf.test.main()
