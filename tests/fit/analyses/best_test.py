from dataclasses import replace

import tensorflow as tf

from tests.helpers.planted import GAMMA, planted_study
from tfrs_scaling.fit.analyses.best import Bayes, best_scheme
from tfrs_scaling.fit.analyses.lines import fit_lines, points
from tfrs_scaling.fit.laws.status import Status
from tfrs_scaling.fit.runs.screening import usable_runs


class BestTest(tf.test.TestCase):
    """The scheme that ends lowest, and its floor against the one that is known."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        rows = usable_runs(planted_study(schemes="V"))
        cls.lines = fit_lines({("dot", scheme): points(rows, "dot", scheme) for scheme in "DV"})

    def bayes(self, bayes_ne: float, standard_error: float = 0.0) -> Bayes:
        best = best_scheme(self.lines, bayes_ne, standard_error)
        assert best is not None and best.bayes is not None
        self.assertEqual(best.scheme, "V")
        return best.bayes

    def test_the_planted_floor_lies_in_the_interval_of_the_best_scheme(self) -> None:
        self.assertTrue(self.bayes(GAMMA).contains)

    def test_a_floor_elsewhere_is_explained(self) -> None:
        for bayes_ne, why in ((0.70, "above the Bayes NE"), (0.90, "below the Bayes NE")):
            bayes = self.bayes(bayes_ne)
            self.assertFalse(bayes.contains)
            self.assertIn(why, bayes.why)
        near = self.bayes(0.70, 0.05)
        self.assertTrue(near.contains)
        self.assertIn("agrees within the latter's own error", near.why)

    def test_a_frontier_without_a_law_has_no_floor(self) -> None:
        for status in (Status.LAST_STEP_MISSED, Status.NOT_MONOTONE, Status.TOO_FEW_POINTS):
            lines = [replace(line, fit=replace(line.fit, status=status)) for line in self.lines]
            best = best_scheme(lines, GAMMA, 0.0)
            assert best is not None and best.bayes is not None
            self.assertEqual((best.bayes.gamma, best.bayes.contains), (None, False))

    def test_without_a_bayes_ne_without_other_schemes_and_without_frontiers(self) -> None:
        best = best_scheme(self.lines, None, 0.0)
        assert best is not None
        self.assertIsNone(best.bayes)
        baseline = best_scheme([line for line in self.lines if line.scheme == "D"], None, 0.0)
        assert baseline is not None
        self.assertEqual(baseline.scheme, "D")
        self.assertGreater(baseline.ne, best.ne)
        self.assertIsNone(best_scheme([line for line in self.lines if not line.is_frontier], None, 0.0))


if __name__ == "__main__":
    tf.test.main()
