"""Splits, shuffle, vocabularies and scaling against pandas and NumPy; interrupted runs leave nothing like data."""

# mypy: allow-untyped-calls
# (absl has no types)

import collections
import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from absl.testing import parameterized
from scipy import stats

from tfrs_scaling.input import prepare as preparation
from tfrs_scaling.input.formats import Rejects, read_csv
from tfrs_scaling.input.prepare import prepare
from tfrs_scaling.input.rows import RowParser, Rows
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.shards import SPLITS, ClickData, Manifest, SplitName, parse_record
from tfrs_scaling.input.validated import InputError

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

REPOSITORY = Path(__file__).resolve().parents[1]
REAL_DATA = REPOSITORY.parent / "shared" / "data" / "ctr"
BY_NUMBER = Schema("click", (CategoricalFeature("row", 2**20, "id"),))  # the id tells which row of the log it was


def _numbered(count: int, time: np.ndarray | None = None) -> Rows:
    label = np.random.default_rng(9).integers(0, 2, count).astype(np.uint8)
    return Rows(label, np.empty((count, 0)), np.arange(count, dtype=np.int32)[:, None], time)


def _read(folder: Path, split: SplitName) -> dict[str, np.ndarray]:
    data = ClickData.open(folder)
    schema = data.manifest.schema
    records = tf.data.TFRecordDataset(data.files(split)).map(lambda r: parse_record(r, schema)).as_numpy_iterator()
    groups = list(records)
    return {name: np.concatenate([group[name] for group in groups]) for name in groups[0]}


class PrepareTest(parameterized.TestCase, tf.test.TestCase):
    """From rows to a folder of shards."""

    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "data"

    def _from_csv(
        self, text: str, schema: Schema, allowed: int = 0, **options: Any
    ) -> tuple[Path, Manifest, RowParser]:
        folder = self._folder()
        path = folder.with_name("log.csv")
        path.write_text(text)
        rejects = Rejects(allowed)
        parser = RowParser(schema, rejects)
        blocks = (parser.parse(cells) for cells in read_csv(path, schema, ","))
        options = {"validation": 0.2, "test": 0.2} | options
        manifest = prepare(blocks, schema, folder, vocabularies=parser.vocabularies, rejects=rejects, **options)
        return folder, manifest, parser

    def _numbers(self, folder: Path) -> dict[SplitName, np.ndarray]:
        return {split: _read(folder, split)["ids"][:, 0] for split in SPLITS}

    # -- splits

    @parameterized.parameters((0.05, 0.1), (0.3, 0.3))
    def test_random_split_is_disjoint_complete_and_has_the_shares(self, validation: float, test: float) -> None:
        folder, log = self._folder(), _numbered(20_000)
        manifest = prepare([log], BY_NUMBER, folder, validation=validation, test=test)
        self.assertEqual(manifest.split_by, "random")
        numbers = self._numbers(folder)
        self.assertAllEqual(np.sort(np.concatenate(list(numbers.values()))), np.arange(20_000))
        for split, share in (("validation", validation), ("test", test)):
            drawn = numbers[split]  # type: ignore[index]
            self.assertLess(abs(len(drawn) - 20_000 * share), 4.5 * (20_000 * share * (1 - share)) ** 0.5)
            self.assertGreater(stats.kstest(drawn / 20_000, "uniform").pvalue, 1e-4)
            self.assertAllEqual(drawn, np.sort(drawn))  # the log's order
        for split in SPLITS:
            rows = _read(folder, split)
            self.assertAllEqual(rows["label"][:, 0], log.label[rows["ids"][:, 0]])
            self.assertEqual(manifest.splits[split].rows, len(rows["label"]))
            self.assertEqual(manifest.splits[split].clicks, log.label[rows["ids"][:, 0]].sum())

    @parameterized.parameters(1, 7, 400)
    def test_time_split_is_in_order_and_ties_never_straddle(self, moment_rows: int) -> None:
        time = np.random.default_rng(2).permutation(4000 // moment_rows * moment_rows) // moment_rows - 50
        folder, schema = self._folder(), Schema("click", BY_NUMBER.categorical, (), "ts")
        manifest = prepare([_numbered(len(time), time)], schema, folder, validation=0.1, test=0.2)
        self.assertEqual(manifest.split_by, "time")
        rows = {split: _read(folder, split) for split in SPLITS}
        for split in SPLITS:
            self.assertAllEqual(rows[split]["time"][:, 0], time[rows[split]["ids"][:, 0]])
        self.assertLess(rows["train"]["time"].max(), rows["validation"]["time"].min())
        self.assertLess(rows["validation"]["time"].max(), rows["test"]["time"].min())
        self.assertEqual(sum(len(r["time"]) for r in rows.values()), len(time))
        self.assertBetween(len(rows["test"]["time"]), 0.2 * len(time), 0.2 * len(time) + moment_rows)
        self.assertBetween(
            len(rows["validation"]["time"]), 0.1 * len(time) - moment_rows, 0.1 * len(time) + moment_rows
        )

    def test_random_split_can_be_asked_for_despite_a_time_column(self) -> None:
        schema = Schema("click", BY_NUMBER.categorical, (), "ts")
        folder = self._folder()
        prepare([_numbered(1000, np.arange(1000))], schema, folder, split_by="random")
        self.assertLess(_read(folder, "test")["time"].min(), 100)

    def test_training_order_is_a_seeded_shuffle(self) -> None:
        log = _numbered(20_000)
        orders = []
        for seed in (0, 0, 1):
            folder = self._folder()
            prepare([log.take(np.arange(9)), log.take(np.arange(9, 20_000))], BY_NUMBER, folder, seed=seed)
            orders.append(self._numbers(folder)["train"])
        self.assertAllEqual(orders[0], orders[1])
        self.assertNotEqual(set(orders[0].tolist()), set(orders[2].tolist()))
        common = np.intersect1d(orders[0], orders[2])
        rank = [np.argsort(order)[np.searchsorted(np.sort(order), common)] for order in (orders[0], orders[2])]
        for a, b in ((rank[0], common), (rank[1], common), (rank[0], rank[1])):
            self.assertLess(abs(stats.spearmanr(a, b).statistic), 4.5 / len(common) ** 0.5)

    def test_prefixes_are_uniform_over_time(self) -> None:
        time = np.arange(20_000) * 3
        folder, schema = self._folder(), Schema("click", BY_NUMBER.categorical, (), "ts")
        prepare([_numbered(20_000, time)], schema, folder)
        order = self._numbers(folder)["train"]
        for size in (500, 2000, 8000):
            counts = np.histogram(order[:size], bins=20, range=(0, len(order)))[0]  # by time: rows 0 ... 16,999
            self.assertGreater(stats.chisquare(counts).pvalue, 1e-4)

    # -- vocabulary and scaling

    def test_vocabulary_ranks_by_training_frequency(self) -> None:
        rng = np.random.default_rng(8)
        users = np.array(["", *(f"u{i:02d}" for i in range(40))])[np.minimum(rng.geometric(0.08, 3000) - 1, 40)]
        tags = [rng.choice(list("abcdefgh"), rng.integers(1, 4), p=np.arange(8, 0, -1) / 36).tolist() for _ in users]
        frame = pd.DataFrame({
            "click": rng.integers(0, 2, 3000), "n": np.arange(3000), "user": users, "tags": ["|".join(t) for t in tags],
        })  # fmt: skip
        frame.loc[5, "tags"] = ""
        tags[5] = [""]
        schema = Schema(
            "click",
            (CategoricalFeature("n", 2**20, "id"), CategoricalFeature("user", 10),
             CategoricalFeature("tags", 100, max_values=3, separator="|")),
        )  # fmt: skip
        folder, manifest, _ = self._from_csv(frame.to_csv(index=False), schema)
        trained = _read(folder, "train")["ids"][:, 0]

        def ranks(values: list[str], rows: int) -> dict[str, int]:
            counts = collections.Counter(value for value in values if value)
            by_rank = sorted(counts, key=lambda value: (-counts[value], value))
            return {value: rank for rank, value in enumerate(by_rank, 1) if rank < rows}

        user_ranks = ranks(users[trained].tolist(), 10)
        tag_ranks = ranks([tag for n in trained for tag in tags[n]], 100)
        self.assertLen(user_ranks, 9)
        for split in SPLITS:
            for n, user, *slots in _read(folder, split)["ids"].tolist():
                self.assertEqual(user, user_ranks.get(users[n], 0))
                self.assertEqual(slots, ([tag_ranks.get(tag, 0) for tag in tags[n]] + [-1, -1])[:3])
        self.assertEqual(manifest.vocabulary_sizes, {
            "user": len(set(users[trained]) - {""}), "tags": len({tag for n in trained for tag in tags[n]} - {""}),
        })  # fmt: skip

    def test_equally_frequent_values_rank_by_value(self) -> None:
        lines = [f"{i % 2},{i},{'zyx'[i % 3]}" for i in range(100)]  # 60 rows to train on, 20 of each value
        schema = Schema("click", (CategoricalFeature("user", 10),), (), "ts")
        folder, _, _ = self._from_csv("\n".join(["click,ts,user", *lines]) + "\n", schema)
        rows = _read(folder, "train")
        self.assertLen(rows["ids"], 60)
        self.assertAllEqual(rows["ids"], 3 - rows["time"] % 3)

    def test_values_seen_after_training_are_not_in_the_vocabulary(self) -> None:
        # In time order; "new" never occurs before validation, and outnumbers all else there.
        lines = [f"{i % 2},{i},{'old' if i < 60 else 'new'}{i % 3}" for i in range(100)]
        schema = Schema("click", (CategoricalFeature("user", 100),), (), "ts")
        folder, manifest, parser = self._from_csv("\n".join(["click,ts,user", *lines]) + "\n", schema)
        self.assertEqual(manifest.vocabulary_sizes, {"user": 3})
        self.assertLen(parser.vocabularies["user"].codes, 6)
        self.assertEqual(set(_read(folder, "train")["ids"][:, 0].tolist()), {1, 2, 3})
        self.assertEqual(set(_read(folder, "validation")["ids"][:, 0].tolist()), {0})
        self.assertEqual(set(_read(folder, "test")["ids"][:, 0].tolist()), {0})

    def test_dense_transforms(self) -> None:
        rng = np.random.default_rng(6)
        raw = rng.normal(3, 5, (1000, 3))
        raw[rng.random((1000, 3)) < 0.1] = np.nan
        raw[:, 2] = 0.1
        raw[-1, 2] = 5.0  # in the test split: the training values are constant
        log = _numbered(1000, np.arange(1000))
        schema = Schema(
            "click", BY_NUMBER.categorical,
            (DenseFeature("log"), DenseFeature("standard", "standardize"), DenseFeature("flat", "standardize")), "ts",
        )  # fmt: skip
        folder = self._folder()
        manifest = prepare([Rows(log.label, raw, log.ids, log.time)], schema, folder)
        training = raw[_read(folder, "train")["ids"][:, 0]]
        self.assertLess(len(training), 900)
        mean, deviation = np.nanmean(training, axis=0), np.nanstd(training, axis=0)
        self.assertAllClose(manifest.dense_mean, mean, rtol=1e-12)
        self.assertAllClose(manifest.dense_deviation[:2], deviation[:2], rtol=1e-12)
        self.assertEqual(manifest.dense_deviation[2], 0.0)
        for split in SPLITS:
            rows = _read(folder, split)
            x = raw[rows["ids"][:, 0]]
            self.assertAllClose(
                rows["dense"][:, 0], np.nan_to_num(np.log1p(np.where(x[:, 0] < 0, 0, x[:, 0]))), rtol=1e-6
            )
            standard = np.nan_to_num((x[:, 1] - mean[1]) / deviation[1])
            self.assertAllClose(rows["dense"][:, 1], standard, rtol=1e-5, atol=1e-6)
            self.assertAllClose(rows["dense"][:, 2], x[:, 2] - 0.1, atol=1e-6)

    def test_column_that_is_never_known_is_zero(self) -> None:
        log = _numbered(200)
        schema = Schema("click", BY_NUMBER.categorical, (DenseFeature("a"), DenseFeature("b", "standardize")))
        folder = self._folder()
        prepare([Rows(log.label, np.full((200, 2), np.nan), log.ids)], schema, folder)
        self.assertAllEqual(
            _read(folder, "train")["dense"], np.zeros((ClickData.open(folder).manifest.splits["train"].rows, 2))
        )

    # -- what is refused, and what is left behind

    @parameterized.parameters((0.0, 0.1), (0.1, 0.0), (0.5, 0.5), (-0.1, 0.5), (float("nan"), 0.1))
    def test_impossible_shares(self, validation: float, test: float) -> None:
        with self.assertRaisesRegex(InputError, "both above 0, and less than 1 together"):
            prepare([_numbered(100)], BY_NUMBER, self._folder(), validation=validation, test=test)

    def test_time_split_without_time(self) -> None:
        with self.assertRaisesRegex(InputError, "the schema names none"):
            prepare([_numbered(100)], BY_NUMBER, self._folder(), split_by="time")

    def test_empty_splits_and_logs(self) -> None:
        folder = self._folder()
        for blocks in ([], [_numbered(0)]):
            with self.assertRaisesRegex(InputError, "the log: no rows"):
                prepare(blocks, BY_NUMBER, folder)
        with self.assertRaisesRegex(InputError, "the validation split comes out empty"):
            prepare([_numbered(100)], BY_NUMBER, folder, validation=1e-9)
        schema = Schema("click", BY_NUMBER.categorical, (), "ts")
        with self.assertRaisesRegex(InputError, "the train split comes out empty"):
            prepare([_numbered(100, np.zeros(100, np.int64))], schema, folder)
        self.assertFalse(folder.exists())

    @parameterized.parameters(("train", slice(0, 85)), ("validation", slice(85, 90)), ("test", slice(90, 100)))
    def test_split_with_one_label_is_refused(self, split: str, rows: slice) -> None:
        log = _numbered(100, np.arange(100))
        log.label[:] = np.arange(100) % 2
        log.label[rows] = 1
        folder = self._folder()
        with self.assertRaisesRegex(InputError, f"every label of the {split} split is 1"):
            prepare([log], Schema("click", BY_NUMBER.categorical, (), "ts"), folder)
        self.assertFalse(folder.exists())

    def test_taken_folders_are_refused_untouched(self) -> None:
        parent = self._folder().parent
        (parent / "full").mkdir()
        (parent / "full" / "letter").write_text("dear")
        (parent / "file").write_text("dear")
        (parent / "empty").mkdir()
        (parent / "link").symlink_to(parent / "empty")
        (parent / "dangling").symlink_to(parent / "nowhere")
        for name in ("full", "file", "link", "dangling"):
            with self.assertRaisesRegex(InputError, f"{parent / name}: exists already"):
                prepare([_numbered(200)], BY_NUMBER, parent / name)
        self.assertEqual((parent / "full" / "letter").read_text(), "dear")
        self.assertEqual([*(parent / "empty").iterdir()], [])
        self.assertCountEqual([p.name for p in parent.iterdir()], ["full", "file", "empty", "link", "dangling"])
        for name in ("link", "dangling"):  # the clearing up after the tests follows links
            (parent / name).unlink()

    def test_empty_folder_and_new_parents_are_fine(self) -> None:
        parent = self._folder().parent
        (parent / "empty").mkdir()
        prepare([_numbered(200)], BY_NUMBER, parent / "empty")
        prepare([_numbered(200)], BY_NUMBER, parent / "a" / "b" / "c")
        (parent / "here").mkdir()
        before = Path.cwd()
        os.chdir(parent / "here")
        try:
            prepare([_numbered(200)], BY_NUMBER, Path())
        finally:
            os.chdir(before)
        for folder in ("empty", "a/b/c", "here"):
            self.assertEqual(ClickData.open(parent / folder).manifest.splits["train"].rows, 200 - _held_out(200))

    def test_folder_below_a_file_cannot_be_written(self) -> None:
        file = self._folder()
        file.write_text("")
        with self.assertRaisesRegex(InputError, "cannot be written: Not a directory"):
            prepare([_numbered(200)], BY_NUMBER, file / "data")

    @parameterized.named_parameters(
        ("killed", KeyboardInterrupt(), KeyboardInterrupt, ""),
        ("disk_full", OSError(28, "No space left on device"), InputError, "cannot be written: No space left on device"),
        ("disk_full_says_tensorflow", "tensorflow", InputError, "cannot be written: disk full"),
    )
    def test_interrupted_run_leaves_no_data_and_the_next_one_succeeds(
        self, fault: Any, error: type[BaseException], message: str
    ) -> None:
        if fault == "tensorflow":
            fault = tf.errors.ResourceExhaustedError(None, None, "disk full")
        folder = self._folder()
        for step, after in (("write_split", 0), ("write_split", 2), ("write_tfds_metadata", 0), ("_write_rejected", 0)):
            calls = 0
            real = getattr(preparation, step)

            def interrupted(*args: Any, real: Any = real, after: int = after, **kwargs: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls > after:
                    raise fault
                return real(*args, **kwargs)

            with mock.patch.object(preparation, step, interrupted), self.assertRaisesRegex(error, message):
                prepare([_numbered(500)], BY_NUMBER, folder)
            self.assertGreater(calls, after)
            self.assertFalse(folder.exists())
            for left in folder.parent.iterdir():
                with self.assertRaisesRegex(InputError, "no prepared data"):
                    ClickData.open(left)
        manifest = prepare([_numbered(500)], BY_NUMBER, folder)
        self.assertEqual([path.name for path in folder.parent.iterdir()], ["data"])
        undisturbed = self._folder()
        prepare([_numbered(500)], BY_NUMBER, undisturbed)
        self.assertEqual(ClickData.open(folder).manifest, manifest)
        for path in undisturbed.iterdir():
            self.assertEqual(path.read_bytes(), (folder / path.name).read_bytes())

    def test_rejected_rows_are_listed_and_counted(self) -> None:
        good = [f"{i % 2},{i},u" for i in range(100)]
        text = "\n".join(["click,age,user", *good, "2,1,a\tb", "1,old,it's é", "1,1", *good]) + "\n"
        schema = Schema("click", (CategoricalFeature("user", 10),), (DenseFeature("age"),))
        folder, manifest, _ = self._from_csv(text, schema, allowed=5)
        self.assertEqual(manifest.rejected, 3)
        self.assertEqual(sum(split.rows for split in manifest.splits.values()), 200)
        lines = (folder / "rejected.tsv").read_text().splitlines()
        log = str(folder.with_name("log.csv"))
        self.assertEqual([line.split("\t") for line in lines], [
            ["file", "line", "column", "why", "value"],
            [log, "102", "click", "the label is neither 0 nor 1", "2"],
            [log, "103", "age", "not a finite number within float32", "old"],
            [log, "104", "", "2 columns instead of 3", "1,1"],
        ])  # fmt: skip

    def test_nothing_rejected_nothing_listed(self) -> None:
        folder = self._folder()
        prepare([_numbered(200)], BY_NUMBER, folder)
        self.assertFalse((folder / "rejected.tsv").exists())

    # -- real data

    @parameterized.parameters(
        ("movielens_1m/interactions.tsv.xz", "movielens", 1_000_209, 0.5752),
        ("nycflights13/flights.tsv.xz", "flights", 327_346, 0.2371),
    )
    def test_real_logs_equal_pandas(self, file: str, schema_name: str, count: int, ctr: float) -> None:
        path = REAL_DATA / file
        if not path.exists():
            self.skipTest(f"the real log {file} is not beside the checkout")
        schema = Schema.read(REPOSITORY / "tuner_configs" / "schemas" / f"{schema_name}.json")
        frame = pd.read_csv(path, sep="\t", usecols=schema.columns, dtype=str, keep_default_na=False, quoting=3)
        label = frame["label"].astype(int)
        parser, folder = RowParser(schema, Rejects()), self._folder()
        blocks = (parser.parse(cells) for cells in read_csv(path, schema))
        manifest = prepare(blocks, schema, folder, vocabularies=parser.vocabularies, split_by="random")

        self.assertEqual(sum(split.rows for split in manifest.splits.values()), count)
        self.assertEqual(len(frame), count)
        self.assertEqual(sum(split.clicks for split in manifest.splits.values()), label.sum())
        self.assertAllClose(label.mean(), ctr, atol=5e-5)
        # Which rows were drawn is known by their order; their columns have to be those of pandas.
        drawn = np.random.Generator(np.random.Philox(key=0, counter=[0, 0, 0, 2])).random(count)
        test = frame[drawn < 0.1]
        rows = _read(folder, "test")
        self.assertAllEqual(rows["label"][:, 0], test["label"].astype(int))
        for k, dense in enumerate(schema.dense):
            x = pd.to_numeric(test[dense.name], errors="coerce").to_numpy()
            if dense.transform == "log1p":
                expected = np.log1p(x)
            else:
                training = pd.to_numeric(frame[dense.name][drawn >= 0.15], errors="coerce")
                expected = (x - training.mean()) / training.std(ddof=0)
            self.assertAllClose(rows["dense"][:, k], np.nan_to_num(expected), rtol=1e-5, atol=1e-5)
        for feature, slots in zip(schema.categorical, schema.slots, strict=True):
            values = frame[feature.name]
            if feature.separator:
                values = values.str.split(feature.separator, regex=False).explode()
            trained = values[drawn[values.index] >= 0.15]
            counts = trained[trained != ""].value_counts().rename_axis("value").reset_index(name="count")
            by_rank = counts.sort_values(["count", "value"], ascending=[False, True])["value"]
            expected_ids = values[drawn[values.index] < 0.1].map({value: n for n, value in enumerate(by_rank, 1)})
            ids = rows["ids"][:, slots.start : slots.stop]
            self.assertAllEqual(ids[ids != -1], expected_ids.fillna(0).to_numpy())
            self.assertEqual(manifest.vocabulary_sizes[feature.name], len(counts))
            present = set(values.unique()) - {""}
            self.assertEqual(set(parser.vocabularies[feature.name].codes) - {None}, present)
            self.assertLess(len(present), feature.cardinality)  # no value has to share the row of rare ones


def _held_out(count: int) -> int:
    """Validation and test rows that the default shares and seed draw out of ``count``."""
    return int((np.random.Generator(np.random.Philox(key=0, counter=[0, 0, 0, 2])).random(count) < 0.15).sum())


if __name__ == "__main__":
    tf.test.main()
