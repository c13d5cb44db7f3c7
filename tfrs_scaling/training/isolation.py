"""A function run in a process of its own, started in a fraction of a second.

The processes are forked from a server that has imported TensorFlow but not started it: each is fresh, none pays for
the import, and none can harm another.
"""

import contextlib
import math
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")


class IsolatedError(RuntimeError):
    """The function did not return: the message is the reason."""


def start_server() -> None:
    """Start the server, which imports TensorFlow in the background, before the first process needs it."""
    _CONTEXT.set_forkserver_preload(["tfrs_scaling.training.preload"])
    multiprocessing.forkserver.ensure_running()


def run_isolated(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    log: Path,
    on_report: Callable[[Any], None],
    stop: threading.Event,
    limit_seconds: float = math.inf,
) -> Any:
    """Call ``function(*arguments, report)`` in a new process and wait for it.

    Args:
        function: importable by name; called with a function that sends reports as its last argument.
        arguments: all but the last.
        log: the file for the process's standard output and error.
        on_report: called in this thread with each report.
        stop: when it is set, the process is ended.
        limit_seconds: a process that takes longer is ended.

    Returns:
        What the function returned.

    Raises:
        IsolatedError: the function raised (the message says what), its process died (says how), or it took too long.
        KeyboardInterrupt: ``stop`` was set.
    """
    start_server()
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_serve, args=(function, arguments, str(log), sender), daemon=True)
    try:
        process.start()
    except (OSError, EOFError) as error:  # no process or memory left, or the server was killed at this moment
        raise IsolatedError(f"the trial's process could not be started: {error}") from error
    sender.close()
    ends = time.monotonic() + limit_seconds
    try:
        while True:
            if stop.is_set():
                raise KeyboardInterrupt
            if time.monotonic() > ends:
                raise IsolatedError(
                    f"took longer than {limit_seconds / 60:g} min and was ended; --time-limit gives it more"
                )
            if not receiver.poll(0.2):
                continue
            kind, content = receiver.recv()
            if kind == "report":
                on_report(content)
            elif kind == "returned":
                return content
            else:
                raise IsolatedError(content)
    except EOFError:
        process.join()
        raise IsolatedError(_death(process.exitcode or 0, log)) from None
    finally:
        receiver.close()
        process.kill()  # harmless if it has ended
        process.join()


def _death(exit_code: int, log: Path) -> str:
    if exit_code == -signal.SIGKILL:
        return "the trial's process was killed (SIGKILL): usually because the machine ran out of memory"
    if exit_code < 0:
        return f"the trial's process died from {signal.Signals(-exit_code).name}; its output is in {log.name}"
    return f"the trial's process ended with status {exit_code}; its output is in {log.name}"


def _serve(function: Callable[..., Any], arguments: tuple[Any, ...], log: str, sender: Connection) -> None:
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        message = ("returned", function(*arguments, lambda content: sender.send(("report", content))))
        sys.stdout.flush()
    except Exception as error:  # the reason goes to the run table, the traceback to the log
        message = ("raised", _reason(error))
        with contextlib.suppress(OSError):  # on a full disk there is no log
            traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
    sender.send(message)  # last, because the receiver may kill this process
    sender.close()
    os._exit(0)  # skip interpreter shutdown, which TensorFlow's threads can block


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
