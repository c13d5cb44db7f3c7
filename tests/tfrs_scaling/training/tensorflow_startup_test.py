import ast
import os
import subprocess
import sys
from pathlib import Path

import tensorflow as tf

from tfrs_scaling import fit
from tfrs_scaling.training.tensorflow_startup import without_chatter

LOG = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795475086.7 4262 port.cc:153] oneDNN custom operations are on. You may see
slightly different numerical results.
W0000 00:00:1795475086.8 4262 allocator.cc:1] Allocation exceeds 10% of free memory,
which is a lot.
E0000 00:00:1795475086.9 4262 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error
E0000 00:00:1795475086.9 4262 record.cc:5] corrupted record
Python's own warning
"""


class QuietTest(tf.test.TestCase):
    def test_keeps_warnings_and_errors_drops_information(self) -> None:
        self.assertEqual(
            without_chatter(LOG).splitlines(),
            [
                "W0000 00:00:1795475086.8 4262 allocator.cc:1] Allocation exceeds 10% of free memory,",
                "which is a lot.",
                "E0000 00:00:1795475086.9 4262 record.cc:5] corrupted record",
                "Python's own warning",
            ],
        )

    def python(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
        return subprocess.run(
            [sys.executable, "-c", code], env={**clean, **environment}, capture_output=True, text=True, check=False
        )

    def test_loading_tensorflow_is_silent_and_a_warning_passes(self) -> None:
        code = (
            "import tfrs_scaling.training.tensorflow_startup as q, os\n"
            "q.load_tensorflow()\n"
            "with q.startup_chatter_dropped(): os.write(2, b'W0000 be warned\\nI0000 chatter\\n')"
        )
        done = self.python(code)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", "W0000 be warned\n"))

    def test_tensorflow_first_is_a_clear_error(self) -> None:
        done = self.python("import tensorflow, tfrs_scaling")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Import tfrs_scaling first, or set TF_USE_LEGACY_KERAS=1", done.stderr)

    def test_tensorflow_first_with_keras_2_is_fine(self) -> None:
        self.assertEqual(self.python("import tensorflow, tfrs_scaling", TF_USE_LEGACY_KERAS="1").returncode, 0)

    def test_fit_does_not_load_tensorflow(self) -> None:
        code = "from tfrs_scaling.fit import *; import sys; fit_study; assert 'tensorflow' not in sys.modules"
        self.assertEqual(self.python(code).returncode, 0)

    def test_a_study_s_status_loads_no_library_of_numbers(self) -> None:
        code = "import tfrs_scaling.study.status, sys; assert not {'numpy', 'pandas', 'scipy'} & set(sys.modules)"
        self.assertEqual(self.python(code).returncode, 0)

    def test_names_of_fit_are_those_that_types_are_checked_by(self) -> None:
        tree = ast.parse(Path(fit.__file__).read_text())
        (block,) = (node for node in tree.body if isinstance(node, ast.If))
        imported = {f"{node.module}.{name.name}" for node in block.body for name in node.names}  # type: ignore[attr-defined]
        self.assertEqual(imported, {f"tfrs_scaling.fit.{module}.{name}" for name, module in fit._MODULES.items()})


if __name__ == "__main__":
    tf.test.main()
