"""A description of prepared data against pandas, over all rows at once."""

# mypy: allow-untyped-calls
# (absl has no types)

import json
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from absl.testing import parameterized
from click.testing import CliRunner
from scipy import stats

from tfrs_scaling.cli.main import main
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.describe.description import Description, describe_data, wilson_interval
from tfrs_scaling.input.manifest import FORMAT_VERSION, MANIFEST, SPLITS, Manifest, Split, SplitName, short_hash
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.shards import ROWS_PER_RECORD, ClickData, column_specs, write_shard

ROWS: dict[SplitName, int] = {"train": 6000, "validation": 400, "test": 900}
CATEGORICAL = (CategoricalFeature("user", 500, "id"), CategoricalFeature("tags", 40, "vocabulary", 1, 3, "|"))
Log = dict[SplitName, dict[str, np.ndarray]]


def planted_log(weighted: bool = False) -> Log:
    """Clicks with an id, up to three tags (id 0 among them, and twins), a dense value, a time and perhaps a weight."""
    rng = np.random.default_rng(8)
    log: Log = {}
    for split, rows in ROWS.items():
        tags = (rng.zipf(1.5, (rows, 3)) % 40).astype(np.int32)
        tags[rng.random(rows) < 0.5, 2] = -1
        tags[rng.random(rows) < 0.2, 1:] = -1
        log[split] = {
            "label": rng.integers(0, 2, (rows, 1)).astype(np.uint8),
            "ids": np.concatenate([(rng.zipf(1.4, (rows, 1)) % 20_000).astype(np.int32), tags], axis=1),
            "dense": rng.integers(-1, 4, (rows, 1)).astype(np.float32) / 3,
            "time": 1_600_000_000 + rng.integers(0, 10**6, (rows, 1)),
        }
        if weighted:
            log[split]["weight"] = rng.exponential(size=(rows, 1)).astype(np.float32)
    return log


def _split(folder: Path, split: SplitName, columns: dict[str, np.ndarray], schema: Schema) -> Split:
    kept = {name: columns[name] for name in column_specs(schema)}
    shard = write_shard(str(folder), split, 0, 1, [kept])
    return Split(len(columns["label"]), int(columns["label"].sum()), (shard,))


def written(folder: Path, log: Log, negative_rate: float = 1.0, **schema: Any) -> ClickData:
    """The log as prepared data."""
    settings: dict[str, Any] = {"categorical": CATEGORICAL, "dense": (DenseFeature("age"),), "time": "ts"}
    columns = Schema(label="click", **(settings | schema))
    manifest = Manifest(
        format_version=FORMAT_VERSION, tool_version="test", schema=columns, schema_hash=short_hash(columns.to_dict()),
        source_hash="", splits={split: _split(folder, split, log[split], columns) for split in SPLITS},
        rows_per_record=ROWS_PER_RECORD, split_by="random", seed=0, dense_mean=(0.0,) * len(columns.dense),
        dense_deviation=(1.0,) * len(columns.dense),
        vocabulary_sizes={}, missing={"age": 73, "user": 0, "tags": 8}, read=sum(ROWS.values()), rejected=0, sources=(),
        negative_rate=negative_rate,
    )  # fmt: skip
    (folder / MANIFEST).write_text(manifest.to_json())
    return ClickData.open(folder)


class DescribeTest(parameterized.TestCase, tf.test.TestCase):
    """``describe_data``."""

    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.get_temp_dir()))

    def _described(self, log: Log, **schema: Any) -> Description:
        seen: list[int] = []
        described = describe_data(written(self._folder(), log, **schema), seen.append, block_rows=700)
        self.assertEqual(seen[-1], sum(ROWS.values()))
        self.assertGreater(len(seen), 9)
        return described

    def test_splits_and_weighted_rate(self) -> None:
        log = planted_log(weighted=True)
        for weight in (None, "w"):
            described = self._described(log, weight=weight)
            for split in SPLITS:
                rate, label = described.splits[split], log[split]["label"]
                self.assertEqual((rate.rows, rate.clicks, rate.ctr), (len(label), label.sum(), label.mean()))
                interval = stats.binomtest(int(label.sum()), len(label)).proportion_ci(method="wilson")
                self.assertAllClose((rate.low, rate.high), (interval.low, interval.high), rtol=1e-9)
                wanted = np.average(label, weights=log[split]["weight"].astype(float))
                self.assertEqual(rate.weighted_ctr is None, weight is None)
                self.assertAllClose(rate.weighted_ctr or wanted, wanted, rtol=1e-12)

    @parameterized.parameters((0, 5), (5, 5), (1, 1), (3, 1000))
    def test_wilson_interval_is_scipys(self, clicks: int, rows: int) -> None:
        wanted = stats.binomtest(clicks, rows).proportion_ci(method="wilson")
        self.assertAllClose(wilson_interval(clicks, rows), (wanted.low, wanted.high), rtol=1e-9, atol=1e-15)

    def test_one_hot_ids(self) -> None:
        log = planted_log()
        user = self._described(log).categorical[0]
        train, test = (pd.Series(log[split]["ids"][:, 0]) for split in ("train", "test"))
        counts = train.value_counts()
        self.assertEqual((user.distinct, user.occurrences), (len(counts), 6000))
        self.assertEqual((user.missing, user.no_own_id), (0, None))
        self.assertFalse(user.unseen_is_bound)
        self.assertAlmostEqual(user.unseen, float((~test.isin(train)).mean()))
        self.assertAlmostEqual(user.top_share, counts.iloc[0] / 6000)
        self.assertEqual(user.ids_per_row, 1)
        for rank, count in user.curve:
            self.assertEqual(count, counts.iloc[rank - 1])
        rows = train % 125  # a quarter of 500
        shared = train.groupby(rows).transform("nunique") > 1
        self.assertAlmostEqual(user.collisions[Fraction(1, 4)].shared, float(shared.mean()))

    def test_multi_hot_ids_count_once_per_row(self) -> None:
        log = planted_log()
        tags = self._described(log).categorical[1]
        pairs = {}
        for split in SPLITS:
            long = pd.DataFrame(log[split]["ids"][:, 1:]).melt(ignore_index=False, value_name="id")
            pairs[split] = long.query("id >= 0").reset_index(names="row")[["row", "id"]]
        self.assertAlmostEqual(tags.ids_per_row, len(pairs["train"]) / 6000)
        train, test = pairs["train"].drop_duplicates(), pairs["test"]
        self.assertLess(len(train), len(pairs["train"]))
        counts = train.query("id > 0")["id"].value_counts()
        self.assertEqual((tags.distinct, tags.occurrences), (len(counts), counts.sum()))
        self.assertAlmostEqual(tags.top_share, counts.iloc[0] / 6000)
        self.assertEqual(dict(tags.curve)[1], counts.iloc[0])
        self.assertIsNone(tags.missing)
        assert tags.no_own_id is not None
        for split in SPLITS:
            self.assertAlmostEqual(tags.no_own_id[split], pairs[split].query("id == 0")["row"].nunique() / ROWS[split])
        self.assertTrue(tags.unseen_is_bound)
        self.assertAlmostEqual(tags.unseen, test.query("id == 0")["row"].nunique() / 900)
        rows = train["id"] % 10
        shared = train.groupby(rows)["id"].transform("nunique") > 1
        self.assertAlmostEqual(tags.collisions[Fraction(1, 4)].shared, float(shared.mean()))

    def test_dense_values_as_stored(self) -> None:
        log = planted_log()
        (age,) = self._described(log).dense
        values = log["train"]["dense"].astype(float)
        self.assertAllClose((age.low, age.mean, age.high), (values.min(), values.mean(), values.max()), rtol=1e-7)
        self.assertAlmostEqual(age.zero, float((values == 0).mean()))
        self.assertAlmostEqual(age.missing or 0, 73 / 7300)
        (age,) = self._described(log, negative_rate=0.5).dense
        self.assertIsNone(age.missing)

    def test_a_log_of_one_id_without_dense_features_and_time(self) -> None:
        log = planted_log()
        for split in SPLITS:
            log[split]["ids"] = np.zeros((ROWS[split], 1), np.int32)
        described = self._described(log, categorical=(CategoricalFeature("c", 4),), dense=(), time=None)
        (feature,) = described.categorical
        self.assertEqual((feature.distinct, feature.curve, feature.zipf, feature.top_share), (0, (), None, 0))
        self.assertEqual((feature.no_own_id, feature.unseen), (dict.fromkeys(SPLITS, 1.0), 1.0))
        self.assertEqual(feature.collisions[Fraction(1)].shared, 0)
        self.assertEqual((described.dense, described.time_bins), ((), None))

    def test_missing_rare_and_unseen_values_of_a_prepared_log(self) -> None:
        folder = self._folder()
        # By time: 80 training rows, 10 of validation, 10 of test.
        words = ["a"] * 50 + ["b"] * 20 + ["c"] * 2 + [""] * 8 + ["a"] * 10 + ["a"] * 4 + ["new"] * 3 + [""] * 3
        rows = [f"{i},{i % 2},{word},{word},{word}" for i, word in enumerate(words)]
        (folder / "log.csv").write_text("\n".join(["t,y,all,frequent,hashed", *rows]))
        features = [
            {"name": "all", "cardinality": 4},
            {"name": "frequent", "cardinality": 3},
            {"name": "hashed", "cardinality": 64, "encoding": "hash"},
        ]
        (folder / "schema.json").write_text(json.dumps({"label": "y", "time": "t", "categorical": features}))
        arguments = ["prepare", "csv", folder / "log.csv", folder / "data", "--schema", folder / "schema.json"]
        result = CliRunner().invoke(main, [*map(str, arguments), "--validation", "0.1"], catch_exceptions=False)
        self.assertEqual(result.exit_code, 0, result.output)
        described = describe_data(ClickData.open(folder / "data"), lambda rows: None)
        every, frequent, hashed = described.categorical
        self.assertEqual([f.distinct for f in described.categorical], [3, 2, 3])
        for feature, missing in ((every, (0.1, 0, 0.6)), (frequent, (0.125, 0, 0.6)), (hashed, (0.1, 0, 0.3))):
            self.assertEqual(feature.no_own_id, dict(zip(SPLITS, missing, strict=True)))
            self.assertAlmostEqual(feature.missing or 0, 11 / 100)
        self.assertEqual([f.unseen_is_bound for f in described.categorical], [True, True, False])
        self.assertAllClose([f.unseen for f in described.categorical], [0.6, 0.6, 0.3])
        self.assertEqual(every.curve, ((1, 50), (2, 20), (3, 2)))
        self.assertEqual(hashed.curve, every.curve)

    def test_damage_names_the_split_and_the_command_that_finds_it(self) -> None:
        folder = self._folder()
        data = written(folder, planted_log())
        (shard,) = folder.glob("clicks-validation*")
        content = bytearray(shard.read_bytes())
        content[200] ^= 1
        shard.write_bytes(content)
        with self.assertRaisesRegex(InputError, "the validation split cannot be read .*data check"):
            describe_data(data, lambda rows: None)


class TimeTest(tf.test.TestCase):
    """The rate over time."""

    def _bins(self, log: Log, **options: int) -> Any:
        data = written(Path(tempfile.mkdtemp(dir=self.get_temp_dir())), log)
        return describe_data(data, lambda rows: None, block_rows=700, **options).time_bins

    def test_bins_are_of_equal_rows_and_count_every_click(self) -> None:
        log = planted_log()
        bins = self._bins(log)
        self.assertEqual([len(bins[split]) for split in SPLITS], [41, 3, 6])
        for split in SPLITS:
            frame = pd.DataFrame({name: log[split][name][:, 0] for name in ("time", "label")})
            self.assertLess(max(b.rate.rows for b in bins[split]) - min(b.rate.rows for b in bins[split]), 3)
            for each in bins[split]:
                inside = frame[frame["time"].between(each.first, each.last)]
                self.assertEqual((each.rate.rows, each.rate.clicks), (len(inside), inside["label"].sum()))
            self.assertEqual(sum(each.rate.rows for each in bins[split]), ROWS[split])
            self.assertEqual((bins[split][0].first, bins[split][-1].last), (frame["time"].min(), frame["time"].max()))

    def test_more_moments_than_cells(self) -> None:
        log = planted_log()
        log["train"]["time"][17] = 5  # a stray row long ago
        bins = self._bins(log, time_cells=500)["train"]
        order = np.random.default_rng(0).permutation(ROWS["train"])
        log["train"] = {name: column[order] for name, column in log["train"].items()}
        self.assertEqual(self._bins(log, time_cells=500)["train"], bins)
        self.assertLen(bins, 41)
        self.assertEqual(bins[0].first, 5)
        times = log["train"]["time"]
        for each in bins:
            self.assertEqual(each.rate.rows, ((each.first <= times) & (times <= each.last)).sum())
            self.assertAllClose(each.rate.rows, 6000 / 41, rtol=0.25)

    def test_few_moments_make_few_bins(self) -> None:
        log = planted_log()
        for split in SPLITS:
            log[split]["time"] = log[split]["time"] * 0 + np.repeat([20130101, 20130102], ROWS[split] // 2)[:, None]
        bins = self._bins(log)
        for split in SPLITS:
            self.assertEqual([(b.first, b.last, b.rate.rows) for b in bins[split]], [
                (day, day, ROWS[split] // 2) for day in (20130101, 20130102)
            ])  # fmt: skip


if __name__ == "__main__":
    tf.test.main()
