"""Which process leads a study: the one that has locked its folder, and shows there that it is alive.

.lock         locked by the chief as long as its process is alive
chief.json    who that is, where it is reached, and a count that grows while it is alive

Where a file system shares locks between machines, and ends those of a machine that is gone, the lock decides. For other
file systems, a process that gets the lock watches whether the count in a file left by another still grows; and a chief
that finds another in the file has been replaced, and no longer leads. Each process times the count by its own clock,
because the clocks of machines differ. At worst two processes lead for some seconds, and train a trial twice; of its two
outcomes the first is kept (``study.attempts``).
"""

import contextlib
import dataclasses
import fcntl
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import pydantic
from pydantic.dataclasses import dataclass

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json
from tfrs_scaling.common.locations import check_utf8
from tfrs_scaling.common.strict_yaml import read_state
from tfrs_scaling.study.attempts import BEAT_SECONDS, STATE, Number, Process

LOCK, CHIEF = ".lock", "chief.json"
WAIT_SECONDS = 1800.0  # for a chief that does not answer
LOOK_SECONDS = 0.5  # between two looks of a process that waits for the lead


class LeadLostError(Exception):
    """Another process leads the study now."""


@dataclass(frozen=True, config=STATE)
class Chief:
    """What chief.json says.

    Attributes:
        term: another one each time that a process takes the lead.
        beat: how often this was written; grows while the process lives.
        address: HOST:PORT at which it hands out trials; None: not yet, or not at all.
        alone: whether no other process can join.
    """

    term: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{32}$")]
    process: Process
    beat: Number = 0
    address: Annotated[str, pydantic.Field(pattern=r"^[\x21-\x7e]{1,300}$")] | None = None
    alone: bool = False

    @classmethod
    def read(cls, root: Path) -> "Chief | None":
        """The chief named in a folder, which may have ended; None: none is, or the file was damaged."""
        try:
            return read_state(cls, root / CHIEF, "")
        except (InputError, FileNotFoundError):  # a living chief writes it again within seconds
            return None


class Lead:
    """The lead of a study, from when this process takes it until ``close``, or until it is lost.

    Attributes:
        is_lost: set once another process has taken the lead, because it saw no sign of life of this one.
    """

    def __init__(self, root: Path, lock: contextlib.ExitStack, *, alone: bool, seconds: float):
        self.is_lost = threading.Event()
        self._root, self._lock, self._seconds = root, lock, seconds
        self._chief = Chief(uuid.uuid4().hex, Process.this(), alone=alone)
        self._writing, self._over, self._is_kept = threading.Lock(), threading.Event(), False
        try:
            self._write()
        except OSError as error:
            raise InputError(f"{root}: cannot be written: {error.strerror}") from None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def serve_at(self, address: str) -> None:
        """Let other processes know where this one hands out trials."""
        self._write(address)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Within, ``close`` gives it up only if it is lost: one sweep can follow another. At the end it is given up."""
        self._is_kept = True
        try:
            yield
        finally:
            self._is_kept = False
            self.close()

    def close(self) -> None:
        """Give the lead up."""
        if self._over.is_set() or (self._is_kept and not self.is_lost.is_set()):
            return
        self._over.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            if self._is_mine():
                (self._root / CHIEF).unlink()
        self._lock.close()

    def _write(self, address: str | None = None) -> None:
        with self._writing:
            beat, address = self._chief.beat + 1, address or self._chief.address
            self._chief = dataclasses.replace(self._chief, beat=beat, address=address)
            write_json(self._root / CHIEF, dataclasses.asdict(self._chief))

    def is_replaced(self) -> bool:
        """Whether another process has taken the lead, by a look into the folder."""
        if not self._is_mine():
            self.is_lost.set()
        return self.is_lost.is_set()

    def _is_mine(self) -> bool:
        there = Chief.read(self._root)
        return there is None or there.term == self._chief.term

    def _live(self) -> None:
        while not self._over.wait(self._seconds):
            if self.is_replaced():
                return
            with contextlib.suppress(OSError):  # a full disk: the trials report it
                self._write()


class Watch:
    """What a process sees of who leads the study in a folder.

    ``beat_seconds``: between two signs of life; four of them may be missed.

    Attributes:
        chief: what chief.json said at the last look.
    """

    def __init__(self, root: Path, *, beat_seconds: float = BEAT_SECONDS, clock: Callable[[], float] = time.monotonic):
        self.chief: Chief | None = None
        self._root, self._clock, self._beat_seconds = root, clock, beat_seconds
        self._since = clock()  # when the chief's last sign of life was seen
        self._has_beaten, self._looks, self._looks_at_lock = False, 0, 0

    def take_lead(self, *, alone: bool = False) -> Lead | None:
        """The lead, unless another process has it, or may have it: then look again a little later.

        Raises:
            InputError: the folder cannot be locked or written to.
        """
        lock = _locked(self._root)
        self._look()
        self._looks += 1
        self._looks_at_lock = 0 if lock else self._looks_at_lock + 1
        if lock is None:
            return None
        with lock:
            if self._is_gone():
                return Lead(self._root, lock.pop_all(), alone=alone, seconds=self._beat_seconds)
        return None

    def enter(self, *, join: bool, alone: bool = False, say: Callable[[str], None] = lambda _: None) -> Lead | None:
        """The lead; or None, once another process leads the study and hands out its trials.

        Args:
            join: whether the latter will do.
            alone: whether no other process is to join this one.
            say: called with a line for the user where this takes a while.

        Raises:
            InputError: another process leads and cannot be joined (the message says which), it has not been heard of
                for half an hour, or the folder cannot be locked or written to.
        """
        is_said = False
        while (lead := self.take_lead(alone=alone)) is None:
            found = self.chief
            if self.is_alive and (not join or (found is not None and found.alone)):
                raise InputError(f"{self._root}: another sweep is running in this folder, {self.named()}")
            if self.is_alive and found is not None and found.address is not None:
                return None
            if self._silence > WAIT_SECONDS:
                raise InputError(
                    f"{self._root}: is locked by {self.named()}, without a sign of life for {WAIT_SECONDS / 60:.0f} "
                    f"min; if that is gone, delete {self._root / LOCK}"
                )
            if not is_said and self._looks > 4:
                is_said = True
                say(f"{self._root}: waiting for {self.named()}, which leads this study or did")
            time.sleep(LOOK_SECONDS)
        return lead

    @property
    def is_alive(self) -> bool:
        """Whether a chief was seen to be alive: its count grew, or it kept the lock."""
        # Another process that looks has the lock for a moment.
        return self._looks_at_lock > 1 or (self._has_beaten and not self._is_silent)

    def named(self) -> str:
        """The chief in words."""
        who = self.chief
        return f"process {who.process.pid} on {who.process.host}" if who else "another process"

    @property
    def _silence(self) -> float:
        """Seconds since the last sign of life of the chief, or since the first look."""
        return self._clock() - self._since

    @property
    def _is_silent(self) -> bool:
        return self._silence > 4 * self._beat_seconds

    def _look(self) -> None:
        found = Chief.read(self._root)
        if found is not None and found != self.chief:
            self._has_beaten = self.chief is not None
            self._since = self._clock()
        self.chief = found

    def _is_gone(self) -> bool:
        if self.chief is None or self.chief.process == Process.this():
            return True
        return self.chief.process.is_alive() is False or self._is_silent


def _locked(root: Path) -> contextlib.ExitStack | None:
    """What unlocks the folder, and does when the process ends, however it ends; None: another process has locked it.

    Raises:
        InputError: the folder cannot be locked, or written to.
    """
    check_utf8(root)
    for place in (root / LOCK, root / "running", root / "trials", root / "scores"):
        if place.is_symlink():
            raise InputError(
                f"{place}: is a symbolic link, and a sweep would change and delete what it points to; remove it"
            )
    with contextlib.ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((root / LOCK).open("a"))
            folder = os.open(root, os.O_RDONLY)
            stack.callback(os.close, folder)
        except OSError as error:
            raise InputError(f"{root}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _lock_if_possible(folder)  # too, as the file may be deleted
        except BlockingIOError:
            return None
        except OSError as error:
            raise InputError(f"{root}: cannot be locked: {error.strerror}") from None
        return stack.pop_all()


def _lock_if_possible(folder: int) -> None:
    """Lock an open folder, unless its file system cannot lock folders.

    Raises:
        BlockingIOError: another process holds the lock.
    """
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # NFS locks files that are open for writing
        return
