import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from tests.helpers.studies import REPOSITORY

# Each imports only from those below it.
LAYERS = (
    ("cli",), ("sweep",), ("planning",), ("training",), ("study",), ("model",), ("config", "hardware"),
    ("fit", "input"), ("common",),
)  # fmt: skip
WITHOUT_TENSORFLOW = ("tfrs_scaling.sweep", "tfrs_scaling.fit", "tfrs_scaling.config", "tfrs_scaling.study.status")


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


class LayersTest(tf.test.TestCase):
    def test_imports_point_downwards(self) -> None:
        depth = {name: at for at, layer in enumerate(LAYERS) for name in layer}
        package = REPOSITORY / "tfrs_scaling"
        for path in package.rglob("*.py"):
            here = path.relative_to(package).with_suffix("").parts[0]
            if here in ("__init__", "fit", "input"):
                continue
            for module in imported(path):
                name = module.split(".")
                if name[0] == "tfrs_scaling" and len(name) > 1 and name[1] != here:
                    self.assertGreater(depth[name[1]], depth[here], f"{path} imports {module}")

    def test_keras_tuner_is_used_in_one_file(self) -> None:
        users = {
            p.name for p in (REPOSITORY / "tfrs_scaling" / "sweep").glob("*.py") if "keras_tuner" in str([*imported(p)])
        }
        self.assertEqual(users, {"grid.py"})

    def test_what_needs_no_tensorflow_loads_none(self) -> None:
        code = f"import sys, {', '.join(WITHOUT_TENSORFLOW)}; sys.exit('tensorflow' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False)
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    tf.test.main()
