"""Tests of the extrapolation test inside a study."""

import dataclasses

import numpy as np
import tensorflow as tf

from tests.helpers.curves import LADDER, law, line
from tfrs_scaling.fit.analyses.held_out import held_out, held_out_words, one_sided


class HeldOutTest(tf.test.TestCase):
    def test_an_exact_law_is_foreseen(self) -> None:
        [record] = held_out([line([law(x) for x in LADDER])])
        self.assertEqual((record.examples, record.line), (LADDER[-1], "1"))
        self.assertAllClose((record.predicted, record.measured), (law(LADDER[-1]),) * 2, rtol=1e-9)

    def test_nothing_of_the_largest_size_leaks(self) -> None:
        curve = [law(x) for x in LADDER]
        honest = held_out([line(curve, noise=1e-3)])[0]
        changed = held_out([line([*curve[:-1], 0.5], noise=1e-3)])[0]
        same = dataclasses.asdict(changed) | {
            name: getattr(honest, name) for name in ("measured", "inside", "relative_error")
        }
        self.assertEqual(same, dataclasses.asdict(honest))
        self.assertFalse(changed.inside)

    def test_interval_holds_its_level(self) -> None:
        rng, curve = np.random.default_rng(0), [law(x) for x in LADDER]
        records = held_out([line(curve, noise=1e-3, rng=rng) for _ in range(30)])
        self.assertGreaterEqual(sum(record.inside for record in records), 25)
        self.assertFalse(one_sided(np.array([record.relative_error for record in records])))
        self.assertIn("of 30 lines", held_out_words(records))

    def test_a_law_that_is_wrong_errs_to_one_side(self) -> None:
        bent = [max(law(x), law(LADDER[-2])) + 0.002 * (LADDER[-2] / x) for x in LADDER]  # it ends before the last size
        rng = np.random.default_rng(0)
        records = held_out([line(bent, noise=1e-5, rng=rng) for _ in range(6)])
        self.assertIn("6 were too low: here such laws promise more of further data", held_out_words(records))

    def test_rounding_errors_have_no_side(self) -> None:
        records = held_out([line([0.8] * len(LADDER)) for _ in range(6)])
        self.assertLess(max(abs(record.relative_error) for record in records), 1e-9)
        self.assertNotIn("too low", held_out_words(records))

    def test_short_lines_have_no_record(self) -> None:
        self.assertEqual(held_out([line([law(x) for x in LADDER[:4]])]), [])
        self.assertIn("could not be tested", held_out_words([]))


if __name__ == "__main__":
    tf.test.main()
