"""Tests that every function of columns refuses what NumPy would quietly take otherwise than it is meant."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrs_scaling.fit import choose_law, fit_frontier, fit_joint_law, fit_law, fit_learning_curve, fit_power_law
from tfrs_scaling.fit.laws.frontier import grid_edge, pareto_frontier
from tfrs_scaling.fit.laws.plateau import power_law_region

X = 1000 * 2.0 ** np.arange(8)
Y = 0.7 + 0.2 * (X / 1000) ** -0.3
FUNCTIONS: tuple[Callable[[Any, Any], object], ...] = (
    choose_law,
    fit_frontier,
    fit_learning_curve,
    fit_power_law,
    grid_edge,
    pareto_frontier,
    power_law_region,
    lambda x, y: fit_joint_law(x, X, y),
    lambda x, y: fit_law(lambda at, a, b: a + b * at, x, y, start=[1, 1]),
)


class ValidationTest(tf.test.TestCase):
    def test_misread_columns_are_refused_everywhere(self) -> None:
        for message, x, y in (
            (r"\w+ has shape \(2, 4\); it must be one-dimensional.* \w+\.ravel\(\)", X.reshape(2, 4), Y.reshape(2, 4)),
            (r"\w+ has shape \(2, 4\); it must be one-dimensional", X.reshape(2, 4), Y),
            (r"\w+ must hold real numbers.*datetime64.*seconds", pd.date_range("2026-01-01", periods=8), Y),
            (r"\w+ must hold real numbers.*timedelta64.*seconds", pd.to_timedelta(X, unit="s"), Y),
            (r"\w+ and \w+ are Series with different indexes \(1 to 8; 0 to 7\), but points are matched by position",
             pd.Series(X), pd.Series(Y, index=range(1, 9))),
        ):  # fmt: skip
            for function in FUNCTIONS:
                with self.assertRaisesRegex(ValueError, message):
                    function(x, y)


if __name__ == "__main__":
    tf.test.main()
