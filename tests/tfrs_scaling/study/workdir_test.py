import dataclasses
import json
from pathlib import Path

import tensorflow as tf

from tests.helpers.studies import leading, tiny_config, tiny_data
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

    def test_another_study_is_refused_with_the_difference(self) -> None:
        config, other = tiny_config(V=["1/2"]), tiny_config(V=["1/4"])
        data = tiny_data(config, self.root / "data")
        with leading(self.workdir):
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
        with leading(self.workdir):
            self.assertEqual(self.workdir.claim(before, data), [])
            old_text, study = self.workdir.config.read_text(), self.workdir.read_study()
            # Of a worker: its chief has to grow first.
            with self.assertRaisesRegex(InputError, "once its sweep has ended, the same command makes it grow"):
                self.workdir.check(now, data)
            self.assertEqual([c.key for c in self.workdir.claim(now, data)], ["sweep.V"])
            new_text = self.workdir.config.read_text()
            self.workdir.config.write_text(old_text)  # as if killed between writing the two files
            self.assertEqual(self.workdir.claim(now, data), [])
            with self.assertRaisesRegex(InputError, f"has grown: to continue it, give {self.workdir.config}"):
                self.workdir.claim(before, data)
            with self.assertRaisesRegex(InputError, f"has grown: to continue it, give {self.workdir.config}"):
                self.workdir.check(before, data)
        self.workdir.check(now, data)
        self.assertEqual(self.workdir.config.read_text(), new_text)
        self.assertEqual(read_config(self.workdir.config), now)
        changed = {"config": now.to_dict(), "config_hash": now.config_hash}
        self.assertEqual(self.workdir.read_study(), study | changed)

    def test_reopens_what_was_claimed(self) -> None:
        config = tiny_config(V=["1/2"])
        data = tiny_data(config, self.root / "data")
        with leading(self.workdir):
            self.workdir.claim(config, data)
        self.assertEqual(self.workdir.reopened(), (config, data.manifest))

    def test_what_a_report_says_of_the_study(self) -> None:
        config = tiny_config(V=["1/2"])
        data = tiny_data(config, self.root / "data")
        with leading(self.workdir):
            self.workdir.claim(config, data)
        study = self.workdir.read_study()
        self.assertRegex(study["date"], r"^\d{4}-\d\d-\d\d$")
        self.assertStartsWith(study["command"], "tfrs-scaling study ")
        self.assertIn(str(self.workdir.config), study["command"])
        self.assertEndsWith(study["command"].rstrip("'"), f"{self.workdir.root}-again")
        self.assertRegex(study["commit"], "^([0-9a-f]{7,40}(-dirty)?)?$")

    def test_a_config_without_sections_is_refused_where_a_report_would_read_them(self) -> None:
        config = tiny_config()
        with leading(self.workdir):
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
        with leading(self.workdir):
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


if __name__ == "__main__":
    tf.test.main()
