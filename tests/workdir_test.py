import subprocess
import sys
from pathlib import Path

import tensorflow as tf

from tests.studies import REPOSITORY, tiny_config, tiny_data
from tfrs_scaling.input.validated import InputError
from tfrs_scaling.workdir import Workdir


class WorkdirTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        self.workdir = Workdir(self.root / "study")

    def test_second_sweep_is_refused_also_from_another_process(self) -> None:
        code = (
            "from pathlib import Path; from tfrs_scaling.workdir import Workdir\n"
            f"with Workdir(Path({str(self.workdir.root)!r})).locked(): pass"
        )
        command = [sys.executable, "-c", code]
        with self.workdir.locked():
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            self.assertIn("another sweep is at work", done.stderr)
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

    def test_no_study_is_an_error(self) -> None:
        with self.assertRaisesRegex(InputError, "no sweep was started"):
            self.workdir.read_study()

    def test_record_is_whole_or_absent_and_a_fresh_attempt_starts_empty(self) -> None:
        directory = self.workdir.fresh_directory("D-1")
        (directory / "events.out.tfevents.1").write_text("half of an event")
        self.assertIsNone(self.workdir.record("D-1"))
        self.assertEqual(list(self.workdir.fresh_directory("D-1").iterdir()), [])
        self.workdir.write_record("D-1", {"status": "ok"})
        self.assertEqual(self.workdir.record("D-1"), {"status": "ok"})

    def test_file_in_the_way_is_a_located_error(self) -> None:
        self.root.mkdir()
        (self.root / "study").write_text("a file")
        with self.assertRaisesRegex(InputError, "study: cannot be written"), self.workdir.locked():
            pass


if __name__ == "__main__":
    tf.test.main()
