"""Which hardware a trial runs on."""

import os
from pathlib import Path
from typing import Literal

import tensorflow as tf

StrategyName = Literal["auto", "cpu", "mirrored", "tpu"]


def choose_strategy(name: StrategyName) -> tuple[Literal["cpu", "mirrored", "tpu"], str]:
    """The strategy that ``auto`` stands for here, or the one asked for; and why, in words.

    Looks at device nodes and environment variables only: asking TensorFlow would start the devices in this process.
    """
    if name != "auto":
        return name, f"--strategy {name}"
    if os.environ.get("TPU_NAME"):
        return "tpu", f"TPU_NAME is set ({os.environ['TPU_NAME']})"
    if Path("/dev/nvidiactl").exists() and os.environ.get("CUDA_VISIBLE_DEVICES") not in (
        "",
        "-1",
    ):
        return "mirrored", "there is an NVIDIA GPU"
    return "cpu", "there is neither a TPU (TPU_NAME) nor an NVIDIA GPU"


def make_strategy(name: Literal["cpu", "mirrored", "tpu"]) -> tf.distribute.Strategy:
    """The TensorFlow strategy, with its devices started.

    Raises:
        RuntimeError: ``mirrored`` where TensorFlow finds no GPU.
        ValueError: ``tpu`` where TensorFlow finds no TPU.
    """
    if name == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(os.environ.get("TPU_NAME", "local"))
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    gpus = tf.config.list_physical_devices("GPU")
    if name == "mirrored":
        if not gpus:
            raise RuntimeError(
                "--strategy mirrored: TensorFlow finds no GPU; is the extra tfrs_scaling[gpu] installed?"
            )
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        return tf.distribute.MirroredStrategy()
    tf.config.set_visible_devices([], "GPU")
    return tf.distribute.get_strategy()
