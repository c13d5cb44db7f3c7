"""Tests of architectures that A scaled: planted laws whose constants or exponents differ."""

from itertools import product

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.noise import ladders_of
from tests.helpers.planted import LADDER, planted_row
from tfrs_scaling.fit.analyses.architecture_ranking import ArchitectureRanking, dense_schemes, rank_architectures
from tfrs_scaling.fit.analyses.architectures import ArchitectureComparison, architectures
from tfrs_scaling.fit.analyses.lines import frontier_law, points, with_plateau
from tfrs_scaling.fit.analyses.noise.ladders import resample_ladders
from tfrs_scaling.fit.analyses.noise.training_noise import training_noise, with_weights
from tfrs_scaling.fit.runs.run_table import COLUMNS

NOISE = 3e-4


def planted_runs(architecture: str, *, constant: float = 0.2, beta: float = 0.3, scheme: str = "A") -> pd.DataFrame:
    """Three seeds of an architecture of which NE = 0.7 + constant (D / D0)**-beta + 0.02 / multiplier, D0 in the middle
    of the ladder (on the logarithm)."""
    rng = np.random.default_rng([len(architecture), int(1e4 * (constant + beta))])
    middle = float(np.sqrt(LADDER[0] * LADDER[-1]))
    rows = []
    for multiplier, seed, examples in product((1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0), range(3), LADDER):
        ne = 0.7 + constant * (examples / middle) ** -beta + 0.02 / multiplier + rng.normal(0, NOISE)
        own = "D" if multiplier == 1 else scheme
        row = planted_row("M" if multiplier != 1 else "D", multiplier, seed, 0.04, examples, ne)
        trial = f"{own}-{multiplier:g}-{architecture}-{seed}"
        rows.append(row | {"scheme": own, "architecture": architecture, "trial_id": trial})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def comparison(
    first: pd.DataFrame, second: pd.DataFrame, x: str
) -> tuple[ArchitectureComparison, dict[str, ArchitectureRanking]]:
    """Two architectures' frontiers along one axis, and their ranking along each."""
    runs = pd.concat([first, second], ignore_index=True)
    noises = training_noise(runs)
    ladders = [resample_ladders(runs, noise) for noise in noises]
    chosen = with_weights(with_plateau(runs), noises)
    planes = {(noise.architecture, "A"): points(chosen, noise.architecture, "A") for noise in noises}
    laws = {name: frontier_law(rows, x) for (name, _), rows in planes.items()}
    [record] = architectures(laws, noises[0].architecture, x=x, line="frontier")
    return record, {ranking.x: ranking for ranking in rank_architectures(ladders)}


def three_architectures() -> pd.DataFrame:
    """Dot scaled by M, Wukong by A, and the baseline of a linear model."""
    linear = planted_runs("linear")
    parts = [planted_runs("dot", scheme="M"), planted_runs("wukong"), linear[linear["scheme"] == "D"]]
    return pd.concat(parts, ignore_index=True)


class ArchitectureRankingTest(tf.test.TestCase):
    def test_other_constant_same_exponent(self) -> None:
        record, ranking = comparison(planted_runs("dot"), planted_runs("wukong", constant=0.17), "data")
        self.assertEqual((record.x, record.first, record.second, record.verdict), ("data", "dot", "wukong", "shifted"))
        # 0.17 (D / D0)**-0.3 is 0.2 ((D / needs) / D0)**-0.3
        self.assertAllClose(record.data_ratio, (0.17 / 0.2) ** (1 / 0.3), rtol=0.02)
        self.assertEqual(ranking["data"].words, "wukong best throughout")
        self.assertEqual({best for s in ranking["compute"].stretches for best in s.best}, {"wukong"})
        self.assertEqual(ranking["parameters"].words, "wukong best throughout")
        self.assertEqual(ranking["data"].schemes, {"dot": "A", "wukong": "A"})

    def test_other_exponent_overtakes_in_the_middle(self) -> None:
        record, ranking = comparison(planted_runs("dot"), planted_runs("wukong", beta=0.4), "data")
        self.assertEqual(record.verdict, "other exponent")
        self.assertAllClose(record.beta_difference, 0.3 - 0.4, atol=0.01)
        along = ranking["data"]
        self.assertEqual([s.best for s in along.stretches if len(s.best) == 1], [("dot",), ("wukong",)])
        first, *_, last = along.stretches
        middle = float(np.sqrt(LADDER[0] * LADDER[-1]))
        self.assertBetween(middle, first.high / 2, last.low * 2)
        self.assertTrue(along.words.startswith("dot best below"), along.words)

    def test_widths_of_mlps_stand_in_for_a_and_a_baseline_has_no_curve_of_parameters(self) -> None:
        runs = three_architectures()
        ladders = [ladders_of(runs, architecture=name) for name in ("dot", "linear", "wukong")]
        self.assertEqual(dense_schemes(ladders), {"dot": "M", "linear": "D", "wukong": "A"})
        ranking = {r.x: r for r in rank_architectures(ladders)}
        self.assertEqual(set(ranking["parameters"].schemes), {"dot", "wukong"})
        self.assertEqual(set(ranking["data"].schemes), {"dot", "linear", "wukong"})
        unscaled = [own for own in ladders if own.noise.architecture != "wukong"]
        self.assertEqual(rank_architectures(unscaled), [])


if __name__ == "__main__":
    tf.test.main()
