"""Records of ``tf.train.Example`` against the same log as text, and what is wrong with them."""

# mypy: allow-untyped-calls
# (absl has no types)

import dataclasses
import gzip
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl.testing import parameterized
from click.testing import CliRunner

from tests.helpers.logs import contents, parsed, sent
from tfrs_scaling.cli.main import main
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.formats import open_log
from tfrs_scaling.input.logs.infer import infer
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.logs.tfrecord import TFRecordLog
from tfrs_scaling.input.logs.values.cells import read
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.shards import ClickData

SCHEMA = Schema(
    "y",
    (CategoricalFeature("user", 10, "hash"), CategoricalFeature("tags", 10, "hash", max_values=3, separator="|")),
    (DenseFeature("age"),),
    "ts",
)
TEXT = "y,user,tags,age,ts\n1,a,x|y,3.1,10\n0,,z,,20\n0,7,,2.5,30\n"
# The same; the second and third record lack values in every way there is.
RECORDS: list[dict[str, Any]] = [
    {"y": [1], "user": [b"a"], "tags": [b"x", b"y"], "age": [3.1], "ts": [10], "unused": [b"\xff"]},
    {"y": [0], "user": [], "tags": [b"z"], "ts": [20]},
    {"y": [0], "user": [b"7"], "tags": None, "age": [2.5], "ts": [30]},
]


def _feature(values: Sequence[Any] | None) -> tf.train.Feature:
    """A feature; of no values without a list where they are None, and with one of integers where there are none."""
    if values is None:
        return tf.train.Feature()
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values and isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _serialized(record: dict[str, Any] | bytes) -> bytes:
    if isinstance(record, bytes):
        return record
    features = {name: _feature(values) for name, values in record.items()}
    example = tf.train.Example(features=tf.train.Features(feature=features))
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


class TFRecordTest(parameterized.TestCase, tf.test.TestCase):
    def _path(self, records: Sequence[dict[str, Any] | bytes], name: str = "log.tfrecord") -> Path:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / name
        with tf.io.TFRecordWriter(str(path), "GZIP" if name.endswith(".gz") else "") as writer:
            for record in records:
                writer.write(_serialized(record))
        return path

    def _log(self, records: Sequence[dict[str, Any] | bytes], schema: Schema = SCHEMA, **options: str) -> TFRecordLog:
        return TFRecordLog(schema, (str(self._path(records, **options)),))

    def _rejected(self, *records: dict[str, Any] | bytes) -> list[str]:
        """What is said of the records after the first three, which are well-formed."""
        rows, rejected = parsed(self._log([*RECORDS, *records]))
        self.assertLen(rows, 3 + len(records) - len(rejected))
        return [str(row).partition("log.tfrecord, ")[2] for row in rejected]

    @parameterized.parameters("log.tfrecord", "log.tfrecord.gz")
    def test_same_rows_as_text(self, name: str) -> None:
        rows, rejected = parsed(self._log(RECORDS, name=name))
        self.assertEmpty(rejected)
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "log.csv"
        path.write_text(TEXT)
        text, _ = parsed(TextLog(SCHEMA, (str(path),)))
        self.assertEqual(repr(contents(rows)), repr(contents(text)))  # NaN is not NaN

    def test_numbers_as_categories(self) -> None:
        schema = Schema("y", (CategoricalFeature("n", 10, "id"), CategoricalFeature("f", 10, "id")))
        rows, _ = parsed(self._log([{"y": [1.0], "n": [2**31 - 1], "f": [7.0]}], schema))
        self.assertAllEqual(rows.codes, [[2**31 - 1, 7]])

    def test_several_values_in_a_feature_of_one(self) -> None:
        well, why = RECORDS[0], "2 values in a feature of one; see max_values in the schema"
        self.assertEqual(
            self._rejected({**well, "user": [b"a", b"\xffb"]}, well, {**well, "y": [1, 0], "ts": [1, 2]}),
            [
                f"record 4, column 'user': {why}, got 'a, \\\\xffb'",
                f"record 6, column 'y': {why}, got '1, 0'",
            ],
        )

    def test_more_values_than_the_schema_has_slots(self) -> None:
        (said,) = self._rejected({**RECORDS[0], "tags": [b"a"] * 4})
        self.assertEqual(said, "record 4, column 'tags': more than 3 values, got 'a|a|a|a'")

    def test_another_kind_than_in_other_records(self) -> None:
        well = RECORDS[0]
        why = "where the first record that has the feature holds"
        self.assertEqual(
            self._rejected({**well, "user": [5]}, {**well, "y": [b"1"]}, {**well, "unused": [1.5]}),
            [
                f"record 4, column 'user': holds integers, {why} bytes, got '5'",
                f"record 5, column 'y': holds bytes, {why} integers, got \"b'1'\"",
            ],
        )

    def test_what_is_no_example(self) -> None:
        self.assertEqual(
            self._rejected(b"garbage bytes", b"\xff\xff", b""),
            [
                "record 4: not a tf.train.Example, got 'garbage bytes'",
                "record 5: not a tf.train.Example, got '\\\\xff\\\\xff'",
                "record 6, column 'y': the label is neither 0 nor 1, got ''",  # an empty record is an Example
            ],
        )

    def test_a_file_of_garbage_records(self) -> None:
        rows, rejected = parsed(self._log([b"garbage bytes"] * 5))
        self.assertEmpty(rows.label)
        self.assertEqual([row.line for row in rejected], [1, 2, 3, 4, 5])

    def test_values_that_are_no_values_are_located(self) -> None:
        well = RECORDS[0]
        self.assertEqual(
            self._rejected({**well, "y": [2]}, {**well, "age": [float("inf")]}, {**well, "user": [b"\xff"]}),
            [
                "record 4, column 'y': the label is neither 0 nor 1, got '2'",
                "record 5, column 'age': not a finite number within float32, got 'inf'",
                "record 6, column 'user': not UTF-8 text, or a NUL inside a value, got '\\\\xff'",
            ],
        )

    def test_feature_that_no_record_has(self) -> None:
        records = [{name: values for name, values in record.items() if name != "age"} for record in RECORDS]
        with self.assertRaisesRegex(InputError, r"log\.tfrecord: there is no column 'age'; did you mean 'aged'"):
            parsed(self._log([*records, {"y": [1], "aged": [1.0]}]))

    def test_feature_that_only_a_late_record_has(self) -> None:
        records = [{"y": [0], "user": [b"u"], "tags": [], "ts": [1]}] * 1000
        log = self._log([*records, {**records[0], "age": [4.5]}])
        rows, rejected = parsed(dataclasses.replace(log, block_bytes=2000))
        self.assertEmpty(rejected)
        self.assertEqual(rows.dense[-1, 0], 4.5)

    def test_feature_that_is_empty_in_every_record(self) -> None:
        rows, rejected = parsed(self._log([{**record, "user": [], "tags": []} for record in RECORDS]))
        self.assertEmpty(rejected)
        self.assertLen(rows, 3)
        self.assertLen(set(rows.codes[:, 0]), 1)

    def test_value_that_holds_the_separator(self) -> None:
        with self.assertRaisesRegex(InputError, r"log\.tfrecord, column 'tags': a value holds the separator '\|'"):
            parsed(self._log([{**RECORDS[0], "tags": [b"x|y"]}]))

    def test_file_without_records(self) -> None:
        self.assertEmpty(list(read(self._log([]))))

    def test_what_is_corrupt_is_located(self) -> None:
        path = self._path(RECORDS * 200)
        whole = path.read_bytes()
        for content, record in (
            (whole[: len(whole) // 2 + 5], "301"),
            (whole[:-1], "600"),
            (whole[:200] + b"X" + whole[201:], "3"),
            (b"y,user\n1,a\n", "1"),
        ):
            path.write_bytes(content)
            with self.assertRaisesRegex(InputError, rf"log\.tfrecord, record {record}: corrupt or truncated, or"):
                parsed(TFRecordLog(SCHEMA, (str(path),)))
        packed = path.with_name("log.gz")
        zipped = gzip.compress(whole, mtime=0)
        for content in (zipped[:cut] for cut in range(200, len(zipped), 18)):
            packed.write_bytes(content)
            with self.assertRaisesRegex(InputError, r"log\.gz, record [0-9]+: corrupt or truncated"):
                parsed(TFRecordLog(SCHEMA, (str(packed),)))
        with self.assertRaisesRegex(InputError, "none: cannot be read: No such file"):
            parsed(TFRecordLog(SCHEMA, (str(path.with_name("none")),)))

    def test_rows_do_not_depend_on_blocks_or_processes(self) -> None:
        bad: list[dict[str, Any] | bytes] = [{**RECORDS[0], "ts": [b"5"]}, b"garbage", {**RECORDS[0], "y": [1, 1]}]
        log = self._log([*RECORDS, *bad] * 300)
        rows, rejected = parsed(log)
        self.assertLen(rejected, 900)
        cut = dataclasses.replace(log, block_bytes=1)
        self.assertLen(list(read(cut)), 15)  # of 128 records or less, as many as are read at a time
        small, small_rejected = parsed(sent(cut))
        self.assertEqual(repr(contents(small)), repr(contents(rows)))
        self.assertEqual(small_rejected, rejected)

    def test_schema_is_inferred(self) -> None:
        path = self._path(
            [{**record, "y": [i % 2], "ts": [i]} for i, record in enumerate(RECORDS * 30)], "a.tfrecords.gz"
        )
        guess = infer(path)
        schema = Schema.from_dict(json.loads(guess.text), "schema")
        self.assertEqual((schema.label, schema.time), ("y", "ts"))
        self.assertEqual({c.name: c.taken_as for c in guess.columns}["tags"], "multi-hot")
        self.assertEqual([f.max_values for f in schema.categorical if f.name == "tags"], [2])
        _, rejected = parsed(TFRecordLog(schema, (str(path),)))
        self.assertEmpty(rejected)

    def test_prepare_by_command(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        files = [str(self._path([{**r, "ts": [i]} for i, r in enumerate(RECORDS * 100)], f"{k}.gz")) for k in range(2)]
        schema = folder / "schema.json"
        schema.write_text(json.dumps(SCHEMA.to_dict()))
        command = ["prepare", "tfrecord", *files, str(folder / "data"), "--schema", str(schema)]
        result = CliRunner().invoke(main, command, catch_exceptions=False)
        self.assertEqual(result.exit_code, 0, result.output)
        manifest = ClickData.open(folder / "data").manifest
        self.assertEqual(sum(split.rows for split in manifest.splits.values()), 600)
        self.assertEqual(manifest.missing, {"age": 200, "user": 200, "tags": 200})
        self.assertEqual([source.file for source in manifest.sources], ["0.gz", "1.gz"])
        result = CliRunner().invoke(main, command[:-2], catch_exceptions=False)
        self.assertIn("prepare tfrecord needs --schema FILE", result.output)

    def test_open_log(self) -> None:
        files = (str(self._path(RECORDS)),)
        self.assertEqual(open_log("tfrecord", files, SCHEMA), TFRecordLog(SCHEMA, files))


if __name__ == "__main__":
    tf.test.main()
