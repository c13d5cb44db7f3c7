import dataclasses
import fractions

import tensorflow as tf

from tests.helpers.studies import CONFIGS
from tfrs_scaling.config import Model, Table, read_config
from tfrs_scaling.fit.schemes import SCALED
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.model.shape import Shape, baseline_shape, scale

BASELINE = Shape(table_rows=(1000, 10, 3), embedding_dim=16, bottom=(64, 32), interaction=24, overarch=(128, 2))

FEATURES = Schema("click", tuple(CategoricalFeature(f"c{k}", 10 + k) for k in range(4)))


class ShapeTest(tf.test.TestCase):
    def test_vertical_scales_every_table_and_nothing_else(self) -> None:
        self.assertEqual(
            scale(BASELINE, "V", fractions.Fraction(1, 4)),
            Shape((250, 3, 1), 16, (64, 32), 24, (128, 2)),  # 2.5 rounds up to 3, 0.75 to 1
        )

    def test_horizontal_scales_the_dimension(self) -> None:
        self.assertEqual(scale(BASELINE, "H", fractions.Fraction(4)), Shape((1000, 10, 3), 64, (64, 32), 24, (128, 2)))

    def test_horizontal_scales_tables_of_other_dimensions_in_proportion(self) -> None:
        mixed = dataclasses.replace(BASELINE, table_dims=(16, 8, 2))
        self.assertEqual(scale(mixed, "H", fractions.Fraction(1, 4)).table_dims, (4, 2, 1))

    def test_cross_network_scales_with_the_dimension_alone(self) -> None:
        cross = dataclasses.replace(BASELINE, architecture="cross", cross_layers=2, cross_rank=4)
        for scheme in ("V", "O", "M"):
            scaled = scale(cross, scheme, fractions.Fraction(1, 2))
            self.assertEqual((scaled.embedding_dim, scaled.cross_layers, scaled.cross_rank), (16, 2, 4))
        self.assertEqual(scale(cross, "H", fractions.Fraction(2)).interacted_width(FEATURES), 5 * 32)

    def test_linear_model_has_a_number_for_each_row_and_no_hidden_layer(self) -> None:
        model = Model(16, (64,), 8, (32,), architecture="linear", tables={"c1": Table(dim=4)})
        shape = baseline_shape(model, FEATURES)
        self.assertEqual(shape, Shape((10, 11, 12, 13), 1, (), 0, (), architecture="linear"))
        self.assertEqual((shape.bottom_widths(FEATURES), shape.interacted_width(FEATURES)), ((1, 1), 1))

    def test_overarch_alone(self) -> None:
        self.assertEqual(
            scale(BASELINE, "O", fractions.Fraction(1, 8)), Shape((1000, 10, 3), 16, (64, 32), 24, (16, 1))
        )

    def test_all_mlps_but_the_last_bottom_layer(self) -> None:
        self.assertEqual(
            scale(BASELINE, "M", fractions.Fraction(1, 2)), Shape((1000, 10, 3), 16, (32, 16), 12, (64, 1))
        )

    def test_no_interaction_layer_stays_none(self) -> None:
        without = Shape((10,), 4, (8,), 0, (8,))
        self.assertEqual(scale(without, "M", fractions.Fraction(8)).interaction, 0)

    def test_widths_never_fall_below_one(self) -> None:
        for scheme in SCALED:
            shape = scale(BASELINE, scheme, fractions.Fraction(1, 10**6))
            sizes = [*shape.table_rows, shape.embedding_dim, *shape.bottom, shape.interaction, *shape.overarch]
            self.assertGreaterEqual(min(sizes), 1)

    def test_features_negatives_and_epochs_change_no_size(self) -> None:
        for scheme in ("F", "N", "E"):
            self.assertEqual(scale(BASELINE, scheme, fractions.Fraction(1, 4)), BASELINE)

    def test_baseline_is_unchanged(self) -> None:
        self.assertEqual(scale(BASELINE, "D", fractions.Fraction(1)), BASELINE)
        with self.assertRaisesRegex(ValueError, "its multiplier is 1, not 2"):
            scale(BASELINE, "D", fractions.Fraction(2))

    def test_paper_grid_scales_in_exact_powers_of_two(self) -> None:
        config = read_config(CONFIGS / "paper.yaml")
        assert config.synthetic is not None
        baseline = baseline_shape(config.model, config.synthetic.schema())
        for multiplier in config.sweep.multipliers("O"):
            shape = scale(baseline, "O", multiplier)
            self.assertEqual(shape.overarch, tuple(width * multiplier for width in (1024, 512, 256)))


if __name__ == "__main__":
    tf.test.main()
