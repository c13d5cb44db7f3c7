import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import tensorflow as tf
import yaml
from click.testing import CliRunner

from tests.helpers.base_install import base_environment
from tests.helpers.studies import CONFIGS, REPOSITORY, tiny_content
from tfrs_scaling.cli.main import COMMANDS, main
from tfrs_scaling.fit.runs.run_table import TIMING_COLUMNS
from tfrs_scaling.fit.study import FORMAT
from tfrs_scaling.planning.calibration import Calibration
from tfrs_scaling.planning.choice import Option
from tfrs_scaling.planning.cost import TYPICAL

SCHEMA = {"label": "y", "time": "t", "dense": [{"name": "d"}], "categorical": [{"name": "c", "cardinality": 4}]}


def started(folder: Path, *arguments: str | Path, **environment: str) -> "subprocess.Popen[str]":
    """A command in a process of its own."""
    command = [sys.executable, "-c", "from tfrs_scaling.cli.main import main; main()", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=folder, env={"PYTHONPATH": str(REPOSITORY), **os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@functools.cache
def small_study() -> tuple["tempfile.TemporaryDirectory[str]", int, str]:
    """A folder with a finished study in ``w``, for as long as the tests run; the command's exit status and output.

    It ran in an ASCII terminal, among variables that others set.
    """
    folder = tempfile.TemporaryDirectory()
    config = Path(folder.name) / "tiny.yaml"
    config.write_text(yaml.safe_dump(tiny_content(V=["1/2"])))
    surroundings = {
        "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "KERAS_BACKEND": "jax", "TF_CONFIG": "{}",
        "http_proxy": "http://127.0.0.1:9",
    }  # fmt: skip
    process = started(config.parent, "study", config, "--workdir", "w", **surroundings)
    output, _ = process.communicate()
    return folder, process.returncode, output


class CommandLineTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir()) / self._testMethodName
        self.folder.mkdir()
        self.config = self.folder / "tiny.yaml"
        self.config.write_text(yaml.safe_dump(tiny_content(V=["1/2"], H=[2], O=[2], M=["1/2"])))

    def invoke(self, *arguments: str | Path) -> tuple[int, str]:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
        return result.exit_code, re.sub(r"\s+", " ", result.output)

    def study(self, workdir: Path) -> str:
        process = started(self.folder, "study", self.config, "--workdir", workdir)
        output, _ = process.communicate()
        self.assertEqual(process.returncode, 0, output)
        return output

    def table(self, workdir: Path) -> pd.DataFrame:
        return pd.read_csv(workdir / "runs.csv").drop(columns=list(TIMING_COLUMNS))

    def test_study_from_nothing_to_report_and_killed_and_continued_and_read_without_tensorflow(self) -> None:
        whole, killed = self.folder / "whole", self.folder / "killed"
        self.config.write_text(yaml.safe_dump(tiny_content(V=["1/2"], M=["1/2"])))
        output = self.study(whole)
        *_, report, decision, why, hint = output.splitlines()
        self.assertEqual(report, f"report: {whole / 'report.html'}")
        self.assertNotEmpty(decision + why)
        self.assertStartsWith(hint, "other budgets, and what can be saved: tfrs-scaling advise")
        self.assertNotRegex(output, r"Traceback|[IWE]0000 |oneDNN")
        runs = self.table(whole)
        self.assertEqual(len(runs), 3 * 3)
        self.assertEqual(set(runs["status"]), {"ok"})
        self.assertIn("</html>", (whole / "report.html").read_text())
        self.assertGreater(len(json.loads((whole / "fits.json").read_text())["lines"]), 8)

        process = started(self.folder, "study", self.config, "--workdir", killed)
        while not list(killed.glob("trials/*/trial.json")):
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        self.assertLess(len(list(killed.glob("trials/*/trial.json"))), 3)
        code, output = self.invoke("study", self.config, "--workdir", killed)
        self.assertEqual(code, 0, output)
        pd.testing.assert_frame_equal(self.table(killed), runs)
        self.check_read_without_tensorflow(whole, killed)

    def check_read_without_tensorflow(self, workdir: Path, other: Path) -> None:
        """What needs no training says and writes the same where only the base is installed; the rest says what to
        install."""
        log = self.folder / "log.tfrecord"
        with tf.io.TFRecordWriter(str(log)) as file:
            file.write(tf.train.Example().SerializeToString())
        reading: list[list[str | Path]] = [
            ["advise", workdir],
            ["advise", workdir, "--save"],
            ["compare", workdir, other],
            ["status", workdir],
        ]
        writing: list[list[str | Path]] = [["export", workdir], ["fit", workdir / "runs.csv"], ["report", workdir]]
        said = [self.invoke(*command) for command in reading]
        written = {path: path.read_bytes() for path in (workdir / name for name in ("runs.csv", "report.html"))}
        board = self.board(workdir)
        self.assertNotEmpty(board)
        refused: list[list[str | Path]] = [
            ["study", "smoke", "--workdir", self.folder / "none", "--settle", "20m"],
            ["sweep", "smoke", "--workdir", self.folder / "none"],
            ["plan", "smoke"],
            ["prepare", "synthetic", "smoke", self.folder / "none"],
            ["data", "check", self.folder / "none"],
        ]
        elsewhere: list[list[str | Path]] = [
            ["schema", "infer", log, "--out", self.folder / "none"],
            ["schema", "infer", "gs://bucket/clicks"],
        ]
        code = (
            "import json, sys; from click.testing import CliRunner; from tfrs_scaling.cli.main import main\n"
            "done = [CliRunner().invoke(main, command) for command in json.loads(sys.argv[1])]\n"
            "print(json.dumps([(each.exit_code, each.output) for each in done]))"
        )
        commands = [[str(part) for part in command] for command in (*writing, *reading, *refused, *elsewhere)]
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(commands)], cwd=self.folder, capture_output=True, text=True,
            env=os.environ | base_environment(str(self.folder)), check=False,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        found = [(status, re.sub(r"\s+", " ", output)) for status, output in json.loads(done.stdout)]
        ended, found = found[: len(writing)], found[len(writing) :]
        self.assertEqual([status for status, _ in ended], [0] * len(writing), ended)
        self.assertEqual(found[: len(said)], said)
        line = "Error: this needs {}, not installed here: pip install 'tfrs_scaling[tensorflow]' "
        needed = line.format("tensorflow, tf_keras, tensorflow_recommenders, keras_tuner")
        self.assertEqual(
            found[len(said) :], [(1, needed)] * len(refused) + [(1, line.format("tensorflow"))] * len(elsewhere)
        )
        self.assertFalse((self.folder / "none").exists())
        self.assertEqual({path: path.read_bytes() for path in written}, written)
        self.assertEqual(self.board(workdir), board)

    def board(self, workdir: Path) -> set[tuple[str, str]]:
        """The runs and tags that TensorBoard finds of a study's findings, by TensorFlow's reader."""
        return {
            (file.parent.name, value.tag)
            for file in (workdir / "findings").rglob("*tfevents*")
            for event in tf.compat.v1.train.summary_iterator(str(file))
            for value in event.summary.value
        }

    def test_plan_measures_steps_and_prints_every_shape_and_what_all_take(self) -> None:
        overrides = ("--set", "sweep.V=[]", "--set", "sweep.M=[]", "--set", "training.learning_rates=[0.02, 0.04]")
        code, output = self.invoke("plan", self.config, "--jobs", "1", "--price", "3600", *overrides)
        self.assertEqual(code, 0, output)
        rows = re.findall(r"(\S+) +2 +1 +[\d,]+ .*? GiB +([\d.]+) s ", output)  # two rates, one seed
        times = {name: float(seconds) for name, seconds in rows}
        self.assertEqual(list(times), ["D-1", "H-2", "O-2"])
        self.assertIn("times: from a few seconds of 3 shapes on this machine, 1 at a time", output)
        self.assertIn("2 learning rates account for ", output)
        cost = float(re.search(r"cost: ([\d,.]+) at 3600 an hour", output)[1].replace(",", ""))  # type: ignore[index]
        # A second costs 1; the sweep's start and the data's making too. Times from 10 seconds on are rounded.
        self.assertGreater(cost, sum(times.values()) - 0.5 * len(times))
        self.assertLess(cost, sum(times.values()) + 60)
        self.assertEqual(list(self.folder.iterdir()), [self.config])

    def test_plan_says_the_times_on_gpu_and_cpu(self) -> None:
        def found(strategies: Any, config: Any, data: Any, planned_at: Any, *_: Any) -> list[Option]:
            reasons = {"gpu": "no CUDA", "cpu": "busy"}
            return [
                Option(on, 9, planned_at(strategy=on), Calibration(TYPICAL, {"D-1": reasons[on]}, 0.0, 0.0))
                for on in strategies
            ]

        gpus = (2 << 30,)
        with (
            mock.patch("tfrs_scaling.cli.study.choose_strategy", return_value=("gpu", "1 NVIDIA GPU")),
            mock.patch("tfrs_scaling.planning.choice.options", found),
            mock.patch("tfrs_scaling.hardware.gpu_memory", return_value=gpus),
            mock.patch("tfrs_scaling.planning.plan.gpu_memory", return_value=gpus),
        ):
            code, output = self.invoke("plan", self.config)
        self.assertEqual(code, 0, output)
        self.assertIn("auto takes gpu: unknown on gpu (no CUDA) and unknown on cpu (busy)", output)
        self.assertIn("memory is that of this machine's GPU, which has 2.0 GiB", output)
        self.assertIn("note: 9 trials share a GPU with 2.0 GiB of memory", output)

    def test_config_mistakes_are_printed_without_a_traceback(self) -> None:
        code, output = self.invoke("plan", self.config, "--set", "training.batchsize=3")
        self.assertEqual(code, 1)
        self.assertIn("did you mean 'batch_size'?", output)
        code, output = self.invoke("study", CONFIGS / "movielens.yaml", "--workdir", self.folder / "w")
        self.assertEqual(code, 1)
        self.assertIn("give prepared data with --data", output)
        for text in ("20", "20 m", "-1s", "1d", "nanh"):
            code, output = self.invoke("study", self.config, f"--settle={text}")
            self.assertEqual(code, 2)
            self.assertIn(f"{text!r}: write 90s, 20m or 2h", output)
        with mock.patch.dict(
            os.environ, {"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'}
        ):
            code, output = self.invoke("study", self.config, "--settle=90s")
        self.assertEqual(code, 1)
        self.assertIn("--settle: one process decides which runs come next", output)
        code, output = self.invoke("sweep", self.config, "--address", "node7")
        self.assertEqual(code, 1)
        self.assertIn("--address: should be HOST:PORT of this machine, is 'node7'", output)

    def test_prepare_csv_by_time_and_bad_rows(self) -> None:
        schema = self.folder / "schema.json"
        schema.write_text(json.dumps(SCHEMA))
        rows = [f"{i},{i % 2},{i / 7},{'abc'[i % 3]}" for i in range(200)]
        clean, dirty = self.folder / "clean.csv", self.folder / "dirty.csv"
        clean.write_text("\n".join(["t,y,d,c", *rows]))
        dirty.write_text("\n".join(["t,y,d,c", *rows[:50], "50,maybe,1,a", *rows[51:]]))
        code, output = self.invoke("prepare", "csv", clean, self.folder / "data", "--schema", schema)
        self.assertEqual(code, 0, output)
        self.assertIn("split by time", output)
        code, output = self.invoke("prepare", "csv", dirty, self.folder / "none", "--schema", schema)
        self.assertEqual(code, 1)
        self.assertIn("dirty.csv, line 52, column 'y'", output)
        self.assertFalse((self.folder / "none").exists())
        code, output = self.invoke(
            "prepare",
            "csv",
            dirty,
            self.folder / "some",
            "--schema",
            schema,
            "--max-bad-rows",
            "1",
            "--split",
            "random",
        )
        self.assertEqual(code, 0, output)
        self.assertIn("1 malformed rows left out", output)
        self.assertIn("maybe", (self.folder / "some" / "rejected.tsv").read_text())

    def test_prepare_criteo(self) -> None:
        raw = self.folder / "day_0"
        ids = [f"{i:08x}" for i in range(26)]
        rows = [[str((i % 3 == 0 and 1) or 0), *[str(i + k) for k in range(13)], *ids] for i in range(300)]
        rows[5][2] = rows[6][20] = ""  # blanks are missing values
        raw.write_text("\n".join("\t".join(row) for row in rows) + "\n")
        code, output = self.invoke("prepare", "criteo", raw, self.folder / "data")
        self.assertEqual(code, 0, output)
        manifest = json.loads((self.folder / "data" / "manifest.json").read_text())
        self.assertEqual(sum(split["rows"] for split in manifest["splits"].values()), 300)
        self.assertEqual(sum(split["clicks"] for split in manifest["splits"].values()), 100)

    def test_inferred_schema_prepares_the_log_it_was_made_of(self) -> None:
        log, schema = self.folder / "log.csv", self.folder / "schema.json"
        log.write_text("t,y,d,c\n" + "\n".join(f"{i},{i % 2},{i / 7},{'abc'[i % 3]}" for i in range(200)))
        code, output = self.invoke("schema", "infer", log, "--out", schema)
        self.assertEqual(code, 0, output)
        self.assertIn("a guess from 200 rows", output)
        code, output = self.invoke("prepare", "csv", log, self.folder / "data", "--schema", schema)
        self.assertEqual(code, 0, output)
        code, output = self.invoke("schema", "infer", log, "--out", schema)
        self.assertEqual(code, 1)
        self.assertIn("exists already", output)

    def test_data_check(self) -> None:
        data = self.folder / "data"
        self.assertEqual(self.invoke("prepare", "synthetic", self.config, data)[0], 0)
        with mock.patch.object(tf.config, "set_visible_devices", wraps=tf.config.set_visible_devices) as visible:
            code, output = self.invoke("data", "check", data)
        visible.assert_called_once_with([], "GPU")  # a GPU is for trials
        self.assertEqual(code, 0)
        self.assertIn("2,000 rows in 3 shards are as written", output)
        (shard,) = data.glob("clicks-test*")
        content = bytearray(shard.read_bytes())
        content[200] ^= 1
        shard.write_bytes(content)
        code, output = self.invoke("data", "check", data)
        self.assertEqual(code, 1)
        self.assertIn("record 0: cannot be read", output)

    def test_data_describe_writes_beside_the_data_and_leaves_them_whole(self) -> None:
        data, page = self.folder / "data", self.folder / "elsewhere.html"
        self.assertEqual(self.invoke("prepare", "synthetic", self.config, data)[0], 0)
        files = sorted(data.iterdir())
        with mock.patch.object(tf.config, "set_visible_devices", wraps=tf.config.set_visible_devices) as visible:
            code, output = self.invoke("data", "describe", data)
        visible.assert_called_once_with([], "GPU")  # a GPU is for trials
        self.assertEqual(code, 0, output)
        self.assertIn("user 50 ", output)
        self.assertIn("no time column", output)
        self.assertEndsWith(output, f"page: {self.folder / 'data-describe.html'} ")
        self.assertIn("</html>", (self.folder / "data-describe.html").read_text())
        self.assertEqual(sorted(data.iterdir()), files)
        self.assertEqual(self.invoke("data", "check", data)[0], 0)
        self.assertEqual(self.invoke("data", "describe", data, "--out", page)[0], 0)
        self.assertIn("</html>", page.read_text())
        code, output = self.invoke("data", "describe", self.folder)
        self.assertEqual(code, 1)
        self.assertIn("this is not prepared data", output)

    def test_nothing_measured_is_not_success(self) -> None:
        code, output = self.invoke("study", self.config, "--workdir", self.folder / "w", "--time-limit", "0.001")
        self.assertEqual(code, 1, output)
        self.assertRegex(output, r"Error: study tiny: nothing was measured \(5 failed\)\. D-1")
        self.assertFalse((self.folder / "w" / "report.html").exists())

    def test_ascii_terminal_and_a_neighbour_s_variables_end_no_command(self) -> None:
        _, code, output = small_study()
        self.assertEqual(code, 0, output)
        self.assertIn(r"2 trials \xd7 3 data sizes", output)

    def test_report_of_another_version_s_fits_is_made_of_the_runs(self) -> None:
        workdir = Path(small_study()[0].name) / "w"
        page, fits = (workdir / "report.html").read_bytes(), (workdir / "fits.json").read_bytes()
        (workdir / "fits.json").write_text('{"format": 3}')
        with contextlib.chdir(workdir.parent):
            code, output = self.invoke("report", "w")
        self.assertEqual(code, 0, output)
        self.assertIn(f"not the fits of format {FORMAT}; fit the runs again: doing so now", output)
        self.assertEqual((workdir / "fits.json").read_bytes(), fits)
        self.assertEqual((workdir / "report.html").read_bytes(), page)

    def test_numbers_that_are_not_finite_are_refused(self) -> None:
        for arguments in (
            ("sweep", "x.yaml", "--time-limit"), ("plan", "x.yaml", "--price"), ("advise", "w", "--save", "--price"),
            ("fit", "x.csv", "--at"), ("fit", "x.csv", "--level"), ("schema", "infer", "x.csv", "--label-at-least"),
        ):  # fmt: skip
            for number in ("nan", "inf", "1e400"):
                code, output = self.invoke(*arguments, number)
                self.assertEqual(code, 2, arguments)
                self.assertRegex(output, rf"Invalid value for '{arguments[-1]}': (nan|inf|1e400) is not")

    def test_names_in_wrong_usage_do_not_steer_the_terminal(self) -> None:
        table = self.folder / "\x1b]0;x\x07.csv"
        table.write_text("scheme,multiplier\n")
        code, output = self.invoke("fit", table, "--at", "3")
        self.assertEqual(code, 2)
        self.assertIn(r"\x1b]0;x\x07.csv is a run table", output)
        self.assertNotIn("\x1b", output)

    def test_every_command_has_help(self) -> None:
        _, overview = self.invoke("--help")
        for name, (_, text) in COMMANDS.items():
            code, output = self.invoke(name, "--help")
            self.assertEqual(code, 0)
            self.assertIn("Usage:", output)
            self.assertIn(text, output)  # the overview says what the command says of itself
            self.assertIn(text, overview)

    def test_overview_imports_nothing_heavy(self) -> None:
        code = (
            "import sys, contextlib\nfrom tfrs_scaling.cli.main import main\n"
            "with contextlib.suppress(SystemExit): main(['--help'])\n"
            "sys.exit(bool({'numpy', 'pydantic', 'tensorflow', 'tfrs_scaling.cli.data'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    tf.test.main()
