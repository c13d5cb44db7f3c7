"""What sources say of themselves, and that their pieces are made apart from each other."""

import gzip
import hashlib
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.helpers.logs import synthetic_blocks
from tests.helpers.studies import tiny_config
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.manifest import RawFile
from tfrs_scaling.input.prepare.sources import LogSource, SyntheticSource
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema

SCHEMA = Schema("y", (CategoricalFeature("c", 3, "id"),), (DenseFeature("d"),))


class SourcesTest(tf.test.TestCase):
    """Logs and synthetic clicks."""

    def test_log_of_two_files(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        contents = [b"y,c,d\n1,0,\n2,1,0\n", gzip.compress(b"c,d,y\n2,0.5,0\n")]
        paths = [folder / "a.csv", folder / "b.csv.gz"]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        source = LogSource(TextLog(SCHEMA, tuple(map(str, paths))))
        self.assertEqual((source.schema, source.parts), (SCHEMA, 2))
        self.assertEqual(
            source.raw_files(),
            tuple(
                RawFile(path.name, len(content), hashlib.sha256(content).hexdigest())
                for path, content in zip(paths, contents, strict=True)
            ),
        )
        (second,), (first,) = (list(source.pieces(part)) for part in (1, 0))
        parsed = source.rows(second)
        self.assertEqual(parsed.rows.position.tolist(), [2**40])
        self.assertEqual((parsed.rows.codes.tolist(), parsed.rows.dense.tolist()), ([[2]], [[0.5]]))
        parsed = source.rows(first)
        self.assertEqual((parsed.rows.position.tolist(), parsed.missing), ([0], {"d": 1, "c": 0}))
        self.assertEqual([row.line for row in parsed.rejected], [3])

    def test_synthetic_blocks_are_those_of_the_generator(self) -> None:
        settings = tiny_config().synthetic
        assert settings is not None
        source = SyntheticSource(settings)
        self.assertEqual((source.schema, source.raw_files()), (settings.schema(), ()))
        blocks = {piece: source.rows(piece) for part in range(source.parts) for piece in source.pieces(part)}
        for made, expected in zip(blocks.values(), synthetic_blocks(settings), strict=True):
            self.assertEmpty(made.rejected)
            for name, column in expected.columns().items():
                np.testing.assert_array_equal(made.rows.columns()[name], column)


if __name__ == "__main__":
    tf.test.main()
