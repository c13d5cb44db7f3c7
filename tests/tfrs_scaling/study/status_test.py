import dataclasses
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf
from click.testing import CliRunner
from rich.console import Console

from tests.helpers.studies import REPOSITORY, leading, tiny_config, tiny_data
from tfrs_scaling.cli.main import main
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json
from tfrs_scaling.study.attempts import Attempt, Process, begin, publish
from tfrs_scaling.study.status import Status, read_status, rendered
from tfrs_scaling.study.workdir import Workdir

PLANNED = {"a": 10.0, "b": 20.0, "c": 30.0, "d": 40.0}
HERE = Process("node7", "", 1, 0.0)


def record(status: str, reason: str = "", seconds: float = 1.0) -> dict[str, Any]:
    where = {"strategy": "cpu", "libraries": "", "machine": "", "attempt": "x", "validation_ne": 0.5}
    return {"status": status, "reason": reason, "seconds": seconds, **where}


class StatusTest(tf.test.TestCase):
    def status(self, over: dict[str, Any], *running: Attempt, sweep: bool | None = False) -> Status:
        return Status("clicks", PLANNED, over, list(running), dict.fromkeys(PLANNED, 1000), sweep)

    def text(self, status: Status) -> str:
        out = io.StringIO()
        Console(file=out, width=200).print(rendered(status))
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

    def test_running(self) -> None:
        attempt = Attempt(
            "b", "node7:1/0/x", HERE, began=470.0, at=500.0, beat=3, examples=250, examples_per_second=1e4
        )
        text = self.text(self.status({"a": record("ok", seconds=20.0)}, attempt, sweep=True))
        # a took twice its plan, so c and d take 60 and 80, one at a time; the other three quarters of b take 90.
        self.assertEqual(
            [re.split(r"\s{2,}", line) for line in text.splitlines()],
            [
                ["clicks: 4 trials: 1 done, 1 running, 2 to do"],
                ["about 3.8 min left, with 1 at a time"],
                ["running", "where", "for", "trained on", "examples/s"],
                ["b", "node7:1/0", "30 s", "25%", "10,000"],
            ],
        )

    def test_time_left_is_shared_and_never_less_than_the_longest(self) -> None:
        one, two = (Attempt(name, "job0", HERE, began=500.0, at=500.0) for name in ("c", "d"))
        status = self.status({"a": record("ok", seconds=10.0)}, one, two)
        self.assertEqual(status.seconds_left, (30 + 40 + 20) / 2)
        status = self.status({"a": record("ok", seconds=10.0), "b": record("skipped")}, one, two)
        self.assertEqual(status.seconds_left, 40)

    def test_time_left_where_no_trial_has_ended(self) -> None:
        attempt = Attempt("d", "job0", HERE, began=310.0, at=500.0, examples=380)
        # 38% of d took 190 s: it takes 310 more, and the other 60 planned seconds, at 500 s for 40, 750.
        self.assertAllClose(self.status({}, attempt).seconds_left, 310 + 750)
        # Nothing is known of its speed: the plan's.
        self.assertEqual(self.status({}, dataclasses.replace(attempt, began=490.0, examples=0)).seconds_left, 30 + 60)

    def test_killed_failed_and_skipped(self) -> None:
        over = {"b": record("failed", "shard [3] is odd"), "c": record("skipped", "too large")}
        stopped = self.text(self.status({"a": record("stopped", "worse")}))
        self.assertEqual(stopped.splitlines()[0], "clicks: 4 trials: 0 done, 1 stopped, 3 to do")
        over["a"] = record("ok")
        self.assertEqual(
            self.text(self.status(over)).splitlines(),
            [
                "clicks: 4 trials: 1 done, 1 failed, 1 skipped, 1 to do",
                "no sweep is running; run the same command again to continue",
                "failed b: shard [3] is odd",
                "skipped c: too large",
            ],
        )
        self.assertIn("retry the 1 that failed", self.text(self.status(over | {"d": record("ok")})))

    def test_failed_trial_that_is_tried_again_runs(self) -> None:
        again = Attempt("b", "job0", HERE, began=490.0, at=500.0)
        status = self.status({"b": record("failed")}, again)
        self.assertEqual((list(status.with_status("failed")), status.to_do), ([], ["a", "c", "d"]))

    def test_plans_of_no_time_are_refused(self) -> None:
        workdir = Workdir(Path(self.get_temp_dir()) / "plan")
        workdir.root.mkdir()
        workdir.write_plan(PLANNED | {"b": 5e-324})
        with self.assertRaisesRegex(InputError, r"plan\.json: b: .*greater than or equal"):
            workdir.read_plan()

    def test_from_the_folder_also_on_the_command_line_and_without_tensorflow(self) -> None:
        workdir = Workdir(Path(self.get_temp_dir()) / "study")
        with self.assertRaisesRegex(InputError, "no study.json"):
            read_status(workdir)
        config = tiny_config(V=["1/2"])
        with leading(workdir):
            workdir.claim(config, tiny_data(config, workdir.root.with_name("data")))
            workdir.write_plan(PLANNED)
            publish(begin(workdir.running, "a"), workdir.trials / "a", record("ok"))
            stopped = record("stopped") | {"rungs": [], "diverged": True}
            publish(begin(workdir.running, "b"), workdir.trials / "b", stopped)  # and now it is run again
            ended = dataclasses.replace(Process.this(), started=1.0)
            named = dataclasses.replace(Process.this(), host="[/x]")
            attempt = Attempt("d", "job0", dataclasses.replace(named, space="x"), began=0.0, at=1e12)
            write_json(begin(workdir.running, "d") / "attempt.json", dataclasses.asdict(attempt))
            for name, process in (("b", Process.this()), ("c", ended)):
                attempt = Attempt(name, "job0", process, began=0.0, at=0.0)
                write_json(begin(workdir.running, name) / "attempt.json", dataclasses.asdict(attempt))
            status = read_status(workdir)
        self.assertEqual(
            (status.study, list(status.planned), status.rows), ("tiny", [*"abcd"], dict.fromkeys("abcd", 1024))
        )
        self.assertCountEqual([attempt.trial_id for attempt in status.running], ["b", "d"])
        self.assertEqual((status.to_do, status.sweep), (["c"], True))
        result = CliRunner().invoke(main, ["status", str(workdir.root)])
        self.assertIn("tiny: 4 trials: 1 done, 2 running, 1 to do", result.output)
        self.assertIn("[/x], job0", result.output)
        modules = "tfrs_scaling.study.status, tfrs_scaling.study.row_scores, tfrs_scaling.cli.main"
        code = f"import sys, {modules}; sys.exit('tensorflow' in sys.modules)"
        self.assertEqual(subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode, 0)


if __name__ == "__main__":
    tf.test.main()
