"""Tests of effects: intervals worked out by hand, and how often a study of nothing shows something."""

import dataclasses
import math

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import optimize, stats

from tests.helpers.levers import NOISE, Scenario
from tests.helpers.noise import ladders_of, noise
from tests.helpers.planted import planted_row
from tfrs_scaling.fit.analyses.effects import Effect, effects
from tfrs_scaling.fit.analyses.noise.training_noise import TrainingNoise
from tfrs_scaling.fit.runs.run_table import COLUMNS


def table(*points: tuple[str, str, float, int, int, float]) -> pd.DataFrame:
    """Rows of (architecture, scheme, multiplier, seed, examples, ne)."""
    rows = [
        planted_row(scheme, multiplier, seed, 0.02, examples, ne)
        | {"architecture": architecture, "trial_id": f"{architecture}-{scheme}-{multiplier:g}-{seed}"}
        for architecture, scheme, multiplier, seed, examples, ne in points
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def effects_of(rows: pd.DataFrame, known: TrainingNoise | None = None, base: str = "dot") -> list[Effect]:
    """The effects of a study, with its own noise or with one that is known."""
    names = sorted(rows["architecture"].unique())
    noises = [None if known is None else dataclasses.replace(known, architecture=name) for name in names]
    return effects([ladders_of(rows, own, architecture=name) for name, own in zip(names, noises, strict=True)], base)


class EffectsTest(tf.test.TestCase):
    def test_interval_by_hand(self) -> None:
        rows = table(
            ("dot", "D", 1.0, 0, 2000, 0.850), ("dot", "D", 1.0, 1, 2000, 0.852), ("dot", "D", 1.0, 0, 4000, 0.80),
            ("dot", "V", 4.0, 0, 2000, 0.840), ("dot", "N", 0.25, 0, 2000, 0.8515),
            ("dot", "H", 2.0, 0, 8000, 0.7),
        )  # fmt: skip
        found = effects_of(rows, noise(0.001, 10))
        # H was measured where the baseline was not
        self.assertEqual([(r.scheme, r.multiplier) for r in found], [("V", 4.0), ("N", 0.25)])
        vertical, negatives = found
        self.assertAllClose(vertical.change, 0.840 - 0.851)
        # Two shapes against one baseline, which is the mean of two trainings (Dunnett 1955): their differences have the
        # correlation 1/2 / (1 + 1/2).
        limit = stats.multivariate_t([0, 0], [[1, 1 / 3], [1 / 3, 1]], df=10)
        factor = optimize.brentq(lambda q: float(limit.cdf([q, q], lower_limit=[-q, -q])) - 0.95, 2, 4)
        half = factor * 0.001 * math.sqrt(1 + 1 / 2)
        self.assertAllClose((vertical.low, vertical.high), (-0.011 - half, -0.011 + half), atol=0.1 * half, rtol=0)
        self.assertEqual((vertical.outcome, negatives.outcome), ("lower", "≈"))
        self.assertEqual(vertical.examples, 2000)
        same = [(at.change, at.low) for at in (vertical.at_compute, vertical.at_rows) if at is not None]
        self.assertEqual(same, 2 * [(vertical.change, vertical.low)])  # more rows of tables cost neither

    def test_epochs_at_equal_compute(self) -> None:
        rows = table(
            ("dot", "D", 1.0, 0, 1000, 0.90), ("dot", "D", 1.0, 0, 2000, 0.88), ("dot", "D", 1.0, 0, 4000, 0.85),
            ("dot", "E", 2.0, 0, 1000, 0.89), ("dot", "E", 2.0, 0, 2000, 0.87), ("dot", "E", 2.0, 0, 4000, 0.845),
        )  # fmt: skip
        [record] = effects_of(rows, noise(0.001, 10))
        self.assertAllClose((record.examples, record.change), (4000, -0.005))
        equal = record.at_compute  # two passes over 2,000 rows against one over 4,000
        assert equal is not None
        self.assertAllClose((equal.examples, equal.ne, equal.baseline), (2000, 0.87, 0.85))
        self.assertEqual(equal.outcome, "higher")

    def test_every_lever_at_equal_cost_is_compared_with_the_law_of_the_data(self) -> None:
        sizes, flops = [1000 * 2**rung for rung in range(8)], planted_row("D", 1.0, 0, 0.02, 1, 0.9)["flops_train"]
        scored = {"scorer_examples": 3000, "scorer_compute": 700.0 * float(str(flops))}

        def law(examples: float) -> float:
            return 0.6 + 2.0 * examples**-0.3

        levers = [("M", 4.0, {}), ("N", 0.25, {}), ("P-hard", 0.25, scored), ("T", 1.0, scored), ("H", 0.5, {})]
        rows = [planted_row("D", 1.0, 0, 0.02, n, law(n)) for n in sizes]
        for scheme, multiplier, columns in levers:
            rows += [planted_row(scheme, multiplier, 0, 0.02, n, law(n) - 0.01) | columns for n in sizes]
        named = [row | {"trial_id": f"{row['scheme']}-{row['multiplier']}"} for row in rows]
        runs = pd.DataFrame(named, columns=list(COLUMNS)).astype(COLUMNS)
        found = {record.scheme: record for record in effects_of(runs, noise(0.001, 10))}
        wide = {scheme: runs[runs["scheme"] == scheme]["flops_train"].iloc[0] / float(str(flops)) for scheme in "MH"}
        for scheme, at, factor, constant in (
            ("M", "compute", wide["M"], 0), ("H", "compute", wide["H"], 0), ("N", "rows", 1 / (0.2 + 0.8 * 0.25), 0),
            ("P-hard", "rows", 4, 3000), ("P-hard", "compute", 1, 700), ("T", "rows", 1, 3000),
            ("T", "compute", 1, 700),
        ):  # fmt: skip
            cost = {n: factor * n + constant for n in sizes}
            change = getattr(found[scheme], f"at_{at}")
            largest = max(n for n in sizes if sizes[0] <= cost[n] <= sizes[-1])
            self.assertEqual(change.examples, largest, (scheme, at))
            self.assertAllClose(change.change, law(largest) - 0.01 - law(cost[largest]), atol=2e-4, rtol=0)
            self.assertAllClose(getattr(found[scheme], f"{at}_times"), cost[sizes[-1]] / sizes[-1], rtol=1e-6)
        times = found["M"].parameters_times
        assert times is not None and found["M"].per_doubling is not None
        self.assertAllClose(found["M"].per_doubling[0], -0.01 / math.log2(times), rtol=1e-6)
        self.assertIsNone(found["N"].per_doubling)

    def test_another_architecture_is_scheme_a(self) -> None:
        rows = table(
            ("dot", "D", 1.0, 0, 1000, 0.9), ("dot", "V", 4.0, 0, 1000, 0.9), ("cross", "D", 1.0, 0, 1000, 0.85)
        )
        found = {(r.architecture, r.scheme): r.outcome for r in effects_of(rows, noise(0.001, 10))}
        self.assertEqual(found, {("cross", "A"): "lower", ("dot", "V"): "≈"})

    def test_sizes_of_another_architecture_change_by_each_doubling_of_its_own_parameters(self) -> None:
        rows = table(
            ("dot", "D", 1.0, 0, 1000, 0.9), ("cross", "D", 1.0, 0, 1000, 0.85), ("cross", "A", 4.0, 0, 1000, 0.83),
            ("cross", "A", 0.25, 0, 1000, 0.86),
        )  # fmt: skip
        # The parts add up to the total, so that all of a size is in its tables here.
        for size, parameters in ((4.0, 8000), (1.0, 2000), (0.25, 1000)):
            own = (rows["architecture"] == "cross") & (rows["multiplier"] == size)
            rows.loc[own, "params_total"] = parameters
        found = {r.multiplier: r for r in effects_of(rows, noise(0.001, 10)) if r.scheme == "A"}
        for size, each in ((4.0, -0.02 / 2), (0.25, 0.01 / -1)):
            slope = found[size].per_doubling
            assert slope is not None and slope[1] is not None and slope[2] is not None
            self.assertAllClose(slope[0], each)
            self.assertTrue(slope[1] < slope[0] < slope[2])

    def test_shapes_no_smaller_than_the_baseline_are_one_family_and_smaller_ones_another(self) -> None:
        others = [("dot", "H", 2.0**k, 0, 1000, 0.9) for k in range(1, 10)]
        smaller = [("dot", "H", 2.0**-k, 0, 1000, 0.9) for k in range(1, 4)]
        change = 2.4 * 0.001 * math.sqrt(2)  # one comparison needs 1.96 standard errors, ten with one baseline 2.7
        shape = ("dot", "V", 4.0, 0, 1000, 0.9 - change)
        baseline = ("dot", "D", 1.0, 0, 1000, 0.9)
        found = effects_of(table(baseline, shape, *others), noise(0.001, 1000))
        self.assertEqual([record.outcome for record in found], ["≈"] * 10)
        assert found[0].low is not None and found[0].high is not None
        self.assertBetween(0.0, found[0].low, found[0].high)
        for rest in ([], smaller):
            vertical = effects_of(table(baseline, shape, *rest), noise(0.001, 1000))[0]
            self.assertEqual(vertical.outcome, "lower")
            assert vertical.high is not None
            self.assertLess(vertical.high, 0.0)

    def test_unknown_noise_leaves_everything_open(self) -> None:
        rows = table(("dot", "D", 1.0, 0, 1000, 0.9), ("dot", "V", 4.0, 0, 1000, 0.5))
        [record] = effects_of(rows)
        self.assertEqual((record.outcome, record.low, record.high), ("noise unknown", None, None))
        self.assertIn("unknown", record.why)
        self.assertEqual(effects_of(rows[rows["scheme"] == "V"]), [])
        self.assertEqual(effects_of(rows[:0]), [])

    def test_a_study_of_nothing_shows_something_larger_one_time_in_twenty_and_something_smaller(self) -> None:
        rng, scenario, larger, smaller = np.random.default_rng(1), Scenario("params=4x", {}, None), 0, 0
        for _ in range(40):
            found = effects_of(scenario.study(rng), noise(NOISE, 1000))
            multipliers = [record.multiplier for record in found if record.outcome in ("lower", "higher")]
            larger += any(multiplier > 1 for multiplier in multipliers)
            smaller += any(multiplier < 1 for multiplier in multipliers)
        self.assertLessEqual(max(larger, smaller), stats.binom(40, 0.05).ppf(0.999))

    def test_three_standard_errors_beyond_the_limit_are_found(self) -> None:
        rows = Scenario("params=4x", {"V": 7.0}, None).study(np.random.default_rng(2))
        found = {(r.scheme, r.multiplier): r.outcome for r in effects_of(rows)}
        self.assertEqual((found["V", 4.0], found["V", 0.25]), ("lower", "higher"))


if __name__ == "__main__":
    tf.test.main()
