"""Criteo's schema and files."""

import tempfile
from pathlib import Path

import tensorflow as tf

from tfrs_scaling.input.logs.criteo import criteo
from tfrs_scaling.input.logs.formats import open_log
from tfrs_scaling.input.logs.values.cells import read


class CriteoTest(tf.test.TestCase):
    """``prepare criteo``'s log."""

    def test_schema(self) -> None:
        schema = criteo()
        self.assertEqual(schema.columns, ["label", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27))])
        self.assertEqual({f.encoding for f in schema.categorical}, {"hash"})
        self.assertIsNone(schema.time)

    def test_lines_are_numbered_from_one(self) -> None:
        row = ["1", *map(str, range(13)), *(f"{i:08x}" for i in range(26))]
        lines = ["\t".join(row), "\t".join(row[:-1]), "\t".join(["0", *[""] * 39])]
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "day_0"
        path.write_text("\n".join(lines) + "\n")
        (cells,) = read(open_log("criteo", (str(path),), None, None))
        self.assertEqual(cells.ordinals.tolist(), [0, 2])
        self.assertEqual(str(cells.malformed[0]).partition(":")[0], f"{cells.file}, line 2")
        self.assertEqual(cells.batch.schema.names, criteo().columns)
        self.assertEqual(cells.batch.column("C26").to_pylist(), [b"00000019", b""])
        self.assertEqual(cells.batch.column("I1").to_pylist(), [b"0", b""])


if __name__ == "__main__":
    tf.test.main()
