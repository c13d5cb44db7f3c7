import math
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.studies import leading, stored_scores, tiny_config, tiny_content, tiny_data
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config
from tfrs_scaling.fit.runs.run_table import read_runs, write_runs
from tfrs_scaling.fit.runs.screening import selected_learning_rate
from tfrs_scaling.planning.plan import plan_on
from tfrs_scaling.study.attempts import begin, publish
from tfrs_scaling.study.export import MEASURED, copy_events, export, read_scalars
from tfrs_scaling.study.row_scores import scorings
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.study.workdir import Workdir


def write_events(directory: Path, scalars: dict[str, dict[int, float]]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tf.summary.create_file_writer(str(directory)).as_default():
        for tag, values in scalars.items():
            for step, value in values.items():
                tf.summary.scalar(tag, value, step=step)


class ExportTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        root = Path(self.get_temp_dir()) / self._testMethodName
        self.workdir = Workdir(root / "study")
        self.config = tiny_config(V=["1/2"])
        self.data = tiny_data(self.config, root / "data")
        with leading(self.workdir):
            self.workdir.claim(self.config, self.data)

    def finished(
        self, trial_id: str, ladder: tuple[int, ...] = (256, 512, 1024), loss: float = 0.0, **others: Any
    ) -> None:
        directory = begin(self.workdir.running, trial_id)
        scalars = {tag: {examples: 1 + loss - examples / 1e4 for examples in ladder} for tag in MEASURED}
        write_events(directory, scalars | {"test/base_ctr": dict.fromkeys(ladder, 0.25)})
        publish(
            directory,
            self.workdir.trials / trial_id,
            {"status": "ok", "reason": "", "strategy": "cpu", "validation_ne": 1 - ladder[-1] / 1e4}
            | {"libraries": "tensorflow 2", "machine": "one"}
            | others,
        )

    def test_rows_by_hand(self) -> None:
        self.finished("D-1-lr0.04-seed0")
        runs = export(self.config, self.data.manifest, self.workdir)
        baseline = runs[runs["scheme"] == "D"]
        self.assertEqual(list(baseline["examples"]), [256, 512, 1024])
        last = baseline.iloc[2]
        self.assertEqual(last["test_ne"], 0.8976)  # the shortest decimal of the float32 that the summary holds
        self.assertEqual((last["embedding_rows"], last["embedding_dim"], last["params_embedding"]), (70, 4, 280))
        self.assertEqual(last["compute"], last["flops_train"] * 1024)
        self.assertEqual(last["base_ctr"], 0.25)
        self.assertEqual(last["data_hash"], self.data.manifest.data_hash)

    def test_epochs_architectures_and_crossed_multipliers_by_hand(self) -> None:
        content = tiny_content(V=["1/2"], H=[2], VH=True, E=[3], A=["cross"])
        content["training"]["learning_rates"] = [0.02, 0.04, 0.08]
        config = validated(Config, content, "tiny")
        for trial in all_trials(config):
            # The best rate of E is the largest of all, that of the others the middle one.
            best = 0.08 if trial.scheme == "E" else 0.04
            self.finished(trial.trial_id, loss=0.0 if trial.learning_rate == best else 0.1)
        runs = export(config, self.data.manifest, self.workdir)
        write_runs(runs, self.workdir.runs)
        runs = read_runs(self.workdir.runs)
        self.assertLen(runs, 6 * 3 * 3)
        epochs = runs[runs["scheme"] == "E"]
        self.assertEqual(set(epochs["epochs"]), {3})
        self.assertEqual(set(runs.loc[runs["scheme"] != "E", "epochs"]), {1})
        self.assertAllEqual(epochs["compute"], 3.0 * epochs["flops_train"] * epochs["examples"])
        crossed = runs[runs["scheme"] == "VH"]
        self.assertEqual({*zip(crossed["multiplier"], crossed["embedding_dim"], strict=True)}, {(0.5, 8)})
        self.assertEqual(set(crossed["params_embedding"]), {(25 + 10) * 8})
        others = runs[runs["architecture"] == "cross"]
        self.assertEqual({*zip(others["scheme"], others["multiplier"], strict=True)}, {("D", 1.0)})
        self.assertGreater(others["flops_train"].min(), runs.loc[runs["scheme"] == "V", "flops_train"].max())
        chosen = selected_learning_rate(runs).set_index(["architecture", "scheme"])["learning_rate"]
        expected = {("dot", scheme): 0.04 for scheme in ("D", "V", "H", "VH")}
        self.assertEqual(chosen.to_dict(), expected | {("cross", "D"): 0.04, ("dot", "E"): 0.08})
        at_edge = runs[runs["flags"].str.contains("lr_at_edge")]
        self.assertEqual({*zip(at_edge["scheme"], at_edge["learning_rate"], strict=True)}, {("E", 0.08)})

    def test_stopped_trial_has_the_rungs_it_reached_and_a_row_that_says_why(self) -> None:
        content = tiny_content(examples=[128, 256, 512, 1024], V=["1/2"], seeds=[0, 1])
        content["training"]["learning_rates"] = "auto"
        config = validated(Config, content, "tiny")
        # At the third rung .08 is worse by .002; .02 is by .004, and counts as stopped there although it went on.
        third = {"0.04": 0.9, "0.08": 0.902, "0.02": 0.904}
        for rate, ne in third.items():
            rungs = [0.99, 0.95, ne, 0.8 + ne / 10][: 3 if rate == "0.08" else 4]
            status: dict[str, Any] = {
                "status": "stopped" if rate == "0.08" else "ok",
                "reason": "worse",
                "diverged": False,
            }
            self.finished(f"D-1-lr{rate}-seed0", config.ladder[: len(rungs)], **status, rungs=rungs)
        runs = export(config, self.data.manifest, self.workdir)
        write_runs(runs, self.workdir.runs)
        rows = {name: list(zip(of["status"], of["examples"], strict=True)) for name, of in runs.groupby("trial_id")}
        measured = [("ok", 128), ("ok", 256), ("ok", 512)]
        waits = [("skipped", 0)]
        self.assertEqual(
            rows,
            {
                "D-1-lr0.04-seed0": [*measured, ("ok", 1024)],
                "D-1-lr0.04-seed1": waits,
                "D-1-lr0.08-seed0": [("stopped", 0), *measured],
                "D-1-lr0.02-seed0": [("stopped", 0), *measured],
                "V-1_2-lr0.04-seed0": waits,
            },
        )
        stopped = runs[runs["status"] == "stopped"]
        self.assertEqual(
            stopped.set_index("learning_rate")["reason"].to_dict(),
            {
                rate: f"its learning rate is worse than another: validation NE {ne} after 512 rows, more than 0.9010"
                for rate, ne in ((0.02, "0.9040"), (0.08, "0.9020"))
            },
        )

    def test_cost_of_a_scorer_is_found_or_refused_with_its_place(self) -> None:
        content = tiny_content(P={"keep": ["1/4"], "by": ["hard"]}) | {"scorer": {"examples": 256}}
        config = validated(Config, content, "tiny")
        [scoring] = scorings(config, self.data.manifest.data_hash)
        folder = scoring.folder(self.workdir.root)
        rows = self.data.manifest.splits["train"].rows
        scores = np.zeros(rows, np.float32)
        stored_scores(folder, self.data, scores, scoring.request, examples=256, flops=1e6, flops_per_row=10)
        self.finished("P-hard-1_4-lr0.04-seed0")
        runs = export(config, self.data.manifest, self.workdir)
        spent = runs[runs["scheme"] == "P-hard"].set_index("examples")["scorer_compute"]
        self.assertEqual(spent.to_dict(), {n: 1e6 + 10 * 4 * n for n in (256, 512, 1024)})
        earlier = folder.rename(folder.with_name(f"scorer-{folder.name}"))  # where earlier versions had it
        with self.assertRaisesRegex(InputError, rf"{folder}/scores.json: is missing.* called {earlier.name}, or run"):
            export(config, self.data.manifest, self.workdir)
        earlier.rename(folder)
        pd.testing.assert_frame_equal(export(config, self.data.manifest, self.workdir), runs)

    def test_trial_that_was_not_run_has_a_row_that_says_so(self) -> None:
        self.finished("D-1-lr0.04-seed0")
        runs = export(self.config, self.data.manifest, self.workdir)
        (vertical,) = runs[runs["scheme"] == "V"].to_dict("records")
        self.assertEqual((vertical["status"], vertical["reason"]), ("skipped", "not run yet"))
        self.assertTrue(math.isnan(vertical["test_ne"]))

    def test_table_survives_writing_and_reading(self) -> None:
        self.finished("D-1-lr0.04-seed0")
        runs = export(self.config, self.data.manifest, self.workdir)
        write_runs(runs, self.workdir.runs)
        again = self.workdir.runs.with_name("again.csv")
        write_runs(read_runs(self.workdir.runs), again)
        self.assertEqual(self.workdir.runs.read_bytes(), again.read_bytes())

    def test_missing_measurement_names_the_folder(self) -> None:
        self.finished("D-1-lr0.04-seed0", ladder=(256, 512))
        with self.assertRaisesRegex(InputError, "D-1-lr0.04-seed0: no summary 'test/ne' at 1024 examples"):
            export(self.config, self.data.manifest, self.workdir)

    def test_measurement_that_cannot_be_names_the_folder(self) -> None:
        for loss, message in ((math.nan, "test_ne is nan"), (math.inf, "is inf"), (-9.0, "test_ne is -8.0256 at 256")):
            self.finished("D-1-lr0.04-seed0", loss=loss)
            with self.assertRaisesRegex(InputError, rf"D-1-lr0\.04-seed0: .*{message}.* delete this folder"):
                export(self.config, self.data.manifest, self.workdir)
            shutil.rmtree(self.workdir.trials / "D-1-lr0.04-seed0")

    def test_model_that_cannot_be_counted_is_refused(self) -> None:
        content = tiny_content(M=["1048576"])
        content["model"]["overarch"] = [8192, 8192]
        config = validated(Config, content, "tiny")
        with self.assertRaisesRegex(InputError, r"sweep\.M: a model at M-1048576 has .*more than can be counted"):
            export(config, self.data.manifest, self.workdir)
        with self.assertRaisesRegex(InputError, r"sweep\.M: a model at M-1048576"):
            plan_on(config, self.data.manifest)

    def test_events_of_trials_are_copied_to_where_tensorboard_finds_them(self) -> None:
        self.finished("D-1-lr0.04-seed0")
        for path in (self.workdir.trials / "D-1-lr0.04-seed0").glob("events.out.tfevents.*"):
            path.rename(path.with_name(path.name.replace("tfevents", "kept")))
        folder = self.workdir.root / "copies"
        self.assertEqual(copy_events(self.workdir, folder), 1)
        (copy,) = folder.rglob("*tfevents*")
        self.assertEqual(read_scalars(copy.parent), read_scalars(self.workdir.trials / copy.parent.name))

    def test_scalars_are_read_from_every_event_file(self) -> None:
        directory = self.workdir.root / "events"
        write_events(directory, {"test/ne": {1: 0.5, 2**40: 0.1}})
        with mock.patch("os.getpid", return_value=7):
            write_events(directory, {"train/ne": {1: 0.25}})
        self.assertEqual(read_scalars(directory), {"test/ne": {1: 0.5, 2**40: 0.1}, "train/ne": {1: 0.25}})


if __name__ == "__main__":
    tf.test.main()
