"""Avazu's columns, and its hours as moments."""

# mypy: allow-untyped-calls
# (absl has no types)

import dataclasses
import datetime
import gzip
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import tensorflow as tf
from absl.testing import parameterized
from click.testing import CliRunner

from tests.helpers.logs import contents, parsed, sent
from tfrs_scaling.cli.main import main
from tfrs_scaling.input.logs.avazu import AvazuLog, avazu
from tfrs_scaling.input.logs.formats import open_log
from tfrs_scaling.input.logs.values.cells import Log, read
from tfrs_scaling.input.prepare.hashing import hash_values
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.input.shards import ClickData

HEADER = (
    "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,device_id,device_ip,"
    "device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21"
)
TAIL = (
    "1005,0,1fbe01fe,f3845767,28905ebd,ecad2386,7801e8d9,07d7df22,a99f214a,"
    "ddd2926e,44956a24,1,2,15706,320,50,1722,0,35,-1,79"
)


def _log_text(rows: int) -> str:
    """A log of so many rows, 20 an hour from 22:00 of 21 October 2014 on."""
    start = datetime.datetime(2014, 10, 21, 22)
    lines = [HEADER]
    for i in range(rows):
        hour = (start + datetime.timedelta(hours=i // 20)).strftime("%y%m%d%H")
        lines.append(f"{i},{i * 7 % 10 // 8},{hour},{TAIL.replace('ddd2926e', f'{i:08x}')}")
    return "\n".join(lines) + "\n"


class AvazuTest(parameterized.TestCase, tf.test.TestCase):
    def _log(self, content: str, schema: Schema | None = None) -> Log:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "train.csv"
        path.write_text(content)
        return open_log("avazu", (str(path),), schema, None)

    def test_schema_has_every_column_but_the_id(self) -> None:
        schema = avazu()
        self.assertEqual(sorted(["id", *schema.columns]), sorted(HEADER.split(",")))
        for feature in schema.categorical:
            self.assertEqual(feature.cardinality.bit_count(), 1, feature)
            self.assertEqual(feature.encoding, "hash")

    def test_rows_against_pandas(self) -> None:
        log = self._log(_log_text(100))
        rows, rejected = parsed(log)
        self.assertEmpty(rejected)
        frame = pd.read_csv(log.files[0], dtype=str)
        moments = pd.to_datetime("20" + frame["hour"], format="%Y%m%d%H", utc=True)
        assert rows.time is not None
        self.assertAllEqual(rows.time, (moments - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1))
        self.assertAllEqual(np.unique(np.diff(rows.time)), [0, 3600])  # over midnight, too
        self.assertAllEqual(rows.label, frame["click"].astype(int))
        for k, feature in enumerate(log.schema.categorical):
            hashes = hash_values(pa.array(frame[feature.name].str.encode("utf-8"), pa.binary()))
            self.assertAllEqual(rows.codes[:, k], hashes & np.uint64(2**31 - 1))

    @parameterized.parameters(
        "14102",
        "1410211",
        "14102124",
        "14103221",
        "14023001",
        "00000000",
        "1410212x",
        "+4102100",
        "",
        " 4102100",
        "١٤١٠٢١٠٠",
    )
    def test_hour_that_is_none_is_rejected_where_it_stands(self, hour: str) -> None:
        lines = _log_text(4).splitlines()
        lines[3] = f"2,0,{hour},{TAIL}"
        rows, rejected = parsed(self._log("\n".join(lines)))
        self.assertAllEqual(rows.position, [0, 1, 3])
        self.assertLen(rejected, 1)
        self.assertIn("train.csv, line 4, column 'hour': the hour is not of the form YYMMDDHH, got ", str(rejected[0]))

    def test_leap_day_is_a_day(self) -> None:
        rows, _ = parsed(self._log(f"{HEADER}\n1,0,16022923,{TAIL}\n"))
        assert rows.time is not None
        expected = datetime.datetime(2016, 2, 29, 23, tzinfo=datetime.UTC).timestamp()
        self.assertAllEqual(rows.time, [expected])

    def test_hour_is_left_alone_where_the_schema_does_not_take_it_for_the_time(self) -> None:
        schema = Schema("click", (CategoricalFeature("hour", 8, "id"),))
        rows, _ = parsed(self._log(_log_text(2), schema))
        self.assertAllEqual(rows.codes, [[14102122], [14102122]])

    def test_rows_do_not_depend_on_blocks_or_processes(self) -> None:
        log = self._log(_log_text(100).replace(",14102200,", ",14102299,", 1))
        rows, rejected = parsed(log)
        assert isinstance(log, AvazuLog)
        cut = dataclasses.replace(log, block_bytes=500)
        self.assertGreater(len(list(read(cut))), 20)
        small, small_rejected = parsed(sent(cut))
        self.assertEqual(contents(small), contents(rows))
        self.assertLen(rejected, 1)
        self.assertEqual(small_rejected, rejected)

    def test_prepare_by_command(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        path = folder / "train.csv.gz"
        path.write_bytes(gzip.compress(_log_text(2000).encode()))
        result = CliRunner().invoke(main, ["prepare", "avazu", str(path), str(folder / "data")], catch_exceptions=False)
        self.assertEqual(result.exit_code, 0, result.output)
        manifest = ClickData.open(folder / "data").manifest
        self.assertEqual(manifest.split_by, "time")
        self.assertEqual(
            {name: split.rows for name, split in manifest.splits.items()},
            {"train": 1700, "validation": 100, "test": 200},
        )


if __name__ == "__main__":
    tf.test.main()
