import dataclasses
from typing import Any
from unittest import mock

import tensorflow as tf

from tests.helpers.studies import tiny_config
from tfrs_scaling.common.words import duration
from tfrs_scaling.config import Config
from tfrs_scaling.hardware import Accelerators, StrategyName
from tfrs_scaling.planning.calibration import Calibration
from tfrs_scaling.planning.choice import Option
from tfrs_scaling.planning.cost import TYPICAL
from tfrs_scaling.planning.plan import plan
from tfrs_scaling.planning.text import sentences, shape_table


def text(config: Config, strategy: StrategyName = "cpu") -> str:
    assert config.synthetic is not None
    planned = plan(config, config.synthetic.schema(), 100)
    return "\n".join(sentences(config, Option(strategy, 1, planned, Calibration(TYPICAL, {}, 0.0, 0.0)), None, 0.0))


class TextTest(tf.test.TestCase):
    def test_share_of_given_rates_and_none_of_rates_that_are_found(self) -> None:
        cases: list[tuple[Any, bool]] = [((0.02, 0.04), True), ("auto", False)]
        for rates, says in cases:
            config = tiny_config(V=["1/2"], seeds=[0, 1])
            config = dataclasses.replace(config, training=dataclasses.replace(config.training, learning_rates=rates))
            lines = text(config)
            self.assertEqual("learning rates account for" in lines, says)
            self.assertEqual("learning rates are found" in lines, not says)
            self.assertIn("2 seeds account for", lines)

    def test_a_row_per_shape_with_the_time_of_all_its_trials(self) -> None:
        config = tiny_config(V=["1/2"], seeds=[0, 1, 2])
        config = dataclasses.replace(config, training=dataclasses.replace(config.training, learning_rates=(0.02, 0.04)))
        assert config.synthetic is not None
        planned = plan(config, config.synthetic.schema(), 100)
        columns = {str(column.header): list(column.cells) for column in shape_table(planned).columns}
        self.assertEqual(
            [columns[name] for name in ("shape", "rates", "seeds")], [["D-1", "V-1_2"], ["2"] * 2, ["3"] * 2]
        )
        seconds = [sum(p.seconds for p in planned if p.trial.scheme == scheme) for scheme in "DV"]
        self.assertEqual(columns["time"], [duration(total) for total in seconds])

    def test_memory_that_counts_and_how_a_tpu_has_its_tables_are_told(self) -> None:
        on = Accelerators(16 * 10**9, "a chip of this TPU v5e", 4, note="TPU v5e, 4 chips: all tables on every chip")
        for strategy, found, words in (
            (
                "tpu",
                on,
                "memory is that of a chip of this TPU v5e, which has 14.9 GiB; TPU v5e, 4 chips: all tables",
            ),
            ("tpu", None, "memory is compared with that of this machine: what TPU it has is not known here"),
        ):
            with mock.patch("tfrs_scaling.planning.text.accelerators", return_value=found):
                self.assertIn(words, text(tiny_config(), strategy))  # type: ignore[arg-type]
        self.assertNotIn("memory is", text(tiny_config()))

    def test_grid_too_small_for_a_law_of_compute_is_named(self) -> None:
        small = tiny_config(H=[2, 4], V=["1/2"])  # the baseline is the smallest, so one model only lies inside
        self.assertIn("H: expect no law of compute", text(small))
        self.assertNotIn("V: expect", text(small))  # V changes no FLOPs
        ladder = [128 * 2**rung for rung in range(8)]
        self.assertNotIn("expect no law", text(tiny_config(H=["1/8", "1/4", "1/2", 2, 4, 8], examples=ladder)))


if __name__ == "__main__":
    tf.test.main()
