"""Tests of the count of predictions that came true."""

import dataclasses

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.curves import LADDER, law, line
from tfrs_scaling.fit.analyses.backtests import backtests
from tfrs_scaling.fit.analyses.held_out import held_out
from tfrs_scaling.fit.analyses.lines import DataLine


def named(curves: list[DataLine]) -> list[DataLine]:
    """Lines of one study have a name each."""
    return [dataclasses.replace(curve, line=str(number)) for number, curve in enumerate(curves)]


class BacktestsTest(tf.test.TestCase):
    def test_two_predictions_of_the_next_size_and_one_of_that_after_it(self) -> None:
        rng = np.random.default_rng(0)
        lines = named([line([law(x) for x in LADDER], noise=1e-3, rng=rng) for _ in range(12)])
        near, far = backtests(lines, held_out(lines))
        self.assertEqual((near.ahead, near.factor, near.made), (1, 2.0, 24))
        self.assertEqual((far.ahead, far.factor, far.made), (2, 4.0, 12))
        self.assertGreaterEqual(near.inside + far.inside, 32)  # of 36; fewer by chance in 1 of 100
        self.assertEqual(near.share, near.inside / 24)
        self.assertIn(f"Of 24 predictions at 2 times the data, {near.inside} (", near.words)
        self.assertNotIn("too narrow", near.words + far.words)

    def test_a_break_after_what_was_fitted_is_counted(self) -> None:
        broken = [law(x) for x in LADDER[:-2]] + [0.5, 0.4]
        lines = named([line(broken, noise=1e-5, rng=np.random.default_rng(seed)) for seed in range(5)])
        known = held_out(lines)
        near, far = backtests(lines, known)
        # The next size is missed before the break is seen; after it, intervals are wide.
        self.assertEqual((near.inside, far.inside), (sum(record.inside for record in known), 0))
        self.assertIn("fewer than they should", far.words)

    def test_frontiers_do_not_count_as_they_are_made_of_other_lines(self) -> None:
        best, worse = (line([law(x) + shift for x in LADDER], noise=1e-5, scheme="V") for shift in (0.0, 0.1))
        second = dataclasses.replace(worse, line="4", rows=worse.rows.assign(multiplier=4.0, trial_id="V4"))
        frontier = DataLine("dot", "V", "frontier", True, pd.concat([best.rows, second.rows], ignore_index=True))
        lines = [best, second, frontier]
        self.assertEqual([record.line for record in held_out(lines)], ["1", "4"])
        self.assertEqual([record.made for record in backtests(lines, held_out(lines))], [4, 2])

    def test_lines_too_short_have_none(self) -> None:
        short = [line([law(x) for x in LADDER[:4]])]
        self.assertEqual(backtests(short, held_out(short)), [])
        five = [line([law(x) for x in LADDER[:5]])]
        self.assertEqual([(record.ahead, record.made) for record in backtests(five, held_out(five))], [(1, 1)])


if __name__ == "__main__":
    tf.test.main()
