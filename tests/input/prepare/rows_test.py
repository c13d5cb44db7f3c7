"""Cells into typed rows, against values written by hand; and every kind of bad cell is located."""

# mypy: allow-untyped-calls
# (absl has no types)

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from absl.testing import parameterized

from tests.helpers import reference
from tfrs_scaling.input.logs.values.cells import Cells, Rejected
from tfrs_scaling.input.prepare.rows import ParsedRows, RowParser, Rows
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema

SCHEMA = Schema(
    label="label",
    dense=(DenseFeature("age"), DenseFeature("gain", negative="reject"), DenseFeature("z", "standardize", "reject")),
    categorical=(
        CategoricalFeature("user", 10),
        CategoricalFeature("tags", 10, "vocabulary", max_values=3, separator="|"),
        CategoricalFeature("site", 10, "hash"),
        CategoricalFeature("ad", 10, "id"),
    ),
    time="ts",
    missing=("", "NA"),
)
GOOD = {
    "label": "1",
    "age": "30.5",
    "gain": "2",
    "z": "-1",
    "user": "ann",
    "tags": "a|b",
    "site": "x",
    "ad": "7",
    "ts": "100",
}


def _cells(rows: Sequence[dict[str, Any]], first_line: int = 2, number: int = 0, schema: Schema = SCHEMA) -> Cells:
    batch = pa.record_batch({
        name: pa.array([r[name] if isinstance(r[name], bytes) else r[name].encode() for r in rows], pa.binary())
        for name in schema.columns
    })  # fmt: skip
    return Cells("log.csv", number, np.arange(len(rows)) + first_line - 2, batch, [], first=2)


def _hashes(*values: str | None) -> list[int]:
    return [reference.hash_of(None if value is None else value.encode()) for value in values]


class RowParserTest(parameterized.TestCase, tf.test.TestCase):
    """Blocks of cells into rows."""

    def test_good_rows(self) -> None:
        parsed = RowParser(SCHEMA).parse(
            _cells([
                GOOD,
                GOOD | {"label": "0", "age": "", "gain": "NA", "z": "1e3", "user": "bob", "tags": "b", "ts": "-5"},
                GOOD | {"age": "-3", "user": "", "tags": "", "ad": "2147483647"},
                GOOD | {"user": "ann", "tags": "c||a", "ad": "0", "ts": str(2**40)},
            ])
        )  # fmt: skip
        rows = parsed.rows
        self.assertAllEqual(rows.label, [1, 0, 1, 1])
        self.assertEqual(rows.label.dtype, np.uint8)
        nan = np.nan
        np.testing.assert_array_equal(rows.dense, [[30.5, 2, -1], [nan, nan, 1000], [-3, 2, -1], [30.5, 2, -1]])
        self.assertEqual(rows.codes.dtype, np.uint64)
        self.assertEqual(rows.codes[:, 0].tolist(), _hashes("ann", "bob", None, "ann"))
        tags: list[list[str | None]] = [["a", "b"], ["b"], [None], ["c", None, "a"]]
        for codes, values in zip(rows.codes[:, 1:4].tolist(), tags, strict=True):
            self.assertEqual(codes, (_hashes(*values) + [2**64 - 1] * 2)[:3])
        self.assertEqual(rows.codes[:, 4].tolist(), [_hashes("x")[0] % 2**31] * 4)
        self.assertEqual(rows.codes[:, 5].tolist(), [7, 7, 2**31 - 1, 0])
        assert rows.time is not None
        self.assertAllEqual(rows.time, [100, -5, 100, 2**40])
        self.assertIsNone(rows.weight)
        self.assertEmpty(parsed.rejected)
        self.assertEqual(parsed.missing, {"age": 1, "gain": 1, "z": 0, "user": 1, "tags": 2, "site": 0, "ad": 0})

    def test_missing_is_a_value_of_its_own_where_values_are_hashed(self) -> None:
        sites = RowParser(SCHEMA).parse(_cells([GOOD | {"site": site} for site in ("", "NA", "None", "nan")])).rows
        first, second, *others = sites.codes[:, 4].tolist()
        self.assertEqual(first, second)
        self.assertLen({first, *others}, 3)

    def test_positions_are_those_of_the_well_formed_rows_in_their_file(self) -> None:
        rows = RowParser(SCHEMA).parse(_cells([GOOD, GOOD | {"label": "x"}, GOOD, GOOD], 1000, number=3)).rows
        self.assertEqual(rows.position.dtype, np.int64)
        self.assertEqual(rows.position.tolist(), [3 * 2**40 + ordinal for ordinal in (998, 1000, 1001)])

    def test_nothing_is_kept_from_block_to_block(self) -> None:
        parser = RowParser(SCHEMA)
        blocks = [_cells([GOOD | {"user": name} for name in names]) for names in (("c", "a", "c"), ("b", "a", "NA"))]
        together = [parser.parse(block).rows.codes.tolist() for block in blocks]
        self.assertEqual(together, [RowParser(SCHEMA).parse(block).rows.codes.tolist() for block in blocks])
        self.assertEqual(parser.parse(blocks[1]).missing["user"], 1)

    @parameterized.named_parameters(
        ("label_2", "label", "2", "the label is neither 0 nor 1"),
        ("label_negative", "label", "-1", "the label is neither 0 nor 1"),
        ("label_blank", "label", "", "the label is neither 0 nor 1"),
        ("label_rating", "label", "3.5", "the label is neither 0 nor 1"),
        ("label_missing_token", "label", "NA", "the label is neither 0 nor 1"),
        ("dense_text", "age", "old", "not a finite number"),
        ("dense_blank_within", "age", "1 2", "not a finite number"),
        ("dense_decimal_comma", "age", "1,5", "not a finite number"),
        ("dense_nan", "age", "nan", "not a finite number"),
        ("dense_inf", "age", "inf", "not a finite number"),
        ("dense_minus_infinity", "z", "-Infinity", "not a finite number"),
        ("dense_overflow", "age", "1e400", "not a finite number"),
        ("dense_float32_overflow", "z", "-1e39", "not a finite number within float32"),
        ("dense_negative", "gain", "-0.5", "not a finite number within float32 from 0 up"),
        ("time_text", "ts", "noon", "the time is neither a number nor a date"),
        ("time_blank", "ts", "", "the time is neither a number nor a date"),
        ("time_no_day", "ts", "2020-02-30", "the time is neither a number nor a date"),
        ("time_no_hour", "ts", "2020-02-03 25:00", "the time is neither a number nor a date"),
        ("time_huge", "ts", str(2**63), "the time is neither a number nor a date"),
        ("id_negative", "ad", "-1", "the id is not an integer from 0 to 2147483647"),
        ("id_too_large", "ad", str(2**31), "the id is not an integer from 0 to 2147483647"),
        ("id_far_too_large", "ad", "9" * 30, "the id is not an integer from 0 to 2147483647"),
        ("id_text", "ad", "x7", "the id is not an integer from 0 to 2147483647"),
        ("id_blank", "ad", "", "the id is not an integer from 0 to 2147483647"),
        ("too_many_values", "tags", "a|b|c|d", "more than 3 values"),
        ("not_utf8", "user", b"ann\xff", "not UTF-8 text"),
        ("not_utf8_hash", "site", b"\xc3", "not UTF-8 text"),
        ("not_utf8_label", "label", b"1\x80", "the label is neither 0 nor 1"),
        ("nul", "user", "a\0", "a NUL inside a value"),
        ("nul_alone", "site", "\0", "a NUL inside a value"),
        ("nul_in_number", "age", "1\0", "not a finite number"),
    )
    def test_bad_cell_is_located(self, column: str, value: str | bytes, why: str) -> None:
        rows: list[dict[str, Any]] = [GOOD, GOOD, {**GOOD, column: value}, {**GOOD, "user": "zoe"}]
        parsed = RowParser(SCHEMA).parse(_cells(rows, first_line=41))
        shown = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        (rejected,) = parsed.rejected
        self.assertEqual(
            (rejected.file, rejected.line, rejected.column, rejected.value), ("log.csv", 43, column, shown)
        )
        message = str(rejected)
        self.assertStartsWith(message, f"log.csv, line 43, column {column!r}: ")
        self.assertIn(why, message)
        self.assertEndsWith(message, f"got {shown[:80]!r}")
        self.assertEqual(parsed.rows.codes[:, 0].tolist(), _hashes("ann", "ann", "zoe"))

    def test_decimal_commas(self) -> None:
        schema = dataclasses.replace(SCHEMA, dense=(DenseFeature("age", decimal_comma=True), *SCHEMA.dense[1:]))
        ages = ("1,5", ",25", "-3", "1e2", "1.5", "1.234,5", "1,2,3")
        parsed = RowParser(schema).parse(_cells([GOOD | {"age": age} for age in ages], schema=schema))
        self.assertAllEqual(parsed.rows.dense[:, 0], [1.5, 0.25, -3, 100])
        self.assertEqual([row.value for row in parsed.rejected], list(ages[4:]))

    @parameterized.parameters(
        ("age", "1,5", '"decimal_comma": true in the schema'),
        ("label", "", "if no label means no click, write 0 there"),
        ("user", b"K\xf6ln", "give --encoding, such as cp1252"),
        ("ts", str(1_700_000_000_000), "write all times in one unit"),
    )
    def test_what_to_do_about_a_bad_cell(self, column: str, value: str | bytes, advice: str) -> None:
        good = {**GOOD, "ts": "1700000000"}
        (rejected,) = RowParser(SCHEMA).parse(_cells([good, {**good, column: value}, good])).rejected
        self.assertEqual(rejected.line, 3)
        self.assertIn(advice, rejected.advice)

    def test_row_with_several_bad_cells_is_rejected_once(self) -> None:
        parsed = RowParser(SCHEMA).parse(_cells([GOOD | {"label": "x", "age": "x", "ad": "x", "user": b"\xff"}]))
        self.assertEqual([row.column for row in parsed.rejected], ["label"])
        self.assertEmpty(parsed.rows.label)
        self.assertEqual(parsed.rows.codes.shape, (0, 6))

    def test_malformed_rows_come_in_the_order_of_the_log(self) -> None:
        cells = _cells([GOOD | {"ts": "x"}, GOOD, GOOD | {"label": "x"}, GOOD | {"user": "a\0"}, GOOD | {"age": "x"}])
        shorter = [Rejected("log.csv", line, "", "1,2", "2 columns instead of 9") for line in (30, 1, 7)]
        parsed = RowParser(SCHEMA).parse(dataclasses.replace(cells, malformed=shorter))
        self.assertEqual(
            [(row.line, row.column) for row in parsed.rejected],
            [(1, ""), (2, "ts"), (4, "label"), (5, "user"), (6, "age"), (7, ""), (30, "")],
        )

    def test_rejected_row_leaves_no_trace(self) -> None:
        parsed = RowParser(SCHEMA).parse(
            _cells([
                GOOD | {"user": "", "tags": "|a", "age": "", "label": "2"},
                GOOD | {"user": "NA", "tags": "a|b|c|d", "age": "NA"},
                GOOD | {"user": "bob", "tags": "b", "z": ""},
            ])
        )  # fmt: skip
        self.assertEqual(parsed.missing, {"age": 0, "gain": 0, "z": 1, "user": 0, "tags": 0, "site": 0, "ad": 0})
        self.assertEqual(parsed.rows.codes[:, :2].tolist(), [_hashes("bob", "b")])

    def test_bad_cells_at_random_are_found_one_by_one(self) -> None:
        rng = np.random.default_rng(3)
        texts = [str(n) for n in rng.normal(size=1000)]
        bad = sorted(rng.choice(1000, 50, replace=False).tolist())
        for i in bad:
            texts[i] = "x"
        parsed = RowParser(SCHEMA).parse(_cells([GOOD | {"age": text} for text in texts], first_line=0))
        self.assertEqual([row.line for row in parsed.rejected], bad)
        self.assertAllEqual(parsed.rows.dense[:, 0], [float(text) for text in texts if text != "x"])

    def test_criteo_cells(self) -> None:
        hexadecimal = CategoricalFeature("C1", 10, "hash", hexadecimal=True)
        schema = Schema("label", (hexadecimal,), (DenseFeature("I1", integer=True),))

        def parse(label: str, integer: str, category: str) -> ParsedRows:
            columns = {"label": label, "I1": integer, "C1": category}
            batch = pa.record_batch({name: pa.array([value.encode()]) for name, value in columns.items()})
            return RowParser(schema).parse(Cells("day", 0, np.array([8]), batch, []))

        self.assertAllEqual(parse("1", "-3", "68fd1e64").rows.dense, [[-3.0]])
        self.assertTrue(np.isnan(parse("0", "", "").rows.dense[0, 0]))
        self.assertEqual(parse("1", "-3", "68fd1e64").rows.codes.tolist(), [[_hashes("68fd1e64")[0] % 2**31]])
        for integer, category, column in (
            ("1.5", "ff", "I1"),
            ("x", "ff", "I1"),
            ("9" * 20, "ff", "I1"),
            ("1", "68fd1e6g", "C1"),
            ("1", "68fd1e640", "C1"),
            ("1", "-1", "C1"),
            ("1", "0x1f", "C1"),
        ):
            (rejected,) = parse("1", integer, category).rejected
            self.assertStartsWith(str(rejected), f"day, line 9, column '{column}': not a")

    def test_negative_rule_is_log1ps_alone(self) -> None:
        # "z" is standardized and says negative="reject": its negative values are as good as any.
        rows = RowParser(SCHEMA).parse(_cells([GOOD | {"z": "-5", "age": "-5"}])).rows
        self.assertAllEqual(rows.dense[:, [0, 2]], [[-5.0, -5.0]])

    def test_weights(self) -> None:
        schema = dataclasses.replace(SCHEMA, weight="w")
        texts = ["0", "1", "2.5", "1e-3", "-0.1", "", "NA", "x", "nan", "inf", "1e39", "-0"]
        cells = _cells([GOOD | {"w": text} for text in texts], schema=schema)
        parsed = RowParser(schema).parse(cells)
        assert parsed.rows.weight is not None
        self.assertEqual(parsed.rows.weight.tolist(), [0.0, 1.0, 2.5, 0.001, 0.0])  # 1e39 is beyond float32
        self.assertEqual([row.value for row in parsed.rejected], texts[4:-1])
        self.assertIn("column 'w': the weight is not a finite number within float32 from 0 up", str(parsed.rejected[0]))

    @parameterized.parameters(
        (4.0, ["5", "4", "4.0", "3.9999", "-1", "0", "1e9"], [1, 1, 1, 0, 0, 0, 1]),
        (-0.5, ["-1", "-0.5", "0"], [0, 1, 1]),
    )
    def test_label_of_at_least(self, at_least: float, texts: list[str], labels: list[int]) -> None:
        schema = dataclasses.replace(SCHEMA, label_at_least=at_least)
        bad = ["", "NA", "x", "nan", "inf"]
        parsed = RowParser(schema).parse(_cells([GOOD | {"label": t} for t in texts + bad]))
        self.assertAllEqual(parsed.rows.label, labels)
        self.assertEqual([row.value for row in parsed.rejected], bad)
        self.assertIn("column 'label': the label is not a finite number", str(parsed.rejected[0]))


class RowsTest(tf.test.TestCase):
    """Blocks of rows put together and picked from."""

    def test_concatenate_and_take(self) -> None:
        def block(first: int, count: int) -> Rows:
            n = np.arange(first, first + count)
            label, dense, codes = (n % 2).astype(np.uint8), n[:, None] / 2, n[:, None].astype(np.uint64)
            return Rows(n + 7, label, dense, codes, time=n * 10, click_probability=n / 100)

        rows = Rows.concatenate([block(0, 3), block(3, 0), block(3, 4)])
        self.assertAllEqual(rows.codes[:, 0], range(7))
        taken = rows.take(np.array([5, 0, 5]))
        self.assertAllEqual(taken.position, [12, 7, 12])
        self.assertAllEqual(taken.label, [1, 0, 1])
        self.assertAllEqual(taken.dense, [[2.5], [0.0], [2.5]])
        assert taken.time is not None and taken.click_probability is not None
        self.assertAllEqual(taken.time, [50, 0, 50])
        self.assertAllEqual(taken.click_probability, [0.05, 0.0, 0.05])
        self.assertIsNone(taken.weight)
        self.assertEqual([*taken.columns()], ["position", "label", "dense", "codes", "time", "click_probability"])
        self.assertAllEqual(rows.take(rows.label == 1).position, [8, 10, 12])


if __name__ == "__main__":
    tf.test.main()
