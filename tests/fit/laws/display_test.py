"""Tests of what results print and plot."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit import choose_law, fit_power_law
from tfrs_scaling.fit.laws.display import columns, facts

LADDER = 1000.0 * 2.0 ** np.arange(9)


class DisplayTest(tf.test.TestCase):
    """Tables of text and figures."""

    def test_cells_are_aligned(self) -> None:
        self.assertEqual(columns([("", "estimate"), ("beta", "0.3")]), "      estimate\nbeta       0.3")
        self.assertEqual(facts({"n": "9", "left out": "", "noise": "0"}), "n         9\nnoise     0")

    def test_a_fit_prints_its_parameters_and_escapes_html(self) -> None:
        fit = fit_power_law(LADDER, 0.2 * (LADDER / 1000) ** -0.3 + 0.78)
        for word in ("alpha", "0.78", fit.status.meaning):
            self.assertIn(word, str(fit))
        self.assertStartsWith(fit._repr_html_(), "<pre>")
        self.assertNotIn("alpha", str(fit_power_law([1, 2, 3], [3, 2, 1])).split("\n", 1)[1])

    def test_only_a_law_that_describes_its_points_is_drawn(self) -> None:
        falling = 0.2 * (LADDER / 1000) ** -0.3 + 0.78
        self.assertLen(fit_power_law(LADDER, falling).plot().renderers, 4)  # band, law, extrapolation, points
        self.assertLen(fit_power_law(LADDER, falling[::-1]).plot().renderers, 1)
        self.assertLen(choose_law(LADDER, falling).plot().renderers, 3)


if __name__ == "__main__":
    tf.test.main()
