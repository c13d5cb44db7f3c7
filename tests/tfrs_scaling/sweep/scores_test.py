"""Tests of the scores of rows where the lead is lost meanwhile; ``member_test`` has the whole way to the report."""

import threading
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from tests.helpers.studies import folder_bytes, stored_scores, tiny_content, tiny_data
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.study.row_scores import scorings
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.scores import make_missing_scores


class ScoresTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        root = Path(self.get_temp_dir()) / self._testMethodName
        content = tiny_content(P={"keep": ["1/4"], "by": ["hard"]}) | {"scorer": {"examples": 256}}
        self.config = validated(Config, content, "tiny")
        self.data = tiny_data(self.config, root / "data")
        self.workdir, self.is_lead_lost = Workdir(root / "study"), threading.Event()
        self.workdir.root.mkdir()
        [self.scoring] = scorings(self.config, self.data.manifest.data_hash)
        self.place = self.scoring.folder(self.workdir.root)

    def write_scores(self, folder: Path, score: float) -> None:
        rows = self.data.manifest.splits["train"].rows
        stored_scores(folder, self.data, np.full(rows, score, np.float32), self.scoring.request)

    def made(self, train: Any, say: Any = lambda _: None) -> ClickData:
        """What is made where ``train`` stands in for the process that trains."""

        def run(_function: Any, arguments: tuple[Any, ...], *_: Any, **__: Any) -> None:
            train(next(value for value in arguments if isinstance(value, Path)))

        with mock.patch("tfrs_scaling.sweep.scores.run_isolated", run):
            return make_missing_scores(self.config, self.data, self.workdir, "cpu", None, self.is_lead_lost, say)

    def test_chief_that_stalled_leaves_what_its_successor_has_finished(self) -> None:
        def say(_: str) -> None:  # it has seen that there are no scores, and stalls; another leads and makes them
            self.write_scores(self.place, 0.75)
            self.kept = folder_bytes(self.place)
            self.is_lead_lost.set()

        def train(_: Path) -> None:
            raise KeyboardInterrupt

        with self.assertRaisesRegex(InputError, "another process leads this study now"):
            self.made(train, say)
        self.assertEqual(folder_bytes(self.place), self.kept)

    def test_of_two_that_end_the_first_is_kept(self) -> None:
        def train(directory: Path) -> None:
            self.write_scores(directory, 0.25)
            self.write_scores(self.place, 0.75)  # the successor's, meanwhile
            self.kept = folder_bytes(self.place)

        self.made(train)
        self.assertEqual(folder_bytes(self.place), self.kept)
        self.assertEqual([*self.workdir.running.iterdir()], [])

    def test_scores_without_a_manifest_are_replaced(self) -> None:
        def train(directory: Path) -> None:
            self.write_scores(directory, 0.25)

        self.place.mkdir(parents=True)
        (self.place / "half").touch()
        self.made(train)
        self.assertFalse((self.place / "half").exists())
        self.assertEqual([*self.workdir.running.iterdir()], [])


if __name__ == "__main__":
    tf.test.main()
