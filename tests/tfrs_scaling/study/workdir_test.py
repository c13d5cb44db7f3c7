import os
import subprocess
import sys
from pathlib import Path

import tensorflow as tf

from tests.helpers.studies import REPOSITORY, tiny_config, tiny_data
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.study.workdir import Workdir


class WorkdirTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        self.workdir = Workdir(self.root / "study")

    def test_second_sweep_is_refused_also_from_another_process(self) -> None:
        code = (
            "from pathlib import Path; from tfrs_scaling.study.workdir import Workdir\n"
            f"with Workdir(Path({str(self.workdir.root)!r})).locked(): pass"
        )
        command = [sys.executable, "-c", code]
        with self.workdir.locked():
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            self.assertIn(f"another sweep is running in this folder, process {os.getpid()} on ", done.stderr)
            (self.workdir.root / ".lock").unlink()
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            self.assertIn("another sweep is running in this folder", done.stderr)
        self.assertEqual(subprocess.run(command, cwd=REPOSITORY, check=False).returncode, 0)

    def test_another_study_is_refused_with_the_difference(self) -> None:
        config, other = tiny_config(V=["1/2"]), tiny_config(V=["1/4"])
        data = tiny_data(config, self.root / "data")
        with self.workdir.locked():
            self.workdir.claim(config, data)
            self.workdir.claim(config, data)
            with self.assertRaisesRegex(InputError, r"config\.sweep\.V: \['1/2'\] there, \['1/4'\] now"):
                self.workdir.claim(other, data)

    def test_reopens_what_was_claimed(self) -> None:
        config = tiny_config(V=["1/2"])
        data = tiny_data(config, self.root / "data")
        with self.workdir.locked():
            self.workdir.claim(config, data)
        self.assertEqual(self.workdir.reopened(), (config, data.manifest))

    def test_what_a_report_says_of_the_study(self) -> None:
        config = tiny_config(V=["1/2"])
        data = tiny_data(config, self.root / "data")
        with self.workdir.locked():
            self.workdir.claim(config, data)
        study = self.workdir.read_study()
        self.assertRegex(study["date"], r"^\d{4}-\d\d-\d\d$")
        self.assertStartsWith(study["command"], "tfrs-scaling study ")
        self.assertIn(str(self.workdir.config), study["command"])
        self.assertEndsWith(study["command"], f"{self.workdir.root}-again")
        self.assertRegex(study["commit"], "^([0-9a-f]{7,40}(-dirty)?)?$")

    def test_no_study_is_an_error(self) -> None:
        with self.assertRaisesRegex(InputError, "no sweep was started"):
            self.workdir.read_study()

    def test_file_in_the_way_is_a_located_error(self) -> None:
        self.root.mkdir()
        (self.root / "study").write_text("a file")
        with self.assertRaisesRegex(InputError, "study: cannot be written"), self.workdir.locked():
            pass


if __name__ == "__main__":
    tf.test.main()
