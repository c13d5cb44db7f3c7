"""The Beam pipeline gives the bytes that a single process gives, and says the same of what it cannot use."""

# mypy: allow-untyped-calls
# (absl has no types)

import dataclasses
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from apache_beam.runners.worker import worker_pool_main

from tests.helpers.beam_engines import Engine, boot, engine
from tests.helpers.beam_runners import Tampering
from tests.helpers.studies import tiny_config
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.lines import BLOCK_BYTES
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.prepare import beam
from tfrs_scaling.input.prepare.beam import _in_chunks, _options, _worker_awaited
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.prepare.sources import LogSource, Source, SyntheticSource
from tfrs_scaling.input.prepare.spill import from_bytes
from tfrs_scaling.input.prepare.split import Sizes
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema

SCHEMA = Schema(
    "click",
    (
        CategoricalFeature("user", 40),
        CategoricalFeature("site", 1000, min_count=2),
        CategoricalFeature("tags", 8, max_values=4, separator="|"),
        CategoricalFeature("ad", 100, "hash"),
    ),
    (DenseFeature("age", "standardize"), DenseFeature("gain")),
    time="ts",
    weight="importance",
)
COLUMNS = "click,user,site,tags,ad,age,gain,ts,importance"
SMALL_SHARDS = Sizes(rows_per_record=64, records_per_shard=8)
WORKERS = {
    "one_worker": (),
    "two_threads": ("direct_num_workers=2", "direct_running_mode=multi_threading"),
    "two_processes": ("direct_num_workers=2", "direct_running_mode=multi_processing"),
}


def _line(rng: np.random.Generator, time: int) -> str:
    tags = "|".join(rng.choice(list("abcdefghijkl"), rng.integers(1, 5)))
    return ",".join([
        str(rng.integers(0, 2)), f"u{rng.zipf(1.3) % 90}", f"s{rng.zipf(1.5) % 500}", tags, f"ad{rng.integers(50)}",
        rng.choice(["", f"{rng.normal(40, 9):.2f}"]), str(rng.integers(0, 1000)), str(time), f"{rng.random():.3f}",
    ])  # fmt: skip


def _renamed(shards: list[Any]) -> None:
    """As if there were one shard more."""
    for _, _, written in shards:
        written["shard"]["file"] = re.sub("-of-(.*)", lambda m: f"-of-{int(m[1]) + 1:05d}", written["shard"]["file"])


def _shortened(shard: dict[str, Any]) -> None:
    shard["rows"] -= 1


class BeamTest(parameterized.TestCase, tf.test.TestCase):
    """``prepare`` with a runner and without."""

    def setUp(self) -> None:
        super().setUp()
        self._folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))

    def _log(
        self, files: int = 2, rows: int = 1500, bad: tuple[int, ...] = (), block_bytes: int = BLOCK_BYTES
    ) -> LogSource:
        rng = np.random.default_rng(4)
        paths = []
        for number in range(files):
            lines = [_line(rng, 1000 * i + number) for i in range(rows)]
            for at in bad:
                lines[at] = "x" + lines[at]
            path = self._folder / f"log_{number}.csv"
            path.write_text("\n".join([COLUMNS, *lines]) + "\n")
            paths.append(str(path))
        return LogSource(TextLog(SCHEMA, tuple(paths), block_bytes=block_bytes))

    def _same(
        self,
        source: Source,
        beam_options: tuple[str, ...] = (),
        sizes: Sizes = SMALL_SHARDS,
        runner: str = "DirectRunner",
        **options: Any,
    ) -> None:
        options["sizes"] = sizes
        prepare(source, self._folder / "here", **options)
        prepare(source, self._folder / "beam", runner=runner, beam_options=beam_options, **options)
        names = sorted(path.name for path in (self._folder / "here").iterdir())
        self.assertEqual(names, sorted(path.name for path in (self._folder / "beam").iterdir()))
        for name in names:
            here, there = ((self._folder / by / name).read_bytes() for by in ("here", "beam"))
            self.assertEqual(here, there, name)

    @parameterized.parameters("one_worker", "two_threads")
    def test_the_same_bytes(self, workers: str) -> None:
        # Many small blocks, so that there is something to be put in order; and a sample smaller than the log.
        sizes = dataclasses.replace(SMALL_SHARDS, sample_rows=500)
        options: dict[str, Any] = {"max_bad_rows": 4, "seed": 3, "negative_rate": 0.5}
        self._same(self._log(bad=(7, 300), block_bytes=5000), WORKERS[workers], sizes, **options)
        self.assertLen(list((self._folder / "here").glob("clicks-train*")), 4)
        self.assertLen((self._folder / "here" / "rejected.tsv").read_text().splitlines(), 5)

    def test_the_same_bytes_in_two_processes(self) -> None:
        self._same(self._log(), WORKERS["two_processes"])

    @parameterized.parameters(False, True)
    def test_the_same_bytes_of_workers_that_a_portable_runner_finds(self, external: bool) -> None:
        options = ["job_endpoint=embed", "environment_type=LOOPBACK"]
        if external:
            pool = worker_pool_main.BeamFnExternalWorkerPoolServicer
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the pool runs `python`
            self.enter_context(mock.patch.dict(os.environ, PATH=path))
            address, server = pool.start(use_process=True)
            self.addCleanup(server.stop, 0)
            options[1:] = ["environment_type=EXTERNAL", f"environment_config={address}"]
        self._same(self._log(block_bytes=20_000), tuple(options), runner="PortableRunner")

    # Of each engine in the other's environment, make bench-truth NAME=engines.
    @parameterized.parameters(("flink", "PROCESS"), ("spark", "LOOPBACK"))
    def test_the_same_bytes_of_an_engine(self, name: Engine, environment: str) -> None:
        runner, options = engine(name, self._folder)
        options += (f"environment_type={environment}", "sdk_worker_parallelism=2")
        options += (boot(self._folder),) if environment == "PROCESS" else ()
        self._same(self._log(block_bytes=20_000), options, runner=runner)

    @parameterized.parameters("order", "random")
    def test_the_same_bytes_whatever_the_split(self, split_by: Any) -> None:
        self._same(self._log(files=3, rows=400), split_by=split_by)

    def test_the_same_synthetic_clicks(self) -> None:
        settings = tiny_config().synthetic
        assert settings is not None
        self._same(SyntheticSource(settings), seed=5)

    @parameterized.named_parameters(
        ("no_bad_row_allowed", 0, r"log_0.csv, line 9, column 'click': the label is neither 0 nor 1.*fix the row"),
        ("one_too_many", 2, r"log_1.csv, line 9, column 'click'.*one more malformed row than the 2 allowed"),
    )
    def test_malformed_rows(self, allowed: int, message: str) -> None:
        with self.assertRaisesRegex(InputError, message):
            prepare(self._log(bad=(7, 300)), self._folder / "beam", runner="DirectRunner", max_bad_rows=allowed)
        self.assertFalse((self._folder / "beam").exists())
        self.assertFalse((self._folder / ".beam.partial").exists())

    def test_file_that_cannot_be_read(self) -> None:
        source = self._log()
        (self._folder / "log_1.csv").write_text("click,user\n1,a\n")
        with self.assertRaisesRegex(InputError, r"^\S*log_1.csv, line 1 .*: there is no column 'age'; it has "):
            prepare(source, self._folder / "beam", runner="DirectRunner")
        (self._folder / "log_1.csv").unlink()
        with self.assertRaisesRegex(InputError, "log_1.csv: cannot be read: No such file"):
            prepare(source, self._folder / "beam", runner="DirectRunner")

    def test_logs_without_rows_or_with_one_label(self) -> None:
        with self.assertRaisesRegex(InputError, "log_0.csv, log_1.csv: no rows"):
            prepare(self._log(rows=0), self._folder / "beam", runner="DirectRunner")
        source = self._log(files=1, rows=40)
        path = self._folder / "log_0.csv"
        header, *lines = path.read_text().splitlines()
        path.write_text("\n".join([header, *("0" + line[1:] for line in lines)]) + "\n")
        with self.assertRaisesRegex(InputError, "every label of the train split is 0"):
            prepare(source, self._folder / "beam", runner="DirectRunner")

    @parameterized.named_parameters(
        ("a_lost_shard", lambda outcome, _: outcome["shards"].pop(1), "the .* split has . shards of"),
        ("a_doubled_shard", lambda outcome, _: outcome["shards"].append(outcome["shards"][0]), "were to be written"),
        ("another_division", lambda outcome, _: _renamed(outcome["shards"]), "nothing was kept"),
        ("a_short_shard", lambda outcome, _: _shortened(outcome["shards"][0][2]["shard"]), "were to be written"),
        ("wrong_counts", lambda outcome, _: outcome["counts"][3].__setitem__(0, 7), "rows were handed over"),
        ("no_outcome", lambda _, path: path.unlink(), "ended without an outcome"),
    )
    def test_runner_that_loses_or_doubles_publishes_nothing(self, change: Any, message: str) -> None:
        Tampering.folder, Tampering.change = self._folder, staticmethod(change)
        runner = f"{Tampering.__module__}.{Tampering.__name__}"
        source = self._log(files=1)
        with self.assertRaisesRegex(InputError, message):
            prepare(source, self._folder / "beam", runner=runner, sizes=SMALL_SHARDS)
        self.assertEqual([path.name for path in self._folder.iterdir()], ["log_0.csv"])

    def test_every_spelling_of_beam_s_parser_is_known(self) -> None:
        given = (
            "worker_machine_type=n1", "machine_type=n2", "worker_disk_type=pd-ssd", "experiment=a", "experiments=b",
            "no_use_public_ips", "direct_num_workers=1", "parallelism=2", "environment_type=LOOPBACK",
        )  # fmt: skip
        options = _options("DirectRunner", given).get_all_options()
        self.assertEqual(options["machine_type"], "n2")
        self.assertEqual(options["experiments"], ["a", "b"])
        self.assertEqual((options["use_public_ips"], options["parallelism"]), (False, 2))
        with self.assertRaisesRegex(InputError, "direct_num_workers=two: a value cannot be used"):
            _options("DirectRunner", ("direct_num_workers=two",))

    def test_rows_to_be_sorted_are_handed_over_a_mebibyte_at_a_time(self) -> None:
        rows = 5000
        criteo = Rows(
            position=np.arange(rows),
            label=np.zeros(rows, np.uint8),
            dense=np.zeros((rows, 13)),
            codes=np.zeros((rows, 26), np.uint64),
        )
        chunks = list(_in_chunks(criteo))
        self.assertLessEqual(max(map(len, chunks)), 2**20)
        positions = [from_bytes(chunk).position for chunk in chunks]
        self.assertAllEqual(np.concatenate(positions), criteo.position)

    def test_dask_is_refused(self) -> None:
        with self.assertRaisesRegex(InputError, "--runner DaskRunner: gives wrong sums .*; use another"):
            prepare(self._log(), self._folder / "beam", runner="DaskRunner")

    def test_workers_that_do_not_begin_are_said(self) -> None:
        with mock.patch.object(beam, "_PATIENCE_SECONDS", 0.05):
            with self.assertLogs(beam.__name__, "ERROR") as log, _worker_awaited(str(self._folder / "began")):
                time.sleep(0.3)
            (self._folder / "began").touch()
            with self.assertNoLogs(beam.__name__, "ERROR"), _worker_awaited(str(self._folder / "began")):
                time.sleep(0.2)
        self.assertRegex(log.output[0], "no worker has begun in .* apache_beam.* must be installed where they run")

    def test_options_and_runners_that_beam_does_not_know(self) -> None:
        with self.assertRaisesRegex(InputError, "--beam workers=2: Apache Beam has no such option"):
            prepare(self._log(), self._folder / "beam", runner="DirectRunner", beam_options=("workers=2",))
        with self.assertRaisesRegex(
            InputError, "--runner Abacus: Apache Beam cannot use it: Unexpected pipeline runner"
        ):
            prepare(self._log(), self._folder / "beam", runner="Abacus")


if __name__ == "__main__":
    tf.test.main()
