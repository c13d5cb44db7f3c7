"""A study's folder: what it was started with, the outcome of each trial, and which processes work in it.

study.json           configuration, data and software
config.yaml          the configuration alone, for further studies
manifest.json        of the data
plan.json            the planned seconds of each trial
running/ID.TOKEN/    an attempt at a trial, a teacher or a scorer: event file, log.txt, attempt.json
trials/ID/           the attempt that was kept, with trial.json: the trial's outcome
scores/HASH/         a teacher's or scorer's attempt that was kept, with scores.json and its predictions of the
                     training rows; HASH is that of all that decides them
keras_tuner/         the grid as KerasTuner saw it
chief.json, token    who leads the study, and what other processes show it to join
announced.json       under multi_worker: the trial that the chief is running
workerN.txt          under multi_worker: what worker N printed in its last trial
runs.csv, fits.json, report.html
findings/            what TensorBoard shows about the study as a whole
"""

import contextlib
import dataclasses
import datetime
import os
import platform
import shlex
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
import yaml
from pydantic.dataclasses import dataclass

import tfrs_scaling
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json, write_text_atomically
from tfrs_scaling.common.strict_yaml import read_state, validated
from tfrs_scaling.hardware import count_cores
from tfrs_scaling.study.attempts import STATE, Number, TrialId, read_record
from tfrs_scaling.study.own_rows import own_rows_from

if TYPE_CHECKING:  # these load TensorFlow or SciPy, which reading a folder does not need
    from tfrs_scaling.config import Config
    from tfrs_scaling.input.manifest import Manifest
    from tfrs_scaling.input.shards import ClickData
    from tfrs_scaling.study.growth import Change

LIBRARIES = ("tensorflow", "tf-keras", "tensorflow-recommenders", "keras-tuner", "numpy", "scipy", "bokeh")


def libraries() -> str:
    """Python's and the libraries' versions, joined by ";"."""
    return ";".join([f"python {platform.python_version()}", *(f"{name} {_version(name)}" for name in LIBRARIES)])


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:  # tpu-constraints.txt installs TensorFlow under this name
        return metadata.version(f"{library}-tpu")


def commit() -> str:
    """The Git commit of this program, "-dirty" after it where files were changed; empty where it is no checkout."""

    def said(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()  # noqa: S603

    try:  # what Git does not track, as an installed copy within another project, has no commit of its own
        return said("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*") * bool(said("ls-files", __file__))
    except (OSError, subprocess.TimeoutExpired):
        return ""


def machine() -> str:
    """What about this machine can change results."""
    return f"{platform.machine()} {count_cores()} cores {platform.system()}"


Planned = Annotated[float, pydantic.Field(ge=1e-9, le=1e12)]


@dataclass(frozen=True, config=STATE)
class Data:
    """What study.json says about the data: ``input.manifest.describe``, and ``own_rows_from``."""

    rows: dict[str, Number]
    base_ctr: dict[str, float]
    bayes_ne: float | None
    bayes_ne_standard_error: float | None
    description: str
    own_rows_from: float | None = None


@dataclass(frozen=True, config=STATE)
class Study:
    """What study.json says.

    Attributes:
        name: the study's.
        config: the configuration, as ``Config.to_dict`` writes it.
        date: when it was started, YYYY-MM-DD.
        command: what runs it again.
        commit: the Git commit of the code that started it; empty where it was no checkout.
        code_version, libraries, machine: those that started it; each trial records its own.
    """

    name: str
    config: dict[str, Any]
    config_hash: str
    data: Data
    data_hash: str
    code_version: str
    libraries: str
    machine: str
    date: str = ""
    command: str = ""
    data_folder: str = "DATA"  # a study of an earlier version does not say
    commit: str = ""

    def __post_init__(self) -> None:
        for name in ("training", "sweep"):  # what a report reads of it; a sweep reads it all, as ``Config``
            if not isinstance(section := self.config.get(name, {}), dict):
                raise ValueError(f"config.{name}: {str(section)[:80]} where its settings are expected")
        sizes = self.config.get("sweep", {}).get("examples")
        if not isinstance(sizes, list) or not sizes or not all(type(size) is int and size > 0 for size in sizes):
            raise ValueError(f"config.sweep.examples: {str(sizes)[:80]} where the data sizes are expected")


@dataclass(frozen=True, config=STATE)
class Announcement:
    """What announced.json says: the trial to join, None if there are no more; and which time it was announced."""

    trial_id: TrialId | None
    attempt: str


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

    def claim(self, config: "Config", data: "ClickData") -> list["Change"]:
        """Record what the study is, or what it has become; refuse a folder that holds another study.

        Returns:
            What the configuration adds to that of the study in the folder.

        Raises:
            InputError: lists what differs.
        """
        from tfrs_scaling.input.manifest import describe

        if self.study.exists():
            added = self.additions(config, data.manifest)
            if added:
                grown = {"config": config.to_dict(), "config_hash": config.config_hash}
                write_json(self.study, self.read_study() | grown, durably=True)
            self._write_config(config)  # also if an earlier process was killed between the two
            return added
        self._write_config(config)
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
            "commit": commit(),
            "libraries": libraries(),
            "machine": machine(),
        }
        write_text_atomically(self.manifest, data.manifest.to_json())
        write_json(self.study, study, durably=True)
        return []

    def _write_config(self, config: "Config") -> None:
        text = yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)
        if not self.config.exists() or self.config.read_bytes() != text.encode():
            write_text_atomically(self.config, text)

    def _command(self, config: "Config", data_folder: str) -> str:
        """The command that runs the study again, in another folder."""
        data = f" --data {shlex.quote(data_folder)}" if not config.has_own_data else ""
        again = shlex.quote(f"{self.root}-again")
        return f"tfrs-scaling study {shlex.quote(str(self.config))}{data} --workdir {again}"

    def check(self, config: "Config", data: "ClickData") -> None:
        """Refuse a folder that holds a different study, also one that only lacks what the configuration adds.

        Raises:
            InputError: lists what differs, or the folder holds no study.
        """
        from tfrs_scaling.study.growth import changes, only_adds

        before, other_data = self.read_config(), self._other_data(data.manifest)
        found = changes(before, config)
        differences = [*map(str, found), *other_data]
        if differences and not other_data and only_adds(found):
            raise self._another(differences, "; once its sweep has ended, the same command makes it grow to this one")
        if differences and not other_data and only_adds(changes(config, before)):
            raise self._another(differences, self._has_grown)
        if differences:
            raise self._another(differences)

    def additions(self, config: "Config", manifest: "Manifest") -> list["Change"]:
        """What a configuration, on data with this manifest, adds to the study in the folder.

        Raises:
            InputError: the folder holds a study that does not become this one by growing, and lists what differs; or
                it holds no study.
        """
        from tfrs_scaling.study.growth import changes, only_adds

        before, other_data = self.read_config(), self._other_data(manifest)
        found = changes(before, config)
        refused = [str(change) for change in found if not change.adds]
        if refused and not other_data and only_adds(changes(config, before)):
            raise self._another(refused, self._has_grown)
        if refused or other_data:
            raise self._another([*refused, *other_data])
        return found

    def _other_data(self, manifest: "Manifest") -> list[str]:
        there = self.read_study()["data_hash"]
        return [] if there == manifest.data_hash else [f"data_hash: {there!r} there, {manifest.data_hash!r} now"]

    def grown_from(self, config: "Config") -> "Config":
        """The configuration of the study in the folder, if it has grown from this one; else this one."""
        from tfrs_scaling.study.growth import changes, only_adds

        if not self.study.exists():
            return config
        there = self.read_config()
        return there if only_adds(changes(config, there)) else config

    @property
    def _has_grown(self) -> str:
        return f"; it has grown: to continue it, give {self.config}"

    def _another(self, differences: Iterable[str], remedy: str = "; choose another --workdir") -> InputError:
        lines = (f"  {line}" for line in differences)
        return InputError("\n".join([f"{self.root}: holds another study{remedy}. What differs:", *lines]))

    def read_study(self) -> dict[str, Any]:
        """What ``claim`` recorded.

        Raises:
            InputError: the folder holds no study.
        """
        remedy = "put back what was there, or choose another --workdir"
        try:
            return dataclasses.asdict(read_state(Study, self.study, remedy))
        except FileNotFoundError:
            raise InputError(f"{self.root}: no study.json, so no sweep was started in this folder") from None

    def reopened(self) -> "tuple[Config, Manifest]":
        """The study's configuration, and the manifest of its data.

        Raises:
            InputError: the folder holds no study, or its files were edited by hand.
        """
        from tfrs_scaling.input.manifest import Manifest

        remedy = "copy the manifest.json of its data there"
        try:
            return self.read_config(), read_state(Manifest, self.manifest, remedy)
        except FileNotFoundError:
            raise InputError(f"{self.manifest}: is missing; {remedy}") from None

    def read_config(self) -> "Config":
        """The study's configuration.

        Raises:
            InputError: the folder holds no study, or its study.json was edited by hand.
        """
        from tfrs_scaling.config import Config

        return validated(Config, self.read_study()["config"], f"{self.study}, config")

    def write_plan(self, seconds: Mapping[str, float]) -> None:
        """Record the trials and the planned seconds of each, for ``status``."""
        write_json(self.plan, dict(seconds))

    def read_plan(self) -> dict[str, float]:
        """The planned seconds of each trial.

        Raises:
            InputError: no trial was started, or the file was damaged.
        """
        try:
            return read_state(dict[TrialId, Planned], self.plan, "delete it, and run the same command again")
        except FileNotFoundError:
            raise InputError(f"{self.root}: no plan.json, so no trial was started in this folder") from None

    def record(self, trial_id: str) -> dict[str, Any] | None:
        """A trial's outcome, or None if it has not ended."""
        return read_record(self.trials / trial_id)

    def ended(self) -> dict[str, int]:
        """Trials that have ended, by id, each with a number that changes where another attempt replaces the first.

        One look at the folder, however many there are.
        """
        with contextlib.suppress(FileNotFoundError), os.scandir(self.trials) as folders:
            return {folder.name: folder.inode() for folder in folders}
        return {}

    def records(self) -> Iterator[dict[str, Any]]:
        """The outcomes of all trials that have ended."""
        for folder in self.trials.glob("*"):
            if (record := self.record(folder.name)) is not None:
                yield record

    def code_versions(self) -> set[str]:
        """The versions of this program that ran the trials which have ended, as far as they recorded it."""
        return {record["code_version"] for record in self.records()} - {""}

    def announce(self, trial_id: str | None) -> None:
        """Tell the other workers to join a trial; None: there are no more."""
        write_json(self.announcement, {"trial_id": trial_id, "attempt": uuid.uuid4().hex})

    def announced(self) -> Announcement | None:
        """The last announcement, or None if there was none."""
        try:
            return read_state(Announcement, self.announcement, "delete it, and run the same command on every worker")
        except FileNotFoundError:
            return None
