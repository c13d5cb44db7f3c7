"""Which tests ``make test-fast`` leaves out: those that open a browser, and those that train or take seconds each."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SLOW = (  # files and folders
    "colab_test.py",
    "fit/extrapolation",
    "fit/joint",
    "fit/report/report_test.py",
    "fit/study_test.py",
    "input/batches_test.py",
    "input/check_test.py",
    "input/describe/description_test.py",
    "input/fuzz_test.py",
    "input/logs/parquet_test.py",
    "input/logs/tfds_test.py",
    "input/logs/tfrecord_test.py",
    "input/malformed_test.py",
    "input/prepare/beam_test.py",
    "input/prepare/prepare_test.py",
    "input/prepare/publish_test.py",
    "input/real_logs_test.py",
    "tfrs_scaling/cli",
    "tfrs_scaling/hardware_test.py",
    "tfrs_scaling/model/accounting_test.py",
    "tfrs_scaling/model/dlrm_test.py",
    "tfrs_scaling/model/embedding_test.py",
    "tfrs_scaling/sweep",
    "tfrs_scaling/training",
)
SLOW_NAMES = ("_cover", "_with_training")  # of tests, in part: whether intervals cover the truth takes simulations


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests and those of the browser."""
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
