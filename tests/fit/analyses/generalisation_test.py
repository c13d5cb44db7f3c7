"""Tests of training against test curves on planted exponents."""

import dataclasses

import numpy as np
import tensorflow as tf
from scipy import integrate

from tests.helpers.curves import LADDER, law, line
from tfrs_scaling.fit.analyses.generalisation import generalisation
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.laws.power_law import fit_power_law


class GeneralisationTest(tf.test.TestCase):
    def test_planted_exponents(self) -> None:
        test, train = ([law(x, beta) for x in LADDER] for beta in (0.3, 0.6))
        for seeds in (1, 3):
            [record] = generalisation([line(test, train, seeds=seeds, noise=1e-4)])
            self.assertAllClose(record.test.beta, 0.3, atol=0.03)
            self.assertAllClose(record.train.beta, 0.6, atol=0.03)
            self.assertLess(record.low, 0.3)
            self.assertGreater(record.high, 0.3)
            self.assertGreater(record.low, 0)
            self.assertStartsWith(record.words, "The training curve falls faster (exponent -0.6")

    def test_equal_exponents_are_told_apart_one_time_in_twenty(self) -> None:
        rng, curve = np.random.default_rng(0), [law(x) for x in LADDER]
        alike = 0
        for _ in range(15):
            [record] = generalisation([line(curve, curve, noise=5e-4, rng=rng)])
            assert record.low is not None and record.high is not None
            alike += record.low <= 0 <= record.high
        self.assertGreaterEqual(alike, 12)

    def test_progressive_mean_of_a_power_law_has_its_exponent(self) -> None:
        beta = 0.37  # the NE of the rows between two rungs, each predicted by a model that has seen those before it
        means = [integrate.quad(lambda x: law(x, beta), size / 2, size)[0] / (size / 2) for size in LADDER]
        self.assertAllClose(fit_power_law(LADDER, means).beta, beta, rtol=1e-3)

    def test_what_cannot_be_compared_says_why(self) -> None:
        flat = [0.9 + 1e-4 * (-1) ** k for k in range(len(LADDER))]
        [record] = generalisation([line([law(x) for x in LADDER], flat)])
        self.assertIsNone(record.difference_beta)
        self.assertIn("that of the training curve means nothing", record.words)
        self.assertEqual(record.train.status, "flat")
        self.assertEqual(generalisation([line([0.9, 0.8])]), [])
        [short] = generalisation([line([0.9, 0.8, 0.7])])
        self.assertEqual((short.low, short.test.status), (None, "too_few_points"))

    def test_the_law_of_the_test_curve_is_the_one_that_the_line_has_everywhere(self) -> None:
        curve = line([law(x) for x in LADDER], noise=1e-3)
        fit = curve.fit()
        assert fit is not None
        [record] = generalisation([curve])
        self.assertEqual((record.test.beta, record.test.range), (fit.beta, (LADDER[0], LADDER[-1])))
        self.assertEqual(record.train.range, (LADDER[1], LADDER[-1]))
        known = LineFit("dot", "D", "data", "1", dataclasses.replace(fit, beta=0.123))
        self.assertEqual(generalisation([curve], [known])[0].test.beta, 0.123)

    def test_epochs_say_that_rows_were_seen(self) -> None:
        curve = [law(x) for x in LADDER]
        [record] = generalisation([line(curve, curve, noise=1e-4, scheme="E")])
        self.assertIn("remembers rows", record.words)


if __name__ == "__main__":
    tf.test.main()
