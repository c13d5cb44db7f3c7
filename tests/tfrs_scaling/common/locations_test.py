"""Files here and in another file system, which is TensorFlow's own in memory."""

import hashlib
import tempfile
from pathlib import Path

import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import fingerprint, is_remote, join, opened, size


class PlacesTest(tf.test.TestCase):
    """The same for both kinds of places."""

    def _folders(self) -> list[str]:
        here = tempfile.mkdtemp(dir=self.get_temp_dir())
        return [here, f"ram://{Path(here).name}"]

    def test_what_is_written_is_read(self) -> None:
        content = b"abc\0\xff\nd\r\n" * 800_000
        for folder in self._folders():
            path = join(folder, "x")
            with opened(path, "wb") as stream:
                stream.write(content)
            with opened(path) as stream:
                parts = (stream.readline(), stream.read(3), stream.readline())
                self.assertEqual(parts, (b"abc\0\xff\n", b"d\r\n", b"abc\0\xff\n"))
            with opened(path) as stream:
                self.assertEqual(stream.read(), content)
            self.assertEqual(size(path), 7_200_000)
            self.assertEqual(fingerprint(path), (7_200_000, hashlib.sha256(content).hexdigest()))

    def test_what_is_not_there(self) -> None:
        for folder in self._folders():
            path = join(folder, "none")
            self.assertIsNone(size(path))
            for place, mode, doing in ((path, "rb", "read"), (join(path, "none"), "wb", "written")):
                if is_remote(folder) and mode == "wb":
                    continue  # its folders need not be made
                with self.assertRaisesRegex(InputError, f"{place}: cannot be {doing}: "), opened(place, mode) as stream:
                    stream.read()
            with self.assertRaisesRegex(InputError, "cannot be read"):
                fingerprint(path)

    def test_folder_is_no_file(self) -> None:
        for folder in self._folders():
            tf.io.gfile.makedirs(join(folder, "inner"))
            self.assertIsNone(size(join(folder, "inner")))

    def test_paths(self) -> None:
        self.assertEqual(join("gs://bucket/data/", "x"), "gs://bucket/data/x")
        self.assertEqual(join("gs://bucket", "x"), "gs://bucket/x")
        self.assertEqual(join(Path("a/b"), "x"), "a/b/x")
        self.assertEqual(join("a/b/", "x"), "a/b/x")
        self.assertEqual(
            [is_remote(path) for path in ("gs://b/x", "/a/b", Path("a"), "a:b")], [True, False, False, False]
        )


if __name__ == "__main__":
    tf.test.main()
