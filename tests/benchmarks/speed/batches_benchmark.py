"""How fast batches come out of row groups, against row-wise records of the same clicks."""

import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf
import tensorflow_datasets as tfds

from tfrs_scaling.config import read_config
from tfrs_scaling.input.batches import batches
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import SyntheticSource
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import ClickData

CONFIG = Path(__file__).parents[3] / "tuner_configs" / "study.yaml"
REPEATS = 2


class PipelineBenchmark(tf.test.Benchmark):
    """Rows per second, the best of a few passes over the study's training split."""

    def __init__(self) -> None:
        super().__init__()
        settings = read_config(CONFIG).synthetic
        assert settings is not None
        folder = Path(tempfile.mkdtemp())
        prepare(SyntheticSource(settings), folder / "data", seed=settings.seed)
        self._data = ClickData.open(folder / "data")
        self._rows = tuple(feature.cardinality for feature in settings.schema().categorical)
        self._row_wise = str(folder / "clicks-test.tfrecord-00000-of-00001")
        self._rows_written = self._data.manifest.splits["test"].rows
        with tf.io.TFRecordWriter(self._row_wise) as writer:
            for batch in batches(self._data, "test", 1, self._rows, train=False).as_numpy_iterator():
                features = {
                    "dense": tf.train.Feature(float_list=tf.train.FloatList(value=batch["dense"][0])),
                    "ids": tf.train.Feature(int64_list=tf.train.Int64List(value=batch["ids"][0])),
                    "label": tf.train.Feature(float_list=tf.train.FloatList(value=batch["label"])),
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
        self._specs = {
            "dense": tf.io.FixedLenFeature([len(settings.schema().dense)], tf.float32),
            "ids": tf.io.FixedLenFeature([len(self._rows)], tf.int64),
            "label": tf.io.FixedLenFeature([], tf.float32),
        }

        self._describe_to_tfds(folder, settings.schema())

    def _describe_to_tfds(self, folder: Path, schema: Schema) -> None:
        """Let TensorFlow Datasets read the row-wise file."""
        features = {
            "dense": tfds.features.Tensor(shape=(len(schema.dense),), dtype=tf.float32),
            "ids": tfds.features.Tensor(shape=(len(schema.categorical),), dtype=tf.int64),
            "label": tfds.features.Scalar(tf.float32),
        }
        template = tfds.core.ShardedFileTemplate(
            data_dir=folder,
            template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            dataset_name="clicks",
            filetype_suffix="tfrecord",
        )
        size = Path(self._row_wise).stat().st_size
        tfds.folder_dataset.write_metadata(
            data_dir=folder,
            features=features,
            split_infos=[tfds.core.SplitInfo("test", [self._rows_written], size, filename_template=template)],
            filename_template=template,
            check_data=False,
        )
        self._tfds = tfds.builder_from_directory(folder).as_dataset(
            split="test", read_config=tfds.ReadConfig(try_autocache=False)
        )

    def benchmark_tfds_example_by_example_in_batches_of_256(self) -> None:
        self._measure(self._tfds.batch(256, drop_remainder=True).prefetch(2), 256)

    def benchmark_row_groups_in_batches_of_256(self) -> None:
        self._measure(batches(self._data, "train", 256, self._rows, train=True), 256)

    def benchmark_row_groups_in_batches_of_16384(self) -> None:
        self._measure(batches(self._data, "train", 16384, self._rows, train=True), 16384)

    def benchmark_row_wise_parsed_by_the_batch_of_256(self) -> None:
        records = tf.data.TFRecordDataset(self._row_wise).batch(256, drop_remainder=True)
        self._measure(records.map(lambda r: tf.io.parse_example(r, self._specs), tf.data.AUTOTUNE).prefetch(2), 256)

    def benchmark_row_wise_parsed_one_by_one_in_batches_of_256(self) -> None:
        records = tf.data.TFRecordDataset(self._row_wise)
        parsed = records.map(lambda r: tf.io.parse_single_example(r, self._specs), tf.data.AUTOTUNE)
        self._measure(parsed.batch(256, drop_remainder=True).prefetch(2), 256)

    def _measure(self, dataset: tf.data.Dataset, batch_size: int) -> None:
        @tf.function
        def count(batches_of_one_pass: Iterable[dict[str, tf.Tensor]]) -> tf.Tensor:
            total = tf.zeros((), tf.int64)
            for _ in batches_of_one_pass:
                total += 1
            return total

        steps, seconds = int(count(dataset)), []
        for _ in range(REPEATS):
            started = time.perf_counter()
            count(dataset)
            seconds.append(time.perf_counter() - started)
        self.report_benchmark(iters=steps, wall_time=min(seconds) / steps, throughput=batch_size * steps / min(seconds))


if __name__ == "__main__":
    tf.test.main()
