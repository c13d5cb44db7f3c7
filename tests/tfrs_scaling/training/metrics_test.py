import math

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from sklearn import metrics as sklearn_metrics

from tfrs_scaling.training.metrics import Accumulator, binary_entropy, prior_correction


def clicks(rows: int, ctr: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < ctr).astype(np.float32)
    return rng.normal(1.2 * labels + math.log(ctr), 1.0).astype(np.float32), labels


class MetricsTest(tf.test.TestCase, parameterized.TestCase):
    def test_by_hand(self) -> None:
        accumulator = Accumulator()
        # Predictions 1/2, 3/4, 1/4 for labels 1, 1, 0: losses ln 2, ln 4/3, ln 4/3.
        accumulator.add(np.array([0.0, math.log(3), -math.log(3)]), np.array([1, 1, 0]), np.ones(3))
        result = accumulator.result()
        log_loss = (math.log(2) + 2 * math.log(4 / 3)) / 3
        entropy = -(2 / 3) * math.log(2 / 3) - (1 / 3) * math.log(1 / 3)
        self.assertAlmostEqual(result.log_loss, log_loss, places=14)
        self.assertAlmostEqual(result.ne, log_loss / entropy, places=14)
        self.assertAlmostEqual(result.calibration, 1.5 / 2, places=14)
        self.assertEqual(result.auc, 1.0)
        self.assertAlmostEqual(result.base_ctr, 2 / 3, places=14)

    def test_base_rate_prediction_has_ne_one_and_auc_half(self) -> None:
        labels = np.repeat([1.0, 0.0], [300, 9700])
        accumulator = Accumulator()
        accumulator.add(np.full(10_000, math.log(0.03 / 0.97)), labels, np.ones(10_000))
        result = accumulator.result()
        self.assertAlmostEqual(result.ne, 1.0, places=12)
        self.assertEqual(result.auc, 0.5)
        self.assertAlmostEqual(result.calibration, 1.0, places=12)

    @parameterized.parameters(0.03, 0.25, 0.6)
    def test_agrees_with_scikit_learn(self, ctr: float) -> None:
        logits, labels = clicks(200_000, ctr, seed=1)
        accumulator = Accumulator()
        for part in np.array_split(np.arange(len(labels)), 7):
            accumulator.add(logits[part], labels[part], np.ones(len(part)))
        result = accumulator.result()
        probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
        self.assertAlmostEqual(result.log_loss, sklearn_metrics.log_loss(labels, probabilities), places=10)
        self.assertLess(abs(result.auc - sklearn_metrics.roc_auc_score(labels, logits)), 1e-5)

    def test_weights_count_rows_and_weight_zero_none(self) -> None:
        logits, labels = clicks(1000, 0.3, seed=2)
        weights = np.random.default_rng(0).integers(0, 4, 1000)
        weighted, repeated = Accumulator(), Accumulator()
        poisoned = np.where(weights == 0, np.nan, logits)  # padding may hold anything
        weighted.add(poisoned, labels, weights)
        repeated.add(np.repeat(logits, weights), np.repeat(labels, weights), np.ones(weights.sum()))
        for name in ("ne", "log_loss", "auc", "calibration", "base_ctr"):
            self.assertAlmostEqual(getattr(weighted.result(), name), getattr(repeated.result(), name), places=12)

    def test_sums_do_not_drift(self) -> None:
        # In float32, adding 0.6931472 four million times to a running sum is off by percents.
        accumulator = Accumulator()
        labels = np.tile([0.0, 1.0], 500_000)
        for _ in range(4):
            accumulator.add(np.zeros(1_000_000, np.float32), labels, np.ones(1_000_000))
        self.assertAlmostEqual(accumulator.result().log_loss, math.log(2), places=12)

    def test_extreme_logits_stay_finite(self) -> None:
        accumulator = Accumulator()
        accumulator.add(np.array([1e4, -1e4, -1e4]), np.array([1, 0, 1]), np.ones(3))
        self.assertAlmostEqual(accumulator.result().log_loss, 1e4 / 3)

    def test_nan_shows(self) -> None:
        accumulator = Accumulator()
        accumulator.add(np.array([np.nan, 0.0]), np.array([1, 0]), np.ones(2))
        result = accumulator.result()
        self.assertTrue(math.isnan(result.ne) and math.isnan(result.auc))

    @parameterized.parameters(([1.0, 1.0],), ([0.0, 0.0],), ([],))
    def test_one_label_has_no_ne(self, labels: list[float]) -> None:
        accumulator = Accumulator()
        accumulator.add(np.zeros(len(labels)), np.array(labels), np.ones(len(labels)))
        with self.assertRaisesRegex(ValueError, "NE needs both labels"):
            accumulator.result()

    def test_prior_correction_is_that_of_he_et_al(self) -> None:
        logits = np.linspace(-9, 9, 101)
        for rate in (1.0, 0.5, 1 / 64):
            p = 1 / (1 + np.exp(-logits))
            corrected = 1 / (1 + np.exp(-(logits + prior_correction(rate))))
            self.assertAllClose(corrected, p / (p + (1 - p) / rate), rtol=1e-12, atol=0)

    def test_prior_correction_gives_the_rate_before_sampling(self) -> None:
        # 10 clicks and 90 others, of which 9 are kept: a model says 10/19, and 0.1 is true.
        logit = math.log(10 / 9) + prior_correction(9 / 90)
        self.assertAlmostEqual(1 / (1 + math.exp(-logit)), 0.1, places=14)

    def test_binary_entropy(self) -> None:
        self.assertEqual(binary_entropy(0.0), 0.0)
        self.assertAlmostEqual(binary_entropy(0.5), math.log(2), places=15)


if __name__ == "__main__":
    tf.test.main()
