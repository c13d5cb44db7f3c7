"""Sweeps, timed, and the memory of their trials."""

import dataclasses
import tempfile
import threading
import time
from pathlib import Path

import psutil

from tests.helpers.studies import CONFIGS, leading
from tfrs_scaling.config import Config
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import SyntheticSource
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.plan import PlannedTrial, plan_on
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.member import sweep
from tfrs_scaling.sweep.runner import Runner
from tfrs_scaling.training.trial import run_trial

STUDY = CONFIGS / "study.yaml"


@dataclasses.dataclass(frozen=True)
class Swept:
    """A finished sweep.

    Attributes:
        workdir: its folder.
        wall: its seconds.
        peak_bytes: the largest memory of any trial's process; 0 where it was not watched.
    """

    workdir: Workdir
    wall: float
    peak_bytes: int


def made(config: Config) -> ClickData:
    """The study's clicks."""
    assert config.synthetic is not None
    folder = Path(tempfile.mkdtemp()) / "data"
    prepare(SyntheticSource(config.synthetic), folder, seed=config.synthetic.seed)
    return ClickData.open(folder)


def swept(config: Config, data: ClickData, jobs: int) -> Swept:
    """The study, run in a new folder."""
    workdir = Workdir(Path(tempfile.mkdtemp()))
    planned: list[PlannedTrial] = plan_on(config, data.manifest)
    peaks: dict[int, int] = {}
    over = threading.Event()
    watcher = threading.Thread(target=watch_memory, args=(peaks, over))
    watcher.start()
    runner = Runner(config, data, workdir, strategy="cpu", jobs=jobs, time_limit=None, train=run_trial)
    with leading(workdir) as lead:
        workdir.claim(config, data)
        began = time.perf_counter()
        sweep(config, workdir, planned, runner, lambda *_: None, lead)
        wall = time.perf_counter() - began
    over.set()
    watcher.join()
    return Swept(workdir, wall, max(peaks.values(), default=0))


def watch_memory(peaks: dict[int, int], over: threading.Event) -> None:
    """Note, per process id, the most memory that each trial has held so far: the processes forked from the server."""
    while not over.wait(0.5):
        for process in (trial for server in psutil.Process().children() for trial in server.children()):
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                continue
            if "VmHWM" in status:  # kB
                peaks[process.pid] = int(status.split("VmHWM:")[1].split()[0]) * 1024
