import os
from unittest import mock

import tensorflow as tf

from tfrs_scaling.strategy import choose_strategy, make_strategy


class StrategyTest(tf.test.TestCase):
    def test_asked_for(self) -> None:
        self.assertEqual(choose_strategy("mirrored"), ("mirrored", "--strategy mirrored"))

    def test_auto_prefers_tpu_then_gpu_then_cpu(self) -> None:
        for environment, gpu, expected in (
            ({"TPU_NAME": "local"}, True, "tpu"),
            ({}, True, "mirrored"),
            ({"CUDA_VISIBLE_DEVICES": "-1"}, True, "cpu"),
            ({}, False, "cpu"),
        ):
            with (
                mock.patch.dict(os.environ, environment, clear=True),
                mock.patch("tfrs_scaling.strategy.Path.exists", return_value=gpu),
            ):
                self.assertEqual(choose_strategy("auto")[0], expected)

    def test_cpu_is_tensorflow_s_default(self) -> None:
        self.assertEqual(make_strategy("cpu").num_replicas_in_sync, 1)

    def test_mirrored_without_gpu_says_so(self) -> None:
        with (
            mock.patch("tensorflow.config.list_physical_devices", return_value=[]),
            self.assertRaisesRegex(RuntimeError, "finds no GPU"),
        ):
            make_strategy("mirrored")


if __name__ == "__main__":
    tf.test.main()
