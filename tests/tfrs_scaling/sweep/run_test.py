import concurrent.futures
import dataclasses
import shutil
from pathlib import Path
from unittest import mock

import pandas as pd
import tensorflow as tf

import tfrs_scaling
from tests.helpers.studies import tiny_config, tiny_content, tiny_data
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.fit.runs.run_table import COLUMNS, read_runs
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import SyntheticSource
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.calibration import Calibration
from tfrs_scaling.planning.choice import Option
from tfrs_scaling.planning.cost import TYPICAL
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep import run_study
from tfrs_scaling.sweep.choice import gpu_or_cpu
from tfrs_scaling.sweep.run import default_workdir


class RunStudyTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        self.said: list[str] = []

    def test_from_a_mapping_to_the_run_table_and_again_with_other_trials(self) -> None:
        content, workdir = tiny_content(V=["1/2"], examples=[256, 512]), self.root / "study"
        # As a notebook may: not in the main thread, where signal handlers cannot be set, and without a terminal.
        # And as on a machine whose GPU a calibration finds slower.
        chosen = Option("cpu", 1, [], Calibration(TYPICAL, {}, 0.0, 0.0))
        with (
            concurrent.futures.ThreadPoolExecutor(1) as thread,
            mock.patch("tfrs_scaling.sweep.run.choose_strategy", return_value=("gpu", "1 NVIDIA GPU")),
            mock.patch("tfrs_scaling.sweep.choice.options", return_value=[chosen]),
        ):
            runs = thread.submit(run_study, content, workdir=workdir, jobs=1, say=self.said.append).result()
        self.assertEqual(dict(runs.dtypes.astype(str)), COLUMNS)
        self.assertEqual(set(runs["status"]), {"ok"})
        self.assertLen(runs, 2 * 2)
        pd.testing.assert_frame_equal(runs, read_runs(workdir / "runs.csv"))
        self.assertRegex(self.said[0], "made 2,000 synthetic clicks")
        self.assertRegex(self.said[1], r"study tiny: cpu \(by a calibration: .* on cpu")
        self.assertEqual(set(runs["strategy"]), {"cpu"})
        resumed = gpu_or_cpu(tiny_config(), "not read", Workdir(workdir), None, self.said.append)
        self.assertEqual(resumed, ("cpu", "as the trials that there are"))
        self.assertLen([line for line in self.said if "validation NE" in line], 2)
        self.assertIn("2 trials: 2 ok", self.said[-2])

        first, last = sorted(workdir.glob("trials/*/trial.json"), key=lambda path: path.stat().st_mtime)
        last.unlink()  # as if killed during this trial
        first.write_text(
            first.read_text().replace(f'"code_version": "{tfrs_scaling.__version__}"', '"code_version": "0.0.9"')
        )
        before = {path: path.stat().st_mtime for path in workdir.glob("trials/*/trial.json")}
        again = run_study(content, workdir=workdir, jobs=1, say=self.said.append)
        self.assertTrue(any("holds trials of version 0.0.9; those that follow are of" in line for line in self.said))
        versions = again.groupby("trial_id")["code_version"].unique().map(list).to_dict()
        self.assertEqual(versions, {first.parent.name: ["0.0.9"], last.parent.name: [tfrs_scaling.__version__]})
        pd.testing.assert_series_equal(again["test_ne"], runs["test_ne"])
        self.assertEqual({path: path.stat().st_mtime for path in before}, before)
        with self.assertRaisesRegex(InputError, "holds another study"):
            run_study(content, workdir=workdir, overrides=["sweep.V=[1/4]"], say=None)

    def test_study_without_data_or_on_other_data_is_refused(self) -> None:
        config = dataclasses.replace(tiny_config(), synthetic=None)
        with self.assertRaisesRegex(InputError, "neither a synthetic nor a log section; give prepared data"):
            run_study(config, workdir=self.root / "study", say=None)
        data = tiny_data(tiny_config(), self.root / "data").folder
        with self.assertRaisesRegex(InputError, r"sweep\.examples\[1\]: 1,000,000 rows, but the training split has"):
            run_study(
                config, data=data, workdir=self.root / "study", overrides=["sweep.examples=[256, 1000000]"], say=None
            )
        self.assertFalse((self.root / "study" / "study.json").exists())

    def test_clicks_of_other_settings_are_made_again_and_a_log_is_refused(self) -> None:
        workdir, too_long = self.root / "study", ["sweep.examples=[256, 1000000]"]
        for seed, made in ((7, ["made"]), (7, []), (9, ["other settings", "made"])):
            said: list[str] = []
            with self.assertRaisesRegex(InputError, "1,000,000 rows, but the training split has"):
                overrides = [*too_long, f"synthetic.seed={seed}"]
                run_study(tiny_content(), workdir=workdir, overrides=overrides, say=said.append)
            for line, words in zip((line for line in said if "/data: " in line), made, strict=True):
                self.assertIn(words, line)
            self.assertEqual(ClickData.open(workdir / "data").manifest.seed, seed)
        settings = tiny_config().synthetic
        assert settings is not None
        for request in ({"negative_rate": 0.5}, {"validation": 0.2}, {"seed": 3}, {"split_by": "order"}):
            shutil.rmtree(workdir / "data")
            prepare(SyntheticSource(settings), workdir / "data", **{"seed": settings.seed} | request)
            said = []
            with self.assertRaisesRegex(InputError, "1,000,000 rows, but the training split has"):
                run_study(tiny_content(), workdir=workdir, overrides=too_long, say=said.append)
            self.assertIn("other settings", said[0], request)
        manifest = workdir / "data" / "manifest.json"
        source = '"sources": [{"bytes": 1, "file": "log.csv", "rows": 0, "rows_hash": "", "sha256": ""}]'
        manifest.write_text(manifest.read_text().replace('"sources": []', source))
        with self.assertRaisesRegex(InputError, "data: was prepared from a log; to study it, give it with --data"):
            run_study(tiny_content(), workdir=workdir, say=None)

    def test_nothing_measured_is_an_error_that_says_why_and_leaves_the_table(self) -> None:
        workdir = self.root / "study"
        message = r"study tiny: nothing was measured \(2 failed\)\. D-1-lr0.04-seed0: took longer than 0.001 min"
        for _ in range(2):
            with self.assertRaisesRegex(InputError, message):
                run_study(tiny_content(V=["1/2"]), workdir=workdir, jobs=2, time_limit=0.001, say=None)
        self.assertEqual(list(read_runs(workdir / "runs.csv")["status"]), ["failed"] * 2)
        with (
            mock.patch("tfrs_scaling.planning.plan.memory_limit", return_value=(1, "this container")),
            self.assertRaisesRegex(InputError, r"measured \(1 skipped\)\. D-1-.*: needs about .*; this container has"),
        ):
            run_study(tiny_content(), workdir=self.root / "small", jobs=1, say=None)

    def test_what_the_hardware_cannot_do_stops_before_anything_is_made(self) -> None:
        zero = tiny_content()
        zero["training"]["accumulator"] = 0
        usable = (
            mock.patch("tfrs_scaling.hardware.usable_gpus", return_value=2),
            mock.patch("tfrs_scaling.hardware._check_tpu"),
        )
        for strategy, jobs, content, message in (
            ("mirrored", 2, tiny_content(), "--jobs: 2 under mirrored, whose trials each take all GPUs; leave it out"),
            ("tpu", 2, tiny_content(), "--jobs: 2 under tpu, which one process holds at a time"),
            ("tpu", None, zero, "training.accumulator: TPUEmbedding refuses 0"),
            ("tpu", None, tiny_content(E=[2]), "on a TPU a process can train one model only"),
        ):
            with usable[0], usable[1], self.assertRaisesRegex(InputError, message):
                run_study(content, workdir=self.root / "study", strategy=strategy, jobs=jobs, say=None)  # type: ignore[arg-type]
        self.assertFalse((self.root / "study").exists())

    def test_default_folder_is_named_after_the_study(self) -> None:
        config = dataclasses.replace(tiny_config(), study="clicks / 2024")
        self.assertEqual(default_workdir(config), Path("runs/clicks___2024"))


if __name__ == "__main__":
    tf.test.main()
