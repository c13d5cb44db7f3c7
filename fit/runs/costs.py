"""What a training takes that its row of the run table does not state."""

import pandas as pd

from tfrs_scaling.fit.schemes import SCHEMES


def rows_per_example(rows: pd.DataFrame) -> "pd.Series[float]":
    """Rows of the log that it takes to train on one, for each row of a run table: more than 1 where some are left out.

    N keeps every click and a share of the other rows, P a share of all.

    Examples:
        >>> runs = read_runs("runs.csv")
        >>> rows_per_example(runs[runs["scheme"] == "V"]).unique().tolist()
        [1.0]
    """
    samples, keeps = (
        rows["scheme"].map({name: chosen(row) for name, row in SCHEMES.items()})
        for chosen in (lambda row: row.samples_negatives, lambda row: row.keeps is not None)
    )
    kept = pd.Series(1.0, rows.index)
    kept = kept.mask(samples, rows["base_ctr"] + (1 - rows["base_ctr"]) * rows["multiplier"])
    return 1 / kept.mask(keeps, rows["multiplier"])
