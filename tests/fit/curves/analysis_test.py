"""Tests of the curves of any table: against planted laws, and against the functions that fit one curve."""

from dataclasses import replace

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
            ("tokens", -2.0, "mine.csv: row 3, column tokens: -2 must be finite and above 0"),
            ("tokens", 1e307, "mine.csv: row 3, column tokens: 1e.307 must be between"),
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

    def test_rows_that_cannot_be_used_are_left_out_and_counted(self) -> None:
        frame = planted((1e6,), runs=2)
        frame["run"] = frame["run"].astype("object")
        frame.loc[[0, 4], "loss"] = np.nan
        frame.loc[5, "tokens"] = 0
        frame.loc[6, "model"] = ""
        frame.loc[[7, 8], "run"] = None
        found = fit_table(frame, Columns(x="tokens", y="loss", group="model", seed="run"))
        self.assertEqual(found.rows, 14)
        self.assertEqual(
            found.notices,
            (
                "2 rows with an empty loss left out",
                "1 row with an empty model left out",
                "1 row with tokens = 0 left out: a power law starts above 0",
                "2 rows with an empty run: each counts as a training of its own",
            ),
        )
        [curve] = found.curves
        assert curve.law is not None
        self.assertLen(set(curve.law.groups), 4)

    def test_models_that_share_a_seed_are_trainings_of_their_own(self) -> None:
        frame = planted(runs=2)
        plain, named = (fit_table(frame, replace(PLANE, seed="run", group=group)) for group in ("", "model"))
        for found in (plain, named):
            assert found.joint is not None
            labels = pd.DataFrame({"n": found.joint.fit.n, "training": found.joint.fit.groups})
            self.assertEqual((labels["training"].nunique(), len(labels.drop_duplicates())), (6, 6))
            self.assertEmpty(found.notices)
        self.assertRegex(fit_table(frame, PLANE).notices[0], "every row counts as a training of its own")

    def test_a_joint_law_of_too_few_rows_leaves_the_curves(self) -> None:
        found = fit_table(planted((1e6, 4e6)), replace(PLANE, x="tokens", group="model"), source="mine.csv")
        self.assertLen(found.curves, 2)
        self.assertIsNone(found.joint)
        self.assertRegex(found.notices[-1], "a law of params and tokens needs .* 2 params")
        with self.assertRaisesRegex(ValueError, "mine.csv: a law of params"):
            fit_table(planted((1e6, 4e6)), PLANE, source="mine.csv")

    def test_one_training_is_said_to_be_one(self) -> None:
        found = fit_table(planted((1e6,)), replace(CURVE, seed="run"))
        [notice] = found.notices
        self.assertRegex(notice, "^all rows are of one training: .* if its learning rate decays, .*do not extrapolate")

        two = pd.concat([planted((1e6,)), planted((4e6,), runs=2)])
        found = fit_table(two, replace(CURVE, group="model", seed="run"))
        self.assertRegex(found.notices[0], "all rows of m1e.06 are of one training each")
        found = fit_table(planted((1e6, 4e6)), replace(CURVE, group="model", seed="run"))
        self.assertRegex(found.notices[0], "all rows of each model are of one training: ")

    def test_groups_of_nearby_numbers_are_different_curves(self) -> None:
        frame = planted((1e6,))
        both = pd.concat([frame.assign(size=size) for size in (1234567.1, 1234567.2, 4.0)])
        curves = fit_table(both, replace(CURVE, group="size")).curves
        self.assertEqual([(c.name, len(c.x)) for c in curves], [("1234567.1", 9), ("1234567.2", 9), ("4", 9)])

    def test_a_rising_curve_has_one_reason_and_no_predictions(self) -> None:
        [curve] = fit_table(pd.DataFrame({"tokens": TOKENS, "loss": 2 - 3 * TOKENS**-0.3}), CURVE).curves
        self.assertEqual(curve.law and curve.law.status, Status.NOT_MONOTONE)
        self.assertEqual((curve.chosen, curve.predictions), (None, ()))
        self.assertRegex(curve.why_none, "loss rises somewhere")

    def test_a_curve_with_correlated_residuals_is_not_extrapolated(self) -> None:
        x = 1e3 * np.arange(1, 41)
        loss = 2 + 30 * x**-0.4 + 0.003 * np.sin(np.arange(40) / 5)
        [curve] = fit_table(pd.DataFrame({"tokens": x, "loss": loss}), CURVE).curves
        self.assertEqual(curve.law and curve.law.status, Status.CORRELATED_RESIDUALS)
        assert curve.chosen is not None
        self.assertFalse(curve.chosen.extrapolates)
        self.assertRegex(curve.chosen.why, "not to be extrapolated: ")

    def test_places_and_spans_beyond_all_numbers_are_refused(self) -> None:
        for place in (np.nan, np.inf, 0.0, -1.0):
            with self.assertRaisesRegex(ValueError, "mine.csv: the loss cannot be predicted at"):
                fit_table(planted((1e6,)), CURVE, at=[place], source="mine.csv")
        wide = pd.DataFrame({"tokens": np.geomspace(1e-60, 1e60, 9), "loss": np.geomspace(2, 1, 9)})
        [curve] = fit_table(wide, CURVE).curves
        self.assertRegex(curve.why_none, "x spans 1e-60 to 1e.60")

    def test_columns_that_are_no_numbers_are_located(self) -> None:
        frame = planted((1e6,))[["tokens", "loss"]]
        for values, message in (
            (["1e3", "many", *"1234567"], r"row 2, column tokens: 'many' \(str\) is not a number"),
            (pd.date_range("2024", periods=9), r"row 1, column tokens: Timestamp\(.*is not a number"),
            (pd.to_timedelta(TOKENS, unit="s"), r"row 1, column tokens: Timedelta\(.*is not a number"),
            (TOKENS + 1j, r"row 1, column tokens: .*\(complex.*\) is not a number"),
            ([True] * 9, r"row 1, column tokens: .*True.* is not a number"),
        ):
            with self.assertRaisesRegex(ValueError, f"mine.csv: {message}"):
                fit_table(frame.assign(tokens=values), CURVE, source="mine.csv")
        [curve] = fit_table(frame.assign(tokens=frame["tokens"].astype("str")), CURVE).curves
        self.assertEqual(curve.x, tuple(TOKENS))
        with self.assertRaisesRegex(ValueError, "has 2 columns 'loss'"):
            fit_table(pd.concat([frame, frame[["loss"]]], axis=1), CURVE)

    def test_a_column_has_one_role_of_x_y_and_group(self) -> None:
        for columns in (replace(CURVE, y="tokens"), replace(CURVE, group="tokens"), replace(PLANE, n="tokens")):
            with self.assertRaisesRegex(ValueError, "column tokens is named as"):
                fit_table(planted(), columns)
        self.assertLen(fit_table(planted(), replace(PLANE, x="tokens", group="params")).curves, 3)


if __name__ == "__main__":
    tf.test.main()
