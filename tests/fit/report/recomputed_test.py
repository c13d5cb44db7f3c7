"""Numbers of the page, worked out again with pandas alone from the file of the runs."""

import html
import re
from pathlib import Path
from typing import Any

import pandas as pd
import tensorflow as tf

from tests.fit.report.consistency_test import WINNER, planted
from tests.helpers.consistency import read_page
from tfrs_scaling.fit.report.report import render_report
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.runs.run_table import read_runs, write_runs
from tfrs_scaling.fit.study import fit_study


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


class RecomputedTest(tf.test.TestCase):
    """Every number once, and every quantity with one value."""

    def test_numbers_of_the_page_are_those_of_the_runs(self) -> None:
        path = Path(self.get_temp_dir()) / "runs.csv"
        write_runs(planted(WINNER, 0), path)
        runs = read_runs(path)
        text = render_report(study_view(runs, fit_study(runs)))
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
