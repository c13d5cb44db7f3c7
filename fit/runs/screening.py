"""Which measured points may carry a fit: learning rate selected, network alive, power-law region."""

import pandas as pd

from tfrs_scaling.fit.laws.plateau import power_law_region
from tfrs_scaling.fit.runs.collapse import COLLAPSED_NE
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES

SHAPE = ["architecture", "scheme", "multiplier", "embedding_dim"]  # the dimension distinguishes the shapes of VH
_MOST_COLLAPSED = 0.25  # of a shape's seeds: with more, those left are not what its training brings


def collapsed_trials(runs: pd.DataFrame) -> list[str]:
    """The ids of trials that end as dead networks, sorted.

    At its largest data size such a trial predicts neither the test rows nor those it was trained on better than the
    background CTR does: NE is 0.9995 or more. A network that learned what does not hold for later rows has a high test
    NE alone. Where the training NE is not recorded, the test NE has to be so high at every data size.
    """
    ok = runs[runs["status"] == "ok"].sort_values("examples", kind="stable")
    last = ok.drop_duplicates("trial_id", keep="last").set_index("trial_id")
    learned = last["train_ne"].where(last["train_ne"].notna(), ok.groupby("trial_id")["test_ne"].min())
    return sorted(str(trial) for trial in last.index[(last["test_ne"] >= COLLAPSED_NE) & (learned >= COLLAPSED_NE)])


def unstable_trials(runs: pd.DataFrame) -> list[str]:
    """The ids of trials that did not collapse, of shapes of which more than a quarter of the seeds did, sorted.

    That is at the selected learning rate. What such a shape reaches depends on the seed more than on its size, and the
    seeds that are left tell nothing of those that are lost.
    """
    rows = at_selected_rate(runs)
    trials = rows[rows["status"] == "ok"].drop_duplicates("trial_id")
    dead = trials["trial_id"].isin(collapsed_trials(runs))
    share = dead.groupby([trials[name] for name in SHAPE]).transform("mean")
    return sorted(trials["trial_id"][~dead & (share > _MOST_COLLAPSED)].astype(str))


def selected_learning_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """The learning rate of each shape: smallest validation NE at the largest rung, averaged over seeds.

    A learning rate with more seeds wins over one with fewer: where rates are found, the other seeds are trained at the
    best alone; where they are given, some seed of the other failed. The test split takes no part. A tie goes to the
    smaller learning rate.

    Args:
        runs: The run table.

    Returns:
        One row per shape with at least one measured point: SHAPE and learning_rate.

    Examples:
        >>> selected_learning_rate(read_runs("runs.csv"))["learning_rate"].unique()
        array([0.02])
    """
    chosen = [
        (*shape, _best_learning_rate(trials))
        for shape, trials in runs.groupby(SHAPE, sort=True)
        if (trials["status"] == "ok").any()
    ]
    return pd.DataFrame(chosen, columns=[*SHAPE, "learning_rate"])


def _best_learning_rate(trials: pd.DataFrame) -> float:
    ok = trials[trials["status"] == "ok"]
    at_top = ok[ok["examples"] == ok["examples"].max()]
    scores = [
        (-at_rate["seed"].nunique(), float(at_rate["validation_ne"].mean()), rate)
        for rate, at_rate in at_top.groupby("learning_rate", dropna=False)  # NaN: not recorded
    ]
    return float(min(scores)[2])


def at_selected_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows, of any status, of the selected learning rates; index kept."""
    keys = [*SHAPE, "learning_rate"]
    chosen = pd.MultiIndex.from_frame(selected_learning_rate(runs))
    return runs[pd.MultiIndex.from_frame(runs[keys]).isin(chosen)]


def usable_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows that may carry a fit: ok, at the selected learning rate, neither collapsed nor unstable; index kept.

    Examples:
        >>> runs = read_runs("runs.csv")
        >>> len(runs), len(usable_runs(runs))
        (120, 40)
    """
    rows = at_selected_rate(runs)
    left_out = [*collapsed_trials(runs), *unstable_trials(runs)]
    return rows[(rows["status"] == "ok") & ~rows["trial_id"].isin(left_out)]


def rows_of_scheme(runs: pd.DataFrame, scheme: str) -> pd.DataFrame:
    """A scheme's rows and the baseline's, which is trained once, as ``D``, for every scheme.

    Those of VH include V's and H's rows, where the other multiplier is 1.

    Examples:
        >>> sorted(rows_of_scheme(read_runs("runs.csv"), "V")["multiplier"].unique().tolist())
        [0.0625, 0.25, 1.0, 4.0, 16.0]
    """
    return runs[runs["scheme"].isin([*SCHEMES[scheme].crosses, scheme, BASELINE])]


def with_flags(runs: pd.DataFrame) -> pd.DataFrame:
    """The run table with its ``flags`` column set, from the other columns alone.

    ``collapsed``: the trial ends as a dead network. ``unstable``: it does not, but more than a quarter of its shape's
    seeds do. ``lr_at_edge``: the learning rate selected for
    this shape is the smallest or largest of those tried for it, or the only one, so a better one may lie beyond.
    ``plateau``: the point lies left of the power-law region of its trial's curve.

    Args:
        runs: The run table.

    Returns:
        A copy; ``flags`` is sorted and joined by ``;``.

    Examples:
        >>> runs = read_runs("runs.csv").assign(train_ne=1.0, test_ne=1.0)
        >>> with_flags(runs)["flags"].unique().tolist()
        ['collapsed']
    """
    rows = runs.reset_index(drop=True)
    marks: list[list[str]] = [[] for _ in range(len(rows))]
    ok = rows[rows["status"] == "ok"]
    dead = ok["trial_id"].isin(collapsed_trials(rows))
    for index in ok.index[dead]:
        marks[index].append("collapsed")
    for index in ok.index[ok["trial_id"].isin(unstable_trials(rows))]:
        marks[index].append("unstable")
    rates = rows.groupby(SHAPE)["learning_rate"]
    smallest, largest = rates.transform("min"), rates.transform("max")
    at_edge = (rows["learning_rate"] == smallest) | (rows["learning_rate"] == largest)
    for index in at_selected_rate(rows).index:
        if at_edge[index]:
            marks[index].append("lr_at_edge")
    for _, curve in ok[~dead].groupby("trial_id", sort=True):
        ladder = curve.sort_values("examples")
        if len(ladder) > 1:
            start = power_law_region(ladder["examples"], ladder["test_ne"])
            for index in ladder.index[:start]:
                marks[index].append("plateau")
    return runs.assign(flags=[";".join(sorted(flags)) for flags in marks])
