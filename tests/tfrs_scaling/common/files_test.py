"""Files are written as a whole or not at all."""

import os
import tempfile
from pathlib import Path

import tensorflow as tf

from tfrs_scaling.common.files import write_text_atomically


class FilesTest(tf.test.TestCase):
    """``write_text_atomically``."""

    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.get_temp_dir()))

    def test_text_is_utf8_with_unix_line_ends(self) -> None:
        path = self._folder() / "x.txt"
        for text, content in (("é\n✓\r\n", b"\xc3\xa9\n\xe2\x9c\x93\r\n"), ("", b"")):
            write_text_atomically(path, text)
            self.assertEqual(path.read_bytes(), content)
        self.assertEqual(list(path.parent.iterdir()), [path])

    def test_failed_write_leaves_the_old_file_and_nothing_else(self) -> None:
        path = self._folder() / "x.txt"
        path.write_text("old")
        with self.assertRaises(TypeError):
            write_text_atomically(path, b"new")  # type: ignore[arg-type]
        self.assertEqual(path.read_text(), "old")
        self.assertEqual(list(path.parent.iterdir()), [path])

    def test_bytes_of_a_name_that_are_not_utf8_are_escapes(self) -> None:
        path = self._folder() / "x.txt"
        write_text_atomically(path, os.fsdecode(b"log\xff.csv"))
        self.assertEqual(path.read_text(), "log\\udcff.csv")

    def test_missing_folder(self) -> None:
        with self.assertRaises(OSError):
            write_text_atomically(self._folder() / "none" / "x.txt", "text")


if __name__ == "__main__":
    tf.test.main()
