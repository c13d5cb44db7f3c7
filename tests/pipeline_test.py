"""Batches against NumPy slices of the rows as they were prepared."""

# mypy: allow-untyped-calls
# (absl has no types)

import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from absl.testing import parameterized

from tests.studies import RowsSource
from tfrs_scaling.input import shards
from tfrs_scaling.input.pipeline import batches
from tfrs_scaling.input.prepare import prepare
from tfrs_scaling.input.rows import NO_CODE, Rows
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.shards import SPLITS, ClickData, SplitName

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

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
        with (
            mock.patch.object(shards, "ROWS_PER_RECORD", rows_per_record),
            mock.patch.object(shards, "RECORDS_PER_SHARD", 3),
        ):
            source = RowsSource(SCHEMA if dense else PLAIN, (_log(count, dense=dense),))
            prepare(source, folder, validation=0.1, test=0.2)
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


if __name__ == "__main__":
    tf.test.main()
