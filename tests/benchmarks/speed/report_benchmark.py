"""Speed of the report: how large it is, how long it takes to write, to open and to draw, for 500 trials."""

import tempfile
import time
from pathlib import Path

import tensorflow as tf

from tests.helpers.planted import planted_study
from tests.helpers.planted_answers import answered
from tfrs_scaling.fit.report.images import headless_browser
from tfrs_scaling.fit.report.report import write_report

SEEDS = 30  # of 17 shapes: 510 trials, every one of them in the figures


class ReportBenchmark(tf.test.Benchmark):
    """A study of 510 trials at one learning rate."""

    def benchmark_five_hundred_trials(self) -> None:
        """MB; seconds to write; to open, until the first figures are drawn; until all are."""
        runs = planted_study(seeds=SEEDS).query("learning_rate == 0.02").reset_index(drop=True)
        started = time.perf_counter()
        fits = answered(runs)
        fitted = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "report.html"
            write_report(runs, fits, path)
            written = time.perf_counter()
            extras = {
                "trials": float(runs["trial_id"].nunique()),
                "megabytes": path.stat().st_size / 1e6,
                "seconds_to_fit": fitted - started,
            }
            with headless_browser() as browser:
                begun = time.perf_counter()
                browser.get(path.as_uri())
                extras["seconds_to_open"] = time.perf_counter() - begun
                while browser.execute_script("return document.body.dataset.drawn") != "true":
                    time.sleep(0.05)
                extras["seconds_to_draw_all"] = time.perf_counter() - begun
        self.report_benchmark(iters=1, wall_time=written - fitted, extras=extras)


if __name__ == "__main__":
    tf.test.main()
