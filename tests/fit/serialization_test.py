import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit.laws.power_law import fit_power_law
from tfrs_scaling.fit.serialization import encode, finite_or_none, flat


@dataclass(frozen=True)
class Inner:
    factor: float
    interval: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner | None
    pairs: tuple[Inner, ...] = ()


class SerializationTest(tf.test.TestCase):
    def test_records_become_plain_json(self) -> None:
        record = Outer("a", Inner(math.nan, {"beta": (0.1, math.inf)}), (Inner(2.0, {}),))
        expected = {
            "name": "a",
            "inner": {"factor": None, "interval": {"beta": [0.1, None]}},
            "pairs": [{"factor": 2.0, "interval": {}}],
        }
        self.assertEqual(encode([record]), [expected])
        self.assertEqual([finite_or_none(value) for value in (1, math.nan, -math.inf)], [1.0, None, None])

    def test_a_row_of_a_table_names_what_lies_within_by_its_path(self) -> None:
        row = flat(Outer("a", Inner(2.0, {"beta": (0.1, 0.2)})))
        expected = {"name": "a", "inner_factor": 2.0, "inner_beta_low": 0.1, "inner_beta_high": 0.2, "pairs": ()}
        self.assertEqual(row, expected)
        self.assertIsNone(flat(Outer("a", None))["inner"])

    def test_a_fit_in_a_row_leaves_out_its_points(self) -> None:
        x = np.geomspace(1e3, 1e6, 8)
        law = fit_power_law(x, 0.8 + 2 * x**-0.4)
        row = flat({"fit": law})
        self.assertEqual((row["fit_beta"], row["fit_n"]), (law.beta, 8))
        self.assertEqual((row["fit_beta_low"], row["fit_beta_high"]), law.interval["beta"])
        self.assertFalse([name for name, value in row.items() if isinstance(value, list)])


if __name__ == "__main__":
    tf.test.main()
