"""Attempts at trials: each in a folder of its own, and the first complete one becomes the trial's.

running/ID.TOKEN/   an attempt: event file, log.txt and attempt.json, which is rewritten every few seconds
trials/ID/          the same folder, renamed once the attempt has ended and its trial.json is written

A rename is atomic, and fails if the trial's folder already exists. So a trial has all of its files or none; and of two
attempts at one trial (a worker presumed dead may only have been slow) one is kept and the other removed. Needs no
TensorFlow.
"""

import contextlib
import dataclasses
import errno
import json
import os
import platform
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from tfrs_scaling.common.files import write_json

BEAT_SECONDS = 5.0
# A worker that shows no activity for this long counts as dead. A network file system may show changes a minute late.
LOST_SECONDS = 120.0
DEBRIS_SECONDS = 24 * 3600.0
REPLACED = ("failed", "stopped")  # outcomes that a later attempt at the trial replaces


@dataclasses.dataclass(frozen=True)
class Process:
    """A process, described so that others can tell whether it is still alive.

    Attributes:
        space: the machine's boot and PID namespace, within which ids are unique. Containers may share a host's name.
        started: Unix time; ids are reused.
    """

    host: str
    space: str
    pid: int
    started: float

    @classmethod
    def this(cls) -> "Process":
        """The calling process."""
        return cls(platform.node(), _space(), os.getpid(), psutil.Process().create_time())

    def is_alive(self) -> bool | None:
        """Whether it is alive; None if it cannot be seen from here."""
        if (self.host, self.space) != (platform.node(), _space()):
            return None
        try:
            found = psutil.Process(self.pid)
            return abs(found.create_time() - self.started) < 1 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclasses.dataclass(frozen=True)
class Attempt:
    """What attempt.json says.

    Attributes:
        worker: who runs it: ``jobN``, or KerasTuner's tuner id.
        process: the sweep or worker, not the process that trains.
        began: Unix time.
        at: Unix time when this was written.
        beat: how often it has been written; grows while the process lives.
    """

    trial_id: str
    worker: str
    process: Process
    began: float
    at: float
    beat: int = 0
    examples: int = 0
    examples_per_second: float = 0.0

    @classmethod
    def read(cls, path: Path) -> "Attempt":
        """The attempt that a file describes.

        Raises:
            OSError: it cannot be read.
        """
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**content, "process": Process(**content["process"])})


class Heartbeat:
    """Writes an attempt's state every few seconds, from its beginning to its end."""

    def __init__(self, directory: Path, trial_id: str, worker: str, seconds: float = BEAT_SECONDS):
        self._path, self._seconds = directory / "attempt.json", seconds
        now = time.time()
        self._attempt = Attempt(trial_id, worker, Process.this(), now, now)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Heartbeat":
        write_json(self._path, dataclasses.asdict(self._attempt))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def update(self, examples: int, examples_per_second: float) -> None:
        """Set the trial's progress, to be written with the next beat."""
        self._attempt = dataclasses.replace(self._attempt, examples=examples, examples_per_second=examples_per_second)

    def _beat(self) -> None:
        beat = 0
        while not self._over.wait(self._seconds):
            beat += 1
            try:
                write_json(
                    self._path, dataclasses.asdict(dataclasses.replace(self._attempt, at=time.time(), beat=beat))
                )
            except OSError:  # a full disk: the trial itself will report it, and a missed beat does no harm
                continue


def begin(running: Path, trial_id: str) -> Path:
    """An empty folder for an attempt."""
    directory = running / f"{trial_id}.{uuid.uuid4().hex[:8]}"
    directory.mkdir(parents=True)
    return directory


def all_attempts(running: Path) -> Iterator[Attempt]:
    """Attempts in progress, and those left by processes that were killed."""
    for path in running.glob("*/attempt.json"):
        with contextlib.suppress(FileNotFoundError):  # it has ended, and its folder was moved
            yield Attempt.read(path)


def live_attempts(running: Path) -> Iterator[Attempt]:
    """Attempts whose process is alive or, on another machine, was active recently by this machine's clock."""
    for attempt in all_attempts(running):
        alive = attempt.process.is_alive()
        if alive or (alive is None and time.time() - attempt.at < LOST_SECONDS):
            yield attempt


def remove_debris(running: Path) -> None:
    """Remove what killed processes of this machine left behind, and attempts without activity for a day."""
    for directory in list(running.glob("*")):
        try:
            age = time.time() - max(path.stat().st_mtime for path in (directory, *directory.iterdir()))
            state = directory / "attempt.json"
            alive = Attempt.read(state).process.is_alive() if state.exists() else None
        except OSError:
            continue
        if alive is False or (alive is None and age > DEBRIS_SECONDS):
            shutil.rmtree(directory, ignore_errors=True)


def publish(directory: Path, trial: Path, record: dict[str, Any]) -> dict[str, Any]:
    """End an attempt: its folder becomes the trial's, unless another attempt has already succeeded.

    A failed or stopped trial is replaced, a successful one is kept.

    Returns:
        The record that is kept: this one, or that of an attempt that succeeded earlier.

    Raises:
        OSError: it cannot be written.
    """
    write_json(directory / "trial.json", record, durably=True)
    for path in directory.iterdir():
        _sync(path)
    trial.parent.mkdir(exist_ok=True)
    while True:
        try:
            directory.rename(trial)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            _sync(trial.parent)
            return record
        there = read_record(trial)
        if there is not None and there["status"] not in REPLACED:
            shutil.rmtree(directory)
            return there
        _remove_replaced(trial, directory.parent)


def read_record(trial: Path) -> dict[str, Any] | None:
    """A trial's outcome, or None if it has not ended."""
    try:
        content: dict[str, Any] = json.loads((trial / "trial.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content


def _remove_replaced(trial: Path, running: Path) -> None:
    """Remove a trial's folder, unless another attempt has succeeded in the meantime."""
    aside = running / f"{trial.name}.{uuid.uuid4().hex[:8]}.old"
    try:
        trial.rename(aside)
    except FileNotFoundError:  # somebody else removed it
        return
    moved = read_record(aside)
    if moved is not None and moved["status"] not in REPLACED:
        try:
            aside.rename(trial)
            return
        except OSError as error:  # a third succeeded: one of them is enough
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    shutil.rmtree(aside)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _space() -> str:
    """The namespace of process ids; empty if the system does not provide it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
