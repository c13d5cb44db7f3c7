"""Tests of effects: intervals worked out by hand, and how often a study of nothing shows something."""

import math

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import stats

from tests.helpers.levers import NOISE, Scenario
from tests.helpers.planted import planted_row
from tfrs_scaling.fit.analyses.effects import effects
from tfrs_scaling.fit.analyses.noise import Noise, training_noise
from tfrs_scaling.fit.runs import COLUMNS


def table(*points: tuple[str, str, float, int, int, float]) -> pd.DataFrame:
    """Rows of (architecture, scheme, multiplier, seed, examples, ne)."""
    rows = [
        planted_row(scheme, multiplier, seed, 0.02, examples, ne)
        | {"architecture": architecture, "trial_id": f"{architecture}-{scheme}-{multiplier:g}-{seed}"}
        for architecture, scheme, multiplier, seed, examples, ne in points
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


class EffectsTest(tf.test.TestCase):
    def test_interval_by_hand(self) -> None:
        rows = table(
            ("dot", "D", 1.0, 0, 2000, 0.850), ("dot", "D", 1.0, 1, 2000, 0.852), ("dot", "D", 1.0, 0, 4000, 0.80),
            ("dot", "V", 4.0, 0, 2000, 0.840), ("dot", "N", 0.25, 0, 2000, 0.8515),
            ("dot", "H", 2.0, 0, 8000, 0.7),
        )  # fmt: skip
        found = effects(rows, Noise(0.001, 10, "seeds"))
        # H was measured where the baseline was not
        self.assertEqual([(r.scheme, r.multiplier) for r in found], [("V", 4.0), ("N", 0.25)])
        vertical, negatives = found
        self.assertAllClose(vertical.change, 0.840 - 0.851)
        # three shapes besides the baseline, each at a level of 1 - 0.05 / 3; one training against the mean of two
        half = stats.t(10).ppf(1 - 0.05 / 6) * 0.001 * math.sqrt(1 + 1 / 2)
        self.assertAllClose((vertical.low, vertical.high), (-0.011 - half, -0.011 + half))
        self.assertEqual((vertical.outcome, negatives.outcome), ("lower", "≈"))
        self.assertEqual(vertical.examples, 2000)
        self.assertIsNone(vertical.equal_compute)

    def test_epochs_at_equal_compute(self) -> None:
        rows = table(
            ("dot", "D", 1.0, 0, 1000, 0.90), ("dot", "D", 1.0, 0, 2000, 0.88), ("dot", "D", 1.0, 0, 4000, 0.85),
            ("dot", "E", 2.0, 0, 1000, 0.89), ("dot", "E", 2.0, 0, 2000, 0.87), ("dot", "E", 2.0, 0, 4000, 0.845),
        )  # fmt: skip
        [record] = effects(rows, Noise(0.001, 10, "seeds"))
        self.assertAllClose((record.examples, record.change), (4000, -0.005))
        equal = record.equal_compute  # two passes over 2,000 rows against one over 4,000
        assert equal is not None
        self.assertAllClose((equal.examples, equal.ne, equal.baseline), (2000, 0.87, 0.85))
        self.assertEqual(equal.outcome, "higher")

    def test_another_architecture_is_scheme_a(self) -> None:
        rows = table(
            ("dot", "D", 1.0, 0, 1000, 0.9), ("dot", "V", 4.0, 0, 1000, 0.9), ("cross", "D", 1.0, 0, 1000, 0.85)
        )
        found = {(r.architecture, r.scheme): r.outcome for r in effects(rows, Noise(0.001, 10, "seeds"))}
        self.assertEqual(found, {("cross", "A"): "lower", ("dot", "V"): "≈"})

    def test_unknown_noise_leaves_everything_open(self) -> None:
        rows = table(("dot", "D", 1.0, 0, 1000, 0.9), ("dot", "V", 4.0, 0, 1000, 0.5))
        [record] = effects(rows, training_noise(rows))
        self.assertEqual((record.outcome, record.low, record.high), ("≈", None, None))
        self.assertEqual(effects(rows[rows["scheme"] == "V"], training_noise(rows)), [])
        self.assertEqual(effects(rows[:0], training_noise(rows)), [])

    def test_a_study_of_nothing_shows_something_one_time_in_twenty(self) -> None:
        rng, scenario, shown = np.random.default_rng(1), Scenario("params=4x", {}, None), 0
        for _ in range(40):
            rows = scenario.study(rng)
            shown += any(record.outcome != "≈" for record in effects(rows, Noise(NOISE, 1000, "seeds")))
        self.assertLessEqual(shown, stats.binom(40, 0.05).ppf(0.999))

    def test_three_standard_errors_beyond_the_limit_are_found(self) -> None:
        rows = Scenario("params=4x", {"V": 7.0}, None).study(np.random.default_rng(2))
        found = {(r.scheme, r.multiplier): r.outcome for r in effects(rows, training_noise(rows))}
        self.assertEqual((found["V", 4.0], found["V", 0.25]), ("lower", "higher"))


if __name__ == "__main__":
    tf.test.main()
