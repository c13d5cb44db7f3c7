import dataclasses
from typing import get_args

import tensorflow as tf

from tfrs_scaling.config import Sweep
from tfrs_scaling.fit.schemes import BASELINE, LISTED, SCHEMES, SIZES, Axis


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class SchemesTest(tf.test.TestCase):
    def test_the_papers_schemes_are_ranked_against_one_another(self) -> None:
        self.assertEqual(SIZES, ("V", "H", "O", "M"))
        self.assertEqual(SCHEMES[BASELINE].axes, ("data",))

    def test_every_scheme_with_multipliers_is_a_key_of_sweep(self) -> None:
        self.assertContainsSubset({*LISTED, "VH", "P"}, {field.name for field in dataclasses.fields(Sweep)})

    def test_a_curve_is_seen_on_its_page(self) -> None:
        for scheme in SCHEMES.values():
            light, dark = map(luminance, scheme.colours)
            self.assertGreaterEqual(1.05 / (light + 0.05), 3, scheme.letter)  # WCAG 2.1: graphics on white
            self.assertGreaterEqual((dark + 0.05) / 0.05, 3, scheme.letter)  # on black
            self.assertContainsSubset(scheme.axes, get_args(Axis))
        for page in (0, 1):
            self.assertLen({scheme.colours[page] for scheme in SCHEMES.values()}, len(SCHEMES))


if __name__ == "__main__":
    tf.test.main()
