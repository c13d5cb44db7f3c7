"""Tests of rows chosen from a longer log: planted laws that cross."""

from itertools import product

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.noise import ladders_of
from tests.helpers.planted import LADDER, planted_row
from tfrs_scaling.fit.analyses.pruning import rank_prunings
from tfrs_scaling.fit.report.sections.evidence import evidence
from tfrs_scaling.fit.report.sections.section import drawings_of
from tfrs_scaling.fit.report.tables.study_tables import study_tables
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.runs.run_table import COLUMNS
from tfrs_scaling.fit.study import StudyFits, fit_study

BETAS = {"D": 0.3, "P-random": 0.3, "P-hard": 0.4, "P-easy": 0.22}


def planted_runs(schemes: tuple[str, ...], share: float = 0.5) -> pd.DataFrame:
    """Three seeds of each scheme, of which NE = 0.7 + 0.2 (D / D0)**-beta, D0 in the middle of the ladder."""
    rng = np.random.default_rng(5)
    middle = float(np.sqrt(LADDER[0] * LADDER[-1]))
    rows = []
    for scheme, seed, examples in product(schemes, range(3), LADDER):
        ne = 0.7 + 0.2 * (examples / middle) ** -BETAS[scheme] + rng.normal(0, 3e-4)
        row = planted_row(scheme, 1.0 if scheme == "D" else share, seed, 0.04, examples, ne)
        rows.append(row | {"trial_id": f"{scheme}-{seed}"})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


class PruningTest(tf.test.TestCase):
    def test_hard_rows_of_a_steeper_law_overtake_in_the_middle(self) -> None:
        runs = planted_runs(("D", "P-hard", "P-easy", "P-random"))
        fits = fit_study(runs)
        [ranking] = fits.prunings
        self.assertEqual((ranking.architecture, ranking.share), ("dot", 0.5))
        laws = {law.second: law for law in ranking.laws}
        self.assertEqual({(law.first, law.verdict) for law in ranking.laws}, {("random", "other exponent")})
        self.assertAllClose(laws["hard"].beta_difference, 0.3 - 0.4, atol=0.02)
        self.assertAllClose(laws["easy"].beta_difference, 0.3 - 0.22, atol=0.02)
        self.assertEqual([s.best for s in ranking.stretches if len(s.best) == 1], [("easy",), ("hard",)])
        middle = float(np.sqrt(LADDER[0] * LADDER[-1]))
        self.assertBetween(middle, ranking.stretches[0].high / 2, ranking.stretches[-1].low * 2)
        outcomes = {effect.scheme: effect.outcome for effect in fits.effects}
        self.assertEqual(outcomes, {"P-hard": "lower", "P-easy": "higher", "P-random": "≈"})
        path = f"{self.get_temp_dir()}/fits.json"
        fits.write(path)
        self.assertEqual(StudyFits.read(path).prunings, fits.prunings)
        [section] = evidence(study_view(runs, fits))
        [words] = [words for words in section.words if words.startswith("Pruning")]
        self.assertIn("Pruning to 1/2 of a longer log, at equal examples: easy best below", words)
        self.assertIn("hard against random: other exponent", words)
        [legend] = drawings_of([section])["figure-pruning-1_2"].legend
        self.assertEqual([item.label.value for item in legend.items], ["random", "easy", "hard"])
        self.assertLen(study_tables(fits)["prunings"].records, 2)

    def test_baseline_stands_in_for_rows_at_random(self) -> None:
        runs = planted_runs(("D", "P-hard"), 0.25)
        [ranking] = rank_prunings([ladders_of(runs)], [])
        [law] = ranking.laws
        self.assertEqual((law.first, law.second, law.verdict), ("all rows", "hard", "cannot tell"))
        self.assertTrue(ranking.words.startswith("all rows best below"), ranking.words)
        self.assertEqual(rank_prunings([ladders_of(runs[runs["scheme"] == "D"])], []), [])

    def test_one_way_alone_is_compared_with_nothing(self) -> None:
        [ranking] = rank_prunings([ladders_of(planted_runs(("D", "P-random")))], [])
        self.assertEqual((ranking.laws, ranking.stretches), ((), ()))
        self.assertEqual(ranking.words, "there are not two ways with data sizes in common")


if __name__ == "__main__":
    tf.test.main()
