"""Which files a log is made of, in which order, and what they are."""

import gzip
import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.files import file_kind, find_files, partition_values


class FilesTest(tf.test.TestCase):
    """``find_files``, ``partition_values`` and ``file_kind``."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))

    def _made(self, *names: str) -> list[str]:
        for name in names:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        return [str(self.folder / name) for name in names]

    def _found(self, *given: str) -> list[str]:
        return [str(Path(file).relative_to(self.folder)) for file in find_files(given)]

    def test_order_is_natural_where_names_differ_in_numbers(self) -> None:
        days = [f"day_{n}.gz" for n in range(12)]
        files = self._made(*sorted(days))
        for given in (files, [str(self.folder)], [str(self.folder / "day_*.gz")]):
            self.assertEqual(self._found(*given), days)
        march, april = self._made("march.csv", "april.csv")
        self.assertEqual(self._found(march, april), ["march.csv", "april.csv"])

    def test_order_of_a_shell_is_natural_and_one_by_hand_is_kept(self) -> None:
        for shell, natural in (
            (["day=10/part-0-b7", "day=9/part-0-a3"], ["day=9/part-0-a3", "day=10/part-0-b7"]),
            (["day_10.csv.gz", "day_2.csv"], ["day_2.csv", "day_10.csv.gz"]),
            (["logs/a", "logs2/a"], ["logs/a", "logs2/a"]),
        ):
            self.assertEqual(self._found(*self._made(*shell)), natural)
        by_hand = ["y_11_b.csv", "y_9_a.csv", "y_10_c.csv"]
        self.assertEqual(self._found(*self._made(*by_hand)), by_hand)
        self._made("d_10.csv", "d_9.csv")
        given = f"{self.folder}/d_10.csv", f"{self.folder}/./d_9.csv"
        self.assertEqual(find_files(given), given[::-1])
        with tempfile.TemporaryDirectory() as other:  # a path relative to the working folder may begin with ./
            relative = os.path.relpath(other)
            for name in ("d_10.csv", "d_9.csv"):
                (Path(other) / name).write_bytes(b"x")
            given = f"{relative}/d_10.csv", f"./{relative}/d_9.csv"
            self.assertEqual(find_files(given), given[::-1])

    def test_folder_stands_for_its_files(self) -> None:
        names = ["d=10/part-0", "d=2/part-0", "_SUCCESS", ".part-0.crc", "_temporary/0/part-0", "d=2/.x"]
        files = self._made(*names)
        self.assertEqual(self._found(str(self.folder)), ["d=2/part-0", "d=10/part-0"])
        self.assertEqual(self._found(str(self.folder / "d=*")), ["d=2/part-0", "d=10/part-0"])
        self.assertEqual(self._found(files[0], files[2]), ["d=10/part-0"])
        self._made("ml.inter", "ml.user")
        self.assertEqual(self._found(str(self.folder)), ["ml.inter"])

    def test_what_is_no_file_is_said(self) -> None:
        os.mkfifo(self.folder / "pipe")
        (self.folder / "none").mkdir()
        for name, message in (
            ("pipe", "is a pipe or a device, which can be read once only; write it to a file first"),
            ("none", "the folder holds no files"),
            ("*.csv", "no file has such a name"),
            ("absent", "cannot be read: No such file or directory"),
        ):
            with self.assertRaisesRegex(InputError, message):
                find_files((str(self.folder / name),))

    def test_columns_in_names_of_folders(self) -> None:
        found = partition_values("logs/day=2020-07-04/site=a%2Fb/x=__HIVE_DEFAULT_PARTITION__/part=0.csv")
        self.assertEqual(found, {"day": "2020-07-04", "site": "a/b", "x": None})

    def test_kinds_by_content(self) -> None:
        path = self.folder / "log"
        pq.write_table(pa.table({"a": [1]}), path)
        self.assertEqual(file_kind(str(path)), "parquet")
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(b"record")
        for content in (path.read_bytes(), gzip.compress(path.read_bytes())):
            path.write_bytes(content)
            self.assertEqual(file_kind(str(path)), "tfrecord")
        path.write_bytes("a,b\n".encode("utf-32"))
        with self.assertRaisesRegex(InputError, "is UTF-32 text; give --encoding utf-32"):
            file_kind(str(path))
        for text, kind in ((b'\xef\xbb\xbf {"a": 1}\n', "jsonl"), (b"a,b\n", "csv"), (b"", "csv")):
            path.write_bytes(pa.compress(text, codec="zstd", asbytes=True) if text else text)
            self.assertEqual(file_kind(str(path)), kind)


if __name__ == "__main__":
    tf.test.main()
