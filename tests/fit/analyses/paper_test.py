"""Tests of the comparison with the paper: every verdict by hand, and on studies made from the paper's own laws."""

from typing import Any

import numpy as np

from tests.helpers.paper_grid import Grid, study
from tests.helpers.planted import planted_study
from tfrs_scaling.fit.analyses.paper import AGREES, CANNOT_TELL, DIFFERS, compare_with_paper, read_paper_numbers
from tfrs_scaling.fit.laws.power_law import fit_power_law
from tfrs_scaling.fit.study import fit_study

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

X = np.geomspace(5.0, 5120.0, 11)


def frontier(
    scheme: str, beta: float = 0.1, gamma: float = 0.975, x: str = "data", noise: float = 1e-5
) -> dict[str, Any]:
    """The record of a frontier whose NE is 0.8 times that of the paper's law."""
    y = 0.8 * (0.07 * X**-beta + gamma)
    fit = fit_power_law(X, y + np.random.default_rng(ord(scheme)).normal(0, noise, X.size))
    return {"architecture": "dot", "scheme": scheme, "x": x, "line": "frontier", "fit": fit.to_dict()}


def pairs(**outcomes: str) -> list[dict[str, str]]:
    return [{"first": name[0], "second": name[1], "outcome": outcome} for name, outcome in outcomes.items()]


def verdicts(fits: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {f"{record['source']}: {record['claim'].split(',')[0]}": record for record in compare_with_paper(fits)}


class PaperTest(tf.test.TestCase):
    """Agrees, differs, cannot tell."""

    def test_the_numbers_are_the_papers(self) -> None:
        numbers = read_paper_numbers()
        table = numbers["table_1"]
        self.assertEqual(set(table), {"data", "parameters", "compute"})
        self.assertEqual((table["data"]["beta"], table["data"]["gamma"]), ([0.09, 0.12], [0.97, 0.98]))
        self.assertEqual((table["parameters"]["beta"], table["parameters"]["saturated"]), ([0.4, 7.6], "yes"))
        self.assertEqual((table["compute"]["ranking"], table["compute"]["r2"]), ("M > O > H", 0.999))
        self.assertEqual((numbers["knee"], numbers["exponents"]), (64, {"train": 0.2, "test": 0.12}))

    def test_without_anything_nothing_can_be_told(self) -> None:
        for fits in ({}, fit_study(planted_study().assign(status="failed", reason="no memory"))):
            records = compare_with_paper(fits)
            self.assertEqual({record["verdict"] for record in records}, {CANNOT_TELL})
            self.assertTrue(all(record["why"] for record in records))
            self.assertLen(records, 3 * 6 + 1 + 3)

    def test_laws_by_hand(self) -> None:
        # the law ends at 0.07 * 5120**-0.1 + 0.975, which is 1.005: divided by it gamma is 0.970
        fits = {"lines": [frontier(scheme) for scheme in "VHOM"]}
        found = verdicts(fits)
        self.assertEqual(found["Table 1, data: beta against data"]["verdict"], AGREES)
        self.assertEqual(found["Table 1, data: gamma against data"]["verdict"], AGREES)
        self.assertIn("V 0.97 (", found["Table 1, data: gamma against data"]["ours"])
        self.assertEqual(found["Table 1, data: R² against data"]["verdict"], AGREES)
        self.assertEqual(found["Table 1, data: alpha against data"]["verdict"], CANNOT_TELL)
        # the next doubling gains 0.07 * 5120**-0.1 * (1 - 2**-0.1) / 1.005, which is 0.2 %
        self.assertEqual(found["Table 1, data: saturated in data: below 0.1% per doubling"]["verdict"], AGREES)
        self.assertEqual(found["Table 1, compute: beta against compute"]["verdict"], CANNOT_TELL)
        fits = {"lines": [frontier("V", beta=0.2), *(frontier(scheme) for scheme in "HOM")]}
        beta = verdicts(fits)["Table 1, data: beta against data"]
        self.assertEqual((beta["verdict"], beta["why"]), (DIFFERS, "the interval of V does not meet the paper's range"))
        fits = {"lines": [frontier("V", noise=2e-3), frontier("H")]}
        found = verdicts(fits)
        self.assertEqual(found["Table 1, data: beta against data"]["verdict"], CANNOT_TELL)
        self.assertEqual(found["Table 1, data: R² against data"]["verdict"], CANNOT_TELL)

    def test_rankings_by_hand(self) -> None:
        def of(x: str, found: list[dict[str, str]]) -> tuple[str, str]:
            ranking = [{"architecture": "dot", "x": x, "text": "", "pairs": found}]
            record = verdicts({"ranking": ranking})[f"Table 1, {x}: schemes against {x}"]
            return record["verdict"], record["why"]

        ahead = {"VH": ">", "VO": ">", "VM": ">", "HO": ">", "HM": ">", "OM": ">"}
        self.assertEqual(of("data", pairs(**ahead)), (AGREES, ""))
        self.assertEqual(
            of("data", pairs(**ahead | {"OM": "≈"})),
            (CANNOT_TELL, "no difference outside the noise is seen between O and M"),
        )
        self.assertEqual(of("data", pairs(**ahead | {"OM": "<", "HM": "≈"})), (DIFFERS, "here O < M"))
        self.assertEqual(of("parameters", pairs(**dict.fromkeys(ahead, "≈"))), (AGREES, ""))
        self.assertEqual(of("parameters", pairs(**dict.fromkeys(ahead, "≈") | {"VH": ">"})), (DIFFERS, "here V > H"))
        # the paper has M > O > H, the pairs are in the order of the schemes
        self.assertEqual(of("compute", pairs(HO="<", HM="<", OM="<")), (AGREES, ""))
        self.assertEqual(of("compute", pairs(HO="<", HM="<"))[0], CANNOT_TELL)

    def test_knee_and_exponents_by_hand(self) -> None:
        knee = {"architecture": "dot", "multiplier": 1.0, "dims": [2, 4, 64, 128], "knee": 32, "why": ""}
        law: dict[str, Any] = {"beta": 0.21, "interval": {"beta": [0.18, 0.24]}, "status": "ok"}
        exponents: dict[str, Any] = {"architecture": "dot", "scheme": "D", "line": "1", "train": law}
        exponents |= {"test": law | {"beta": 0.3, "interval": {"beta": [0.2, None]}}}
        exponents |= {"difference_beta": -0.09, "low": -0.2, "high": 0.02}
        for low, high, verdict in ((16, 64, AGREES), (16, 32, DIFFERS), (None, None, DIFFERS)):
            found = verdicts({"dimension": [knee | {"knee_low": low, "knee_high": high}]})
            self.assertEqual(found["Figure 9: knee of the embedding dimension"]["verdict"], verdict)
        nothing = {"dimension": [knee | {"knee": None, "why": "two dimensions are too few"}]}
        missing = verdicts(nothing)["Figure 9: knee of the embedding dimension"]
        self.assertEqual((missing["verdict"], missing["why"]), (CANNOT_TELL, "two dimensions are too few"))
        found = verdicts({"generalisation": [exponents]})
        self.assertEqual(found["Figure 10: beta of the train loss against data"]["verdict"], AGREES)
        self.assertEqual(found["Figure 10: beta of the test loss against data"]["verdict"], DIFFERS)
        faster = "Figure 10: the train loss falls faster than the test loss"
        self.assertEqual(found[faster]["verdict"], CANNOT_TELL)
        for least, most, verdict in ((0.01, 0.2, AGREES), (-0.2, -0.01, DIFFERS)):
            found = verdicts({"generalisation": [exponents | {"low": least, "high": most}]})
            self.assertEqual(found[faster]["verdict"], verdict)

    def test_a_study_made_from_the_papers_laws_agrees_where_it_can(self) -> None:
        runs = study(Grid(step=3e-3), 0, noise=2e-5)
        largest = runs.groupby("scheme")["multiplier"].transform("max")  # each data frontier is that of the largest
        runs = runs[runs["multiplier"] == largest]
        fits = fit_study(runs.reset_index(drop=True))
        found = {name: record["verdict"] for name, record in verdicts(fits).items()}
        for claim in ("beta against data", "gamma against data", "R² against data", "schemes against data"):
            self.assertEqual(found[f"Table 1, data: {claim}"], AGREES)
        self.assertEqual(found["Table 1, data: saturated in data: below 0.1% per doubling"], AGREES)
        self.assertEqual(found["Figure 9: knee of the embedding dimension"], CANNOT_TELL)


if __name__ == "__main__":
    tf.test.main()
