"""XLA for the few functions whose cost on a CPU is not arithmetic but many small operations."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def compiled_on_cpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled by XLA if it is traced for a CPU; otherwise unchanged.

    A TPU's programs are compiled by XLA in any case. On a GPU, XLA needs parts of the CUDA toolkit that an installation
    of TensorFlow may lack, and the kernels themselves are fast there.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    def call(*tensors: tf.Tensor) -> Any:
        return compiled(*tensors) if compiled_here() else function(*tensors)

    return call


def compiled_here() -> bool:
    """Whether what is traced here will run on a CPU."""
    on_tpu = isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy)
    return not on_tpu and not tf.config.list_logical_devices("GPU")
