"""What a process inherits from its machine and its user, made fit for TensorFlow, Keras, KerasTuner and Bokeh."""

import contextlib
import importlib.util
import os
import resource
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

OPEN_FILES = 4096  # wanted; macOS allows 256 unless it is asked
# Their owners read an empty variable as a wrong value, not as none.
_NEIGHBOURS = ("KERAS", "TF_", "TPU_", "XLA_", "PJRT_")
_PINNED = {
    "TF_USE_LEGACY_KERAS": "1",
    "TF2_BEHAVIOR": "1",
    "KERAS_BACKEND": "tensorflow",  # KerasTuner imports Keras 3
    "KERAS_HOME": os.devnull,  # else keras.json sets the float type and the optimizers' epsilon
    # Loading libtpu takes the TPU's lock until the process ends: only a trial may.
    "TPU_LOAD_LIBRARY": "0",
}
# What makes TensorFlow load libtpu, through PJRT; kept from every process but a trial on a TPU.
_PJRT = {"PJRT_DEVICE": "TPU", "NEXT_PLUGGABLE_DEVICE_USE_C_API": "true"}
_LIBTPU = "TF_PLUGGABLE_DEVICE_LIBRARY_PATH"
_libtpu_given: list[str] = []


def settle() -> None:
    """Prepare this process and those it will start, before they import TensorFlow, Keras or Bokeh.

    Variables of theirs that are set to nothing are removed and a few are pinned; an unknown home folder is replaced by
    the temporary one; the limit of open files is raised as far as the system allows.
    """
    for name in [name for name, value in os.environ.items() if name.startswith(_NEIGHBOURS) and not value.strip()]:
        del os.environ[name]
    if given := os.environ.pop(_LIBTPU, None):
        _libtpu_given[:] = [given]
    for name in _PJRT:
        os.environ.pop(name, None)
    os.environ.update(_PINNED)
    if not os.environ.get("HOME"):
        os.environ.pop("HOME", None)
        try:
            Path.home()
        except RuntimeError:  # a user without an entry in passwd: Bokeh needs a home to be imported
            os.environ["HOME"] = tempfile.gettempdir()
    raise_open_files()


def raise_open_files() -> None:
    """Let this process and its children open ``OPEN_FILES`` files, or as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES:
        return
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    for wanted in ((OPEN_FILES, max(OPEN_FILES, hard)), (allowed, hard)):  # the first takes a privileged user
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, wanted)
            return


def offer_to_be_killed(points: int) -> None:
    """Have Linux, once it is out of memory, kill this process before others of the same size; most points first.

    A study survives its trials, and the server that they are forked from, but not the process that records them.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(points), encoding="ascii")


def tpu_trial_environment() -> dict[str, str | None]:
    """The variables in which a trial on a TPU differs from the command that starts it; None: not set."""
    return {**_PJRT, "TPU_LOAD_LIBRARY": None, _LIBTPU: _libtpu_given[0] if _libtpu_given else str(libtpu())}


def libtpu() -> Path:
    """The TPU's library: the package's or, on Google's images, the system's."""
    package = importlib.util.find_spec("libtpu")
    return Path(package.origin).with_name("libtpu.so") if package and package.origin else Path("/lib/libtpu.so")


@contextlib.contextmanager
def variables(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Environment variables for the processes started within; None: not set."""
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _set(changes: Mapping[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
