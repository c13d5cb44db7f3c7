import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrs_scaling.training.isolation import IsolatedError, run_isolated


def doubled(number: int, report: Callable[[Any], None]) -> int:
    print("working")
    report("half way")
    return 2 * number


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


def leaves(report: Callable[[Any], None]) -> None:
    os._exit(3)


def sleeps(mark: str, report: Callable[[Any], None]) -> None:
    Path(mark).write_text(str(os.getpid()))
    time.sleep(60)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie is dead, only not yet buried by whoever inherited it.
    return " Z " not in Path(f"/proc/{pid}/stat").read_text()


class IsolationTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.log = Path(self.get_temp_dir()) / "log.txt"

    def run_isolated(self, function: Callable[..., Any], *arguments: Any) -> tuple[Any, list[Any]]:
        reports: list[Any] = []
        return run_isolated(function, arguments, self.log, reports.append, threading.Event()), reports

    def test_returns_reports_and_logs(self) -> None:
        self.assertEqual(self.run_isolated(doubled, 21), (42, ["half way"]))
        self.assertIn("working", self.log.read_text())

    def test_exception_is_the_reason_and_the_traceback_is_logged(self) -> None:
        with self.assertRaisesRegex(IsolatedError, "^ValueError: the third row is odd$"):
            self.run_isolated(raises)
        self.assertIn("Traceback", self.log.read_text())

    def test_reason_of_a_graph_s_error_is_what_went_wrong(self) -> None:
        with self.assertRaisesRegex(IsolatedError, r"^OSError: shard 3 is odd \[\[{{node next}}\]\]$"):
            self.run_isolated(raises_in_a_graph)
        self.assertIn("b.py", self.log.read_text())

    def test_deaths_are_distinguished(self) -> None:
        with self.assertRaisesRegex(IsolatedError, "out of memory"):
            self.run_isolated(dies, signal.SIGKILL)
        with self.assertRaisesRegex(IsolatedError, "died from SIGSEGV"):
            self.run_isolated(dies, signal.SIGSEGV)
        with self.assertRaisesRegex(IsolatedError, "ended with status 3"):
            self.run_isolated(leaves)

    def test_stop_ends_it(self) -> None:
        stop = threading.Event()
        threading.Timer(0.5, stop.set).start()
        started = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            run_isolated(sleeps, (str(self.log.with_name("mark")),), self.log, print, stop)
        self.assertLess(time.monotonic() - started, 30)

    def test_one_that_takes_too_long_is_ended(self) -> None:
        self.run_isolated(doubled, 1)  # so that the server's imports do not count
        mark = self.log.with_name("slow")
        with self.assertRaisesRegex(IsolatedError, r"took longer than 0.05 min and was ended; --time-limit"):
            run_isolated(sleeps, (str(mark),), self.log, print, threading.Event(), 3.0)
        self.assertFalse(is_alive(int(mark.read_text())))

    def test_dies_with_its_parent(self) -> None:
        mark = self.log.with_name("mark")
        code = (
            "import threading; from pathlib import Path\n"
            "from tests.tfrs_scaling.training.isolation_test import sleeps\n"
            "from tfrs_scaling.training.isolation import run_isolated\n"
            f"run_isolated(sleeps, ({str(mark)!r},), Path({str(self.log)!r}), print, threading.Event())"
        )
        repository = Path(__file__).resolve().parents[3]
        with subprocess.Popen([sys.executable, "-c", code], cwd=repository) as parent:
            self.wait_for(lambda: mark.exists() and mark.read_text() != "")
            parent.kill()
        child = int(mark.read_text())
        self.wait_for(lambda: not is_alive(child))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        for _ in range(1800):
            if condition():
                return
            time.sleep(0.1)
        self.fail("waited three minutes for nothing")


if __name__ == "__main__":
    tf.test.main()
