"""REPRODUCTION.md is what its run tables say."""

import re

import tensorflow as tf

from tests.helpers.studies import CONFIGS, REPOSITORY
from tfrs_scaling.fit.report.reproduction import FIGURES, STUDIES, page, read_published

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class ReproductionTest(tf.test.TestCase):
    def test_the_page_is_remade_from_the_committed_runs(self) -> None:
        """To a digit or so, as another machine's linear algebra rounds otherwise."""
        folder = CONFIGS / "reproduction"
        studies = read_published(folder)
        made = page(studies, "tuner_configs/reproduction")
        there = (REPOSITORY / "REPRODUCTION.md").read_text()
        self.assertEqual(NUMBER.sub("#", made), NUMBER.sub("#", there))
        now, before = ([float(n.replace(",", "")) for n in NUMBER.findall(text)] for text in (made, there))
        self.assertGreater(len(now), 500)
        self.assertAllClose(now, before, rtol=0.02, atol=2e-4)
        linked = set(re.findall(r"\(tuner_configs/reproduction/([^)]+)\)", made))
        for study in studies:
            self.assertContainsSubset({f"{study.name}-{figure}.svg" for figure in FIGURES}, linked)
            claims = {claim.claim for claim in study.fits.paper}
            self.assertContainsSubset({"schemes against data", "beta against data"}, claims)
            self.assertGreaterEqual(study.runs["seed"].nunique(), 3)
        self.assertEqual(linked, {path.name for path in folder.iterdir()} - {STUDIES})
        anchors = re.findall(r'<a id="([^"]+)">', made)
        self.assertLen(set(anchors), len(anchors))
        self.assertEqual(set(re.findall(r"\]\(#([a-z]+-\d+)\)", made)), set(anchors))
        headings = {line.lstrip("# ").lower().replace(" ", "-") for line in made.splitlines() if line.startswith("#")}
        self.assertContainsSubset(re.findall(r"\]\(#(laws-[^)]+)\)", made), headings)

    def test_claims_lead_to_figures_of_what_they_are_about(self) -> None:
        lines = (REPOSITORY / "REPRODUCTION.md").read_text().splitlines()
        for where, figures in (
            ("Table 1, data | beta", ["data"]),
            ("Table 1, parameters | beta", ["parameters", "dense-parameters"]),  # V and H; O and M
            ("Table 2 | O against M", ["o-m"]),
            ("Figure 7, zone 1 | V against H", ["v-h"]),
            ("Figure 10 | beta of the train", ["train-test"]),
        ):
            claim = next(line for line in lines if f"| {where}" in line and "/congress-" in line)
            self.assertEqual(re.findall(r"congress-([a-z-]+)\.svg", claim), figures)


if __name__ == "__main__":
    tf.test.main()
