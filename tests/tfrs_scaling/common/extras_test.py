import importlib.util
from typing import Any
from unittest import mock

import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.extras import check_tensorflow


class ExtrasTest(tf.test.TestCase):
    def test_says_what_is_absent_and_what_installs_it(self) -> None:
        check_tensorflow()  # which the tests have
        found = importlib.util.find_spec

        def all_but_tfrs(name: str) -> Any:
            return None if name == "tensorflow_recommenders" else found(name)

        remedies = {
            "linux": r"pip install 'tfrs_scaling\[tensorflow\]'$",
            "darwin": r"pip install 'tfrs_scaling\[tensorflow\]', then pip install --no-deps tensorflow-recommenders$",
        }
        for platform, remedy in remedies.items():
            with (
                mock.patch("importlib.util.find_spec", all_but_tfrs),
                mock.patch("sys.platform", platform),
                self.assertRaisesRegex(InputError, f"needs tensorflow_recommenders, not installed here: {remedy}"),
            ):
                check_tensorflow()


if __name__ == "__main__":
    tf.test.main()
