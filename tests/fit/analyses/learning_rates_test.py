import math

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.planted import LADDER, planted_row
from tfrs_scaling.fit.analyses.learning_rates import LearningRates, learning_rates
from tfrs_scaling.fit.runs.run_table import COLUMNS

RATES = tuple(0.01 * 2**k for k in range(5))
CURVATURE = 0.01  # of NE in ln(rate)


def best_rate(examples: float) -> float:
    """That falls as the rows grow: 0.16 at the first rung, 0.02 at the last."""
    return 0.16 * (examples / LADDER[0]) ** (-math.log(8) / math.log(LADDER[-1] / LADDER[0]))


def law(examples: float) -> float:
    return 0.75 + 0.15 * (examples / LADDER[0]) ** -0.3


def study(rates: tuple[float, ...] = RATES, noise: float = 0.0, seeds: int = 1) -> pd.DataFrame:
    """Its first seed at all rates, others at 0.02, the best of the top rung."""
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        for rate in rates if seed == 0 else (0.02,):
            for examples in LADDER:
                ne = law(examples) + CURVATURE * math.log(rate / best_rate(examples)) ** 2
                row = planted_row("D", 1.0, seed, rate, examples, ne + rng.normal(0, noise))
                rows.append(row | {"trial_id": f"D-{rate:g}-{seed}", "validation_ne": ne + rng.normal(0, noise)})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


class LearningRatesTest(tf.test.TestCase):
    def only(self, runs: pd.DataFrame) -> LearningRates:
        (record,) = learning_rates(runs)
        return record

    def test_best_rate_of_each_data_size_gives_the_law_back_and_one_rate_bends_it(self) -> None:
        record = self.only(study(seeds=3))
        assert record.own_law is not None and record.best_law is not None
        assert record.own_law.beta is not None and record.best_law.beta is not None
        self.assertEqual((record.seed, record.learning_rate, record.tried), (0, 0.02, RATES))
        rungs = {rung.examples: rung for rung in record.rungs}
        self.assertEqual(set(rungs), set(LADDER))
        for examples, rung in rungs.items():
            nearest = min(RATES, key=lambda rate: abs(math.log(rate / best_rate(examples))))
            self.assertEqual(rung.learning_rate, nearest)
            by_hand = math.log(nearest / best_rate(examples)) ** 2 - math.log(0.02 / best_rate(examples)) ** 2
            self.assertAllClose(rung.change, CURVATURE * by_hand)
        self.assertNear(record.best_law.beta, 0.3, 0.01)
        self.assertGreater(record.own_law.beta, 0.32)  # its small rungs are worse than they could be
        self.assertStartsWith(
            record.words, "D 1×: with the best rate of each data size, NE at 10k examples changes by −"
        )

    def test_parabola_finds_the_best_rate_between_those_tried_and_what_a_factor_of_2_costs(self) -> None:
        record = self.only(study(tuple(0.011 * 2**k for k in range(3))))
        assert record.best is not None and record.factor_of_2 is not None
        self.assertEqual(record.at, LADDER[-1])
        self.assertNear(record.best, best_rate(LADDER[-1]), 1e-6)
        self.assertNear(record.factor_of_2, CURVATURE * math.log(2) ** 2, 1e-9)

    def test_least_at_an_end_or_two_rates_have_no_parabola(self) -> None:
        for rates in ((0.04, 0.08, 0.16), (0.02, 0.04)):
            record = self.only(study(rates))
            self.assertIsNone(record.best)
            self.assertIsNone(record.factor_of_2)

    def test_rates_stopped_early_count_where_they_were_measured(self) -> None:
        runs = study((0.02, 0.04, 0.08))
        stopped = (runs["learning_rate"] != 0.02) & (runs["examples"] > LADDER[3])
        record = self.only(runs[~stopped])
        self.assertEqual(record.at, LADDER[3])
        self.assertEqual([rung.examples for rung in record.rungs], list(LADDER[:4]))

    def test_one_rate_has_nothing_to_say(self) -> None:
        self.assertEqual(learning_rates(study((0.02,), seeds=3)), [])


if __name__ == "__main__":
    tf.test.main()
