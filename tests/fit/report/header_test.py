"""Tests of the head of the page: what is known of a study, and what is not."""

import numpy as np
import tensorflow as tf

from tests.helpers.planted import LADDER, planted_about, planted_study
from tests.helpers.planted_answers import study_fits
from tfrs_scaling.fit.report.header import facts
from tfrs_scaling.fit.report.view import study_view


class HeaderTest(tf.test.TestCase):
    def test_a_run_table_alone_tells_little_and_the_page_says_what_it_does_not(self) -> None:
        runs = planted_study(schemes="V")
        found = {fact.name: fact.text for fact in facts(study_view(runs, study_fits()))}
        self.assertEqual(found["Largest training"], f"{LADDER[-1]:,} examples")
        self.assertEqual(found["Not recorded"], "date, rows, command and split")
        bare = runs.assign(base_ctr=np.nan, machine="", wall_seconds=np.nan, compute=np.nan, code_version="")
        missing = {fact.name: fact.text for fact in facts(study_view(bare, study_fits()))}["Not recorded"]
        self.assertEqual(missing, "date, rows, click-through rate, cost of the study, machine, code, command and split")

    def test_nothing_is_missing_from_a_study_of_this_program(self) -> None:
        about = planted_about() | {"date": "2026-11-29", "command": "tfrs-scaling study a.yaml", "commit": "c0ffee"}
        about["data"] |= {"rows": {"train": 10_000, "test": 500}, "description": "clicks, split by time"}
        found = {fact.name: fact.text for fact in facts(study_view(planted_study(schemes="V"), study_fits(), about))}
        self.assertNotIn("Not recorded", found)
        self.assertNotIn("Largest training", found)
        self.assertEqual((found["Rows"], found["Date"]), ("train 10,000, test 500", "2026-11-29"))


if __name__ == "__main__":
    tf.test.main()
