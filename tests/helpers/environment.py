"""What a child process sees. Imports no TensorFlow, which on a TPU would look for its library."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def tpu_variables(report: Callable[[Any], None]) -> tuple[dict[str, str], list[str]]:
    """The variables of this process that concern TPUs, and its command line."""
    names = ("TPU_LOAD_LIBRARY", "TPU_NAME", "PJRT_", "NEXT_", "TF_PLUGGABLE")
    command = Path("/proc/self/cmdline").read_bytes().decode().split("\0")
    return {name: value for name, value in os.environ.items() if name.startswith(names)}, command


def outlives_a_stop(report: Callable[[Any], None]) -> str:
    """How readily Linux kills this process, after signals that would end it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
    time.sleep(0.1)
    return Path("/proc/self/oom_score_adj").read_text().strip()
