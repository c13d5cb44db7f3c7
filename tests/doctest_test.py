"""Every public function has an example in its docstring, and every example is true."""

import contextlib
import doctest
import importlib
import io
import pkgutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import tensorflow as tf
import yaml

from tests.helpers.planted import planted_study
from tests.helpers.studies import tiny_content
from tfrs_scaling import common, fit, sweep

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def public_functions(package: ModuleType) -> dict[str, Callable[..., Any]]:
    """The functions, not the classes, that a package exports."""
    exported = {name: getattr(package, name) for name in package.__all__}
    return {name: value for name, value in exported.items() if callable(value) and not isinstance(value, type)}


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """A package and all that is in it."""
    yield package
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(module.name)


def fits_each_table_once() -> Callable[..., fit.StudyFits]:
    """``fit_study`` for examples, most of which fit the same table."""
    fitted: dict[tuple[str, str], fit.StudyFits] = {}

    def fit_study(runs: pd.DataFrame, **options: Any) -> fit.StudyFits:
        asked = runs.to_csv(), repr(options)
        if asked not in fitted:
            fitted[asked] = fit.fit_study(runs, **options)
        return fitted[asked]

    return fit_study


FIT_STUDY = fits_each_table_once()


def examples(value: Any, name: str) -> list[doctest.DocTest]:
    """The docstrings with examples of a module, class or function; they may use what ``fit`` exports."""
    public = {exported: getattr(fit, exported) for exported in fit.__all__} | {"fit_study": FIT_STUDY}
    return [test for test in doctest.DocTestFinder().find(value, name, extraglobs=public) if test.examples]


class DoctestTest(tf.test.TestCase):
    def check(self, tests: list[doctest.DocTest]) -> None:
        """Run examples where there are a run table and a configuration; what went wrong is the message."""
        runner, report = doctest.DocTestRunner(optionflags=FLAGS), io.StringIO()
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            fit.write_runs(planted_study(schemes="V"), "runs.csv")
            Path("study.yaml").write_text(yaml.safe_dump(tiny_content()))
            for test in tests:
                runner.run(test, out=report.write)
        self.assertEqual(runner.summarize(verbose=False).failed, 0, report.getvalue())

    def test_public_functions_have_examples(self) -> None:
        functions = public_functions(fit) | public_functions(sweep)
        self.assertIn("run_study", functions)
        self.assertEqual([name for name, function in functions.items() if not examples(function, name)], [])

    def test_examples_import_nothing_of_the_tests(self) -> None:
        found = [e.source for module in modules(fit) for test in examples(module, "") for e in test.examples]
        self.assertFalse([source for source in found if "tests" in source])

    def test_examples_without_training(self) -> None:
        self.check([test for package in (common, fit) for m in modules(package) for test in examples(m, m.__name__)])

    def test_examples_with_training(self) -> None:
        self.check([test for module in modules(sweep) for test in examples(module, module.__name__)])


if __name__ == "__main__":
    tf.test.main()
