"""Tests of what results print and plot."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit import choose_law, fit_joint_law, fit_power_law
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
        self.assertLen(choose_law(LADDER, falling).plot().renderers, 5)  # a band beyond the data too

    def test_band_of_noise_ends_with_the_data(self) -> None:
        figure = fit_power_law(LADDER, 0.2 * (LADDER / 1000) ** -0.3 + 0.78).plot()
        band = next(each for each in figure.renderers if type(each.glyph).__name__ == "VArea")
        self.assertAllClose(max(band.data_source.data["x"]), LADDER[-1])

    def test_band_that_allows_for_the_form_goes_on(self) -> None:
        law = choose_law(LADDER, 0.2 * (LADDER / 1000) ** -0.3 + 0.78)
        bands = [each.data_source.data for each in law.plot().renderers if type(each.glyph).__name__ == "VArea"]
        ahead = law.predict_interval(4 * LADDER[-1])
        self.assertAllClose(
            [bands[1]["x"][-1], bands[1]["y1"][-1], bands[1]["y2"][-1]], [4 * LADDER[-1], ahead.low, ahead.high]
        )

    def test_lines_of_equal_loss_are_those_of_the_law(self) -> None:
        n, d = (values.ravel() for values in np.meshgrid([1e5, 1e6, 1e7], LADDER[:4]))
        fit = fit_joint_law(n, d, 0.5 + 30 * n**-0.3 + 4 * d**-0.25, resamples=100)
        lines = [each.data_source.data for each in fit.plot().renderers if type(each.glyph).__name__ == "Line"]
        self.assertGreater(len(lines), 3)
        for line in lines:
            self.assertAllClose(np.ptp(fit.predict(line["x"], line["y"])), 0.0, atol=1e-9)
        self.assertLen(fit_joint_law(n[:5], d[:5], np.ones(5)).plot().renderers, 1)

    def test_summary_says_what_the_intervals_assume(self) -> None:
        y = 0.2 * (LADDER / 1000) ** -0.3 + 0.78 + 1e-4 * (-1.0) ** np.arange(9)
        self.assertIn("profile likelihood", str(fit_power_law(LADDER, y)))
        grouped = fit_power_law(
            np.tile(LADDER, 3), np.tile(y, 3) + np.repeat([0, 1e-4, 2e-4], 9), groups=[*"aaabbbccc"] * 3
        )
        self.assertIn("wild cluster bootstrap", str(grouped))
        n, d = (values.ravel() for values in np.meshgrid([1e5, 1e6, 1e7], LADDER[:4]))
        for groups, units in ((None, "points"), (n, "trainings")):
            joint = fit_joint_law(n, d, 0.5 + 30 * n**-0.3 + 4 * d**-0.25, groups=groups, resamples=100)
            self.assertIn(f"bootstrap: the form is right, and {units} are independent", str(joint))


if __name__ == "__main__":
    tf.test.main()
