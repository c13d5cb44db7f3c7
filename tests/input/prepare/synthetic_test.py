"""The click generator against brute force, its stated shares and spreads, and Monte Carlo."""

# mypy: allow-untyped-calls
# (absl has no types)

import bisect
import dataclasses
import hashlib
import itertools
import math
import multiprocessing
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import integrate, stats

from tests.helpers.logs import synthetic_blocks
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.prepare.sources import SyntheticSource
from tfrs_scaling.input.prepare.synthetic import (
    BLOCK_ROWS,
    Synthetic,
    SyntheticFeature,
    Teacher,
    _ranks,
    block_count,
    make_teacher,
    rows_of_block,
)

FEATURES = (
    SyntheticFeature("user", 1000, 500, 1.1),
    SyntheticFeature("item", 300, 300, 0.8, waves=True),
    SyntheticFeature("place", 20, 20, 0.0),
)
SETTINGS = Synthetic(rows=BLOCK_ROWS + 5000, features=FEATURES, seed=7)
DRIFTING = dataclasses.replace(SETTINGS, drift=0.8, drift_rows=30_000)
# Only the drifting part, over ids so many and so equally frequent that means over them are those of normal numbers.
ONLY_DRIFT = Synthetic(
    rows=2**40,
    features=tuple(SyntheticFeature(f"f{i}", 5000, 5000, 0.0) for i in range(6)),
    dense=0,
    effect_spread=0.0,
    interaction_spread=0.0,
    drift=1.2,
    drift_rows=1_000_000,
    seed=5,
)
COLUMNS = ("position", "label", "dense", "codes", "time", "click_probability")


def _rows(settings: Synthetic) -> Rows:
    return Rows.concatenate(list(synthetic_blocks(settings)))


def _equal(rows: Rows, others: Rows) -> bool:
    columns = [(getattr(rows, column), getattr(others, column)) for column in COLUMNS]
    return all(a is b if a is None or b is None else np.array_equal(a, b) for a, b in columns)


def _logits(rows: Rows) -> np.ndarray:
    return np.log(_probability(rows)) - np.log1p(-_probability(rows))


def _log_loss(label: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, np.where(label == 1, -logits, logits))


def _drifted(teacher: Teacher, rows: Rows, time: float | np.ndarray) -> np.ndarray:
    """The drifting part of the rows' logits as it would be at another time."""
    part = np.zeros(len(rows.label))
    for f, (scrambled, drifts) in enumerate(zip(teacher.scrambled, teacher.drifts, strict=True)):
        cosine, sine, rate = drifts[np.argsort(scrambled)[rows.codes[:, f]]].T
        part += cosine * np.cos(rate * time) + sine * np.sin(rate * time)
    return part


def _probability(rows: Rows) -> np.ndarray:
    assert rows.click_probability is not None
    return rows.click_probability


class SyntheticTest(parameterized.TestCase, tf.test.TestCase):
    """What is generated."""

    def test_same_settings_same_rows_another_seed_others(self) -> None:
        first, again = _rows(SETTINGS), _rows(SETTINGS)
        other = _rows(dataclasses.replace(SETTINGS, seed=8))
        self.assertLen(first.label, SETTINGS.rows)
        self.assertTrue(_equal(first, again))
        for column in ("label", "dense", "codes", "click_probability"):
            self.assertNotAllEqual(getattr(first, column), getattr(other, column))

    @parameterized.product(settings=(SETTINGS, DRIFTING), count=(1, 100, BLOCK_ROWS, BLOCK_ROWS + 1))
    def test_first_rows_do_not_depend_on_how_many(self, settings: Synthetic, count: int) -> None:
        fewer, more = _rows(dataclasses.replace(settings, rows=count)), _rows(settings)
        self.assertLen(fewer.label, count)
        self.assertTrue(_equal(fewer, more.take(np.arange(count))))

    def test_rows_stay_what_they_are(self) -> None:
        # A study's data must not change under it. Ids and labels to the bit; a mathematical library may round the
        # last digit of the others differently.
        rows = _rows(SETTINGS)
        columns = (rows.label, rows.codes.astype(np.int32))
        digests = [hashlib.sha256(column.tobytes()).hexdigest()[:16] for column in columns]
        self.assertEqual(digests, ["e6b4fde0c3002982", "14614dc3a62239f2"])
        position = np.arange(1, SETTINGS.rows + 1)
        self.assertAllClose(position @ _probability(rows), 622340092.263014, rtol=1e-12, atol=0)
        self.assertAllClose((position @ rows.dense).sum(), -5357344.563939553, rtol=0, atol=1e-3)

    def test_blocks_in_any_order_and_process_are_the_same(self) -> None:
        settings = dataclasses.replace(DRIFTING, rows=3 * BLOCK_ROWS + 5)
        order = (3, 0, 2, 1)
        teacher = make_teacher(settings)
        here = {block: rows_of_block(settings, teacher, block) for block in order}
        # Eight tasks and four fresh processes: hardly a block is made where its teacher was.
        with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=2) as pool:
            teachers = pool.map(make_teacher, [settings] * len(order), chunksize=1)
            tasks = [(settings, made, block) for made, block in zip(teachers, order, strict=True)]
            there = dict(zip(order, pool.starmap(rows_of_block, tasks, chunksize=1), strict=True))
        self.assertEqual(block_count(settings), len(order))
        for block, expected in enumerate(synthetic_blocks(settings)):
            self.assertTrue(_equal(here[block], expected) and _equal(there[block], expected))

    @parameterized.parameters(-1, 2)
    def test_no_such_block(self, block: int) -> None:
        with self.assertRaisesRegex(IndexError, f"block {block} of 2"):
            rows_of_block(SETTINGS, make_teacher(SETTINGS), block)

    def test_ranks_are_those_of_bisection(self) -> None:
        teacher = make_teacher(SETTINGS)
        for f, feature in enumerate(FEATURES):
            shares, edges = teacher.cumulative[f], np.arange(64) / 64
            inside = np.concatenate([shares, np.nextafter(shares, 0), edges, np.nextafter(edges, 1)])
            numbers = [*inside[inside < 1].tolist(), math.nextafter(1, 0)]
            expected = [min(bisect.bisect_right(shares.tolist(), u), feature.ids - 1) for u in numbers]
            self.assertAllEqual(_ranks(shares, teacher.index[f], np.array(numbers)), expected)

    def test_blocks_differ(self) -> None:
        first, second = synthetic_blocks(SETTINGS)
        self.assertLess(np.mean(first.codes[:5000, 0] == second.codes[:, 0]), 0.2)
        self.assertNotAllEqual(first.dense[:5000], second.dense)

    def test_shares_are_zipfs(self) -> None:
        rows, teacher = _rows(SETTINGS), make_teacher(SETTINGS)
        for f, feature in enumerate(FEATURES):
            share = np.array([k**-feature.zipf for k in range(1, feature.ids + 1)])
            expected = share / share.sum() * SETTINGS.rows
            self.assertEqual(sorted(teacher.scrambled[f].tolist()), list(range(feature.ids)))
            observed = np.bincount(rows.codes[:, f].astype(np.int64), minlength=feature.ids)[teacher.scrambled[f]]
            self.assertGreater(stats.chisquare(observed, expected).pvalue, 1e-4)

    @parameterized.parameters(0.01, 0.25, 0.7)
    def test_ctr_is_near_the_target(self, ctr: float) -> None:
        rows = _rows(dataclasses.replace(SETTINGS, ctr=ctr))
        # The bias is set on one sample of 65,536 rows, so two standard errors add up; 5 of them bound the miss.
        spread = _probability(rows).std() / BLOCK_ROWS**0.5
        self.assertAllClose(_probability(rows).mean(), ctr, atol=5 * 2**0.5 * spread, rtol=0)
        self.assertAllClose(rows.label.mean(), ctr, atol=5 * (ctr * (1 - ctr) / BLOCK_ROWS) ** 0.5 * 2, rtol=0)

    @parameterized.parameters(
        SETTINGS,
        dataclasses.replace(SETTINGS, dense=0, rank=1, waves=3),
        dataclasses.replace(SETTINGS, dense=0, features=FEATURES[:1]),  # no wave has an input
        dataclasses.replace(SETTINGS, features=FEATURES[:1], dense=1),
        dataclasses.replace(SETTINGS, drift=1.5, drift_rows=20),
    )
    def test_probabilities_equal_the_double_loop_over_pairs(self, settings: Synthetic) -> None:
        rows, teacher = _rows(dataclasses.replace(settings, rows=50)), make_teacher(settings)
        rank_of_id = [{int(shown): rank for rank, shown in enumerate(scrambled)} for scrambled in teacher.scrambled]
        for i in range(50):
            ranks = [rank_of_id[f][int(rows.codes[i, f])] for f in range(len(settings.features))]
            logit = teacher.bias
            inputs = list(rows.dense[i])
            for f, rank in enumerate(ranks):
                logit += teacher.scales[0] * teacher.effects[f][rank]
                inputs.append(teacher.effects[f][rank] if settings.features[f].waves else 0.0)
            for f, g in itertools.combinations(range(len(ranks)), 2):
                logit += teacher.scales[1] * sum(
                    a * b for a, b in zip(teacher.vectors[f][ranks[f]], teacher.vectors[g][ranks[g]], strict=True)
                )
            for w in range(settings.waves):
                angle = sum(turn * x for turn, x in zip(teacher.turns[:, w], inputs, strict=True))
                logit += teacher.scales[2] * teacher.amplitudes[w] * math.sin(angle + teacher.phases[w])
            for drifts, rank in zip(teacher.drifts, ranks, strict=False):  # none without drift
                cosine, sine, rate = drifts[rank]
                logit += cosine * math.cos(rate * i) + sine * math.sin(rate * i)
            self.assertAllClose(_probability(rows)[i], 1 / (1 + math.exp(-logit)), rtol=1e-9, atol=0)

    def test_labels_follow_the_probabilities(self) -> None:
        rows = _rows(SETTINGS)
        p = _probability(rows)
        for low, high in itertools.pairwise(np.quantile(p, np.linspace(0, 1, 11))):
            tenth = (p >= low) & (p <= high)
            z = (rows.label[tenth] - p[tenth]).sum() / (p[tenth] * (1 - p[tenth])).sum() ** 0.5
            self.assertLess(abs(z), 4.5)

    @parameterized.product(part=(0, 1, 2), stated=(0.3, 2.5), zipf=(0.0, 1.5))
    def test_spreads_over_rows_are_as_stated(self, part: int, stated: float, zipf: float) -> None:
        # Set on one block and measured on another; the fourth moments of these parts allow some percent.
        features = tuple(SyntheticFeature(f"f{i}", 200, 200, zipf, waves=i < 2) for i in range(6))
        names = ("effect_spread", "interaction_spread", "wave_spread")
        spreads: dict[str, Any] = {name: stated if k == part else 0.0 for k, name in enumerate(names)}
        logits = _logits(_rows(Synthetic(rows=BLOCK_ROWS, features=features, seed=3, **spreads)))
        self.assertAllClose(logits.std(), stated, rtol=0.03, atol=0)

    @parameterized.parameters(1, 3, 7)
    def test_interactions_have_the_rank_stated(self, rank: int) -> None:
        # One more for the bias; an embedding as long as the vectors, and a bias, can express all of it.
        features = tuple(SyntheticFeature(name, 20, 20, 0.0) for name in ("user", "item"))
        only = Synthetic(BLOCK_ROWS, features, dense=0, rank=rank, effect_spread=0.0, wave_spread=0.0, seed=4)
        rows = _rows(only)
        matrix = np.full((20, 20), np.nan)
        matrix[rows.codes[:, 0].astype(int), rows.codes[:, 1].astype(int)] = _logits(rows)
        singular = np.linalg.svd(matrix, compute_uv=False)
        self.assertEqual(int((singular > 1e-9 * singular[0]).sum()), rank + 1)

    @parameterized.parameters(0.1, 1.0, 2.0)
    def test_frequency_takes_waves_from_linear_to_not_as_stein_says(self, frequency: float) -> None:
        features = (SyntheticFeature("user", 2, 2),)
        settings = Synthetic(
            BLOCK_ROWS, features, dense=3, effect_spread=0.0, wave_spread=1.0, frequency=frequency, waves=64, seed=7
        )
        teacher, rows = make_teacher(settings), _rows(settings)
        turns = teacher.turns[:3]
        length = (turns**2).sum(axis=0)
        self.assertAllClose(length.mean() ** 0.5, frequency, rtol=0.25, atol=0)  # 64 lengths, of 3 squares each
        # E[x sin(<t, x> + phase)] = t exp(-|t|^2 / 2) cos(phase) for normal x (Stein's lemma).
        expected = turns @ (teacher.scales[2] * teacher.amplitudes * np.exp(-length / 2) * np.cos(teacher.phases))
        logits = _logits(rows)
        slopes = ((logits - logits.mean()) @ rows.dense) / BLOCK_ROWS
        self.assertAllClose(slopes, expected, rtol=0, atol=5 * 2**0.5 / BLOCK_ROWS**0.5)
        linear = (expected**2).sum() / logits.var()
        self.assertEqual(linear > 0.95, frequency == 0.1)
        self.assertEqual(linear < 0.5, frequency > 0.1)

    def test_drift_leaves_ids_and_dense_values_and_numbers_the_rows(self) -> None:
        still, drifting = _rows(SETTINGS), _rows(DRIFTING)
        self.assertAllEqual(drifting.codes, still.codes)
        self.assertAllEqual(drifting.dense, still.dense)
        self.assertIsNone(still.time)
        assert drifting.time is not None
        self.assertEqual(drifting.time.dtype, np.int64)
        self.assertAllEqual(still.position, np.arange(SETTINGS.rows))
        self.assertAllEqual(drifting.time, np.arange(SETTINGS.rows))

    @parameterized.parameters(0, 3, 15, 40, 10_000_000)
    def test_drift_keeps_its_spread_and_loses_its_past_as_stated(self, block: int) -> None:
        teacher = make_teacher(ONLY_DRIFT)
        rows = rows_of_block(ONLY_DRIFT, teacher, block)
        assert rows.time is not None
        logits, ratio = _logits(rows), rows.time.mean() / ONLY_DRIFT.drift_rows
        self.assertAllClose(logits - teacher.bias, _drifted(teacher, rows, rows.time), atol=1e-9, rtol=0)
        self.assertAllClose(logits.std(), ONLY_DRIFT.drift, rtol=0.03, atol=0)
        correlation = np.corrcoef(logits, _drifted(teacher, rows, 0))[0, 1]
        self.assertAllClose(correlation, math.exp(-(ratio**2) / 2), rtol=0, atol=0.03)

    @parameterized.parameters(3, 15, 40)
    def test_predicting_with_the_first_teacher_loses_what_is_stated(self, block: int) -> None:
        teacher = make_teacher(ONLY_DRIFT)
        rows = rows_of_block(ONLY_DRIFT, teacher, block)
        assert rows.time is not None
        p, frozen = _probability(rows), teacher.bias + _drifted(teacher, rows, 0)
        # E[p (1 - p)] of a normal logit by quadrature, E[1 - correlation] over the block's times.
        normal = stats.norm(teacher.bias, ONLY_DRIFT.drift)
        slope = integrate.quad(lambda z: normal.pdf(z) / (2 + 2 * math.cosh(z)), -20, 20)[0]
        lost = 1 - np.exp(-((rows.time / ONLY_DRIFT.drift_rows) ** 2) / 2).mean()
        stated = ONLY_DRIFT.drift**2 * lost * slope
        expected = p * _log_loss(np.ones(1), frozen) + (1 - p) * _log_loss(np.zeros(1), frozen)
        best = p * _log_loss(np.ones(1), _logits(rows)) + (1 - p) * _log_loss(np.zeros(1), _logits(rows))
        self.assertAllClose((expected - best).mean(), stated, rtol=0.05, atol=0)
        drawn = _log_loss(rows.label, frozen) - _log_loss(rows.label, _logits(rows))
        self.assertGreater(drawn.mean(), 0)
        self.assertLess(abs(drawn.mean() - (expected - best).mean()), 4 * drawn.std() / BLOCK_ROWS**0.5)

    @parameterized.parameters(0.05, 0.4)
    def test_ctr_starts_at_the_target_and_goes_with_the_frequent_ids(self, ctr: float) -> None:
        settings = dataclasses.replace(ONLY_DRIFT, features=(SyntheticFeature("f", 50, 50, 1.0),), ctr=ctr)
        teacher = make_teacher(settings)
        share = np.array([1 / k for k in range(1, 51)])
        cosine, sine, rate = teacher.drifts[0].T

        def exact(time: float) -> float:
            logits = teacher.bias + cosine * np.cos(rate * time) + sine * np.sin(rate * time)
            return float(np.average(1 / (1 + np.exp(-logits)), weights=share))

        self.assertAllClose(exact(0), ctr, rtol=0.03, atol=0)
        ctrs = []
        for block in (0, 7, 30, 300):
            rows = rows_of_block(settings, teacher, block)
            ctrs.append(np.mean([exact(time) for time in np.linspace(block, block + 1, 101) * BLOCK_ROWS]))
            p = _probability(rows)
            self.assertLess(abs(p.mean() - ctrs[-1]), 4 * p.std() / BLOCK_ROWS**0.5)
            self.assertLess(abs(rows.label.mean() - ctrs[-1]), 4 * (ctrs[-1] / BLOCK_ROWS) ** 0.5)
        self.assertGreater(np.ptp(ctrs), 0.1 * ctr)

    def test_ctr_of_equally_frequent_ids_stays(self) -> None:
        teacher = make_teacher(ONLY_DRIFT)
        for block in (0, 15, 10_000_000):
            rows = rows_of_block(ONLY_DRIFT, teacher, block)
            self.assertAllClose(_probability(rows).mean(), ONLY_DRIFT.ctr, rtol=0.03, atol=0)

    @parameterized.named_parameters(
        ("plain", {}),
        ("rare_clicks", {"ctr": 0.03}),
        ("many_clicks", {"ctr": 0.8}),
        ("no_signal", {"effect_spread": 0.0, "interaction_spread": 0.0, "wave_spread": 0.0}),
        ("strong_signal", {"effect_spread": 3.0, "interaction_spread": 2.0, "wave_spread": 2.0}),
        ("one_feature_no_dense", {"features": FEATURES[:1], "dense": 0}),
        ("drift", {"drift": 2.0, "drift_rows": 5000}),
    )
    def test_bayes_loss_agrees_with_monte_carlo(self, changes: dict[str, Any]) -> None:
        settings = dataclasses.replace(SETTINGS, rows=20_000, **changes)
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "data"
        manifest = prepare(SyntheticSource(settings), folder, test=0.4, seed=11)
        bayes = manifest.bayes
        assert bayes is not None
        # Labels drawn again from the true probabilities of as many other rows: how the loss of a test split varies.
        # With drift the test split is the last 8,000 rows, and only rows of that time are like it.
        self.assertEqual(manifest.split_by, "time" if settings.drift else "random")
        times = slice(12_000, 20_000) if settings.drift else slice(0, BLOCK_ROWS)
        p = _probability(_rows(dataclasses.replace(settings, rows=BLOCK_ROWS)))[times]
        rng, size = np.random.default_rng(1), manifest.splits["test"].rows
        losses, nes = [], []
        for _ in range(300):
            drawn = rng.choice(p, size)
            label = rng.random(size) < drawn
            losses.append(-np.log(np.where(label, drawn, 1 - drawn)).mean())
            nes.append(losses[-1] / stats.entropy([label.mean(), 1 - label.mean()]))
        self.assertLess(abs(bayes.log_loss - np.mean(losses)), 3 * np.std(losses))
        self.assertLess(abs(bayes.ne - np.mean(nes)), 3 * np.std(nes))
        # The stated error ignores that the entropy varies along with the loss, so it can only be the larger one.
        self.assertGreater(bayes.ne_standard_error, 0.9 * np.std(nes))
        share = manifest.splits["test"].ctr
        self.assertAllClose(bayes.ne, bayes.log_loss / stats.entropy([share, 1 - share]), rtol=1e-9)
        self.assertAllClose(bayes.ne_standard_error * stats.entropy([share, 1 - share]), np.std(losses), rtol=0.2)

    def test_schema_fits_the_rows(self) -> None:
        schema, rows = SETTINGS.schema(), _rows(SETTINGS)
        self.assertEqual(schema.columns, ["click", "dense_0", "dense_1", "dense_2", "dense_3", "user", "item", "place"])
        self.assertEqual(
            [(f.cardinality, f.encoding) for f in schema.categorical], [(500, "id"), (300, "id"), (20, "id")]
        )
        self.assertEqual(rows.dense.shape, (SETTINGS.rows, 4))
        self.assertEqual(rows.codes.max(axis=0).tolist(), [999, 299, 19])
        self.assertEqual(DRIFTING.schema().columns, [*schema.columns, "time"])
        self.assertEqual((schema.time, DRIFTING.schema().time), (None, "time"))

    @parameterized.named_parameters(
        ("no_rows", {"rows": 0}, "rows: "),
        ("ctr_1", {"ctr": 1.0}, "ctr: "),
        ("ctr_nan", {"ctr": float("nan")}, "ctr: input should be a finite number"),
        ("no_features", {"features": []}, "features: "),
        ("endless_seed", {"seed": 2**200}, "seed: "),
        ("same_name", {"features": [{"name": "a", "ids": 5, "rows": 5}] * 2}, "two columns would be named 'a'"),
        ("no_waves", {"waves": 0}, "waves: "),
        ("frequency_0", {"frequency": 0.0}, "frequency: "),
        ("spread_below_0", {"wave_spread": -1.0}, "wave_spread: "),
        ("drift_nan", {"drift": float("nan")}, "drift: input should be a finite number"),
        ("drift_in_no_rows", {"drift": 1.0, "drift_rows": 0}, "drift_rows: "),
        ("time_name", {"drift": 1.0, "features": [{"name": "time", "ids": 5, "rows": 5}]}, "would be named 'time'"),
        ("dense_name", {"features": [{"name": "dense_0", "ids": 5, "rows": 5}]}, "would be named 'dense_0'"),
    )
    def test_bad_settings(self, change: dict[str, object], message: str) -> None:
        good = {"rows": 10, "features": [{"name": "a", "ids": 5, "rows": 5}]}
        with self.assertRaisesRegex(InputError, f"^study: .*{message}"):
            validated(Synthetic, good | change, "study")


if __name__ == "__main__":
    tf.test.main()
