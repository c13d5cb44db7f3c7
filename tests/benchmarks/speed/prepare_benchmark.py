"""How fast a Criteo log is prepared in one process, and what memory it takes as the log grows."""

import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrs_scaling.input.logs.formats import open_log
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import LogSource

ROWS = 200_000
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


def _prepared(files: tuple[str, ...], folder: str) -> tuple[float, float]:
    """Seconds of CPU, and the largest memory of the process in MiB, once TensorFlow is there."""
    started = time.process_time()
    prepare(LogSource(open_log("criteo", files, None, None)), folder)
    return time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class PrepareBenchmark(tf.test.Benchmark):
    """Rows per second of CPU and MiB, each preparation in a new process."""

    def benchmark_criteo(self) -> None:
        folder = Path(tempfile.mkdtemp())
        write_criteo(folder / "day_0", ROWS)
        for times in (1, 4):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                log = (str(folder / "day_0"),) * times
                seconds, mebibytes = pool.apply(_prepared, (log, str(folder / f"data_{times}")))
            self.report_benchmark(
                iters=times * ROWS,
                wall_time=seconds / times / ROWS,
                throughput=times * ROWS / seconds,
                extras={"MiB": round(mebibytes), "rows": times * ROWS, "cores": os.cpu_count() or 1},
                name=f"criteo_{times}x",
            )


if __name__ == "__main__":
    tf.test.main()
