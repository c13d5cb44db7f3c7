"""The formats by name, and what each needs."""

import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.criteo import criteo
from tfrs_scaling.input.logs.formats import FORMATS, open_log
from tfrs_scaling.input.logs.parquet import ParquetLog
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.schema import CategoricalFeature, Schema

SCHEMA = Schema("y", (CategoricalFeature("c", 3),))


class FormatsTest(tf.test.TestCase):
    """``open_log``."""

    def test_logs_of_the_formats(self) -> None:
        files = ("a", "b")
        self.assertEqual(open_log("csv", files, SCHEMA, ";"), TextLog(SCHEMA, files, ";"))
        self.assertEqual(open_log("parquet", files, SCHEMA, None), ParquetLog(SCHEMA, files))
        log = open_log("criteo", files, None, None)
        self.assertEqual((log.schema, log.files), (criteo(), files))
        self.assertEqual(open_log("criteo", files, SCHEMA, None).schema, SCHEMA)

    def test_what_a_format_lacks_or_does_not_take_is_said(self) -> None:
        for name in FORMATS:
            if FORMATS[name].schema is None:
                with self.assertRaisesRegex(InputError, f"prepare {name} needs --schema FILE"):
                    open_log(name, ("a",), None, None)
            if name != "csv":
                with self.assertRaisesRegex(InputError, f"--separator applies to csv only, not to {name}"):
                    open_log(name, ("a",), SCHEMA, ",")
        with self.assertRaisesRegex(InputError, "'ab' is not a single ASCII character"):
            open_log("csv", ("a",), SCHEMA, "ab")


if __name__ == "__main__":
    tf.test.main()
