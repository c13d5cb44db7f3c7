"""Tests of two architectures' curves: planted shifts and exponents."""

import numpy as np
import tensorflow as tf

from tests.helpers.curves import LADDER, law, line
from tfrs_scaling.fit.analyses.architectures import ArchitectureComparison, architectures
from tfrs_scaling.fit.analyses.lines import DataLine


def compared(first: DataLine, second: DataLine) -> ArchitectureComparison:
    baselines = {line.architecture: line.fit() for line in (first, second)}
    [record] = architectures(baselines, first.architecture)
    return record


class ArchitecturesTest(tf.test.TestCase):
    def compared(self, seeds: int = 1, noise: float = 2e-4, seed: int = 0, **second: float) -> ArchitectureComparison:
        rng = np.random.default_rng(seed)
        dot = line([law(x) for x in LADDER], noise=noise, rng=rng, seeds=seeds)
        cross = line([law(x, **second) for x in LADDER], noise=noise, rng=rng, seeds=seeds, architecture="cross")
        return compared(dot, cross)

    def test_planted_shift(self) -> None:
        for seeds in (1, 3):
            record = self.compared(seeds, needs=0.5)
            self.assertEqual((record.first, record.second, record.verdict), ("dot", "cross", "shifted"))
            self.assertAllClose(record.data_ratio, 0.5, rtol=0.1)
            self.assertBetween(0.5, record.data_ratio_low, record.data_ratio_high)
            self.assertIn("cross needs 0.", record.words)

    def test_planted_exponent(self) -> None:
        record = self.compared(beta=0.6)
        self.assertEqual(record.verdict, "other exponent")
        self.assertBetween(-0.2, record.low, record.high)

    def test_the_same_curve(self) -> None:
        verdicts = [self.compared(seed=seed).verdict for seed in range(5)]
        self.assertGreaterEqual(verdicts.count("same"), 4)

    def test_ratio_holds_the_truth(self) -> None:
        inside = 0
        for seed in range(12):
            record = self.compared(seed=seed, noise=1e-3, needs=2.0)
            assert record.data_ratio_low is not None and record.data_ratio_high is not None
            inside += record.data_ratio_low <= 2.0 <= record.data_ratio_high
        self.assertGreaterEqual(inside, 10)

    def test_what_cannot_be_told(self) -> None:
        noisy = self.compared(noise=0.02)
        self.assertEqual(noisy.verdict, "cannot tell")
        dot = line([law(x) for x in LADDER])
        few = compared(dot, line([0.9, 0.8], architecture="cross"))
        self.assertEqual((few.verdict, few.data_ratio), ("cannot tell", None))
        self.assertIn("cross has no law to compare", few.words)
        apart = compared(dot, line([law(x) + 0.5 for x in LADDER], architecture="cross", noise=1e-4))
        self.assertEqual(apart.verdict, "cannot tell")
        self.assertIn("reached no NE in common", apart.words)


if __name__ == "__main__":
    tf.test.main()
