"""Tests of the curves of any table: against planted laws, and against the functions that fit one curve."""

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrs_scaling.fit.curves.analysis import fit_table
from tfrs_scaling.fit.curves.records import Columns
from tfrs_scaling.fit.extrapolation.choose import choose_law
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.status import Status

TOKENS = 1e5 * 2.0 ** np.arange(9)
CURVE, PLANE = Columns(x="tokens", y="loss"), Columns(y="loss", n="params", d="tokens")


def planted(sizes: tuple[float, ...] = (1e6, 4e6, 1.6e7), noise: float = 0.002, runs: int = 1) -> pd.DataFrame:
    """L = 1.7 + 40 n**-0.35 + 20 d**-0.3 for models of several sizes."""
    rng = np.random.default_rng(0)
    rows = [
        (f"m{size:g}", run, size, d, 1.7 + 40 * size**-0.35 + 20 * d**-0.3 + rng.normal(0, noise))
        for size in sizes
        for run in range(runs)
        for d in TOKENS
    ]
    return pd.DataFrame(rows, columns=["model", "run", "params", "tokens", "loss"])


class FitTableTest(tf.test.TestCase):
    def test_one_curve_is_that_of_the_functions_for_one_curve(self) -> None:
        frame = planted((1e6,))
        found = fit_table(frame, CURVE)
        [curve] = found.curves
        self.assertEqual(curve.law, fit_learning_curve(frame["tokens"], frame["loss"]))
        self.assertEqual(curve.chosen, choose_law(frame["tokens"], frame["loss"]))
        self.assertAllClose([at.x for at in curve.predictions], TOKENS[-1] * np.array([2.0, 4.0, 10.0]))
        for at in curve.predictions:
            truth = 1.7 + 40 * 1e6**-0.35 + 20 * at.x**-0.3
            self.assertBetween(truth, at.low, at.high)
            self.assertBetween(at.loss, at.low, at.high)
        self.assertEmpty(found.comparisons)
        self.assertIsNone(found.joint)
        self.assertRegex(found.notices[0], "every row counts as a training of its own")

    def test_curves_of_groups_are_fitted_by_themselves_and_compared(self) -> None:
        frame = planted()
        twin = frame[frame["model"] == "m1e+06"].assign(model="twin")
        twin["loss"] += np.random.default_rng(1).normal(0, 0.002, len(twin))
        found = fit_table(pd.concat([frame, twin]), Columns(x="tokens", y="loss", group="model"))
        self.assertEqual([curve.name for curve in found.curves], ["m1e+06", "m4e+06", "m1.6e+07", "twin"])
        different = {(pair.first, pair.second): pair.different for pair in found.comparisons}
        self.assertLen(different, 6)
        self.assertFalse(different.pop(("m1e+06", "twin")))
        self.assertTrue(all(different.values()))

    def test_rows_of_one_training_are_grouped(self) -> None:
        frame = planted((1e6,), runs=3)
        [curve] = fit_table(frame, Columns(x="tokens", y="loss", seed="run")).curves
        assert curve.law is not None
        self.assertLen(set(curve.law.groups), 3)
        self.assertNotEmpty(curve.law.resampled_laws)

    def test_joint_law_and_its_split_are_the_planted_ones(self) -> None:
        joint = fit_table(planted(noise=1e-5), PLANE).joint
        assert joint is not None
        self.assertAllClose([joint.fit.E, joint.fit.a, joint.fit.b], [1.7, 0.35, 0.3], rtol=0.01)
        for factor, split in zip((1, 10, 100), joint.splits, strict=True):
            budget = factor * 6 * 1.6e7 * TOKENS[-1]
            self.assertAllClose(6 * split.n * split.d, budget, rtol=1e-6)
            n = np.geomspace(1e6, 1e10, 200_001)  # brute force by the planted law
            best = n[np.argmin(40 * n**-0.35 + 20 * (budget / 6 / n) ** -0.3)]
            self.assertAllClose(split.n, best, rtol=0.05)

    def test_a_log_of_every_step_is_averaged(self) -> None:
        step = np.arange(1, 4001, dtype=np.float64)
        loss = 2 + 3 * step**-0.4 + np.random.default_rng(0).normal(0, 0.05, step.size)
        found = fit_table(pd.DataFrame({"tokens": step, "loss": loss}), CURVE)
        [curve] = found.curves
        assert curve.law is not None
        self.assertLessEqual(len(curve.x), 50)
        self.assertRegex(found.notices[0], r"4,000 rows averaged to \d+ points")
        self.assertAllClose(curve.law.predict(1e3), 2 + 3 * 1e3**-0.4, atol=0.01)
        self.assertAllClose(curve.law.beta, 0.4, atol=0.05)
        for at in curve.predictions:
            self.assertBetween(2 + 3 * at.x**-0.4, at.low, at.high)

    def test_many_curves_are_not_compared_by_the_hundred(self) -> None:
        frame = planted((1e6,)).head(5)
        many = pd.concat([frame.assign(model=f"m{at}") for at in range(9)])
        found = fit_table(many, Columns(x="tokens", y="loss", group="model"))
        self.assertEqual((len(found.curves), found.comparisons), (9, ()))
        self.assertRegex(found.notices[0], "9 curves are too many pairs to compare")

    def test_too_few_points_are_no_error(self) -> None:
        for rows, status in ((1, None), (3, Status.TOO_FEW_POINTS)):
            [curve] = fit_table(planted((1e6,)).head(rows), CURVE).curves
            self.assertEqual(curve.law and curve.law.status, status)
            self.assertIsNone(curve.chosen)
            self.assertRegex(curve.why_none, f"tokens has {rows} different values?, and a law needs 4")

    def test_what_cannot_be_fitted_is_located(self) -> None:
        frame = planted()
        for column, value, message in (
            ("tokens", 0.0, "mine.csv: row 3, column tokens: 0 must be finite and above 0"),
            ("loss", -1.0, "mine.csv: row 3, column loss: -1 must be finite and 0 or above"),
        ):
            wrong = frame.copy()
            wrong.loc[2, column] = value
            with self.assertRaisesRegex(ValueError, message):
                fit_table(wrong, CURVE, source="mine.csv")
        with self.assertRaisesRegex(ValueError, "has no column 'steps'; it has model, run"):
            fit_table(frame, Columns(x="steps", y="loss"))
        with self.assertRaisesRegex(ValueError, "3 different values of each; there are 18 rows, 2 params"):
            fit_table(planted((1e6, 4e6)), PLANE)

    def test_rows_with_an_empty_field_are_left_out_and_counted(self) -> None:
        frame = planted((1e6,))
        frame.loc[[0, 4], "loss"] = np.nan
        found = fit_table(frame, CURVE)
        self.assertEqual((found.rows, found.notices[0]), (7, "2 rows with an empty field left out"))


if __name__ == "__main__":
    tf.test.main()
