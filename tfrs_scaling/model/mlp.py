"""Stacks of dense layers."""

import tensorflow as tf


def mlp(
    widths: tuple[int, ...], name: str, policy: tf.keras.mixed_precision.Policy, last: str | None = "relu"
) -> tf.keras.Sequential:
    """Dense layers with ReLU.

    Args:
        widths: width of the input, then of each layer.
        name: the stack's name.
        policy: arithmetic of the layers; their weights are float32.
        last: activation of the last layer; None: it is linear.
    """
    # He's initialisation is the one made for ReLU (He et al. 2015); narrow stacks die less often under it.
    layers = [
        tf.keras.layers.Dense(
            width, "relu" if at < len(widths) - 1 else last, kernel_initializer="he_normal", dtype=policy
        )
        for at, width in enumerate(widths[1:], start=1)
    ]
    return tf.keras.Sequential([tf.keras.Input((widths[0],)), *layers], name=name)
