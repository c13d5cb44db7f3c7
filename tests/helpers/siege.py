"""A siege: commands that are killed, stopped, starved and misled at random, on real processes, files and disks.

Every event ends with the same questions. Did the commands end as they should, with words and no traceback? Is every
outcome that was recorded before still there, to the byte? And after the last event: is the table that of a study, and
are the shards those of a log, that nobody disturbed?
"""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import sys
import time
import traceback
import unittest
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import yaml

from tests.helpers.faults import MemoryGroup, command_line, memory_group, small_disk, trial_processes
from tests.helpers.fuzz import mutated
from tests.helpers.studies import tiny_content
from tfrs_scaling.fit.runs.run_table import TIMING_COLUMNS
from tfrs_scaling.study.attempts import EVENT_FILES
from tfrs_scaling.study.workdir import Workdir

DISK_MEBIBYTES = 48
PATIENCE_SECONDS = 120.0  # for a command to end by itself
FULL = "No space left"  # said at any time after an event has filled the disk


@dataclasses.dataclass
class Tally:
    """How often each kind of event was tried and survived, and what was lost."""

    tried: Counter[str] = dataclasses.field(default_factory=Counter)
    lost: list[str] = dataclasses.field(default_factory=list)
    lost_kinds: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Count another's events too."""
        self.tried += other.tried
        self.lost += other.lost
        self.lost_kinds += other.lost_kinds

    def text(self) -> str:
        """A line for each kind."""
        lines = [f"{kind}: {n - self.lost_kinds[kind]} of {n} survived" for kind, n in sorted(self.tried.items())]
        return "\n".join([*lines, f"{sum(self.tried.values())} events, {len(self.lost)} lost", *self.lost])


class Command:
    """A command of the program as a process that leads a group of its own.

    It is forked from this process, which has loaded TensorFlow but not started it: loading takes seconds each time.
    """

    def __init__(self, arguments: list[str], log: Path, group: MemoryGroup | None = None, **environment: str):
        self.log, self._status = log, 0
        self.pid = os.fork()
        if self.pid:
            return
        status = 1
        try:
            os.setsid()
            # Ctrl-C is ignored by what a shell starts in the background.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if group is not None:
                group.enter()
            os.environ.update(environment)
            self._redirect(environment.get("READS_ONE_LINE"))
            command_line(arguments)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _redirect(self, reads_one_line: str | None) -> None:
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if reads_one_line:
            read, write = os.pipe()
            if os.fork() == 0:
                with os.fdopen(read) as lines:
                    lines.readline()
                os._exit(0)
            os.close(read)
            os.dup2(write, 1)
        sys.stdout, sys.stderr = (open(descriptor, "w", closefd=False) for descriptor in (1, 2))  # noqa: SIM115

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors="replace")

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._ended(os.WNOHANG) is None

    def wait(self) -> int:
        """Its exit status, negative if a signal ended it."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while (status := self._ended(os.WNOHANG)) is None:
            if time.monotonic() > ends:
                self.signal(signal.SIGKILL, group=True)
                raise AssertionError(f"did not end in {PATIENCE_SECONDS:.0f} s: {self.text[-500:]}")
            time.sleep(0.02)
        return status

    def signal(self, number: int, *, group: bool) -> None:
        """Send a signal to it or to all its processes."""
        if self.pid:  # else it has ended
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number) if group else os.kill(self.pid, number)

    def _ended(self, options: int) -> int | None:
        if self.pid:
            pid, status = os.waitpid(self.pid, options)
            if not pid:
                return None
            self.pid, self._status = 0, os.waitstatus_to_exitcode(status)
        return self._status


class StudySiege:
    """Events on one small study.

    Args:
        root: an empty folder, on a small disk if one can be mounted.
        places: with the configuration, its data and the table of a study that nobody disturbed (see ``prepared``).
        rng: what happens, and when.
        tally: counts.
        real: whether trials are trained; else they only seem to.
        name: of the round, for what is lost.
    """

    def __init__(
        self, root: Path, places: Path, rng: np.random.Generator, tally: Tally, *, real: bool, name: str,
        group: MemoryGroup | None, is_small: bool,
    ):  # fmt: skip
        self._root, self._places, self._rng, self._tally = root, places, rng, tally
        self._workdir, self._name, self._real = Workdir(root / "study"), name, real
        self._group, self._seconds = group, 0
        self._kept: dict[Path, bytes] = {}  # outcomes that no event may change
        self._command: Command | None = None
        self._kinds: dict[str, Callable[[], None]] = {
            "a trial killed": self.trial_killed, "the sweep killed": self.sweep_killed,
            "all killed": self.all_killed, "SIGTERM to all": self.stopped, "Ctrl-C": self.interrupted,
            "two sweeps": self.second_sweep, "a state file broken": self.state_broken,
            "the reader of its output gone": self.reader_gone, "the clock stepped": self.clock_stepped,
        }  # fmt: skip
        if is_small:
            self._kinds["the disk full"] = self.disk_full
        if group is not None:
            self._kinds["the memory limited"] = self.memory_limited

    @property
    def kinds(self) -> list[str]:
        """What can happen."""
        return list(self._kinds)

    def run(self, kinds: Sequence[str]) -> None:
        """Have these events happen one after the other, and finish the study."""
        for kind in kinds:
            self._tally.tried[kind] += 1
            with self._loss_noted(kind):
                self._kinds[kind]()
                self._check_kept()
        with self._loss_noted("the end of a study"):
            self._finish()

    @contextlib.contextmanager
    def _loss_noted(self, kind: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._tally.lost_kinds[kind] += 1
            self._tally.lost.append(f"{self._name}, {kind}: {type(error).__name__}: {str(error)[-1500:]}")

    # Events.

    def trial_killed(self) -> None:
        if (trial := self._trial()) is not None:
            self._pause(0.5)
            with contextlib.suppress(ProcessLookupError):
                os.kill(trial, signal.SIGKILL)

    def sweep_killed(self) -> None:
        self._trial()
        self._pause(2.0)
        self._kill()

    def all_killed(self) -> None:
        self._running()
        self._pause(6.0)  # also while it starts
        self._kill(group=True)

    def stopped(self) -> None:
        self._stop(signal.SIGTERM)

    def interrupted(self) -> None:
        self._stop(signal.SIGINT)

    def _stop(self, number: int) -> None:
        command, _ = self._running(), self._trial()
        failed = self._failed()
        self._pause(2.0)
        command.signal(number, group=True)
        status = command.wait()
        ended = {0: "", 130: "run the same command again", 1: FULL}
        assert status in ended and ended[status] in command.text, (status, command.text)
        self._check_text(command)
        for name, reason in self._failed().items() - failed.items():
            assert "SIGKILL" in reason or FULL in reason, f"{name} failed: {reason}"

    def second_sweep(self) -> None:
        first, _ = self._running(), self._trial()
        if self._rng.random() < 0.5:
            (self._workdir.root / ".lock").unlink(missing_ok=True)
        self._seconds += 1
        second = self._start(f"second{self._seconds}")
        self._pause(12.0)  # also while it starts
        killed, self._command = (first, second) if self._rng.random() < 0.5 else (second, first)
        killed.signal(signal.SIGKILL, group=True)
        ended = killed.wait() in (0, -signal.SIGKILL) or FULL in killed.text
        assert ended, killed.text
        for command in (first, second):
            self._check_text(command)

    def state_broken(self) -> None:
        self._kill(group=True)
        files = [path for path in self._workdir.root.rglob("*") if path.is_file() and "keras_tuner" not in path.parts]
        state = sorted(
            path for path in files if path.suffix == ".json" or path.match(EVENT_FILES) or path.name == "token"
        )
        if not state:
            return
        path = state[self._rng.integers(len(state))]
        whole = path.read_bytes()
        how = self._rng.integers(4)
        path.write_bytes([b"", whole[: len(whole) // 2], mutated(whole, self._rng), b"[" * 10_000][how])
        try:
            self._read_broken(path)
        finally:
            if path.parent.parent == self._workdir.trials:  # as the messages say
                shutil.rmtree(path.parent, ignore_errors=True)
                self._kept = {file: content for file, content in self._kept.items() if file.parent != path.parent}
            elif path.exists() and path.parent == self._workdir.root:
                path.write_bytes(whole)
            elif path.exists() and path.parent.parent == self._workdir.running:  # as if it were minutes ago
                for each in (*path.parent.iterdir(), path.parent):
                    os.utime(each, (time.time() - 3600,) * 2)

    def _read_broken(self, path: Path) -> None:
        for name in ("status", "export", "sweep"):
            command = self._start(name) if name == "sweep" else self._start(name, [name, str(self._workdir.root)])
            if name == "sweep":
                self._pause(3.0)
                if command.is_running():
                    command.signal(signal.SIGKILL, group=True)
            status = command.wait()
            assert status in (0, 1, -signal.SIGKILL), (name, path, status, command.text)
            self._check_text(command)

    def reader_gone(self) -> None:
        self._kill()
        command = self._start("piped", READS_ONE_LINE="yes")
        assert command.wait() in (0, 1), command.text
        self._check_text(command)
        assert "Error" not in command.text, command.text

    def clock_stepped(self) -> None:
        self._kill()
        step = self._rng.choice([-1, 1]) * 10 ** self._rng.uniform(1, 8.5)  # ten seconds to ten years
        self._command = self._start("stepped", CLOCK_STEP=f"{step:.0f}")
        self._trial()

    def disk_full(self) -> None:
        command, _ = self._running(), self._trial()
        self._pause(1.0)
        filler = self._root / "filler"
        left = int(self._rng.integers(1, 64)) << 10
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            file.write(bytes(max(0, shutil.disk_usage(self._root).free - left)))
        ends = time.monotonic() + 4.0
        while command.is_running() and time.monotonic() < ends:
            time.sleep(0.05)
        filler.unlink()
        if not command.is_running():
            assert command.wait() in (0, 1), command.text
        self._check_text(command)

    def memory_limited(self) -> None:
        assert self._group is not None
        command, trial = self._running(), self._trial()
        with contextlib.suppress(OSError):  # it has just taken more
            self._group.set_limit(self._group.used() + (int(self._rng.integers(1, 16)) << 20))
        ends = time.monotonic() + 3.0
        while command.is_running() and time.monotonic() < ends:
            time.sleep(0.05)
        self._group.set_limit(None)
        self._check_text(command)
        assert command.is_running() or command.wait() >= 0 or trial is None, "the sweep was killed before its trial"

    # What they are made of.

    def _start(self, name: str, arguments: list[str] | None = None, **environment: str) -> Command:
        sweep = ["sweep", str(self._places / "tiny.yaml"), "--data", str(self._places / "data")]
        sweep += ["--workdir", str(self._workdir.root), "--strategy", "cpu", "--jobs", "2"]
        environment = {"TRIALS": "" if self._real else "quick_trial", "OMP_NUM_THREADS": "1", **environment}
        return Command(arguments or sweep, self._root.with_name(f"{name}.log"), self._group, **environment)

    def _running(self) -> Command:
        if self._command is None or not self._command.is_running():
            self._command = self._start("sweep")
        return self._command

    def _trial(self) -> int | None:
        """The process of a trial, once there is one; None if the study ended before."""
        command = self._running()
        ends = time.monotonic() + PATIENCE_SECONDS
        while command.is_running() and time.monotonic() < ends:
            if trials := sorted(trial_processes(command.pid)):
                return int(self._rng.choice(trials))
            time.sleep(0.02)
        return None

    def _pause(self, seconds: float) -> None:
        time.sleep(self._rng.uniform(0.0, seconds))

    def _kill(self, *, group: bool = False) -> None:
        if self._command is not None and self._command.is_running():
            self._command.signal(signal.SIGKILL, group=group)
            self._command.wait()

    def _check_text(self, command: Command) -> None:
        assert "Traceback" not in command.text, command.text

    def _outcomes(self) -> Iterator[tuple[Path, dict[str, str]]]:
        for path in self._workdir.trials.glob("*/trial.json"):
            with contextlib.suppress(OSError):
                yield path, json.loads(path.read_text())

    def _failed(self) -> dict[str, str]:
        """The reasons of the trials that failed, by their folders."""
        outcomes = self._outcomes()
        return {path.parent.name: outcome["reason"] for path, outcome in outcomes if outcome["status"] == "failed"}

    def _check_kept(self) -> None:
        for path, content in self._kept.items():
            assert path.read_bytes() == content, f"{path} has changed"
        self._kept |= {path: path.read_bytes() for path, outcome in self._outcomes() if outcome["status"] == "ok"}

    def _finish(self) -> None:
        """The same command to the end, and again while there are failures to retry."""
        if self._command is not None and self._command.is_running():
            self._command.wait()
        for _ in range(4):
            command = self._start("last")
            status = command.wait()
            self._check_text(command)
            if status == 0 and not self._failed():
                break
        assert status == 0, command.text
        self._check_kept()
        assert not self._failed(), self._failed()
        found, expected = (table(path) for path in (self._workdir.runs, self._places / "runs.csv"))
        pd.testing.assert_frame_equal(found, expected)
        left = list(self._workdir.running.glob("*"))
        assert not left, f"left behind: {left}"


def table(path: Path) -> pd.DataFrame:
    """A run table without what differs from run to run."""
    runs = pd.read_csv(path).drop(columns=[*TIMING_COLUMNS])
    return runs.sort_values(["trial_id", "examples"], ignore_index=True)


def besiege_prepare(
    root: Path, places: Path, rng: np.random.Generator, tally: Tally, name: str, is_small: bool
) -> None:
    """One event on `prepare`, and then the same command in peace: the shards are those of an undisturbed one."""
    kind = str(rng.choice(["killed", "stopped", "two at once", *(["the disk full"] if is_small else [])]))
    out, filler = root / "out", root / "filler"
    tally.tried[f"prepare: {kind}"] += 1
    arguments = ["prepare", "csv", str(places / "log.csv"), str(out), "--schema", str(places / "schema.json")]
    try:
        if kind == "the disk full":
            left = int(10 ** rng.uniform(3, 6.3))
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                file.write(bytes(max(0, shutil.disk_usage(root).free - left)))
        commands = [Command(arguments, root.with_name(f"prepare{n}.log")) for n in range(1 + (kind == "two at once"))]
        if kind in ("killed", "stopped"):
            time.sleep(rng.uniform(0, 3.0))
            commands[0].signal(signal.SIGKILL if kind == "killed" else signal.SIGTERM, group=True)
        statuses = [command.wait() for command in commands]
        for command in commands:
            assert "Traceback" not in command.text, command.text
        if kind == "two at once":
            assert sorted(statuses) in ([0, 0], [0, 1]), [(c.text, s) for c, s in zip(commands, statuses, strict=True)]
        filler.unlink(missing_ok=True)
        if not (out / "manifest.json").exists():
            again = Command(arguments, root.with_name("again.log"))
            assert again.wait() == 0, again.text
        assert contents(out) == contents(places / "shards"), "other shards than those of an undisturbed command"
        left_over = [path.name for path in root.iterdir() if path != out]
        assert not left_over, f"left behind: {left_over}"
    except Exception as error:
        tally.lost_kinds[f"prepare: {kind}"] += 1
        tally.lost.append(f"{name}, prepare, {kind}: {type(error).__name__}: {str(error)[-1500:]}")


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def prepared(places: Path, *, real: bool) -> None:
    """The configuration, the data and the log of a siege, and what comes of them undisturbed."""
    content = tiny_content(examples=[128, 256, 512, 1024], V=["1/2"], O=[2])
    content["training"]["learning_rates"] = "auto"
    config = places / "tiny.yaml"
    config.write_text(yaml.safe_dump(content))
    rng = np.random.default_rng(5)
    rows = (f"{n},{rng.integers(2)},{rng.integers(1000)},{rng.random():.3f}" for n in range(20_000))
    (places / "log.csv").write_text("t,y,c,d\n" + "\n".join(rows) + "\n")
    schema = {"label": "y", "time": "t", "dense": [{"name": "d"}], "categorical": [{"name": "c", "cardinality": 99}]}
    (places / "schema.json").write_text(json.dumps(schema))
    log, whole = places / "prepare.log", str(places / "whole")
    sweep = ["sweep", str(config), "--data", str(places / "data"), "--workdir", whole, "--strategy", "cpu"]
    for arguments in (
        ["prepare", "synthetic", str(config), str(places / "data")],
        ["prepare", "csv", str(places / "log.csv"), str(places / "shards"), "--schema", str(places / "schema.json")],
        [*sweep, "--jobs", "2"],
    ):
        command = Command(arguments, log, TRIALS="" if real else "quick_trial", OMP_NUM_THREADS="1")
        if command.wait():
            raise AssertionError(command.text)
    shutil.copy(places / "whole" / "runs.csv", places / "runs.csv")


def besiege(
    folder: Path, seed: int, minutes: float, *,
    real: bool = True, first: int = 0, step: int = 1, kinds: Sequence[str] = (),
) -> Tally:  # fmt: skip
    """Rounds one after the other until the time is over: each kind of event on a study of its own, two on `prepare`.

    Args:
        folder: an empty folder, or none yet.
        seed: of all that happens; with the number of a round, of what happens in it.
        minutes: after which no other round begins.
        real: whether the trials of every other round are trained; else they only seem to.
        first: the number of the first round, to repeat one.
        step: from the number of a round to that of the next.
        kinds: of events, on studies alone; none: all.
    """
    tally, ends, number = Tally(), time.monotonic() + 60 * minutes, first
    while number == first or time.monotonic() < ends:
        rng = np.random.default_rng([seed, number])
        trains = real and number % 2 == 0
        places = folder / ("trained" if trains else "quick")
        if not places.exists():
            places.mkdir(parents=True)
            prepared(places, real=trains)
        name, root = f"seed {seed}, round {number}", folder / f"round{number}" / "disk"
        with contextlib.ExitStack() as stack:
            is_small, group = False, None
            with contextlib.suppress(unittest.SkipTest):
                stack.enter_context(small_disk(root, DISK_MEBIBYTES))
                is_small = True
            with contextlib.suppress(unittest.SkipTest):
                group = stack.enter_context(memory_group())
            root.mkdir(parents=True, exist_ok=True)
            siege = StudySiege(root, places, rng, tally, real=trains, name=name, group=group, is_small=is_small)
            # More than once what needs no other start of the sweep.
            siege.run(kinds or [str(kind) for kind in rng.permutation([*siege.kinds, "a trial killed", "two sweeps"])])
            shutil.rmtree(root / "study", ignore_errors=True)
            for _ in range(0 if kinds else 2):
                besiege_prepare(root, places, rng, tally, name, is_small=is_small)
                shutil.rmtree(root / "out", ignore_errors=True)
            for process in psutil.Process().children(recursive=True):
                process.kill()
        number += step
    return tally
