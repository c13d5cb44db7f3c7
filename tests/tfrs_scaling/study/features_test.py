import fractions
import math

import tensorflow as tf

from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.study.features import keep_features

FEATURES = Schema(
    "click",
    tuple(CategoricalFeature(f"c{k}", 10 + k) for k in range(4)),
    tuple(DenseFeature(f"d{k}") for k in range(12)),
)


class FeaturesTest(tf.test.TestCase):
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


if __name__ == "__main__":
    tf.test.main()
