"""An environment that has what ``pip install .`` brings and nothing else, by hiding the rest of this one."""

import configparser
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers.studies import REPOSITORY

_HIDING = """\
import sys

HIDDEN = frozenset({modules!r})


class Hiding:
    def __init__(self, finder):
        self._finder = finder

    def __getattr__(self, name):
        return getattr(self._finder, name)

    def find_spec(self, name, *where):
        return None if name.partition(".")[0] in HIDDEN else self._finder.find_spec(name, *where)


sys.meta_path[:] = map(Hiding, sys.meta_path)
"""


def base_environment(folder: str, *also: str) -> dict[str, str]:
    """Environment variables under which Python finds the package, the distributions that its base requires, with what
    these require, and no others.

    Args:
        folder: For files that Python then reads at its start.
        also: Names of distributions that it finds too.
    """
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    lines = (line.partition("#")[0].strip() for line in setup["options"]["install_requires"].splitlines())
    there = _with_requirements({*(Requirement(line).name for line in lines if line), *also})
    owners = importlib.metadata.packages_distributions()
    hidden = {module for module, names in owners.items() if there.isdisjoint(map(canonicalize_name, names))}
    hidden.discard("tfrs_scaling")
    assert {"tensorflow", "tf_keras", "tensorflow_datasets", "keras_tuner", "apache_beam", "sklearn"} <= hidden
    place = Path(tempfile.mkdtemp(dir=folder))
    (place / "sitecustomize.py").write_text(_HIDING.format(modules=sorted(hidden)))
    environment = {"PYTHONPATH": f"{place}{os.pathsep}{REPOSITORY}"}
    tried = subprocess.run(
        [sys.executable, "-c", "import tensorflow"],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert "No module named 'tensorflow'" in tried.stderr
    return environment


def _with_requirements(names: set[str]) -> set[str]:
    """Distributions and all that they need, as far as it is installed."""
    found: set[str] = set()
    waiting = {canonicalize_name(name) for name in names}
    while waiting:
        name = waiting.pop()
        found.add(name)
        try:
            requirements = map(Requirement, importlib.metadata.requires(name) or ())
        except importlib.metadata.PackageNotFoundError:
            continue
        needed = (r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""}))
        waiting |= set(map(canonicalize_name, needed)) - found
    return found
