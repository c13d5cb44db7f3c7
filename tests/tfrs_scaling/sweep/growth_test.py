import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import tensorflow as tf
import yaml
from click.testing import CliRunner

from tests.helpers.studies import tiny_content
from tfrs_scaling.cli.main import main
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.fit.runs.run_table import TIMING_COLUMNS
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep import run_study


class GrowthTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        self.said: list[str] = []
        # One thread each, so that sums run in one order.
        self.enterContext(mock.patch("os.cpu_count", return_value=1))

    def run_study(self, name: str, sweep: dict[str, Any]) -> pd.DataFrame:
        runs = run_study(tiny_content(**sweep), workdir=self.root / name, jobs=1, say=self.said.append)
        return runs.drop(columns=[*TIMING_COLUMNS])

    def test_study_grown_in_three_steps_equals_the_same_study_run_at_once(self) -> None:
        grown = Workdir(self.root / "grown")
        first: dict[str, Any] = {"examples": [128, 256]}
        second = {"examples": [128, 256], "V": ["1/2"]}
        third = {"examples": [128, 256, 512], "V": ["1/2"], "O": [2]}
        self.run_study("grown", first)
        done = {path: path.stat().st_mtime_ns for path in grown.trials.glob("*/*")}
        self.run_study("grown", second)
        self.assertEqual({path: path.stat().st_mtime_ns for path in done}, done)
        shutil.rmtree(grown.trials / "V-1_2-lr0.04-seed0")  # as if killed during this trial
        (self.root / "third.yaml").write_text(yaml.safe_dump(tiny_content(**third)))
        planned = CliRunner().invoke(main, ["plan", f"{self.root}/third.yaml", "--workdir", str(grown.root)]).output
        runs = self.run_study("grown", third)
        said = "\n".join(self.said)
        self.assertIn("the study grows: sweep.examples: [128, 256] there, [128, 256, 512] now", said)
        for text in (said, planned):
            self.assertRegex(
                text, r"grown: lacks 3 trials, 1 of them again, as they have fewer data sizes .*: about \d"
            )
        pd.testing.assert_frame_equal(runs, self.run_study("at once", third), check_exact=True)
        self.assertLen(list(grown.keras_tuner.glob("trial_*/trial.json")), 3)  # those of the whole grid
        with self.assertRaisesRegex(InputError, f"give {grown.config}"):
            self.run_study("grown", second)


if __name__ == "__main__":
    tf.test.main()
