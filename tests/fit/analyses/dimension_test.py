"""Tests of best dimension and knee on planted curves."""

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.noise import ladders_of, noise
from tests.helpers.planted import planted_row
from tfrs_scaling.fit.analyses.dimension import dimension
from tfrs_scaling.fit.runs.run_table import COLUMNS

DIMS = (8, 16, 32, 64, 128, 256)
LADDER = (1000, 2000, 4000, 8000, 16000, 32000)
# at the largest data size; the knee is the first within 0.0008 of the least
PLANTED = {1.0: (0.830, 0.815, 0.806, 0.8004, 0.8000, 0.8001), 4.0: (0.79, 0.77, 0.76, 0.753, 0.7500, 0.7530)}


def study(
    rng: np.random.Generator, sd: float, seeds: int = 2, multipliers: tuple[float, ...] = (1.0, 4.0)
) -> pd.DataFrame:
    """Schemes D (dimension 64), V, H and VH."""
    rows = []
    for multiplier in multipliers:
        for dim, last in zip(DIMS, PLANTED[multiplier], strict=True):
            scheme = {(True, True): "D", (True, False): "H", (False, True): "V"}.get((multiplier == 1, dim == 64), "VH")
            for seed in range(seeds):
                for examples in LADDER:
                    ne = last + 0.1 * (examples / 1000) ** -0.5 - 0.1 * (LADDER[-1] / 1000) ** -0.5
                    of = dim / 64 if scheme == "H" else multiplier
                    row = planted_row(scheme, of, seed, 0.02, examples, ne + rng.normal(0, sd))
                    name = f"{scheme}-{multiplier:g}-{dim}-{seed}"
                    rows.append(row | {"embedding_dim": dim, "trial_id": name})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


class DimensionTest(tf.test.TestCase):
    def test_planted_knee_and_best_from_all_four_schemes(self) -> None:
        rows = study(np.random.default_rng(0), 5e-5)
        one, four = dimension(ladders_of(rows))
        self.assertEqual([one.multiplier, four.multiplier], [1.0, 4.0])
        for record in (one, four):
            self.assertEqual((record.dims, record.examples), (DIMS, 32000))
            self.assertAllClose(record.ne, PLANTED[record.multiplier], atol=3e-4)
        self.assertEqual((one.knee, one.knee_low, one.knee_high), (64, 64, 64))
        self.assertIn(one.best, (128, 256))  # 0.0001 apart
        self.assertIn(one.best_high, (128, 256))
        self.assertEqual((four.best, four.best_low, four.best_high), (128, 128, 128))
        self.assertEqual(four.knee, 128)

    def test_margin_moves_the_knee(self) -> None:
        rows = study(np.random.default_rng(0), 1e-6)
        knees = [dimension(ladders_of(rows, noise(1e-6, 20)), margin=margin)[0].knee for margin in (0.0, 0.01, 0.1)]
        self.assertEqual(knees, [128, 32, 8])
        with self.assertRaisesRegex(ValueError, "margin is -1"):
            dimension(ladders_of(rows, noise(1e-6, 20)), margin=-1)

    def test_interval_holds_the_truth_nine_times_in_ten(self) -> None:
        inside = 0
        for seed in range(15):
            rows = study(np.random.default_rng(seed), 1e-3, multipliers=(1.0,))
            [record] = dimension(ladders_of(rows, seed=seed))
            assert record.knee_low is not None and record.knee_high is not None
            assert record.best_low is not None and record.best_high is not None
            inside += record.knee_low <= 64 <= record.knee_high
            inside += record.best_low <= 128 <= record.best_high
        self.assertGreaterEqual(inside, 25)  # of 30; on 100 studies 93 and 98 of 100

    def test_a_knee_of_which_the_noise_says_nothing_cannot_be_determined(self) -> None:
        rows = study(np.random.default_rng(0), 1e-4, multipliers=(1.0,))
        [clear], [unclear] = (dimension(ladders_of(rows, noise(sd, 20))) for sd in (1e-4, 0.05))
        self.assertTrue(clear.is_known)
        self.assertEqual((unclear.is_known, unclear.knee_low, unclear.knee_high), (False, 8, 256))
        self.assertIn("a factor of 32, so where it lies cannot be determined", unclear.why)

    def test_one_seed_and_rung_one_dimension_and_nothing(self) -> None:
        rows = study(np.random.default_rng(0), 1e-3, seeds=1)
        last = rows[rows["examples"] == 32000]
        record = dimension(ladders_of(last))[0]
        self.assertEqual((record.knee_low, record.best_high), (None, None))
        self.assertIn("unknown", record.why)
        self.assertEqual(dimension(ladders_of(rows[rows["embedding_dim"] == 64])), [])
        self.assertEqual(dimension(ladders_of(rows[:0])), [])
        narrow = rows[(rows["embedding_dim"] <= 32) & (rows["scheme"] != "VH")]
        self.assertIn("so the knee lies there or beyond", dimension(ladders_of(narrow))[0].why)


if __name__ == "__main__":
    tf.test.main()
