import dataclasses
import fractions
import math

import tensorflow as tf

from tests.helpers.studies import CONFIGS
from tfrs_scaling.config import SCALING_SCHEMES, read_config
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.model.shape import Shape, baseline_shape, keep_features, scale

BASELINE = Shape(table_rows=(1000, 10, 3), embedding_dim=16, bottom=(64, 32), interaction=24, overarch=(128, 2))

FEATURES = Schema(
    "click",
    tuple(CategoricalFeature(f"c{k}", 10 + k) for k in range(4)),
    tuple(DenseFeature(f"d{k}") for k in range(12)),
)


class SchemesTest(tf.test.TestCase):
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
        for scheme in SCALING_SCHEMES:
            shape = scale(BASELINE, scheme, fractions.Fraction(1, 10**6))
            sizes = [*shape.table_rows, shape.embedding_dim, *shape.bottom, shape.interaction, *shape.overarch]
            self.assertGreaterEqual(min(sizes), 1)

    def test_features_and_negatives_change_no_size(self) -> None:
        for scheme in ("F", "N"):
            self.assertEqual(scale(BASELINE, scheme, fractions.Fraction(1, 4)), BASELINE)

    def test_kept_features_are_nested_and_always_hold_a_category(self) -> None:
        for seed in range(50):
            larger = FEATURES
            for count in range(15, 0, -1):
                kept = keep_features(FEATURES, fractions.Fraction(count, 16), seed)
                self.assertEqual(len(kept.dense) + len(kept.categorical), count)
                self.assertGreaterEqual(len(kept.categorical), 1)
                # In the schema's order, and within the larger set.
                self.assertEqual(kept.dense, tuple(f for f in larger.dense if f in kept.dense))
                self.assertEqual(kept.categorical, tuple(f for f in larger.categorical if f in kept.categorical))
                larger = kept

    def test_number_of_kept_features_is_rounded_halves_up(self) -> None:
        for share, count in (("1/1000", 1), ("3/32", 2), ("1/2", 8), ("99/100", 16)):  # 3/32 of 16 is 1.5
            kept = keep_features(FEATURES, fractions.Fraction(share), 0)
            self.assertEqual(len(kept.dense) + len(kept.categorical), count, share)

    def test_each_feature_is_as_likely_to_be_kept_but_where_a_category_has_to_be(self) -> None:
        sets = [keep_features(FEATURES, fractions.Fraction(1, 2), seed) for seed in range(2000)]
        dense = [feature.name for kept in sets for feature in kept.dense]
        categorical = [feature.name for kept in sets for feature in kept.categorical]
        # Any 8 of 16; among those without one of the 4 categories, the last dense feature gives way to one.
        without = math.comb(12, 8) / math.comb(16, 8)
        for feature in FEATURES.dense:
            self.assertNear(dense.count(feature.name) / 2000, 1 / 2 - without / 12, 0.045)
        for category in FEATURES.categorical:
            self.assertNear(categorical.count(category.name) / 2000, 1 / 2 + without / 4, 0.045)

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
