"""One trial goes wrong: one row with the reason, and the others complete. Sweeps are killed: the table is the same."""

import errno
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import tensorflow as tf
import yaml

from tests.helpers.faults import Siege, faulty_trial, greedy_trial, hanging_trial, quick_trial
from tests.helpers.isolated import doubled
from tests.helpers.studies import leading, tiny_config, tiny_content, tiny_data
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config
from tfrs_scaling.fit.runs.run_table import TIMING_COLUMNS
from tfrs_scaling.planning.plan import plan_on
from tfrs_scaling.study import attempts
from tfrs_scaling.study.export import export
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.member import sweep
from tfrs_scaling.sweep.runner import LEAST_LIMIT_SECONDS, Runner, Train, limit_of
from tfrs_scaling.training.isolation import run_isolated


class FaultsTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        self.config = tiny_config(V=["1/2"], O=[2])
        self.data = tiny_data(self.config, self.root / "data")

    def runs(
        self,
        workdir: Workdir,
        train: Train,
        config: Config | None = None,
        jobs: int = 2,
        time_limit: float | None = None,
    ) -> pd.DataFrame:
        config = config or self.config
        runner = Runner(config, self.data, workdir, strategy="cpu", jobs=jobs, time_limit=time_limit, train=train)
        with leading(workdir) as lead:
            workdir.claim(config, self.data)
            sweep(config, workdir, plan_on(config, self.data.manifest), runner, lambda *_: None, lead)
        return export(*workdir.reopened(), workdir)

    def reasons(self, runs: pd.DataFrame, config: Config) -> dict[str, str]:
        """Per failed trial its reason; every other trial has a row at each rung, every trial at least one."""
        self.assertEqual(set(runs["trial_id"]), {trial.trial_id for trial in all_trials(config)})
        for _, of_trial in runs.groupby("trial_id"):
            (status,) = set(of_trial["status"])
            self.assertLen(of_trial, {"ok": len(config.ladder), "failed": 1}[status])
        failed = runs[runs["status"] == "failed"]
        return dict(zip(failed["trial_id"], failed["reason"], strict=True))

    def test_each_fault_is_one_row_with_its_reason(self) -> None:
        config = tiny_config(V=["1/2", "1/4"], H=[2, "1/2"], O=[2, "1/2"], M=["1/2"])
        shutil.copytree(self.root / "data", self.root / "damaged")
        (shard,) = (self.root / "damaged").glob("*train*tfrecord*")
        content = bytearray(shard.read_bytes())
        content[len(content) // 2] ^= 0xFF
        shard.write_bytes(content)
        workdir = Workdir(self.root / "study")
        reasons = self.reasons(self.runs(workdir, faulty_trial, config), config)
        expected = {
            "V-1_2": r"^DivergedError: the training loss became (nan|inf) between examples",
            "V-1_4": r"killed \(SIGKILL\): usually because the machine ran out of memory",
            "H-2": "^MemoryError: out of memory$",
            "H-1_2": "^ResourceExhaustedError: .*OOM when allocating",
            "O-2": "^DataLossError: .*corrupted record",
            "O-1_2": "^ValueError: ids of row 7: -1$",
        }
        self.assertEqual(set(reasons), {f"{name}-lr0.04-seed0" for name in expected})
        for name, reason in expected.items():
            self.assertRegex(reasons[f"{name}-lr0.04-seed0"], reason)

    def test_hang_is_ended_at_its_limit(self) -> None:
        # The server's imports are no part of what is tested.
        run_isolated(doubled, (1,), self.root / "log.txt", lambda _: None, threading.Event())
        reasons = self.reasons(self.runs(Workdir(self.root / "study"), hanging_trial, time_limit=6.0), self.config)
        self.assertEqual(
            reasons, {"V-1_2-lr0.04-seed0": "took longer than 0.1 min and was ended; --time-limit gives it more"}
        )

    def test_limit_is_twenty_times_the_plan_and_at_least_an_hour(self) -> None:
        self.assertEqual(limit_of(mock.Mock(seconds=1.0), None), LEAST_LIMIT_SECONDS)
        self.assertEqual(limit_of(mock.Mock(seconds=3600.0), None), 72_000.0)

    def test_trial_that_fills_the_disk(self) -> None:
        disk = self.root / "disk"
        disk.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False
        )
        if mounted.returncode:
            self.skipTest("needs the right to mount a small file system")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        # One at a time: a trial that runs while the disk is full fails too, and rightly so.
        reasons = self.reasons(self.runs(Workdir(disk / "study"), greedy_trial, jobs=1), self.config)
        self.assertEqual(list(reasons), ["V-1_2-lr0.04-seed0"])
        self.assertRegex(reasons["V-1_2-lr0.04-seed0"], "No space left on device")

    def test_record_that_does_not_fit_gets_the_room_of_the_measurements(self) -> None:
        room = {"V-1_2-lr0.04-seed0"}

        def written(path: Path, content: dict[str, Any], *, durably: bool = False) -> None:
            if durably and path.parent.name.startswith(tuple(room)) and list(path.parent.glob("events*")):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write_json(path, content, durably=durably)

        with mock.patch.object(attempts, "write_json", written):
            reasons = self.reasons(self.runs(Workdir(self.root / "study"), quick_trial), self.config)
        self.assertEqual(reasons, {"V-1_2-lr0.04-seed0": f"No space left on device in {self.root / 'study'}"})

    def test_workdir_that_cannot_be_written_is_refused_before_anything_starts(self) -> None:
        workdir = Workdir(self.root / "study")
        refused = OSError(errno.EROFS, os.strerror(errno.EROFS))  # permissions do not bind root
        with (
            mock.patch.object(Path, "open", side_effect=refused),
            self.assertRaisesRegex(InputError, "study: cannot be written: Read-only file system"),
        ):
            self.runs(workdir, quick_trial)
        self.assertFalse(workdir.trials.exists() or workdir.running.exists())

    def test_workdir_that_turns_read_only_ends_the_sweep_and_keeps_what_is_done(self) -> None:
        workdir = Workdir(self.root / "study")
        refused = OSError(errno.EROFS, os.strerror(errno.EROFS))
        with (
            mock.patch("tfrs_scaling.sweep.runner.publish", side_effect=[mock.DEFAULT, refused, refused]) as publish,
            self.assertRaisesRegex(InputError, "study: cannot be written: Read-only .*run the same command again"),
        ):
            publish.return_value = {"status": "ok", "reason": "", "validation_ne": 0.5}
            self.runs(workdir, quick_trial)

    def test_kills_of_the_sweep_and_of_trials_leave_the_table_of_an_uninterrupted_one(self) -> None:
        content = tiny_content(examples=[128, 256, 512, 1024], V=["1/2"], O=[2], seeds=[0, 1])
        content["training"]["learning_rates"] = "auto"
        config_file, config = self.root / "tiny.yaml", validated(Config, content, "tiny")
        config_file.write_text(yaml.safe_dump(content))
        killed, whole = Workdir(self.root / "killed"), Workdir(self.root / "whole")
        with Siege(config_file, self.root / "data", killed, processes=1, quick=True, seed=19, command="sweep") as siege:
            siege.kill(3)
            siege.finish(again=True)
        self.assertIn("chief", siege.killed)
        self.assertIn("trial", siege.killed)
        runs = self.runs(whole, quick_trial, config)
        dropped = [*TIMING_COLUMNS, "machine"]
        pd.testing.assert_frame_equal(
            export(*killed.reopened(), killed).drop(columns=dropped), runs.drop(columns=dropped)
        )
        self.assertFalse(runs.duplicated(["trial_id", "examples"]).any())


if __name__ == "__main__":
    tf.test.main()
