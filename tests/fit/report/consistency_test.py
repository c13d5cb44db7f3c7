"""A page agrees with itself, what it says in two places being the same, and with the file of the runs."""

import dataclasses
import functools
import html
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.consistency import contradictions, read_page
from tests.helpers.levers import Scenario
from tfrs_scaling.fit.report.report import render_report
from tfrs_scaling.fit.report.view import StudyView, study_view
from tfrs_scaling.fit.runs.run_table import read_runs, write_runs
from tfrs_scaling.fit.study import fit_study

WINNER = Scenario("params=4x", {"V": 8.0}, None, multipliers=(1 / 4, 4.0))
NOTHING = dataclasses.replace(WINNER, gains={})


def planted(scenario: Scenario, seed: int) -> pd.DataFrame:
    """A study of V and H alone."""
    runs = scenario.study(np.random.default_rng(seed))
    return runs[runs["scheme"].isin(["D", "V", "H"])].reset_index(drop=True)


@functools.cache
def winning() -> tuple[StudyView, str]:
    """A study with a winner, read from its file, and its page; for several tests."""
    with tempfile.TemporaryDirectory() as folder:
        write_runs(planted(WINNER, 0), Path(folder) / "runs.csv")
        runs = read_runs(Path(folder) / "runs.csv")
    view = study_view(runs, fit_study(runs))
    return view, render_report(view)


def rows_of(text: str, table: str) -> list[list[str]]:
    """The cells of a table of the page, without their small print."""
    part = text.partition(f'id="table-{table}"')[2].partition("</details>")[0].partition("<tbody>")[2]
    cells = [
        re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in re.findall(r"<tr>(.*?)</tr>", part, re.DOTALL)
    ]
    plain = [[re.sub(r"<small>.*?</small>|<[^>]+>", "", cell, flags=re.DOTALL) for cell in row] for row in cells]
    return [[" ".join(html.unescape(cell).split()) for cell in row] for row in plain]


def number(text: str) -> float:
    """A number as the page writes it."""
    units = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
    digits, unit = re.fullmatch(r"([−+\-\d.,]+)([kMGTP]?)×?", text).groups()  # type: ignore[union-attr]
    return float(digits.replace("−", "-").replace(",", "")) * units.get(unit, 1.0)


class ConsistencyTest(tf.test.TestCase):
    def agrees(self, runs: pd.DataFrame) -> None:
        self.assertEqual(contradictions(study_view(runs, fit_study(runs))), [])

    def test_with_a_winner(self) -> None:
        view, text = winning()
        self.assertEqual(contradictions(view, read_page(text)), [])

    def test_with_nothing_to_win(self) -> None:
        self.agrees(planted(NOTHING, 1))

    def test_with_three_seeds_that_differ_by_an_offset(self) -> None:
        for scenario in (WINNER, NOTHING):
            self.agrees(planted(dataclasses.replace(scenario, seeds=3, offset=1e-3), 2))

    def test_of_unknown_noise(self) -> None:
        runs = planted(WINNER, 0)
        runs = runs[runs["examples"] >= runs["examples"].max() / 4].reset_index(drop=True)  # too few for ladders
        view = study_view(runs, fit_study(runs))
        page = read_page(render_report(view))
        self.assertEqual(contradictions(view, page), [])
        said = {option.verdict for answer in page.answers for option in answer.options}
        self.assertEqual(said | {row["outcome"] for row in page.tables["effects"]}, {"noise unknown"})
        self.assertIn("the noise is unknown", page.evidence)
        self.assertNotIn("V ≈ H", page.evidence)

    def test_what_is_changed_in_one_place_is_found(self) -> None:
        view, _ = winning()  # whose advice was computed before the effects change
        effects = tuple(
            dataclasses.replace(effect, change=effect.change + 1e-3, outcome="≈") for effect in view.fits.effects
        )
        other = dataclasses.replace(view, fits=dataclasses.replace(view.fits, effects=effects))
        found = contradictions(other)
        self.assertTrue(any(sentence.startswith("gain: ") for sentence in found), found)
        self.assertTrue(any("but the effect is ≈" in sentence for sentence in found), found)


class RecomputedTest(tf.test.TestCase):
    """Numbers of the page, worked out again with pandas alone from the file of the runs."""

    def test_numbers_of_the_page_are_those_of_the_runs(self) -> None:
        path = Path(self.get_temp_dir()) / "runs.csv"
        write_runs(planted(WINNER, 0), path)
        _, text = winning()
        page = read_page(text)
        facts = {
            name: html.unescape(re.sub(r"<[^>]+>", "", value))
            for name, value in re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", text, re.DOTALL)
        }

        frame = pd.read_csv(path)
        frame["shape"] = frame["scheme"] + " " + frame["multiplier"].map({0.25: "1/4", 1.0: "1", 4.0: "4"})
        ok = frame[frame["status"] == "ok"]
        ends = ok[ok["examples"] == ok.groupby("shape")["examples"].transform("max")]
        rates = ends.groupby(["shape", "learning_rate"])["validation_ne"].mean().reset_index()
        best = rates.loc[rates.groupby("shape")["validation_ne"].idxmin(), ["shape", "learning_rate"]]
        means = ends.merge(best, on=["shape", "learning_rate"]).groupby("shape").mean(numeric_only=True)
        now = means.loc["D 1"]
        checked = 0

        def same(shown: str, wanted: Any, digits: float = 5e-5) -> None:
            nonlocal checked
            self.assertAllClose(number(shown), wanted, atol=digits + 1e-9, rtol=0)
            checked += 1

        # the head of the page
        same(facts["Trials"].split(",")[0], frame["trial_id"].nunique())
        same(facts["Trials"].split(", ")[1].split()[0], frame["seed"].nunique())
        same(facts["Click-through rate"].split()[0], ok["base_ctr"].iloc[0])
        flops = frame.groupby("trial_id")["compute"].max().sum()
        shown = facts["Cost of the study"].split(", ")[1].removesuffix(" FLOPs")
        same(shown, flops, 0.005 * flops)

        # what each multiplier changes, and NE, AUC and calibration
        for scheme, multiplier, _, _, ne, auc, calibration in (
            (row[0], row[1], *row[-5:]) for row in rows_of(text, "quality")
        ):
            own = means.loc[f"{scheme} {multiplier}"]
            same(ne, own["test_ne"])
            if own["test_auc"] == own["test_auc"]:
                same(auc, own["test_auc"])
                same(calibration, own["test_calibration"])
        effects = page.tables["effects"]
        self.assertLen(effects, len(means) - 1)
        for row in effects:
            own = means.loc[f"{row['scheme']} {row['multiplier']}"]
            for name, wanted in (("ne", own["test_ne"]), ("baseline", now["test_ne"])):
                same(row[name], wanted, 1e-9)
            same(row["change"], own["test_ne"] - now["test_ne"], 1e-9)

        # the decision: what measured options gain and cost, the baseline instead of which
        for answer in page.answers:
            notes = " ".join(note for _, note in answer.numbers.values())
            for baseline in re.findall(r"instead of (0\.\d+)", notes):
                same(baseline, now["test_ne"])
            for option in answer.options:
                found = re.fullmatch(r"(\w) at (\S+)×", option.name)
                if found is None or f"{found[1]} {found[2]}" not in means.index:
                    continue
                own = means.loc[f"{found[1]} {found[2]}"]
                same(option.gain, now["test_ne"] - own["test_ne"])
                same(option.parameters, own["params_total"] / now["params_total"], 5e-3)
                same(option.compute, own["compute"] / now["compute"], 5e-3)

        # the lowest NE of each data frontier
        for row in page.tables["limits"]:
            if row["against"] == "training examples":
                its = means[[str(each)[0] in (row["scheme"], "D") for each in means.index]]
                same(row["best_ne"], its["test_ne"].min(), 1e-9)
        self.assertGreater(checked, 20)


if __name__ == "__main__":
    tf.test.main()
