"""Damage of every kind to prepared data, and where it is said to be."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl.testing import parameterized

from tests.helpers.studies import tiny_config
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import fingerprint
from tfrs_scaling.input.check import check
from tfrs_scaling.input.manifest import MANIFEST, SPLITS
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import SyntheticSource
from tfrs_scaling.input.prepare.split import Sizes
from tfrs_scaling.input.shards import ClickData

SHARD = "clicks-train.tfrecord-00001-of-00013"


def _flip(position: int) -> Callable[[bytes], bytes]:
    def flipped(content: bytes) -> bytes:
        return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]

    return flipped


def _records(path: Path) -> list[bytes]:
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path))]


def _write(path: Path, records: list[bytes]) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


class CheckTest(parameterized.TestCase, tf.test.TestCase):
    """``check`` on whole and on damaged data."""

    def _prepared(self) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "data"
        settings = tiny_config().synthetic
        assert settings is not None
        prepare(SyntheticSource(settings), folder, sizes=Sizes(rows_per_record=32, records_per_shard=4))
        return folder

    def _manifest(self, folder: Path, change: Callable[[Any], None]) -> None:
        path = folder / MANIFEST
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    def _says(self, folder: Path, pattern: str) -> None:
        with self.assertRaisesRegex(InputError, pattern):
            list(check(ClickData.open(folder)))

    def test_whole_data_pass_shard_by_shard(self) -> None:
        data = ClickData.open(self._prepared())
        passed = list(check(data))
        self.assertEqual(
            [s.file for s in passed], [s.file for name in SPLITS for s in data.manifest.splits[name].shards]
        )
        self.assertEqual(sum(s.rows for s in passed), 2000)

    @parameterized.named_parameters(
        # A record is 12 bytes of length and checksum, the content, 4 bytes of checksum.
        ("in_the_first_record", 100, 0),
        ("in_the_length_of_the_first_record", 2, 0),
        ("in_the_last_record", -100, 3),
        ("in_the_last_checksum", -1, 3),
    )
    def test_flipped_bit_is_named_with_its_record(self, position: int, record: int) -> None:
        folder = self._prepared()
        path = folder / SHARD
        content = path.read_bytes()
        path.write_bytes(_flip(position % len(content))(content))
        self._says(folder, rf"{SHARD}, record {record}: cannot be read")

    def test_records_in_another_order_are_named(self) -> None:
        folder = self._prepared()
        records = _records(folder / SHARD)
        _write(folder / SHARD, [records[1], records[0], *records[2:]])
        self._says(folder, rf"{SHARD}: its SHA-256 is")

    def test_wrong_counts_in_the_manifest_are_named(self) -> None:
        folder = self._prepared()

        def one_more_click(content: Any) -> None:
            content["splits"]["test"]["clicks"] += 1

        self._manifest(folder, one_more_click)
        self._says(folder, r"the test split: \d+ rows with \d+ clicks, the manifest has")
        folder = self._prepared()

        def one_more_row(content: Any) -> None:
            content["splits"]["train"]["shards"][1]["rows"] += 1
            content["splits"]["train"]["rows"] += 1
            content["read"] += 1

        self._manifest(folder, one_more_row)
        self._says(folder, rf"{SHARD}: 126 rows in 4 records, the manifest has 127 in 4")

    def test_label_or_id_that_cannot_be_is_named_with_its_record(self) -> None:
        for column, first in (("label", b"\x02"), ("ids", b"\xfe\xff\xff\xff"), ("dense", b"\x00\x00\xc0\x7f")):
            folder = self._prepared()
            path = folder / SHARD
            records = _records(path)
            example = tf.train.Example.FromString(records[2])
            value = example.features.feature[column].bytes_list.value
            value[0] = first + value[0][len(first) :]
            records[2] = example.SerializeToString(deterministic=True)
            _write(path, records)
            size, sha256 = fingerprint(path)

            def rewritten(content: Any, size: int = size, sha256: str = sha256) -> None:
                content["splits"]["train"]["shards"][1] |= {"bytes": size, "sha256": sha256}

            self._manifest(folder, rewritten)
            self._says(folder, rf"{SHARD}, record 2: holds a")


if __name__ == "__main__":
    tf.test.main()
