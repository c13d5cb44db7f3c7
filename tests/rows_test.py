"""Cells into typed rows, against values written by hand; and every kind of bad cell is located."""

# mypy: allow-untyped-calls
# (absl has no types)

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from absl.testing import parameterized

from tfrs_scaling.input.formats import Cells, Rejects
from tfrs_scaling.input.rows import RowParser, Rows, Vocabulary, hash_ids
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.validated import InputError

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

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


def _cells(rows: Sequence[dict[str, Any]], first_line: int = 2) -> Cells:
    columns = {
        name: pa.array([r[name] if isinstance(r[name], bytes) else r[name].encode() for r in rows], pa.binary())
        for name in SCHEMA.columns
    }
    return Cells("log.csv", np.arange(first_line, first_line + len(rows)), columns, [])


class RowParserTest(parameterized.TestCase, tf.test.TestCase):
    """Blocks of cells into rows."""

    def test_good_rows(self) -> None:
        parser = RowParser(SCHEMA, Rejects())
        rows = parser.parse(
            _cells([
                GOOD,
                GOOD | {"label": "0", "age": "", "gain": "NA", "z": "1e3", "user": "bob", "tags": "b", "ts": "-5"},
                GOOD | {"age": "-3", "user": "", "tags": "", "ad": "2147483647"},
                GOOD | {"user": "ann", "tags": "c||a", "ad": "0", "ts": str(2**40)},
            ])
        )  # fmt: skip
        self.assertAllEqual(rows.label, [1, 0, 1, 1])
        self.assertEqual(rows.label.dtype, np.uint8)
        nan = np.nan
        np.testing.assert_array_equal(rows.dense, [[30.5, 2, -1], [nan, nan, 1000], [-3, 2, -1], [30.5, 2, -1]])
        self.assertEqual(rows.ids.dtype, np.int32)
        self.assertAllEqual(rows.ids[:, 0], [0, 1, 2, 0])
        # Tags in order of appearance: a, b, missing, c.
        self.assertAllEqual(rows.ids[:, 1:4], [[0, 1, -1], [1, -1, -1], [2, -1, -1], [3, 2, 0]])
        self.assertAllEqual(rows.ids[:, 5], [7, 7, 2**31 - 1, 0])
        assert rows.time is not None
        self.assertAllEqual(rows.time, [100, -5, 100, 2**40])
        self.assertEqual(list(parser.vocabularies["user"].codes), ["ann", "bob", None])
        self.assertEqual(list(parser.vocabularies["tags"].codes), ["a", "b", None, "c"])
        self.assertEqual(set(parser.vocabularies), {"user", "tags"})

    def test_codes_go_on_over_blocks(self) -> None:
        parser = RowParser(SCHEMA, Rejects())
        first = parser.parse(_cells([GOOD | {"user": name} for name in ("c", "a", "c")]))
        second = parser.parse(_cells([GOOD | {"user": name} for name in ("b", "a", "NA", "c")]))
        self.assertAllEqual(first.ids[:, 0], [0, 1, 0])
        self.assertAllEqual(second.ids[:, 0], [2, 1, 3, 0])

    @parameterized.named_parameters(
        ("label_2", "label", "2", "the label is neither 0 nor 1"),
        ("label_negative", "label", "-1", "the label is neither 0 nor 1"),
        ("label_blank", "label", "", "the label is neither 0 nor 1"),
        ("label_float", "label", "1.0", "the label is neither 0 nor 1"),
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
        ("time_text", "ts", "noon", "the time is not an integer"),
        ("time_blank", "ts", "", "the time is not an integer"),
        ("time_fraction", "ts", "1.5", "the time is not an integer"),
        ("time_huge", "ts", str(2**63), "the time is not an integer"),
        ("id_negative", "ad", "-1", "the id is not an integer from 0 to 2147483647"),
        ("id_too_large", "ad", str(2**31), "the id is not an integer from 0 to 2147483647"),
        ("id_far_too_large", "ad", "9" * 30, "the id is not an integer from 0 to 2147483647"),
        ("id_text", "ad", "x7", "the id is not an integer from 0 to 2147483647"),
        ("id_blank", "ad", "", "the id is not an integer from 0 to 2147483647"),
        ("too_many_values", "tags", "a|b|c|d", "more than 3 values"),
        ("not_utf8", "user", b"ann\xff", "not UTF-8 text"),
        ("not_utf8_hash", "site", b"\xc3", "not UTF-8 text"),
        ("not_utf8_label", "label", b"1\x80", "not UTF-8 text"),
        ("nul", "user", "a\0", "a NUL inside a value"),
        ("nul_alone", "site", "\0", "a NUL inside a value"),
        ("nul_in_number", "age", "1\0", "a NUL inside a value"),
    )
    def test_bad_cell_is_located(self, column: str, value: str | bytes, why: str) -> None:
        rows: list[dict[str, Any]] = [GOOD, GOOD, {**GOOD, column: value}, {**GOOD, "user": "zoe"}]
        with self.assertRaises(InputError) as caught:
            RowParser(SCHEMA, Rejects()).parse(_cells(rows, first_line=41))
        shown = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        message = str(caught.exception)
        self.assertStartsWith(message, f"log.csv, line 43, column {column!r}: ")
        self.assertIn(why, message)
        self.assertIn(f"got {shown[:80]!r}; mend the row", message)

        rejects = Rejects(1)
        parsed = RowParser(SCHEMA, rejects).parse(_cells(rows, first_line=41))
        self.assertLen(parsed.label, 3)
        self.assertEqual([(r.file, r.line, r.column, r.value) for r in rejects.rows], [("log.csv", 43, column, shown)])
        self.assertAllEqual(parsed.ids[:, 0], [0, 0, 1])

    def test_rejects_count_over_blocks_and_the_next_one_raises(self) -> None:
        rejects = Rejects(2)
        parser = RowParser(SCHEMA, rejects)
        self.assertLen(parser.parse(_cells([GOOD, GOOD | {"label": "x"}], 2)).label, 1)
        self.assertLen(parser.parse(_cells([GOOD | {"ad": "x"}, GOOD], 4)).label, 1)
        with self.assertRaisesRegex(InputError, "line 7, column 'ts'.*one more malformed row than the 2 allowed"):
            parser.parse(_cells([GOOD, GOOD | {"ts": "x"}, GOOD], 6))
        self.assertEqual([row.line for row in rejects.rows], [3, 4])

    def test_row_with_several_bad_cells_is_rejected_once(self) -> None:
        rejects = Rejects(5)
        rows = RowParser(SCHEMA, rejects).parse(_cells([GOOD | {"label": "x", "age": "x", "ad": "x", "user": b"\xff"}]))
        self.assertLen(rejects.rows, 1)
        self.assertEmpty(rows.label)
        self.assertEqual(rows.ids.shape, (0, 6))

    def test_rejected_row_leaves_no_trace_in_the_vocabularies(self) -> None:
        parser = RowParser(SCHEMA, Rejects(2))
        rows = parser.parse(
            _cells([
                GOOD | {"user": "ghost", "tags": "ghost|a", "label": "2"},
                GOOD | {"user": "ghost2", "tags": "a|b|c|ghost"},
                GOOD | {"user": "bob", "tags": "b"},
            ])
        )  # fmt: skip
        self.assertEqual(list(parser.vocabularies["user"].codes), ["bob"])
        self.assertEqual(list(parser.vocabularies["tags"].codes), ["b"])
        self.assertAllEqual(rows.ids[:, :4], [[0, 0, -1, -1]])

    def test_bad_cells_at_random_are_found_one_by_one(self) -> None:
        rng = np.random.default_rng(3)
        texts = [str(n) for n in rng.normal(size=1000)]
        bad = sorted(rng.choice(1000, 50, replace=False).tolist())
        for i in bad:
            texts[i] = "x"
        rejects = Rejects(50)
        rows = RowParser(SCHEMA, rejects).parse(_cells([GOOD | {"age": text} for text in texts], first_line=0))
        self.assertEqual([row.line for row in rejects.rows], bad)
        self.assertAllEqual(rows.dense[:, 0], [float(text) for text in texts if text != "x"])

    def test_criteo_cells(self) -> None:
        schema = Schema("label", (CategoricalFeature("C1", 10, "hash"),), (DenseFeature("I1"),))

        def parse(label: str, integer: str, category: str, allowed: int = 0) -> Rows:
            columns = {"label": label, "I1": integer, "C1": category}
            cells = Cells("day", np.array([9]), {k: pa.array([v.encode()]) for k, v in columns.items()}, [])
            return RowParser(schema, Rejects(allowed), integer_dense=True, hexadecimal=True).parse(cells)

        self.assertAllEqual(parse("1", "-3", "68fd1e64").dense, [[-3.0]])
        self.assertTrue(np.isnan(parse("0", "", "").dense[0, 0]))
        for integer, category, column in (
            ("1.5", "ff", "I1"),
            ("x", "ff", "I1"),
            ("9" * 20, "ff", "I1"),
            ("1", "68fd1e6g", "C1"),
            ("1", "68fd1e640", "C1"),
            ("1", "-1", "C1"),
            ("1", "0x1f", "C1"),
        ):
            with self.assertRaisesRegex(InputError, f"^day, line 9, column '{column}': not a"):
                parse("1", integer, category)

    def test_negative_rule_is_log1ps_alone(self) -> None:
        # "z" is standardized and says negative="reject": its negative values are as good as any.
        rows = RowParser(SCHEMA, Rejects()).parse(_cells([GOOD | {"z": "-5", "age": "-5"}]))
        self.assertAllEqual(rows.dense[:, [0, 2]], [[-5.0, -5.0]])


class IdsTest(tf.test.TestCase):
    """Vocabulary codes and hashes."""

    def test_hashes_are_pinned(self) -> None:
        # These values are in every hashed data set that was ever prepared: they must not change.
        self.assertAllEqual(hash_ids(pa.array(["68fd1e64", "ann", None])), [2068251328, 1509682378, 958669961])

    def test_hashes_lie_in_31_bits_and_depend_on_the_text_alone(self) -> None:
        texts = [f"value-{i}" for i in range(20_000)]
        hashed = hash_ids(pa.array(texts))
        self.assertEqual(hashed.dtype, np.int32)
        self.assertGreaterEqual(hashed.min(), 0)
        self.assertGreater(hashed.max(), 2**30)
        reversed_in_parts = np.concatenate([hash_ids(pa.array(part[::-1]))[::-1] for part in (texts[:7], texts[7:])])
        self.assertAllEqual(reversed_in_parts, hashed)
        self.assertGreater(len(set(hashed.tolist())), 19_990)  # the birthday bound expects 0.09 collisions
        counts = np.bincount(hashed % 16, minlength=16)  # 16 table rows; chi-square with 15 degrees of freedom
        self.assertLess(((counts - 1250) ** 2 / 1250).sum(), 44.3)  # its 0.9999 quantile

    def test_missing_is_a_value_of_its_own(self) -> None:
        hashed = hash_ids(pa.array(["", None, "None", "nan"]))
        self.assertLen(set(hashed.tolist()), 4)

    def test_nothing(self) -> None:
        self.assertEmpty(hash_ids(pa.array([], pa.string())))
        self.assertEmpty(Vocabulary().encode(pa.array([], pa.string())))


class RowsTest(tf.test.TestCase):
    """Blocks of rows put together and picked from."""

    def test_concatenate_and_take(self) -> None:
        def block(first: int, count: int) -> Rows:
            n = np.arange(first, first + count)
            return Rows((n % 2).astype(np.uint8), n[:, None] / 2, n[:, None].astype(np.int32), n * 10, n / 100)

        rows = Rows.concatenate([block(0, 3), block(3, 0), block(3, 4)])
        self.assertAllEqual(rows.ids[:, 0], range(7))
        taken = rows.take(np.array([5, 0, 5]))
        self.assertAllEqual(taken.label, [1, 0, 1])
        self.assertAllEqual(taken.dense, [[2.5], [0.0], [2.5]])
        assert taken.time is not None and taken.click_probability is not None
        self.assertAllEqual(taken.time, [50, 0, 50])
        self.assertAllEqual(taken.click_probability, [0.05, 0.0, 0.05])
        self.assertIsNone(Rows(rows.label, rows.dense, rows.ids).take(np.array([1])).time)


if __name__ == "__main__":
    tf.test.main()
