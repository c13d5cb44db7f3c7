"""Damaged inputs of every kind, and what their readers must make of them: an error in words, or every row."""

import csv
import gzip
import io
import json
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tests.helpers.fuzz_state import StateFuzz
from tests.helpers.logs import parsed
from tests.helpers.planted import planted_study
from tests.helpers.studies import CONFIGS
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import read_config
from tfrs_scaling.fit.runs.run_table import read_runs, write_runs
from tfrs_scaling.input.check import check
from tfrs_scaling.input.logs.formats import open_log
from tfrs_scaling.input.manifest import MANIFEST
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import LogSource
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.shards import ClickData

SCHEMA = Schema(
    "click",
    (CategoricalFeature("user", 9), CategoricalFeature("tags", 9, max_values=3, separator=",")),
    (DenseFeature("age"),),
    "ts",
)
ROWS = [
    {"click": i % 2, "ts": 100 + i, "age": i / 2, "user": f"u{i % 7}", "tags": ["a", "b"][: i % 3]} for i in range(60)
]
# What breaks readers: quotes, breaks, separators, brackets, NULs, bad UTF-8, numbers beyond their types.
_SHARDS = (
    b'"', b"\n", b"\r", b",", b"\t", b"[", b"]", b"{", b"\0", b"\xff", b"\xef\xbb\xbf", b"9" * 30, b"nan", b"-", b"''",
)  # fmt: skip


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with one to four places overwritten, inserted, removed, doubled or cut off."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at, length = int(rng.integers(len(changed) + 1)), int(rng.integers(1, 40))
        match rng.integers(6):
            case 0:
                changed[at : at + 1] = bytes([rng.integers(256)])
            case 1:
                changed[at:at] = _SHARDS[rng.integers(len(_SHARDS))]
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                changed[at : at + 1] = _SHARDS[rng.integers(len(_SHARDS))]
            case _ if rng.random() < 0.2:
                del changed[at:]
    return bytes(changed)


# Damage to these leaves whole commands to run, or takes TensorFlow: 20 to 100 ms, the others 1 to 15.
SLOW = (
    "tfrecord", "plan.json", "chief.json", "announced.json", "attempt.json", "events", "checked shard",
)  # fmt: skip


class Fuzz:
    """Inputs of every kind in a folder; ``try_one`` damages one of them and has it read."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._inputs: dict[str, bytes] = {
            "csv": _csv(), "gz": gzip.compress(_csv(), mtime=0), "jsonl": _json_lines(), "parquet": _parquet(),
            "tfrecord": _tfrecord(folder / "whole"), "schema": json.dumps(SCHEMA.to_dict()).encode(),
        }  # fmt: skip
        (folder / "log.csv").write_bytes(_csv())
        prepare(LogSource(open_log("csv", (str(folder / "log.csv"),), SCHEMA)), folder / "data")
        self._data = {path.name: path.read_bytes() for path in (folder / "data").iterdir()}
        write_runs(planted_study(schemes="V"), folder / "runs.csv")
        self._tables = {"runs": (folder / "runs.csv").read_bytes(), "config": (CONFIGS / "smoke.yaml").read_bytes()}
        self._state = StateFuzz(folder, mutated)
        self._own_kinds = [*self._inputs, "manifest", "shard", *self._tables]
        self.kinds = [*self._own_kinds, *self._state.kinds]

    def try_one(self, kind: str, seed: int) -> bool:
        """Whether the damaged input was still read; anything but an ``InputError`` and wrong counts are raised."""
        if kind not in self._own_kinds:
            return self._state.try_one(kind, seed)
        rng = np.random.default_rng([seed, self.kinds.index(kind)])
        try:
            if kind in ("manifest", "shard"):
                self._read_data(kind, rng)
            elif kind in self._tables:
                self._read_table(kind, mutated(self._tables[kind], rng))
            elif kind == "schema":
                path = self.folder / "schema.json"
                path.write_bytes(mutated(self._inputs[kind], rng))
                Schema.read(path)
            else:
                self._read_log(kind, mutated(self._inputs[kind], rng))
        except InputError as error:
            assert len(str(error)) > 20 and "Traceback" not in str(error), error
            return False
        return True

    def _read_log(self, kind: str, content: bytes) -> None:
        path = self.folder / "damaged"
        path.write_bytes(content)
        rows, rejected = parsed(open_log("csv" if kind == "gz" else kind, (str(path),), SCHEMA))
        assert len(np.unique(rows.position)) == len(rows)
        lines = {row.line for row in rejected}
        assert len(lines) == len(rejected), "a row is rejected twice"
        expected = _count(kind, content)
        if expected is not None:
            assert len(rows) + len(rejected) == expected, f"{len(rows)} + {len(rejected)} rows of {expected}"

    def _read_table(self, kind: str, content: bytes) -> None:
        path = self.folder / kind
        path.write_bytes(content)
        if kind == "config":
            read_config(path)
            return
        rows = len(read_runs(path))
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        expected = sum(1 for row in csv.reader(text) if row) - 1
        assert rows == expected, f"{rows} runs of {expected}"

    def _read_data(self, kind: str, rng: np.random.Generator) -> None:
        name = (
            MANIFEST
            if kind == "manifest"
            else sorted(name for name in self._data if "tfrecord" in name)[rng.integers(3)]
        )
        changed = mutated(self._data[name], rng)
        path = self.folder / "data" / name
        path.write_bytes(changed)
        try:
            for _ in check(ClickData.open(self.folder / "data")):
                pass
            assert kind == "manifest" or changed == self._data[name], f"the damage to {name} went unnoticed"
        finally:
            path.write_bytes(self._data[name])


def _count(kind: str, content: bytes) -> int | None:
    """The rows in a damaged log, where they can be counted without reading it."""
    if kind == "parquet":
        return pq.ParquetFile(io.BytesIO(content)).metadata.num_rows
    if kind not in ("csv", "jsonl") or (b'"' in content.replace(b'"a,b"', b"") and kind == "csv"):
        return None  # quoted values may span lines
    lines = content.rstrip(b"\r\n").split(b"\n") if content.strip(b"\r\n") else []
    if kind == "jsonl":  # blank lines are no rows
        return sum(1 for line in lines if line.strip())
    return len(lines) - 1


def _csv() -> bytes:
    lines = [f'{r["click"]},{r["ts"]},{r["age"]},{r["user"]},"{",".join(r["tags"])}"' for r in ROWS]  # type: ignore[arg-type]
    return "\n".join(["click,ts,age,user,tags", *(re.sub('"(.?)"', r"\1", line) for line in lines)]).encode() + b"\n"


def _json_lines() -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def _parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), stream, row_group_size=20)
    return stream.getvalue()


def _tfrecord(path: Path) -> bytes:
    def feature(value: object) -> tf.train.Feature:
        values = value if isinstance(value, list) else [value]
        if all(isinstance(each, str) for each in values):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(each).encode() for each in values]))
        if isinstance(value, float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in ROWS:
            features = {name: feature(value) for name, value in row.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return path.read_bytes()


def run(tries: int, first: int = 0) -> dict[str, tuple[int, int]]:
    """Per kind, how often it was damaged and how often it was still read: ``tries`` in all, seeded from ``first`` on.

    Raises:
        AssertionError: one of them took ten seconds of the processor, or a minute. What a reader raises, other than an
            ``InputError``, is raised too; a note gives the seed.
    """
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder))
        order = [kind for kind in fuzz.kinds for _ in range(1 if kind in SLOW else 6)]
        counts = dict.fromkeys(fuzz.kinds, (0, 0))
        for seed in range(first, first + tries):
            kind, began, worked = order[seed % len(order)], time.monotonic(), time.process_time()
            try:
                read = fuzz.try_one(kind, seed)
                assert time.process_time() - worked < 10, "takes too long"
                assert time.monotonic() - began < 60, "waits too long"
            except BaseException as error:
                error.add_note(f"{kind}, seed {seed}")
                raise
            counts[kind] = counts[kind][0] + 1, counts[kind][1] + read
    return counts
