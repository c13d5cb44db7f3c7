"""Several processes read a log as one does: the same bytes, and the same words about what they cannot use."""

# mypy: allow-untyped-calls
# (absl has no types)

import gzip
import json
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from absl.testing import parameterized

from tests.helpers.logs import SizedSource
from tests.helpers.pool_workers import pool_processes
from tests.helpers.studies import folder_bytes
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.jsonl import JsonLinesLog
from tfrs_scaling.input.logs.parquet import ParquetLog
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.logs.values.cells import Log
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.reading import check_rows
from tfrs_scaling.input.prepare.sources import SyntheticSource
from tfrs_scaling.input.prepare.split import Sizes
from tfrs_scaling.input.prepare.synthetic import BLOCK_ROWS, Synthetic, SyntheticFeature
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema

SCHEMA = Schema(
    "y",
    (CategoricalFeature("user", 50), CategoricalFeature("tags", 9, max_values=3, separator="|")),
    (DenseFeature("age", "standardize"),),
    "t",
)
SMALL = Sizes(rows_per_record=64, records_per_shard=4)
LARGE = (1 << 30,)


def _prepare_slowly(log: str, out: str) -> None:
    """A preparation that several processes are busy with for long."""
    paths = (log,) * 400
    prepare(SizedSource(TextLog(SCHEMA, paths, block_bytes=1 << 14)), out, jobs=3)


class ReadingTest(parameterized.TestCase, tf.test.TestCase):
    """``prepare`` with ``jobs``."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        rng = np.random.default_rng(3)
        self.rows = [
            {
                "y": int(rng.integers(2)), "user": f"u{rng.zipf(1.4) % 200}", "t": i,
                "tags": "|".join(rng.choice(list("abcdefghij"), rng.integers(1, 4))),
                "age": "" if rng.random() < 0.1 else f"{rng.normal(40, 9):.2f}",
            }
            for i in range(3000)
        ]  # fmt: skip

    def tearDown(self) -> None:
        self.assertEmpty(
            [each for each in psutil.Process().children() if "parallel import serve" in str(each.cmdline())]
        )
        super().tearDown()

    def _lines(self, bad: tuple[int, ...] = ()) -> list[str]:
        lines = [",".join(str(value) for value in row.values()) for row in self.rows]
        return ["y,user,t,tags,age", *("x" * (i in bad) + line for i, line in enumerate(lines))]

    def _text(self, *bad: tuple[int, ...]) -> tuple[str, ...]:
        """A file for each, with its bad rows."""
        paths = [self.folder / f"log_{number}.csv" for number in range(len(bad))]
        for path, places in zip(paths, bad, strict=True):
            path.write_text("\n".join(self._lines(places)) + "\n")
        return tuple(map(str, paths))

    def _same(self, log: Log, several: int, sizes: tuple[int, ...] = LARGE, **options: Any) -> dict[str, bytes]:
        expected: dict[str, bytes] = {}
        for jobs in (1, several):
            out = self.folder / f"jobs_{jobs}"
            prepare(SizedSource(log, sizes), out, jobs=jobs, sizes=SMALL, **options)
            expected = expected or folder_bytes(out)
            self.assertEqual(folder_bytes(out), expected)
        self.assertGreater(len(expected), 10)
        return expected

    def test_same_bytes_of_a_file_in_pieces(self) -> None:
        log = TextLog(SCHEMA, self._text((7, 2900)), block_bytes=5000)
        written = self._same(log, 4, max_bad_rows=2, seed=5, negative_rate=0.5)
        rejected = [line.split("\t")[1] for line in written["rejected.tsv"].decode().splitlines()]
        self.assertEqual(rejected, ["line", "9", "2902"])

    def test_same_bytes_of_packed_files_each_read_by_one_process(self) -> None:
        paths = self._text((), (3,), (), (8, 9), ())
        for path in paths:
            Path(path).write_bytes(gzip.compress(Path(path).read_bytes()))
        log = TextLog(SCHEMA, paths, block_bytes=20_000)
        written = self._same(log, 2, LARGE * 5, max_bad_rows=3, split_by="order")
        rejected = [line.split("\t")[:2] for line in written["rejected.tsv"].decode().splitlines()]
        self.assertEqual(rejected[1:], [[paths[1], "5"], [paths[3], "10"], [paths[3], "11"]])

    def test_same_bytes_of_row_groups_of_json_and_of_synthetic_clicks(self) -> None:
        columns = {name: [row[name] for row in self.rows] for name in self.rows[0]}
        path = self.folder / "log.parquet"
        pq.write_table(pa.table(columns), path, row_group_size=400)
        written = self._same(ParquetLog(SCHEMA, (str(path),)), 2)
        lines = self.folder / "log.jsonl"
        lines.write_text("\n".join(map(json.dumps, self.rows)) + "\n")
        out = self.folder / "json"
        prepare(SizedSource(JsonLinesLog(SCHEMA, (str(lines),), block_bytes=5000), LARGE), out, jobs=2, sizes=SMALL)
        for name, content in folder_bytes(out).items():
            if name.startswith("clicks-"):
                self.assertEqual(content, written[name], name)
        settings = Synthetic(BLOCK_ROWS + 500, (SyntheticFeature("user", 300, 90),), dense=1)
        for jobs in (1, 2):
            prepare(SyntheticSource(settings), self.folder / f"synthetic_{jobs}", jobs=jobs)
        self.assertEqual(*(folder_bytes(self.folder / f"synthetic_{jobs}") for jobs in (1, 2)))

    @parameterized.named_parameters(
        ("in_pieces", LARGE, 0, r"log_0.csv, line 9, column 'y': the label is neither 0 nor 1.*fix the row"),
        ("in_pieces_one_too_many", LARGE, 2, r"log_1.csv, line 4, column 'y'.*one more malformed row than the 2"),
        (
            "in_files_one_too_many",
            (1 << 30,) * 3,
            2,
            r"log_1.csv, line 4, column 'y'.*one more malformed row than the 2",
        ),
        ("unreadable_in_pieces", LARGE, 3, r"log_2.csv, line 1 .*: there is no column 'age'"),
        ("unreadable_in_files", LARGE * 3, 3, r"log_2.csv, line 1 .*: there is no column 'age'"),
    )
    def test_first_fault_in_the_order_of_the_log(self, sizes: tuple[int, ...], allowed: int, message: str) -> None:
        paths = self._text((7, 300), (2,), ())
        Path(paths[2]).write_text("y,t\n1,2\n")
        for jobs in (1, 3):
            with self.assertRaisesRegex(InputError, message):
                source = SizedSource(TextLog(SCHEMA, paths, block_bytes=5000), sizes)
                prepare(source, self.folder / "out", jobs=jobs, max_bad_rows=allowed)
            self.assertEqual([path.name for path in self.folder.iterdir() if not path.name.startswith("log")], [])

    def test_killed_reader_publishes_nothing(self) -> None:
        def kill(_: str) -> None:
            for reader in pool_processes(psutil.Process()):
                reader.kill()

        source = SizedSource(TextLog(SCHEMA, self._text(()) * 40, block_bytes=5000), ())
        with self.assertRaisesRegex(InputError, "a process of --jobs was killed"):
            prepare(source, self.folder / "out", jobs=3, progress=kill)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["log_0.csv"])

    def test_readers_end_with_the_process_that_is_killed(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tfrs_scaling.training.preload"])
        (log,) = self._text(())
        process = context.Process(target=_prepare_slowly, args=(log, str(self.folder / "out")))
        process.start()
        self._wait(lambda: any((self.folder / ".out.partial").glob("spill-*/*/bucket-*")))
        readers = pool_processes(psutil.Process(process.pid))
        self.assertLen(readers, 2)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        self._wait(lambda: not any(reader.is_running() for reader in readers))
        prepare(SizedSource(TextLog(SCHEMA, (log,)), LARGE), self.folder / "out", jobs=2)
        self.assertCountEqual([path.name for path in self.folder.iterdir()], ["log_0.csv", "out"])

    def _wait(self, until: Callable[[], Any], seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while not until():
            self.assertLess(time.monotonic(), ends)
            time.sleep(0.02)

    def test_rows_that_are_lost_on_the_way(self) -> None:
        check_rows("counted", 12, 12)
        with self.assertRaisesRegex(InputError, "12 rows were handed over, and 11 counted: .* prepare the data again"):
            check_rows("counted", 11, 12)


if __name__ == "__main__":
    tf.test.main()
