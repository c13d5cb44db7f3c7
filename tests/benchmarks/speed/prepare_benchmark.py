"""How fast a Criteo log is prepared, what memory it takes as the log grows, and what a second process gains.

FLAGS="--criteo_rows=1000000 --pairs=6" measures a second process as tuner_configs/cluster/README.md tells it.
"""

import itertools
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags

from tfrs_scaling.input.logs.formats import open_log
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import LogSource

ROWS = flags.DEFINE_integer("criteo_rows", 200_000, "of the log")
PAIRS = flags.DEFINE_integer("pairs", 1, "of preparations with one job and with two")
# Distinct values of C1 to C26 in Criteo's Kaggle log (published counts, rounded).
CARDINALITIES = (
    1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593, 3194, 27, 14_992, 5_461_306,
    10, 5652, 2173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
)  # fmt: skip


def write_criteo(path: Path, rows: int) -> None:
    """A log of Criteo's form: 13 counts, 26 Zipf-distributed categories, and a fifth of the counts missing."""
    rng = np.random.default_rng(0)
    with path.open("w") as log:
        for start in range(0, rows, 50_000):
            count = min(50_000, rows - start)
            columns = [(rng.random(count) < 0.25).astype(int).astype(str)]
            for k in range(13):
                counts = rng.exponential(10.0 ** (k % 4), count).astype(int).astype(str)
                columns.append(np.where(rng.random(count) < 0.2, "", counts))
            for k, cardinality in enumerate(CARDINALITIES):
                ids = (rng.zipf(1.2, count) % cardinality * 2654435761 + k) % 2**32
                hexadecimal = np.array([f"{i:08x}" for i in ids])
                columns.append(np.where(rng.random(count) < 0.05, "", hexadecimal))
            log.writelines("\t".join(cells) + "\n" for cells in zip(*columns, strict=True))


def _prepared(files: tuple[str, ...], folder: str, jobs: int) -> tuple[float, float, float]:
    """Seconds, those of this process's CPU, and its largest memory in MiB, once TensorFlow is there."""
    started, started_cpu = time.perf_counter(), time.process_time()
    prepare(LogSource(open_log("criteo", files, None, None)), folder, jobs=jobs)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return time.perf_counter() - started, time.process_time() - started_cpu, memory


def _in_new_process(files: tuple[str, ...], folder: Path, jobs: int = 1) -> tuple[float, float, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_prepared, (files, str(folder), jobs))


class PrepareBenchmark(tf.test.Benchmark):
    """Rows per second and MiB, each preparation in a new process."""

    def benchmark_criteo(self) -> None:
        folder, rows = Path(tempfile.mkdtemp()), ROWS.value
        write_criteo(folder / "day_0", rows)
        for times in (1, 4):
            _, seconds, mebibytes = _in_new_process((str(folder / "day_0"),) * times, folder / f"data_{times}")
            self.report_benchmark(
                iters=times * rows,
                wall_time=seconds / times / rows,
                throughput=times * rows / seconds,
                extras={"MiB": round(mebibytes), "rows": times * rows, "cores": os.cpu_count() or 1},
                name=f"criteo_{times}x",
            )

    def benchmark_jobs(self) -> None:
        folder, rows, seconds = Path(tempfile.mkdtemp()), ROWS.value, dict[int, list[float]]()
        write_criteo(folder / "day_0", rows)
        for pair, jobs in itertools.product(range(PAIRS.value), (1, 2)):
            out = folder / f"{pair}_{jobs}"
            seconds.setdefault(jobs, []).append(_in_new_process((str(folder / "day_0"),), out, jobs)[0])
        low, middle, high = np.quantile(np.divide(seconds[1], seconds[2]), (0.25, 0.5, 0.75)).round(2).tolist()
        self.report_benchmark(
            iters=rows,
            wall_time=float(np.median(seconds[2])) / rows,
            extras={"times faster": middle, "quartiles": f"{low} to {high}", "cores": os.cpu_count() or 1},
            name="two_jobs",
        )


if __name__ == "__main__":
    tf.test.main()
