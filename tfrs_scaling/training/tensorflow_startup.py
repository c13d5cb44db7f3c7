"""TensorFlow loaded without its start-up chatter; its warnings and errors still reach the terminal."""

import contextlib
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

from tfrs_scaling.common.environment import settle
from tfrs_scaling.common.extras import LIBRARIES, check_tensorflow

# What C++ logging puts before a message: severity, month and day (I0000 where it logs before it is set up).
_SEVERITY = re.compile(r"^([IWEF])\d{4} ")
_PREAMBLE = "WARNING: All log messages before absl::InitializeLog()"
# TensorFlow calls this an error; on a machine without a GPU it is normal.
_NO_GPU = "failed call to cuInit"


def load_tensorflow() -> None:
    """Import TensorFlow and the libraries on it, in a settled environment.

    Raises:
        InputError: they are not installed.
    """
    check_tensorflow()
    with _settled_and_quiet():
        for name in LIBRARIES:
            importlib.import_module(name)


def load_tensorboard() -> None:
    """Import what TensorBoard reads and writes its files with: TensorFlow where that is installed, else code of its
    own, which is slower."""
    with _settled_and_quiet():
        from tensorboard.compat import tf

        dir(tf)  # it is imported when it is first used


@contextlib.contextmanager
def _settled_and_quiet() -> Iterator[None]:
    settle()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # no informational messages later on, nor in child processes
    with startup_chatter_dropped():
        yield


def start_devices() -> None:
    """Let TensorFlow find its devices, which it does at the first operation of a process; a command takes no GPU."""
    import tensorflow as tf

    with startup_chatter_dropped(), contextlib.suppress(RuntimeError):  # they were found before
        tf.config.set_visible_devices([], "GPU")
        tf.zeros(())


@contextlib.contextmanager
def startup_chatter_dropped() -> Iterator[None]:
    """Drop the informational lines that C++ code writes to standard error; pass the others on at the end."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            captured.seek(0)
            os.write(2, without_chatter(captured.read().decode("utf-8", "replace")).encode())


def without_chatter(text: str) -> str:
    """A log without its informational messages and their continuation lines."""
    kept, keep = [], True
    for line in text.splitlines(keepends=True):
        if line.startswith(_PREAMBLE):
            continue
        if severity := _SEVERITY.match(line):
            keep = severity[1] != "I" and _NO_GPU not in line
        if keep:
            kept.append(line)
    return "".join(kept)
