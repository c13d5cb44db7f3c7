"""Tests of what a larger dense part of each architecture is said to bring, on a study planted by hand."""

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.planted import planted_row
from tfrs_scaling.fit.report.dense_parts import growth_section, laws_of_architectures
from tfrs_scaling.fit.report.published import Entry, Published
from tfrs_scaling.fit.runs.run_table import COLUMNS
from tfrs_scaling.fit.study import fit_study

SIZES = (1000, 2000, 4000, 8000, 16000)


def published() -> Published:
    """A larger dense part brings dot nothing and cross 0.02; of wukong's, one seed of three dies."""
    rng, rows = np.random.default_rng(1), []
    shapes = [("dot", "D", 1.0, 0.0), ("dot", "M", 4.0, 0.0), ("dot", "V", 4.0, 0.0), ("cross", "D", 1.0, 0.0)]
    shapes += [("cross", "A", 4.0, -0.02), ("wukong", "D", 1.0, 0.0), ("wukong", "A", 4.0, 0.0)]
    for architecture, scheme, multiplier, change in shapes:
        for seed in range(3):
            for examples in SIZES:
                ne = 0.6 + 2.0 * examples**-0.3 + change + rng.normal(0, 5e-4)
                dead = (architecture, scheme, seed) == ("wukong", "A", 1)
                row = planted_row(scheme, multiplier, seed, 0.02, examples, 1.0 if dead else ne)
                if dead:
                    row["train_ne"] = 1.0
                trial = f"{architecture}-{scheme}-{multiplier:g}-{seed}"
                rows.append(row | {"architecture": architecture, "trial_id": trial, "validation_ne": ne})
    runs = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    entry = Entry(title="Clicks", about="", training_rows=16000, split="", commands=(), cost="")
    return Published("clicks", entry, runs, fit_study(runs))


class DensePartsTest(tf.test.TestCase):
    def test_gains_nothing_seen_and_what_is_left_out(self) -> None:
        study = published()
        lines = {line.split(" | ")[1]: line for line in growth_section([study]).splitlines() if line.startswith("| Cl")}
        self.assertIn("cannot tell: no gain is seen, and none above 0.00", lines["dot"])
        self.assertRegex(lines["cross"], r"4× \| −0\.0[12]\d+ .*\*\*gains\*\*")
        self.assertIn("4× (a seed ends as a dead network) | – | –", lines["wukong"])
        laws = laws_of_architectures(study)
        self.assertIn("| cross | A, frontier | data |", laws)
        self.assertIn("| dot | M 4× |", laws)
        self.assertNotIn("| wukong | A 4× |", laws)


if __name__ == "__main__":
    tf.test.main()
