import dataclasses
import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from tests.helpers.faults import quick_trial
from tests.helpers.studies import leading, read_split, tiny_config, tiny_content, tiny_data
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config
from tfrs_scaling.fit.report.report import write_report
from tfrs_scaling.fit.runs.run_table import TIMING_COLUMNS, read_runs, write_runs
from tfrs_scaling.fit.runs.screening import selected_learning_rate
from tfrs_scaling.fit.study import fit_study
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.plan import plan_on
from tfrs_scaling.study.export import copy_events, export, read_scalars
from tfrs_scaling.study.row_scores import scorings, with_scores
from tfrs_scaling.study.search import Need
from tfrs_scaling.study.status import read_status
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.agenda import Agenda
from tfrs_scaling.sweep.member import sweep
from tfrs_scaling.sweep.runner import Runner, write_plan
from tfrs_scaling.sweep.scores import make_missing_scores
from tfrs_scaling.training.loop import Progress
from tfrs_scaling.training.trial import Trained, run_trial


class MemberTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        self.config = tiny_config(V=["1/2"], O=[2])
        self.data = tiny_data(self.config, self.root / "data")

    def sweep(
        self, workdir: Workdir, config: Config | None = None, *, jobs: int = 1, train: Any = run_trial
    ) -> dict[str, Any]:
        """Run a sweep; each trial's record, by id, and ``run`` for those that were trained."""
        records: dict[str, Any] = {"run": set()}

        def watcher(trial_id: str, state: Progress | dict[str, Any]) -> None:
            if isinstance(state, Progress):
                records["run"] |= {trial_id} if state.examples else set()
            else:
                records[trial_id] = state

        config = config or self.config
        planned = plan_on(config, self.data.manifest)
        runner = Runner(config, self.data, workdir, strategy="cpu", jobs=jobs, time_limit=None, train=train)
        with leading(workdir) as lead:
            workdir.claim(config, self.data)
            sweep(config, workdir, planned, runner, watcher, lead)
        return records

    def runs(self, workdir: Workdir) -> str:
        config, manifest = workdir.reopened()
        table: str = export(config, manifest, workdir).drop(columns=[*TIMING_COLUMNS, "machine"]).to_csv()
        return table

    def make_scores_after_a_kill(self, config: Config, workdir: Workdir) -> None:
        """Let the data have a teacher's and a scorer's predictions; a process that began the first was killed."""
        scoring, further = scorings(config, self.data.manifest.data_hash)
        folder, stop, lines = scoring.folder(workdir.root), threading.Event(), list[str]()
        seen: list[tuple[tuple[str, ...], list[str]]] = []  # what status and TensorBoard show at each line of progress
        workdir.root.mkdir()
        workdir.claim(config, self.data)
        write_plan(workdir, Agenda(config, workdir, retry=False), plan_on(config, self.data.manifest), lambda _: None)

        def say(line: str) -> None:
            lines.append(line)
            shown = [path.parent.name for path in workdir.running.glob("*/events.out.tfevents.*")]
            if line.startswith("teacher: trained on"):
                seen.append((read_status(workdir).scorers, shown))
                if len(seen) == 1:
                    stop.set()

        def make(limit: float | None = None) -> ClickData:
            with mock.patch("tfrs_scaling.sweep.scores.SAY_SECONDS", 0.0):
                return make_missing_scores(config, self.data, workdir, "cpu", limit, stop, say)

        with self.assertRaisesRegex(InputError, "teacher: no predictions: took longer than .*; --time-limit gives it"):
            make(0.001)
        with self.assertRaisesRegex(InputError, "another process leads this study now"):
            make()
        self.assertEqual((folder.exists(), [*workdir.running.iterdir()]), (False, []))
        with self.assertRaisesRegex(InputError, "there are no scores of teacher"):
            with_scores(config, self.data, workdir.root)
        stop.clear()
        self.data = make()
        self.assertEqual({path for path in folder.parent.iterdir() if path.is_dir()},
                         {folder, further.folder(workdir.root)})  # fmt: skip
        [status], [shown] = seen[-1]
        self.assertRegex(status, "^teacher: trained on (0|25|50|100)% of 2,048 rows")  # as of the last sign of life
        self.assertStartsWith(shown, "teacher.")
        rows = self.data.manifest.splits["train"].rows
        self.assertIn(f"teacher: predicted 100% of {rows:,} rows", " ".join(lines))
        measured = read_scalars(folder)["test/ne"]  # as a trial's are, at the data sizes up to its own
        self.assertEqual([*measured], [512, 1024, 2048])
        self.assertAllClose(measured[2048], self.data.scores["teacher"].manifest.cost.test_ne, rtol=1e-6)
        self.assertEqual(copy_events(workdir, self.root / "events"), 2)
        self.assertEqual(make(), self.data)  # as it was
        label = read_split(self.data.folder, "train")["label"][:, 0]
        (file,) = self.data.scores["teacher"].files
        scores = np.concatenate([np.frombuffer(r, "<f4") for r in tf.data.TFRecordDataset(file).as_numpy_iterator()])
        self.assertEqual(scores.shape, label.shape)
        # They are those of their rows: the mean rank of clicks is far above what chance makes it.
        clicks = label == 1
        rank = scores.argsort().argsort()[clicks].mean() / len(label)
        self.assertGreater(rank, 0.5 + 5 * 0.289 / clicks.sum() ** 0.5)

    def test_features_negatives_teachers_and_chosen_rows_from_the_grid_to_the_report(self) -> None:
        content = tiny_content(examples=[512, 1024, 2048, 4096], F=["1/4", "3/4"], N=["1/4", "1/2"])
        content["synthetic"]["rows"] = 15_000
        content["sweep"]["T"], content["teacher"] = ["1/2"], {"examples": 2048, "scheme": "V", "multiplier": 2}
        content["sweep"]["P"], content["scorer"] = {"keep": ["1/2"], "by": ["hard"]}, {"examples": 256}
        config = validated(Config, content, "tiny")
        self.data = tiny_data(config, self.root / "more data")
        workdir = Workdir(self.root / "study")
        self.make_scores_after_a_kill(config, workdir)
        self.sweep(workdir, config, jobs=2)
        write_runs(export(*workdir.reopened(), workdir), workdir.runs)
        runs = read_runs(workdir.runs)
        self.assertEqual(set(runs["status"]), {"ok"})
        for _, of_trial in runs.groupby("trial_id"):
            self.assertEqual(list(of_trial["examples"]), [512, 1024, 2048, 4096])
        self.assertEqual(runs["base_ctr"].nunique(), 1)  # every trial is measured on every test row
        parts = {scheme: of_scheme.set_index("multiplier") for scheme, of_scheme in runs.groupby("scheme")}
        (baseline,) = parts["D"]["params_total"].unique()
        self.assertEqual(set(parts["N"]["params_total"]), {baseline})
        one, three = (parts["F"].loc[share, ["params_total", "flops_train"]].max() for share in (0.25, 0.75))
        self.assertLess(one["params_total"], three["params_total"])
        self.assertLess(three["params_total"], baseline)
        self.assertLess(three["flops_train"], parts["D"]["flops_train"].max())
        for scheme, key, examples, chosen_from in (("T", "teacher", 2048, 1), ("P-hard", "scorer", 256, 2)):
            cost = self.data.scores[key].manifest.cost
            trained, predicted = parts["D"][["flops_train", "flops_forward"]].iloc[0]  # V takes no more FLOPs
            self.assertAllClose((cost.flops, cost.flops_per_row), (trained * examples, predicted), rtol=1e-9)
            own = parts[scheme]
            self.assertEqual(set(own["scorer_examples"]), {examples})
            spent = cost.flops + cost.flops_per_row * chosen_from * own["examples"]
            self.assertAllClose(own["scorer_compute"], spent, rtol=1e-9)
        self.assertEqual(set(runs[~runs["scheme"].isin(["T", "P-hard"])]["scorer_examples"]), {0})
        write_report(runs, fit_study(runs), workdir.report, about=workdir.read_study())
        text = workdir.report.read_text()
        for words in (
            "F: share of the features", "N: share of the negatives trained on", "The model sees this share",
            "with predictions corrected for the sampling", "sweep.feature_seed", "F 1/4", "N 1/4", "P-hard 1/2",
            "T: weight of a teacher", "teacher was trained on 2,048 rows beside the 4,096 of the largest data size",
            "P-hard: share of the rows trained on", "Pruning to 1/2 of a longer log, at equal examples",
        ):  # fmt: skip
            self.assertTrue(words in text, words)  # assertIn would print the whole page
        for figure in (
            "F-data", "F-parameters", "F-compute", "N-data", "N-compute", "T-data", "P-hard-data", "P-hard-compute"
        ):  # fmt: skip
            self.assertTrue(f'class="plot" id="figure-{figure}"' in text, figure)
        self.assertFalse("figure-N-parameters" in text)

    def test_two_jobs_train_every_trial_once_and_equal_one_job(self) -> None:
        config = tiny_config(V=["1/2"], O=[2], seeds=[0, 1])
        ids = {t.trial_id for t in all_trials(config)}
        tables = []
        for jobs in (1, 2):
            workdir = Workdir(self.root / f"jobs{jobs}")
            with mock.patch("os.cpu_count", return_value=jobs):  # one thread each, so that sums run in one order
                records = self.sweep(workdir, config, jobs=jobs)
            self.assertEqual(records["run"], ids)
            self.assertEqual(set(records) - {"run"}, ids)
            self.assertEqual({records[i]["status"] for i in ids}, {"ok"})
            tables.append(self.runs(workdir))
        self.assertEqual(tables[0].replace("jobs1", ""), tables[1].replace("jobs2", ""))

    def test_found_rates_are_the_same_however_many_jobs_and_after_a_break(self) -> None:
        config = tiny_config(examples=[128, 256, 512, 1024], V=["1/2", "1/4"], O=[2], seeds=[0, 1])
        config = dataclasses.replace(config, training=dataclasses.replace(config.training, learning_rates="auto"))
        tables = []
        for jobs in (1, 3):
            workdir = Workdir(self.root / "study" / str(jobs))
            self.sweep(workdir, config, jobs=jobs, train=quick_trial)
            tables.append(self.runs(workdir))
            self.assertEqual(
                set(json.loads(workdir.plan.read_text())), {path.name for path in workdir.trials.iterdir()}
            )
        shutil.rmtree(workdir.trials / "D-1-lr0.02-seed0")  # the best, as if killed during this trial
        shutil.rmtree(workdir.trials / "V-1_4-lr0.01-seed0")
        records = self.sweep(workdir, config, train=quick_trial)
        self.assertEqual(records["run"], {"D-1-lr0.02-seed0", "V-1_4-lr0.01-seed0"})
        self.assertEqual([*tables, self.runs(workdir)], tables[:1] * 3)
        runs = export(*workdir.reopened(), workdir)
        self.assertEqual(set(runs["status"]), {"ok", "stopped"})
        write_runs(runs, workdir.runs)
        fits = fit_study(read_runs(workdir.runs))
        self.assertEqual((fits.missing, {point.flags for point in fits.flagged if "edge" in point.flags}), ((), set()))
        chosen = selected_learning_rate(runs)
        self.assertLen(chosen, 4)
        for shape, rate in zip(chosen["scheme"], chosen["learning_rate"], strict=True):
            rows = runs[(runs["scheme"] == shape) & (runs["learning_rate"] == rate) & (runs["status"] == "ok")]
            self.assertEqual(set(rows["seed"]), {0, 1}, shape)

    def test_trials_of_a_shape_share_a_process_where_they_can_share_a_model(self) -> None:
        cases: list[tuple[dict[str, Any], int]] = [
            ({}, 1),
            ({"schedule": "linear"}, 2),
            ({"embedding_layer": "tfrs"}, 2),
        ]
        for changed, processes in cases:
            config = tiny_config(seeds=[0, 1])
            config = dataclasses.replace(config, training=dataclasses.replace(config.training, **changed))
            workdir = Workdir(self.root / f"study {changed}")
            self.sweep(workdir, config, train=_trial_that_names_its_process)
            self.assertLen({path.read_text() for path in workdir.trials.glob("*/process")}, processes, changed)

    def test_keras_tuner_s_files_hold_the_objective_and_a_sweep_continues_where_it_was(self) -> None:
        workdir = Workdir(self.root / "study")
        records = self.sweep(workdir)
        trials = [json.loads(p.read_text()) for p in workdir.keras_tuner.glob("trial_*/trial.json")]
        self.assertEqual(
            sorted(t["score"] for t in trials),
            sorted(records[t.trial_id]["validation_ne"] for t in all_trials(self.config)),
        )
        whole = self.runs(workdir)
        (workdir.trials / "V-1_2-lr0.04-seed0" / "trial.json").unlink()  # as if killed during this trial
        records = self.sweep(workdir)
        self.assertEqual(records["run"], {"V-1_2-lr0.04-seed0"})
        self.assertEqual(self.runs(workdir), whole)

    def test_failed_trial_keeps_a_row_and_harms_no_other(self) -> None:
        config = tiny_config(V=["1/2"], O=[2])
        workdir = Workdir(self.root / "study")
        records = self.sweep(workdir, config, train=_odd_trial)
        status = {i: record["status"] for i, record in records.items() if i != "run"}
        self.assertEqual(
            status, {"D-1-lr0.04-seed0": "ok", "V-1_2-lr0.04-seed0": "failed", "O-2-lr0.04-seed0": "failed"}
        )
        runs = export(*workdir.reopened(), workdir)
        failed = runs[runs["status"] == "failed"].set_index("trial_id")
        self.assertEqual(len(runs), 3 + 2)
        self.assertIn("InputError: shard 3 is odd", failed.loc["V-1_2-lr0.04-seed0", "reason"])
        self.assertIn("out of memory", failed.loc["O-2-lr0.04-seed0", "reason"])
        # The same command tries what failed again.
        self.assertEqual(self.sweep(workdir, config)["run"], {"V-1_2-lr0.04-seed0", "O-2-lr0.04-seed0"})
        self.assertEqual(set(export(*workdir.reopened(), workdir)["status"]), {"ok"})

    def test_too_large_trials_are_skipped_with_their_need(self) -> None:
        workdir = Workdir(self.root / "study")
        with mock.patch("tfrs_scaling.planning.plan.memory_limit", return_value=(1, "this machine")):
            records = self.sweep(workdir)
        self.assertEqual(records["run"], set())
        runs = export(*workdir.reopened(), workdir)
        self.assertEqual(list(runs["status"]), ["skipped"] * 3)
        self.assertIn("GiB of memory", runs["reason"].iloc[0])

    def test_interrupt_ends_running_trials_and_leaves_them_to_do(self) -> None:
        workdir = Workdir(self.root / "study")
        # A shell's background jobs are born deaf to Ctrl-C.
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        threading.Timer(4, os.kill, (os.getpid(), signal.SIGINT)).start()
        started = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            self.sweep(workdir, train=_endless_trial)
        self.assertLess(time.monotonic() - started, 60)
        self.assertIsNone(workdir.record("D-1-lr0.04-seed0"))


def _odd_trial(need: Need, *arguments: Any) -> Trained:
    if need.trial.scheme == "V":
        raise InputError("shard 3 is odd")
    if need.trial.scheme == "O":
        os.kill(os.getpid(), signal.SIGKILL)
    return run_trial(need, *arguments)


def _trial_that_names_its_process(need: Need, config: Config, data: Any, directory: Path, *_: Any) -> Trained:
    (directory / "process").write_text(str(os.getpid()))
    return Trained((0.5,) * len(config.ladder))


def _endless_trial(*arguments: Any) -> float:
    while True:
        time.sleep(1)


if __name__ == "__main__":
    tf.test.main()
