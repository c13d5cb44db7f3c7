"""Counts per key over a stream of rows, a rank-frequency law, and ids that share table rows."""

import dataclasses
import math

import numpy as np
from scipy import optimize


class Tally:
    """Sums per integer key; memory for twice the distinct keys, plus ``merge_at`` new ones.

    Args:
        values: how many sums each key has.
        merge_at: new keys to collect before they are merged with the others, at least.
    """

    def __init__(self, values: int = 1, merge_at: int = 1 << 20):
        self._merge_at = merge_at
        self._blocks = [(np.empty(0, np.int64), np.empty((0, values)))]

    def add(self, keys: np.ndarray, values: np.ndarray | None = None) -> None:
        """Add values (float64 [n, values]; None: 1 each) to the sums of keys (integers [n])."""
        values = np.ones((len(keys), 1)) if values is None else values
        self._blocks.append(_summed(keys.astype(np.int64), values))
        # Merge only when there are as many new keys as old, so a key is moved a logarithmic number of times.
        if sum(len(keys) for keys, _ in self._blocks[1:]) > max(self._merge_at, len(self._blocks[0][0])):
            self.result()

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """The distinct keys so far, int64 [k] ascending, and their sums, float64 [k, values]."""
        if len(self._blocks) > 1:
            keys, values = zip(*self._blocks, strict=True)
            self._blocks = [_summed(np.concatenate(keys), np.concatenate(values))]
        return self._blocks[0]


def _summed(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct, place = np.unique(keys, return_inverse=True)
    sums = [np.bincount(place, column, len(distinct)) for column in values.T]
    return distinct, np.stack(sums, axis=1)


@dataclasses.dataclass(frozen=True)
class Zipf:
    """A Zipf law: the id of rank k has a share of k**-exponent / (1**-exponent + ... + ids**-exponent).

    Attributes:
        exponent: exponent of the law, at least 0; 0 if all ids are equally frequent.
        standard_error: standard error of ``exponent`` if rows were independent draws and the ranking known beforehand.
        distance: the largest gap between the law and the data in the share of the k most frequent ids, over all k
            (Kolmogorov-Smirnov). The law describes the log if this is small; with many rows, the standard error is
            small either way.
    """

    exponent: float
    standard_error: float
    distance: float


def fit_zipf(counts: np.ndarray) -> Zipf | None:
    """The maximum likelihood estimate of the exponent.

    The log likelihood of counts n_k at ranks k = 1..N, N being the number of ids observed, is
    ``-s * sum(n_k ln k) - n ln(sum(k**-s))``, a concave function of s; its maximum is where the law's mean of ln k
    equals the data's. (Clauset, Shalizi and Newman 2009, arXiv:0706.1062, explain why a line through the points of a
    log-log plot is a bad estimate; their discrete law has no largest rank, this one ends at N.) The standard error is
    ``sd of ln k in the data / (sqrt(n) * variance of ln k under the law)``: the inverse root of the Fisher information
    if the law holds, and still valid if it does not.

    Two biases remain. Ids are ranked by the same counts that are fitted, which makes the curve too steep: by about
    ``N / (2 s n * variance of ln k)`` if every id has been seen often. Ids never seen are not in N, which makes it too
    flat if many have been seen once or twice: by up to about 0.03 in simulations with 10 rows per possible id. Both may
    exceed the standard error, but are small compared with the differences between logs.

    Args:
        counts: positive integers [N], in descending order.

    Returns:
        None if there are fewer than two ids.
    """
    ids = len(counts)
    if ids < 2:
        return None
    rows = float(counts.sum())
    log_rank = np.log(np.arange(1, ids + 1))
    mean = float(counts @ log_rank) / rows

    def law(exponent: float) -> np.ndarray:
        share = np.exp(-exponent * log_rank)
        return share / share.sum()

    def excess(exponent: float) -> float:
        return float(law(exponent) @ log_rank) - mean

    high = 1.0
    while excess(high) > 0:
        high *= 2
    # Descending counts put the data's mean at or below that of s = 0; if all are equal, rounding may put it above.
    exponent = float(optimize.brentq(excess, 0.0, high, xtol=1e-10)) if excess(0.0) > 0 else 0.0
    share = law(exponent)
    variance = float(share @ (log_rank - share @ log_rank) ** 2)
    spread = math.sqrt(float(counts @ (log_rank - mean) ** 2) / rows)
    distance = float(np.abs(np.cumsum(share) - np.cumsum(counts) / rows).max())
    return Zipf(exponent, spread / (math.sqrt(rows) * variance), distance)


def thinned(counts: np.ndarray, points: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Ranks (int64) evenly spaced on a log axis from the first to the last, and their counts.

    Args:
        counts: [n] in descending order, at least one.
        points: the largest number of ranks.
    """
    ranks = np.unique(np.geomspace(1, len(counts), points).round().astype(np.int64))
    return ranks, counts[ranks - 1]


@dataclasses.dataclass(frozen=True)
class Collisions:
    """How ids share the rows of an embedding table, where the id i uses row ``i % rows``.

    Attributes:
        rows: number of rows of the table.
        shared: the share of occurrences of ids that share their row with another id.
        outnumbered: the share of occurrences of ids that share their row with a more frequent one (of equally frequent
            ids, all but one count): the row mostly learns the other id.
    """

    rows: int
    shared: float
    outnumbered: float


def collisions(ids: np.ndarray, counts: np.ndarray, rows: int) -> Collisions:
    """How ids share the rows of a table of ``rows`` rows.

    Args:
        ids: distinct, integers [n].
        counts: how often each occurs, [n], not all 0.
        rows: number of rows of the table.
    """
    _, place, sharing = np.unique(ids % rows, return_inverse=True, return_counts=True)
    most = np.zeros(len(sharing), counts.dtype)
    np.maximum.at(most, place, counts)
    total = counts.sum()
    return Collisions(rows, float(counts[sharing[place] > 1].sum() / total), float(1 - most.sum() / total))
