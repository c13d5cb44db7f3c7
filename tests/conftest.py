"""Which tests ``make test-fast`` leaves out: those that open a browser, and those that train or take seconds each.

They run first, so that no worker is left with a long file at the end.
"""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SLOW = (  # files and folders, the longest first
    "tfrs_scaling/sweep",
    "colab_test.py",
    "tfrs_scaling/training",
    "tfrs_scaling/cli",
    "fit/report/report_test.py",
    "fit/report/reproduction_test.py",
    "fit/report/consistency_test.py",
    "fit/study_test.py",
    "input/batches_test.py",
    "fit/advice/advise_test.py",
    "input/malformed_test.py",
    "fit/curves",
    "fit/joint",
    "fit/extrapolation",
    "input/check_test.py",
    "input/describe/description_test.py",
    "input/fuzz_test.py",
    "input/logs/parquet_test.py",
    "input/logs/tfds_test.py",
    "input/logs/tfrecord_test.py",
    "input/prepare/beam_test.py",
    "input/prepare/prepare_test.py",
    "input/prepare/publish_test.py",
    "input/prepare/reading_test.py",
    "input/real_logs_test.py",
    "tfrs_scaling/hardware_test.py",
    "tfrs_scaling/model/accounting_test.py",
    "tfrs_scaling/model/dlrm_test.py",
    "tfrs_scaling/model/embedding_test.py",
    "tpu_trace_test.py",
    "gpu_kernels_test.py",
)
SLOW_NAMES = ("_cover", "_with_training")  # of tests, in part: whether intervals cover the truth takes simulations


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests and those of the browser, and put the slow first."""
    from tests.helpers.browser import PageTestCase  # after pytest has imported tests/__init__.py, which chooses Keras

    slow = [TESTS / place for place in SLOW]
    if absent := [str(place) for place in slow if not place.exists()]:
        raise pytest.UsageError(f"tests/conftest.py names what does not exist: {', '.join(absent)}")
    for item in items:
        if any(item.path.is_relative_to(place) for place in slow) or any(part in item.name for part in SLOW_NAMES):
            item.add_marker("slow")
        in_page = isinstance(item, pytest.Function) and issubclass(item.cls or object, PageTestCase)
        if in_page or item.path == TESTS / "fit/report/images_test.py":
            item.add_marker("browser")
    # TensorFlow's test_session, which every tf.test.TestCase inherits, only skips itself.
    items[:] = [item for item in items if item.name != "test_session"]
    ranks = {path: at for at, place in reversed([*enumerate(slow)]) for path in (place, *place.rglob("*"))}
    items.sort(key=lambda item: ranks.get(item.path, len(slow)))
