"""Lists in cells, however they are written."""

# mypy: allow-untyped-calls
# (absl has no types)

import json

import numpy as np
import pyarrow as pa
import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.input.logs.values.lists import split_lists


def _split(cell: str, separator: str) -> list[str | None]:
    (values,) = split_lists(pa.array([cell.encode()], pa.binary()), separator).to_pylist()
    return [None if value is None else value.decode() for value in values]


class ListsTest(parameterized.TestCase, tf.test.TestCase):
    """``split_lists``."""

    @parameterized.parameters(
        ("3^14^7", "^"), ("3^14^7^", "^"), ("3,14,7", ","), ("3, 14, 7", ","), ("3, 14, 7", ", "), ("3,14,7,", ","),
        ("[3, 14, 7]", ","), ("(3, 14, 7,)", ","), ("{3, 14, 7}", ","), ("['3', '14', '7']", ","), ("3 14 7 ", " "),
        ('["3","14","7"]', ","), ("[3 14 7]", " "), ("[ 3 14\n  7]", " "), ("['3' '14' '7']", " "),
        ("3||14||7||", "||"), ("3 | 14 |7", "|"), ("|3|14|7|", "|"), (" | 3 | 14 | 7 | ", "|"), ("3; 14; 7", ";"),
        ("3 ^14^7", "^"), ("3 | 14 | 7", " | "), ("array([3, 14, 7])", ","),
        ("array(['3', '14', '7'], dtype=object)", ","), ("3\x0214\x027", "\x02"),
        ("[np.int64(3), np.int64(14), np.int64(7)]", ","), ("[np.str_('3'), np.str_('14'), np.str_('7')]", ","),
        ("frozenset({3, 14, 7})", ","), ("tensor([3, 14, 7], device='cuda:0')", ","), ("WrappedArray(3, 14, 7)", ","),
        ("Index(['3', '14', '7'], dtype='object', name='x')", ","), ("[Decimal('3'), Decimal('14'), Decimal(7)]", ","),
    )  # fmt: skip
    def test_same_three_values(self, cell: str, separator: str) -> None:
        self.assertEqual(_split(cell, separator), ["3", "14", "7"])

    @parameterized.parameters(
        ("[]", ",", [None]), ("[ ]", " ", [None]), ("", ",", [""]), ("|", "|", [""]), ("[None, 2]", ",", [None, "2"]),
        ("a||b", "|", ["a", "", "b"]), ('["a, b", "c"]', ",", ["a, b", "c"]), (r"['it\'s', nan]", ",", ["it's", None]),
        ("[x]|[y]", "|", ["[x]", "[y]"]), ('["caf\\u00e9", null, true]', ",", ["café", None, "true"]),
        ("b", ",", ["b"]), ("set()", ",", [None]), ("['Seven (1995)', 'Set(1)']", ",", ["Seven (1995)", "Set(1)"]),
    )  # fmt: skip
    def test_values_by_hand(self, cell: str, separator: str, expected: list[str | None]) -> None:
        self.assertEqual(_split(cell, separator), expected)

    def test_random_lists_of_python_and_json(self) -> None:
        rng = np.random.default_rng(0)
        texts = ["a", "b c", "d, e", "é", 'say "x"', "12"]
        lists = [rng.choice(texts, rng.integers(1, 5)).tolist() for _ in range(300)]
        for write in (repr, json.dumps):
            cells = pa.array([write(values).encode() for values in lists], pa.binary())
            expected = [[value.encode() for value in values] for values in lists]
            self.assertEqual(split_lists(cells, ",").to_pylist(), expected)


if __name__ == "__main__":
    tf.test.main()
