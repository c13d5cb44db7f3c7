"""What splitting a log by time, in place of at random, changes in the findings of published studies."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tfrs_scaling.common.words import UNKNOWN, compact
from tfrs_scaling.fit.labels import shape_name
from tfrs_scaling.fit.laws.status import Status
from tfrs_scaling.fit.report.published import Published, change_words, law_words, made_by, table, verdict_words
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE

_HEAD = """## Split at random or by time

The paper does not say how its log was split. The studies above are of splits at random; here are the same studies of
two of the logs, except that the last tenth of the rows is the test split, the twentieth before it the validation split,
and all before that is trained on, in an order drawn at random. By time, the question is about roll calls, or days, of
which no row was seen. The votes since 1989 and MovieLens-1M were not split by time: nobody ran that."""


def split_section(
    at_random: Sequence[Published],
    by_time: Sequence[Published],
    numbers: Mapping[tuple[str, str], int],
    folder: str,
) -> str:
    """The section of the page.

    Args:
        at_random: The studies of random splits.
        by_time: Those of splits by time; each has one of the same log ``beside`` it.
        numbers: The number on the page of each claim, named by its source and its words.
        folder: Path of the run tables, as links on the page give it.
    """
    named = {study.name: study for study in at_random}
    pairs = [(named[study.entry.beside or ""], study) for study in by_time]
    shown = [study for pair in pairs for study in pair]
    splits = [split for _ in pairs for split in ("at random", "by time")]
    columns = ["", *(f"{study.entry.title}, {split}" for study, split in zip(shown, splits, strict=True))]
    rows = [(name, *(find(study) for study in shown)) for name, find in _FINDINGS.items()]
    flat = [study.entry.title for study in by_time if _law(study)[4] == Status.FLAT.words]
    said = [f"By time, more data did not lower the baseline's NE: {', '.join(flat)}."] if flat else []
    logs = (_log(pair, numbers, folder) for pair in pairs)
    return "\n\n".join([_HEAD, table(columns, rows).rstrip(), *said, *logs]) + "\n"


def _base_rate(study: Published) -> str:
    return f"{study.runs.loc[study.runs['status'] == 'ok', 'base_ctr'].iloc[0]:.3f}"


def _baseline(study: Published) -> str:
    last = study.fits.effects[0]
    return f"{last.baseline:.4f} at {compact(float(last.examples))} examples"


def _law(study: Published) -> tuple[str, ...]:
    """What is known of the baseline's law against data."""
    line = study.fits.find(scheme=BASELINE, x="data", line="1", architecture=study.fits.base)
    return (UNKNOWN,) * 5 if line is None else law_words(line)


def _best(study: Published) -> str:
    """The shape of the lowest test NE, if it is lower than the baseline's."""
    best = min((each for each in study.fits.effects if each.scheme != ARCHITECTURE), key=lambda each: each.ne)
    if best.change >= 0:
        return "none below the baseline"
    noise = "" if best.outcome == "lower" else ", within the noise"
    return f"{shape_name(best.scheme, best.multiplier)}: {change_words(best)}{noise}"


def _linear(study: Published) -> str:
    others = [each for each in study.fits.effects if each.scheme == ARCHITECTURE]
    return ", ".join(change_words(each) for each in others) or UNKNOWN


def _verdicts(study: Published) -> str:
    counts = Counter(claim.verdict for claim in study.fits.paper)
    return ", ".join(str(counts[verdict]) for verdict in ("agrees", "differs", "cannot tell"))


_FINDINGS: dict[str, Callable[[Published], str]] = {  # by the name of the row
    "base rate of the test split": _base_rate,
    "test NE of the baseline": _baseline,
    "its law against data": lambda study: _law(study)[4],
    "beta": lambda study: _law(study)[1],
    "gamma": lambda study: _law(study)[2],
    "shape of the lowest test NE, change": _best,
    "logistic regression, change of NE": _linear,
    "claims that agree, differ, cannot be told": _verdicts,
}


def _log(pair: tuple[Published, Published], numbers: Mapping[tuple[str, str], int], folder: str) -> str:
    """Which verdicts change on one log, and the numbers behind them."""
    at_random, by_time = pair
    entry = by_time.entry
    found = {(claim.source, claim.claim): claim for claim in by_time.fits.paper}
    rows = []
    for before in at_random.fits.paper:
        after = found[before.source, before.claim]
        if before.verdict != after.verdict:
            number = numbers[before.source, before.claim]
            linked = f"[{number}](#{at_random.name}-{number})"
            said = [f"{verdict_words(claim.verdict)}: {claim.ours}" for claim in (before, after)]
            rows.append((linked, before.source, before.claim, before.paper, *said, after.why))
    columns = ("", "where", "claim", "paper", "at random", "by time", "why, by time")
    changed = f"Other verdicts by time: {len(rows)} of {len(found)}."
    return "\n\n".join(
        [
            f"### {entry.title}, by time",
            entry.about,
            f"Run table: [{by_time.name}.parquet]({folder}/{by_time.name}.parquet); as a page with every figure and "
            f"fit, `tfrs-scaling report --runs {folder}/{by_time.name}.parquet`. Made by",
            made_by(by_time),
            *([changed, table(columns, rows).rstrip()] if rows else ["No verdict is another by time."]),
        ]
    )
