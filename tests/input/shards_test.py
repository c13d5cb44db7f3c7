"""Shards on disk: read back by TFDS and by hand, byte for byte the same, and every damage named."""

# mypy: allow-untyped-calls
# (absl has no types)

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized

from tests.helpers.studies import RowsSource
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.manifest import SPLITS, Manifest, RawFile, describe, short_hash
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.rows import NO_CODE, Rows
from tfrs_scaling.input.prepare.split import Sizes
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.shards import ClickData, shard_count

SCHEMA = Schema(
    "click",
    (CategoricalFeature("user", 10, "id"), CategoricalFeature("tags", 10, "id", max_values=3, separator="|")),
    (DenseFeature("age"), DenseFeature("z", "standardize")),
    "ts",
)
COUNT = 1000


def _log(count: int = COUNT) -> Rows:
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 2**31 - 1, (count, 4)).astype(np.uint64)
    codes[: count // 2, 2:] = NO_CODE
    dense = rng.normal(5, 3, (count, 2))
    label, time = rng.integers(0, 2, count).astype(np.uint8), rng.integers(-(2**40), 2**40, count)
    return Rows(np.arange(count), label, dense, codes, time)


def _ids(log: Rows) -> np.ndarray:
    return np.where(log.codes == NO_CODE, -1, log.codes.astype(np.int64))


def _with_split(manifest: Any, **changes: Any) -> Any:
    """The manifest with other values in its test split."""
    splits = manifest["splits"]
    return manifest | {"splits": splits | {"test": splits["test"] | changes}}


class ShardsTest(parameterized.TestCase, tf.test.TestCase):
    """A folder of shards."""

    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "data"

    def _prepared(self, seed: int = 0) -> tuple[Path, Manifest]:
        folder = self._folder()
        sizes = Sizes(rows_per_record=32, records_per_shard=3)
        return folder, prepare(RowsSource(SCHEMA, (_log(),)), folder, split_by="random", seed=seed, sizes=sizes)

    def test_tfds_reads_the_same_rows(self) -> None:
        folder, manifest = self._prepared()
        log = _log()
        expected = {t: (y, i) for t, y, i in zip(log.time, log.label, _ids(log).tolist(), strict=True)}  # type: ignore[arg-type]
        builder = tfds.builder_from_directory(str(folder))
        seen = []
        for split in SPLITS:
            groups = list(tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False)))
            records = sum(shard.records for shard in manifest.splits[split].shards)
            self.assertEqual(builder.info.splits[split].num_examples, records)
            self.assertLen(groups, records)
            rows = {name: np.concatenate([group[name] for group in groups]) for name in groups[0]}
            self.assertEqual({n: c.dtype.name for n, c in rows.items()}, {
                "label": "uint8", "ids": "int32", "dense": "float32", "time": "int64",
            })  # fmt: skip
            self.assertLen(rows["label"], manifest.splits[split].rows)
            self.assertEqual(int(rows["label"].sum()), manifest.splits[split].clicks)
            for time, label, ids in zip(rows["time"][:, 0], rows["label"][:, 0], rows["ids"].tolist(), strict=True):
                self.assertEqual(expected[time], (label, ids))
            seen += rows["time"][:, 0].tolist()
        self.assertCountEqual(seen, expected)

    def test_record_holds_little_endian_columns(self) -> None:
        folder, manifest = self._prepared()
        (first, *_) = tf.data.TFRecordDataset(str(folder / manifest.splits["test"].shards[0].file)).take(1)
        feature = tf.train.Example.FromString(first.numpy()).features.feature
        raw = {name: value.bytes_list.value[0] for name, value in feature.items()}
        self.assertEqual({name: len(value) for name, value in raw.items()}, {
            "label": 32, "ids": 32 * 4 * 4, "dense": 32 * 2 * 4, "time": 32 * 8,
        })  # fmt: skip
        log = _log()
        assert log.time is not None
        row = int(np.flatnonzero(log.time == np.frombuffer(raw["time"], "<i8")[3])[0])
        self.assertAllEqual(np.frombuffer(raw["ids"], "<i4").reshape(32, 4)[3], _ids(log)[row])
        age = np.log1p(max(log.dense[row, 0], 0))
        self.assertAllClose(np.frombuffer(raw["dense"], "<f4").reshape(32, 2)[3, 0], age, rtol=1e-6)

    def test_shards_and_manifest_count_the_same(self) -> None:
        folder, manifest = self._prepared()
        self.assertGreater(len(manifest.splits["train"].shards), 5)
        for split in manifest.splits.values():
            self.assertEqual(split.rows, sum(shard.rows for shard in split.shards))
            for shard in split.shards:
                content = (folder / shard.file).read_bytes()
                self.assertEqual((shard.bytes, shard.sha256), (len(content), hashlib.sha256(content).hexdigest()))
                self.assertEqual(shard.records, -(-shard.rows // 32))
                self.assertEqual(shard.records, sum(1 for _ in tf.data.TFRecordDataset(str(folder / shard.file))))
        self.assertEqual(manifest.splits["train"].ctr, manifest.splits["train"].clicks / manifest.splits["train"].rows)

    def test_same_input_same_bytes(self) -> None:
        (first, manifest), (second, again), (_, other) = self._prepared(), self._prepared(), self._prepared(seed=1)
        files = sorted(path.name for path in first.iterdir())
        self.assertEqual(files, sorted(path.name for path in second.iterdir()))
        for file in files:
            self.assertEqual((first / file).read_bytes(), (second / file).read_bytes(), file)
        self.assertEqual(manifest.data_hash, again.data_hash)
        self.assertNotEqual(manifest.data_hash, other.data_hash)

    def test_manifest_round_trip(self) -> None:
        folder, manifest = self._prepared()
        data = ClickData.open(folder)
        self.assertEqual(data.manifest, manifest)
        self.assertEqual(data.manifest.to_json(), (folder / "manifest.json").read_text())
        names = [shard.file for shard in manifest.splits["train"].shards]
        self.assertEqual(data.files("train"), [str(folder / name) for name in names])
        self.assertEqual(names, sorted(names))

    def test_missing_and_truncated_shards_are_named(self) -> None:
        folder, manifest = self._prepared()
        shard = folder / manifest.splits["train"].shards[2].file
        whole = shard.read_bytes()
        for damaged in (whole[:-1], b"", whole + b"x"):
            shard.write_bytes(damaged)
            with self.assertRaisesRegex(
                InputError, f"{shard}: the shard has {len(damaged)} bytes instead of {len(whole)}"
            ):
                ClickData.open(folder)
        shard.unlink()
        with self.assertRaisesRegex(InputError, f"{shard}: the shard is missing"):
            ClickData.open(folder)
        shard.mkdir()
        with self.assertRaisesRegex(InputError, f"{shard}: the shard is missing"):
            ClickData.open(folder)

    def test_folder_without_manifest_is_no_data(self) -> None:
        folder, _ = self._prepared()
        (folder / "manifest.json").unlink()
        for path in (folder, folder / "none"):
            with self.assertRaisesRegex(InputError, f"{path}: no manifest.json, so this is not prepared data"):
                ClickData.open(path)

    @parameterized.named_parameters(
        (
            "version",
            lambda m: m | {"format_version": 1},
            "format version 1; this version reads 3: prepare the data again",
        ),
        (
            "schema_changed",
            lambda m: m | {"schema": m["schema"] | {"missing": ["", "NA"]}},
            "schema_hash: the schema was changed after the data were prepared",
        ),
        ("no_negatives", lambda m: m | {"negative_rate": 0.0}, "negative_rate: input should be greater than 0"),
        ("no_version", lambda m: {k: v for k, v in m.items() if k != "format_version"}, "'format_version' is missing"),
        (
            "no_test",
            lambda m: m | {"splits": {k: v for k, v in m["splits"].items() if k != "test"}},
            "'test' is missing",
        ),
        ("unknown_key", lambda m: m | {"sead": 1}, "unknown key 'sead'; did you mean 'seed'?"),
        ("unknown_split", lambda m: m | {"splits": m["splits"] | {"dev": m["splits"]["test"]}}, "splits.dev"),
        (
            "schema",
            lambda m: m | {"schema": m["schema"] | {"categorical": []}},
            "schema.categorical: tuple should",
        ),
        ("negative_count", lambda m: m | {"rejected": -1}, "rejected: input should be greater than or equal to 0"),
        ("huge_count", lambda m: m | {"missing": {"user": 10**400}}, "missing.user: input should be less than"),
        ("no_shards", lambda m: _with_split(m, shards=[]), "rows with 45 clicks, and the shards have 0 rows"),
        ("more_clicks_than_rows", lambda m: _with_split(m, clicks=93), "splits.test: 92 rows with 93 clicks"),
        (
            "shard_twice",
            lambda m: _with_split(m, rows=184, shards=m["splits"]["test"]["shards"] * 2),
            "splits.test: a shard is named twice",
        ),
        ("too_few_means", lambda m: m | {"dense_mean": []}, "dense_mean, dense_deviation: not one number per dense"),
        ("list", lambda m: [m], "should hold a mapping"),
    )
    def test_altered_manifest_is_refused(self, change: Callable[[Any], Any], message: str) -> None:
        folder, _ = self._prepared()
        path = folder / "manifest.json"
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
        with self.assertRaises(InputError) as caught:
            ClickData.open(folder)
        self.assertStartsWith(str(caught.exception), str(path))
        self.assertIn(message, str(caught.exception))

    @parameterized.parameters(
        "../clicks-train.tfrecord-00000-of-00001",
        "/etc/passwd",
        "clicks-train.tfrecord-00000-of-00001\n",
        "clicks-../x.tfrecord-00000-of-00001",
        "manifest.json",
        "",
    )
    def test_manifest_cannot_name_files_elsewhere(self, name: str) -> None:
        folder, _ = self._prepared()
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["splits"]["train"]["shards"][0]["file"] = name
        path.write_text(json.dumps(manifest))
        with self.assertRaisesRegex(InputError, f"{path}: splits.train.shards.0..file: string should match pattern"):
            ClickData.open(folder)

    def test_half_a_manifest_is_refused(self) -> None:
        folder, _ = self._prepared()
        path = folder / "manifest.json"
        path.write_text(path.read_text()[:700])
        with self.assertRaisesRegex(InputError, f"{path}, line"):
            ClickData.open(folder)

    def test_hashes_are_of_schema_sources_and_rows(self) -> None:
        _, manifest = self._prepared()
        content = json.dumps(manifest.schema.to_dict(), sort_keys=True).encode()
        self.assertEqual(manifest.schema_hash, hashlib.sha256(content).hexdigest()[:16])
        self.assertEqual(manifest.source_hash, "")
        self.assertEqual(short_hash([1, "a"]), hashlib.sha256(b'[1, "a"]').hexdigest()[:16])
        self.assertLen(manifest.data_hash, 16)

    @parameterized.parameters((1, 1), (262_144, 1), (393_215, 1), (393_217, 2), (45_840_617, 175))
    def test_shards_have_a_quarter_of_a_million_rows(self, rows: int, count: int) -> None:
        self.assertEqual(shard_count(rows), count)

    def test_describe(self) -> None:
        folder = self._folder()
        sources = (RawFile("a.csv", 3, "0"), RawFile("b.csv", 4, "1"))
        manifest = prepare(RowsSource(SCHEMA, (_log(),), sources), folder, split_by="random")
        about = describe(manifest)
        self.assertEqual(about["description"], "a.csv, b.csv, split at random")
        self.assertEqual(sum(about["rows"].values()), COUNT)
        clicks = sum(about["rows"][name] * about["base_ctr"][name] for name in SPLITS)
        self.assertAllClose(clicks, int(_log().label.sum()))
        self.assertIsNone(about["bayes_ne"])


if __name__ == "__main__":
    tf.test.main()
