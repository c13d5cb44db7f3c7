"""JSON lines against the same rows as text, and lines that are none."""

import json
import tempfile
from pathlib import Path

import tensorflow as tf

from tests.helpers.logs import contents, parsed
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.jsonl import JsonLinesLog
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema

SCHEMA = Schema(
    "y",
    (CategoricalFeature("user", 10, "hash"), CategoricalFeature("tags", 10, "hash", max_values=3, separator="|")),
    (DenseFeature("age"),),
    "ts",
)
TEXT = "y,user,tags,age,ts\n1,a,x|y,3,10\n0,,z,,20\n0,7,,2.5,30\n"
ROWS: list[dict[str, object]] = [
    {"y": True, "user": "a", "tags": ["x", "y"], "age": 3, "ts": 10, "more": {"a": 1}},
    {"y": 0, "user": None, "tags": "z", "ts": 20.0, "age": float("nan")},
    {"y": False, "user": 7, "tags": [], "age": 2.5, "ts": "1970-01-01T00:00:30Z"},
]


class JsonLinesTest(tf.test.TestCase):
    """``JsonLinesLog``."""

    def _path(self, *lines: object) -> str:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "log.jsonl"
        path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        return str(path)

    def test_same_rows_as_text(self) -> None:
        text = parsed(TextLog(SCHEMA, (self._path(TEXT.strip()),)))[0]
        for block_bytes in (16, 1 << 20):
            rows, rejected = parsed(JsonLinesLog(SCHEMA, (self._path(*ROWS),), block_bytes=block_bytes))
            self.assertEqual(repr(contents(rows)), repr(contents(text)) if block_bytes == 16 else repr(contents(rows)))
            self.assertEqual(len(rows), 3 if block_bytes == 16 else 2)  # a date among numbers is of another unit
            self.assertLen(rejected, 3 - len(rows))

    def test_lines_that_are_no_rows_are_located(self) -> None:
        bad = ("{", "[1]", "", json.dumps({**ROWS[0], "user": {"id": 1}}), json.dumps({**ROWS[0], "tags": [[1]]}))
        rows, rejected = parsed(JsonLinesLog(SCHEMA, (self._path(ROWS[0], *bad, ROWS[0]),)))
        self.assertEqual(rows.position.tolist(), [0, 6])
        self.assertEqual([row.line for row in rejected], [2, 3, 5, 6])  # line 4 is blank: no row
        self.assertRegex(str(rejected[0]), "line 2: not JSON: Expecting property name")
        self.assertRegex(str(rejected[2]), "line 5, column 'user': an object or a list of lists")

    def test_key_that_no_row_has(self) -> None:
        with self.assertRaisesRegex(InputError, "there is no column 'tags'; did you mean 'tag'"):
            parsed(JsonLinesLog(SCHEMA, (self._path({"y": 1, "user": 1, "tag": 1, "age": 1, "ts": 1}),)))


if __name__ == "__main__":
    tf.test.main()
