"""Tests of phases and limits on laws whose answers have a closed form."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.outlook import limits, saturation, with_full_tables
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law

X = 1e4 * 2.0 ** np.arange(8)


def line(fit: PowerLawFit, name: str = "frontier", x: str = "data") -> LineFit:
    """A line as a study's fits hold it."""
    return LineFit("dot", "V", x, name, fit)


def law(gamma: float = 0.78, beta: float = 0.3, noise: float = 1e-5, seed: int = 0) -> PowerLawFit:
    return fit_power_law(X, 0.2 * (X / X[0]) ** -beta + gamma + np.random.default_rng(seed).normal(0, noise, X.size))


class PhasesTest(tf.test.TestCase):
    """High return, saturated, or nobody can tell."""

    def test_closed_form(self) -> None:
        (found,) = saturation([line(law(), "4")], epsilon=0.01)
        top = 0.2 * 128**-0.3
        gain = top * (1 - 2**-0.3) / (top + 0.78)
        self.assertAllClose(found.gain, gain, rtol=1e-3)
        self.assertAllClose(found.elasticity, 0.3 * top / (top + 0.78), rtol=1e-3)
        # the doubling that gains 1 %: A x**-beta (1 - 2**-beta) = 0.01 (A x**-beta + gamma)
        self.assertAllClose(
            found.diminishing_return, X[0] * (0.2 * (1 - 2**-0.3 - 0.01) / 0.0078) ** (1 / 0.3), rtol=2e-2
        )
        self.assertBetween(found.diminishing_return, found.low, found.high or np.inf)
        self.assertEqual((found.at, found.line, found.epsilon), (X[-1], "4", 0.01))

    def test_more_rows_than_ids_bring_nothing_whatever_the_law_says(self) -> None:
        lines = [line(law(), "1000", x="parameters"), line(law()), LineFit("dot", "H", "parameters", "1000", law())]
        before = saturation(lines)
        self.assertEqual([each.saturated for each in before], ["no"] * 3)
        rows, *others = with_full_tables(before, {"dot": X[-2]})
        self.assertEqual((rows.saturated, rows.gain, rows.diminishing_return), ("yes", 0.0, X[-2]))
        self.assertIn("a row of its own", rows.why)
        self.assertEqual(others, before[1:])
        for unknown in ({"dot": 2 * X[-1]}, {"cross": X[0]}, {}):  # not measured that far; of another; not known
            self.assertEqual(with_full_tables(before, unknown), before)

    def test_epsilon_moves_the_verdict(self) -> None:
        lines = [line(law())]  # gains 1.05 % at its end
        verdicts = {epsilon: saturation(lines, epsilon=epsilon)[0].saturated for epsilon in (0.005, 0.05)}
        self.assertEqual(verdicts, {0.005: "no", 0.05: "yes"})
        (near,) = saturation([line(law(noise=2e-3))], epsilon=0.01)
        self.assertEqual(near.saturated, "cannot tell")
        self.assertIn("with a probability of", near.why)
        with self.assertRaisesRegex(ValueError, "epsilon is 1"):
            saturation(lines, epsilon=1)

    def test_verdicts_are_wrong_as_rarely_as_the_level_says(self) -> None:
        wrong, told = 0, 0
        top = 0.2 * 128**-0.3
        gain = top * (1 - 2**-0.3) / (top + 0.78)
        for seed in range(40):
            found = saturation([line(law(noise=5e-4, seed=seed))], epsilon=0.97 * gain)[0].saturated
            wrong += found == "yes"
            told += found != "cannot tell"
        self.assertLessEqual(wrong, 6)  # 5 % of 40, plus three standard errors
        self.assertLess(told, 20)  # 3 % from the threshold is too close to call

    def test_without_a_law_nothing_is_told(self) -> None:
        few = fit_power_law(X[:3], [0.9, 0.8, 0.75])
        rising = fit_power_law(X, [0.9, 0.8, 0.75, 0.74, 0.76, 0.8, 0.86, 0.94])
        for found, status in zip(
            saturation([line(few), line(rising)]), ("too_few_points", "not_monotone"), strict=True
        ):
            self.assertEqual((found.saturated, found.gain, found.probability), ("cannot tell", None, None))
            self.assertTrue(found.why, status)


class LimitsTest(tf.test.TestCase):
    """The floor, and what half the way there takes."""

    def test_closed_form(self) -> None:
        fit = law()
        (found,) = limits([line(fit), line(fit, "4")])
        best = 0.2 * 128**-0.3 + 0.78
        self.assertAllClose([found.best_ne, found.gamma], [best, 0.78], atol=1e-3)
        half = found.half_gap
        assert half is not None
        # an excess halves in 2**(1 / beta) times as much
        self.assertAllClose(half.factor, 2 ** (1 / 0.3), rtol=0.02)
        self.assertAllClose(half.x, half.factor * X[-1])
        self.assertAllClose(half.ne, (best + 0.78) / 2, atol=1e-3)
        self.assertBetween(half.x, half.low, half.high or np.inf)
        self.assertTrue(half.reachable)
        self.assertAllClose(half.unreachable_probability, 0.0)
        for said in ("0.8033", "0.7800", "10.1 times the examples"):
            self.assertIn(said, found.words)

    def test_nothing_is_promised_below_the_bayes_ne(self) -> None:
        fit, best = law(), 0.2 * 128**-0.3 + 0.78
        (found,) = limits([line(fit)], bayes_ne=0.80)
        assert found.half_gap is not None
        self.assertAllClose([found.gap, found.half_gap.ne], [best - 0.80, (best + 0.80) / 2], atol=1e-4)
        self.assertAllClose(found.half_gap.x, X[0] * (0.2 / ((best + 0.80) / 2 - 0.78)) ** (1 / 0.3), rtol=0.02)
        self.assertIn("no model gets below the Bayes NE, 0.8000", found.words)
        (found,) = limits([line(fit)], bayes_ne=best + 1e-4)
        self.assertIsNone(found.half_gap)
        self.assertIn("at the Bayes NE", found.words)
        self.assertEqual(limits([line(fit)], bayes_ne=0.7), limits([line(fit)]))

    def test_an_uncertain_floor_leaves_the_end_open_and_says_so(self) -> None:
        (found,) = limits([line(law(beta=0.5, gamma=0.78, noise=1e-3, seed=3))])
        half = found.half_gap
        assert half is not None
        self.assertBetween(half.unreachable_probability, 1e-4, 1)
        self.assertGreaterEqual(half.high or np.inf, half.x)

    def test_what_cannot_be_determined(self) -> None:
        rng = np.random.default_rng(0)
        flat = fit_power_law(X, 0.8 + rng.normal(0, 1e-3, X.size))
        few = fit_power_law(X[:3], [0.9, 0.8, 0.75])
        straight = fit_power_law(X, 2 * X**-0.05 + rng.normal(0, 2e-3, X.size))
        for fit, status, why in (
            (flat, "flat", "a constant describes"),
            (few, "too_few_points", "fewer than four places"),
            (straight, "gamma_unidentified", "do not say where"),
        ):
            self.assertEqual(fit.status, status)
            (found,) = limits([line(fit)])
            self.assertEqual((found.gap, found.half_gap), (None, None))
            self.assertIn("cannot be determined", found.words)
            self.assertIn(why, found.words)
        done = fit_power_law(X, 0.2 * (X / X[0]) ** -3.0 + 0.78 + rng.normal(0, 1e-4, X.size))
        (found,) = limits([line(done, x="compute")])
        self.assertIsNone(found.half_gap)


if __name__ == "__main__":
    tf.test.main()
