"""Tests; importing the package first makes TensorFlow load Keras 2."""

import tfrs_scaling  # noqa: F401
