"""Tests of what can be saved: planted truths, the interval's promise, and what is missing."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from click.testing import CliRunner

from tests.helpers.levers import DOUBLING, LADDER, LOSES_THE_MARGIN, Scenario, savings_fits, savings_said
from tests.helpers.planted import planted_row
from tfrs_scaling.cli.main import main
from tfrs_scaling.fit.advice.savings import Savings, savings
from tfrs_scaling.fit.runs.run_table import COLUMNS, write_runs
from tfrs_scaling.fit.study import StudyFits, fit_study


def saved_of(runs: pd.DataFrame, price: float | None = None) -> Savings:
    found = savings(runs, savings_fits(runs), price=price)
    assert found is not None
    return found


class SavingsTest(tf.test.TestCase):
    def test_the_cheapest_of_what_loses_nothing_with_its_costs(self) -> None:
        scenario = Scenario("params=4x", {"V": 30.0, "H": 30.0}, None, seeds=3)  # the widths do nothing
        runs = scenario.study(np.random.default_rng(0))
        saved = saved_of(runs, price=2.5)
        top = runs[runs["examples"] == LADDER[-1]].groupby(["scheme", "multiplier"]).mean(numeric_only=True)
        own, baseline = top.loc[("M", 1 / 16)], top.loc[("D", 1.0)]
        self.assertEqual((saved.verdict, saved.use.scheme, saved.use.multiplier), ("save", "M", 1 / 16))
        self.assertAllClose(saved.change, own["test_ne"] - baseline["test_ne"], rtol=1e-9)
        self.assertAllClose(saved.margin, DOUBLING, rtol=0.1)
        self.assertTrue(saved.low < 0 < saved.high)
        self.assertLess(saved.high, saved.margin)
        self.assertEqual(saved.cheaper, 8)
        self.assertAllClose(saved.share_of_compute, own["flops_train"] / baseline["flops_train"])
        self.assertAllClose(saved.share_of_parameters, own["params_total"] / baseline["params_total"])
        self.assertAllClose(saved.baseline_cost, 2.5 * LADDER[-1] / 50_000 / 3600)
        self.assertEqual([least.resource for least in saved.least], ["compute"])  # tables hold nearly all parameters
        self.assertIn("Nothing that can stand in saves time", "\n".join(saved.lines()))
        fast = runs.assign(examples_per_second=np.where(runs["scheme"] == "O", 80_000, runs["examples_per_second"]))
        time = saved_of(fast).least[-1]
        self.assertEqual((time.resource, time.use.scheme, round(time.share, 3)), ("hours", "O", 0.625))
        self.assertEqual(saved_of(fast).use.scheme, "M")
        content = json.loads(json.dumps(saved.to_dict(), allow_nan=False))
        self.assertEqual(content["answer"], saved.lines()[0])

    def test_what_can_stand_in_loses_less_than_twice_the_data_bring_and_says_how_much(self) -> None:
        """Noise alone decides: the smaller widths lose nothing, and every verdict holds by its own numbers."""
        said = set()
        for offset in (1e-3, 4e-3, 1e-2):
            scenario = Scenario("params=4x", {"V": 30.0, "H": 30.0}, None, offset=offset, seeds=3)
            saved = saved_of(scenario.study(np.random.default_rng(3)))
            said.add(saved.verdict)
            self.assertAllClose(saved.margin, DOUBLING, rtol=0.3)
            self.assertEqual(saved.verdict == "save", saved.high <= saved.margin, saved.answer)
            worst = f"at most {max(saved.high, 0.0):.4f} NE ({max(saved.high, 0.0) / saved.baseline.ne:.2%})"
            self.assertIn(worst, saved.answer)
            for least in saved.least:
                self.assertLessEqual(least.high, saved.margin)
        self.assertEqual(said, {"save", "cannot tell"})

    def test_on_a_loaded_machine_no_time_and_no_price(self) -> None:
        runs = Scenario("params=4x", {"V": 30.0, "H": 30.0}, None, seeds=3).study(np.random.default_rng(0))
        first = runs["seed"] == 0
        loaded = runs.assign(examples_per_second=np.where(runs["scheme"] == "O", 80_000, 50_000) / (1 + first))
        saved, steady = saved_of(loaded, price=2.5), saved_of(runs, price=2.5)
        self.assertEqual((saved.answer, saved.verdict), (steady.answer, "save"))
        self.assertEqual((saved.cost, saved.baseline_cost), (None, None))
        self.assertEqual([least.resource for least in saved.least], ["compute"])
        said = "\n".join(saved.lines())
        self.assertIn("how long, and at what price, is not known: the speeds of trainings", said)
        self.assertNotIn("saves time", said)
        content = json.loads(json.dumps(saved.to_dict(), allow_nan=False))
        self.assertEqual((content["share_of_hours"], content["cost"]["hours"]), (None, None))

    def test_a_loss_as_large_as_the_margin_is_hardly_ever_called_none(self) -> None:
        said = savings_said(LOSES_THE_MARGIN, 12, seed=0)
        self.assertLessEqual(said["save"], 2)  # of 12; one side of 95 % is 0.3, and 0.3 % have more

    def test_not_distinguishable_is_not_equal(self) -> None:
        runs = Scenario("params=4x", {"V": 9.0}, None, offset=2e-2, seeds=3).study(np.random.default_rng(1))
        saved = saved_of(runs)
        self.assertEqual(saved.verdict, "cannot tell")
        self.assertLess(saved.low, 0)
        self.assertGreater(saved.high, saved.margin)
        self.assertIn(f"may be higher by at most {saved.high:.4f} NE", saved.answer)
        self.assertTrue(saved.seeds is None or saved.seeds > 3)

    def test_nothing_where_everything_smaller_is_worse(self) -> None:
        every = dict.fromkeys("VHOM", 40.0) | {"O": 20.0}
        saved = saved_of(Scenario("params=4x", every, None, seeds=3).study(np.random.default_rng(2)))
        self.assertEqual((saved.verdict, saved.use.scheme, saved.use.multiplier), ("nothing", "O", 1 / 4))
        self.assertIn("each of 8 cheaper shapes", saved.answer)

    def test_what_is_missing(self) -> None:
        runs = Scenario("params=4x", {"V": 9.0}, None).study(np.random.default_rng(3))
        short = runs[runs["examples"] >= LADDER[-3]]  # one seed and three sizes: the noise is unknown
        saved = saved_of(short)
        self.assertEqual((saved.verdict, saved.seeds), ("cannot tell", None))
        self.assertIn("the noise of one training is unknown", saved.answer)
        json.dumps(saved.to_dict(), allow_nan=False)
        for rows in (runs[runs["scheme"] != "D"], runs[runs["multiplier"] >= 1], runs.assign(flops_train=np.nan)):
            self.assertIsNone(savings(rows, savings_fits(runs)))

    def test_a_cheaper_architecture(self) -> None:
        rng = np.random.default_rng(4)
        rows = []
        for architecture, outside in (("dot", 33_000), ("linear", 1_000)):
            for scheme, multiplier in (("D", 1.0), ("V", 4.0)) if architecture == "dot" else (("D", 1.0),):
                for seed, examples in ((seed, examples) for seed in range(3) for examples in LADDER):
                    ne = 0.78 + 0.2 * (examples / LADDER[0]) ** -0.3 + rng.normal(0, 5e-4)
                    row = planted_row(scheme, multiplier, seed, 0.02, examples, ne)
                    row |= {"architecture": architecture, "trial_id": f"{architecture}-{multiplier:g}-{seed}"}
                    if outside < 33_000:
                        row |= {"params_total": 1_601_000, "flops_train": 6_000, "compute": 6_000.0 * examples}
                    rows.append(row)
        runs = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
        saved = savings(runs, fit_study(runs))
        assert saved is not None
        self.assertEqual((saved.verdict, saved.use.architecture), ("save", "linear"))
        self.assertIn("The architecture linear can stand in for the baseline", saved.answer)

    def test_command_line(self) -> None:
        folder = Path(self.get_temp_dir()) / "study"
        folder.mkdir()
        runs = Scenario("params=4x", {"V": 30.0}, None, multipliers=(1 / 4, 4.0)).study(np.random.default_rng(5))
        write_runs(runs, folder / "runs.csv")
        savings_fits(runs).write(folder / "fits.json")

        def said(*arguments: str) -> tuple[int, str]:
            result = CliRunner().invoke(main, ["advise", str(folder), *arguments])
            return result.exit_code, result.output

        expected = savings(runs, StudyFits.read(folder / "fits.json"), price=3.0)
        self.assertEqual(said("--save", "--price", "3"), (0, f"{expected}\n"))
        code, output = said("--save", "--json")
        self.assertEqual((code, json.loads(output)["verdict"]), (0, "save"))
        self.assertEqual([said(*wrong)[0] for wrong in (("--save", "--budget", "data=2x"), ("--price", "3"))], [2, 2])


if __name__ == "__main__":
    tf.test.main()
