"""First lines that are headers, and what to do about those that are not."""

import tempfile
from pathlib import Path

import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.files import file_kind
from tfrs_scaling.input.logs.header import text_columns
from tfrs_scaling.input.logs.infer import infer
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.logs.values.cells import read
from tfrs_scaling.input.schema import CategoricalFeature, Schema

SCHEMA = Schema("click", (CategoricalFeature("user", 10),))


class HeaderTest(parameterized.TestCase, tf.test.TestCase):
    """``read_header``, through ``TextLog`` and ``infer``."""

    def _file(self, content: bytes) -> Path:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "log.csv"
        path.write_bytes(content)
        return path

    @parameterized.named_parameters(
        ("spreadsheet", b"sep=;\r\nclick;user\r\n1;a\r\n", "the line is for spreadsheets alone: delete it"),
        ("comment", b"# made by a job\nclick,user\n1,a\n", "delete what is above it, as with tail"),
        ("frame", b"+-------+------+\n| click | user |\n", "delete what is above it, as with tail"),
        ("libsvm", b"1 3:0.5 7:1\n0 2:1 9:1\n", "is it LIBSVM or LIBFFM?"),
        ("utf_16_without_mark", "click,user\n1,a\n".encode("utf-16-le"), "such as utf-16-le"),
    )
    def test_line_that_is_no_header(self, content: bytes, message: str) -> None:
        path = self._file(content)
        with self.assertRaisesRegex(InputError, message):
            infer(path)
        with self.assertRaisesRegex(InputError, message):
            [*read(TextLog(SCHEMA, (str(path),)))]

    @parameterized.parameters("ORCID", "PAR1")
    def test_name_that_begins_like_another_format(self, name: str) -> None:
        path = str(self._file(f"{name},click\na,1\n".encode()))
        self.assertEqual((file_kind(path), text_columns(path)), ("csv", [name, "click"]))


if __name__ == "__main__":
    tf.test.main()
