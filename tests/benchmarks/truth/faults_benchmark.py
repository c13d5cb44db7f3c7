"""What a sweep survives, and what it costs: killed twenty times, and a hundred trials in one process."""

import multiprocessing.forkserver
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import tensorflow as tf
import yaml

from tests.helpers.faults import Siege, instant_trial
from tests.helpers.studies import leading, tiny_config, tiny_content, tiny_data
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config
from tfrs_scaling.fit.runs.run_table import TIMING_COLUMNS
from tfrs_scaling.planning.plan import plan_on
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.member import sweep
from tfrs_scaling.sweep.runner import Runner
from tfrs_scaling.training.loop import Progress

LADDER = [128, 256, 512, 1024]
GRID: dict[str, Any] = {"examples": LADDER, "V": ["1/2", "1/4"], "H": [2], "O": [2, "1/2"], "seeds": [0, 1, 2]}


class FaultsBenchmark(tf.test.Benchmark):
    def benchmark_ten_kills_of_a_sweep_and_its_trials(self) -> None:
        self._besiege(1, 10, seed=1)

    def benchmark_ten_kills_of_chief_workers_and_trials(self) -> None:
        self._besiege(3, 10, seed=2)

    def benchmark_twenty_kills_of_five_processes_whose_clocks_differ(self) -> None:
        self._besiege(5, 20, seed=3, quick_seconds=8.0, clock_steps=(0, 600, -600))

    def benchmark_twenty_kills_of_one_process_and_four_that_join_it_at_random_moments(self) -> None:
        self._besiege(5, 20, seed=5, quick_seconds=8.0, clock_steps=(0, 600, -600), one_by_one=True)

    def benchmark_memory_of_a_hundred_trials(self) -> None:
        """Growth of the resident memory of the sweep's process and of the server that trials are forked from."""
        config = tiny_config(seeds=list(range(100)))
        root = Path(tempfile.mkdtemp())
        data, workdir, resident = tiny_data(config, root / "data"), Workdir(root / "study"), []

        def watcher(_: str, news: Progress | dict[str, Any]) -> None:
            if isinstance(news, dict):
                server = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
                resident.append([psutil.Process(pid).memory_info().rss / 2**20 for pid in (None, server)])

        started = time.monotonic()
        runner = Runner(config, data, workdir, strategy="cpu", jobs=1, time_limit=None, train=instant_trial)
        with leading(workdir) as lead:
            workdir.claim(config, data)
            sweep(config, workdir, plan_on(config, data.manifest), runner, watcher, lead)
        seconds = time.monotonic() - started
        figures: dict[str, float] = {}
        for which, at_ten, at_hundred in zip(("sweep", "server"), resident[9], resident[99], strict=True):
            figures |= {
                f"{which}_mib_at_10": round(at_ten, 1),
                f"{which}_mib_at_100": round(at_hundred, 1),
                f"{which}_growth_percent": round(100 * (at_hundred / at_ten - 1), 2),
            }
        self.report_benchmark(iters=100, wall_time=seconds / 100, extras=figures)

    def _besiege(
        self,
        processes: int,
        kills: int,
        seed: int,
        *,
        quick_seconds: float | None = None,
        clock_steps: tuple[float, ...] = (),
        one_by_one: bool = False,
    ) -> None:
        root = Path(tempfile.mkdtemp())
        content = tiny_content(**GRID)
        content["training"]["learning_rates"] = "auto"
        tiny_data(validated(Config, content, "tiny"), root / "data")
        config_file = root / "tiny.yaml"
        config_file.write_text(yaml.safe_dump(content))
        tables, started, killed = [], time.monotonic(), []
        for name, times in (("killed", kills), ("whole", 0)):
            workdir = Workdir(root / name)
            number = processes if times else 1
            seconds = quick_seconds if quick_seconds is not None and times else 0.05
            with Siege(
                config_file, root / "data", workdir, processes=number, quick=quick_seconds is not None, seconds=seconds,
                seed=seed, clock_steps=clock_steps, one_by_one=one_by_one and times > 0,
            ) as siege:  # fmt: skip
                siege.kill(times)
                siege.finish(again=times > 0)
            killed += siege.killed
            tables.append(pd.read_csv(workdir.runs).drop(columns=list(TIMING_COLUMNS)))
        pd.testing.assert_frame_equal(tables[0], tables[1])
        if tables[0].duplicated(["trial_id", "examples"]).any() or set(tables[0]["status"]) != {"ok", "stopped"}:
            raise AssertionError(tables[0])
        counts = {victim: killed.count(victim) for victim in sorted(set(killed))}
        self.report_benchmark(
            name="killed " + ", ".join(f"{count} × {victim}" for victim, count in counts.items()),
            iters=len(killed),
            wall_time=time.monotonic() - started,
            extras={"trials": tables[0]["trial_id"].nunique()},
        )


if __name__ == "__main__":
    tf.test.main()
