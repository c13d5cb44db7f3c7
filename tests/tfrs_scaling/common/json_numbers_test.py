import json
import math

import tensorflow as tf

from tfrs_scaling.common.json_numbers import from_json, to_json


class JsonNumbersTest(tf.test.TestCase):
    def test_json_holds_no_nan_and_no_infinity(self) -> None:
        value = {"a": (1.5, math.nan), "b": [math.inf, {"c": -math.inf}], "n": 3, "text": "NaN"}
        expected = {"a": [1.5, None], "b": [None, {"c": None}], "n": 3, "text": "NaN"}
        self.assertEqual(json.loads(json.dumps(to_json(value), allow_nan=False)), expected)

    def test_null_is_read_as_nan(self) -> None:
        self.assertEqual(from_json(to_json(0.1)), 0.1)
        self.assertTrue(math.isnan(from_json(to_json(math.nan))))


if __name__ == "__main__":
    tf.test.main()
