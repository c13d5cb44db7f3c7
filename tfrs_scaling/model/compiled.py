"""XLA: on a CPU for the few functions whose cost is not arithmetic but many small operations, on a GPU for a step."""

import contextvars
import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrs_scaling.common.environment import libtpu

_IN_STEP = contextvars.ContextVar("in_step", default=False)


def compiled_on_cpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled by XLA if it is traced for a CPU; otherwise unchanged.

    A TPU's programs are compiled by XLA in any case, and a GPU's steps as a whole.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    def call(*tensors: tf.Tensor) -> Any:
        return compiled(*tensors) if compiled_here() else function(*tensors)

    return call


def compiled_here() -> bool:
    """Whether what is traced here will run on a CPU that XLA compiles for."""
    on_tpu = isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy)
    return not on_tpu and not tf.config.list_logical_devices("GPU") and compiles_for_cpu()


@functools.cache
def compiles_for_cpu() -> bool:
    """Whether XLA compiles for CPUs: TensorFlow's build for TPUs, which comes with libtpu, does not."""
    return not libtpu().exists() or _compile_error() is None


def _compile_error() -> str | None:
    """What a small program fails with if XLA compiles it for this process's first device."""
    with tf.init_scope():  # also where a graph is traced
        try:
            tf.function(tf.math.log1p, jit_compile=True, autograph=False)(tf.zeros(()))
        except tf.errors.OpError as error:
            return str(error.message)
    return None


def compiled_step(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step compiled by XLA as a whole, so that a GPU launches a few fused kernels and not one for each operation."""

    def traced(*arguments: Any) -> Any:
        token = _IN_STEP.set(True)
        try:
            return step(*arguments)
        finally:
            _IN_STEP.reset(token)

    return tf.function(traced, jit_compile=True, autograph=False)


def in_compiled_step() -> bool:
    """Whether what is traced here is part of a ``compiled_step``."""
    return _IN_STEP.get()


def compiles_step(strategy: tf.distribute.Strategy) -> bool:
    """Whether training's steps are compiled as a whole: on one GPU, if XLA can. If not, a warning says why."""
    if not tf.config.list_logical_devices("GPU"):
        return False
    if strategy.num_replicas_in_sync > 1:
        tf.get_logger().warning("steps are not compiled as a whole, as there are several replicas")
        return False
    # It needs libdevice and ptxas, parts of the CUDA toolkit that an installation of TensorFlow may lack.
    if (error := _compile_error()) is not None:
        tf.get_logger().warning(f"steps are not compiled as a whole: XLA cannot compile for this GPU: {error}")
    return error is None
