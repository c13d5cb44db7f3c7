"""What isolated processes do in tests. Imports no TensorFlow, so that a parent of its own starts at once."""

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def doubled(number: int, report: Callable[[Any], None]) -> int:
    print("working")
    report("half way")
    return 2 * number


def process_id(report: Callable[[Any], None]) -> int:
    print("I am", os.getpid())
    return os.getpid()


def raises(report: Callable[[Any], None]) -> None:
    raise ValueError("the third\nrow is odd")


def raises_in_a_graph(report: Callable[[Any], None]) -> None:
    raise OSError(
        "Graph execution error:\n\nDetected at node next defined at (most recent call last):\n"
        '  File "a.py", line 1, in main\n\n  File "b.py", line 2, in step\n\nshard 3 is odd\n\t [[{{node next}}]]'
    )


def dies(how: int, report: Callable[[Any], None]) -> None:
    os.kill(os.getpid(), how)
    time.sleep(60)


def aborts(report: Callable[[Any], None]) -> None:
    os.write(2, b"F0000 00:00:1.2 3 flags.cc:1] Unknown flag in XLA_FLAGS: --nothing\n*** Check failure stack ***\n")
    os.abort()


def limits(report: Callable[[Any], None]) -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def leaves(report: Callable[[Any], None]) -> None:
    os._exit(3)


def sleeps(mark: str, report: Callable[[Any], None]) -> None:
    Path(mark).write_text(str(os.getpid()))
    time.sleep(60)
