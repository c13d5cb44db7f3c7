"""Tests of which columns of a file are taken for a curve."""

import tensorflow as tf

from tfrs_scaling.fit.curves.columns import chosen_columns, numbers_and_names
from tfrs_scaling.fit.curves.records import Columns
from tfrs_scaling.fit.runs.table_file import TableFile


def file_of(**columns: list[str]) -> TableFile:
    return TableFile("mine.csv", columns, len(next(iter(columns.values()))))


TWO = file_of(loss=["3", "2.5", "2.2"], steps=["10", "100", "1000"])
FOUR = file_of(model=["a", "b"], params=["1", "2"], tokens=["5", "6"], loss=["3", "2"])


class ColumnsTest(tf.test.TestCase):
    def test_of_two_the_loss_is_the_one_named_so(self) -> None:
        self.assertEqual(chosen_columns(TWO, {}), Columns(x="steps", y="loss"))
        for name in ("val_loss", "test_ne", "error", "Perplexity", "cross entropy", "trainLoss"):
            file = file_of(**{"epoch": ["1", "2", "10"], name: ["0.5", "0.1", "0.001"]})
            self.assertEqual(chosen_columns(file, {}), Columns(x="epoch", y=name))

    def test_of_two_without_such_a_name_the_resource_spans_more(self) -> None:
        file = file_of(quality=["5", "3", "2"], tokens=["0", "10", "10000"])
        self.assertEqual(chosen_columns(file, {}), Columns(x="tokens", y="quality"))
        for names in (("epoch", "value"), ("one_loss", "other_loss")):
            unclear = file_of(**dict(zip(names, (["1", "2", "10"], ["0.5", "0.1", "0.01"]), strict=True)))
            with self.assertRaisesRegex(ValueError, "mine.csv: neither the names nor .* --x COLUMN .* --y COLUMN"):
                chosen_columns(unclear, {})

    def test_named_columns_are_taken(self) -> None:
        given = {"x": "tokens", "y": "loss", "group": "model"}
        self.assertEqual(chosen_columns(FOUR, given), Columns(**given))
        plane = {"y": "loss", "n": "params", "d": "tokens"}
        self.assertEqual(chosen_columns(FOUR, plane), Columns(**plane))

    def test_what_is_missing_is_said_with_what_there_is(self) -> None:
        there = "Numeric columns: params, tokens and loss; others: model"
        for given, message in (
            ({}, rf"mine.csv: name the columns of the curve: --x COLUMN .* {there}"),
            ({"x": "tokens"}, rf"name the columns of the curve.* {there}"),
            ({"x": "token", "y": "loss"}, rf"--x token: there is no such column; did you mean 'tokens'\? {there}"),
            ({"x": "tokens", "y": "loss", "n": "params"}, "takes --n, --d and --y"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                chosen_columns(FOUR, given)

    def test_what_keeps_a_file_from_being_a_curve_is_named(self) -> None:
        for file, message in (
            (file_of(tokens=["10", "20"], loss=["5.00%", "4.1%"]), "row 1, column loss: '5.00%' is not a number"),
            (file_of(tokens=["1,000", "20"], loss=["5", "4"]), "row 1, column tokens: '1,000' is not a number"),
            (file_of(**{"tokens loss": ["10 3"]}), "there is one column, 'tokens loss'; separate columns by commas"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                chosen_columns(file, {})

    def test_a_header_alone_is_no_curve(self) -> None:
        with self.assertRaisesRegex(ValueError, "a header and no rows"):
            chosen_columns(file_of(x=[], y=[]), {})

    def test_a_column_may_be_a_number_and_a_name(self) -> None:
        frame = numbers_and_names(FOUR, Columns(x="tokens", y="loss", group="params"))
        self.assertEqual(frame["params"].tolist(), ["1", "2"])
        frame = numbers_and_names(FOUR, Columns(x="tokens", y="loss", group="params", n="params", d="tokens"))
        self.assertEqual(frame["params"].tolist(), [1.0, 2.0])


if __name__ == "__main__":
    tf.test.main()
