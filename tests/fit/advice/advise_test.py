"""Tests of advice on planted studies, on partial ones, and on the command line."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from click.testing import CliRunner

from tests.helpers.levers import LADDER, SCENARIOS, Scenario, needed_fits, right_share
from tests.helpers.planted import planted_row
from tests.helpers.studies import CONFIGS
from tfrs_scaling.cli.main import main
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import read_config
from tfrs_scaling.fit.advice.advice import Advice
from tfrs_scaling.fit.advice.advise import advise
from tfrs_scaling.fit.advice.budget import BUDGETS
from tfrs_scaling.fit.advice.settle import Place
from tfrs_scaling.fit.runs.run_table import COLUMNS, write_runs
from tfrs_scaling.fit.study import fit_study

CLEAR = Scenario("params=4x", {"V": 40.0, "H": 10.0}, frozenset("V"), multipliers=(1 / 4, 4.0))
TRUTH_GAIN = 40 * CLEAR.unit


class PlantedTest(tf.test.TestCase):
    def test_right_lever_and_no_evidence(self) -> None:
        for name, fewest in (("best by 4, second at 4", 10), ("two alike", 9), ("nothing helps", 11)):
            rng, scenario = np.random.default_rng(7), dataclasses.replace(SCENARIOS[name], multipliers=(4.0,))
            answers = [scenario.advice(rng).do for _ in range(12)]
            right = sum((None if do is None else do.use.levers) == scenario.right for do in answers)
            self.assertGreaterEqual(right, fewest, name)

    def test_a_lever_flat_beyond_a_point_is_followed_no_further_on_any_data(self) -> None:
        for name, simulations in (("flat beyond 4, parameters", 6), ("flat beyond 4, compute", 2)):
            share, said = right_share(SCENARIOS[name], simulations, seed=0)
            self.assertGreaterEqual(share, 0.8, f"{name}: {said}")

    def test_v_stops_where_no_ids_share_a_row(self) -> None:
        scenario = Scenario("params=64x", {"V": 16.0}, None, seeds=3, multipliers=(1 / 4, 2.0, 4.0, 16.0))
        runs = scenario.study(np.random.default_rng(0))
        runs.loc[(runs["scheme"] == "V") & (runs["multiplier"] == 16), "test_ne"] -= 0.01  # whatever was measured there
        fits = needed_fits(runs, extrapolates=False)
        for known, multiplier in ((None, 16.0), (3.5, 4.0), (17.0, 16.0)):
            advice = advise(runs, fits, "params=64x", place=Place(own_rows_from=known))
            assert advice.do is not None
            self.assertEqual((advice.do.use.scheme, advice.do.use.multiplier), ("V", multiplier))
            said = "no two ids share a row" in " ".join(advice.changes)
            self.assertEqual(said, known == 3.5)

    def test_more_data_where_data_help(self) -> None:
        scenario = Scenario("data=4x", {}, frozenset(["data"]), multipliers=(4.0,))
        advice = scenario.advice(np.random.default_rng(3))
        assert advice.do is not None and advice.baseline is not None
        self.assertEqual(advice.do.use.levers, {"data"})
        self.assertEqual(advice.do.use.examples, 4 * advice.baseline.examples)
        truth = scenario.ne("D", 1, advice.baseline.examples) - scenario.ne("D", 1, 4 * advice.baseline.examples)
        self.assertBetween(truth, advice.do.low, advice.do.high)

    def test_data_that_no_law_follows_are_not_dropped_silently(self) -> None:
        """The loss falls through the floor at the last data size: more data may be best."""
        scenario = Scenario("compute=8x", {"H": 3.0}, None, seeds=3, multipliers=(4.0,))
        runs = scenario.study(np.random.default_rng(0))
        unknown = "What the baseline would gain from more data is unknown"
        for extra in (0.0, 0.02):
            runs["test_ne"] -= extra * (runs["examples"] == runs["examples"].max())
            fits = needed_fits(runs, extrapolates=True)
            said = " ".join(advise(runs, fits, "compute=8x").changes)
            self.assertEqual(
                f"{unknown}, so it is not among the options. Its law of data: last step missed." in said, extra > 0
            )
            self.assertNotIn(unknown, " ".join(advise(runs, fits, "params=4x").changes))  # which pays for no more

    def test_on_a_loaded_machine_hours_are_not_known_and_nothing_else_changes(self) -> None:
        runs = Scenario("compute=4x", {"V": 30.0}, None, seeds=3, multipliers=(4.0,)).study(np.random.default_rng(0))
        fits = needed_fits(runs, extrapolates=True)
        is_slow = runs["seed"] == 1
        loaded = runs.assign(examples_per_second=runs["examples_per_second"].where(~is_slow, 20_000.0))
        steady, advice = advise(runs, fits, "compute=4x"), advise(loaded, fits, "compute=4x")
        assert steady.do is not None and advice.do is not None and advice.baseline is not None
        self.assertEqual((advice.answer, advice.do.gain), (steady.answer, steady.do.gain))
        self.assertEqual([o.use.examples for o in advice.options], [o.use.examples for o in steady.options])
        self.assertIn("of training on the study's machine", steady.reasons[1])
        self.assertNotIn("study's machine", advice.reasons[1])
        assert advice.now is not None  # with the rows that are known to be there
        self.assertEqual((advice.now.use.scheme, advice.now.use.examples), ("V", LADDER[-1]))
        self.assertStartsWith(advice.decision[1], "With no more rows than the study used: V at 4×")
        self.assertIn("how long it takes is not known: the speeds of trainings on 1,280,000", advice.reasons[1])
        self.assertIn("differ by a factor of 2.5", advice.reasons[1])
        content = json.loads(json.dumps(advice.to_dict(), allow_nan=False))
        self.assertEqual((content["do"]["cost"]["hours"], content["do"]["times_baseline"]["hours"]), (None, None))
        self.assertIn("factor of 2.5", content["no_hours"])
        hours = advise(loaded, fits, "hours=4x")
        self.assertEqual((hours.do, hours.options), (None, ()))
        self.assertIn("Not enough evidence to say where 4 times the hours", hours.answer)
        self.assertIn("differ by a factor of 2.5", hours.why)
        self.assertIsNotNone(advise(runs, fits, "hours=4x").do)

    def test_where_the_rows_of_the_log_are_unknown_what_takes_more_than_were_used_says_so(self) -> None:
        runs = Scenario("compute=4x", {"V": 3.0}, None, seeds=3, multipliers=(4.0,)).study(np.random.default_rng(0))
        fits = needed_fits(runs, extrapolates=True)
        unknown = "if the log has {:,} rows for training"
        for place, is_known in ((None, False), (Place(), False), (Place(training_rows=10**8), True)):
            advice = advise(runs, fits, "compute=4x", place=place)
            assert advice.do is not None
            self.assertGreater(advice.do.use.examples, LADDER[-1])
            self.assertEqual(unknown.format(advice.do.use.examples) in advice.answer, not is_known)
            for option, words in zip(advice.options, advice.details[0].items, strict=False):
                more = option.use.examples > LADDER[-1]
                self.assertEqual(f"{option.use.examples:,} rows of the log" in words, more and not is_known, words)
            nothing = ["With no more rows than the study used nothing is seen to help."]
            self.assertEqual(advice.until_then, [] if is_known else nothing)
        self.assertNotIn("if the log has", str(advise(runs, fits, "params=4x")))

    def test_a_training_that_leaves_rows_out_shows_that_the_log_has_them(self) -> None:
        runs = Scenario("compute=4x", {"V": 3.0}, None, seeds=3, multipliers=(4.0,)).study(np.random.default_rng(0))
        kept = runs[runs["scheme"] == "D"].assign(scheme="P-random", multiplier=1 / 8, trial_id="P")
        kept = kept.assign(trial_id=kept["trial_id"] + kept["seed"].astype("str"))
        both = pd.concat([runs, kept], ignore_index=True)
        advice = advise(both, needed_fits(runs, extrapolates=True), "compute=4x,data=4x")
        self.assertEqual(advice.least_rows, 8 * LADDER[-1])
        self.assertNotIn("if the log has", str(advice))

    def test_advice_needs_of_the_fits_what_the_benchmark_gives(self) -> None:
        scenario = Scenario("params=4x", {"V": 8.0, "H": 4.0}, None, multipliers=(4.0,))
        brief, whole = (scenario.advice(np.random.default_rng(2), whole) for whole in (False, True))
        rate, *others = reversed(whole.changes)
        self.assertIn("The learning rate of", rate)  # of which there is one; the benchmark flags nothing
        self.assertEqual(brief.to_dict(), whole.to_dict() | {"changes": others[::-1]})


class WholeStudyTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.runs = CLEAR.study(np.random.default_rng(0))
        cls.fits = fit_study(cls.runs)

    def advice(self, budget: str) -> Advice:
        return advise(self.runs, self.fits, budget)

    def test_answer_cost_and_gain(self) -> None:
        advice = self.advice("params=4x")
        assert advice.do is not None
        self.assertEqual((advice.verdict, advice.do.use.scheme, advice.do.use.multiplier), ("do", "V", 4.0))
        self.assertBetween(TRUTH_GAIN, advice.do.low, advice.do.high)
        self.assertIn("1,280,000", advice.answer)
        cost = advice.do.use.cost  # of planted_row: 6.4 M embedding and 33,000 other parameters
        self.assertAllClose((cost["params"], cost["compute"]), (6_433_000, 3 * 67_000 * 1_280_000))
        self.assertAllClose(cost["hours"], 1_280_000 / 50_000 / 3600)
        self.assertIn("6,433,000 parameters (3.94×)", " ".join(advice.reasons))
        self.assertEqual({option.use.scheme for option in advice.options}, set("VHOM"))

    def test_gains_are_those_of_the_run_table(self) -> None:
        rows = self.runs[self.runs["examples"] == 1_280_000].set_index(["scheme", "multiplier"])["test_ne"]
        for option in self.advice("params=4x").options:
            self.assertAllClose(option.use.ne, rows[option.use.scheme, 4.0], rtol=1e-12)
            self.assertAllClose(option.gain, rows["D", 1.0] - rows[option.use.scheme, 4.0], rtol=1e-9)

    def test_a_budget_limits_what_is_considered(self) -> None:
        largest = {
            budget: max(option.use.cost["params"] for option in self.advice(budget).options)
            for budget in ("params=1.5x", "params=4x", "compute=10x")
        }
        self.assertLessEqual(largest["params=1.5x"], 1.5 * 1_633_000)
        self.assertGreater(largest["params=4x"], 1.5 * 1_633_000)
        for option in self.advice("compute=3x,data=2x").options:
            self.assertLessEqual(option.use.cost["compute"], 3 * 3 * 67_000 * 1_280_000 * (1 + 1e-6))
            self.assertLessEqual(option.use.examples, 2 * 1_280_000)
        self.assertTrue(all(option.use.examples == 1_280_000 for option in self.advice("params=4x").options))
        with self.assertRaisesRegex(InputError, "compute=10x would be"):
            self.advice("compute=10")

    def test_the_same_question_has_the_same_answer_and_json_holds_it(self) -> None:
        one, two = (json.dumps(self.advice("compute=10x").to_dict(), allow_nan=False) for _ in range(2))
        self.assertEqual(one, two)
        content = json.loads(one)
        self.assertEqual(content["verdict"], "do")
        self.assertIn("V", content["do"]["levers"])
        self.assertEqual(content["baseline"]["times_baseline"]["compute"], 1)
        self.assertEqual(content["answer"], self.advice("compute=10x").answer)

    def test_proposed_runs_are_a_config(self) -> None:
        scenario = Scenario("params=4x", {"V": 20.0, "H": 22.5}, None, multipliers=(1 / 4, 4.0))
        advice = scenario.advice(np.random.default_rng(4))
        self.assertEqual({option.use.scheme for option in advice.options if option.beats_baseline}, {"V", "H"})
        assert advice.do is not None and advice.settle is not None
        self.assertEqual(advice.do.use.scheme, "V")  # the cheaper of two that are not distinguishable
        self.assertIn("H at 4× may gain", advice.changes[0])
        config = read_config(CONFIGS / "study.yaml", advice.settle.overrides)
        self.assertEqual((config.sweep.V, config.sweep.H, config.sweep.O, config.sweep.M), ((4,), (4,), (), ()))
        self.assertEqual(config.sweep.seeds[:2], (0, 1))
        settle = self.advice("compute=10x").settle
        assert settle is not None
        self.assertEqual(read_config(CONFIGS / "study.yaml", settle.overrides).sweep.V, (4, 16))

    def test_what_is_left_of_the_budget_is_said(self) -> None:
        self.assertIn("67% of the training FLOPs", self.advice("compute=3x,data=2x").why)
        self.assertNotIn("It uses", self.advice("params=4x").why)

    def test_command_line(self) -> None:
        folder = Path(self.get_temp_dir()) / "study"
        folder.mkdir()

        def said(*arguments: str) -> tuple[int, str]:
            result = CliRunner().invoke(main, ["advise", str(folder), *arguments])
            return result.exit_code, result.output

        code, output = said("--budget", "compute=10x")
        self.assertEqual((code, "has no runs.csv" in output), (1, True))
        write_runs(self.runs, folder / "runs.csv")
        code, output = said("--budget", "compute=10x")
        self.assertEqual((code, "tfrs-scaling fit" in output), (1, True))
        self.fits.write(folder / "fits.json")
        code, output = said("--budget", "params=4x")
        self.assertEqual((code, output.splitlines()[0]), (0, self.advice("params=4x").answer))
        code, output = said("--budget", "params=4x", "--json")
        self.assertEqual((code, json.loads(output)["verdict"]), (0, "do"))
        code, output = said("--budget", "compte=4x")
        self.assertEqual((code, "did you mean 'compute'" in output), (1, True))
        code, output = said()
        self.assertEqual(code, 0)
        for budget, words in BUDGETS.items():
            self.assertIn(f"{words}:\n{self.advice(budget).answer}\n", output)
        code, output = said("--json")
        self.assertEqual([answer["budget"] for answer in json.loads(output)], list(BUDGETS))


class PartialStudyTest(tf.test.TestCase):
    """Whatever is missing, there is an answer, and it says what is missing."""

    def asked(self, runs: pd.DataFrame) -> list[Advice]:
        fits = fit_study(runs)
        found = [advise(runs, fits, text) for text in ("compute=10x", "data=2x", "params=4x")]
        for advice in found:
            json.dumps(advice.to_dict(), allow_nan=False)
            self.assertGreater(len(advice.lines()), 1)
        return found

    def study(self) -> pd.DataFrame:
        return Scenario("params=4x", {"V": 40.0}, None, multipliers=(4.0,)).study(np.random.default_rng(0))

    def test_half_failed(self) -> None:
        runs = self.study()
        dead = runs["scheme"].isin(["H", "M"])
        runs.loc[dead, ["status", "reason"]] = ["failed", "out of memory"]
        runs.loc[dead, "test_ne"] = math.nan
        for advice in self.asked(runs):
            self.assertTrue(any("2 trials" in change for change in advice.changes))
        self.assertEqual(advice.verdict, "do")

    def test_no_baseline_and_nothing_at_all(self) -> None:
        runs = self.study()
        for some in (runs[runs["scheme"] != "D"], runs.assign(status="failed", reason="x")):
            for advice in self.asked(some.reset_index(drop=True)):
                self.assertEqual((advice.verdict, advice.baseline), ("not enough evidence", None))
                self.assertIn("no measured baseline", advice.why)

    def test_one_rung(self) -> None:
        runs = self.study()
        for advice in self.asked(runs[runs["examples"] == runs["examples"].max()].reset_index(drop=True)):
            self.assertEqual(advice.verdict, "not enough evidence")
            assert advice.settle is not None
            self.assertIn("unknown", advice.why)
            self.assertIn("sweep.seeds=[0, 1, 2]", advice.settle.overrides)

    def test_baseline_alone(self) -> None:
        runs = self.study()
        compute, _, params = self.asked(runs[runs["scheme"] == "D"].reset_index(drop=True))
        self.assertIn("no shape was measured", params.why)
        self.assertEqual(compute.options[0].use.levers, {"data"})

    def test_every_axis_and_another_architecture(self) -> None:
        rng, rows = np.random.default_rng(0), []
        shapes = [("D", 1.0, 16, "dot"), ("D", 1.0, 16, "cross"), ("V", 4.0, 16, "dot"), ("E", 2.0, 16, "dot")]
        shapes += [("VH", 4.0, 32, "dot"), ("N", 0.25, 16, "dot"), ("F", 0.5, 16, "dot"), ("V", 4.0, 16, "cross")]
        for scheme, multiplier, dim, architecture in shapes:
            for examples in (1000, 2000, 4000, 8000, 16000, 32000):
                ne = 0.8 + 0.1 * (examples / 1000) ** -0.5 - 0.02 * (architecture == "cross") + rng.normal(0, 2e-4)
                own = {"architecture": architecture, "embedding_dim": dim}
                own["trial_id"] = f"{architecture}-{scheme}-{multiplier:g}-{dim}"
                rows.append(planted_row(scheme, multiplier, 0, 0.02, examples, ne) | own)
        advice = self.asked(pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS))[2]
        assert advice.do is not None
        self.assertEqual(advice.do.use.levers, {"architecture"})
        self.assertEqual((advice.do.use.architecture, advice.do.use.examples), ("cross", 32_000))
        levers = {"".join(sorted(option.use.levers)) for option in advice.options}
        self.assertContainsSubset({"architecture", "V", "E", "HV"}, levers)


if __name__ == "__main__":
    tf.test.main()
