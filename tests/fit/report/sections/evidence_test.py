"""Tests of the evidence section: architectures that were scaled."""

import tensorflow as tf

from tests.fit.analyses.architecture_ranking_test import three_architectures
from tests.helpers.planted_answers import study_fits
from tfrs_scaling.fit.analyses.architecture_ranking import ArchitectureRanking
from tfrs_scaling.fit.analyses.architectures import architectures
from tfrs_scaling.fit.analyses.stretches import Stretch
from tfrs_scaling.fit.report.sections.evidence import evidence
from tfrs_scaling.fit.report.sections.section import drawings_of
from tfrs_scaling.fit.report.view import study_view


class EvidenceTest(tf.test.TestCase):
    def test_scaled_architectures_have_a_figure_with_a_view_for_each_axis_and_a_sentence(self) -> None:
        runs = three_architectures()
        schemes, stretch = {"dot": "M", "linear": "D", "wukong": "A"}, (Stretch(1e4, 1e6, ("dot", "wukong")),)
        ranking = tuple(
            ArchitectureRanking(x, schemes, stretch, "dot ≈ wukong best throughout")
            for x in ("data", "parameters", "compute")
        )
        unknown = architectures({"dot": None, "wukong": None}, "dot", x="compute", line="frontier")
        view = study_view(runs, study_fits(architecture_ranking=ranking, architectures=tuple(unknown)))
        self.assertEqual(view.architectures, ("dot",))  # A alone gives an architecture no section of its own
        [section] = evidence(view)
        drawn = drawings_of([section])
        for x in ("data", "parameters", "compute"):
            [legend] = drawn[f"figure-architectures-{x}"].legend
            self.assertEqual([item.label.value for item in legend.items], ["dot", "wukong"])
        [words] = [words for words in section.words if words.startswith("Architectures")]
        self.assertIn("against compute, dot ≈ wukong best throughout", words)
        self.assertIn("wukong against dot along compute: cannot tell", words)


if __name__ == "__main__":
    tf.test.main()
