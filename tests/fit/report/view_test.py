"""Tests of what a report is made from."""

import tensorflow as tf

from tests.helpers.planted import LADDER, planted_study
from tests.helpers.planted_answers import study_fits
from tfrs_scaling.fit.advice.advise import advise
from tfrs_scaling.fit.report.view import read_about, study_view


class StudyViewTest(tf.test.TestCase):
    """Points, frontiers and settings."""

    def test_a_point_of_a_frontier_has_the_trials_it_is_the_mean_of(self) -> None:
        view = study_view(planted_study(seeds=2, noise=0.0, schemes="V"), study_fits())
        frontier = view.frontiers["dot", "V", "data"]
        self.assertEqual(frontier["data"].to_list(), [float(size) for size in LADDER])
        for keys in frontier["key"]:  # the largest multiplier is best, at the middle learning rate
            self.assertEqual(keys.split("\n"), ["V-16-0.02-0", "V-16-0.02-1"])

    def test_a_study_without_a_measurement_has_no_advice_and_no_frontier(self) -> None:
        view = study_view(planted_study(schemes="V").assign(status="failed"), study_fits())
        self.assertEqual((view.advice, view.frontiers), ({}, {}))

    def test_without_costs_there_is_no_advice_and_no_axis_of_them(self) -> None:
        runs = planted_study(schemes="V").assign(params_total=0, params_embedding=0, params_overarch=0, flops_train=0)
        runs = runs.assign(params_bottom=0, params_interaction=0, compute=0.0)
        view = study_view(runs, study_fits())
        self.assertEqual(view.advice, {})
        self.assertEqual({x for *_, x in view.frontiers}, {"data"})
        with self.assertRaisesRegex(ValueError, "does not record params_total, params_embedding and flops_train"):
            advise(runs, study_fits(), "data=2x")

    def test_settings_are_flat_and_in_order(self) -> None:
        data = {"rows": {"train": 1_280_000}, "bayes_ne": 0.78, "base_ctr": {"test": 0.25 + 1 / 3e7}}
        about = read_about({"config": {"sweep": {"V": [0.5, 2]}, "seed": 7}, "data": data, "machine": "m"}, "planted")
        self.assertEqual((about.name, about.bayes_ne, about.rows), ("planted", 0.78, {"train": 1_280_000}))
        self.assertEqual(
            about.settings,
            (
                ("Data", (("rows.train", "1,280,000"), ("base_ctr.test", "0.25"))),
                ("Configuration", (("sweep.V", "0.5, 2"), ("seed", "7"))),
                ("Software and machine", (("machine", "m"),)),
            ),
        )


if __name__ == "__main__":
    tf.test.main()
