"""Tests of the study's fits on planted laws."""

import copy
import dataclasses
import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.planted import BETA, GAMMA, LADDER, MULTIPLIERS, line_of, planted_ne, planted_row, planted_study
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.fit.advice.advise import advise
from tfrs_scaling.fit.advice.use import measured_shapes
from tfrs_scaling.fit.analyses.lines import fit_lines, frontier_points, points
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.laws.power_law import fit_power_law
from tfrs_scaling.fit.laws.status import Status
from tfrs_scaling.fit.report.sections.evidence import teacher_words
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.runs.run_table import COLUMNS, read_runs
from tfrs_scaling.fit.runs.screening import usable_runs
from tfrs_scaling.fit.study import FORMAT, StudyFits, fit_study


def with_second_baseline(runs: pd.DataFrame) -> pd.DataFrame:
    """A study with the baseline of another architecture, whose losses are the same."""
    other = runs[(runs["scheme"] == "D") & (runs["learning_rate"] == 0.02)]
    other = other.assign(architecture="cross", trial_id="cross", status="ok", reason="")
    return pd.concat([runs, other], ignore_index=True)


@functools.cache
def planted_fits() -> StudyFits:
    """Those of V; read by several tests."""
    return fit_study(planted_study(schemes="V"), bayes_ne=GAMMA)


class FitStudyTest(tf.test.TestCase):
    """Lines, frontiers and what is left out."""

    def test_planted_laws_are_recovered_from_several_seeds_on_every_line(self) -> None:
        fits = fit_study(planted_study(seeds=3))
        lines = {(line.scheme, line.x, line.line) for line in fits.lines}
        names = ["1", *map(multiplier_label, MULTIPLIERS), "frontier"]
        expected = {("D", "data", "1"), ("D", "data", "frontier")}
        expected |= {(s, "data", name) for s in "VHOM" for name in names}
        expected |= {(s, "compute", name) for s in "HOM" for name in names}
        expected |= {(s, "parameters", name) for s in "VHOM" for name in [*map(str, LADDER), "frontier"]}
        self.assertEqual(lines, expected)
        for scheme in "VHOM":
            for multiplier in (1.0, *MULTIPLIERS):
                line = multiplier_label(multiplier)
                fit = line_of(fits, scheme, "data", line)
                self.assertEqual((fit.n, fit.left_out), (24, ()))
                truth = [planted_ne(scheme, multiplier, examples) for examples in LADDER]
                self.assertAllClose(fit.predict(LADDER), truth, atol=1e-3, rtol=0)
                self.assertAllClose([fit.beta, fit.gamma], [BETA, GAMMA], atol=0.06, rtol=0)
                self.assertEqual(fit.status, "ok")

    def test_a_teacher_shifts_the_curve_or_bends_it_and_costs_rows(self) -> None:
        rng, ladder = np.random.default_rng(0), [examples / LADDER[0] for examples in LADDER]
        curves: dict[float, Callable[[float], float]] = {
            0.0: lambda d: 0.2 * d**-BETA, 1.0: lambda d: 0.2 * (2 * d) ** -BETA, 0.5: lambda d: 0.2 * d**-0.6,
        }  # fmt: skip
        rows = []
        for weight, curve in curves.items():
            scheme, multiplier = ("T", weight) if weight else ("D", 1.0)
            taught = {"scorer_examples": 3 * LADDER[-1]} if weight else {}
            for seed in range(2):
                for d, examples in zip(ladder, LADDER, strict=True):
                    ne = GAMMA + curve(d) + rng.normal(0, 2e-4)
                    row = planted_row(scheme, multiplier, seed, 0.02, examples, ne)
                    predicted = {"scorer_compute": 1e12 + 5e3 * examples} if weight else {}
                    named = {"trial_id": f"{scheme}-{multiplier}-{seed}", "validation_ne": ne}
                    rows.append(row | named | taught | predicted)
        runs = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
        fits = fit_study(runs)
        self.assertEqual(line_of(fits, "T", "data", "0").y, line_of(fits, "D", "data", "1").y)
        self.assertAllClose(line_of(fits, "T", "data", "1").predict(LADDER), [GAMMA + curves[1.0](d) for d in ladder],
                            atol=1e-3, rtol=0)  # fmt: skip
        half, whole = sorted(fits.taught, key=lambda record: record.second, reverse=True)
        self.assertEqual((half.second, half.verdict), ("T at 1/2", "other exponent"))
        self.assertEqual((whole.second, whole.verdict), ("T at 1", "shifted"))
        assert whole.data_ratio is not None and half.beta_difference is not None
        self.assertNear(whole.data_ratio, 0.5, 0.05)
        self.assertNear(half.beta_difference, BETA - 0.6, 0.1)
        verdicts = {(move.second, move.parameter): move.verdict for move in fits.taught_parameters}
        self.assertEqual(verdicts["T at 1/2", "beta"], "moves")
        self.assertNotEqual(verdicts["T at 1", "beta"], "moves")
        [said] = [words for words in teacher_words(study_view(runs, fits)) if words.startswith("T against")]
        self.assertIn("T at 1/2: other exponent (α moves, β moves, γ ", said)
        cheap, rich = (advise(runs, fits, budget) for budget in ("params=4x", "data=4x"))
        self.assertIn("T takes 3,840,000 rows that trials are not trained on", " ".join(cheap.changes))
        self.assertIn("more than this budget allows, so T is left out", " ".join(cheap.changes))
        self.assertEqual({option.use.scheme for option in cheap.options}, set())
        costs = {option.use.scheme: option.use.cost for option in rich.options}
        self.assertEqual(costs["T"]["data"], 4 * LADDER[-1])
        more, flops = 2 * LADDER[-1], float(runs["flops_train"].iloc[0])
        wider = {shape.multiplier: shape for shape in measured_shapes(usable_runs(runs), fits.noise).shapes
                  if shape.scheme == "T"}[1.0].cost(more)  # fmt: skip
        self.assertAllClose(wider["compute"], 1e12 + (flops + 5e3) * more, rtol=1e-9)  # which the teacher predicts too

    def test_lines_of_features_and_negatives(self) -> None:
        fits = fit_study(planted_study(schemes="FN"))
        lines = {(line.scheme, line.x, line.line) for line in fits.lines if line.scheme != "D"}
        names = ["1/16", "1/4", "1", "frontier"]
        expected = {(s, x, name) for s in "FN" for x in ("data", "compute") for name in names}
        expected |= {("F", "parameters", name) for name in [*map(str, LADDER), "frontier"]}
        self.assertEqual(lines, expected)
        for scheme in "FN":
            fit = line_of(fits, scheme, "data", "1/4")
            truth = [planted_ne(scheme, 1 / 4, examples) for examples in LADDER]
            self.assertAllClose(fit.predict(LADDER), truth, atol=1.5e-3, rtol=0)
        fewer = points(usable_runs(planted_study(schemes="F")), "dot", "F")
        self.assertEqual(set(fewer["parameters"]), {m * 1_600_000 + 33_000 for m in (1 / 16, 1 / 4, 1)})

    def test_points_of_a_trial_are_grouped(self) -> None:
        runs = planted_study(seeds=3, schemes="H")
        # Each seed off by the same at every rung, which independent points would take for signal.
        rng = np.random.default_rng(0)
        runs["test_ne"] += runs["trial_id"].map({trial: rng.normal(0, 2e-3) for trial in runs["trial_id"].unique()})
        fits = fit_study(runs)
        fit = line_of(fits, "H", "data", "4")
        self.assertEqual(len(set(fit.groups)), 3)
        alone = fit_power_law(fit.x, fit.y)
        self.assertGreater(np.ptp(fit.predict_interval(LADDER[3])), 2 * np.ptp(alone.predict_interval(LADDER[3])))

    def test_x_of_parameters_and_compute_by_hand(self) -> None:
        runs = planted_study(schemes="VO")
        overarch = points(usable_runs(runs), "dot", "O")
        self.assertEqual(set(overarch["scheme"]), {"D", "O"})
        of_4 = overarch[overarch["multiplier"] == 4]
        self.assertEqual(set(of_4["parameters"]), {5_000 + 8_000 + 80_000})  # no embedding
        vertical = points(usable_runs(runs), "dot", "V")
        of_4 = vertical[vertical["multiplier"] == 4]
        self.assertEqual(set(of_4["parameters"]), {6_400_000 + 33_000})
        (fit,) = [
            line.fit
            for line in fit_lines({("dot", "O"): overarch}, level=0.95)
            if (line.scheme, line.x, line.line) == ("O", "compute", "4")
        ]
        flops_train = 3 * (2 * (5_000 + 8_000 + 80_000) + 1_000)
        self.assertAllClose(fit.x, flops_train * np.array(LADDER), rtol=1e-12)

    def test_frontier_is_the_lower_envelope_of_seed_means(self) -> None:
        runs = planted_study(seeds=2)
        rows = points(usable_runs(runs), "dot", "V")
        means = rows.groupby(["multiplier", "examples"])["test_ne"].mean().reset_index()
        frontier = frontier_points(rows, "data")
        lowest = means.groupby("examples")["test_ne"].min()
        self.assertAllEqual(frontier["test_ne"], lowest.to_numpy())  # V falls at every rung, so all are on it
        self.assertAllEqual(frontier["data"], LADDER)

    def test_plateau_points_are_left_out_and_listed(self) -> None:
        runs = planted_study(noise=1e-5, schemes="H")
        early = (runs["scheme"] == "H") & (runs["multiplier"] == 4) & (runs["examples"] <= LADDER[1])
        runs.loc[early, "test_ne"] = 0.91
        fits = fit_study(runs)
        fit = line_of(fits, "H", "data", "4")
        self.assertEqual(fit.left_out, (float(LADDER[0]), float(LADDER[1])))
        self.assertEqual(fit.n, 6)
        self.assertAllClose(fit.gamma, GAMMA, atol=5e-3)
        fit = line_of(fits, "H", "compute", "4")
        self.assertLen(fit.left_out, 2)

    def test_missing_and_collapsed_trials_are_listed_and_do_not_count(self) -> None:
        runs = planted_study(schemes="M")
        runs.loc[runs["trial_id"] == "M-4-0.02-0", ["train_ne", "test_ne"]] = 1.0
        nothing = {name: np.nan for name, kind in COLUMNS.items() if kind == "float64"}
        failed = planted_row("M", 64.0, 1, 0.02, 0, 0.0) | nothing
        failed |= {"multiplier": 64.0, "learning_rate": 0.02, "trial_id": "M-64", "status": "failed", "reason": "NaN"}
        runs = pd.concat([runs, pd.DataFrame([failed]).astype(COLUMNS)], ignore_index=True)
        fits = fit_study(runs)
        self.assertEqual([trial.trial_id for trial in fits.left_out], ["M-4-0.02-0"])
        self.assertEqual(
            [(trial.trial_id, trial.status, trial.reason) for trial in fits.missing], [("M-64", "failed", "NaN")]
        )
        self.assertIsNone(fits.find(scheme="M", x="data", line="4", architecture="dot"))
        self.assertIsNone(fits.find(scheme="M", x="data", line="64", architecture="dot"))

    def test_comparisons_of_two_architectures_of_which_one_is_a_baseline_and_half_the_trials_failed(self) -> None:
        runs = planted_study(schemes="VH").query(f"learning_rate == 0.02 and examples >= {LADDER[3]}")
        failed = runs["trial_id"].isin(["V-4-0.02-0", "V-0.25-0.02-0", "H-16-0.02-0", "D-1-0.02-0"])
        runs.loc[failed, ["status", "reason"]] = ["failed", "no memory"]
        fits = fit_study(with_second_baseline(runs))
        self.assertEqual({record.architecture for record in fits.ranking}, {"dot"})
        ranking = {record.x: record for record in fits.ranking}
        self.assertEqual(ranking["data"].text, "V > H")  # V was measured at 16 times, H at 4 times the baseline
        self.assertIn("the baseline were measured", ranking["parameters"].pairs[0].why)
        self.assertEqual([(zone.architecture, zone.first) for zone in fits.zones], [("dot", "V")])
        self.assertEqual({record.architecture for record in fits.saturation}, {"dot", "cross"})
        self.assertLen(fits.limits, sum(line.line == "frontier" for line in fits.lines))

    def test_a_study_in_which_everything_failed_has_no_lines(self) -> None:
        runs = planted_study().assign(status="failed", reason="no memory")
        fits = fit_study(runs)
        self.assertEqual((fits.lines, fits.best), ((), None))
        self.assertLen(fits.missing, len(runs))
        with self.assertRaisesRegex(ValueError, "no rows"):
            fit_study(runs.head(0))


class OutsidersTest(tf.test.TestCase):
    """Tables of other trainers, with columns that are not recorded."""

    def test_four_columns_give_the_laws_of_data_that_the_whole_table_gives(self) -> None:
        path = Path(self.get_temp_dir()) / "mine.csv"
        runs = planted_study(schemes="VH")
        runs = runs[runs["learning_rate"] == 0.02]
        runs[["scheme", "multiplier", "examples", "test_ne"]].to_csv(path, index=False)
        whole, fits = fit_study(runs), fit_study(read_runs(path))
        self.assertEqual({line.x for line in fits.lines}, {"data"})
        for line in fits.lines:
            name = (line.scheme, line.x, line.line)
            self.assertAllClose(line.fit.beta, line_of(whole, *name).beta, rtol=1e-9, msg=str(name))
        self.assertEqual([(r.x, r.text) for r in fits.ranking], [(r.x, r.text) for r in whole.ranking if r.x == "data"])
        self.assertEqual((fits.zones, fits.dimension, fits.generalisation, fits.joint), ((), (), (), ()))
        fits.write(path.with_suffix(".json"))
        self.assertEqual(StudyFits.read(path.with_suffix(".json")).flagged, fits.flagged)

    def test_a_collapsed_trial_may_have_no_learning_rate(self) -> None:
        runs = (
            planted_study(schemes="V")
            .assign(learning_rate=np.nan)
            .drop_duplicates(["scheme", "multiplier", "examples"])
        )
        runs.loc[runs["multiplier"] == 4, ["train_ne", "test_ne"]] = 1.0
        [dead] = fit_study(runs).left_out
        self.assertEqual((dead.multiplier, dead.learning_rate), (4.0, None))


class LawTest(tf.test.TestCase):
    """What is asked of a study by name."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.fits = planted_fits()
        cls.two = fit_study(with_second_baseline(planted_study(schemes="V")))

    def test_a_line_by_its_multiplier_by_its_name_or_the_frontier(self) -> None:
        laws = {(line.scheme, line.x, line.line): line.fit for line in self.fits.lines}
        self.assertIs(self.fits.law("V", multiplier=1 / 16), laws["V", "data", "1/16"])
        self.assertIs(self.fits.law("V", x="parameters", line="10000"), laws["V", "parameters", "10000"])
        self.assertIs(self.fits.law("V"), laws["V", "data", "frontier"])
        self.assertEqual(self.two.law("D", multiplier=1, architecture="cross").n, len(LADDER))

    def test_a_line_that_is_not_there(self) -> None:
        with self.assertRaisesRegex(KeyError, "no line 64 of V against data; V has against data: 1, 1/16, 1/4, 16, 4"):
            self.fits.law("V", multiplier=64)
        with self.assertRaisesRegex(KeyError, "there are lines of D, V"):
            self.fits.law("M", multiplier=4)
        self.assertIs(self.two.law("V", multiplier=4), self.two.law("V", multiplier=4, architecture="dot"))
        with self.assertRaisesRegex(ValueError, "not both"):
            self.fits.law("V", multiplier=4, line="4")
        self.assertIsNone(self.fits.find(scheme="V", x="data", line="64", architecture="dot"))

    def test_tables(self) -> None:
        lines = self.fits.to_frame("lines")
        row = lines[(lines["line"] == "1/4") & (lines["x"] == "data")].iloc[0]
        law = self.fits.law("V", multiplier=1 / 4)
        self.assertEqual((row["fit_beta"], row["fit_status"], row["fit_n"]), (law.beta, "ok", 8))
        self.assertEqual(row["fit_beta_low"], law.interval["beta"][0])
        limits = self.fits.to_frame("limits")
        self.assertLen(limits, len(self.fits.limits))
        first = self.fits.limits[0]
        assert first.half_gap is not None
        self.assertEqual(limits["half_gap_factor"][0], first.half_gap.factor)
        self.assertEmpty(self.fits.to_frame("missing"))
        with self.assertRaisesRegex(KeyError, "no records 'fits'; there are noise, rates, lines, saturation"):
            self.fits.to_frame("fits")
        self.assertIn("frontier", self.fits._repr_html_())


class FitsFileTest(tf.test.TestCase):
    """fits.json."""

    def test_same_runs_give_the_same_bytes_in_another_process(self) -> None:
        path = Path(self.get_temp_dir()) / "fits.json"
        planted_fits().write(path)
        again = path.with_name("again.json")
        program = (
            "import sys; from tests.helpers.planted import GAMMA, planted_study\n"
            "from tfrs_scaling.fit import fit_study\n"
            "fit_study(planted_study(schemes='V'), bayes_ne=GAMMA).write(sys.argv[1])\n"
            "assert 'tensorflow' not in sys.modules and 'bokeh' not in sys.modules\n"
        )
        environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONHASHSEED": "7"}
        subprocess.run([sys.executable, "-c", program, str(again)], check=True, env=environment)
        self.assertEqual(again.read_bytes(), path.read_bytes())

    def test_what_is_read_is_what_was_written(self) -> None:
        path = Path(self.get_temp_dir()) / "fits.json"
        runs = planted_study(schemes="VH")
        runs.loc[runs["trial_id"] == "V-4-0.02-0", ["train_ne", "test_ne"]] = 1.0  # collapsed
        few = (runs["scheme"] == "H") & (runs["multiplier"] == 4) & (runs["examples"] > LADDER[2])
        runs.loc[few, ["status", "reason"]] = ["failed", "no memory"]  # too few points: a fit of NaN
        fits = fit_study(with_second_baseline(runs), bayes_ne=GAMMA)
        fits.write(path)
        found = StudyFits.read(path)
        for field in dataclasses.fields(StudyFits):
            if field.name not in ("lines", "joint"):  # whose fits hold NaN, which equals nothing
                self.assertEqual(getattr(found, field.name), getattr(fits, field.name))
        self.assertEqual([line.fit.to_dict() for line in found.lines], [line.fit.to_dict() for line in fits.lines])
        again = path.with_name("again.json")
        found.write(again)
        self.assertEqual(again.read_bytes(), path.read_bytes())
        self.assertIsInstance(found.ranking[0].schemes[0].status, Status)

    def test_damaged_files_are_refused_with_the_place(self) -> None:
        path = Path(self.get_temp_dir()) / "fits.json"
        planted_fits().write(path)
        whole = json.loads(path.read_text())
        damages: tuple[tuple[Callable[[Any], object], str], ...] = (
            (lambda content: content["lines"][0].pop("scheme"), "lines.0.scheme: .*fit the runs again"),
            (lambda content: content["lines"][2].update(fit=[]), "lines.2.fit: .*fit the runs again"),
            (lambda content: content["ranking"][0].update(text=3), "ranking.0.text: .*fit the runs again"),
            (lambda content: content["effects"][1].update(outcome="up"), "effects.1.outcome: .*fit the runs again"),
            (lambda content: content.pop("best"), "best: .*fit the runs again"),
            (lambda content: content.update(format=99), f"not the fits of format {FORMAT}; fit the runs again"),
        )
        for damage, message in damages:
            content = copy.deepcopy(whole)
            damage(content)
            path.write_text(json.dumps(content))
            with self.assertRaisesRegex(InputError, message) as caught:
                StudyFits.read(path)
            self.assertStartsWith(str(caught.exception), str(path))
        path.write_text("{")
        with self.assertRaisesRegex(InputError, "not readable as JSON"):
            StudyFits.read(path)


if __name__ == "__main__":
    tf.test.main()
