"""Trials that go wrong, and sweeps that are killed."""

import contextlib
import dataclasses
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import types
import unittest
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil
import tensorflow as tf

from tests.helpers.studies import REPOSITORY
from tfrs_scaling.config import Config
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.study.export import MEASURED
from tfrs_scaling.study.lead import Chief
from tfrs_scaling.study.search import Need
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.training.loop import Progress
from tfrs_scaling.training.trial import Trained, run_trial

_COMMAND = "from tests.helpers.faults import command_line; command_line()"


def quick_trial(
    need: Need,
    config: Config,
    data: ClickData,
    directory: Path,
    strategy: str,
    threads: int,
    report: Callable[[Progress], None],
) -> Trained:
    """Measurements that only the trial decides, without training, in half a second, or TRIAL_SECONDS; small
    rates do better.
    """
    rng = np.random.default_rng(list(need.trial.trial_id.encode()))
    validation, stopped, seconds = [], "", float(os.environ.get("TRIAL_SECONDS", "0.5"))
    writer = tf.summary.create_file_writer(str(directory))
    for examples in config.ladder:
        time.sleep(seconds / len(config.ladder))
        validation.append(0.5 + abs(math.log2(need.trial.learning_rate / 0.018)) / 50 + 0.001 * rng.random())
        with writer.as_default(step=examples):
            for tag in MEASURED:
                tf.summary.scalar(tag, validation[-1])
        writer.flush()
        report(Progress(examples, 1000.0))
        if stopped := need.why_stop(validation, config.ladder):
            break
    writer.close()
    return Trained(tuple(validation), stopped)


def instant_trial(need: Need, config: Config, *rest: Any) -> Trained:
    """Nothing."""
    return Trained((0.5,) * len(config.ladder))


def faulty_trial(need: Need, config: Config, data: ClickData, directory: Path, *rest: Any) -> Trained:
    """A real trial, with a fault that its place in the grid decides."""
    trial = need.trial
    fault = f"{trial.scheme} {trial.multiplier}"
    if fault == "V 1/2":  # the loss overflows
        need = Need(dataclasses.replace(trial, learning_rate=1e30))
    elif fault == "V 1/4":  # the kernel's way to end what takes too much memory
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "H 2":
        bytearray(2**62)
    elif fault == "H 1/2":
        tf.zeros(2**44)
    elif fault == "O 2":  # beside the data lies a damaged copy
        data = ClickData.open(Path(str(data.folder)).with_name("damaged"))
    elif fault == "O 1/2":
        raise ValueError("ids of row 7: -1")
    return run_trial(need, config, data, directory, *rest)


def hanging_trial(need: Need, *rest: Any) -> Trained:
    """V hangs, the others are quick."""
    if need.trial.scheme == "V":
        time.sleep(3600)
    return quick_trial(need, *rest)


def greedy_trial(need: Need, config: Config, data: ClickData, directory: Path, *rest: Any) -> Trained:
    """V fills the disk with its events, the others are quick."""
    if need.trial.scheme == "V":
        with (directory / "events.out.tfevents.endless").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    return quick_trial(need, config, data, directory, *rest)


def hungry_trial(need: Need, *rest: Any) -> Trained:
    """V takes memory until there is no more, the others are quick."""
    taken = []
    while need.trial.scheme == "V":
        taken.append(b"x" * (16 << 20))
    return quick_trial(need, *rest)


def command_line(arguments: Sequence[str] | None = None) -> None:
    """The command line, one core's.

    TRIALS names a function of this module in place of the training of trials; CLOCK_STEP is added to the wall clock,
    as far as the program reads it: gRPC compares it with that of its core.
    """
    from tfrs_scaling.cli.main import main

    step = float(os.environ.get("CLOCK_STEP", "0"))
    clock = types.SimpleNamespace(**vars(time) | {"time": lambda: time.time() + step})
    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch("os.cpu_count", return_value=1))
        patches.enter_context(mock.patch("tfrs_scaling.study.attempts.time", clock))
        if name := os.environ.get("TRIALS"):
            patches.enter_context(mock.patch("tfrs_scaling.training.trial.run_trial", globals()[name]))
        main(arguments)


class Siege:
    """A study that several processes run, which are killed at random and started again.

    Args:
        config_file: the study.
        data: its shards.
        workdir: its folder.
        processes: how many; all are the same command.
        quick: whether the trials only seem to train.
        seconds: that those take.
        seed: of what is killed, and when.
        clock_steps: seconds that the clocks of some are wrong by.
        one_by_one: whether they start in any order, one first and the others at random moments between the kills.
        command: ``study``, or ``sweep``, which neither fits nor reports.
    """

    def __init__(
        self, config_file: Path, data: Path, workdir: Workdir, *, processes: int, quick: bool, seed: int,
        seconds: float = 0.5, clock_steps: Sequence[float] = (), one_by_one: bool = False, command: str = "study",
    ):  # fmt: skip
        self._config_file, self._data, self._workdir, self._quick = config_file, data, workdir, quick
        self._seconds, self._command = seconds, command
        self._steps, self._one_by_one = dict(enumerate(clock_steps)), one_by_one
        self._rng = np.random.default_rng(seed)
        self._absent = self._rng.permutation(processes).tolist() if one_by_one else list(range(processes))
        self.killed: list[str] = []
        self.processes: dict[int, subprocess.Popen[str]] = {}

    def __enter__(self) -> "Siege":
        self.start(self._absent.pop(0))
        if not self._one_by_one:
            self._start_absent()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()
            process.communicate()

    def start(self, number: int, *more: str) -> "subprocess.Popen[str]":
        """Start one of the processes."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TRIALS": "quick_trial" if self._quick else ""}
        environment |= {"CLOCK_STEP": str(self._steps.get(number, 0)), "TRIAL_SECONDS": str(self._seconds)}
        arguments = [self._command, self._config_file, "--data", self._data, "--workdir", self._workdir.root, *more]
        self.processes[number] = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *map(str, arguments)],
            cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return self.processes[number]

    def _start_absent(self) -> None:
        while self._absent:
            self.start(self._absent.pop(0))

    def chief(self) -> int | None:
        """The number of the process that leads and lets others join; None: there is none."""
        chief = Chief.read(self._workdir.root)
        pids = {process.pid: number for number, process in self.processes.items()}
        return None if chief is None or chief.address is None else pids.get(chief.process.pid)

    def kill_one(self, number: int) -> None:
        """Kill a process, of which it is noted whether it was the chief."""
        self.killed.append("chief" if number == self.chief() else "worker")
        self.processes[number].kill()
        self.processes[number].communicate()

    def kill(self, times: int) -> None:
        """Kill a trial's process or one of the study's, and start the latter again; stops where the study ends before.

        Each time within three seconds after a trial's process is there: a sweep's start is where nothing can be lost.
        Of several processes, about every second that is killed is the chief.
        """
        for _ in range(times):
            if not self._wait_for_a_trial():
                return
            time.sleep(self._rng.uniform(0.0, 3.0))
            if self._absent and self._rng.random() < 0.5:
                self.start(self._absent.pop(0))
            numbers, chief = sorted(self.processes), self.chief()
            victim = int(self._rng.choice([-1, *numbers, *[n if chief is None else chief for n in numbers[1:]]]))
            if victim < 0:
                pids = [pid for process in self.processes.values() for pid in trial_processes(process.pid)]
                if pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(self._rng.choice(sorted(pids))), signal.SIGKILL)
                        self.killed.append("trial")
                    continue
                victim = numbers[-1]
            if self.processes[victim].poll() is None:
                self.kill_one(victim)
                self.start(victim)

    def finish(self, *, again: bool) -> list[str]:
        """Wait for all of them; what they printed. ``again``: the same command, alone, then tries what failed."""
        self._start_absent()
        outputs = [self._ended(process) for process in self.processes.values()]
        return [*outputs, self._ended(self.start(0))] if again else outputs

    def _ended(self, process: "subprocess.Popen[str]") -> str:
        output, _ = process.communicate(timeout=900)
        if process.returncode not in (0, -signal.SIGKILL):
            raise AssertionError(output)
        return output

    def _wait_for_a_trial(self) -> bool:
        ends = time.monotonic() + 600
        while time.monotonic() < ends:
            if any(True for process in self.processes.values() for _ in trial_processes(process.pid)):
                return True
            if all(process.poll() is not None for process in self.processes.values()):
                return False
            time.sleep(0.02)
        raise AssertionError("no trial runs")


def trial_processes(sweep: int) -> Iterator[int]:
    """The processes of a sweep's trials: those forked from the server that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for server in psutil.Process(sweep).children():
            yield from (trial.pid for trial in server.children())


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[None]:
    """A file system of so many MiB, mounted at a new folder.

    Raises:
        SkipTest: it takes root, or another way to mount one.
    """
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        raise unittest.SkipTest("needs the right to mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def memory_group() -> Iterator["MemoryGroup"]:
    """A new control group, in which memory can be limited.

    Raises:
        SkipTest: the system has none, or it takes root.
    """
    name = f"tfrs-scaling-test-{os.getpid()}-{time.monotonic_ns()}"
    for root, limit, usage in (
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
        ("/sys/fs/cgroup", "memory.max", "memory.current"),
    ):
        folder = Path(root, name)
        with contextlib.suppress(OSError):
            folder.mkdir()
            if (folder / limit).exists():
                try:
                    yield MemoryGroup(folder, limit, usage)
                    return
                finally:
                    with contextlib.suppress(OSError):  # of a killed process the kernel still holds pages
                        folder.rmdir()
            folder.rmdir()
    raise unittest.SkipTest("needs control groups of memory, and the right to make one")


@dataclasses.dataclass(frozen=True)
class MemoryGroup:
    """A control group of Linux, version 1 or 2."""

    folder: Path
    limit: str
    usage: str

    def used(self) -> int:
        """Bytes."""
        return int((self.folder / self.usage).read_text())

    def set_limit(self, limit: int | None) -> None:
        """Limit what its processes use together, in bytes; None: not at all."""
        unlimited = "-1" if "limit" in self.limit else "max"
        (self.folder / self.limit).write_text(unlimited if limit is None else str(limit))

    def enter(self) -> None:
        """Move this process into it, and so those that it will start."""
        (self.folder / "cgroup.procs").write_text("0")
