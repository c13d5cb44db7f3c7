"""What a child process sees. Imports no TensorFlow, which on a TPU would look for its library."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def tpu_variables(report: Callable[[Any], None]) -> tuple[dict[str, str], list[str]]:
    """The variables of this process that concern TPUs, and its command line."""
    names = ("TPU_LOAD_LIBRARY", "TPU_NAME", "PJRT_", "NEXT_", "TF_PLUGGABLE")
    command = Path("/proc/self/cmdline").read_bytes().decode().split("\0")
    return {name: value for name, value in os.environ.items() if name.startswith(names)}, command
