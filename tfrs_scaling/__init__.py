"""Scaling studies of recommendation models: where should the next unit of resource go?

The path of the data: raw logs -> ``tfrs_scaling.input`` -> shards -> training (``tfrs_scaling``) -> event
files -> ``runs.csv`` -> ``tfrs_scaling.fit`` -> ``fits.json`` and ``report.html``.
"""

import os
import sys

__version__ = "0.1.0"


def _require_legacy_keras() -> None:
    """Make TensorFlow load Keras 2 (tf_keras), the only one TensorFlow Recommenders works with.

    TensorFlow reads the variable once, when it is first imported; this is the one place that sets it.

    Raises:
        ImportError: TensorFlow was imported before this package, and came with Keras 3.
    """
    tensorflow = sys.modules.get("tensorflow")
    came_first = tensorflow is not None and os.environ.get("TF_USE_LEGACY_KERAS") not in ("1", "true", "True")
    if came_first and hasattr(tensorflow, "__version__"):
        raise ImportError(
            "TensorFlow was imported before tfrs_scaling and came with Keras 3, which TensorFlow Recommenders "
            "cannot use. Import tfrs_scaling first, or set TF_USE_LEGACY_KERAS=1 in the environment before "
            "Python starts."
        )
    os.environ["TF_USE_LEGACY_KERAS"] = "1"


_require_legacy_keras()
