"""A dataset of TFDS against what was put into it; no network."""

# mypy: allow-untyped-calls
# (absl has no types)

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized
from click.testing import CliRunner

from tests.helpers.logs import contents, parsed, sent
from tfrs_scaling.cli.main import main
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs import tfds as tfds_log
from tfrs_scaling.input.logs.formats import open_log
from tfrs_scaling.input.logs.tfds import TfdsLog
from tfrs_scaling.input.logs.values.cells import read
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.shards import ClickData

SCHEMA = Schema(
    "click",
    (
        CategoricalFeature("user/id", 10, "hash"),
        CategoricalFeature("user/new", 3, "id"),
        CategoricalFeature("kind", 3, "id"),
        CategoricalFeature("seen/item", 10, "hash", max_values=3, separator="|"),
        CategoricalFeature("tags", 10, "hash", max_values=2, separator="|"),
        CategoricalFeature("pair", 10, "id", max_values=2, separator="|"),
    ),
    (DenseFeature("price"), DenseFeature("half")),
    "time",
)
FEATURES = {
    "click": np.bool_,
    "time": np.int64,
    "kind": tfds.features.ClassLabel(names=["a", "b"]),
    "user": {"id": tfds.features.Text(), "new": np.uint8},
    "seen": tfds.features.Sequence({"item": np.int64, "weight": np.float32}),
    "tags": tfds.features.Sequence(tfds.features.Text()),
    "pair": tfds.features.Tensor(shape=(2,), dtype=np.int32),
    "price": np.float32,
    "half": np.float16,
    "picture": tfds.features.Image(shape=(2, 2, 1)),
    "packed": tfds.features.Tensor(shape=(None,), dtype=np.int64, encoding="bytes"),
    "grid": tfds.features.Tensor(shape=(2, 2), dtype=np.int64),
}
EXAMPLES_PER_SHARD = 30
SPLITS = {"train": 100, "test": 20}


def _stored(i: int) -> dict[str, list[Any]]:
    """What TFDS stores of example ``i``."""
    return {
        "click": [i % 2],
        "time": [1000 + i],
        "kind": [i // 2 % 2],
        "user/id": [b"u%d" % (i % 7)],
        "user/new": [i % 3 % 2],
        "seen/item": list(range(i % 4)),
        "seen/weight": [0.5] * (i % 4),
        "tags": [b"t"] * (i % 3),
        "pair": [i, i + 1],
        "price": [float("nan") if i % 5 == 0 else i + 0.1],
        "half": [0.5],
        "picture": [b"not even a picture, and never looked at"],
        "packed": [np.arange(i % 4).astype("<i8").tobytes()],
        "grid": [0, 0, 0, 0],
    }


def _row(i: int) -> dict[str, list[str]]:
    """Example ``i`` as the texts of its cells; those of floats are left out."""
    return {
        "click": [str(i % 2)],
        "time": [str(1000 + i)],
        "kind": [str(i // 2 % 2)],
        "user/id": [f"u{i % 7}"],
        "user/new": [str(i % 3 % 2)],
        "seen/item": [str(item) for item in range(i % 4)],
        "tags": ["t"] * (i % 3),
        "pair": [str(i), str(i + 1)],
    }


def _feature(values: Sequence[Any]) -> tf.train.Feature:
    if not values:
        return tf.train.Feature()
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _write_dataset(data_dir: Path) -> None:
    """The dataset ``clicks/small:1.2.0``, in several shards.

    TFDS's own writers need the source code of a dataset; these are the files that they would write.
    """
    folder = data_dir / "clicks" / "small" / "1.2.0"
    folder.mkdir(parents=True)
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder,
        template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        dataset_name="clicks",
        filetype_suffix="tfrecord",
    )
    splits = []
    for name, count in SPLITS.items():
        shards = [range(first, min(first + EXAMPLES_PER_SHARD, count)) for first in range(0, count, EXAMPLES_PER_SHARD)]
        for number, shard in enumerate(shards):
            path = folder / f"clicks-{name}.tfrecord-{number:05d}-of-{len(shards):05d}"
            with tf.io.TFRecordWriter(str(path)) as writer:
                for i in shard:
                    features = {key: _feature(values) for key, values in _stored(i).items()}
                    example = tf.train.Example(features=tf.train.Features(feature=features))
                    writer.write(example.SerializeToString())
        lengths = [len(shard) for shard in shards]
        splits.append(tfds.core.SplitInfo(name=name, shard_lengths=lengths, num_bytes=1000, filename_template=template))
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=tfds.features.FeaturesDict(FEATURES),
        split_infos=splits,
        filename_template=template,
        check_data=False,
    )


class TfdsTest(parameterized.TestCase, tf.test.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.data_dir = Path(tempfile.mkdtemp())
        cls.addClassCleanup(tf.io.gfile.rmtree, str(cls.data_dir))
        _write_dataset(cls.data_dir)

    def _log(self, name: str = "tfds:clicks/small", schema: Schema = SCHEMA) -> TfdsLog:
        return TfdsLog.open(name, schema, str(self.data_dir))

    def _refused(self, name: str, schema: Schema = SCHEMA) -> str:
        with self.assertRaises(InputError) as caught:
            self._log(name, schema)
        return str(caught.exception)

    @parameterized.parameters(True, False)
    def test_cells_are_what_was_stored_in_its_order(self, plainly: bool) -> None:
        with mock.patch.object(tfds_log, "_stored_plainly", lambda *_: plainly):
            blocks = list(read(self._log()))
        self.assertEqual(
            [block.file for block in blocks], ["tfds:clicks/small:1.2.0[train]", "tfds:clicks/small:1.2.0[test]"]
        )
        several = {feature.name for feature in SCHEMA.categorical if feature.separator}
        for block, count in zip(blocks, SPLITS.values(), strict=True):
            self.assertAllEqual(block.ordinals, np.arange(count))
            for name in _row(0):
                cells = [cell.decode() for cell in block.batch.column(name).to_pylist()]
                found = [cell.split("|") if cell else [] for cell in cells] if name in several else [[c] for c in cells]
                self.assertEqual(found, [_row(i)[name] for i in range(count)], name)

    @parameterized.parameters(True, False)
    def test_numbers(self, plainly: bool) -> None:
        with mock.patch.object(tfds_log, "_stored_plainly", lambda *_: plainly):
            rows, rejected = parsed(self._log("tfds:clicks/small[train]"))
        self.assertEmpty(rejected)
        i = np.arange(100)
        np.testing.assert_allclose(rows.dense[:, 0], np.where(i % 5 == 0, np.nan, i + 0.1), rtol=1e-6)
        self.assertAllEqual(rows.dense[:, 1], np.full(100, 0.5))
        self.assertAllEqual(rows.time, 1000 + i)

    def test_values_that_are_stored_in_a_way_of_their_own(self) -> None:
        schema = Schema("click", (CategoricalFeature("packed", 10, "hash", max_values=3, separator="|"),))
        found = [cells.batch.column("packed").to_pylist() for cells in read(self._log("tfds:clicks/small", schema))]
        expected = [b"", b"0", b"0|1", b"0|1|2"]
        self.assertEqual(found, [expected * 25, expected * 5])

    @parameterized.parameters(
        ("tfds:clicks/small:1.2.0", ("train", "test")),
        ("tfds:clicks/small:1.*.*", ("train", "test")),
        ("tfds:clicks/small[test]", ("test",)),
        ("tfds:clicks/small:1.2.0[train]", ("train",)),
    )
    def test_names(self, name: str, splits: tuple[str, ...]) -> None:
        log = self._log(name)
        self.assertEqual((log.dataset, log.splits), ("clicks/small:1.2.0", splits))

    @parameterized.named_parameters(
        ("namespace", "tfds:huggingface:clicks", "their code would be downloaded and run"),
        ("nothing", "tfds:", "not of the form tfds:NAME"),
        ("no_such_dataset", "tfds:mnits", "TFDS cannot provide it: Dataset mnits not found. Did you mean 'mnist'?"),
        ("no_such_config", "tfds:clicks/large", "tfds:clicks/large: TFDS cannot provide it: Dataset clicks not found."),
        ("no_such_version", "tfds:clicks/small:9.9.9", "tfds:clicks/small:9.9.9: TFDS cannot provide it: "),
        ("no_such_split", "tfds:clicks/small[tran]", "there is no split 'tran'; did you mean 'train'?"),
        ("nor_any_like_it", "tfds:clicks/small[x]", "there is no split 'x'; it has 'train', 'test'"),
    )
    def test_names_of_nothing(self, name: str, message: str) -> None:
        self.assertIn(message, self._refused(name))

    def test_what_cannot_be_downloaded(self) -> None:
        class Unreachable:
            def download_and_prepare(self) -> None:
                raise ConnectionError("no route to files.grouplens.org")

        with mock.patch.object(tfds.public_api, "builder", lambda *_, **__: Unreachable()):
            said = self._refused("tfds:movielens/1m-ratings")
        self.assertEqual(said, "tfds:movielens/1m-ratings: TFDS cannot provide it: no route to files.grouplens.org")

    def test_features_that_cannot_be_used_are_named(self) -> None:
        for name, message in (
            ("user/idd", "there is no column 'user/idd'; did you mean 'user/id'?"),
            ("user", "there is no column 'user'; did you mean 'user/id'?"),
            ("picture", "feature 'picture': holds TensorSpec(shape=(2, 2, 1)"),
            ("grid", "feature 'grid': holds TensorSpec(shape=(2, 2)"),
        ):
            said = self._refused("tfds:clicks/small", Schema("click", (CategoricalFeature(name, 5),)))
            self.assertIn(f"tfds:clicks/small:1.2.0{'' if 'column' in message else ','}", said)
            self.assertIn(message, said)

    def test_several_values_in_a_feature_of_one(self) -> None:
        schema = Schema("click", (CategoricalFeature("tags", 5, "hash"),))
        rows, rejected = parsed(self._log("tfds:clicks/small[test]", schema))
        self.assertEqual([row.line for row in rejected], [3, 6, 9, 12, 15, 18])
        self.assertIn("tfds:clicks/small:1.2.0[test], example 3, column 'tags': 2 values", str(rejected[0]))
        self.assertLen(rows, 14)

    def test_damaged_shard_is_named(self) -> None:
        data_dir = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        _write_dataset(data_dir)
        (shard,) = data_dir.rglob("*train*00001-of-00004")
        whole = shard.read_bytes()
        where = r"^tfds:clicks/small:1\.2\.0\[train\], examples 1 to 100: "
        for content, why in (
            (whole[:100], "cannot be read: truncated record"),
            (whole[:50] + b"X" + whole[51:], "cannot be read: corrupted record"),
            (whole[: 16 + int.from_bytes(whole[:8], "little")], "a shard is truncated"),
            (b"", "a shard is truncated"),
        ):
            shard.write_bytes(content)
            with self.assertRaisesRegex(InputError, where + why):
                parsed(TfdsLog.open("tfds:clicks/small", SCHEMA, str(data_dir)))
        for record in (b"garbage", b"\xff\xff", b""):
            with tf.io.TFRecordWriter(str(shard)) as writer:
                writer.write(record)
            with self.assertRaisesRegex(InputError, where + "cannot be read: "):
                parsed(TfdsLog.open("tfds:clicks/small", SCHEMA, str(data_dir)))

    def test_rows_do_not_depend_on_blocks_or_processes(self) -> None:
        log = self._log()
        rows, _ = parsed(log)
        cut = dataclasses.replace(log, block_rows=7)
        self.assertLen(list(read(cut)), 15 + 3)
        small, _ = parsed(sent(cut))
        self.assertEqual(repr(contents(small)), repr(contents(rows)))  # NaN is not NaN

    def test_fingerprints_differ_between_datasets(self) -> None:
        both, test = self._log().fingerprints(), self._log("tfds:clicks/small[test]").fingerprints()
        self.assertEqual(both[1:], test)
        self.assertEqual(test[0][:2], ("tfds:clicks/small:1.2.0[test]", 1000))
        self.assertNotEqual(both[0][2], both[1][2])

    def test_prepare_by_command(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        schema = folder / "schema.json"
        schema.write_text(json.dumps(SCHEMA.to_dict()))

        def said(*arguments: str) -> tuple[int, str]:
            result = CliRunner().invoke(main, ["prepare", *arguments], catch_exceptions=False)
            return result.exit_code, " ".join(result.output.split())

        name, out = "tfds:clicks/small[train]", str(folder / "data")
        options = ["--schema", str(schema), "--tfds-dir", str(self.data_dir)]
        self.assertEqual(said(name, out, *options)[0], 0)
        manifest = ClickData.open(out).manifest
        self.assertEqual(sum(split.rows for split in manifest.splits.values()), 100)
        self.assertEqual([source.file for source in manifest.sources], ["tfds:clicks/small:1.2.0[train]"])
        self.assertEqual(manifest.missing["price"], 20)

        for arguments, code, message in (
            ((name, "raw", out, *options), 2, f"{name} takes no RAW, only OUT."),
            (("csv", out, *options), 2, "Missing argument 'RAW...'"),
            ((name, out), 1, f"prepare {name} needs --schema FILE"),
            ((name, out, *options, "--separator", ","), 1, f"--separator applies to csv only, not to {name}"),
            (("csv", "raw", out, *options), 1, "--tfds-dir applies to tfds:NAME only, not to csv"),
            (("tfd:clicks", "raw", out), 2, "'tfd:clicks' is not one of 'csv', 'jsonl', 'parquet', 'tfrecord',"),
        ):
            found = said(*arguments)
            self.assertEqual(found[0], code, found[1])
            self.assertIn(message, found[1])

    def test_open_log(self) -> None:
        log = open_log("tfds:clicks/small", (), SCHEMA, None, str(self.data_dir))
        self.assertEqual(log, self._log())


if __name__ == "__main__":
    tf.test.main()
