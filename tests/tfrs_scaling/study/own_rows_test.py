"""Tests of the multiplier of V from which no ids share a row, against the rows that ids use."""

import dataclasses
import fractions
from pathlib import Path

import tensorflow as tf

from tests.helpers.studies import tiny_config, tiny_data
from tfrs_scaling.input.schema import CategoricalFeature, scaled_size
from tfrs_scaling.input.shards import short_hash
from tfrs_scaling.study.own_rows import own_rows_from


class OwnRowsTest(tf.test.TestCase):
    def test_against_the_rows_that_ids_use(self) -> None:
        config = tiny_config()
        manifest = tiny_data(config, Path(self.get_temp_dir()) / "data").manifest
        assert config.synthetic is not None
        features = config.synthetic.features

        def shares(multiplier: fractions.Fraction) -> bool:
            return any(len({i % scaled_size(f.rows, multiplier) for i in range(f.ids)}) < f.ids for f in features)

        multipliers = [fractions.Fraction(n, 8) for n in range(1, 400)]
        first = next(m for m in multipliers if not shares(m))
        found = own_rows_from(config, manifest)
        assert found is not None
        self.assertFalse(shares(fractions.Fraction(found)))
        self.assertAllClose(found, float(first), atol=1 / 8)
        self.assertIsNone(own_rows_from(dataclasses.replace(config, synthetic=None), manifest))

    def test_a_vocabulary_has_as_many_ids_as_its_table_has_rows_at_most(self) -> None:
        config = dataclasses.replace(tiny_config(), synthetic=None)
        manifest = tiny_data(tiny_config(), Path(self.get_temp_dir()) / "other").manifest

        def found(*features: CategoricalFeature, **sizes: int) -> float | None:
            schema = dataclasses.replace(manifest.schema, categorical=features)
            return own_rows_from(
                config,
                dataclasses.replace(
                    manifest, schema=schema, schema_hash=short_hash(schema.to_dict()), vocabulary_sizes=sizes
                ),
            )

        user, item = CategoricalFeature("user", 100), CategoricalFeature("item", 50)
        self.assertEqual(found(user, item, user=99, item=24), 1.0)
        self.assertEqual(found(user, item, user=49, item=24), 0.5)
        self.assertEqual(found(user, user=5_000), 1.0)  # the rarer ones share id 0 at every size
        self.assertIsNone(found(user, CategoricalFeature("item", 50, encoding="hash"), user=99))


if __name__ == "__main__":
    tf.test.main()
