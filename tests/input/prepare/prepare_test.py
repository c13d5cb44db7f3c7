"""Splits, shuffle, vocabularies and scaling against pandas and NumPy; interrupted runs leave nothing like data."""

# mypy: allow-untyped-calls
# (absl has no types)

import collections
import dataclasses
import gzip
import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import tensorflow as tf
from absl.testing import parameterized
from scipy import stats

from tests.helpers import reference
from tests.helpers.studies import (
    BY_NUMBER,
    BY_TIME,
    RowsSource,
    folder_bytes,
    numbered,
    read_split,
    source_of,
)
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.check import check
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.manifest import MANIFEST, SPLITS, Manifest, RawFile, SplitName, describe
from tfrs_scaling.input.prepare import spill
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import LogSource
from tfrs_scaling.input.prepare.split import Sizes
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.shards import REJECTED, ClickData


def _by_shuffle_key(numbers: Any, seed: int = 0) -> list[int]:
    return sorted(map(int, numbers), key=lambda number: reference.draw(seed, "shuffle", number))


@dataclasses.dataclass(frozen=True)
class Backwards:
    """A log whose pieces come in the wrong order, as they do from many machines."""

    log: LogSource

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    def pieces(self, part: int) -> Iterator[Any]:
        """The last piece first."""
        yield from reversed(list(self.log.pieces(part)))


def _reordered(rows: list[str]) -> list[str]:
    """The rows of columns y, c, not, d in the order c, y, d, not, with one column more, last row first."""
    cells = (row.split(",") for row in reversed(rows))
    return [f"{c},{y},{d},{told},x" for y, c, told, d in cells]


class PrepareTest(parameterized.TestCase, tf.test.TestCase):
    """From rows to a folder of shards."""

    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "data"

    def _from_csv(self, text: str, schema: Schema, **options: Any) -> tuple[Path, Manifest]:
        folder = self._folder()
        path = folder.with_name("log.csv")
        path.write_text(text)
        source = LogSource(TextLog(schema, (str(path),), ","))
        return folder, prepare(source, folder, **{"validation": 0.2, "test": 0.2} | options)

    def _numbers(self, folder: Path) -> dict[SplitName, np.ndarray]:
        return {split: read_split(folder, split)["ids"][:, 0] for split in SPLITS}

    def test_feature_that_tells_the_label_and_file_given_twice_are_told(self) -> None:
        rng = np.random.default_rng(0)
        rows = [f"{c},{rng.integers(9)},{'no' if c else 'yes'},{c + rng.random():.3f}" for c in rng.integers(0, 2, 600)]
        schema = Schema("y", (CategoricalFeature("c", 9), CategoricalFeature("not", 3)), (DenseFeature("d"),))
        folder, manifest = self._from_csv("\n".join(["y,c,not,d", *rows]), schema)
        self.assertEqual(manifest.telling, {"not": 1.0, "d": 1.0})
        self.assertRegex(describe(manifest)["description"], "warning: d alone tells the label .AUC 1.000")
        path = str(folder.with_name("log.csv"))
        twice = prepare(LogSource(TextLog(schema, (path, path), ",")), folder.with_name("twice"))
        self.assertIn("log.csv and log.csv hold the same bytes: their rows are in the data 2 times", twice.warnings)
        self.assertRegex(" ".join(twice.warnings), r"51.2% of the rows equal an earlier one in every column .* twice\?")
        packed = folder.with_name("log.csv.gz")
        packed.write_bytes(gzip.compress("\n".join(["c,y,d,not,more", *_reordered(rows)]).encode()))
        twice = prepare(LogSource(TextLog(schema, (path, str(packed)), ",")), folder.with_name("again"))
        self.assertIn("log.csv and log.csv.gz hold the same rows: they are in the data 2 times", twice.warnings)
        self.assertEqual([raw.rows for raw in twice.sources], [600, 600])

    def test_rows_read_are_in_a_split_dropped_or_rejected(self) -> None:
        lines = [f"{i % 3 % 2},u{i % 97},{i}" for i in range(4000)]
        for at in range(5, 4000, 91):
            lines[at] = "?,u,1"
        folder, manifest = self._from_csv(
            "\n".join(["click,user,n", *lines]), Schema("click", (CategoricalFeature("user", 10),)),
            max_bad_rows=50, negative_rate=0.5,
        )  # fmt: skip
        self.assertEqual((manifest.read, manifest.rejected), (4000, 44))
        self.assertGreater(manifest.dropped, 500)
        self.assertEqual(sum(s.rows for s in manifest.splits.values()) + manifest.dropped, 3956)
        list(check(ClickData.open(folder)))
        rejected = folder / REJECTED
        rejected.write_text("".join(rejected.read_text().splitlines(keepends=True)[:-1]))
        with self.assertRaisesRegex(InputError, "rejected.tsv: lists 43 rows, the manifest has 44"):
            list(check(ClickData.open(folder)))
        text = (folder / MANIFEST).read_text()
        (folder / MANIFEST).write_text(text.replace('"read": 4000', '"read": 4001'))
        with self.assertRaisesRegex(InputError, "read: 4001 rows, and the splits hold"):
            ClickData.open(folder)

    # -- splits

    @parameterized.parameters((0.05, 0.1), (0.3, 0.3))
    def test_random_split_is_disjoint_complete_and_has_the_shares(self, validation: float, test: float) -> None:
        folder, log = self._folder(), numbered(20_000)
        manifest = prepare(source_of(log), folder, validation=validation, test=test)
        self.assertEqual(manifest.split_by, "random")
        numbers = self._numbers(folder)
        self.assertAllEqual(np.sort(np.concatenate(list(numbers.values()))), np.arange(20_000))
        for split, share in (("validation", validation), ("test", test)):
            drawn = numbers[split]  # type: ignore[index]
            self.assertLess(abs(len(drawn) - 20_000 * share), 4.5 * (20_000 * share * (1 - share)) ** 0.5)
            self.assertGreater(stats.kstest(drawn / 20_000, "uniform").pvalue, 1e-4)
        for split in SPLITS:
            rows = read_split(folder, split)
            self.assertAllEqual(rows["label"][:, 0], log.label[rows["ids"][:, 0]])
            self.assertEqual(manifest.splits[split].rows, len(rows["label"]))
            self.assertEqual(manifest.splits[split].clicks, log.label[rows["ids"][:, 0]].sum())

    @parameterized.parameters(1, 7, 400)
    def test_time_split_is_in_order_and_ties_never_straddle(self, moment_rows: int) -> None:
        time = np.random.default_rng(2).permutation(4000 // moment_rows * moment_rows) // moment_rows - 50
        folder = self._folder()
        manifest = prepare(source_of(numbered(len(time), time), schema=BY_TIME), folder, validation=0.1, test=0.2)
        self.assertEqual(manifest.split_by, "time")
        rows = {split: read_split(folder, split) for split in SPLITS}
        for split in SPLITS:
            self.assertAllEqual(rows[split]["time"][:, 0], time[rows[split]["ids"][:, 0]])
        self.assertLess(rows["train"]["time"].max(), rows["validation"]["time"].min())
        self.assertLess(rows["validation"]["time"].max(), rows["test"]["time"].min())
        self.assertEqual(sum(len(r["time"]) for r in rows.values()), len(time))
        self.assertBetween(len(rows["test"]["time"]), 0.2 * len(time), 0.2 * len(time) + moment_rows)
        self.assertBetween(
            len(rows["validation"]["time"]), 0.1 * len(time) - moment_rows, 0.1 * len(time) + moment_rows
        )

    def test_split_by_order_takes_files_and_rows_for_their_time(self) -> None:
        folder = self._folder()
        log = numbered(1000)
        position = np.concatenate([np.arange(700), (1 << 40) + np.arange(300)])  # two files
        blocks = [
            dataclasses.replace(log, position=position).take(part) for part in (np.arange(600, 1000), np.arange(600))
        ]
        manifest = prepare(source_of(*blocks), folder, split_by="order", validation=0.1, test=0.2)
        self.assertEqual(manifest.split_by, "order")
        numbers = {split: np.sort(rows) for split, rows in self._numbers(folder).items()}
        self.assertAllEqual(numbers["train"], np.arange(700))
        self.assertAllEqual(numbers["validation"], np.arange(700, 800))
        self.assertAllEqual(numbers["test"], np.arange(800, 1000))

    def test_random_split_can_be_asked_for_despite_a_time_column(self) -> None:
        folder = self._folder()
        prepare(source_of(numbered(1000, np.arange(1000)), schema=BY_TIME), folder, split_by="random")
        self.assertLess(read_split(folder, "test")["time"].min(), 100)

    def test_thresholds_of_time_come_from_a_sample(self) -> None:
        time = np.random.default_rng(1).permutation(20_000)
        folder = self._folder()
        source = source_of(numbered(20_000, time), schema=BY_TIME)
        prepare(source, folder, validation=0.1, test=0.2, sizes=Sizes(sample_rows=1000))
        # The sample is of the lowest shuffle keys; its 200th latest row opens the test split, its 300th validation.
        sampled = np.sort(time[_by_shuffle_key(range(20_000))[:1000]])[::-1]
        for split, low, high in (
            ("train", 0, sampled[299]), ("validation", sampled[299], sampled[199]), ("test", sampled[199], 20_000),
        ):  # fmt: skip
            self.assertAllEqual(np.sort(read_split(folder, split)["time"][:, 0]), np.arange(low, high))  # type: ignore[arg-type]

    def test_negatives_are_left_out_of_training_alone(self) -> None:
        log, orders = numbered(5000), {}
        for rate in (1.0, 0.6, 0.2):
            folder = self._folder()
            manifest = prepare(source_of(log), folder, negative_rate=rate)
            self.assertEqual((manifest.negative_rate, ClickData.open(folder).manifest.negative_rate), (rate, rate))
            self.assertEqual(manifest.splits["train"].rows, len(read_split(folder, "train")["label"]))
            orders[rate] = self._numbers(folder)
        for rate in (0.6, 0.2):
            self.assertAllEqual(orders[rate]["validation"], orders[1.0]["validation"])
            self.assertAllEqual(orders[rate]["test"], orders[1.0]["test"])
            kept = [
                number for number in orders[1.0]["train"].tolist()
                if log.label[number] == 1 or reference.fraction(0, "negatives", number) < rate
            ]  # fmt: skip
            self.assertEqual(orders[rate]["train"].tolist(), kept)

    # -- order

    @parameterized.parameters(0, 1)
    def test_every_split_is_in_the_order_of_the_shuffle_keys(self, seed: int) -> None:
        folder = self._folder()
        sizes = Sizes(rows_per_record=32, records_per_shard=4)
        prepare(source_of(numbered(5000)), folder, seed=seed, split_by="order", sizes=sizes)
        data = ClickData.open(folder)
        for split, numbers in self._numbers(folder).items():
            self.assertEqual(numbers.tolist(), _by_shuffle_key(numbers, seed))
            # Each shard has an equal range of the keys.
            files = data.manifest.splits[split].shards
            self.assertLen(files, max(1, round(len(numbers) / 128)))
            keys = [reference.draw(seed, "shuffle", number) for number in numbers.tolist()]
            expected = np.bincount([key * len(files) >> 64 for key in keys], minlength=len(files))
            self.assertEqual([shard.rows for shard in files], expected.tolist())

    def test_shuffles_of_two_seeds_and_the_log_are_unrelated(self) -> None:
        orders = []
        for seed in (0, 1):
            folder = self._folder()
            prepare(source_of(numbered(20_000)), folder, seed=seed)
            orders.append(self._numbers(folder)["train"])
        common = np.intersect1d(orders[0], orders[1])
        rank = [np.argsort(order)[np.searchsorted(np.sort(order), common)] for order in orders]
        for a, b in ((rank[0], common), (rank[1], common), (rank[0], rank[1])):
            self.assertLess(abs(stats.spearmanr(a, b).statistic), 4.5 / len(common) ** 0.5)

    def test_prefixes_are_uniform_over_time(self) -> None:
        time = np.arange(20_000) * 3
        folder = self._folder()
        prepare(source_of(numbered(20_000, time), schema=BY_TIME), folder)
        for split, first, last in (("train", 0, 17_000), ("validation", 17_000, 18_000), ("test", 18_000, 20_000)):
            order = self._numbers(folder)[split]  # type: ignore[index]
            self.assertAllEqual(np.sort(order), np.arange(first, last))
            for size in (250, 500, 2000, 8000):
                if 2 * size <= last - first:
                    counts = np.histogram(order[:size], bins=20, range=(first, last))[0]
                    self.assertGreater(stats.chisquare(counts).pvalue, 1e-4)

    def test_longer_log_keeps_the_order_of_the_rows_it_begins_with(self) -> None:
        numbers = []
        for count in (5000, 20_000):
            folder = self._folder()
            prepare(source_of(numbered(count)), folder)
            numbers.append(self._numbers(folder))
        for split in SPLITS:
            longer = numbers[1][split]
            self.assertAllEqual(longer[longer < 5000], numbers[0][split])

    def test_same_bytes_however_the_work_is_cut(self) -> None:
        rng = np.random.default_rng(4)
        schema = Schema(
            "click",
            (CategoricalFeature("user", 40), CategoricalFeature("tags", 9, max_values=3, separator="|", min_count=2)),
            (DenseFeature("age", "standardize"),),
        )  # fmt: skip
        folder = self._folder()
        paths = [folder.with_name(name) for name in ("a.csv", "b.csv")]
        for path in paths:
            tags = ["|".join(rng.choice(list("abcdefghijk"), 2)) for _ in range(1500)]
            lines = [f"{rng.integers(2)},u{rng.zipf(1.3) % 90},{pair},{rng.normal():.3f}" for pair in tags]
            path.write_text("\n".join(["click,user,tags,age", *lines]) + "\n")
        outcomes = []
        for block_bytes, bucket_bits, unmerged, backwards, in_memory, jobs in (
            (8 << 20, 8, 1 << 22, False, 1 << 29, 1), (200, 8, 1 << 22, False, 1 << 29, 1),
            (5000, 1, 1 << 22, False, 1 << 29, 1), (8 << 20, 4, 3, False, 1 << 29, 1),
            (1000, 6, 1 << 22, True, 1 << 29, 1), (8 << 20, 4, 1 << 22, False, 1, 3),
        ):  # fmt: skip
            folder = self._folder()
            source = LogSource(TextLog(schema, tuple(map(str, paths)), block_bytes=block_bytes))
            sizes = Sizes(64, 4, bucket_bits=bucket_bits, unmerged_values=unmerged)
            with mock.patch.object(spill, "_READ_BYTES", in_memory):
                prepare(Backwards(source) if backwards else source, folder, split_by="random", sizes=sizes, jobs=jobs)
            outcomes.append(folder_bytes(folder))
        self.assertGreater(len(outcomes[0]), 10)
        for outcome in outcomes[1:]:
            self.assertEqual(outcome, outcomes[0])

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
        folder, manifest = self._from_csv(frame.to_csv(index=False), schema)
        trained = read_split(folder, "train")["ids"][:, 0]

        def ranks(values: list[str], rows: int) -> dict[str, int]:
            counts = collections.Counter(value for value in values if value)
            by_rank = sorted(counts, key=lambda value: (-counts[value], reference.hash_of(value.encode())))
            return {value: rank for rank, value in enumerate(by_rank, 1) if rank < rows}

        user_ranks = ranks(users[trained].tolist(), 10)
        tag_ranks = ranks([tag for n in trained for tag in tags[n]], 100)
        self.assertLen(user_ranks, 9)
        for split in SPLITS:
            for n, user, *slots in read_split(folder, split)["ids"].tolist():
                self.assertEqual(user, user_ranks.get(users[n], 0))
                self.assertEqual(slots, ([tag_ranks.get(tag, 0) for tag in tags[n]] + [-1, -1])[:3])
        self.assertEqual(manifest.missing, {
            "n": 0, "user": int((users == "").sum()), "tags": 1,
        })  # fmt: skip
        self.assertEqual(manifest.vocabulary_sizes, {
            "user": len(set(users[trained]) - {""}), "tags": len({tag for n in trained for tag in tags[n]} - {""}),
        })  # fmt: skip

    def test_equally_frequent_values_rank_by_hash(self) -> None:
        lines = [f"{i % 2},{i},{'zyx'[i % 3]}" for i in range(100)]  # 60 rows to train on, 20 of each value
        schema = Schema("click", (CategoricalFeature("user", 10),), (), "ts")
        folder, _ = self._from_csv("\n".join(["click,ts,user", *lines]) + "\n", schema)
        rows = read_split(folder, "train")
        self.assertLen(rows["ids"], 60)
        ranked = sorted("zyx", key=lambda value: reference.hash_of(value.encode()))
        self.assertAllEqual(rows["ids"][:, 0], [ranked.index("zyx"[time % 3]) + 1 for time in rows["time"][:, 0]])

    def test_rare_values_share_the_row_of_unseen_ones(self) -> None:
        # 60 training rows: 30 of "a", 20 of "b", 9 of "c", one of "d".
        users = ["a"] * 30 + ["b"] * 20 + ["c"] * 9 + ["d"] + ["abcd"[i % 4] for i in range(40)]
        lines = [f"{i % 2},{i},{user}" for i, user in enumerate(users)]
        for min_count, ids in ((1, [1, 2, 3, 4]), (2, [1, 2, 3, 0]), (9, [1, 2, 3, 0]), (10, [1, 2, 0, 0])):
            schema = Schema("click", (CategoricalFeature("user", 10, min_count=min_count),), (), "ts")
            folder, manifest = self._from_csv("\n".join(["click,ts,user", *lines]) + "\n", schema)
            self.assertEqual(manifest.vocabulary_sizes, {"user": 4})
            for split in SPLITS:
                rows = read_split(folder, split)
                expected = [ids["abcd".index(users[time])] for time in rows["time"][:, 0]]
                self.assertAllEqual(rows["ids"][:, 0], expected)

    def test_values_seen_after_training_are_not_in_the_vocabulary(self) -> None:
        # In time order; "new" never occurs before validation, and outnumbers all else there.
        lines = [f"{i % 2},{i},{'old' if i < 60 else 'new'}{i % 3}" for i in range(100)]
        schema = Schema("click", (CategoricalFeature("user", 100),), (), "ts")
        folder, manifest = self._from_csv("\n".join(["click,ts,user", *lines]) + "\n", schema)
        self.assertEqual(manifest.vocabulary_sizes, {"user": 3})
        self.assertEqual(set(read_split(folder, "train")["ids"][:, 0].tolist()), {1, 2, 3})
        self.assertEqual(set(read_split(folder, "validation")["ids"][:, 0].tolist()), {0})
        self.assertEqual(set(read_split(folder, "test")["ids"][:, 0].tolist()), {0})

    def test_values_whose_every_row_was_left_out_are_unseen(self) -> None:
        lines = [f"{i % 2},{i},{'no' if i % 2 == 0 else 'yes'}" for i in range(1000)]
        schema = Schema("click", (CategoricalFeature("user", 100),), (), "ts")
        _, manifest = self._from_csv("\n".join(["click,ts,user", *lines]) + "\n", schema, negative_rate=0.5)
        self.assertEqual(manifest.vocabulary_sizes, {"user": 2})
        with self.assertRaisesRegex(InputError, "every label of the train split is 1"):
            self._from_csv("\n".join(["click,ts,user", *lines]) + "\n", schema, negative_rate=1e-9)

    def test_weights_and_ratings(self) -> None:
        rng = np.random.default_rng(3)
        weight, rating = np.round(rng.exponential(size=300), 3), rng.integers(1, 11, 300) / 2
        lines = [f"{r},{i},{w}" for i, (r, w) in enumerate(zip(rating, weight, strict=True))]
        schema = Schema("stars", (CategoricalFeature("n", 1000, "id"),), weight="w", label_at_least=3.5)
        folder, manifest = self._from_csv("\n".join(["stars,n,w", *lines]) + "\n", schema)
        self.assertEqual(sum(split.clicks for split in manifest.splits.values()), int((rating >= 3.5).sum()))
        for split in SPLITS:
            rows = read_split(folder, split)
            number = rows["ids"][:, 0]
            self.assertAllEqual(rows["weight"][:, 0], weight[number].astype(np.float32))
            self.assertAllEqual(rows["label"][:, 0], rating[number] >= 3.5)
        self.assertEqual(ClickData.open(folder).manifest.schema, schema)

    def test_sources_and_their_hash(self) -> None:
        lines = "\n".join(["click,user", *(f"{i % 2},u{i % 5}" for i in range(100))])
        schema = Schema("click", (CategoricalFeature("user", 10),))
        hashes = []
        for content in (lines, lines, lines + "\n"):
            _, manifest = self._from_csv(content, schema)
            sha256 = hashlib.sha256(content.encode()).hexdigest()
            (raw,) = manifest.sources
            self.assertEqual((raw.file, raw.bytes, raw.sha256, raw.rows), ("log.csv", len(content), sha256, 100))
            expected = hashlib.sha256(json.dumps([sha256]).encode()).hexdigest()[:16]
            self.assertEqual(manifest.source_hash, expected)
            hashes.append((manifest.source_hash, manifest.data_hash))
        self.assertEqual(hashes[0], hashes[1])
        self.assertNotEqual(hashes[0][0], hashes[2][0])
        self.assertEqual(hashes[0][1], hashes[2][1])  # the same rows

    def test_dense_transforms(self) -> None:
        rng = np.random.default_rng(6)
        raw = rng.normal(3, 5, (1000, 3))
        raw[rng.random((1000, 3)) < 0.1] = np.nan
        raw[:, 2] = 0.1
        raw[-1, 2] = 5.0  # in the test split: the training values are constant
        log = numbered(1000, np.arange(1000))
        schema = Schema(
            "click", BY_NUMBER.categorical,
            (DenseFeature("log"), DenseFeature("standard", "standardize"), DenseFeature("flat", "standardize")), "ts",
        )  # fmt: skip
        folder = self._folder()
        manifest = prepare(source_of(dataclasses.replace(log, dense=raw), schema=schema), folder)
        training = raw[read_split(folder, "train")["ids"][:, 0]]
        self.assertLess(len(training), 900)
        mean, deviation = np.nanmean(training, axis=0), np.nanstd(training, axis=0)
        self.assertAllClose(manifest.dense_mean, mean, rtol=1e-12)
        self.assertAllClose(manifest.dense_deviation[:2], deviation[:2], rtol=1e-12)
        self.assertEqual(manifest.dense_deviation[2], 0.0)
        for split in SPLITS:
            rows = read_split(folder, split)
            x = raw[rows["ids"][:, 0]]
            self.assertAllClose(
                rows["dense"][:, 0], np.nan_to_num(np.log1p(np.where(x[:, 0] < 0, 0, x[:, 0]))), rtol=1e-6
            )
            standard = np.nan_to_num((x[:, 1] - mean[1]) / deviation[1])
            self.assertAllClose(rows["dense"][:, 1], standard, rtol=1e-5, atol=1e-6)
            self.assertAllClose(rows["dense"][:, 2], x[:, 2] - 0.1, atol=1e-6)

    def test_column_that_is_never_known_is_zero(self) -> None:
        log = numbered(200)
        schema = Schema("click", BY_NUMBER.categorical, (DenseFeature("a"), DenseFeature("b", "standardize")))
        folder = self._folder()
        prepare(source_of(dataclasses.replace(log, dense=np.full((200, 2), np.nan)), schema=schema), folder)
        self.assertAllEqual(
            read_split(folder, "train")["dense"], np.zeros((ClickData.open(folder).manifest.splits["train"].rows, 2))
        )

    # -- what is refused, and what is left behind

    def test_options_that_are_off(self) -> None:
        for options, message in (
            ({"validation": 0.5, "test": 0.5}, "both must be above 0, and their sum below 1"),
            ({"negative_rate": 0.0}, "the rate of kept negatives is 0.0"),
            ({"split_by": "time"}, "a split by time needs a time column, and the schema names none"),
        ):
            folder = self._folder()
            with self.assertRaisesRegex(InputError, message):
                prepare(source_of(numbered(100)), folder, **options)
            self.assertEqual([*folder.parent.iterdir()], [])

    def test_empty_splits_and_logs(self) -> None:
        folder = self._folder()
        for source in (source_of(), source_of(numbered(0))):
            with self.assertRaisesRegex(InputError, "the log: no rows"):
                prepare(source, folder)
        named = RowsSource(BY_NUMBER, (), (RawFile("a.csv", 0, ""), RawFile("b.csv", 0, "")))
        with self.assertRaisesRegex(InputError, r"a\.csv, b\.csv: no rows"):
            prepare(named, folder)
        with self.assertRaisesRegex(InputError, "the validation split is empty"):
            prepare(source_of(numbered(100)), folder, validation=1e-9)
        with self.assertRaisesRegex(InputError, "the train split is empty"):
            prepare(source_of(numbered(100, np.zeros(100, np.int64)), schema=BY_TIME), folder)
        self.assertFalse(folder.exists())

    @parameterized.parameters(("train", slice(0, 85)), ("validation", slice(85, 90)), ("test", slice(90, 100)))
    def test_split_with_one_label_is_refused(self, split: str, rows: slice) -> None:
        log = numbered(100, np.arange(100))
        log.label[:] = np.arange(100) % 2
        log.label[rows] = 1
        folder = self._folder()
        with self.assertRaisesRegex(InputError, f"every label of the {split} split is 1"):
            prepare(source_of(log, schema=BY_TIME), folder)
        self.assertFalse(folder.exists())

    def test_rejected_rows_are_listed_and_counted(self) -> None:
        good = [f"{i % 2},{i},u" for i in range(100)]
        text = "\n".join(["click,age,user", *good, "2,1,a\tb", "1,old,it's é", "1,1", *good]) + "\n"
        schema = Schema("click", (CategoricalFeature("user", 10),), (DenseFeature("age"),))
        folder, manifest = self._from_csv(text, schema, max_bad_rows=5)
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
        prepare(source_of(numbered(200)), folder)
        self.assertFalse((folder / "rejected.tsv").exists())


if __name__ == "__main__":
    tf.test.main()
