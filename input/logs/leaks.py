"""Features that tell the label by themselves, as what is recorded only after a click does."""

import functools

import numpy as np

NOTABLE_AUC = 0.99
CHANCE = 1e-6
LEAST_ROWS = 10  # of each label, for an AUC to be worth a warning


def auc_alone(codes: np.ndarray, clicked: np.ndarray, numbers: np.ndarray | None = None) -> float:
    """The AUC with which one feature, without any other, ranks rows by their click rate.

    Half of the rows, drawn at random, count the clicks of each value, and the rest are ranked by the rates (shrunk by
    one row towards the overall rate), so that a value of its own in every row tells nothing. A number is also ranked by
    itself.

    Args:
        codes: int [n], from 0 up: which value each row holds.
        clicked: bool [n].
        numbers: float [n] of a number, NaN where missing; None for names.

    Returns:
        The AUC; 0.5 if either label has fewer than ``LEAST_ROWS`` rows to rank.
    """
    known = _half(len(codes))
    unseen = ~known
    if min(clicked[unseen].sum(), (~clicked[unseen]).sum()) < LEAST_ROWS:
        return 0.5
    size, rate = int(codes.max()) + 1, clicked[known].mean()
    rows, clicks = np.bincount(codes[known], minlength=size), np.bincount(codes[known], clicked[known], size)
    scores = (clicks + rate) / (rows + 1)
    auc = _auc(scores[codes[unseen]], clicked[unseen])
    if numbers is not None and not np.isnan(numbers).all():
        by_value = _auc(np.nan_to_num(numbers, nan=-np.inf), clicked)
        auc = max(auc, by_value, 1 - by_value)
    return auc


def telling_value(codes: np.ndarray, clicked: np.ndarray) -> int | None:
    """A value whose rows all are clicks, too many of them for chance, as with what only happens after a click.

    Args:
        codes: int [n], from 0 up: which value each row holds.
        clicked: bool [n].

    Returns:
        The most frequent such value, or None: of rows drawn at random, as many would all be clicks with a probability
        of at most ``CHANCE``, over all values.
    """
    rows, clicks = np.bincount(codes), np.bincount(codes, clicked)
    rate = clicked.mean()
    if rate == 0:
        return None
    sure = np.flatnonzero((rows == clicks) & (rows >= LEAST_ROWS))
    if not len(sure):
        return None
    value = sure[np.argmax(rows[sure])]
    return int(value) if rows[value] * np.log(rate) + np.log(len(rows)) < np.log(CHANCE) else None


@functools.lru_cache(maxsize=1)
def _half(rows: int) -> np.ndarray:
    """Half of the rows, bool [rows]; not every other one: labels may alternate."""
    return np.random.default_rng(0).random(rows) < 0.5


def _auc(scores: np.ndarray, clicked: np.ndarray) -> float:
    """The probability that a clicked row scores above one that is not, ties counting half."""
    distinct, place = np.unique(scores, return_inverse=True)
    positives = np.bincount(place, clicked, len(distinct))
    negatives = np.bincount(place, ~clicked, len(distinct))
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / (positives.sum() * negatives.sum()))
