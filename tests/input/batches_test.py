"""Batches against NumPy slices of the rows as they were prepared."""

# mypy: allow-untyped-calls
# (absl has no types)

import dataclasses
import itertools
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from tensorflow.python.data.experimental.ops import distribute

from tests.helpers.studies import BY_NUMBER, BY_TIME, RowsSource, numbered, source_of, stored, stored_scores
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.batches import batches, sampled_errors
from tfrs_scaling.input.history import find_history, rows_held_apart, rows_sampled
from tfrs_scaling.input.manifest import SPLITS, SplitBy, SplitName
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.rows import NO_CODE, Rows
from tfrs_scaling.input.prepare.split import Sizes
from tfrs_scaling.input.pruning import Pruning, at_random, by_error
from tfrs_scaling.input.row_scores import Cost, RowScores, ScoresManifest, write_manifest, write_scores
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.training.isolation import run_isolated

SCHEMA = Schema(
    "click",
    (CategoricalFeature("row", 100_000, "id"), CategoricalFeature("tags", 50, "id", max_values=3, separator="|")),
    (DenseFeature("a"), DenseFeature("b")),
)
PLAIN = Schema("click", (CategoricalFeature("row", 100_000, "id"),))
NAMES = ("dense", "ids", "label", "weight")


def _log(count: int, *, dense: bool = True) -> Rows:
    rng = np.random.default_rng(12)
    tags = rng.integers(0, 2**31 - 1, (count, 3)).astype(np.uint64)
    tags[np.arange(3) >= rng.integers(1, 4, count)[:, None]] = NO_CODE
    label = rng.integers(0, 2, count).astype(np.uint8)
    row = np.arange(count)
    if not dense:
        return Rows(row, label, np.empty((count, 0)), row[:, None].astype(np.uint64))
    codes = np.concatenate([row[:, None].astype(np.uint64), tags], axis=1)
    return Rows(row, label, rng.exponential(size=(count, 2)), codes)


def _ids(log: Rows) -> np.ndarray:
    return np.where(log.codes == NO_CODE, -1, log.codes.astype(np.int64))


class PipelineTest(parameterized.TestCase, tf.test.TestCase):
    """What the model is fed."""

    def _data(self, count: int = 1000, rows_per_record: int = 64, *, dense: bool = True) -> ClickData:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "data"
        source = RowsSource(SCHEMA if dense else PLAIN, (_log(count, dense=dense),))
        sizes = Sizes(rows_per_record=rows_per_record, records_per_shard=3)
        prepare(source, folder, validation=0.1, test=0.2, sizes=sizes)
        return ClickData.open(folder)

    def _stored(self, data: ClickData, split: SplitName) -> np.ndarray:
        """Row numbers of the log in the order of the shards, decoded without the package."""
        numbers = []
        for file in data.files(split):
            for record in tf.data.TFRecordDataset(file):
                value = tf.train.Example.FromString(record.numpy()).features.feature["ids"].bytes_list.value[0]
                numbers.append(np.frombuffer(value, "<i4").reshape(-1, data.manifest.schema.slots[-1].stop)[:, 0])
        return np.concatenate(numbers)

    def _collected(self, dataset: tf.data.Dataset) -> dict[str, np.ndarray]:
        collected = list(dataset.as_numpy_iterator())
        return {name: np.concatenate([batch[name] for batch in collected]) for name in NAMES}

    @parameterized.parameters((64, 32), (64, 50), (64, 64), (64, 200), (7, 100), (4096, 33))
    def test_batches_are_slices_of_the_stored_rows(self, rows_per_record: int, batch: int) -> None:
        data, log = self._data(rows_per_record=rows_per_record), _log(1000)
        for split in SPLITS:
            order = self._stored(data, split)
            whole = len(order) // batch * batch
            for train in (True, False):
                fed_batches = batches(data, split, batch, (100_000, 2**31 - 1), train=train)
                count = whole if train else len(order)
                if not count:
                    self.assertEmpty(list(fed_batches))
                    continue
                fed = self._collected(fed_batches)
                order_fed = order[:count]
                self.assertLen(fed["label"], whole if train else -(-len(order) // batch) * batch)
                self.assertAllEqual(fed["label"][:count], log.label[order_fed])
                self.assertAllEqual(fed["ids"][:count], _ids(log)[order_fed])
                self.assertAllClose(fed["dense"][:count], np.log1p(log.dense[order_fed]), rtol=1e-6)
                self.assertAllEqual(fed["weight"], [1.0] * count + [0.0] * (len(fed["label"]) - count))

    @parameterized.product(train=[True, False], split=SPLITS)
    def test_shapes_are_static_and_types_right(self, train: bool, split: SplitName) -> None:
        spec = batches(self._data(), split, 48, (10, 10), train=train).element_spec
        self.assertEqual(spec, {
            "dense": tf.TensorSpec((48, 2), tf.float32), "ids": tf.TensorSpec((48, 4), tf.int32),
            "label": tf.TensorSpec((48,), tf.float32), "weight": tf.TensorSpec((48,), tf.float32),
        })  # fmt: skip

    def test_ids_lie_in_the_rows_of_their_table(self) -> None:
        # V = 1/4 of 100 and 12 rows: tables of 25 and 3; the id i lies in row i % rows.
        data, log = self._data(), _log(1000)
        fed = self._collected(batches(data, "train", 10, (25, 3), train=True))
        for i, number in enumerate(self._stored(data, "train")[: len(fed["ids"])]):
            row, *tags = _ids(log)[number].tolist()
            self.assertEqual(fed["ids"][i].tolist(), [row % 25, *(-1 if tag == -1 else tag % 3 for tag in tags)])
        self.assertTrue((fed["ids"] == -1).any())

    def test_table_of_one_row_and_largest_table(self) -> None:
        fed = self._collected(batches(self._data(), "test", 64, (1, 2**31 - 1), train=False))
        self.assertAllEqual(fed["ids"][:, 0], np.zeros(len(fed["ids"])))
        self.assertGreater(fed["ids"][:, 1].max(), 2**30)

    def test_no_dense_feature_gives_a_constant_one(self) -> None:
        fed = self._collected(batches(self._data(dense=False), "train", 32, (1000,), train=True))
        self.assertAllEqual(fed["dense"], np.ones((len(fed["label"]), 1)))
        filled = self._collected(batches(self._data(dense=False), "test", 4096, (1000,), train=False))
        self.assertEqual(filled["dense"].shape, (4096, 1))

    def test_every_pass_is_the_same(self) -> None:
        dataset = batches(self._data(), "train", 32, (1000, 1000), train=True)
        first, second = self._collected(dataset), self._collected(dataset)
        for name in NAMES:
            self.assertAllEqual(first[name], second[name])

    def test_filling_rows_stay_inside_the_tables(self) -> None:
        data = self._data()
        fed = self._collected(batches(data, "test", 4096, (7, 5), train=False))
        count = data.manifest.splits["test"].rows
        self.assertEqual(fed["weight"].sum(), count)
        self.assertAllInRange(fed["ids"][count:], 0, 4)
        self.assertAllEqual(fed["dense"][count:], np.zeros((4096 - count, 2)))

    def test_ladder_is_prefixes(self) -> None:
        data, log = self._data(), _log(1000)
        order = self._stored(data, "train")
        for negative_rate in (1.0, 0.5):
            dataset = batches(data, "train", 32, (100_000, 50), train=True, negative_rate=negative_rate)
            whole = self._collected(dataset)["ids"][:, 0].tolist()
            for steps in (1, 2, 7):
                rung = self._collected(dataset.take(steps))["ids"][:, 0].tolist()
                self.assertEqual(rung, whole[: 32 * steps])
            if negative_rate == 1:
                self.assertEqual(whole, order[: len(whole)].tolist())
            else:  # what is left of that order
                fed = set(whole)
                self.assertEqual(whole, [row for row in order.tolist() if row in fed])
                passed = order[: order.tolist().index(whole[-1]) + 1]
                self.assertContainsSubset(passed[log.label[passed] == 1].tolist(), fed)

    def test_no_row_of_an_evaluated_split_is_lost(self) -> None:
        data = self._data()
        for split in ("validation", "test"):
            for size in (1, 33, 64, 1000):
                fed = self._collected(batches(data, split, size, (100_000, 50), train=False))
                self.assertEqual(fed["weight"].sum(), data.manifest.splits[split].rows)
                rows = fed["ids"][fed["weight"] > 0, 0]
                self.assertLen(set(rows.tolist()), len(rows))
                self.assertEqual(set(rows.tolist()), set(self._stored(data, split).tolist()))

    def test_weight_column_is_the_batch_s_weight_and_filling_rows_have_none(self) -> None:
        schema = dataclasses.replace(PLAIN, weight="importance")
        weight = np.array([0.0, 0.5, 3.0, 1.0, 7.0], np.float32)
        columns: dict[str, np.ndarray] = {
            "label": np.array([[0], [1], [0], [1], [1]], np.uint8),
            "ids": np.arange(5, dtype=np.int32)[:, None],
            "weight": weight[:, None],
        }
        folder = Path(self.get_temp_dir()) / "weighted"
        data = stored(folder, schema, dict.fromkeys(SPLITS, columns))
        for train, batch, expected in ((True, 2, weight[:4]), (False, 4, [*weight, 0, 0, 0])):
            fed = self._collected(batches(data, "test", batch, (5,), train=train))
            self.assertAllEqual(fed["weight"], expected)
        sampled = self._collected(batches(data, "train", 1, (5,), train=True, negative_rate=1e-6))
        self.assertAllEqual(sampled["weight"], [0.5, 1.0, 7.0])

    def test_left_out_features_are_left_out_and_the_others_stay_as_they_are(self) -> None:
        data = self._data()
        row, tags = SCHEMA.categorical
        a, b = SCHEMA.dense
        whole = self._collected(batches(data, "train", 32, (1000, 7), train=True))
        for dense, categorical, dense_columns, id_columns, table_rows in (
            ((b,), (row, tags), [1], [0, 1, 2, 3], (1000, 7)),
            ((a, b), (tags,), [0, 1], [1, 2, 3], (7,)),
            ((), (row,), None, [0], (1000,)),
        ):
            schema = Schema("click", categorical, dense)
            fed = self._collected(batches(data, "train", 32, table_rows, train=True, schema=schema))
            expected = np.ones((len(whole["label"]), 1)) if dense_columns is None else whole["dense"][:, dense_columns]
            self.assertAllEqual(fed["dense"], expected)
            self.assertAllEqual(fed["ids"], whole["ids"][:, id_columns])
            self.assertAllEqual(fed["label"], whole["label"])

    def _kept(self, data: ClickData, rate: float, batch: int = 1) -> list[int]:
        dataset = batches(data, "train", batch, (100_000, 50), train=True, negative_rate=rate)
        many = list(dataset.batch(4096).as_numpy_iterator())  # iterating over batches of one row takes seconds
        return [int(row) for batches_of_ids in many for row in batches_of_ids["ids"][..., 0].ravel()]

    def test_sampling_keeps_every_click_and_that_share_of_the_others(self) -> None:
        data, log = self._data(20_000, rows_per_record=512), _log(20_000)
        order = self._stored(data, "train")
        clicks, others = order[log.label[order] == 1], order[log.label[order] == 0]
        for rate in (0.5, 0.25, 1 / 64):
            kept = np.array(self._kept(data, rate))
            self.assertEqual(set(kept[log.label[kept] == 1].tolist()), set(clicks.tolist()))
            negatives = int((log.label[kept] == 0).sum())
            self.assertNear(negatives, rate * len(others), 4 * (rate * (1 - rate) * len(others)) ** 0.5)
            # The rows kept lie evenly among the others: in no record more, at no place in the records more.
            place = np.flatnonzero(np.isin(order, kept[log.label[kept] == 0]))
            for part in (place // 512, place % 512):
                span = part.max() + 1
                self.assertNear(part.mean() / span, 0.5, 4 * 0.289 / negatives**0.5 + 0.02)

    def test_row_that_a_rate_keeps_every_higher_rate_keeps(self) -> None:
        data = self._data(5000)
        smaller: set[int] = set()
        for rate in (1 / 64, 1 / 8, 1 / 4, 0.3, 0.9, 1.0):
            kept = set(self._kept(data, rate))
            self.assertContainsSubset(smaller, kept)
            smaller = kept
        self.assertEqual(smaller, set(self._stored(data, "train").tolist()))

    def test_sampling_depends_on_the_seed_of_the_data_and_not_on_the_batches(self) -> None:
        data = self._data()
        kept = self._kept(data, 0.25)
        self.assertEqual(self._kept(data, 0.25), kept)
        self.assertEqual(self._kept(data, 0.25, batch=48), kept[: len(kept) // 48 * 48])
        other = dataclasses.replace(data, manifest=dataclasses.replace(data.manifest, seed=2**70 + 1))
        self.assertNotEqual(self._kept(other, 0.25), kept)

    def test_records_of_which_nothing_is_left(self) -> None:
        data, log = self._data(rows_per_record=2), _log(1000)
        order = self._stored(data, "train")
        self.assertEqual(self._kept(data, 1e-9), order[log.label[order] == 1].tolist())

    @parameterized.parameters(48, 50)  # 50 rows over two replicas, and over four, which get 13, 13, 12 and 12
    def test_replicas_share_the_rows_of_each_batch(self, batch: int) -> None:
        data = self._data()
        for split, train in (("train", True), ("test", False)):
            whole = batches(data, split, batch, (100_000, 50), train=train)
            expected = [rows.tolist() for rows in whole.map(_row_and_weight).as_numpy_iterator()]
            for replicas in (2, 4):
                log = Path(self.get_temp_dir()) / "log.txt"
                arguments = (data.folder, split, batch, train, replicas)
                shares = run_isolated(_shares, arguments, log, print, threading.Event())
                self.assertEqual([[row for share in step for row in share] for step in shares], expected)
                self.assertEqual({len(step) for step in shares}, {replicas})

    @parameterized.parameters((2, 1), (2, 2), (3, 1))
    def test_workers_share_the_rows_of_each_batch(self, workers: int, replicas_each: int) -> None:
        # Passes over a rung's rows in a seed's order, as epochs are made.
        data = self._data()
        self.assertGreater(len(data.files("train")), workers)  # by files each worker would read some of them
        replicas = workers * replicas_each
        for split, train in (("train", True), ("test", False)):
            whole = batches(data, split, 48, (100_000, 50), train=train, order_seed=6 if train else None)
            whole = whole.take(9).repeat(2)
            policy = whole.options().experimental_distribute.auto_shard_policy
            self.assertEqual(policy, tf.data.experimental.AutoShardPolicy.DATA)
            shares = []
            for worker in range(workers):  # as a strategy's DistributedDataset does on each worker
                sizes = distribute.batch_sizes_for_worker(48, workers, replicas_each, worker)
                shard = distribute._AutoShardDataset(whole.rebatch(sizes).prefetch(2), workers, worker, replicas)
                shares.append([rows.tolist() for rows in shard.map(_row_and_weight).as_numpy_iterator()])
            expected = [rows.tolist() for rows in whole.map(_row_and_weight).as_numpy_iterator()]
            self.assertEqual({len(share) for share in shares}, {len(expected) * replicas_each})
            for step, rows in enumerate(expected):
                here = slice(step * replicas_each, (step + 1) * replicas_each)
                got = [row for share in shares for part in share[here] for row in part]
                self.assertCountEqual(map(tuple, got), map(tuple, rows))

    def _ordered(self, data: ClickData, seed: int | None, batch: int = 1, rate: float = 1.0) -> list[int]:
        dataset = batches(data, "train", batch, (100_000, 50), train=True, negative_rate=rate, order_seed=seed)
        rows: list[int] = self._collected(dataset.unbatch().batch(4096))["ids"][:, 0].tolist()
        return rows

    def test_order_of_a_seed_is_whole_records_at_random_and_their_rows_at_random(self) -> None:
        data = self._data(2000)
        stored_rows = self._stored(data, "train").tolist()
        # Files hold 3 records of 64 rows, but for the last record of each.
        starts = np.cumsum([0, *(min(64, s.rows - first) for s in data.manifest.splits["train"].shards
                                 for first in range(0, s.rows, 64))])  # fmt: skip
        records = [stored_rows[a:b] for a, b in itertools.pairwise(starts)]
        self.assertGreater(len({len(record) for record in records}), 1)
        seen = set()
        for seed in (0, 1, 2**31 - 1):
            rows = self._ordered(data, seed)
            self.assertEqual(self._ordered(data, seed), rows)
            self.assertCountEqual(rows, stored_rows)
            self.assertNotEqual(rows, stored_rows)
            position = 0
            for number in np.random.default_rng(seed).permutation(len(records)):
                record = records[number]
                self.assertCountEqual(rows[position : position + len(record)], record)
                if len(record) > 10:
                    self.assertNotEqual(rows[position : position + len(record)], record)
                position += len(record)
            seen.add(tuple(rows))
        self.assertLen(seen, 3)

    def test_first_rows_of_two_seeds_are_two_samples(self) -> None:
        # Of n rows drawn twice out of N without replacement n^2 / N are expected in both.
        data = self._data(2000, rows_per_record=8)
        count, drawn = data.manifest.splits["train"].rows, 320
        first = [set(self._ordered(data, seed)[:drawn]) for seed in range(12)]
        shared = [len(a & b) for a, b in itertools.combinations(first, 2)]
        self.assertNear(np.mean(shared), drawn**2 / count, 15)

    def test_columns_of_a_row_travel_together_and_rungs_are_prefixes_in_any_order(self) -> None:
        data, log = self._data(), _log(1000)
        for rate in (1.0, 0.5):
            dataset = batches(data, "train", 32, (100_000, 2**31 - 1), train=True, negative_rate=rate, order_seed=4)
            fed = self._collected(dataset)
            rows = fed["ids"][:, 0]
            self.assertAllEqual(fed["ids"], _ids(log)[rows])
            self.assertAllEqual(fed["label"], log.label[rows])
            self.assertAllClose(fed["dense"], np.log1p(log.dense[rows]), rtol=1e-6)
            self.assertEqual(self._ordered(data, 4, 48, rate), self._ordered(data, 4, 1, rate)[: len(rows) // 48 * 48])
            self.assertEqual(self._collected(dataset.take(3))["ids"][:, 0].tolist(), rows[:96].tolist())

    def test_sampling_keeps_the_same_rows_in_any_order(self) -> None:
        data, log = self._data(5000, rows_per_record=4096), _log(5000)
        kept = self._kept(data, 0.25)
        for seed in (0, 1, data.manifest.seed):
            rows = self._ordered(data, seed, rate=0.25)
            self.assertCountEqual(rows, kept)
            self.assertEqual(rows, [row for row in self._ordered(data, seed) if row in set(kept)])
            # Clicks, of which all are kept, and other rows, of which few are, stand among each other: were the draws
            # that shuffle the rows those that sample negatives, negatives would come first.
            place = np.arange(len(rows)) / len(rows)
            clicks = log.label[rows] == 1
            difference = place[clicks].mean() - place[~clicks].mean()
            self.assertNear(difference, 0, 4 * 0.289 * (1 / clicks.sum() + 1 / (~clicks).sum()) ** 0.5)

    def _split_in_two(self, data: ClickData, rows: int, seed: int | None = None) -> list[list[int]]:
        """The rows that a history of so many holds apart, and the others."""
        history = find_history(data, rows)
        both = [batches(data, "train", 1, (2**20,), train=True, order_seed=seed, history=history, old=old)
                for old in (True, False)]  # fmt: skip
        return [self._collected(part.unbatch().batch(4096))["ids"][:, 0].tolist() for part in both]

    def test_history_is_the_oldest_rows_where_the_split_is_by_time_and_drawn_elsewhere(self) -> None:
        time = np.random.default_rng(4).integers(0, 40, 6000)  # moments of 150 rows, of which one is divided
        cases: tuple[tuple[SplitBy, Schema], ...] = (("time", BY_TIME), ("random", BY_NUMBER))
        for split_by, schema in cases:
            folder = Path(self.get_temp_dir()) / split_by
            log = numbered(6000, time if split_by == "time" else None)
            prepare(source_of(log, schema=schema), folder, split_by=split_by, sizes=Sizes(rows_per_record=64))
            data = ClickData.open(folder)
            smaller: set[int] = set()
            for rows in (500, 2000):
                total = data.manifest.splits["train"].rows
                expected, left = rows_held_apart(total, rows, rows_sampled(data.manifest))
                old, new = self._split_in_two(data, rows)
                self.assertCountEqual(old + new, self._stored(data, "train"))
                self.assertBetween(len(old), rows, 2 * expected - rows)
                self.assertGreaterEqual(len(new), left)
                self.assertContainsSubset(smaller, old)
                smaller = set(old)
                for part, ordered in zip((old, new), self._split_in_two(data, rows, seed=3), strict=True):
                    self.assertCountEqual(part, ordered)
                    self.assertNotEqual(part, ordered)
            if split_by == "time":
                self.assertEqual(time[old].max(), time[new].min())
            else:
                self.assertNear(np.mean(old), np.mean(new), 4 * 6000 * 0.289 * (1 / len(old) + 1 / len(new)) ** 0.5)

    def test_scores_travel_with_their_rows(self) -> None:
        data, folder = self._data(), Path(self.get_temp_dir()) / "scores"
        folder.mkdir()
        stored_rows = np.split(
            self._stored(data, "train") / 1000, np.cumsum([s.rows for s in data.manifest.splits["train"].shards])
        )
        written = [write_scores(folder, number, np.split(rows, range(64, len(rows), 64)))
                   for number, rows in enumerate(stored_rows[:-1])]  # fmt: skip
        cost = Cost(64, 700, 1.0, 1.0, 1.0, 0.9, 0.9)
        write_manifest(folder, ScoresManifest(1, {"by": "test"}, tuple(written), cost, "0"))
        shards = data.manifest.splits["train"].shards
        scores = RowScores.open(folder, {"by": "test"}, shards)
        for seed, rate, history in ((None, 1.0, None), (3, 0.5, find_history(data, 100))):
            fed = batches(
                data, "train", 32, (2**20, 10), train=True, order_seed=seed, negative_rate=rate, history=history,
                scores=scores,
            )  # fmt: skip
            for batch in fed.as_numpy_iterator():
                self.assertAllEqual(batch["score"], (batch["ids"][:, 0] / 1000).astype(np.float32))
        with self.assertRaisesRegex(InputError, "request: is not what the study asks for; delete this folder"):
            RowScores.open(folder, {"by": "another"}, shards)
        with self.assertRaisesRegex(InputError, "other numbers of rows than the data's"):
            RowScores.open(folder, {"by": "test"}, shards[:-1])
        file = Path(scores.files[0])
        content = file.read_bytes()
        file.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
        with self.assertRaisesRegex(tf.errors.DataLossError, "corrupted record"):
            list(batches(data, "train", 32, (2**20, 10), train=True, scores=scores).as_numpy_iterator())
        for damage in (lambda: None, lambda: file.write_bytes(content[:-1]), file.unlink):  # nothing: it is damaged yet
            damage()
            with self.assertRaisesRegex(InputError, "scores.tfrecord-00000: is missing, or its bytes are not those"):
                RowScores.open(folder, {"by": "test"}, shards)

    def test_hard_rows_are_those_whose_labels_were_flipped_and_weights_undo_it(self) -> None:
        rng = np.random.default_rng(8)
        count = 40_000
        truth, flipped = np.where(rng.random(count) < 0.3, 0.9, 0.05), rng.random(count) < 0.1
        label = (rng.random(count) < truth) ^ flipped
        columns: dict[str, np.ndarray] = {
            "label": label[:, None].astype(np.uint8), "ids": np.arange(count, dtype=np.int32)[:, None],
        }  # fmt: skip
        data = stored(Path(self.get_temp_dir()) / "flipped", PLAIN, dict.fromkeys(SPLITS, columns))
        history = find_history(data, 8000)
        # Of a scorer that learned from rows with as many flipped labels.
        scores = stored_scores(Path(self.get_temp_dir()) / "p", data, truth + 0.1 * (1 - 2 * truth))
        errors = sampled_errors(data, scores, history)

        def fed(**how: Any) -> dict[str, np.ndarray]:
            rows = batches(data, "train", 4096, (2**20,), train=False, history=history, **how)
            self.assertEqual(set(rows.element_spec), set(NAMES))
            found = self._collected(rows)
            return {name: column[found["weight"] > 0] for name, column in found.items()}

        new = fed()["ids"][:, 0]
        exact = np.abs(label - truth - 0.1 * (1 - 2 * truth))
        self.assertAllClose(np.sort(errors), np.sort(exact[new]), atol=1e-6)

        def kept(pruning: Pruning, seed: int | None = 5) -> dict[str, np.ndarray]:
            return fed(order_seed=seed, scores=scores if pruning.slope else None, pruning=pruning)

        smaller: set[int] = set()
        for share in (0.25, 0.5):
            enriched = {}
            for by, pruning in (
                ("hard", by_error(share, errors, largest=True)),
                ("easy", by_error(share, errors, largest=False)),
                ("random", at_random(share)),
            ):
                rows = kept(pruning)
                ids = rows["ids"][:, 0]
                # Each is drawn on its own: the variance is that of a random share at most.
                self.assertNear(len(ids), share * len(new), 4 * (share * (1 - share) * len(new)) ** 0.5)
                enriched[by] = flipped[ids].mean()
                chance = np.minimum(1, pruning.intercept + pruning.slope * exact[new])
                expected = np.average(flipped[new], weights=chance)
                self.assertNear(enriched[by], expected, 4 * (expected * (1 - expected) / len(ids)) ** 0.5)
                self.assertNear(np.average(rows["label"], weights=rows["weight"]), label[new].mean(), 0.02)
                self.assertNear(rows["weight"].mean(), 1, 0.04)
                self.assertLessEqual(rows["weight"].max(), 4)
                if by == "hard":
                    self.assertGreater(abs(rows["label"].mean() - label[new].mean()), 0.05)
                    self.assertContainsSubset(smaller, set(ids.tolist()))
                    smaller = set(ids.tolist())
                    self.assertCountEqual(ids.tolist(), kept(pruning, None)["ids"][:, 0].tolist())
                else:
                    self.assertEqual(set(rows["weight"].tolist()) == {1.0}, by == "random")
            self.assertGreater(enriched["hard"], 1.5 * enriched["random"])
            self.assertLess(enriched["easy"], enriched["random"])

    def test_flipped_byte_in_a_shard_is_an_error_not_a_row(self) -> None:
        data = self._data()
        file = Path(data.files("train")[0])
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))
        with self.assertRaisesRegex(tf.errors.DataLossError, "corrupted record"):
            self._collected(batches(data, "train", 32, (10, 10), train=True))

    def test_one_table_too_few(self) -> None:
        with self.assertRaises(ValueError):
            batches(self._data(), "train", 32, (10,), train=True)


def _row_and_weight(batch: dict[str, tf.Tensor]) -> tf.Tensor:
    """Float32 [batch, 2]: the number of the row in the log, and its weight."""
    return tf.stack([tf.cast(batch["ids"][:, 0], tf.float32), batch["weight"]], axis=1)


def _shares(
    folder: Path, split: SplitName, batch: int, train: bool, replicas: int, report: Callable[[Any], None]
) -> list[list[list[list[float]]]]:
    """Per step and replica, the rows that the replica gets."""
    devices = [tf.config.LogicalDeviceConfiguration() for _ in range(replicas)]
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{k}" for k in range(replicas)])
    dataset = batches(ClickData.open(folder), split, batch, (100_000, 50), train=train).map(_row_and_weight)
    return [
        [part.numpy().tolist() for part in strategy.experimental_local_results(step)]
        for step in strategy.experimental_distribute_dataset(dataset)
    ]


if __name__ == "__main__":
    tf.test.main()
