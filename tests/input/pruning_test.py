"""Tests of how likely a row is kept: against a search for the slope."""

import numpy as np
import tensorflow as tf
from scipy import optimize

from tfrs_scaling.input.pruning import AT_LEAST, SMOOTHING, at_random, by_error


class PruningTest(tf.test.TestCase):
    def test_share_is_kept_and_the_slope_is_the_one_that_a_search_finds(self) -> None:
        rng = np.random.default_rng(1)
        for errors in (rng.random(999), rng.beta(0.1, 3, 5000), np.abs((rng.random(4000) < 0.03) - 0.03), np.zeros(9)):
            for share in (0.1, 0.5, 0.9):
                for largest in (True, False):
                    pruning = by_error(share, errors, largest=largest)
                    kept = pruning.probability(errors).numpy()
                    self.assertAllClose(kept.mean(), share, rtol=1e-6)
                    self.assertGreaterEqual(kept.min(), AT_LEAST * share)
                    order = np.argsort(errors)
                    self.assertAllGreaterEqual((1 if largest else -1) * np.diff(kept[order]), -1e-9)
                    # On average over the rows kept a row weighs 1, and a sum over them is that over all.
                    self.assertAllClose((kept * pruning.weight(errors).numpy()).sum(), share * len(errors))

                    def missing(slope: float, merit: np.ndarray, share: float = share) -> float:
                        return float(np.minimum(1, AT_LEAST * share + slope * merit).mean() - share)

                    merit = (errors if largest else 1 - errors) + SMOOTHING
                    slope = optimize.brentq(missing, 0, 1e4, args=(merit,), xtol=1e-12)
                    self.assertAllClose(abs(pruning.slope), slope, rtol=1e-6)

    def test_random_rows_all_weigh_one(self) -> None:
        pruning, errors = at_random(1 / 3), tf.constant([0.0, 0.5, 1.0])
        self.assertAllEqual(pruning.weight(errors), [1.0, 1.0, 1.0])
        self.assertAllEqual(pruning.probability(errors), np.full(3, np.float32(1 / 3)))


if __name__ == "__main__":
    tf.test.main()
