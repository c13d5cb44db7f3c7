"""Tests of the zones over parameters × data on planted surfaces."""

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.noise import ladders_of, noise
from tests.helpers.paper_grid import DATA, NOISE, SMALLEST, Grid, draw_signs, noisy, study, zone_study
from tests.helpers.planted import LADDER, planted_study
from tfrs_scaling.fit.analyses.zones import Zones, scheme_zones
from tfrs_scaling.fit.runs.screening import usable_runs

OUTCOME = {1: ">", -1: "<", 0: "≈"}


def table_of(records: list[Zones]) -> dict[tuple[str, str, str], str]:
    """The outcome of each quarter of each pair."""
    return {
        (record.first + record.second, quarter.parameters, quarter.data): quarter.outcome
        for record in records
        for quarter in record.table
    }


class ZonesTest(tf.test.TestCase):
    """Cells and the table."""

    def test_planted_tables_are_recovered_cell_by_cell(self) -> None:
        grid = study(Grid(), 0, noise=0.0)
        for seed in range(10):
            signs = draw_signs(np.random.default_rng(seed))
            ladders = ladders_of(noisy(zone_study(grid, signs), seed), noise(NOISE, 200), seed=seed)
            planted = {quarter: OUTCOME[sign] for quarter, sign in signs.items()}
            self.assertEqual(table_of(scheme_zones(ladders)), planted)

    def test_differences_are_those_planted(self) -> None:
        signs = dict.fromkeys(draw_signs(np.random.default_rng(0)), 1)
        runs = zone_study(study(Grid(), 0, noise=0.0), signs, difference=0.01)
        for record in scheme_zones(ladders_of(noisy(runs, 0, noise=1e-6))):
            self.assertLen(record.cells, 8 * len(DATA))
            for quarter in record.table:
                self.assertAllClose(quarter.difference, -0.01, rtol=0.03)
                self.assertEqual(sum(quarter.cells.values()), 4 * (6 if quarter.data == "high" else 5))
            nearest, farthest = (record.cells[place].difference for place in (4, 7))
            self.assertAllClose(farthest, -0.01 / 0.625, rtol=0.01)  # at measured multipliers
            self.assertAllClose(nearest, -0.01 / 0.625 / 4, rtol=0.15)  # between them, next to the bend at the baseline

    def test_equal_schemes_are_told_apart_as_rarely_as_stated(self) -> None:
        runs = study(Grid(), 0, noise=0.0)
        runs = runs.assign(test_ne=SMALLEST + 0.05 * (runs["examples"] / DATA[0]) ** -0.1)
        cells, quarters = 0, 0
        for seed in range(20):
            records = scheme_zones(ladders_of(noisy(runs, seed), seed=seed), margin=0.0)
            for record in records:
                cells += any(cell.outcome != "≈" for cell in record.cells)
                quarters += any(quarter.outcome != "≈" for quarter in record.table)
        self.assertLessEqual(cells, 6)  # 5 % of 40 pairs, plus three standard errors
        self.assertLessEqual(quarters, 6)

    def test_the_margin_is_what_counts(self) -> None:
        signs = dict.fromkeys(draw_signs(np.random.default_rng(0)), 1)
        runs = noisy(zone_study(study(Grid(), 0, noise=0.0), signs, difference=0.004), 0, noise=1e-5)
        ladders = ladders_of(runs)
        self.assertEqual(set(table_of(scheme_zones(ladders)).values()), {">"})
        wide = scheme_zones(ladders, margin=0.01)
        self.assertEqual(set(table_of(wide).values()), {"≈"})
        self.assertEqual({quarter.why for quarter in wide[0].table}, {"the difference lies within the margin"})
        with self.assertRaisesRegex(ValueError, "margin is -1"):
            scheme_zones(ladders, margin=-1)

    def test_parameters_are_those_that_both_were_measured_at(self) -> None:
        runs = usable_runs(planted_study())
        of_all, outside = scheme_zones(ladders_of(runs))
        budgets = sorted({cell.parameters for cell in of_all.cells})
        self.assertAllClose(budgets[0], 1_600_000 / 16 + 33_000)
        self.assertAllClose(budgets[-1], 1_600_000 * 16 + 33_000)
        self.assertAllClose(budgets[3] / budgets[2], budgets[2] / budgets[1], rtol=1e-9)
        # the over-arch at 1/16 leaves 14,250, all MLPs at 1/16 fewer; of the largest M has more
        budgets = sorted({cell.parameters for cell in outside.cells})
        self.assertAllClose([budgets[0], budgets[-1]], [13_000 + 20_000 / 16, 13_000 + 320_000])
        # V's alpha falls by multiplier**-0.3 and H's by **-0.1: V is worse below the baseline and better above
        table = table_of([of_all])
        self.assertEqual([table["VH", p, d] for p in ("low", "high") for d in ("low", "high")], ["<", "<", ">", ">"])

    def test_partial_studies_have_fewer_cells(self) -> None:
        runs = usable_runs(planted_study())
        whole = scheme_zones(ladders_of(runs))
        late = ~((runs["scheme"] == "H") & (runs["examples"] > LADDER[1]))
        short = scheme_zones(ladders_of(runs[late]))
        self.assertEqual({cell.examples for cell in short[0].cells}, set(LADDER[:2]))
        self.assertLen(short[1].cells, len(whole[1].cells))
        self.assertEqual([z.first for z in scheme_zones(ladders_of(runs[runs["scheme"] != "H"]))], ["O"])
        up = scheme_zones(ladders_of(runs[runs["multiplier"] >= 1]))
        self.assertEqual({quarter.parameters for quarter in up[0].table}, {"high"})
        self.assertEqual(scheme_zones(ladders_of(runs.head(0))), [])

    def test_without_a_known_noise_nothing_is_told(self) -> None:
        runs = usable_runs(planted_study())
        records = scheme_zones(ladders_of(runs[runs["examples"] <= LADDER[2]]))
        for record in records:
            self.assertEqual({cell.outcome for cell in record.cells}, {"≈"})
            self.assertEqual({(cell.low, cell.high) for cell in record.cells}, {(None, None)})
            for quarter in record.table:
                self.assertIn("the noise is unknown", quarter.why)

    def test_a_quarter_with_cells_of_both_outcomes_is_no_verdict(self) -> None:
        runs = pd.DataFrame(usable_runs(planted_study(noise=1e-5)))
        # H is far better at the largest multiplier and worse at the others above the baseline
        large = (runs["scheme"] == "H") & (runs["multiplier"] == 16)
        small = (runs["scheme"] == "H") & (runs["multiplier"] == 4)
        runs.loc[large, "test_ne"] -= 0.2
        runs.loc[small, "test_ne"] += 0.05
        table = {(q.parameters, q.data): q for q in scheme_zones(ladders_of(runs))[0].table}
        quarter = table["high", "high"]
        self.assertEqual(quarter.outcome, "≈")
        self.assertIn("each of the two is better", quarter.why)
        self.assertGreater(quarter.cells[">"], 0)
        self.assertGreater(quarter.cells["<"], 0)


if __name__ == "__main__":
    tf.test.main()
