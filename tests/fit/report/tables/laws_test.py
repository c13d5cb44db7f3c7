"""Tests of what the tables say of a law: whether its form fits, and what its intervals are."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law
from tfrs_scaling.fit.report.tables.laws import fits_table

LADDER = np.repeat(1000.0 * 2.0 ** np.arange(9), 2)
TRUE = 0.2 * (LADDER / 1000) ** -0.3 + 0.78
NOISE = np.random.default_rng(0).normal(0, 1e-4, LADDER.size)


def shown(fit: PowerLawFit) -> dict[str, tuple[str, str]]:
    """The cells of one law by column: text and small print."""
    table = fits_table([LineFit("dot", "V", "data", "4", fit)])
    [row] = table.rows
    return {column.key: (cell.text, cell.small) for column, cell in zip(table.shown, row, strict=True)}


class TablesTest(tf.test.TestCase):
    def test_a_law_of_the_right_form_fits(self) -> None:
        form, small = shown(fit_power_law(LADDER, TRUE + NOISE))["form"]
        self.assertEqual(form, "fits")
        self.assertRegex(small, r"^(lack of fit|runs) p = 0\.\d+$")

    def test_a_curve_that_bends_otherwise_is_a_misfit(self) -> None:
        bent = TRUE + 0.01 * np.sin(np.log(LADDER))
        self.assertEqual(shown(fit_power_law(LADDER, bent + NOISE))["form"][0], "misfit")

    def test_nothing_is_said_of_what_was_not_fitted(self) -> None:
        cells = shown(fit_power_law([1, 2, 3], [3, 2, 1]))
        self.assertEqual((cells["form"], cells["intervals"]), (("untested", ""), ("", "")))

    def test_intervals_are_named(self) -> None:
        self.assertEqual(shown(fit_power_law(LADDER, TRUE + NOISE))["intervals"][0], "profile likelihood")
        seeds = np.tile(["a", "b"], 9)
        self.assertEqual(
            shown(fit_power_law(LADDER, TRUE + NOISE, groups=seeds))["intervals"][0], "wild cluster bootstrap"
        )


if __name__ == "__main__":
    tf.test.main()
