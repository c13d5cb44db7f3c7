"""Damaged files of a study's folder, and what the commands that believe them must make of them."""

import contextlib
import copy
import dataclasses
import hashlib
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console

from tests.helpers.studies import leading, tiny_content, tiny_data
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config
from tfrs_scaling.fit.report.report import write_report
from tfrs_scaling.fit.runs.run_table import read_runs, write_runs
from tfrs_scaling.fit.study import StudyFits, fit_study
from tfrs_scaling.input.check import check
from tfrs_scaling.input.manifest import MANIFEST
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.study.attempts import EVENT_FILES, Heartbeat, Process, begin, publish, remove_debris
from tfrs_scaling.study.export import MEASURED, export
from tfrs_scaling.study.lead import CHIEF, Chief, Watch
from tfrs_scaling.study.search import needs_of
from tfrs_scaling.study.status import read_status, rendered
from tfrs_scaling.study.workdir import Workdir, libraries, machine
from tfrs_scaling.sweep.agenda import Agenda

# What a program does not expect where it wrote something else.
_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 10**18, 10**400, -(10**30), 0.5, 1e308, -1e308, 5e-324, float("nan"), float("inf"), "",
    "x", "1", "../../x", "\0", "\u202e\x1b[2J", "x" * 10_000, [], {}, [[]], [None], [1], {"": 1}, {"status": "ok"},
)  # fmt: skip


def changed_json(content: bytes, rng: np.random.Generator) -> bytes:
    """JSON whose text stays whole: one to three values replaced, removed, repeated or added."""
    whole: Any = {"": json.loads(content)}
    for _ in range(rng.integers(1, 4)):
        places = [(parent, key) for parent in _containers(whole) for key in _keys(parent) if parent is not whole]
        parent: Any = whole
        key: Any = ""
        if places and rng.random() < 0.97:
            parent, key = places[rng.integers(len(places))]
        value = copy.deepcopy(_VALUES[rng.integers(len(_VALUES))])
        match rng.integers(5):
            case 0 if parent is not whole:
                del parent[key]
            case 1 if isinstance(parent, list):
                parent.insert(0, parent[key])  # may be too deep to be copied
            case 1 if isinstance(parent, dict):
                parent["unknown"] = value
            case 2:
                for _ in range(int(rng.choice([2, 200, 3000]))):
                    value = [value]
                parent[key] = value
            case _:
                parent[key] = value
    return _text(whole[""]).encode()


def _containers(value: Any) -> list[Any]:
    if isinstance(value, list) and len(value) == 1:
        return [value]  # made deep by an earlier change, maybe
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(each for item in inside for each in _containers(item))] if inside or value == {} else []


def _keys(parent: Any) -> list[Any]:
    return list(parent) if isinstance(parent, dict) else list(range(len(parent)))


def _text(value: Any) -> str:
    """Like ``json.dumps``, at any depth."""
    before = after = ""
    while isinstance(value, list) and len(value) == 1:
        before, after, value = before + "[", after + "]", value[0]
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{json.dumps(key)}: {_text(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(map(_text, value)) + "]"
    else:
        text = json.dumps(value)
    return before + text + after


def records(content: bytes) -> list[bytes]:
    """The records of a TFRecord file."""
    found, at = [], 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 8], "little")
        found.append(content[at + 12 : at + 12 + length])
        at += 16 + length
    return found


def with_checksums(contents: list[bytes]) -> bytes:
    """A TFRecord file of these records."""
    with tempfile.NamedTemporaryFile() as file:
        with tf.io.TFRecordWriter(file.name) as writer:
            for record in contents:
                writer.write(record)
        return Path(file.name).read_bytes()


class StateFuzz:
    """A finished study in a folder; ``try_one`` damages one of its files and has every command read it."""

    def __init__(self, folder: Path, mutated: Callable[[bytes, np.random.Generator], bytes]):
        self._mutated = mutated
        content = tiny_content(V=["1/2"], examples=[128, 256, 512, 1024])
        content["training"]["learning_rates"] = "auto"
        self._config = validated(Config, content, "tiny")
        self._data = tiny_data(self._config, folder / "study data")
        self._workdir = workdir = Workdir(folder / "study")
        with leading(workdir):
            workdir.claim(self._config, self._data)
            while missing := [
                need.trial.trial_id
                for need in needs_of(self._config, workdir.record).needs
                if workdir.record(need.trial.trial_id) is None
            ]:
                for name in missing:
                    self._finish(name)
        workdir.write_plan(dict.fromkeys(("D-1-lr0.04-seed0", "V-1_2-lr0.04-seed0", "still-to-do"), 2.0))
        workdir.announce("still-to-do")
        ended = dataclasses.replace(Process.this(), started=1.0)
        write_json(workdir.root / CHIEF, dataclasses.asdict(Chief("0" * 32, ended, address="127.0.0.1:9")))
        self._running = begin(workdir.running, "still-to-do")
        with Heartbeat(self._running, "still-to-do", "job0"):
            pass
        self._runs = export(*workdir.reopened(), workdir)
        write_runs(self._runs, workdir.runs)
        self._runs = read_runs(workdir.runs)
        fit_study(self._runs).write(workdir.fits)
        self._whole = {path: path.read_bytes() for path in workdir.root.rglob("*") if path.is_file()}
        trials = [path for path in self._whole if path.is_relative_to(workdir.trials)]
        self._files = {
            "study.json": [workdir.study], "plan.json": [workdir.plan], "study's manifest": [workdir.manifest],
            "chief.json": [workdir.root / CHIEF], "announced.json": [workdir.announcement], "fits.json": [workdir.fits],
            "attempt.json": [self._running / "attempt.json"],
            "trial.json": [path for path in trials if path.name == "trial.json"],
            "events": [path for path in trials if path.match(EVENT_FILES)],
            "checked shard": [Path(file) for file in self._data.files("test")],
        }  # fmt: skip
        self._whole |= {path: path.read_bytes() for path in self._files["checked shard"]}
        self.kinds = list(self._files)

    def try_one(self, kind: str, seed: int) -> bool:
        """Whether every command still read the damaged file; anything but an ``InputError`` is raised."""
        rng = np.random.default_rng([seed, 100 + self.kinds.index(kind)])
        paths = sorted(self._files[kind])
        path = paths[rng.integers(len(paths))]
        damaged = self._damaged(kind, self._whole[path], rng)
        path.write_bytes(damaged)
        try:
            if kind == "checked shard":
                return self._reads(lambda: self._check(damaged))
            commands: list[Callable[[], object]] = [self._status, self._resume, self._export]
            draws = rng.random() < 0.03
            if kind == "fits.json" or (kind == "study.json" and draws):
                commands = [lambda: self._report(draws)]
            return sum(self._reads(command) for command in commands) == len(commands)
        finally:
            self._running.mkdir(exist_ok=True)
            for file in (path, self._workdir.plan, self._running / "attempt.json"):
                file.write_bytes(self._whole[file])

    def _damaged(self, kind: str, content: bytes, rng: np.random.Generator) -> bytes:
        how = rng.random()
        if how < 0.02:
            return b""
        if how < 0.08:
            return content[: rng.integers(len(content))]
        if how < 0.3:
            return self._mutated(content, rng)
        if kind not in ("events", "checked shard"):
            return changed_json(content, rng)
        inside = records(content)  # whose checksums are right
        at = int(rng.integers(len(inside)))
        inside[at] = self._mutated(inside[at], rng)
        return with_checksums(inside)

    def _finish(self, name: str) -> None:
        rate = float(name.split("-lr")[1].split("-")[0])
        directory = begin(self._workdir.running, name)
        with tf.summary.create_file_writer(str(directory)).as_default():
            for rows in self._config.ladder:
                for tag in MEASURED:
                    tf.summary.scalar(tag, 0.5 + abs(rate - 0.03) + 1 / rows, step=rows)
        rungs = [0.5 + abs(rate - 0.03) + 1 / rows for rows in self._config.ladder]
        outcome = {"status": "ok", "reason": "", "rungs": rungs, "validation_ne": rungs[-1], "strategy": "cpu"}
        outcome |= {"attempt": directory.name, "libraries": libraries(), "machine": machine(), "seconds": 1.0}
        publish(directory, self._workdir.trials / name, outcome)

    def _reads(self, command: Callable[[], object]) -> bool:
        try:
            command()
        except InputError as error:
            assert len(str(error)) > 20 and "Traceback" not in str(error), error
            return False
        return True

    def _status(self) -> None:
        Console(file=io.StringIO()).print(rendered(read_status(self._workdir)))

    def _resume(self) -> None:
        lead = Watch(self._workdir.root, beat_seconds=0.005).enter(join=False)  # not seconds for each broken chief
        assert lead is not None
        with contextlib.closing(lead):
            self._workdir.claim(self._config, self._data)
            remove_debris(self._workdir.running)
            agenda = Agenda(self._config, self._workdir, retry=True)
            agenda.is_done()
            self._workdir.announced()
            self._workdir.write_plan(dict.fromkeys(agenda.expected(), 1.0))

    def _export(self) -> None:
        config, manifest = self._workdir.reopened()
        path = self._workdir.root / "again.csv"
        write_runs(export(config, manifest, self._workdir), path)
        read_runs(path)

    def _report(self, draws: bool) -> None:
        fits, about = StudyFits.read(self._workdir.fits), self._workdir.read_study()
        if draws:
            write_report(self._runs, fits, self._workdir.root / "again.html", about=about)

    def _check(self, damaged: bytes) -> None:
        """A stranger's shard, whose manifest agrees with it."""
        folder = Path(self._data.folder)
        shard = self._data.manifest.splits["test"].shards[0]
        manifest, text = folder / MANIFEST, (folder / MANIFEST).read_text()
        manifest.write_text(
            text.replace(shard.sha256, hashlib.sha256(damaged).hexdigest()).replace(
                f'"bytes": {shard.bytes}', f'"bytes": {len(damaged)}'
            )
        )
        try:
            for _ in check(ClickData.open(folder)):
                pass
        finally:
            manifest.write_text(text)
