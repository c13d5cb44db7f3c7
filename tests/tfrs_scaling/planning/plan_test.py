import dataclasses
import math
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
from scipy import stats

from tests.helpers.studies import CONFIGS, tiny_config, tiny_content, tiny_data
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config, read_config
from tfrs_scaling.hardware import Accelerators
from tfrs_scaling.input.manifest import Split
from tfrs_scaling.input.pruning import by_error
from tfrs_scaling.planning.cost import TYPICAL
from tfrs_scaling.planning.plan import (
    crowding,
    jobs_at_once,
    plan,
    plan_on,
    plan_scorers,
    rows_kept,
    rows_left,
)
from tfrs_scaling.study.trials import all_trials


class PlanTest(tf.test.TestCase):
    def test_every_trial_once_with_its_cost(self) -> None:
        config = tiny_config(H=[2], M=["1/2"])
        assert config.synthetic is not None
        planned = plan(config, config.synthetic.schema(), 300)
        self.assertEqual([p.trial for p in planned], all_trials(config))
        baseline, wide, narrow = planned
        # user 50 + item 20 rows by 4; 2-8-4; 4 + 3 dots to 8; 8-16-8-1
        self.assertEqual(baseline.parameters, 70 * 4 + (24 + 36) + 64 + (144 + 136 + 9))
        self.assertLess(narrow.flops_train, baseline.flops_train)
        self.assertLess(baseline.flops_train, wide.flops_train)
        self.assertTrue(all(p.seconds > 0 and not p.too_large for p in planned))

    def test_fewer_features_cost_less_and_fewer_negatives_nothing(self) -> None:
        config = tiny_config(F=["1/2"], N=["1/4"], feature_seed=3)
        assert config.synthetic is not None
        baseline, fewer, sampled = plan(config, config.synthetic.schema(), 300)
        (table,) = fewer.trial.shape(config, config.synthetic.schema()).table_rows
        # one table by 4; 1-8-4 for one dense feature; 4 + 1 dot to 8; 8-16-8-1
        self.assertEqual(fewer.parameters, table * 4 + (16 + 36) + 48 + (144 + 136 + 9))
        self.assertLess(fewer.flops_train, baseline.flops_train)
        self.assertEqual(
            (sampled.parameters, sampled.flops_train, sampled.bytes),
            (baseline.parameters, baseline.flops_train, baseline.bytes),
        )

    def test_time_counts_every_pass_and_every_training_from_scratch(self) -> None:
        config = tiny_config(E=[2, 4], examples=[256_000, 512_000, 1_024_000])
        assert config.synthetic is not None
        baseline, two, four = plan(config, config.synthetic.schema(), 0)
        # 1024 thousand rows, then twice and four times 256 + 512 + 1024; and two more starts.
        per_thousand = (four.seconds - two.seconds) / (2 * 1792)
        self.assertNear(two.seconds - baseline.seconds, per_thousand * (2 * 1792 - 1024) + 2 * TYPICAL.start, 1e-6)
        self.assertEqual((four.parameters, four.bytes), (baseline.parameters, baseline.bytes))

    def test_rows_that_sampling_leaves_are_enough_but_for_one_time_in_thirty_thousand(self) -> None:
        for rows, clicks, rate in ((100_000, 3_000, 0.25), (1_000_000, 1_000, 0.01), (5_000, 2_500, 0.5)):
            left = rows_left(Split(rows, clicks, ()), rate)
            risk = stats.binom.cdf(left - clicks - 1, rows - clicks, rate)
            self.assertBetween(risk, 1e-5, 1e-4)
        self.assertEqual(rows_left(Split(1000, 10, ()), 1.0), 1000)

    def test_ladder_longer_than_what_sampling_leaves_is_located(self) -> None:
        config = tiny_config(examples=[256, 512, 1024], N=["1/2", "1/16"])
        data = tiny_data(config, Path(self.get_temp_dir()) / "sampled")
        train = data.manifest.splits["train"]
        expected = train.clicks + (train.rows - train.clicks) / 2
        with self.assertRaisesRegex(
            InputError, r"sweep\.N\[0\]: 1/2 of the negatives .* less than the 1,024"
        ) as caught:
            plan_on(config, data.manifest)
        told = int(str(caught.exception).split("are about ")[1].split(" rows")[0].replace(",", ""))
        self.assertBetween(told, 0.9 * expected, expected)
        short = tiny_config(examples=[256, 512], N=["1/2", "1/16"])
        with self.assertRaisesRegex(InputError, r"sweep\.N\[1\]: 1/16"):
            plan_on(short, data.manifest)
        self.assertLen(plan_on(tiny_config(examples=[256, 512], N=["1/2"]), data.manifest), 2)

    def test_teacher_is_refused_where_no_rows_are_left_and_says_how_many_are_missing(self) -> None:
        content = tiny_content(examples=[256, 1024], T=[1], N=["1/2"])
        data = tiny_data(tiny_config(), Path(self.get_temp_dir()) / "taught")
        rows = data.manifest.splits["train"].rows

        def planned(examples: int, **sweep: Any) -> int:
            changed = content | {"teacher": {"examples": examples, "scheme": "V", "multiplier": "2"}}
            return len(
                plan_on(validated(Config, changed | {"sweep": content["sweep"] | sweep}, "taught"), data.manifest)
            )

        self.assertEqual(planned(256, N=[]), 2)
        with self.assertRaisesRegex(InputError, r"teacher\.examples: 640 other rows .* ladder ends at 1,024") as caught:
            planned(640)
        missing = int(str(caught.exception).split("1,024: ")[1].split(" are missing")[0])
        deviation = math.sqrt(640 * (1 - 640 / rows))
        self.assertEqual(missing, 1024 - (rows - 640 - 2 * math.ceil(4 * deviation)))
        with self.assertRaisesRegex(InputError, r"sweep\.N\[0\]: 1/2 of the negatives"):
            planned(256)  # of what the teacher leaves

    def test_teacher_s_cost_is_planned_apart(self) -> None:
        content = tiny_content(T=[1], V=["2"]) | {"teacher": {"examples": 300, "scheme": "V", "multiplier": "2"}}
        config = validated(Config, content, "taught")
        assert config.synthetic is not None
        schema = config.synthetic.schema()
        baseline, vertical, taught = plan(config, schema, 100)
        self.assertEqual((taught.flops_train, taught.seconds), (baseline.flops_train, baseline.seconds))
        (teacher,) = plan_scorers(config, schema, 1700, 100)
        self.assertEqual((teacher.scoring.examples, teacher.scored), (256, 1700))
        self.assertEqual(teacher.flops, 256 * vertical.flops_train + 1700 * vertical.flops_forward)
        with (
            mock.patch("tfrs_scaling.planning.plan.memory_limit", return_value=(1, "this container")),
            self.assertRaisesRegex(InputError, "teacher: V-2 needs about .* of memory; this container has"),
        ):
            plan(config, schema, 100)

    def test_ladder_longer_than_what_pruning_keeps_is_located_and_says_how_many_rows_are_missing(self) -> None:
        settings: dict[str, Any] = {"by": ["random"], "keep": ["3/4", "1/4"]}
        config = tiny_config(examples=[256, 512], P=settings)
        data = tiny_data(config, Path(self.get_temp_dir()) / "kept")
        rows = data.manifest.splits["train"].rows
        with self.assertRaisesRegex(
            InputError, rf"sweep\.P, random: 1/4 of the {rows:,} .* less than the 512"
        ) as caught:
            plan_on(config, data.manifest)
        missing = int(str(caught.exception).split("examples: ")[1].split(" training rows")[0].replace(",", ""))
        self.assertLess(rows_kept(rows, 0.25, data.manifest.rows_per_record) + 0.25 * missing, 513)
        self.assertGreaterEqual(rows_kept(rows, 0.25, data.manifest.rows_per_record) + 0.25 * missing, 512)
        self.assertEqual(rows_kept(rows, 1.0, data.manifest.rows_per_record), rows)
        self.assertLen(plan_on(tiny_config(examples=[256, 512], P=settings | {"keep": ["3/4"]}), data.manifest), 2)

    def test_as_many_rows_are_kept_as_planned_though_the_slope_is_that_of_a_sample(self) -> None:
        rng = np.random.default_rng(3)
        manifest = tiny_data(tiny_config(), Path(self.get_temp_dir()) / "sample").manifest
        manifest = dataclasses.replace(manifest, rows_per_record=100)  # so of 20,000 rows 6,400 are sampled
        bound = rows_kept(20_000, 0.25, manifest.rows_per_record)
        counts = []
        for _ in range(200):
            errors = rng.beta(0.05, 1, 20_000)
            chances = by_error(0.25, errors[:6400], largest=True).probability(errors).numpy()
            counts.append(int((rng.random(20_000) < chances).sum()))
        self.assertNear(np.mean(counts), 5000, 4 * np.std(counts) / 200**0.5 + 1)
        self.assertBetween((np.mean(counts) - bound) / np.std(counts), 4, 8)

    def test_paper_s_study_is_planned_whole(self) -> None:
        config = read_config(CONFIGS / "paper.yaml")
        assert config.synthetic is not None
        planned = plan(config, config.synthetic.schema(), 0)
        shapes = 40 - 3  # four grids share a baseline
        self.assertEqual(config.training.learning_rates, "auto")
        self.assertEqual(len(planned), shapes * (3 + 2))  # three rates with the first seed, the best with two others
        largest = max(planned, key=lambda p: p.parameters)
        self.assertEqual((largest.trial.scheme, largest.trial.multiplier), ("H", 16))

    def test_what_does_not_fit_is_named(self) -> None:
        config = tiny_config(H=[1024])
        assert config.synthetic is not None
        with mock.patch("tfrs_scaling.planning.plan.memory_limit", return_value=(532 << 20, "this container")):
            baseline, huge = plan(config, config.synthetic.schema(), 300)
        self.assertEqual(baseline.too_large, "")
        self.assertIn("this container has 0.5 GiB", huge.too_large)
        suggested = int(huge.too_large.split("; H at ")[1].split(" would fit")[0])
        for multiplier, fits in ((suggested, True), (2 * suggested, False)):
            with mock.patch("tfrs_scaling.planning.plan.memory_limit", return_value=(532 << 20, "this container")):
                _, planned = plan(tiny_config(H=[multiplier]), config.synthetic.schema(), 300)
            self.assertEqual(planned.too_large == "", fits)

    def test_table_that_the_data_do_not_have_is_named(self) -> None:
        content = tiny_content()
        content["model"]["tables"] = {"usr": {"dim": 2}}
        config = validated(Config, content, "tiny")
        assert config.synthetic is not None
        with self.assertRaisesRegex(InputError, "model.tables: .* no categorical feature 'usr', only user, item"):
            plan(config, config.synthetic.schema(), 300)

    def test_as_many_trials_at_a_time_as_cores_and_memory_take(self) -> None:
        config = tiny_config(seeds=list(range(40)))
        assert config.synthetic is not None
        planned = plan(config, config.synthetic.schema(), 300)
        for cores, gibibytes, strategy, expected in (
            (8, 64, "cpu", 8),
            (8, 3, "cpu", 5),  # a process of 530 MiB each
            (8, 1, "cpu", 1),
            (8, 64, "mirrored", 1),
            (8, 64, "multi_worker", 1),
            (8, 64, "tpu", 1),
            (8, 64, "gpu", 8),
            (32, 64, "gpu", 21),  # of 3 GPUs of 8 GB, 7 trials on each
            (32, 16, "gpu", 8),  # 2 GiB of the machine's memory each
            (2, 64, "gpu", 3),  # one on each at least
        ):
            with (
                mock.patch("tfrs_scaling.planning.plan.count_cores", return_value=cores),
                mock.patch("tfrs_scaling.planning.plan.memory_limit", return_value=(gibibytes << 30, "this machine")),
                mock.patch("tfrs_scaling.planning.plan.gpu_memory", return_value=(8 * 10**9,) * 3),
                mock.patch("tfrs_scaling.hardware.gpu_memory", return_value=(8 * 10**9,) * 3),
            ):
                planned = plan(config, config.synthetic.schema(), 300, strategy=strategy)  # type: ignore[arg-type]
                self.assertEqual(jobs_at_once(planned, strategy), expected)  # type: ignore[arg-type]
                crowded = crowding(planned, strategy, expected + 3)  # type: ignore[arg-type]
                self.assertEqual("8 trials share a GPU with 7.5 GiB" in crowded, expected == 21)

    def test_memory_is_that_of_the_devices_over_which_tables_are_spread(self) -> None:
        config = tiny_config(V=[2**20])  # 73 million rows by 4, and their accumulators: 2.2 GiB
        assert config.synthetic is not None
        schema = config.synthetic.schema()
        for strategy, on, fits in (
            ("gpu", Accelerators(3 << 30, "this machine's GPU"), False),  # a GiB is for CUDA
            ("gpu", Accelerators(4 << 30, "this machine's GPU"), True),
            ("mirrored", Accelerators(3 << 30, "the smallest of this machine's GPUs", 4), False),
            ("tpu", Accelerators(3 << 30, "a chip of this TPU v5e", 4), False),
            ("tpu", Accelerators(3 << 30, "a chip of this TPU v6e", 4, shards_tables=True), True),
        ):
            with mock.patch("tfrs_scaling.planning.plan.accelerators", return_value=on):
                _, large = plan(config, schema, 300, strategy=strategy)  # type: ignore[arg-type]
            self.assertEqual(large.too_large == "", fits, on)
            if not fits:
                self.assertRegex(large.too_large, f"needs about 3.*; {on.name} has 3.0 GiB; V at 524288 would fit")

    def test_ladder_longer_than_the_data_is_located(self) -> None:
        config = tiny_config(examples=[256, 1024, 4096])
        data = tiny_data(config, Path(self.get_temp_dir()) / "data")
        with self.assertRaisesRegex(InputError, r"sweep\.examples\[2\]: 4,096 rows, but the training split has 1,\d+"):
            plan_on(config, data.manifest)


if __name__ == "__main__":
    tf.test.main()
