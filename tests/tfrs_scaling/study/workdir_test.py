import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import tensorflow as tf

from tests.helpers.studies import REPOSITORY, tiny_config, tiny_data
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config, read_config
from tfrs_scaling.study.workdir import Workdir


def more_rows(config: Config) -> Config:
    assert config.synthetic is not None
    return dataclasses.replace(config, synthetic=dataclasses.replace(config.synthetic, rows=4000))


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
            with self.assertRaisesRegex(InputError, r"another --workdir.*\n +sweep\.V: \['1/2'\] there, \['1/4'\] now"):
                self.workdir.claim(other, data)
            with self.assertRaisesRegex(InputError, r"synthetic\.rows: 2000 there, 4000 now \(other numbers of rows"):
                self.workdir.claim(more_rows(config), data)
            elsewhere = tiny_data(more_rows(config), self.root / "more data")
            with self.assertRaisesRegex(InputError, f"data_hash: '{data.manifest.data_hash}' there, '"):
                self.workdir.claim(config, elsewhere)

    def test_study_that_grows_is_what_it_has_become(self) -> None:
        before, now = tiny_config(V=["1/2"]), tiny_config(V=["1/4", "1/2"])
        data = tiny_data(before, self.root / "data")
        with self.workdir.locked():
            self.assertEqual(self.workdir.claim(before, data), [])
            old_text, study = self.workdir.config.read_text(), self.workdir.read_study()
            with self.assertRaisesRegex(InputError, "holds another study"):  # of a worker: its chief has to grow first
                self.workdir.check(now, data)
            self.assertEqual([c.key for c in self.workdir.claim(now, data)], ["sweep.V"])
            new_text = self.workdir.config.read_text()
            self.workdir.config.write_text(old_text)  # as if killed between writing the two files
            self.assertEqual(self.workdir.claim(now, data), [])
            with self.assertRaisesRegex(InputError, f"has grown: to continue it, give {self.workdir.config}"):
                self.workdir.claim(before, data)
        self.workdir.check(now, data)
        self.assertEqual(self.workdir.config.read_text(), new_text)
        self.assertEqual(read_config(self.workdir.config), now)
        changed = {"config": now.to_dict(), "config_hash": now.config_hash}
        self.assertEqual(self.workdir.read_study(), study | changed)

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
        self.assertEndsWith(study["command"].rstrip("'"), f"{self.workdir.root}-again")
        self.assertRegex(study["commit"], "^([0-9a-f]{7,40}(-dirty)?)?$")

    def test_a_config_without_sections_is_refused_where_a_report_would_read_them(self) -> None:
        config = tiny_config()
        with self.workdir.locked():
            self.workdir.claim(config, tiny_data(config, self.root / "data"))
        study = json.loads(self.workdir.study.read_text())
        for broken, mistake in (
            ({"training": 7}, r"config\.training: 7 where"),
            ({"sweep": "x"}, r"config\.sweep: x where"),
            ({"sweep": {}}, r"config\.sweep\.examples: None where"),
        ):
            self.workdir.study.write_text(json.dumps(study | {"config": study["config"] | broken}))
            with self.assertRaisesRegex(InputError, rf"study\.json: {mistake}.*put back what was there"):
                self.workdir.read_study()

    def test_study_of_an_earlier_version_does_not_say_where_its_data_were(self) -> None:
        config = tiny_config(V=["1/2"])
        data = tiny_data(config, self.root / "data")
        with self.workdir.locked():
            self.workdir.claim(config, data)
        content = json.loads(self.workdir.study.read_text())
        for key in ("data_folder", "date", "command"):
            del content[key]
        self.workdir.study.write_text(json.dumps(content))
        self.assertEqual(self.workdir.reopened(), (config, data.manifest))
        self.assertEqual(self.workdir.read_study()["data_folder"], "DATA")

    def test_no_study_is_an_error(self) -> None:
        with self.assertRaisesRegex(InputError, "no sweep was started"):
            self.workdir.read_study()

    def test_links_and_names_that_a_sweep_must_not_follow_are_refused_untouched(self) -> None:
        other = self.root / "other"
        (other / "old").mkdir(parents=True)
        (other / "file").write_text("dear")
        os.utime(other / "old", (0, 0))
        self.workdir.root.mkdir()
        for name, target in (("running", other), ("trials", other), (".lock", other / "file")):
            (self.workdir.root / name).symlink_to(target)
            with self.assertRaisesRegex(InputError, rf"{name}: is a symbolic link"), self.workdir.locked():
                pass
            (self.workdir.root / name).unlink()
        self.assertEqual((other / "file").read_text(), "dear")
        with (
            self.assertRaisesRegex(InputError, "the name is not UTF-8"),
            Workdir(self.root / os.fsdecode(b"\xff")).locked(),
        ):
            pass

    def test_file_in_the_way_is_a_located_error(self) -> None:
        self.root.mkdir()
        (self.root / "study").write_text("a file")
        with self.assertRaisesRegex(InputError, "study: cannot be written"), self.workdir.locked():
            pass


if __name__ == "__main__":
    tf.test.main()
