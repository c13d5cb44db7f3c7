"""What the server that trials are forked from imports, once and quietly; it must not start TensorFlow's devices."""

import gc

from tfrs_scaling.common.environment import offer_to_be_killed
from tfrs_scaling.training.tensorflow_startup import load_tensorflow, startup_chatter_dropped

offer_to_be_killed(500)  # what is forked from here starts with it
load_tensorflow()
with startup_chatter_dropped():
    import tfrs_scaling.training.trial  # noqa: F401
gc.collect()
gc.freeze()  # what is loaded stays, so the trials' garbage collections need not scan it, nor copy its pages
