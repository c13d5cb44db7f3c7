"""Tests of the figures of single questions: what is drawn is what the records say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from bokeh.models import Legend, Span

from tests.fit.report.figures.figures_test import glyphs
from tests.helpers.planted import planted_study
from tests.helpers.planted_answers import answers
from tfrs_scaling.fit.analyses.joint import JointLaw, PathStep
from tfrs_scaling.fit.analyses.outlook import EPSILON
from tfrs_scaling.fit.extrapolation.returns import returns_at, samples_to_reach
from tfrs_scaling.fit.joint.law import fit_joint_law
from tfrs_scaling.fit.labels import FRONTIER
from tfrs_scaling.fit.laws.status import Status
from tfrs_scaling.fit.report.figures.curves import dimension_figure, generalisation_figure, joint_figure
from tfrs_scaling.fit.report.figures.forest import effects_figure, held_out_figure
from tfrs_scaling.fit.report.figures.phases import gain_at, shared_axes
from tfrs_scaling.fit.report.figures.zones import zone_figure
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.study import fit_study


def labels(plot: Any) -> list[str]:
    """The names in the legend."""
    return [item.label.value for item in plot.select_one(Legend).items]


class SharedAxisTest(tf.test.TestCase):
    """Figure 3."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        runs = planted_study(schemes="VO").query("learning_rate == 0.02")
        cls.runs, cls.fits = runs, fit_study(runs)
        cls.axes = {axis.name: axis for axis in shared_axes(study_view(runs, cls.fits), 0.79)}

    def test_schemes_share_an_axis_only_where_it_measures_the_same(self) -> None:
        schemes = {name: list(axis.laws) for name, axis in self.axes.items()}
        self.assertEqual(schemes["data"], ["D", "V", "O"])
        self.assertEqual((schemes["parameters"], schemes["non-embedding"]), (["V"], ["O"]))
        self.assertNotIn("V", schemes.get("compute", []))

    def test_points_that_no_law_describes_are_shown_without_one(self) -> None:
        missed = replace(self.fits.law("V"), status=Status.LAST_STEP_MISSED)
        lines = [
            replace(line, fit=missed) if (line.scheme, line.x, line.line) == ("V", "data", FRONTIER) else line
            for line in self.fits.lines
        ]
        axis = shared_axes(study_view(self.runs, replace(self.fits, lines=tuple(lines))), 0.79)[0]
        self.assertEqual((axis.name, list(axis.laws)), ("data", ["D", "O"]))
        self.assertEqual(labels(axis.ne), labels(self.axes["data"].ne))
        self.assertIsNone(axis.ne.select_one({"name": "diminishing-V"}))
        self.assertLen(labels(axis.gain), 2)

    def test_gain_is_what_the_next_doubling_removes(self) -> None:
        fit = self.fits.law("V")
        x = np.geomspace(1e4, 1e8, 9)
        now, then = fit.predict(x), fit.predict(2 * x)
        self.assertAllClose(gain_at(fit, x), (now - then) / now, rtol=1e-9)

    def test_marks_begin_at_the_diminishing_return_and_the_target(self) -> None:
        fit = self.fits.law("V")
        plot = self.axes["data"].ne
        falls = plot.select_one({"name": "diminishing-V"}).data_source.data
        beyond = returns_at(fit, max(fit.x), EPSILON).diminishing_return  # outside the figure, so marked at its edge
        self.assertBetween(falls["x"][0], max(fit.x), min(beyond, plot.x_range.end))
        self.assertAllClose(falls["y"], fit.predict(falls["x"]))
        reached = plot.select_one({"name": "target-V"}).data_source.data
        wanted = samples_to_reach(fit, 0.79).x
        inside = plot.x_range.start <= wanted <= plot.x_range.end
        self.assertEqual(reached["marker"], ["circle_x" if inside else "triangle"])
        self.assertEqual([span.location for span in plot.select(Span)], [0.79])


class RecordsTest(tf.test.TestCase):
    """Figures of hand-made records."""

    def test_zones_have_a_letter_as_well_as_a_colour(self) -> None:
        zone = answers().zones[0]
        plot = zone_figure(zone)
        written = dict[tuple[float, float], str]()
        for renderer in glyphs(plot, "Text"):
            data = renderer.data_source.data
            written |= {(x, y): letter for x, y, letter in zip(data["x"], data["y"], data["letter"], strict=True)}
        self.assertLen(written, len(zone.cells))
        names = {">": "V", "<": "H", "≈": "≈"}
        columns = sorted({cell.parameters for cell in zone.cells})
        rows = sorted({cell.examples for cell in zone.cells})
        for cell in zone.cells:
            place = columns.index(cell.parameters), rows.index(cell.examples)
            self.assertEqual(written[place], names[cell.outcome])
        self.assertEqual(labels(plot), ["V has the lower NE", "H has the lower NE", "≈ no difference beyond 0.001"])
        only = replace(zone, cells=tuple(cell for cell in zone.cells if cell.outcome == "≈"))
        self.assertLen(labels(zone_figure(only)), 1)

    def test_dimension_marks_best_and_knee(self) -> None:
        plot = dimension_figure(answers().dimension, [["t"] * 4] * 3, [[0.001] * 4] * 3)
        bars = glyphs(plot, "Segment")[0].data_source.data
        self.assertAllClose(np.subtract(bars["high"], bars["low"]), [0.002] * 4)
        rings = [r for r in glyphs(plot, "Scatter") if "key" not in r.data_source.data]
        self.assertEqual([r.data_source.data["x"][0] for r in rings], [16.0, 16.0] * 3)
        self.assertEqual(plot.xaxis[0].ticker.ticks, [4.0, 8.0, 16.0, 32.0])

    def test_training_and_test_points_outside_the_fitted_range_are_hollow(self) -> None:
        record = answers().generalisation[0]
        sizes = [10_000 * 2**rung for rung in range(8)]
        rows = pd.DataFrame({"examples": sizes, "test_ne": 0.9, "train_ne": 0.91, "key": "t", "trial_id": "t"})
        plot = generalisation_figure(record, rows)
        for renderer in glyphs(plot, "Scatter"):
            self.assertEqual([a > 0 for a in renderer.data_source.data["fill_alpha"]], [False] + [True] * 7)
        curves = [r.data_source.data for r in glyphs(plot, "Line")]
        self.assertAllClose(curves[0]["y"], 0.2 * np.array(curves[0]["x"]) ** -0.3 + 0.78, rtol=1e-6)

    def test_lines_of_equal_ne_have_that_ne(self) -> None:
        n, d = (values.ravel() for values in np.meshgrid(np.geomspace(1e4, 1e6, 6), np.geomspace(1e4, 1e6, 6)))
        y = 0.78 + 3 * n**-0.4 + 2 * d**-0.3
        fit = fit_joint_law(n, d, y, resamples=100)
        step = PathStep(budget=1e12, n=1e5, d=1e5, ne=0.9, low=0.89, high=0.91, measured=True)
        plot = joint_figure(JointLaw("dot", "V", "all", fit, (step,), ""))
        lines = glyphs(plot, "MultiLine")[0].data_source.data
        self.assertGreater(len(lines["x"]), 3)
        for xs, ys in zip(lines["x"], lines["y"], strict=True):
            losses = 0.78 + 3 * np.array(xs) ** -0.4 + 2 * np.array(ys) ** -0.3
            self.assertAllClose(losses, np.full_like(losses, losses[0]), rtol=1e-4)
        self.assertIn("compute-optimal path", labels(plot))

    def test_effects_and_held_out_are_on_their_rows(self) -> None:
        effects, held_out = answers().effects, answers().held_out
        plot = effects_figure(effects, ["t"] * len(effects), effects)
        self.assertEqual(plot.yaxis[0].major_label_overrides, {0: "V 4×", -1: "E 2×", -2: "F 1/2", -3: "dot"})
        self.assertEqual([r.data_source.data["x"] for r in glyphs(plot, "Scatter")], [[-0.01]] * 4)
        plot = held_out_figure(held_out, ["a", "b"])
        inside, outside = glyphs(plot, "Scatter")
        self.assertAllClose(inside.data_source.data["x"], [0.001])
        self.assertAllClose(outside.data_source.data["x"], [0.005])
        self.assertNotEqual(inside.glyph.marker, outside.glyph.marker)


if __name__ == "__main__":
    tf.test.main()
