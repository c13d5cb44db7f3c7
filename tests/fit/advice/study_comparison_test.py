"""Tests of the comparison of two studies: planted changes are found, chance is not, and settings are named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from click.testing import CliRunner

from tests.helpers.levers import LADDER, Scenario, savings_fits
from tests.helpers.planted import planted_about
from tfrs_scaling.cli.main import main
from tfrs_scaling.fit.advice.study_comparison import FinishedStudy, compare_studies
from tfrs_scaling.fit.runs.run_table import write_runs

SCENARIO = Scenario("params=4x", {"V": 30.0}, None, seeds=3, multipliers=(1 / 4, 4.0))
ABOUT = planted_about()


def runs_of(seed: int) -> pd.DataFrame:
    return SCENARIO.study(np.random.default_rng(seed))


def study(runs: pd.DataFrame, **about: Any) -> FinishedStudy:
    return FinishedStudy("a", runs, savings_fits(runs), ABOUT | about)


class StudyComparisonTest(tf.test.TestCase):
    def test_a_planted_change_is_found_and_chance_is_not(self) -> None:
        runs, again = runs_of(0), runs_of(1)
        top = (again["scheme"] == "H") & (again["multiplier"] == 4) & (again["examples"] >= LADDER[-2])
        again.loc[top, "test_ne"] -= 0.02
        found = compare_studies(study(runs), study(again))
        self.assertLen(found.points, 9 * len(LADDER))
        self.assertEqual({(p.scheme, p.multiplier, p.examples) for p in found.changed_points},
                         {("H", 4.0, LADDER[-2]), ("H", 4.0, LADDER[-1])})  # fmt: skip
        for point in found.changed_points:
            self.assertTrue(point.low < -0.02 < point.high)
            self.assertEqual(point.outcome, "lower")
            rows = [table[(table["scheme"] == "H") & (table["multiplier"] == 4)] for table in (runs, again)]
            means = [own[own["examples"] == point.examples]["test_ne"].mean() for own in rows]
            self.assertAllClose((point.first, point.second), means)

    def test_two_studies_that_differ_by_chance_hardly_ever_show_a_change(self) -> None:
        # Without their costs, so that no advice is asked for, which takes longest.
        studies = [study(runs_of(seed).assign(flops_train=np.nan)) for seed in range(10)]
        pairs = zip(studies[::2], studies[1::2], strict=True)
        shown = sum(bool(compare_studies(*pair).changed_points) for pair in pairs)
        self.assertLessEqual(shown, 1)  # of 5; 0.25 expected, 2 % have more

    def test_settings_answers_laws_and_what_only_one_has(self) -> None:
        runs = runs_of(3)
        other = runs[(runs["scheme"] != "O") & (runs["multiplier"] < 4)]
        config = ABOUT["config"] | {"sweep": ABOUT["config"]["sweep"] | {"V": ["2"]}}
        found = compare_studies(study(runs), study(other, config=config, machine="arm"))
        names = [(setting.name, setting.first, setting.second) for setting in found.settings]
        self.assertEqual(names, [("machine", ABOUT["machine"], "arm"), ("config.sweep.V", "['4']", "['2']")])
        self.assertFalse(found.has_other_data)
        self.assertEqual(found.alone, (5 * len(LADDER), 0))
        self.assertEqual([law.different for law in found.laws], [False])
        answer = found.answers[-1]
        self.assertIn("V at 4×", answer.first)
        self.assertIn("Not enough evidence", answer.second)

    def test_unknown_noise_is_said(self) -> None:
        runs = runs_of(4)
        one = runs[(runs["seed"] == 0) & (runs["examples"] >= LADDER[-3])]
        found = compare_studies(study(one), study(one))
        self.assertEqual({point.outcome for point in found.points}, {"noise unknown"})

    def test_command_line(self) -> None:
        root = Path(self.get_temp_dir())
        for name, seed in (("a", 5), ("b", 6)):
            (root / name).mkdir()
            runs = runs_of(seed)
            runs.loc[runs["scheme"] == "M", "test_ne"] += 0.05 * (name == "b")
            write_runs(runs, root / name / "runs.csv")
            savings_fits(runs).write(root / name / "fits.json")
            (root / name / "study.json").write_text(json.dumps(ABOUT | {"data_hash": name}))
        result = CliRunner().invoke(main, ["compare", str(root / "a"), str(root / "b")])
        self.assertEqual(result.exit_code, 0, result.output)
        for part in ("data_hash: a -> b", "the data differ", "16 changed by more", "dot M 4×", "params=4x: the same"):
            self.assertIn(part, result.output)
        (root / "empty").mkdir()
        result = CliRunner().invoke(main, ["compare", str(root / "a"), str(root / "empty")])
        self.assertEqual((result.exit_code, "empty: no study.json" in result.output), (1, True))


if __name__ == "__main__":
    tf.test.main()
