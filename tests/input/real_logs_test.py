"""The real logs as they are prepared, against pandas."""

# mypy: allow-untyped-calls
# (absl has no types)

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import tensorflow as tf
from absl.testing import parameterized

from tests.helpers.studies import CONFIGS, REPOSITORY, read_split
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.prepare.hashing import draws, fractions, hash_values
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import LogSource
from tfrs_scaling.input.schema import Schema

REAL_DATA = REPOSITORY.parent / "shared" / "data" / "ctr"


class RealLogsTest(parameterized.TestCase, tf.test.TestCase):
    """Counts, clicks, ids and missing values."""

    @parameterized.parameters(
        ("movielens_1m/interactions.tsv.xz", "movielens", 1_000_209, 0.5752),
        ("nycflights13/flights.tsv.xz", "flights", 327_346, 0.2371),
    )
    def test_real_logs_equal_pandas(self, file: str, schema_name: str, count: int, ctr: float) -> None:
        path = REAL_DATA / file
        if not path.exists():
            self.skipTest(f"the real log {file} is not beside the checkout")
        schema = Schema.read(CONFIGS / "schemas" / f"{schema_name}.json")
        frame = pd.read_csv(path, sep="\t", usecols=schema.columns, dtype=str, keep_default_na=False, quoting=3)
        label = frame["label"].astype(int)
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "data"
        manifest = prepare(LogSource(TextLog(schema, (str(path),))), folder, split_by="random")

        self.assertEqual(sum(split.rows for split in manifest.splits.values()), count)
        self.assertEqual(len(frame), count)
        self.assertEqual(sum(split.clicks for split in manifest.splits.values()), label.sum())
        self.assertAllClose(label.mean(), ctr, atol=5e-5)
        # Which rows were drawn, and into what order, is known; their columns have to be those of pandas.
        drawn = fractions(draws(0, "split", np.arange(count)))
        order = np.argsort(draws(0, "shuffle", np.arange(count)))
        test = frame.iloc[order[drawn[order] < 0.1]]
        rows = read_split(folder, "test")
        self.assertAllEqual(rows["label"][:, 0], test["label"].astype(int))
        for k, dense in enumerate(schema.dense):
            x = pd.to_numeric(test[dense.name], errors="coerce").to_numpy()
            if dense.transform == "log1p":
                expected = np.log1p(x)
            else:
                training = pd.to_numeric(frame[dense.name][drawn >= 0.15], errors="coerce")
                expected = (x - training.mean()) / training.std(ddof=0)
            self.assertAllClose(rows["dense"][:, k], np.nan_to_num(expected), rtol=1e-5, atol=1e-5)
        for dense in schema.dense:
            self.assertEqual(manifest.missing[dense.name], int(frame[dense.name].isin(schema.missing).sum()))
        for feature, slots in zip(schema.categorical, schema.slots, strict=True):
            values = frame[feature.name]
            if feature.separator:
                values = values.str.split(feature.separator, regex=False).explode()
            trained = values[drawn[values.index] >= 0.15]
            counts = trained[trained != ""].value_counts().rename_axis("value").reset_index(name="count")
            counts["hash"] = hash_values(pa.array(counts["value"].str.encode("utf-8"), pa.binary()))
            by_rank = counts.sort_values(["count", "hash"], ascending=[False, True])["value"]
            held_out = test[feature.name]
            if feature.separator:
                held_out = held_out.str.split(feature.separator, regex=False).explode()
            expected_ids = held_out.map({value: n for n, value in enumerate(by_rank, 1)})
            ids = rows["ids"][:, slots.start : slots.stop]
            self.assertAllEqual(ids[ids != -1], expected_ids.fillna(0).to_numpy())
            self.assertEqual(manifest.vocabulary_sizes[feature.name], len(counts))
            self.assertEqual(manifest.missing[feature.name], int(values.isin(schema.missing).sum()))
            present = set(values.unique()) - {""}
            self.assertLess(len(present), feature.cardinality)  # no value has to share the row of rare ones


if __name__ == "__main__":
    tf.test.main()
