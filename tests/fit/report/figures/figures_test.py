"""Tests of the figures: what is drawn is what was measured and fitted."""

import itertools
import re
from typing import Any

import numpy as np
import tensorflow as tf
from bokeh.models import HoverTool, Legend, LogScale

from tests.helpers.planted import GAMMA, LADDER, line_of, planted_study
from tfrs_scaling.common.figures import CARD
from tfrs_scaling.fit.analyses.lines import points
from tfrs_scaling.fit.report.sections.evidence import evidence
from tfrs_scaling.fit.report.sections.section import drawings_of
from tfrs_scaling.fit.report.view import StudyView, study_view
from tfrs_scaling.fit.runs.screening import usable_runs
from tfrs_scaling.fit.schemes import KEEPING, SCHEMES
from tfrs_scaling.fit.study import fit_study


def glyphs(plot: Any, kind: str) -> list[Any]:
    """The renderers of a figure that draw one kind of glyph."""
    return [renderer for renderer in plot.renderers if type(renderer.glyph).__name__ == kind]


def study_figures(view: StudyView) -> dict[str, Any]:
    """The figures of the evidence by scheme and axis, such as V-data; with a suffix those of other views."""
    return {name.removeprefix("figure-"): plot for name, plot in drawings_of(evidence(view)).items()}


def usual(figures: dict[str, Any]) -> dict[str, Any]:
    """NE along each axis in the usual grouping."""
    return {name: plot for name, plot in figures.items() if re.fullmatch(r"(\w|all)-(data|parameters|compute)", name)}


class StudyFiguresTest(tf.test.TestCase):
    """One figure per scheme and axis, and the frontiers together."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        runs = planted_study(noise=1e-5)
        early = (runs["scheme"] == "H") & (runs["multiplier"] == 4) & (runs["examples"] <= LADDER[1])
        runs.loc[early, "test_ne"] = 0.91
        cls.runs, cls.fits = runs, fit_study(runs)
        cls.figures = study_figures(study_view(runs, cls.fits, {"data": {"bayes_ne": GAMMA}}))

    def test_the_excess_over_the_floor_and_the_residuals(self) -> None:
        fit = line_of(self.fits, "V", "data", "frontier")
        excess = glyphs(self.figures["V-data-law"], "Scatter")[0].data_source.data
        line = glyphs(self.figures["V-data-law"], "Line")[0].data_source.data
        slope = np.diff(np.log(line["y"])) / np.diff(np.log(line["x"]))
        self.assertAllClose(slope, np.full_like(slope, -fit.beta), atol=1e-4)
        left = glyphs(self.figures["V-data-residuals"], "Scatter")[0].data_source.data
        measured = dict(zip(excess["x"], np.array(excess["ne"]) + fit.gamma, strict=True))
        for x, residual in zip(left["x"], left["ne"], strict=True):
            self.assertAllClose(residual, measured[x] - float(fit.predict(x)), atol=1e-12)

    def test_auc_and_calibration_are_those_of_the_frontier(self) -> None:
        chosen = usable_runs(self.runs)
        for column in ("auc", "calibration"):
            drawn = glyphs(self.figures[f"all-{column}"], "Scatter")[1].data_source.data  # V, after the baseline
            best = chosen[(chosen["scheme"] == "V") & (chosen["multiplier"] == 16)].set_index("examples")
            self.assertAllClose(drawn["ne"], best[f"test_{column}"].loc[drawn["x"]])

    def test_lines_stand_out_from_the_page(self) -> None:
        for name, plot in self.figures.items():
            for renderer in plot.renderers:
                glyph = renderer.glyph
                if type(glyph).__name__ not in ("Line", "Segment"):
                    continue
                colours = next(tag.split("|") for tag in glyph.tags if tag.startswith("line_color"))
                for colour, page in zip(colours[1:], CARD, strict=True):
                    seen = _blended(colour, page, glyph.line_alpha)
                    self.assertGreaterEqual(_contrast(seen, page), 3, (name, colour, glyph.line_alpha))

    def test_which_figures(self) -> None:
        wanted = {f"{scheme}-{x}" for scheme in "HOM" for x in ("data", "parameters", "compute")}
        wanted |= {"V-data", "V-parameters", "all-data", "all-compute"}
        self.assertEqual(set(usual(self.figures)), wanted)
        regrouped = {f"{name}-regrouped" for name in wanted if not name.startswith("all")}
        measures = {"effects", "effects-compute", "effects-rows", "all-auc", "all-calibration"}
        laws = {name for name in self.figures if name.endswith(("-law", "-residuals"))}
        self.assertEqual(set(self.figures), wanted | regrouped | measures | laws)
        self.assertContainsSubset({"V-data-law", "V-data-residuals", "V-parameters-law"}, laws)

    def test_axes_say_what_they_measure(self) -> None:
        for name, plot in usual(self.figures).items():
            scheme, _, x = name.partition("-")
            self.assertIsInstance(plot.x_scale, LogScale)
            self.assertEqual(plot.yaxis[0].axis_label, "normalized entropy (test)")
            if x == "parameters":
                embedding = "outside the embedding tables" in plot.xaxis[0].axis_label
                self.assertEqual(embedding, scheme in "OM")
        self.assertEqual(self.figures["H-compute"].xaxis[0].axis_label, "training compute (FLOPs)")

    def test_every_measured_point_is_drawn_with_its_residual(self) -> None:
        plot = self.figures["V-data"]
        drawn = [r for r in glyphs(plot, "Scatter") if "trial" in r.data_source.data]
        shown = sorted(
            (x, ne) for r in drawn for x, ne in zip(r.data_source.data["x"], r.data_source.data["ne"], strict=True)
        )
        measured = points(usable_runs(self.runs), "dot", "V")
        self.assertAllClose(shown, sorted(zip(measured["data"], measured["test_ne"], strict=True)), rtol=1e-6)
        self.assertLen(plot.select_one(HoverTool).renderers, 5)
        largest = drawn[-1].data_source.data
        fit = line_of(self.fits, "V", "data", "16")
        residuals = [float(text) for text in largest["residual"]]
        self.assertAllClose(residuals, np.array(largest["ne"]) - fit.predict(largest["x"]), atol=6e-6, rtol=0)

    def test_lines_differ_in_marker_and_in_colour(self) -> None:
        for plot in usual(self.figures).values():
            drawn = [r.glyph for r in glyphs(plot, "Scatter") if "trial" in r.data_source.data]
            self.assertLen({glyph.marker for glyph in drawn}, len(drawn))
            self.assertLen({glyph.line_color for glyph in drawn}, len(drawn))
        rows = [r.glyph for r in glyphs(self.figures["effects"], "Scatter") if "change" in r.data_source.data]
        self.assertLen({(glyph.marker, glyph.line_color) for glyph in rows}, 4)
        self.assertLen({glyph.marker for glyph in rows}, 4)

    def test_curves_are_solid_within_the_data_and_dashed_beyond(self) -> None:
        plot = self.figures["V-data"]
        laws = [r for r in glyphs(plot, "Line") if r.glyph.line_dash != [2, 4]]  # the Bayes NE is dotted
        for renderer in laws:
            x = renderer.data_source.data["x"]
            start, end = (LADDER[-1], 8 * LADDER[-1]) if renderer.glyph.line_dash else (LADDER[0], LADDER[-1])
            self.assertAllClose([x[0], x[-1]], [start, end], rtol=1e-9)
        self.assertLen(laws, 2 * 6)

    def test_plateau_points_are_hollow(self) -> None:
        drawn = glyphs(self.figures["H-data"], "Scatter")
        of_4 = next(r.data_source.data for r in drawn if "H-4-0.02-0" in r.data_source.data.get("trial", ()))
        self.assertEqual([alpha == 0 for alpha in of_4["fill_alpha"]], [True] * 2 + [False] * 6)
        self.assertEqual(of_4["note"][0], "on the plateau: not in the fit")

    def test_band_frontier_floor_and_legend(self) -> None:
        plot = self.figures["V-data"]
        band = glyphs(plot, "VArea")[0].data_source.data
        fit = line_of(self.fits, "V", "data", "frontier")
        low, high = fit.predict_interval(band["x"])
        self.assertAllClose(band["y1"], low)
        self.assertAllClose(band["y2"], high)
        floor = next(r.data_source.data for r in glyphs(plot, "Line") if r.glyph.line_dash == [2, 4])
        self.assertEqual(floor["y"], [GAMMA, GAMMA])
        legend = plot.select_one(Legend)
        self.assertEqual(legend.click_policy, "hide")
        self.assertIn(legend, plot.below)
        labels = [item.label.value for item in legend.items]
        self.assertEqual(labels, ["1/16×", "1/4×", "1×", "4×", "16×", "frontier"])
        hidden = [r for item in legend.items for r in item.renderers]
        self.assertLen(set(hidden), len(plot.renderers) - 1)  # a click reaches all that is drawn but the Bayes NE
        self.assertTrue(plot.y_range.only_visible)

    def test_every_colour_has_a_light_and_a_dark_one(self) -> None:
        for plot in self.figures.values():
            for renderer in plot.renderers:
                colours = [tag.split("|") for tag in renderer.glyph.tags]
                self.assertNotEmpty(colours)
                for name, light, dark in colours:
                    self.assertEqual(getattr(renderer.glyph, name), light)
                    self.assertNotEqual(light, dark)

    def test_figures_of_features_and_negatives(self) -> None:
        runs = planted_study(schemes="VFN")
        figures = study_figures(study_view(runs, fit_study(runs)))
        wanted = {"F-data", "F-parameters", "F-compute", "N-data", "N-compute"}
        self.assertEqual({name for name in usual(figures) if name[0] in "FN"}, wanted)
        legend = figures["all-data"].select_one(Legend)
        self.assertEqual(
            [item.label.value for item in legend.items], ["D baseline", "V rows", "F features", "N negatives"]
        )
        self.assertEqual(figures["F-parameters"].xaxis[0].axis_label, "parameters")

    def test_colours_of_f_n_e_t_and_p_differ_with_any_colour_vision(self) -> None:
        added = {"F", "N", "E", "T", *KEEPING}
        for shade in (0, 1):
            colours = {scheme: row.colours[shade] for scheme, row in SCHEMES.items() if scheme != "VH"}
            for one, other in itertools.combinations(colours, 2):
                if {one, other} & added:
                    # About 0.02 is visible side by side (Ottosson's OKLab, as CSS Color 4 uses it).
                    usual, least = _differences(colours[one], colours[other])
                    self.assertGreater(usual, 0.15, (shade, one, other))
                    self.assertGreater(least, 0.06, (shade, one, other))
            for scheme in added:  # WCAG 2.2 asks for 3 : 1
                self.assertGreater(_contrast(colours[scheme], CARD[shade]), 4)

    def test_a_scheme_without_a_fit_is_still_drawn(self) -> None:
        runs = self.runs[self.runs["examples"] == LADDER[-1]]
        fits = fit_study(runs)
        self.assertEqual({line.x for line in fits.lines}, {"parameters", "compute"})
        plot = study_figures(study_view(runs, fits))["V-data"]
        self.assertLen([r for r in glyphs(plot, "Scatter") if "trial" in r.data_source.data], 5)
        self.assertEmpty(glyphs(plot, "Line"))

    def test_ticks_are_round_and_enough(self) -> None:
        ticks = self.figures["O-parameters"].xaxis[0].ticker.ticks  # 14,250 to 333,000, times 8
        self.assertEqual(ticks, [3e4, 1e5, 3e5, 1e6])
        self.assertEqual(self.figures["V-data"].xaxis[0].ticker.ticks, [1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7])


# Machado, Oliveira and Fernandes (2009): what people without one kind of cone see, in linear RGB.
COLOUR_VISION = (
    np.eye(3),
    np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
)
TO_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
TO_OKLAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip


def _linear(colour: str) -> Any:
    """Linear RGB of a colour such as #5b4300."""
    channel = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)


def _differences(one: str, other: str) -> tuple[float, float]:
    """Distance in OKLab of two colours, for usual colour vision, and for that which sees them most alike."""

    def oklab(colour: str, vision: Any) -> Any:
        return TO_OKLAB @ np.cbrt(TO_CONES @ np.clip(vision @ _linear(colour), 0, 1))

    found = [float(np.linalg.norm(oklab(one, vision) - oklab(other, vision))) for vision in COLOUR_VISION]
    return found[0], min(found)


def _blended(colour: str, page: str, alpha: float) -> str:
    """A translucent colour on a page."""
    parts = [[int(each[at : at + 2], 16) for at in (1, 3, 5)] for each in (colour, page)]
    return "#" + "".join(f"{round(alpha * front + (1 - alpha) * back):02x}" for front, back in zip(*parts, strict=True))


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2."""
    dark, light = sorted(float(_linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


if __name__ == "__main__":
    tf.test.main()
