import dataclasses
import fractions

import tensorflow as tf

from tests.helpers.studies import CONFIGS
from tfrs_scaling.config import Model, Table, Wukong, read_config
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

    def test_dense_part_by_the_architecture_s_own_rule(self) -> None:
        times_4 = fractions.Fraction(4)
        for architecture in ("dot", "mlp"):
            shape = dataclasses.replace(BASELINE, architecture=architecture)
            self.assertEqual(scale(shape, "A", times_4), scale(shape, "M", times_4))
        cross = dataclasses.replace(BASELINE, architecture="cross", cross_layers=3, cross_rank=10)
        scaled = scale(cross, "A", times_4)
        self.assertEqual((scaled.cross_layers, scaled.cross_rank), (6, 40))
        self.assertEqual(scaled.overarch, scale(cross, "M", times_4).overarch)
        self.assertEqual(scale(dataclasses.replace(cross, cross_rank=0), "A", times_4).cross_rank, 0)

    def test_wukong_scales_from_the_paper_s_smallest_model_towards_its_largest(self) -> None:
        # Zhang et al. (2024), Table 5: from 2 layers, n_l = n_f = 8, k = 24 and an MLP of 3 x 2,048 to 8 layers,
        # n_l = n_f = k = 192 and 3 x 16,384.
        small = dataclasses.replace(BASELINE, architecture="wukong", wukong=Wukong(2, 8, 8, 24, (2048,) * 3))
        large = scale(small, "A", fractions.Fraction(8))
        self.assertEqual(large.wukong, Wukong(6, 64, 64, 192, (16_384,) * 3))
        self.assertEqual(dataclasses.replace(large, wukong=small.wukong), small)
        self.assertEqual(scale(small, "A", fractions.Fraction(1, 10**6)).wukong, Wukong(1, 1, 1, 1, (1,) * 3))
        wide = scale(small, "M", fractions.Fraction(2))
        self.assertEqual(wide.wukong, dataclasses.replace(small.wukong, mlp=(4096,) * 3))

    def test_no_interaction_layer_stays_none(self) -> None:
        without = Shape((10,), 4, (8,), 0, (8,))
        self.assertEqual(scale(without, "M", fractions.Fraction(8)).interaction, 0)

    def test_widths_never_fall_below_one(self) -> None:
        for scheme in SCALED:
            shape = scale(BASELINE, scheme, fractions.Fraction(1, 10**6))
            sizes = [*shape.table_rows, shape.embedding_dim, *shape.bottom, shape.interaction, *shape.overarch]
            self.assertGreaterEqual(min(sizes), 1)

    def test_features_negatives_epochs_and_teachers_change_no_size(self) -> None:
        for scheme in ("F", "N", "E", "T"):
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
