"""Tests of the joint law of a scheme and its compute-optimal path, against the closed form."""

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.planted import planted_row
from tfrs_scaling.fit.analyses.joint import joint_record, measured_cost
from tfrs_scaling.fit.analyses.lines import points
from tfrs_scaling.fit.runs.run_table import COLUMNS

E, A, a, B, b = 0.75, 3.0, 0.4, 4.0, 0.35
MULTIPLIERS = (1 / 16, 1 / 4, 1.0, 4.0, 16.0)
LADDER = tuple(10_000 * 4**rung for rung in range(5))


def study(scheme: str, noise: float = 1e-4) -> pd.DataFrame:
    """NE by a joint law of the parameters outside the tables, whose cost is six FLOPs each; V's costs nothing."""
    rng, rows = np.random.default_rng(0), []
    for multiplier in MULTIPLIERS:
        for examples in LADDER:
            n = round(20_000 * multiplier)
            ne = E + A * n**-a + B * examples**-b + rng.normal(0, noise)
            name = "D" if multiplier == 1 else scheme
            tables = 0 if scheme == "V" else 500_000
            sizes = {"params_embedding": tables, "params_bottom": 0, "params_interaction": 0, "params_overarch": n}
            flops = 6 * (20_000 if scheme == "V" else n)
            rows.append(
                planted_row(name, multiplier, 0, 0.02, examples, ne) | sizes
                | {"trial_id": f"{name}-{multiplier:g}", "params_total": n + tables, "flops_train": flops,
                   "compute": float(flops * examples)}
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


class JointRecordTest(tf.test.TestCase):
    def test_path_is_the_closed_form(self) -> None:
        rows = points(study("M"), "dot", "M")
        record = joint_record(rows, "dot", "M")
        assert record is not None
        self.assertEqual((record.fit.status, record.parameters), ("ok", "outside the embedding tables"))
        self.assertAllClose([getattr(record.fit, name) for name in "Eab"], [E, a, b], rtol=0.03)
        self.assertLen(record.path, 5)
        for step in record.path:  # equation 4 of Hoffmann et al. (2022), the cost being 6 n
            n = (a * A / (b * B)) ** (1 / (a + b)) * (step.budget / 6) ** (b / (a + b))
            self.assertAllClose(step.n, n, rtol=0.15)
            self.assertAllClose(step.n * step.d * 6, step.budget, rtol=0.02)
            truth = E + A * n**-a + B * (step.budget / 6 / n) ** -b
            self.assertBetween(truth, (step.low or 0) - 5e-4, (step.high or 1) + 5e-4)
        largest = 6 * 20_000 * 16 * LADDER[-1]
        self.assertAllClose(record.path[-1].budget, 10 * largest)
        self.assertTrue(record.path[0].measured)
        self.assertIn("the best use is", record.words)

    def test_rows_of_tables_cost_no_compute(self) -> None:
        record = joint_record(points(study("V"), "dot", "V"), "dot", "V")
        assert record is not None
        self.assertEqual((record.fit.status, record.path, record.parameters), ("ok", (), "all"))
        self.assertIn("no compute-optimal split", record.words)

    def test_no_split_where_parameters_do_nothing(self) -> None:
        flat = study("M")
        flat["test_ne"] = E + B * flat["examples"] ** -b + np.random.default_rng(1).normal(0, 1e-3, len(flat))
        record = joint_record(points(flat, "dot", "M"), "dot", "M")
        assert record is not None
        self.assertIn(record.fit.status, ("flat", "exponent_at_bound"))
        self.assertEqual(record.path, ())
        self.assertIn("no split follows", record.words)

    def test_too_few_sizes(self) -> None:
        rows = points(study("M"), "dot", "M")
        self.assertIsNone(joint_record(rows[rows["multiplier"] >= 4], "dot", "M"))
        self.assertIsNone(joint_record(rows[:0], "dot", "M"))
        self.assertIsNone(measured_cost(rows[rows["multiplier"] == 1]))


if __name__ == "__main__":
    tf.test.main()
