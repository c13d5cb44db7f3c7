"""Tests of numbers, durations and lists in words."""

import math

import tensorflow as tf

from tfrs_scaling.common.words import (
    FLOPS,
    compact,
    duration,
    five_digits,
    gib,
    human,
    interval,
    listed,
    number,
    plural,
    share,
    signed,
)


class WordsTest(tf.test.TestCase):
    """What people read."""

    def test_counts(self) -> None:
        cases = ((950, "950"), (1000, "1k"), (9999.9, "10k"), (1.28e6, "1.28M"), (5e9, "5B"), (2.5e12, "2.5T"))
        for value, text in cases:
            self.assertEqual(human(value), text)
        self.assertEqual([human(v, FLOPS) for v in (5e9, 3e15, 1.28e21)], ["5G", "3P", "1.28Z"])
        self.assertEqual([plural(count, "row") for count in (0, 1, 1000)], ["0 rows", "1 row", "1,000 rows"])

    def test_numbers(self) -> None:
        cases = ((None, "–"), (0.25, "0.2500"), (-0.25, "−0.2500"), (16.0, "16"), (1234.5, "1,234"), (1e-9, "1e−09"))
        for value, text in cases:
            self.assertEqual(number(value), text)
        self.assertEqual([compact(value) for value in (None, 0.25, 9999.0, 2e6)], ["–", "0.2500", "9,999", "2M"])

    def test_numbers_to_five_digits(self) -> None:
        known = {149160.3: "149,160", 0.303841: "0.30384", 3e15: "3e+15", math.nan: "–", -0.0: "0"}
        for value, text in known.items():
            self.assertEqual(five_digits(value), text)

    def test_changes_have_a_sign_unless_they_round_to_zero(self) -> None:
        self.assertEqual([signed(v) for v in (None, 0.01, -0.01, 1e-6)], ["–", "+0.0100", "−0.0100", "0.0000"])
        self.assertEqual([signed(v, 5) for v in (1e-5, -4e-6)], ["+0.00001", "0.00000"])

    def test_shares_round_to_all_or_nothing_only_where_they_are(self) -> None:
        texts = [share(value) for value in (None, 0.0, 0.0004, 0.0006, 0.123, 0.9996, 1.0)]
        self.assertEqual(texts, ["–", "0%", "<0.1%", "0.1%", "12.3%", ">99.9%", "100%"])

    def test_intervals(self) -> None:
        self.assertEqual(interval(None, None), "")
        self.assertEqual(interval(None, 2e6), "open to 2M")
        self.assertEqual(interval(0.5, None, "{:.1f}".format, unbounded="∞"), "0.5 to ∞")

    def test_durations_use_the_largest_unit_of_which_there_are_two(self) -> None:
        cases = ((0.0, "0 s"), (5.25, "5.2 s"), (119.0, "119 s"), (120.0, "2.0 min"), (7200.0, "2.0 h"),
                 (3 * 86400.0, "3.0 days"), (2 * 365 * 86400.0, "2.0 years"))  # fmt: skip
        for seconds, text in cases:
            self.assertEqual(duration(seconds), text)

    def test_memory(self) -> None:
        self.assertEqual([gib(size) for size in (0, 2**29, 1.25 * 2**40)], ["0.0 GiB", "0.5 GiB", "1280.0 GiB"])

    def test_lists(self) -> None:
        self.assertEqual([listed(parts) for parts in ("", "a", "ab", "abc")], ["", "a", "a and b", "a, b and c"])


if __name__ == "__main__":
    tf.test.main()
