"""How large a cluster one chief serves: a study of 10,000 trials, whose workers only wait, on one machine.

As many workers as a machine carries ask as often as ten times as many would whose trials take ten times as long. Half
of the trials have ended before. The workers' files are real, and so are the calls.
"""

import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from tests.helpers.studies import tiny_config, tiny_data
from tfrs_scaling.common.files import write_json
from tfrs_scaling.config import Config
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.plan import PlannedTrial, plan_on
from tfrs_scaling.study.attempts import Heartbeat, begin, publish
from tfrs_scaling.study.lead import Watch
from tfrs_scaling.study.search import Need, Record
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.chief import ChiefService
from tfrs_scaling.sweep.endpoint import TOKEN, Endpoint
from tfrs_scaling.sweep.grid import OracleClient
from tfrs_scaling.sweep.member import sweep

TRIALS = 10_000
SHORTENED = 10  # times: trials take 0.1 to 6 s in the place of 1 to 60 s, so 50 workers ask as often as 500
EVENTS = ("open", "os.listdir", "os.scandir", "os.rename", "os.mkdir", "os.rmdir", "os.remove")
OUTCOME: dict[str, Any] = {
    "status": "ok", "reason": "", "validation_ne": 0.5, "strategy": "cpu", "libraries": "", "machine": "",
}  # fmt: skip


class WaitingRunner:
    """In the place of ``Runner``: trials that wait, and leave what trials leave."""

    jobs, strategy = 1, "cpu"

    def __init__(self, workdir: Workdir, stop: threading.Event, seconds: Callable[[], float]):
        self.stop, self._workdir, self._seconds = stop, workdir, seconds

    def run(self, need: Need, planned: PlannedTrial, job: int, worker: str, on_progress: Any) -> Record:
        """Wait, and publish."""
        name = need.trial.trial_id
        directory = begin(self._workdir.running, name)
        with Heartbeat(directory, name, worker):
            (directory / "events.out.tfevents.1").write_bytes(bytes(4096))
            if self.stop.wait(self._seconds()):
                raise KeyboardInterrupt
        return publish(directory, self._workdir.trials / name, OUTCOME)

    def release(self, job: int) -> None:
        """There is no process."""


class ClusterBenchmark(tf.test.Benchmark):
    def benchmark_ten_thousand_trials_at_the_rate_of_500_workers(self) -> None:
        self._serve(workers=50, minutes=1.5)

    def benchmark_ten_thousand_trials_at_twice_that_rate(self) -> None:
        self._serve(workers=100, minutes=1.0)

    def _serve(self, workers: int, minutes: float) -> None:
        root = Path(tempfile.mkdtemp())
        config, data = study(root)
        workdir = Workdir(root / "study")
        planned = plan_on(config, data.manifest)
        lead = Watch(workdir.root).enter(join=False)
        assert lead is not None
        workdir.claim(config, data)
        for trial in all_trials(config)[: TRIALS // 2]:
            (place := workdir.trials / trial.trial_id).mkdir(parents=True)
            write_json(place / "trial.json", OUTCOME)
        stop, began = threading.Event(), time.monotonic()
        with counted(workdir.root) as operations:
            chief = ChiefService(
                config, workdir, planned, lead, Endpoint("127.0.0.1:0", workdir.root / TOKEN), watcher=lambda *_: None,
                on_plan=lambda _: None, say=print, stop=stop,
            )  # fmt: skip
            started, cpu = time.monotonic() - began, time.process_time()
            at_start = Counter(operations)
            context = multiprocessing.get_context("spawn")
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                theirs = pool.submit(work, root, workers, minutes).result()
            cpu = time.process_time() - cpu
            chief.close()
        done = theirs["trials"]
        own = Counter(operations)
        own.subtract(at_start)
        self.report_benchmark(
            name=f"{workers} workers",
            iters=done,
            wall_time=theirs["seconds"] / max(done, 1),
            extras={
                "trials_per_second": round(done / theirs["seconds"], 2),
                "asked_per_second": round(theirs["asked"], 2),
                "chief_starts_in_seconds": round(started, 1),
                "chief_cpu_percent": round(100 * cpu / theirs["seconds"], 1),
                **{f"{call}_ms_p{p}": round(1e3 * float(np.percentile(times, p)), 1)
                   for call, times in theirs["times"].items() for p in (50, 99)},
                **{f"chief_{event}_per_trial": round(own[event] / max(done, 1), 2) for event in EVENTS},
                **{f"worker_{event}_per_trial": round(n / max(done, 1), 2)
                   for event, n in theirs["operations"].items()},
            },
        )  # fmt: skip


def study(root: Path) -> tuple[Config, ClickData]:
    """A study of 10,000 trials, and its clicks."""
    config = tiny_config(V=["1/2", "1/4", "1/8"], seeds=list(range(TRIALS // 20)))
    rates = (0.01, 0.02, 0.04, 0.08, 0.16)
    config = dataclasses.replace(config, training=dataclasses.replace(config.training, learning_rates=rates))
    assert len(all_trials(config)) == TRIALS
    return config, ClickData.open(root / "data") if (root / "data").exists() else tiny_data(config, root / "data")


def work(root: Path, workers: int, minutes: float) -> dict[str, Any]:
    """So many workers in this process, for some minutes; what they saw."""
    config, data = study(root)
    workdir, planned = Workdir(root / "study"), plan_on(config, data.manifest)
    endpoint, stop, rng = Endpoint(None, workdir.root / TOKEN), threading.Event(), np.random.default_rng(0)
    times: dict[str, list[float]] = {"create_trial": [], "end_trial": []}
    lock = threading.Lock()

    def seconds() -> float:
        with lock:
            return float(rng.uniform(1, 60)) / SHORTENED

    def member() -> int:
        watch = Watch(workdir.root)
        assert watch.enter(join=True) is None
        with contextlib.suppress(KeyboardInterrupt):
            sweep(
                config, workdir, planned, WaitingRunner(workdir, stop, seconds), lambda *_: None, None, watch=watch,  # type: ignore[arg-type]
                endpoint=endpoint, say=lambda _: None,
            )  # fmt: skip
        return 0

    with contextlib.ExitStack() as stack:
        for call in times:
            stack.enter_context(mock.patch.object(OracleClient, call, timed(getattr(OracleClient, call), times[call])))
        operations = stack.enter_context(counted(workdir.root))
        before, began = len(workdir.ended()), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(workers) as threads:
            running = [threads.submit(member) for _ in range(workers)]
            concurrent.futures.wait(running, timeout=60 * minutes)
            took, trials = time.monotonic() - began, len(workdir.ended()) - before
            counts = Counter(operations)
            stop.set()
    return {
        "seconds": took, "trials": trials, "times": times, "operations": counts, "asked": workers * SHORTENED / 30.5,
    }  # fmt: skip


def timed(method: Callable[..., Any], times: list[float]) -> Callable[..., Any]:
    """The method, with the seconds of each call added to a list."""

    def call(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return method(*arguments, **options)
        finally:
            times.append(time.perf_counter() - began)

    return call


@contextlib.contextmanager
def counted(root: Path) -> Iterator[Counter[str]]:
    """How often this process opens, lists, renames or removes something in a folder."""
    counts: Counter[str] = Counter()
    place, is_on = str(root), True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if is_on and event in EVENTS and arguments and str(arguments[0]).startswith(place):
            counts[event] += 1

    sys.addaudithook(hook)
    try:
        yield counts
    finally:
        is_on = False


if __name__ == "__main__":
    tf.test.main()
