import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import tensorflow as tf

from tests.helpers.environment import outlives_a_stop, tpu_variables
from tests.helpers.isolated import (
    aborts,
    dies,
    doubled,
    leaves,
    process_id,
    raises,
    raises_in_a_graph,
    sleeps,
)
from tests.helpers.studies import REPOSITORY
from tfrs_scaling.common.environment import OPEN_FILES, libtpu
from tfrs_scaling.training.isolation import IsolatedError, Process, run_isolated


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

    def test_calls_share_a_process_until_one_fails(self) -> None:
        process = Process()
        self.addCleanup(process.close)
        logs = [self.log.with_name(f"{number}.txt") for number in range(5)]

        def call(log: Path, function: Callable[..., Any], *arguments: Any) -> Any:
            return process.call(function, arguments, log, print, threading.Event())

        first, second = call(logs[0], process_id), call(logs[1], process_id)
        self.assertEqual(first, second)
        self.assertEqual([log.read_text() for log in logs[:2]], [f"I am {first}\n"] * 2)
        with self.assertRaisesRegex(IsolatedError, "^ValueError: the third row is odd$"):
            call(logs[2], raises)
        self.assertFalse(is_alive(first))
        third = call(logs[3], process_id)
        self.assertNotEqual(third, first)
        os.kill(third, signal.SIGKILL)  # while it has nothing to do: no trial fails for that
        self.wait_for(lambda: not is_alive(third))
        self.assertNotIn(call(logs[4], process_id), (first, third))

    def test_exception_is_the_reason_and_the_traceback_is_logged(self) -> None:
        with self.assertRaisesRegex(IsolatedError, "^ValueError: the third row is odd$"):
            self.run_isolated(raises)
        self.assertIn("Traceback", self.log.read_text())

    def test_log_is_no_link_to_a_file_of_others(self) -> None:
        other = self.log.with_name("other")
        other.write_text("dear")
        self.log.symlink_to(other)
        with self.assertRaisesRegex(IsolatedError, "^OSError: .*symbolic links"):
            self.run_isolated(raises)
        self.assertEqual(other.read_text(), "dear")

    def test_folder_that_is_gone_is_the_reason_and_the_terminal_stays_clean(self) -> None:
        log = str(self.log.with_name("gone") / "log.txt")
        code = (
            "import threading; from pathlib import Path\n"
            "from tests.helpers.isolated import raises\n"
            "from tfrs_scaling.training.isolation import IsolatedError, run_isolated\n"
            "try:\n"
            f"    run_isolated(raises, (), Path({log!r}), print, threading.Event())\n"
            "except IsolatedError as error:\n"
            "    print(error)"
        )
        ended = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
        self.assertStartsWith(ended.stdout, "FileNotFoundError: ")
        self.assertNotIn("Traceback", ended.stderr)

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
        with self.assertRaisesRegex(IsolatedError, "SIGABRT; .*: F0000 .*Unknown flag in XLA_FLAGS: --nothing$"):
            self.run_isolated(aborts)

    def test_stop_of_the_whole_group_is_the_parent_s_to_handle_and_memory_is_taken_from_the_child(self) -> None:
        self.assertEqual(self.run_isolated(outlives_a_stop)[0], "1000")
        self.assertEqual(run_isolated(outlives_a_stop, (), self.log, print, threading.Event(), on_tpu=True), "1000")
        self.assertNotEqual(Path("/proc/self/oom_score_adj").read_text().strip(), "1000")
        self.assertNotIn(signal.SIGTERM, signal.pthread_sigmask(signal.SIG_BLOCK, []))

    def test_trial_on_a_tpu_is_spawned_with_the_library_that_others_leave_alone(self) -> None:
        given = {"TPU_LOAD_LIBRARY": "0", "TPU_NAME": "local"}
        with mock.patch.dict(os.environ, given):
            log, none = self.log, threading.Event()
            variables, command = run_isolated(tpu_variables, (), log, print, none, on_tpu=True)
            self.assertEqual({name: os.environ[name] for name in given}, given)
        self.assertEqual(
            variables,
            {
                "TPU_NAME": "local",
                "PJRT_DEVICE": "TPU",
                "NEXT_PLUGGABLE_DEVICE_USE_C_API": "true",
                "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": str(libtpu()),
            },
        )
        self.assertIn("spawn_main", " ".join(command))
        variables, command = self.run_isolated(tpu_variables)[0]
        self.assertEqual(variables.get("TPU_LOAD_LIBRARY"), "0")
        self.assertNotIn("PJRT_DEVICE", variables)
        self.assertIn("forkserver", " ".join(command))

    def test_temporary_folder_too_long_for_a_socket_and_few_open_files(self) -> None:
        folder = Path(self.get_temp_dir()) / ("x" * 150)
        folder.mkdir()
        code = (
            "import resource, sys, threading; from pathlib import Path\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
            "from tests.helpers.isolated import limits\n"
            "from tfrs_scaling.training.isolation import run_isolated\n"
            f"print(run_isolated(limits, (), Path({str(self.log)!r}), print, threading.Event()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, env={**os.environ, "TMPDIR": str(folder)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.assertGreaterEqual(int(done.stdout), OPEN_FILES if hard < 0 else min(hard, OPEN_FILES))

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
            "from tests.helpers.isolated import sleeps\n"
            "from tfrs_scaling.training.isolation import run_isolated\n"
            f"run_isolated(sleeps, ({str(mark)!r},), Path({str(self.log)!r}), print, threading.Event())"
        )
        with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY) as parent:
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
