"""A folder that appears whole or not at all, here and elsewhere, whatever happens to the process that makes it."""

# mypy: allow-untyped-calls
# (absl has no types)

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.helpers import reference
from tests.helpers.studies import folder_bytes, numbered, source_of, tiny_config
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import join, opened
from tfrs_scaling.input import tfds_metadata
from tfrs_scaling.input.batches import batches
from tfrs_scaling.input.check import check
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.manifest import SPLITS
from tfrs_scaling.input.prepare import prepare as preparation
from tfrs_scaling.input.prepare import publish as publishing
from tfrs_scaling.input.prepare import spill
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import LogSource, SyntheticSource
from tfrs_scaling.input.prepare.split import Sizes
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.input.shards import REJECTED, ClickData


def _held_out(count: int) -> int:
    """Validation and test rows that the default shares and seed draw out of ``count``."""
    return sum(reference.fraction(0, "split", number) < 0.05 + 0.1 for number in range(count))


def _prepare_csv(log: str, out: str, schema: str) -> None:
    """What ``tfrs-scaling prepare csv`` does in its process, in many small steps."""
    text_log = TextLog(Schema.read(Path(schema)), (log,), block_bytes=1 << 15)
    prepare(LogSource(text_log), out, sizes=Sizes(rows_per_record=256, records_per_shard=4))
    os._exit(0)  # skip interpreter shutdown, which TensorFlow's threads can block


class KilledTest(tf.test.TestCase):
    """``kill -9`` at any moment."""

    def setUp(self) -> None:
        super().setUp()
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        rng = np.random.default_rng(0)
        columns = (rng.integers(0, 2, 30_000), rng.zipf(1.3, 30_000) % 5000, rng.normal(size=30_000).round(3))
        lines = [f"{y},{user},{age},{i}" for i, (y, user, age) in enumerate(zip(*columns, strict=True))]
        (folder / "log.csv").write_text("\n".join(["y,user,age,t", *lines]) + "\n")
        (folder / "schema.json").write_text(
            '{"label": "y", "time": "t", "dense": [{"name": "age", "transform": "standardize"}],'
            ' "categorical": [{"name": "user", "cardinality": 1000}]}'
        )
        self.folder = folder
        # Forked from a process that has loaded TensorFlow, so that what is killed is preparation and not that.
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["tfrs_scaling.training.preload"])

    def _started(self, out: Path) -> Any:
        arguments = (str(self.folder / "log.csv"), str(out), str(self.folder / "schema.json"))
        process = self.context.Process(target=_prepare_csv, args=arguments)
        process.start()
        return process

    def _finished(self, out: Path) -> float:
        started = time.monotonic()
        process = self._started(out)
        process.join()
        self.assertEqual(process.exitcode, 0)
        return time.monotonic() - started

    def test_killed_at_ten_moments_and_begun_again(self) -> None:
        self._finished(self.folder / "warm")  # the first one waits for the server to load TensorFlow
        undisturbed = self.folder / "undisturbed"
        seconds = self._finished(undisturbed)
        expected = folder_bytes(undisturbed)
        self.assertGreater(len(expected), 30)
        out, drafts = self.folder / "data", 0
        moments = (np.arange(10) + np.random.default_rng(5).random(10)) / 10 * seconds
        for attempt in range(10):
            process = self._started(out)
            process.join(float(moments[attempt]))
            process.kill()
            process.join()
            if out.exists():  # it was done before
                self.assertLen(list(check(ClickData.open(out))), len(list(out.glob("clicks-*"))))
                self.assertEqual(folder_bytes(out), expected)
                shutil.rmtree(out)
            else:
                drafts += (self.folder / ".data.partial").exists()
            if attempt % 2:  # the attempts after the others begin among what those have left
                self._finished(out)
                self.assertEqual(folder_bytes(out), expected)
                self.assertCountEqual(
                    [path.name for path in self.folder.iterdir()],
                    ["log.csv", "schema.json", "warm", "undisturbed", "data"],
                )
                shutil.rmtree(out)
        self.assertGreater(drafts, 0, "no kill fell into the work")
        self._finished(out)
        self.assertEqual(folder_bytes(out), expected)


class PublishTest(parameterized.TestCase, tf.test.TestCase):
    """What is at the folder's place, before and after."""

    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "data"

    def test_taken_folders_are_refused_untouched(self) -> None:
        parent = self._folder().parent
        (parent / "full").mkdir()
        (parent / "full" / "letter").write_text("dear")
        (parent / "file").write_text("dear")
        (parent / "empty").mkdir()
        (parent / "link").symlink_to(parent / "empty")
        (parent / "dangling").symlink_to(parent / "nowhere")
        for name in ("full", "file", "link", "dangling"):
            with self.assertRaisesRegex(InputError, f"{parent / name}: already exists"):
                prepare(source_of(numbered(200)), parent / name)
        self.assertEqual((parent / "full" / "letter").read_text(), "dear")
        self.assertEqual([*(parent / "empty").iterdir()], [])
        self.assertCountEqual([p.name for p in parent.iterdir()], ["full", "file", "empty", "link", "dangling"])
        for name in ("link", "dangling"):  # the clearing up after the tests follows links
            (parent / name).unlink()

    def test_empty_folder_and_new_parents_are_fine(self) -> None:
        parent = self._folder().parent
        (parent / "empty").mkdir()
        prepare(source_of(numbered(200)), parent / "empty")
        prepare(source_of(numbered(200)), parent / "a" / "b" / "c")
        (parent / "here").mkdir()
        before = Path.cwd()
        os.chdir(parent / "here")
        try:
            prepare(source_of(numbered(200)), Path())
        finally:
            os.chdir(before)
        for folder in ("empty", "a/b/c", "here"):
            self.assertEqual(ClickData.open(parent / folder).manifest.splits["train"].rows, 200 - _held_out(200))

    def test_second_process_is_refused_and_the_first_finishes(self) -> None:
        folder = self._folder()
        with publishing.drafted(str(folder)) as draft:
            (Path(draft) / "half").write_text("")
            with self.assertRaisesRegex(InputError, f"{folder}: another prepare is writing it"):
                prepare(source_of(numbered(200)), folder)
            self.assertTrue((Path(draft) / "half").exists())
        self.assertEqual([*folder.parent.iterdir()], [])
        prepare(source_of(numbered(200)), folder)
        self.assertEqual([path.name for path in folder.parent.iterdir()], ["data"])

    def test_leftovers_of_a_killed_run_are_deleted(self) -> None:
        folder = self._folder()
        (folder.with_name(".data.partial") / "spill").mkdir(parents=True)
        prepare(source_of(numbered(200)), folder)
        self.assertEqual([path.name for path in folder.parent.iterdir()], ["data"])

    def test_a_link_in_the_draft_s_place_is_not_followed(self) -> None:
        folder = self._folder()
        other, draft = folder.with_name("other"), folder.with_name(".data.partial")
        other.mkdir()
        (other / "letter").write_text("dear")
        draft.symlink_to(other)
        with self.assertRaisesRegex(InputError, rf"{folder}: cannot be written: .*\({draft}\)"):
            prepare(source_of(numbered(200)), folder)
        self.assertEqual((other / "letter").read_text(), "dear")
        draft.unlink()

    def test_mounted_volume_takes_the_data(self) -> None:
        whole, volume = self._folder(), self._folder()
        prepare(source_of(numbered(200)), whole)
        (volume / "lost+found").mkdir(parents=True)
        (volume / ".partial" / "spill").mkdir(parents=True)  # of a killed run
        with mock.patch.object(Path, "is_mount", lambda path: path == volume.resolve()):
            prepare(source_of(numbered(200)), volume)
        (volume / "lost+found").rmdir()
        self.assertEqual(folder_bytes(volume), folder_bytes(whole))
        self.assertEqual([path.name for path in volume.parent.iterdir()], ["data"])

    def test_folder_below_a_file_cannot_be_written(self) -> None:
        file = self._folder()
        file.write_text("")
        with self.assertRaisesRegex(InputError, "cannot be written: Not a directory"):
            prepare(source_of(numbered(200)), file / "data")

    @parameterized.named_parameters(
        ("killed", KeyboardInterrupt(), KeyboardInterrupt, ""),
        ("disk_full", OSError(28, "No space left on device"), InputError, "cannot be written: No space left on device"),
        ("disk_full_says_tensorflow", "tensorflow", InputError, "cannot be written: disk full"),
    )
    def test_interrupted_run_leaves_no_data_and_the_next_one_succeeds(
        self, fault: Any, error: type[BaseException], message: str
    ) -> None:
        if fault == "tensorflow":
            fault = tf.errors.ResourceExhaustedError(None, None, "disk full")
        folder = self._folder()
        steps: list[tuple[Any, str, int]] = [
            (spill.Spill, "add", 0),
            (spill.Spill, "add", 2),
            (preparation, "decide", 0),
            (preparation, "count_splits", 0),
            (preparation, "write_encoded", 0),
            (preparation, "write_encoded", 2),
            (tfds_metadata, "write_tfds_metadata", 0),
            (publishing, "_write_rejected", 0),
            (publishing, "_move", 0),
        ]
        source = source_of(*(numbered(500).take(block) for block in np.array_split(np.arange(500), 4)))
        for place, step, after in steps:
            calls = 0
            real = getattr(place, step)

            def interrupted(*args: Any, real: Any = real, after: int = after, **kwargs: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls > after:
                    raise fault
                return real(*args, **kwargs)

            with mock.patch.object(place, step, interrupted), self.assertRaisesRegex(error, message):
                prepare(source, folder)
            self.assertGreater(calls, after)
            self.assertEqual([*folder.parent.iterdir()], [])
        manifest = prepare(source_of(numbered(500)), folder)
        self.assertEqual([path.name for path in folder.parent.iterdir()], ["data"])
        undisturbed = self._folder()
        prepare(source_of(numbered(500)), undisturbed)
        self.assertEqual(ClickData.open(folder).manifest, manifest)
        self.assertEqual(folder_bytes(folder), folder_bytes(undisturbed))

    def test_data_are_whole_where_tensorflow_datasets_does_not_load(self) -> None:
        folder, without = self._folder(), self._folder()
        prepare(source_of(numbered(200)), folder)
        broken = mock.patch.dict("sys.modules", {"tensorflow_datasets": None, "tfrs_scaling.input.tfds_library": None})
        with broken, self.assertLogs("tfrs_scaling.input.prepare.publish", "WARNING") as log:
            sys.modules.pop("tfrs_scaling.input.tfds_metadata", None)
            prepare(source_of(numbered(200)), without)
        self.assertIn("TensorFlow Datasets does not load here", log.output[0])
        lacking = {"dataset_info.json", "features.json"}
        self.assertEqual({*folder_bytes(folder)} - {*folder_bytes(without)}, lacking)
        self.assertEqual(ClickData.open(without), ClickData(str(without), ClickData.open(folder).manifest))
        self.assertEqual([*check(ClickData.open(without))], [*check(ClickData.open(folder))])

    # -- elsewhere

    def _elsewhere(self) -> str:
        return f"ram://{self._folder().parent.name}/data"

    def test_folder_in_another_file_system_has_the_same_bytes(self) -> None:
        settings = tiny_config().synthetic
        assert settings is not None
        here, there = self._folder(), self._elsewhere()
        manifest = prepare(SyntheticSource(settings), there)
        self.assertEqual(prepare(SyntheticSource(settings), here), manifest)
        self.assertEqual(folder_bytes(there), folder_bytes(here))
        self.assertEqual(tf.io.gfile.listdir(there.removesuffix("/data")), ["data"])
        data = ClickData.open(there)
        self.assertEqual(data.manifest, manifest)
        self.assertEqual(sum(shard.rows for shard in check(data)), 2000)
        sizes = tuple(feature.cardinality for feature in settings.schema().categorical)
        for split in SPLITS:
            fed = [list(batches(d, split, 64, sizes, train=False)) for d in (data, ClickData.open(here))]
            for one, other in zip(*fed, strict=True):
                self.assertAllEqual(one["ids"], other["ids"])
                self.assertAllEqual(one["dense"], other["dense"])
        with self.assertRaisesRegex(InputError, f"{there}: already exists"):
            prepare(SyntheticSource(settings), there)

    def test_log_in_another_file_system(self) -> None:
        lines = ["click,user", *(f"{i % 2},u{i % 7}" for i in range(300)), "2,u"]
        schema = Schema("click", (CategoricalFeature("user", 10),))
        content = "\r\n".join(lines).encode()
        folder, there = self._folder(), self._elsewhere()
        folder.with_name("log.csv").write_bytes(content)
        tf.io.gfile.makedirs(there.removesuffix("/data"))
        with opened(join(there.removesuffix("/data"), "log.csv"), "wb") as stream:
            stream.write(content)
        outcomes = []
        for out in (str(folder), there):
            source = LogSource(TextLog(schema, (join(out.removesuffix("/data"), "log.csv"),)))
            prepare(source, out, max_bad_rows=1)
            outcomes.append(folder_bytes(out))
        rejected = [outcome.pop("rejected.tsv").decode() for outcome in outcomes]
        self.assertEqual(outcomes[0], outcomes[1])
        self.assertIn(f"{there.removesuffix('/data')}/log.csv\t302\tclick\t", rejected[1])

    def test_interrupted_move_elsewhere_leaves_no_data_and_the_next_run_succeeds(self) -> None:
        there, real, calls = self._elsewhere(), tf.io.gfile.rename, 0

        def interrupted(*args: Any, **kwargs: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == 4:
                raise KeyboardInterrupt
            real(*args, **kwargs)

        with mock.patch.object(tf.io.gfile, "rename", interrupted), self.assertRaises(KeyboardInterrupt):
            prepare(source_of(numbered(500)), there)
        self.assertLen(tf.io.gfile.listdir(there), 3)
        with self.assertRaisesRegex(InputError, "no manifest.json, so this is not prepared data"):
            ClickData.open(there)
        here = self._folder()
        prepare(source_of(numbered(500)), there)
        prepare(source_of(numbered(500)), here)
        self.assertEqual(folder_bytes(there), folder_bytes(here))


class NamesTest(tf.test.TestCase):
    """Names of files that are not UTF-8, or hold controls."""

    def test_what_was_published_opens_again(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        log = folder / os.fsdecode(b"log\xff\t\n.csv")
        log.write_text("\n".join(["y,user", "?,u", *(f"{i % 2},u{i % 7}" for i in range(200))]))
        source = LogSource(TextLog(Schema("y", (CategoricalFeature("user", 9),)), (str(log),)))
        prepare(source, folder / "out", max_bad_rows=1)
        data = ClickData.open(folder / "out")
        list(check(data))
        self.assertEqual(data.manifest.sources[0].file, "log\\xff\t\n.csv")
        lines = (folder / "out" / REJECTED).read_text().splitlines()
        self.assertEqual(lines[1].split("\t")[0], f"{folder}/log\\udcff\\t\\n.csv")
        with self.assertRaisesRegex(InputError, "the name is not UTF-8"):
            prepare(source, folder / os.fsdecode(b"out\xff"), max_bad_rows=1)
        moved = folder / os.fsdecode(b"moved\xff")
        moved.mkdir()
        (folder / "out").rename(moved / "out")
        with self.assertRaisesRegex(InputError, "the name is not UTF-8"):
            ClickData.open(moved / "out")
        before = Path.cwd()
        os.chdir(moved)
        try:
            list(check(ClickData.open("out")))
            with self.assertRaisesRegex(InputError, "the name is not UTF-8"):
                prepare(source, "again", max_bad_rows=1)
        finally:
            os.chdir(before)


if __name__ == "__main__":
    tf.test.main()
