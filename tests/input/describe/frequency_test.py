"""Tallies against pandas; the Zipf fit against closed forms, SciPy and planted samples; collisions by brute force."""

# mypy: allow-untyped-calls
# (absl has no types)

import numpy as np
import pandas as pd
import tensorflow as tf
from absl.testing import parameterized
from scipy import optimize, stats

from tests.helpers.logs import synthetic_blocks
from tfrs_scaling.input.describe.frequency import Tally, collisions, fit_zipf, thinned
from tfrs_scaling.input.prepare.synthetic import Synthetic, SyntheticFeature


def _shares(exponent: float, ids: int) -> np.ndarray:
    shares = np.arange(1, ids + 1) ** -exponent
    return shares / shares.sum()


def _fits(exponent: float, ids: int, rows: int, samples: int) -> np.ndarray:
    """Fitted exponents of planted samples."""
    rng = np.random.default_rng(3)
    fitted = []
    for _ in range(samples):
        counts = np.sort(rng.multinomial(rows, _shares(exponent, ids)))[::-1]
        fit = fit_zipf(counts[counts > 0])
        assert fit is not None
        fitted.append(fit.exponent)
    return np.array(fitted)


class TallyTest(tf.test.TestCase):
    """Sums per key."""

    def test_against_pandas_merged_often_and_seldom(self) -> None:
        rng = np.random.default_rng(1)
        keys, values = rng.zipf(1.3, 5000) % 2**31 - 7, rng.normal(size=(5000, 3))
        wanted = pd.DataFrame(values).groupby(keys).sum()
        for merge_at in (1, 10**6):
            tally = Tally(values=3, merge_at=merge_at)
            for start in range(0, 5000, 71):
                tally.add(keys[start : start + 71], values[start : start + 71])
            found, sums = tally.result()
            self.assertAllEqual(found, wanted.index)
            self.assertAllClose(sums, wanted, rtol=1e-12, atol=1e-12)

    def test_counts_and_nothing(self) -> None:
        tally = Tally()
        self.assertLen(tally.result()[0], 0)
        tally.add(np.array([5, 3, 5], np.int32))
        self.assertAllEqual(tally.result()[0], [3, 5])
        self.assertAllEqual(tally.result()[1], [[1], [2]])


class ZipfTest(parameterized.TestCase, tf.test.TestCase):
    """The rank-frequency law."""

    def test_two_ids_have_a_closed_form(self) -> None:
        # Shares 1 : 2**-s are matched exactly, so 2**s = 48 / 12; the information is n p (1 - p) ln(2)**2.
        fit = fit_zipf(np.array([48, 12]))
        assert fit is not None
        self.assertAlmostEqual(fit.exponent, 2, places=6)
        self.assertAlmostEqual(fit.standard_error, 1 / (np.log(2) * (60 * 0.8 * 0.2) ** 0.5), places=6)
        self.assertAlmostEqual(fit.distance, 0, places=6)

    def test_equal_counts_and_too_few_ids(self) -> None:
        for counts in ([7] * 3, [1] * 1000):
            fit = fit_zipf(np.array(counts))
            assert fit is not None
            self.assertAlmostEqual(fit.exponent, 0, places=6)
        self.assertIsNone(fit_zipf(np.array([9])))
        self.assertIsNone(fit_zipf(np.array([], np.int64)))

    def test_likelihood_is_scipys_and_at_its_largest(self) -> None:
        counts = np.array([900, 300, 290, 40, 8, 8, 1])
        ranks = np.arange(1, 8)
        best = optimize.minimize_scalar(
            lambda s: -float(counts @ stats.zipfian.logpmf(ranks, s, 7)), bounds=(0.01, 10), method="bounded",
            options={"xatol": 1e-9},
        )  # fmt: skip
        fit = fit_zipf(counts)
        assert fit is not None
        self.assertAlmostEqual(fit.exponent, best.x, places=5)
        law = stats.zipfian.cdf(ranks, best.x, 7)
        self.assertAlmostEqual(fit.distance, np.abs(law - np.cumsum(counts) / 1547).max(), places=5)

    @parameterized.parameters(0.8, 1.0, 1.2)
    def test_the_generators_exponent_is_found_within_three_standard_errors(self, exponent: float) -> None:
        made = synthetic_blocks(Synthetic(rows=200_000, features=(SyntheticFeature("user", 200, 200, exponent),)))
        counts = pd.Series(np.concatenate([block.codes[:, 0] for block in made])).value_counts().to_numpy()
        fit = fit_zipf(counts)
        assert fit is not None
        self.assertLess(abs(fit.exponent - exponent), 3 * fit.standard_error)
        self.assertLess(fit.standard_error, 0.002)
        self.assertLess(fit.distance, 0.005)

    def test_standard_error_is_the_spread_over_samples(self) -> None:
        fitted = _fits(1.0, 50, 20_000, 300)
        counts = np.round(20_000 * _shares(1.0, 50)).astype(int)
        fit = fit_zipf(counts)
        assert fit is not None
        self.assertAllClose(fitted.std(ddof=1), fit.standard_error, rtol=0.15)

    def test_bias_of_ranking_by_the_counts_is_as_stated(self) -> None:
        exponent, ids, rows = 1.0, 1000, 400_000
        rng, log_rank = np.random.default_rng(3), np.log(np.arange(1, ids + 1))
        differences = []
        for _ in range(30):  # the same sample by its own ranking and by the true one
            counts = rng.multinomial(rows, _shares(exponent, ids))
            ranked, known = fit_zipf(np.sort(counts)[::-1]), fit_zipf(counts)
            assert ranked is not None and known is not None
            differences.append(ranked.exponent - known.exponent)
        variance = float(np.cov(log_rank, aweights=_shares(exponent, ids), ddof=0))
        self.assertAllClose(np.mean(differences), ids / (2 * exponent * rows * variance), rtol=0.2)

    @parameterized.parameters(0.8, 1.0, 1.2)
    def test_bias_of_unseen_ids_is_as_stated(self, exponent: float) -> None:
        bias = _fits(exponent, 10_000, 100_000, 3).mean() - exponent
        self.assertLess(abs(bias), 0.035)


class CurveTest(tf.test.TestCase):
    """Ranks to draw."""

    def test_thinned_ranks(self) -> None:
        counts = np.arange(10_000, 0, -1)
        ranks, shown = thinned(counts)
        self.assertEqual((ranks[0], ranks[-1]), (1, 10_000))
        self.assertBetween(len(ranks), 120, 200)
        self.assertAllEqual(shown, counts[ranks - 1])
        large = ranks[ranks > 200]
        self.assertAllClose(np.diff(np.log(large)), np.full(len(large) - 1, np.log(10_000) / 199), atol=0.005)
        self.assertAllEqual(thinned(np.array([4]))[0], [1])


class CollisionsTest(parameterized.TestCase, tf.test.TestCase):
    """Ids that share a row."""

    def test_by_hand(self) -> None:
        # Of 4 rows, 1 and 5 share row 1, 2 is alone in row 2, 3, 7 and 11 share row 3.
        found = collisions(np.array([1, 2, 3, 5, 7, 11]), np.array([10, 20, 4, 30, 4, 2]), 4)
        self.assertEqual(found.rows, 4)
        self.assertAlmostEqual(found.shared, 50 / 70)
        self.assertAlmostEqual(found.outnumbered, (10 + 4 + 2) / 70)

    @parameterized.parameters(1, 7, 64, 2**30)
    def test_by_brute_force(self, rows: int) -> None:
        rng = np.random.default_rng(2)
        ids, counts = np.unique(rng.integers(0, 2**31 - 1, 200) % 1000, return_counts=True)
        shared = behind = 0
        for a, count in zip(ids, counts, strict=True):
            others = [c for b, c in zip(ids, counts, strict=True) if b != a and b % rows == a % rows]
            shared += count if others else 0
        for row in set(ids % rows):
            held = counts[ids % rows == row]
            behind += held.sum() - held.max()
        found = collisions(ids, counts, rows)
        self.assertAlmostEqual(found.shared, shared / 200)
        self.assertAlmostEqual(found.outnumbered, behind / 200)


if __name__ == "__main__":
    tf.test.main()
