from pathlib import Path
from unittest import mock

import tensorflow as tf

from tests.studies import CONFIGS, tiny_config, tiny_data
from tfrs_scaling.config import read_config
from tfrs_scaling.input.validated import InputError
from tfrs_scaling.plan import jobs_at_once, plan, plan_on
from tfrs_scaling.trials import all_trials


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

    def test_paper_s_study_is_planned_whole(self) -> None:
        config = read_config(CONFIGS / "paper.yaml")
        assert config.synthetic is not None
        planned = plan(config, config.synthetic.schema(), 0)
        self.assertEqual(len(planned), (40 - 3) * len(config.training.learning_rates))  # four grids share a baseline
        largest = max(planned, key=lambda p: p.parameters)
        self.assertEqual((largest.trial.scheme, largest.trial.multiplier), ("H", 16))

    def test_what_does_not_fit_is_named(self) -> None:
        config = tiny_config(H=[1024])
        assert config.synthetic is not None
        with mock.patch("psutil.virtual_memory", return_value=mock.Mock(total=705 << 20)):
            baseline, huge = plan(config, config.synthetic.schema(), 300)
        self.assertEqual(baseline.too_large, "")
        self.assertIn("this machine has 0.7 GiB", huge.too_large)

    def test_as_many_trials_at_a_time_as_cores_and_memory_take(self) -> None:
        config = tiny_config()
        assert config.synthetic is not None
        planned = plan(config, config.synthetic.schema(), 300)
        for cores, gibibytes, strategy, expected in (
            (8, 64, "cpu", 8),
            (8, 3, "cpu", 4),  # a process of 700 MiB each
            (8, 1, "cpu", 1),
            (None, 64, "cpu", 1),
            (8, 64, "mirrored", 1),
            (8, 64, "tpu", 1),
        ):
            with (
                mock.patch("os.cpu_count", return_value=cores),
                mock.patch("psutil.virtual_memory", return_value=mock.Mock(total=gibibytes << 30)),
            ):
                self.assertEqual(jobs_at_once(planned, strategy), expected)  # type: ignore[arg-type]

    def test_ladder_longer_than_the_data_is_located(self) -> None:
        config = tiny_config(examples=[256, 1024, 4096])
        data = tiny_data(config, Path(self.get_temp_dir()) / "data")
        with self.assertRaisesRegex(InputError, r"sweep\.examples\[2\]: 4,096 rows, but the training split has 1,\d+"):
            plan_on(config, data.manifest)


if __name__ == "__main__":
    tf.test.main()
