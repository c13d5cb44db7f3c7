"""Tests of which parameters of a law move: planted laws that differ in one of them."""

import numpy as np
import tensorflow as tf

from tests.helpers.curves import LADDER, law, line
from tfrs_scaling.fit.analyses.parameter_changes import LETTERS, ParameterChange, parameter_changes


class ParameterChangesTest(tf.test.TestCase):
    def changes(self, noise: float, second: dict[str, float], seed: int = 0) -> dict[str, ParameterChange]:
        rng = np.random.default_rng(seed)
        laws = {
            name: line([law(x, **changed) for x in LADDER], noise=noise, rng=rng, seeds=3).fit()
            for name, changed in (("D", dict[str, float]()), ("T at 1", second))
        }
        records = parameter_changes(laws, "D")
        self.assertEqual({(record.first, record.second) for record in records}, {("D", "T at 1")})
        return {record.parameter: record for record in records}

    def test_only_what_was_planted_moves(self) -> None:
        planted = {"alpha": {"needs": 0.5}, "beta": {"beta": 0.5}, "gamma": {"gamma": 0.75}}
        for parameter, changed in planted.items():
            found = self.changes(2e-5, changed)
            verdicts = {name: record.verdict for name, record in found.items()}
            # alpha is the loss above gamma at x = 1, far below the data: a steeper law has a larger one.
            moving = {parameter, *(["alpha"] if parameter == "beta" else [])}
            self.assertEqual(verdicts, {name: "moves" if name in moving else "does not move" for name in LETTERS})

    def test_values_and_changes_by_hand(self) -> None:
        found = self.changes(2e-5, {"gamma": 0.75})
        truth = {"alpha": (0.2 * LADDER[0] ** 0.4,) * 2, "beta": (0.4, 0.4), "gamma": (0.78, 0.75)}
        for name, record in found.items():
            ends = record.first_low, record.first_high, record.second_low, record.second_high, record.low, record.high
            low, high, other_low, other_high, least, most = (float(end) for end in ends if end is not None)
            before, after = truth[name]
            self.assertBetween(before, low, high)
            self.assertBetween(after, other_low, other_high)
            self.assertBetween(after - before, least, most)
            self.assertAllClose((record.first_value, record.second_value), truth[name], rtol=0.05)
        self.assertRegex(
            found["gamma"].words, r"^γ changes by −0\.0[23]\d+ \(95% interval −0\.03\d+ to −0\.02\d+\), which"
        )

    def test_equal_laws_seldom_move(self) -> None:
        verdicts = [record.verdict for seed in range(8) for record in self.changes(1e-3, {}, seed).values()]
        self.assertLessEqual(verdicts.count("moves"), 4)
        self.assertIn("cannot tell", verdicts)

    def test_law_that_is_not_known_cannot_tell_and_says_why(self) -> None:
        sound, flat = line([law(x) for x in LADDER], noise=1e-5).fit(), line([0.9 for _ in LADDER], noise=1e-3).fit()
        for other, why in ((flat, "β of T at 1 is not known: flat."), (None, "not known: too few data sizes.")):
            records = parameter_changes({"D": sound, "T at 1": other}, "D")
            self.assertEqual({record.verdict for record in records}, {"cannot tell"})
            self.assertEndsWith(records[1].words, why)
        self.assertEqual(parameter_changes({"T at 1": sound}, "D"), [])


if __name__ == "__main__":
    tf.test.main()
