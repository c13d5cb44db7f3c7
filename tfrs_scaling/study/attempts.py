"""Attempts at trials: each in a folder of its own, and the first complete one becomes the trial's.

running/ID.TOKEN/   an attempt: event file, log.txt and attempt.json, which is rewritten every few seconds
trials/ID/          the same folder, renamed once the attempt has ended and its trial.json is written
scores/HASH/        likewise, of a teacher or scorer, once its scores.json is written

A rename is atomic, and fails if the trial's folder already exists. So a trial has all of its files or none; and of two
attempts at one trial (a worker presumed dead may only have been slow) one is kept and the other removed. Needs no
TensorFlow.
"""

import contextlib
import dataclasses
import errno
import os
import platform
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import psutil
import pydantic
from pydantic.dataclasses import dataclass

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json
from tfrs_scaling.common.strict_yaml import read_state

# TensorBoard reads every file with ``tfevents`` in its name, and selects no run of more than 40. An attempt has such a
# file while it runs; that of a trial that has ended is renamed, for the study as a whole to be what is shown.
SHOWN, KEPT = "tfevents", "kept"
EVENT_FILES = "events.out.*"

BEAT_SECONDS = 5.0
# A worker that shows no activity for this long counts as dead. A network file system may show changes a minute late.
LOST_SECONDS = 120.0
DEBRIS_SECONDS = 24 * 3600.0


STATE = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False)
Seconds = Annotated[float, pydantic.Field(ge=0, le=1e12)]
Number = Annotated[int, pydantic.Field(ge=0, le=2**62)]
# What a file names as one is the name of a folder.
TrialId = Annotated[str, pydantic.Field(pattern=r"^[^/\x00]{1,255}$")]
Kept = TypeVar("Kept")


@dataclass(frozen=True, config=STATE)
class Process:
    """A process, described so that others can tell whether it is still alive.

    Attributes:
        space: the machine's boot and PID namespace, within which ids are unique. Containers may share a host's name.
        started: when it started, since ids are reused: in ticks since boot, which no step of the clock changes; Unix
            time where the system does not tell them.
    """

    host: str
    space: str
    pid: Annotated[int, pydantic.Field(ge=1, lt=2**31)]
    started: float

    @classmethod
    def this(cls) -> "Process":
        """The calling process."""
        return cls(platform.node(), _space(), os.getpid(), _started(os.getpid()))

    def is_alive(self) -> bool | None:
        """Whether it is alive; None if it cannot be seen from here."""
        if (self.host, self.space) != (platform.node(), _space()):
            return None
        try:
            is_zombie = psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
            return _started(self.pid) == self.started and not is_zombie
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            return False


@dataclass(frozen=True, config=STATE)
class Attempt:
    """What attempt.json says.

    Attributes:
        worker: who runs it, by KerasTuner's tuner id: HOST:PID/JOB/ID.
        process: the sweep or worker, not the process that trains.
        began: Unix time by its machine's clock.
        at: when this was written, by the same clock.
        beat: how often it has been written; grows while the process lives.
    """

    trial_id: TrialId
    worker: str
    process: Process
    began: Seconds
    at: Seconds
    beat: Number = 0
    examples: Number = 0
    examples_per_second: Seconds = 0.0

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return max(0.0, self.at - self.began)

    @classmethod
    def read(cls, directory: Path) -> "Attempt | None":
        """The attempt in a folder; None without a sign of life: it has ended, or its file was damaged."""
        try:
            return read_state(cls, directory / "attempt.json", "")
        except (InputError, FileNotFoundError):  # whoever lives writes it again within seconds
            return None


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
    for directory in running.glob("*"):
        if (attempt := Attempt.read(directory)) is not None:
            yield attempt


def live_attempts(running: Path) -> Iterator[Attempt]:
    """Attempts whose process is alive or, on another machine, was active recently."""
    now = _file_system_time(running)
    for directory in running.glob("*"):
        attempt = Attempt.read(directory)
        alive = None if attempt is None else attempt.process.is_alive()
        with contextlib.suppress(OSError):  # it has just ended, or is another's ``_file_system_time``
            recent = now - (directory / "attempt.json").stat().st_mtime < LOST_SECONDS
            if attempt is not None and (alive or (alive is None and recent)):
                yield attempt


def remove_debris(running: Path) -> None:
    """Remove what killed processes of this machine left behind, and attempts without activity: on another machine for
    a day; where attempt.json is missing or damaged, for minutes, as whoever lives writes it every few seconds."""
    now = _file_system_time(running)
    for directory in list(running.glob("*")):
        try:
            age = now - max(path.stat().st_mtime for path in (directory, *directory.iterdir()))
        except OSError:  # it has just ended
            continue
        attempt = Attempt.read(directory)
        alive = None if attempt is None else attempt.process.is_alive()
        if alive is False or (alive is None and age > (LOST_SECONDS if attempt is None else DEBRIS_SECONDS)):
            shutil.rmtree(directory, ignore_errors=True)


def _file_system_time(folder: Path) -> float:
    """The time by the clock that dates files in a folder, which the machines that write them share."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:  # it cannot be written to, or there is none
        return time.time()


def publish(
    directory: Path, trial: Path, record: dict[str, Any], is_enough: Callable[[dict[str, Any]], bool] = lambda _: True
) -> dict[str, Any]:
    """End an attempt: its folder becomes the trial's, unless that of another attempt is kept.

    A failed trial is replaced; so is one whose record ``is_enough`` refuses: it was stopped where it should not be.

    Returns:
        The record that is kept: this one, or that of an earlier attempt.

    Raises:
        OSError: it cannot be written.
        InputError: the earlier record was damaged.
    """

    def find(place: Path) -> dict[str, Any] | None:
        there = read_record(place)
        return there if there is not None and there["status"] != "failed" and is_enough(there) else None

    write_json(directory / "trial.json", record, durably=True)
    kept = move_into_place(directory, trial, find)
    return record if kept is None else kept


def move_into_place(directory: Path, place: Path, find: Callable[[Path], Kept | None]) -> Kept | None:
    """End an attempt: its folder is renamed to ``place``, unless that of another attempt is kept there.

    Args:
        directory: the attempt's folder, in that of all attempts.
        place: the folder that it becomes.
        find: what is to be kept in a folder, which may not exist; None: nothing, and it is replaced.

    Returns:
        None; or what another attempt left there, which is kept: this attempt is removed.

    Raises:
        OSError: it cannot be written.
    """
    close_files(directory)
    place.parent.mkdir(exist_ok=True)
    while True:
        try:
            directory.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            _sync(place.parent)
            return None
        if (there := find(place)) is not None:
            shutil.rmtree(directory)
            return there
        _remove_replaced(place, directory.parent, find)


def close_files(directory: Path) -> None:
    """Take what an attempt measured from TensorBoard's view, and make its files durable before they are renamed.

    Raises:
        OSError: they cannot be written.
    """
    for path in directory.glob(f"events.out.{SHOWN}.*"):
        path.rename(path.with_name(path.name.replace(SHOWN, KEPT)))
    for path in (*directory.iterdir(), directory):
        _sync(path)


@dataclass(frozen=True, config=STATE)
class Outcome:
    """What trial.json says.

    Attributes:
        reason: why it was not measured at every rung; else empty.
        attempt: the attempt's folder, by which one failure differs from the next.
        rungs: validation NE at each rung measured; earlier versions recorded none where all were.
        diverged: of a stopped trial, whether its loss became NaN or infinite.
        validation_ne: at the last rung, of a trial that was measured at all.
    """

    status: Literal["ok", "stopped", "failed", "skipped"]
    reason: str
    strategy: str
    libraries: str
    machine: str
    code_version: str = ""
    attempt: str = ""
    rungs: tuple[float, ...] | None = None
    diverged: bool | None = None
    validation_ne: float | None = None
    seconds: Seconds = 0.0

    def __post_init__(self) -> None:
        if self.status == "failed" and not self.attempt:
            raise ValueError("attempt: is missing")
        if self.status == "stopped" and (self.rungs is None or self.diverged is None):
            raise ValueError("rungs or diverged: is missing")
        if self.status == "ok" and (self.rungs == () or self.validation_ne is None):
            raise ValueError("rungs or validation_ne: is missing")


def read_record(trial: Path) -> dict[str, Any] | None:
    """A trial's outcome, or None if it has not ended.

    Raises:
        InputError: the file was damaged or edited; says what to do.
    """
    remedy = f"delete the folder {trial}, and the same command runs this trial again"
    try:
        outcome = dataclasses.asdict(read_state(Outcome, trial / "trial.json", remedy))
    except FileNotFoundError:
        return None
    return {name: value for name, value in outcome.items() if value is not None}


def is_short(record: dict[str, Any], rungs: int) -> bool:
    """Whether a trial was measured to the end of a ladder that has more rungs now."""
    return record["status"] == "ok" and len(record.get("rungs", range(rungs))) < rungs


def _remove_replaced(place: Path, running: Path, find: Callable[[Path], object]) -> None:
    """Remove a folder, unless another attempt has succeeded there in the meantime."""
    aside = running / f"{place.name}.{uuid.uuid4().hex[:8]}.old"
    try:
        place.rename(aside)
    except FileNotFoundError:  # somebody else removed it
        return
    if find(aside) is not None:
        try:
            aside.rename(place)
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


def _started(pid: int) -> float:
    """When a process started, as ``Process.started`` has it."""
    if not Path("/proc/self/stat").exists():
        return psutil.Process(pid).create_time()
    # After the command's name, which may hold spaces and parentheses itself.
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return float(fields[19])


def _space() -> str:
    """The namespace of process ids; empty if the system does not provide it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
