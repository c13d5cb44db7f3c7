import json
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
import yaml

from tests.helpers.studies import tiny_content
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config, read_config
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.own_data import make_own_data


class OwnDataTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        (self.root / "logs").mkdir(parents=True)
        self.said: list[str] = []
        draw = np.random.default_rng(0)
        self.log = pd.DataFrame(
            {"click": draw.integers(0, 2, 900), "user": draw.integers(0, 40, 900), "ts": range(900)}
        )
        self.log.to_csv(self.root / "logs" / "day_1.csv", index=False)
        self.schema = {"label": "click", "time": "ts", "categorical": [{"name": "user", "cardinality": 50}]}
        (self.root / "schema.json").write_text(json.dumps(self.schema))

    def config(self, **log: object) -> Config:
        content = tiny_content()
        del content["synthetic"]
        content["log"] = {"format": "csv", "files": ["logs/*.csv"], "schema": "schema.json", **log}
        path = self.root / "study.yaml"
        path.write_text(yaml.safe_dump(content))
        return read_config(path)

    def made(self, config: Config) -> ClickData:
        folder = self.root / "study" / "data"
        make_own_data(config, str(folder), Workdir(self.root / "study"), self.said.append, None)
        return ClickData.open(folder)

    def test_a_log_beside_its_configuration_is_prepared_once_and_again_when_its_rows_or_split_change(self) -> None:
        manifest = self.made(self.config()).manifest
        self.assertEqual((manifest.split_by, manifest.read), ("time", 900))
        self.assertEqual(sum(split.rows for split in manifest.splits.values()), 900)
        self.made(self.config())
        self.assertLen(self.said, 1)

        self.assertEqual(self.made(self.config(split="random")).manifest.split_by, "random")
        self.log.iloc[:600].to_csv(self.root / "logs" / "day_1.csv", index=False)
        self.assertEqual(self.made(self.config(split="random")).manifest.read, 600)
        self.schema["categorical"] = [{"name": "user", "cardinality": 60}]
        (self.root / "schema.json").write_text(json.dumps(self.schema))
        self.assertEqual(self.made(self.config(split="random")).manifest.schema.categorical[0].cardinality, 60)
        self.assertLen([line for line in self.said if "making them again" in line], 3)

    def test_where_the_log_lies_is_no_part_of_the_study(self) -> None:
        config = self.config()
        data, workdir = self.made(config), Workdir(self.root / "study")
        workdir.claim(config, data)
        moved = read_config(config.to_dict(), [f"log.files=[{self.root}/elsewhere.csv]"])
        workdir.check(moved, data)
        self.made(moved)  # and is read no more
        with self.assertRaisesRegex(InputError, "holds another study"):
            workdir.check(read_config(moved, ["sweep.V=[1/2]"]), data)

    def test_mistakes_name_the_key_or_the_file(self) -> None:
        for log, words in (
            ({"format": "cvs"}, "log.format: 'cvs' is none of csv, jsonl"),
            ({"files": ["logs/*.tsv"]}, r"logs/\*.tsv"),
            ({"schema": "none.json"}, "none.json"),
            ({"schema": None}, "prepare csv needs --schema FILE"),
            ({"splitt": "time"}, "log.splitt.*split"),
        ):
            with self.assertRaisesRegex(InputError, words):
                self.made(self.config(**log))
        with self.assertRaisesRegex(InputError, "the study makes synthetic clicks already"):
            read_config(tiny_content() | {"log": {"format": "criteo"}})


if __name__ == "__main__":
    tf.test.main()
