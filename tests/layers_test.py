"""The contracts of pyproject.toml, which ``make lint`` checks, catch an import that breaks them."""

import shutil
import subprocess
import sys
from pathlib import Path

import tensorflow as tf

from tests.helpers.studies import REPOSITORY

LINTER = Path(sys.executable).with_name("lint-imports")
WITHOUT_TENSORFLOW = (
    "tfrs_scaling.sweep",
    "tfrs_scaling.fit",
    "tfrs_scaling.config",
    "tfrs_scaling.study.status",
    "tfrs_scaling.input.manifest",
)
BROKEN = {  # file, the import added to it, the contract that it breaks
    "common/words.py": ("import tfrs_scaling.cli.main", "command line at the top"),
    "fit/laws/status.py": ("import tfrs_scaling.fit.report.report", "from laws of points"),
    "input/schema.py": ("import tfrs_scaling.input.prepare.prepare", "from schema"),
    "fit/labels.py": ("import tensorflow", "fit never imports TensorFlow"),
    "sweep/progress.py": ("import keras_tuner", "KerasTuner in one file"),
    "fit/schemes.py": ("import tfrs_scaling.fit.labels", "no import cycles"),
}


class LayersTest(tf.test.TestCase):
    def test_contracts_catch_what_breaks_them(self) -> None:
        root = Path(self.get_temp_dir())
        shutil.copy(REPOSITORY / "pyproject.toml", root)
        shutil.copytree(REPOSITORY / "tfrs_scaling", root / "tfrs_scaling")
        for name, (line, contract) in BROKEN.items():
            file = root / "tfrs_scaling" / name
            before = file.read_text()
            file.write_text(f"{before}\n{line}\n")
            done = subprocess.run([LINTER, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1, name)
            self.assertRegex(done.stdout, f"{contract}.* BROKEN")
            file.write_text(before)

    def test_what_needs_no_tensorflow_loads_none(self) -> None:
        code = f"import sys, {', '.join(WITHOUT_TENSORFLOW)}; sys.exit('tensorflow' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False)
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    tf.test.main()
