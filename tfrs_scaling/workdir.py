"""A study's folder: what it was started with, what each trial came to, and who is at work in it.

study.json           configuration, data and software
manifest.json        of the data
trials/ID/           event file, log.txt and, when the trial is over, trial.json
keras_tuner/         the grid as KerasTuner saw it
announced.json       under multi_worker: the trial that the chief is at
workerN.txt          under multi_worker: what worker N printed in its last trial
runs.csv, fits.json, report.html
findings/            what TensorBoard shows of the study as a whole
"""

import contextlib
import fcntl
import json
import os
import platform
import shutil
import uuid
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import tfrs_scaling
from tfrs_scaling.config import Config
from tfrs_scaling.input.shards import MANIFEST, ClickData, Manifest, describe
from tfrs_scaling.input.validated import InputError, read_yaml, validated

LIBRARIES = (
    "tensorflow",
    "tf-keras",
    "tensorflow-recommenders",
    "keras-tuner",
    "numpy",
    "scipy",
    "bokeh",
)


def libraries() -> str:
    """Python's and the libraries' versions, joined by ";"."""
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}
    return ";".join(f"{name} {version}" for name, version in versions.items())


def machine() -> str:
    """What this machine is, as far as it changes results."""
    return f"{platform.machine()} {os.cpu_count()} cores {platform.system()}"


class Workdir:
    """The folder of a study at ``root``."""

    def __init__(self, root: Path):
        self.root = root
        self.trials = root / "trials"
        self.keras_tuner = root / "keras_tuner"
        self.study = root / "study.json"
        self.manifest = root / MANIFEST
        self.announcement = root / "announced.json"
        self.runs = root / "runs.csv"
        self.fits = root / "fits.json"
        self.report = root / "report.html"
        self.board = root / "findings"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one sweep; the lock dies with the process, however it dies.

        Raises:
            InputError: another sweep holds it, or it cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / ".lock").open("w")
        except OSError as error:
            raise InputError(f"{self.root}: cannot be written: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{self.root}: another sweep is at work in this folder") from None
            yield

    def claim(self, config: Config, data: ClickData) -> None:
        """Write down what the study is; a folder that holds another study is refused.

        Raises:
            InputError: lists what differs.
        """
        if self.study.exists():
            self.check(config, data)
            return
        study = {
            "name": config.study,
            "config": config.to_dict(),
            "config_hash": config.config_hash,
            "data": describe(data.manifest),
            "data_hash": data.manifest.data_hash,
            "code_version": tfrs_scaling.__version__,
            "libraries": libraries(),
            "machine": machine(),
        }
        self.manifest.write_text(data.manifest.to_json(), encoding="utf-8")
        write_json(self.study, study)

    def check(self, config: Config, data: ClickData) -> None:
        """Refuse a folder that holds another study than this one.

        Raises:
            InputError: lists what differs, or this is no study's folder.
        """
        before = self.read_study()
        differences = [
            f"  {key}: {before_value!r} there, {now_value!r} now"
            for key, now in (("config", config.to_dict()), ("data_hash", data.manifest.data_hash))
            for key, before_value, now_value in _differences(key, before.get(key), now)
        ]
        if differences:
            raise InputError(
                "\n".join(
                    [
                        f"{self.root}: holds another study; choose another --workdir. What differs:",
                        *differences,
                    ]
                )
            )

    def read_study(self) -> dict[str, Any]:
        """What ``claim`` wrote down.

        Raises:
            InputError: this is no study's folder.
        """
        if not self.study.exists():
            raise InputError(f"{self.root}: no study.json, so no sweep was started in this folder")
        return read_yaml(self.study)

    def reopened(self) -> tuple[Config, Manifest]:
        """The study's configuration, and the manifest of its data.

        Raises:
            InputError: this is no study's folder, or its files were changed by hand.
        """
        config = validated(Config, self.read_study()["config"], f"{self.study}, config")
        return config, validated(Manifest, read_yaml(self.manifest), str(self.manifest))

    def fresh_directory(self, trial_id: str) -> Path:
        """An empty folder for a trial; what an attempt that was killed left there is gone."""
        directory = self.trials / trial_id
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        return directory

    def record(self, trial_id: str) -> dict[str, Any] | None:
        """What a trial came to, or None if it is not over."""
        path = self.trials / trial_id / "trial.json"
        return read_yaml(path) if path.exists() else None

    def is_settled(self, trial_id: str) -> bool:
        """Whether a trial is over and a sweep will not try it again."""
        record = self.record(trial_id)
        return record is not None and record["status"] != "failed"

    def announce(self, trial_id: str | None) -> None:
        """Tell the other workers to join a trial, each time anew; None: there is no more to join."""
        write_json(self.announcement, {"trial_id": trial_id, "attempt": uuid.uuid4().hex})

    def announced(self) -> dict[str, Any] | None:
        """What was announced last, or None if nothing was."""
        return read_yaml(self.announcement) if self.announcement.exists() else None

    def write_record(self, trial_id: str, record: dict[str, Any]) -> None:
        """Write down what a trial came to; from then on it is over."""
        write_json(self.trials / trial_id / "trial.json", record)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file that is, at every moment, absent, the old one or the new one."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(path)


def _differences(key: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            yield from _differences(f"{key}.{name}", before.get(name), now.get(name))
    elif before != now:
        yield key, before, now
