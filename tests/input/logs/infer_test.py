"""Guessed schemas against logs whose columns are known."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from absl.testing import parameterized

from tests.helpers.logs import parsed
from tests.helpers.studies import CONFIGS, REPOSITORY
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.infer import infer
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.schema import Schema

COUNT = 2000


def _log() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "is_ad": rng.integers(0, 2, COUNT),  # as good a label, but for its name
            "click": rng.integers(0, 2, COUNT),
            "event_time": 1_700_000_000 + np.arange(COUNT) * 7,
            "views": np.floor(rng.pareto(0.8, COUNT) * 3).astype(int),  # a heavy tail
            "height": rng.normal(170, 10, COUNT).round(1),
            "change": rng.normal(0, 1, COUNT).round(3),
            "user": rng.permutation(np.arange(1, COUNT + 1)),  # numbered in turn
            "campaign_id": rng.choice(10**9, COUNT),
            "weekday": rng.integers(0, 7, COUNT),
            "city": rng.choice(["Ulm", "Bonn", "NA"], COUNT),
            "tags": rng.choice(["a|b", "b|c|d", "a", "d"], COUNT),
            "note": ["a|" + str(i) for i in range(COUNT)],  # as many parts as values: no list
            "always": "x",
        }
    )


class InferTest(parameterized.TestCase, tf.test.TestCase):
    """``infer``."""

    def _written(self, log: pd.DataFrame, suffix: str) -> Path:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / f"log{suffix}"
        if suffix == ".parquet":
            log.to_parquet(path)
        else:
            log.to_csv(path, index=False)
        return path

    def _schema(self, path: Path, label: str | None = None) -> tuple[Schema, dict[str, Any]]:
        guess = infer(path, label)
        (path.parent / "schema.json").write_text(guess.text)
        return Schema.read(path.parent / "schema.json"), {c.name: c.taken_as for c in guess.columns}

    @parameterized.parameters(".csv", ".csv.gz", ".parquet")
    def test_columns_are_taken_for_what_they_are(self, suffix: str) -> None:
        log = _log()
        schema, taken = self._schema(self._written(log, suffix))
        self.assertEqual(schema.label, "click")
        self.assertEqual(schema.time, "event_time")
        self.assertEqual(
            [(f.name, f.transform) for f in schema.dense],
            [("views", "log1p"), ("height", "standardize"), ("change", "standardize")],
        )
        by_name = {f.name: f for f in schema.categorical}
        self.assertEqual(
            list(by_name), ["is_ad", "user", "campaign_id", "weekday", "city", "tags", "note"], msg=str(taken)
        )
        self.assertEqual((by_name["tags"].max_values, by_name["tags"].separator), (3, "|"))
        self.assertEqual(by_name["tags"].cardinality, 4 + 1)
        self.assertIsNone(by_name["note"].separator)
        for name in ("user", "weekday", "note"):
            self.assertEqual(by_name[name].cardinality, log[name].nunique() + 1)
        self.assertEqual(by_name["city"].cardinality, 2 + 1)  # NA is a missing value
        self.assertIn("NA", schema.missing)
        self.assertEqual(taken["always"], "left out")

    def test_rows_passed_over_are_counted(self) -> None:
        path = self._written(_log()[["click", "user"]], ".csv")
        with path.open("a") as file:
            file.write("1\n0,5,6\n")
        guess = infer(path)
        self.assertEqual(guess.columns[0].rows, COUNT)
        self.assertRegex(guess.notes[0], r"2 malformed rows skipped, the first in .*line 2002 \(1 col")

    def test_lists_in_parquet_are_multi_hot(self) -> None:
        log = _log()[["click", "tags", "city"]]
        log["tags"] = log["tags"].str.split("|", regex=False)
        schema, _ = self._schema(self._written(log, ".parquet"))
        self.assertEqual(schema.categorical[0].max_values, 3)

    def test_given_label_wins_and_has_to_be_one(self) -> None:
        path = self._written(_log(), ".csv")
        self.assertEqual(self._schema(path, "is_ad")[0].label, "is_ad")
        with self.assertRaisesRegex(InputError, r"log\.csv, column 'weekday': a label is 0 or 1 in every row.*0, 1, 2"):
            infer(path, "weekday")
        with self.assertRaisesRegex(InputError, r"there is no column 'clik'; it has is_ad, click"):
            infer(path, "clik")

    @parameterized.parameters(
        ("a,b\n2,3\n", "no column holds only 0 and 1"),
        ("a,b\n", "no rows"),
        ("", "no header line"),
        ("a\n1\n0\n", "a label and at least one feature"),
        ("a,b,a\n1,2,3\n", "the column 'a' appears twice"),
        ("a,b\r1,2\r", "line 1: not a header line: a carriage return without a line feed; .* convert the file: tr"),
        ("click user\n1 a\n0 b\n", "the columns are .*; is the separator ' '. Give it with --separator ' '"),
        ("click::user\n1::a\n0::b\n", "the columns are .*; is the separator '::'. Replace it by a tab: sed"),
    )
    def test_what_has_no_schema_says_why(self, text: str, message: str) -> None:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "log.csv"
        path.write_text(text)
        with self.assertRaisesRegex(InputError, message):
            infer(path)

    def _notes(self, log: pd.DataFrame, label: str | None = None) -> tuple[dict[str, Any], str]:
        guess = infer(self._written(log, ".csv"), label)
        return json.loads(guess.text), "\n".join(guess.notes)

    def test_label_without_a_usual_name_has_to_be_named(self) -> None:
        log = _log().rename(columns={"click": "seen"})
        with self.assertRaisesRegex(InputError, "give --label NAME. 'is_ad' and 'seen' hold 0 and 1 alone"):
            infer(self._written(log, ".csv"))
        self.assertEqual(self._notes(log, "seen")[0]["label"], "seen")

    def test_what_alone_tells_the_label_is_left_out(self) -> None:
        log = _log()[["click", "height", "weekday", "city"]].rename(columns={"click": "isClicked"})
        rng = np.random.default_rng(0)
        log["dwell"] = np.where(log["isClicked"] == 1, rng.exponential(9, COUNT) + 1e-3, 0).round(3)
        log["click_id"] = [f"c{i}" if clicked else None for i, clicked in enumerate(log["isClicked"])]
        log["position"] = np.where(rng.random(COUNT) < 0.2, 1 - log["isClicked"], log["isClicked"])  # AUC 0.8
        schema, notes = self._notes(log)
        names = [feature["name"] for feature in schema["dense"] + schema["categorical"]]
        self.assertEqual(names, ["height", "weekday", "city", "position"])
        for name in ("dwell", "click_id"):
            self.assertRegex(notes, f"warning: {name} alone tells the label .AUC (1.000|0.99.)., .*it is left out")

    def test_row_numbers_names_that_are_none_and_doubled_rows(self) -> None:
        log = _log()[["click", "weekday", "height"]]
        log.insert(0, "number", range(1, COUNT + 1))
        schema, notes = self._notes(log)
        self.assertIn("number: numbers the rows, so it is left out", notes)
        self.assertIn("no column of times found, so prepare will split at random", notes)
        self.assertEqual([f["name"] for f in schema["categorical"]], ["weekday"])
        log = pd.concat([log.drop(columns="number").rename(columns={"weekday": ""})] * 2)
        log["city"] = "Ulm"
        log["user"] = ["u1", "u2"] * COUNT
        _, notes = self._notes(log)
        self.assertIn("line 1: column 2 has no name, so it is left out", notes)
        self.assertRegex(notes, r"\d\d\.\d% of the rows repeat another")

    def test_lists_have_the_same_ids_however_written(self) -> None:
        rng = np.random.default_rng(1)
        lists = [rng.choice(31, rng.integers(4), replace=False).tolist() for _ in range(400)]
        for write in (
            str,
            lambda v: ", ".join(map(str, v)),
            lambda v: "^".join(map(str, v)),
            lambda v: str(np.array(v)),
        ):
            log = pd.DataFrame({"click": rng.integers(0, 2, 400), "user": ["a", "b"] * 200, "f": [*map(write, lists)]})
            schema, _ = self._notes(log)
            (feature,) = (feature for feature in schema["categorical"] if feature["name"] == "f")
            self.assertEqual((feature["cardinality"], feature["max_values"]), (32, 3), msg=schema)

    def test_what_tells_the_label_is_found_where_labels_alternate(self) -> None:
        rng = np.random.default_rng(0)
        log = pd.DataFrame({"click": np.arange(COUNT) % 2, "user": rng.integers(0, 90, COUNT)})
        log["dwell"] = np.where(log["click"] == 1, rng.normal(60, 5, COUNT), rng.normal(0, 5, COUNT)).round(2)
        _, taken = self._schema(self._written(log, ".csv"))
        self.assertEqual(taken, {"click": "label", "user": "categorical", "dwell": "left out"})

    def test_row_numbers_in_another_order_and_yes_and_no_in_short(self) -> None:
        rng = np.random.default_rng(0)
        log = pd.DataFrame({"click": rng.choice(["Y", "N"], COUNT), "user": rng.integers(0, 90, COUNT)})
        log["index"], log["place"] = rng.permutation(COUNT), rng.permutation(COUNT)
        path = self._written(log, ".csv")
        _, taken = self._schema(path)
        self.assertEqual((taken["click"], taken["user"], taken["index"]), ("label", "categorical", "left out"))
        self.assertIn("place: another whole number in every row", " ".join(infer(path).notes))

    def test_names_with_digits_between_blanks_are_a_list_and_words_are_none(self) -> None:
        rng = np.random.default_rng(0)
        news = [" ".join(f"N{n}" for n in rng.integers(1, 21, rng.integers(1, 5))) for _ in range(COUNT)]
        titles = [" ".join(rng.choice(["red", "blue", "tall", "small"], 2)) for _ in range(COUNT)]
        log = pd.DataFrame({"click": rng.integers(0, 2, COUNT), "news": news, "title": titles})
        schema, taken = self._schema(self._written(log, ".csv"))
        self.assertEqual(taken, {"click": "label", "news": "multi-hot", "title": "categorical"})
        self.assertEqual(schema.categorical[0].cardinality, 20 + 1)

    def test_ratings_and_times_as_text(self) -> None:
        log = pd.DataFrame({"rating": [1, 5, 4, 3] * 50, "user": ["a", "b"] * 100})
        log["reviewTime"] = pd.date_range("2020-01-01", periods=200, freq="h").strftime("%d %b %Y %H:%M")
        path = self._written(log, ".csv")
        with self.assertRaisesRegex(
            InputError, "column 'rating': a label is 0 or 1.*the schema.s key .label_at_least."
        ):
            infer(path)
        schema = json.loads(infer(path, label_at_least=4).text)
        self.assertEqual((schema["label"], schema["label_at_least"], schema["time"]), ("rating", 4, "reviewTime"))

    @parameterized.parameters("%.2f", "%.1f", "%g", "%r")
    def test_decimal_commas_are_numbers(self, number: str) -> None:
        prices = np.random.default_rng(0).exponential(20, COUNT)
        log = pd.DataFrame({"click": np.arange(COUNT) % 2, "user": np.arange(COUNT) // 7})
        log["price"] = [(number % float(price)).replace(".", ",") for price in prices]
        path = self._written(log, ".csv")
        log.to_csv(path, sep=";", index=False)
        schema, taken = self._schema(path)
        self.assertEqual((taken["price"], schema.dense[0].decimal_comma), ("dense", True))
        rows, rejected = parsed(TextLog(schema, (str(path),)))
        self.assertEqual(rejected, [])
        expected = pd.read_csv(path, sep=";", decimal=",")["price"]
        self.assertAllEqual(rows.dense[:, 0], expected)

    def test_lists_of_two_ids_are_no_decimals_and_the_doubt_is_told(self) -> None:
        rng = np.random.default_rng(0)
        log = pd.DataFrame({"click": np.arange(COUNT) % 2, "user": np.arange(COUNT) // 7})
        log["tags"] = [",".join(map(str, rng.choice(9, rng.integers(1, 3)))) for _ in range(COUNT)]
        guess = infer(self._written(log, ".csv"))
        self.assertEqual(guess.columns[2].taken_as, "multi-hot")
        self.assertRegex("\n".join(guess.notes), "tags: read as lists of up to two numbers; if the comma is a decimal")

    @parameterized.parameters(("thousands",), ("pairs",))
    def test_commas_that_may_be_of_thousands_are_no_decimal_ones(self, kind: str) -> None:
        rng = np.random.default_rng(0)
        log = pd.DataFrame({"click": np.arange(COUNT) % 2, "user": np.arange(COUNT) // 7})
        if kind == "thousands":
            log["price"] = [f"{int(price):,}" for price in rng.exponential(1500, COUNT)]
        else:
            log["price"] = [
                f"{a},{b}" for a, b in zip(rng.integers(1, 10, COUNT), rng.integers(500, 540, COUNT), strict=True)
            ]
        guess = infer(self._written(log, ".csv"))
        self.assertNotIn("decimal_comma", guess.text)
        self.assertRegex("\n".join(guess.notes), "warning: price: the comma of .* one of thousands, a decimal one, or")

    def test_blanks_around_separators_make_no_other_ids(self) -> None:
        rng = np.random.default_rng(0)
        lists = [" | ".join(map(str, rng.choice(30, 3, replace=False))) for _ in range(COUNT)]
        log = pd.DataFrame({"click": np.arange(COUNT) % 2, "tags": lists})
        schema, _ = self._schema(self._written(log, ".csv"))
        feature = schema.categorical[0]
        self.assertEqual((feature.cardinality, feature.max_values, feature.separator), (30 + 1, 3, "|"))

    def test_durations_and_other_dates_are_not_the_time_of_a_row(self) -> None:
        rng = np.random.default_rng(0)
        log = pd.DataFrame({"click": np.arange(COUNT) % 2, "user": np.arange(COUNT) // 7})
        log["watch_time"], log["playTimeMs"] = rng.integers(0, 900, COUNT), rng.integers(10**8, 10**10, COUNT)
        log["reaction_time"] = rng.exponential(3, COUNT)
        log["signup_date"] = [f"20{year}-05-01" for year in rng.integers(10, 24, COUNT)]
        schema, notes = self._notes(log)
        self.assertNotIn("time", schema)
        for name in ("watch_time", "playTimeMs", "signup_date"):
            self.assertIn(f"{name}: named like a time, but its name is one of a duration or of another event", notes)
        self.assertIn("reaction_time: named like a time, but its numbers are too small for times since 1970", notes)
        log["modified_time"] = log["date"] = pd.date_range("2020-01-01", periods=COUNT, freq="h").astype(str)
        schema, notes = self._notes(log)
        self.assertEqual(schema["time"], "modified_time")
        self.assertIn(
            "modified_time: taken as the time of each row, by which prepare splits; it also could be date", notes
        )
        self.assertEqual(self._notes(log.drop(columns="modified_time"))[0]["time"], "date")
        log["ts"] = np.arange(COUNT) * 3 + 1  # of another origin
        self.assertEqual(self._notes(log)[0]["time"], "ts")

    def test_time_that_one_row_lacks_and_times_of_several_forms(self) -> None:
        log = pd.DataFrame({"click": np.arange(COUNT) % 2, "user": np.arange(COUNT) // 7})
        log["ts"] = [str(1_700_000_000 + i) for i in range(COUNT - 1)] + [""]
        _, notes = self._notes(log)
        self.assertIn("ts: named like a time, but 1 row of 2,000 without a value, and every row needs one", notes)
        for odd, mixed in (("20200704", "seconds and dates of 8 digits"), ("2020-07-04", "numbers and dates")):
            log.loc[COUNT - 1, "ts"] = odd
            self.assertIn(f"warning: ts: {mixed} are mixed, and prepare refuses that", self._notes(log)[1])

    def test_nested_keys_of_json_lines_are_left_out_and_blank_lines_no_rows(self) -> None:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "log.jsonl"
        rows = [
            {"click": i % 2, "user": f"u{i % 7}", "tags": ["a", "b"][: 1 + i % 3 % 2], "geo": {"x": i}, "m": [[1], [i]]}
            for i in range(60)
        ]
        rows[9]["user"] = {"id": 1}  # a faulty row, not a nested key
        path.write_text("\n\n".join(map(json.dumps, rows)))
        self.assertEqual(self._schema(path)[1], {"click": "label", "user": "categorical", "tags": "multi-hot"})
        guess = infer(path)
        self.assertEqual(guess.columns[0].rows, 59)
        for name in ("geo", "m"):
            self.assertIn(f"{name}: holds objects or lists of lists, which no cell can, so it is left out", guess.notes)
        self.assertRegex("\n".join(guess.notes), "1 malformed row skipped, the first in .*line 19 ")

    def test_lists_of_lists_and_unusual_separators_are_noted(self) -> None:
        rng = np.random.default_rng(0)
        log = pd.DataFrame({"click": rng.integers(0, 2, COUNT), "user": np.arange(COUNT) // 7})
        lists = rng.integers(0, 20, (COUNT, 3)).tolist()
        log["nested"] = [f"[{values[:2]}, {values[2:]}]" for values in lists]
        for name, by in (("slashes", "/"), ("colons", ":"), ("hive", "\x02")):
            log[name] = [by.join(map(str, values)) for values in lists]
        log["numpy"] = [repr(np.array(values)) for values in lists]
        log["clock"] = [f"{a % 24}:{a % 60:02d}" for a, _, _ in lists]
        path = self._written(log, ".csv")
        schema, taken = self._schema(path)
        self.assertEqual({name for name in taken if taken[name] == "multi-hot"}, {"hive", "numpy"})
        self.assertEqual({f.cardinality for f in schema.categorical if f.max_values > 1}, {20 + 1})
        notes = "\n".join(infer(path).notes)
        self.assertIn("warning: nested: holds lists of lists, and each is read as one value", notes)
        for name, by in (("slashes", "/"), ("colons", ":")):
            self.assertIn(f"{name}: read as one value a row; if '{by}' separates several, give the feature", notes)
        self.assertNotIn("clock: read", notes)

    def test_rows_that_repeat_by_chance_are_not_noted(self) -> None:
        rng = np.random.default_rng(0)
        log = pd.DataFrame({"click": rng.integers(0, 2, COUNT), "user": rng.integers(0, 40, COUNT)})
        self.assertNotIn("repeat another", self._notes(log)[1])
        log["item"] = rng.integers(0, 400, COUNT)
        self.assertNotIn("repeat another", self._notes(log)[1])
        self.assertIn("repeat another", self._notes(pd.concat([log] * 2))[1])

    def test_bytes_are_no_feature_and_another_encoding_is_named(self) -> None:
        rng = np.random.default_rng(0)
        log = pd.DataFrame({"click": np.arange(COUNT) % 2, "user": np.arange(COUNT) // 7})
        log["key"] = [rng.bytes(8) for _ in range(COUNT)]
        guess = infer(self._written(log, ".parquet"))
        self.assertEqual([column.taken_as for column in guess.columns], ["label", "categorical", "left out"])
        self.assertIn("key: holds bytes that are not text, so it is left out", guess.notes)
        log["key"] = ["Köln", "Bonn"] * (COUNT // 2)
        path = self._written(log, ".csv")
        log.to_csv(path, index=False, encoding="latin-1")
        self.assertRegex("\n".join(infer(path).notes), r"warning: key: 1,000 rows not in UTF-8; .* --encoding, such as")

    def test_times_of_two_units_labels_that_lack_and_days_before_months(self) -> None:
        log = pd.DataFrame({"click": np.arange(COUNT) % 2, "user": np.arange(COUNT) // 7})
        log["ts"] = 1_700_000_000 + np.arange(COUNT)
        log.loc[COUNT // 2 :, "ts"] *= 1000
        log["click"] = log["click"].astype(object).where(np.arange(COUNT) % 5 > 0, "")
        guess = infer(self._written(log, ".csv"))
        self.assertEqual(guess.columns[0].taken_as, "label")
        notes = "\n".join(guess.notes)
        self.assertRegex(notes, "click: 400 rows without a label, .* write 0 if no label means no click")
        self.assertRegex(notes, "ts: seconds and milliseconds are mixed, and prepare refuses that")
        log["click"] = log["click"].replace(0, "")
        with self.assertRaisesRegex(InputError, "if no value means no click, write 0 there"):
            infer(self._written(log, ".csv"))
        log["click"], log["ts"] = log["user"] % 2, [f"{i % 28 + 1:02d}.03.2020" for i in range(COUNT)]
        notes = "\n".join(infer(self._written(log, ".csv")).notes)
        self.assertIn("ts: dates such as 01.03.2020 are read as day, month, year", notes)

    def test_every_row_ragged_and_tables_of_recbole(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        (folder / "log.csv").write_text("click,user\n1,a,3\n0,b,4\n")
        with self.assertRaisesRegex(InputError, r"no rows; .* line 2 \(3 columns instead of 2\)"):
            infer(folder / "log.csv")
        (folder / "ml.inter").write_text("user_id:token\tlabel:float\n" + "a\t1\nb\t0\n" * 9)
        (folder / "ml.item").write_text("item_id:token\n")
        self.assertRegex("\n".join(infer(folder / "ml.inter").notes), "ml.item not read: to use .* merge them into the")

    def test_names_that_no_schema_takes(self) -> None:
        log = pd.DataFrame({"click": [0, 1], "x" * 201: [1, 2]})
        with self.assertRaisesRegex(InputError, "its columns: categorical.*at most 200 characters"):
            infer(self._written(log, ".csv"))

    @parameterized.parameters("1,ann,3\n0,bob,4\n", "u1\t7\t1\nu2\t8\t0\n", "2020-01-01;a\n2020-01-02;b\n")
    def test_first_line_that_is_a_row(self, text: str) -> None:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "log.csv"
        path.write_text(text)
        with self.assertRaisesRegex(InputError, "log.csv, line 1: looks like a row, not like names .*--columns"):
            infer(path)

    @parameterized.parameters(
        ("movielens_1m/interactions.tsv.xz", "movielens", set()),
        ("nycflights13/flights.tsv.xz", "flights", {"flight", "seats", "plane_year"}),
    )
    def test_real_logs_but_for_what_only_a_person_knows(self, file: str, name: str, known: set[str]) -> None:
        path = REPOSITORY.parent / "shared" / "data" / "ctr" / file
        if not path.exists():
            self.skipTest(f"the real log {file} is not beside the checkout")
        guessed = json.loads(infer(path).text)
        shipped = Schema.read(CONFIGS / "schemas" / f"{name}.json")
        self.assertEqual(guessed["label"], shipped.label)
        self.assertEqual(guessed.get("time"), shipped.time)
        dense = {feature["name"] for feature in guessed["dense"]}
        self.assertEqual(dense - known, {feature.name for feature in shipped.dense} - known)
        shapes = {f["name"]: (f.get("max_values", 1), f.get("separator")) for f in guessed["categorical"]}
        for feature in shipped.categorical:
            if feature.name not in known:
                self.assertEqual(shapes[feature.name], (feature.max_values, feature.separator))


if __name__ == "__main__":
    tf.test.main()
