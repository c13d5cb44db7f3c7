"""A study's folder: what it was started with, the outcome of each trial, and which processes work in it.

study.json           configuration, data and software
config.yaml          the configuration alone, for further studies
manifest.json        of the data
plan.json            the planned seconds of each trial
running/ID.TOKEN/    an attempt at a trial: event file, log.txt, attempt.json
trials/ID/           the attempt that was kept, with trial.json: the trial's outcome
keras_tuner/         the grid as KerasTuner saw it
announced.json       under multi_worker: the trial that the chief is running
workerN.txt          under multi_worker: what worker N printed in its last trial
runs.csv, fits.json, report.html
findings/            what TensorBoard shows about the study as a whole
"""

import contextlib
import dataclasses
import datetime
import fcntl
import json
import platform
import shlex
import uuid
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

import tfrs_scaling
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json, write_text_atomically
from tfrs_scaling.common.strict_yaml import read_yaml, validated
from tfrs_scaling.hardware import count_cores
from tfrs_scaling.study.attempts import Process, read_record
from tfrs_scaling.study.own_rows import own_rows_from

if TYPE_CHECKING:  # these load TensorFlow or SciPy, which reading a folder does not need
    from tfrs_scaling.config import Config
    from tfrs_scaling.input.shards import ClickData, Manifest

LIBRARIES = ("tensorflow", "tf-keras", "tensorflow-recommenders", "keras-tuner", "numpy", "scipy", "bokeh")


def libraries() -> str:
    """Python's and the libraries' versions, joined by ";"."""
    return ";".join([f"python {platform.python_version()}", *(f"{name} {_version(name)}" for name in LIBRARIES)])


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:  # tpu-constraints.txt installs TensorFlow under this name
        return metadata.version(f"{library}-tpu")


def machine() -> str:
    """What about this machine can change results."""
    return f"{platform.machine()} {count_cores()} cores {platform.system()}"


class Workdir:
    """The folder of a study at ``root``."""

    def __init__(self, root: Path):
        self.root = root
        self.running = root / "running"
        self.trials = root / "trials"
        self.keras_tuner = root / "keras_tuner"
        self.study = root / "study.json"
        self.config = root / "config.yaml"
        self.plan = root / "plan.json"
        self.manifest = root / "manifest.json"
        self.announcement = root / "announced.json"
        self.runs = root / "runs.csv"
        self.fits = root / "fits.json"
        self.report = root / "report.html"
        self.board = root / "findings"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for one sweep; the lock ends with the process, however it ends.

        Raises:
            InputError: another sweep holds the lock (the message says which), or the folder cannot be written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{self.root}: cannot be written: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = self.lock_owner()
                who = f", process {owner.pid} on {owner.host}" if owner else ""
                raise InputError(f"{self.root}: another sweep is running in this folder{who}") from None
            try:
                lock.truncate(0)
                lock.write(json.dumps(dataclasses.asdict(Process.this())))
                lock.flush()
            except OSError as error:
                raise InputError(f"{self.root}: cannot be written: {error.strerror}") from None
            yield

    def lock_owner(self) -> Process | None:
        """The process that locked this folder last, which may have ended."""
        try:
            return Process(**json.loads((self.root / ".lock").read_text(encoding="utf-8")))
        except (OSError, ValueError):  # never locked, or being locked at this moment
            return None

    def claim(self, config: "Config", data: "ClickData") -> None:
        """Record what the study is; refuse a folder that holds another study.

        Raises:
            InputError: lists what differs.
        """
        from tfrs_scaling.input.shards import describe

        if self.study.exists():
            self.check(config, data)
            return
        write_text_atomically(self.config, yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True))
        study = {
            "name": config.study,
            "date": datetime.date.today().isoformat(),
            "command": self._command(config, data.folder),
            "config": config.to_dict(),
            "config_hash": config.config_hash,
            "data": describe(data.manifest) | {"own_rows_from": own_rows_from(config, data.manifest)},
            "data_folder": data.folder,
            "data_hash": data.manifest.data_hash,
            "code_version": tfrs_scaling.__version__,
            "libraries": libraries(),
            "machine": machine(),
        }
        self.manifest.write_text(data.manifest.to_json(), encoding="utf-8")
        write_json(self.study, study)

    def _command(self, config: "Config", data_folder: str) -> str:
        """The command that runs the study again, in another folder."""
        data = f" --data {shlex.quote(data_folder)}" if config.synthetic is None else ""
        return f"tfrs-scaling study {shlex.quote(str(self.config))}{data} --workdir ANOTHER"

    def check(self, config: "Config", data: "ClickData") -> None:
        """Refuse a folder that holds a different study.

        Raises:
            InputError: lists what differs, or the folder holds no study.
        """
        before = self.read_study()
        differences = [
            f"  {key}: {before_value!r} there, {now_value!r} now"
            for key, now in (("config", config.to_dict()), ("data_hash", data.manifest.data_hash))
            for key, before_value, now_value in _differences(key, before.get(key), now)
        ]
        if differences:
            raise InputError(
                "\n".join([f"{self.root}: holds another study; choose another --workdir. What differs:", *differences])
            )

    def read_study(self) -> dict[str, Any]:
        """What ``claim`` recorded.

        Raises:
            InputError: the folder holds no study.
        """
        if not self.study.exists():
            raise InputError(f"{self.root}: no study.json, so no sweep was started in this folder")
        return read_yaml(self.study)

    def reopened(self) -> "tuple[Config, Manifest]":
        """The study's configuration, and the manifest of its data.

        Raises:
            InputError: the folder holds no study, or its files were edited by hand.
        """
        from tfrs_scaling.config import Config
        from tfrs_scaling.input.shards import Manifest

        config = validated(Config, self.read_study()["config"], f"{self.study}, config")
        return config, validated(Manifest, read_yaml(self.manifest), str(self.manifest))

    def write_plan(self, seconds: Mapping[str, float]) -> None:
        """Record the trials and the planned seconds of each, for ``status``."""
        write_json(self.plan, dict(seconds))

    def record(self, trial_id: str) -> dict[str, Any] | None:
        """A trial's outcome, or None if it has not ended."""
        return read_record(self.trials / trial_id)

    def announce(self, trial_id: str | None) -> None:
        """Tell the other workers to join a trial; None: there are no more."""
        write_json(self.announcement, {"trial_id": trial_id, "attempt": uuid.uuid4().hex})

    def announced(self) -> dict[str, Any] | None:
        """The last announcement, or None if there was none."""
        return read_yaml(self.announcement) if self.announcement.exists() else None


def _differences(key: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            yield from _differences(f"{key}.{name}", before.get(name), now.get(name))
    elif before != now:
        yield key, before, now
