"""What ``pip install tfrs_scaling`` leaves out: the libraries of its extra ``tensorflow``, without which nothing is
prepared or trained."""

import importlib.util
import sys

from tfrs_scaling.common.errors import InputError

LIBRARIES = ("tensorflow", "tf_keras", "tensorflow_recommenders", "keras_tuner")


def check_tensorflow() -> None:
    """Refuse to go on without TensorFlow and what is built on it; imports none of them.

    Raises:
        InputError: some are not installed; says which, and the command that installs them.
    """
    if absent := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
        raise not_installed(absent)


def not_installed(absent: list[str]) -> InputError:
    """The error that libraries of the extra ``tensorflow`` are not installed."""
    on_macos = ", then pip install --no-deps tensorflow-recommenders" if sys.platform == "darwin" else ""  # setup.cfg
    return InputError(
        f"this needs {', '.join(absent)}, not installed here: pip install 'tfrs_scaling[tensorflow]'{on_macos}"
    )
