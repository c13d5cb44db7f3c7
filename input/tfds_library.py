"""TensorFlow Datasets. Where it does not load, importing this raises why: the library itself logs that, and goes on as
an empty module."""

import logging

_before = logging.root.manager.disable
logging.disable()
try:
    from tensorflow_datasets import public_api as tfds
finally:
    logging.disable(_before)

__all__ = ["tfds"]
