"""The notebooks run from top to bottom, as they stand."""

import os
import shutil
import sys
from pathlib import Path
from unittest import mock

import nbformat
import tensorflow as tf
from nbclient import NotebookClient

from tests.studies import CONFIGS, REPOSITORY

NOTEBOOKS = REPOSITORY / "colab"


class ColabTest(tf.test.TestCase):
    def test_outputs_are_not_committed(self) -> None:
        for path in NOTEBOOKS.glob("*.ipynb"):
            for cell in nbformat.read(path, 4).cells:
                self.assertFalse(cell.get("outputs") or cell.get("execution_count"), f"{path.name}: {cell['id']}")

    def test_quickstart(self) -> None:
        folder = Path(self.get_temp_dir())
        shutil.copytree(CONFIGS, folder / "tuner_configs")
        notebook = nbformat.read(NOTEBOOKS / "quickstart.ipynb", 4)
        self.assertIn("%tensorboard", notebook.cells.pop().source)  # starts a server, which would outlive the test
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with mock.patch.dict(os.environ, {"PATH": path}):
            NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
        shown = "".join(
            str(output.get("text", "") or output.get("data", {}))
            for cell in notebook.cells
            for output in cell.get("outputs", ())
        )
        for text in ("in all: about", "9 trials: 9 ok", "gamma_low", "<iframe srcdoc"):
            self.assertIn(text, shown)
        self.assertNotIn("\x1b", shown)
        self.assertTrue((folder / "runs" / "notebook" / "report.html").exists())


if __name__ == "__main__":
    tf.test.main()
