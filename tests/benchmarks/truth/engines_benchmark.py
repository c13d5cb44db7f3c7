"""Whether every way to prepare a million rows of a log of Criteo's form gives the same bytes, and what each takes.

Engines that are not on this machine are left out: ``make beam-engines`` brings them. FLAGS=--rows=10000 for fewer rows.
"""

import contextlib
import dataclasses
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Iterator
from pathlib import Path

import psutil
import tensorflow as tf
from absl import flags

from tests.benchmarks.speed.prepare_benchmark import write_criteo
from tests.helpers.beam_engines import boot, engine, worker_pool

ROWS = flags.DEFINE_integer("rows", 1_000_000, "of the log")
WAYS = flags.DEFINE_list("ways", [], "names of the ways to prepare; none: all")
SAMPLE_SECONDS = 0.5
LOOPBACK = "environment_type=LOOPBACK"


@contextlib.contextmanager
def way(name: str, folder: Path) -> Iterator[list[str]]:
    """The options of ``prepare`` for one of the ways."""
    if name.startswith("jobs"):
        yield ["--jobs", name.removeprefix("jobs_")]
        return
    which, _, environment = name.partition("_")
    with contextlib.ExitStack() as stack:
        options: tuple[str, ...]
        if which == "direct":
            runner, options = "DirectRunner", ()
        elif which == "portable":
            runner, options = "PortableRunner", ("job_endpoint=embed",)
        else:
            runner, options = engine(which, folder)  # type: ignore[arg-type]
        if environment == "loopback":
            options += (LOOPBACK,)
        elif environment == "pool":
            options += (stack.enter_context(worker_pool()), "environment_type=EXTERNAL")
        elif environment == "process":
            options += (boot(folder), "environment_type=PROCESS")
        if which in ("flink", "spark") and environment != "loopback":
            options += ("sdk_worker_parallelism=2",)
        yield ["--runner", runner, *(part for option in options for part in ("--beam", option))]


NAMES = (
    "jobs_1", "jobs_4", "direct", "portable_pool", "flink_loopback", "flink_pool", "flink_process", "spark_loopback",
    "spark_pool", "spark_process",
)  # fmt: skip


class EnginesBenchmark(tf.test.Benchmark):
    def benchmark_the_same_bytes_of_every_engine(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            write_criteo(root / "day_0", ROWS.value)
            expected = None
            for name in WAYS.value or NAMES:
                (place := root / name).mkdir()
                try:
                    with way(name, place) as options:
                        cost = prepared([str(root / "day_0"), str(place / "data"), *options])
                except unittest.SkipTest as absent:
                    print(f"{name}: {absent}")
                    continue
                found = {
                    path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (place / "data").iterdir()
                }
                expected = expected or found
                if found != expected:
                    raise AssertionError(f"{name}: other bytes than {NAMES[0]}")
                self.report_benchmark(
                    name=name,
                    iters=ROWS.value,
                    wall_time=cost.seconds / ROWS.value,
                    extras={
                        **{key: round(value, 1) for key, value in dataclasses.asdict(cost).items()},
                        "files": len(found),
                        "cores": os.cpu_count() or 1,
                    },
                )


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a preparation took: seconds by the clock and of CPU, and at most so much memory at a time; all processes
    together, pages that they share once."""

    seconds: float
    cpu_seconds: float
    mebibytes: float


def prepared(arguments: list[str]) -> Cost:
    """Prepare a log by the command line, watching this process's children."""
    started, most = time.monotonic(), 0.0
    used: dict[tuple[int, float], float] = {}  # CPU, by process
    command = [sys.executable, "-m", "tfrs_scaling", "prepare", "criteo", *arguments]
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        while process.poll() is None:
            memory = 0
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    memory += child.memory_full_info().pss
                    times = child.cpu_times()
                    used[child.pid, child.create_time()] = times.user + times.system
            most = max(most, memory / 2**20)
            time.sleep(SAMPLE_SECONDS)
        if process.returncode:
            output.seek(0)
            raise AssertionError(output.read()[-5000:])
    return Cost(time.monotonic() - started, sum(used.values()), most)


if __name__ == "__main__":
    tf.test.main()
