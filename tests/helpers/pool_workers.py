"""Workers of a pool, apart from the tests that use them: each process imports this, and not TensorFlow."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import psutil

from tfrs_scaling.common.errors import InputError


class Counter:
    """Counts up to each task, a number; a negative one fails at once, ``slow`` is a task that takes a while."""

    def __init__(self, number: int, factor: int):
        self.number, self.factor, self.total = number, factor, 0

    def work(self, task: Any) -> Iterator[tuple[Any, int]]:
        """The multiples of the factor up to the task."""
        if task == "slow":
            time.sleep(0.5)
        elif task == "die" and self.number:  # the worker of number 0 is the test itself
            os.kill(os.getpid(), signal.SIGKILL)
        elif task == "break":
            raise KeyError("a bug")
        elif task == "die":
            time.sleep(0.05)
        elif task < 0:
            raise InputError(f"task {task} cannot be done")
        else:
            for k in range(task):
                self.total += 1
                yield task, k * self.factor
        if task == "slow":
            yield task, 0

    def finish(self) -> tuple[int, int]:
        """Where it ran, and how much it has counted."""
        return os.getpid(), self.total


def pool_processes(process: psutil.Process) -> list[psutil.Process]:
    """Those that work for another as a part of its pool."""
    found = []
    for child in process.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie, or gone meanwhile
            if "parallel import serve" in str(child.cmdline()):
                found.append(child)
    return found
