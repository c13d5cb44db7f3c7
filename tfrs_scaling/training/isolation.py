"""Functions run in another process, started in a fraction of a second.

The processes are forked from a server that has imported TensorFlow but not started it: each is fresh, none pays for
the import, and none can harm another. A trial on a TPU is started without the server: importing TensorFlow there takes
the TPU's lock until the process ends.
"""

import concurrent.futures
import contextlib
import math
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

from tfrs_scaling.common.environment import offer_to_be_killed, tpu_trial_environment, variables
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.parallel import stops_blocked

Item = TypeVar("Item")

_CONTEXT = multiprocessing.get_context("forkserver")
_STARTING = threading.Lock()
_SOCKET = "/pymp-12345678/listener-12345678"  # what the server adds to the temporary folder
_LONGEST_ADDRESS = 103  # of a socket, on macOS; Linux allows 107


class IsolatedError(RuntimeError):
    """The function did not return: the message is the reason."""


def start_server() -> None:
    """Start the server, which imports TensorFlow in the background, before the first process needs it."""
    _CONTEXT.set_forkserver_preload(["tfrs_scaling.training.preload"])
    with _STARTING:  # jobs start it side by side
        before = tempfile.tempdir
        tempfile.tempdir = _folder_for_socket()
        multiprocessing.resource_tracker.ensure_running()  # which unblocks them, and which the server would start
        try:
            with stops_blocked():
                multiprocessing.forkserver.ensure_running()
        finally:
            tempfile.tempdir = before


def _folder_for_socket() -> str:
    """The temporary folder, or another whose name is short enough for the address of a socket."""
    usual = tempfile.gettempdir()
    for folder in (usual, "/tmp", "/var/tmp"):  # noqa: S108 -- the server makes a folder of its own there
        if len(folder.encode() + _SOCKET.encode()) <= _LONGEST_ADDRESS and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise InputError(
        f"TMPDIR ({usual}) is too long for a socket, and /tmp cannot be written: set TMPDIR to a short one"
    )


class Process:
    """A process that calls functions, one after the other; started at the first call, and again after one that failed.

    ``on_tpu``: it may load the TPU's library, which no other may hold.
    """

    def __init__(self, *, on_tpu: bool = False):
        self._on_tpu = on_tpu
        self._process: Any = None
        self._connection: Connection | None = None

    def call(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        log: Path,
        on_report: Callable[[Any], None],
        stop: threading.Event,
        limit_seconds: float = math.inf,
    ) -> Any:
        """Call ``function(*arguments, report)`` there and wait for it.

        Args:
            function: importable by name; called with a function that sends reports as its last argument.
            arguments: all but the last.
            log: the file for the process's standard output and error during the call.
            on_report: called in this thread with each report.
            stop: when it is set, the process is ended.
            limit_seconds: a call that takes longer is ended, and the process with it.

        Returns:
            What the function returned.

        Raises:
            IsolatedError: the function raised (the message says what), the process died (says how), or it took too
                long. The process has ended.
            KeyboardInterrupt: ``stop`` was set. The process has ended.
        """
        ends = time.monotonic() + limit_seconds
        try:
            if self._process is None or not self._process.is_alive():
                self._start()
            assert self._connection is not None
            self._connection.send((function, arguments, str(log)))
            while True:
                if stop.is_set():
                    raise KeyboardInterrupt
                if time.monotonic() > ends:
                    raise IsolatedError(
                        f"took longer than {limit_seconds / 60:g} min and was ended; --time-limit gives it more"
                    )
                if not self._connection.poll(0.2):
                    continue
                kind, content = self._connection.recv()
                if kind == "report":
                    on_report(content)
                elif kind == "returned":
                    return content
                else:
                    raise IsolatedError(content)
        except (EOFError, ConnectionError):
            self._process.join()
            death = _death(self._process.exitcode or 0, log)
            self.close()
            raise IsolatedError(death) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process, if there is one."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()  # harmless if it has ended
            self._process.join()
        self._process = self._connection = None

    def _start(self) -> None:
        self.close()
        context = multiprocessing.get_context("spawn") if self._on_tpu else _CONTEXT
        if not self._on_tpu:
            start_server()
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        try:
            with variables(tpu_trial_environment() if self._on_tpu else {}), stops_blocked():
                self._process.start()
        except (OSError, EOFError) as error:  # no process or memory left, or the server was killed at this moment
            self._process = None
            raise IsolatedError(f"the trial's process could not be started: {error}") from error
        finally:
            theirs.close()


def run_isolated(*arguments: Any, on_tpu: bool = False) -> Any:
    """``Process.call`` in a process of its own, which ends with the call."""
    process = Process(on_tpu=on_tpu)
    try:
        return process.call(*arguments)
    finally:
        process.close()


def side_by_side(work: Callable[[Item], None], items: Sequence[Item], at_a_time: int, stop: threading.Event) -> None:
    """Call ``work`` with each item, so many at a time in threads; where one raises, set ``stop`` and raise that."""
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        try:
            for call in concurrent.futures.as_completed([pool.submit(work, item) for item in items]):
                call.result()
        except BaseException:
            stop.set()
            raise


def _death(exit_code: int, log: Path) -> str:
    if exit_code == -signal.SIGKILL:
        return "the trial's process was killed (SIGKILL): usually because the machine ran out of memory"
    where = f"its output is in {log.name}" if log.exists() else "it did not start, and the terminal shows why"
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return f"the trial's process died from {name}; {where}{_last_words(log)}"
    return f"the trial's process ended with status {exit_code}; {where}{_last_words(log)}"


def _last_words(log: Path) -> str:
    """A fatal error of C++ code in a log: the only line that says why."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((f": {line[:300]}" for line in reversed(lines) if line.startswith("F0") or " F " in line[:40]), "")


def _serve(connection: Connection) -> None:
    _end_with_parent()
    offer_to_be_killed(1000)
    with contextlib.suppress(EOFError, ConnectionError):  # the parent has closed its end, or was killed
        while True:
            connection.send(_outcome(connection, *connection.recv()))
    os._exit(0)  # skip interpreter shutdown, which TensorFlow's threads can block


def _outcome(connection: Connection, function: Callable[..., Any], arguments: tuple[Any, ...], log: str) -> Any:
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    except OSError as error:  # a traceback would go to the terminal of a sweep that may have ended with the folder
        return "raised", _reason(error)
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)
        message = ("returned", function(*arguments, lambda content: connection.send(("report", content))))
        sys.stdout.flush()
    except Exception as error:  # the reason goes to the run table, the traceback to the log
        message = ("raised", _reason(error))
        with contextlib.suppress(OSError):  # on a full disk there is no log
            traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
    return message


def _reason(error: Exception) -> str:
    """One line. TensorFlow puts pages of a graph's traceback before the message; the log has them."""
    lines = str(error).splitlines()
    traceback_ends = max((at + 1 for at, line in enumerate(lines) if line.startswith('  File "')), default=0)
    words = " ".join(" ".join(lines[traceback_ends:]).split())[:500]
    return f"{type(error).__name__}: {words or 'out of memory' * isinstance(error, MemoryError)}".removesuffix(": ")


def _end_with_parent() -> None:
    """End this process when its parent dies, so that a restarted sweep finds no trial still running in its folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
