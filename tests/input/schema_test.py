"""The schema: what it refuses, and how it lays out the columns."""

# mypy: allow-untyped-calls
# (absl has no types)

import json
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema, scaled_size

SCHEMAS = Path(__file__).resolve().parents[2] / "tuner_configs" / "schemas"
FULL = Schema(
    label="clicked",
    categorical=(
        CategoricalFeature("user", 100),
        CategoricalFeature("tags", 20, "hash", max_values=3, separator="|"),
        CategoricalFeature("item", 50, "id"),
    ),
    dense=(DenseFeature("age", "standardize"), DenseFeature("clicks", "log1p", "reject")),
    time="ts",
    missing=("", "NA"),
)
MINIMAL: dict[str, Any] = {"label": "y", "categorical": [{"name": "c", "cardinality": 3}]}


class SchemaTest(parameterized.TestCase, tf.test.TestCase):
    """Schemas read and refused."""

    def test_round_trip_through_json(self) -> None:
        plain = json.loads(json.dumps(FULL.to_dict()))
        self.assertEqual(Schema.from_dict(plain, "f"), FULL)
        self.assertEqual(plain["categorical"][1], {
            "name": "tags", "cardinality": 20, "encoding": "hash", "min_count": 1, "max_values": 3, "separator": "|",
            "hexadecimal": False,
        })  # fmt: skip

    def test_defaults(self) -> None:
        schema = Schema.from_dict(MINIMAL, "f")
        self.assertEqual(
            schema, Schema("y", (CategoricalFeature("c", 3, "vocabulary", 1, 1, None),), (), None, None, None, ("",))
        )

    def test_columns_and_slots(self) -> None:
        self.assertEqual(FULL.columns, ["clicked", "age", "clicks", "user", "tags", "item", "ts"])
        self.assertEqual(FULL.slots, [range(0, 1), range(1, 4), range(4, 5)])

    @parameterized.named_parameters(
        ("label_as_feature", {"categorical": [{"name": "y", "cardinality": 3}]}, "column 'y' is named twice"),
        ("dense_twice", {"dense": [{"name": "d"}, {"name": "d"}]}, "column 'd' is named twice"),
        ("time_as_dense", {"dense": [{"name": "d"}], "time": "d"}, "column 'd' is named twice"),
        (
            "multi_hot_without_separator",
            {"categorical": [{"name": "c", "cardinality": 3, "max_values": 2}]},
            "categorical[0]: feature 'c': max_values above 1 and a separator must be given together",
        ),
        (
            "separator_without_multi_hot",
            {"categorical": [{"name": "c", "cardinality": 3, "separator": "|"}]},
            "max_values above 1 and a separator must be given together",
        ),
        (
            "empty_separator",
            {"categorical": [{"name": "c", "cardinality": 3, "max_values": 2, "separator": ""}]},
            "feature 'c': the separator is empty",
        ),
        ("no_feature", {"categorical": []}, "categorical: tuple should have at least 1 item"),
        ("no_rows", {"categorical": [{"name": "c", "cardinality": 0}]}, "categorical[0].cardinality: input should be"),
        (
            "int32",
            {"categorical": [{"name": "c", "cardinality": 2**31}]},
            "categorical[0].cardinality: input should be",
        ),
        ("encoding", {"categorical": [{"name": "c", "cardinality": 3, "encoding": "md5"}]}, "categorical[0].encoding"),
        ("transform", {"dense": [{"name": "d", "transform": "sqrt"}]}, "dense[0].transform: input should be 'log1p'"),
        ("nameless", {"label": ""}, "label: string should have at least 1 character"),
        ("typo", {"dense": [{"name": "d", "negatives": "zero"}]}, "dense[0].negatives'; did you mean 'negative'?"),
    )
    def test_refused(self, change: dict[str, Any], message: str) -> None:
        with self.assertRaises(InputError) as caught:
            Schema.from_dict(MINIMAL | change, "clicks.json")
        self.assertIn(message, str(caught.exception))
        self.assertStartsWith(str(caught.exception), "clicks.json: ")

    def test_shipped_schemas_are_read(self) -> None:
        genres = Schema.read(SCHEMAS / "movielens.json").categorical[-1]
        self.assertEqual(genres, CategoricalFeature("genres", 19, max_values=6, separator="|"))
        self.assertEqual(Schema.read(SCHEMAS / "flights.json").time, "ts")


class ScaledSizeTest(tf.test.TestCase):
    """``scaled_size``."""

    def test_nearest_integer_with_halves_up_and_at_least_one(self) -> None:
        for size in (1, 31, 32, 33, 96, 6041, 2**31 - 1):
            for multiplier in (Fraction(1, 64), Fraction(1, 16), Fraction(1, 4), Fraction(1), Fraction(3, 2)):
                exact = Decimal(size) * multiplier.numerator / multiplier.denominator
                nearest = int(exact.quantize(Decimal(1), ROUND_HALF_UP))
                self.assertEqual(scaled_size(size, multiplier), max(1, nearest), (size, multiplier))


if __name__ == "__main__":
    tf.test.main()
