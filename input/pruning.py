"""Data pruning: which rows of a training split are kept, by how well a scorer predicts their labels, and their weights.

Sorscher et al. (2022) keep the rows above a threshold (hard) or below it (easy). With labels as noisy as clicks that
leaves rows of one label only wherever the scorer is confident, and no weight can correct for the other. Here each row
is kept with a probability that rises or falls with the scorer's error, and has a weight inversely proportional to it
(Horvitz and Thompson 1952). So the expected training loss is that of all rows, and predictions are calibrated to them.
"""

import dataclasses

import numpy as np
import tensorflow as tf

# The least probability of a row relative to the share, so that no weight exceeds 4 (a defensive mixture: Hesterberg
# 1995). In a simulation with clean labels 1/10 gave a higher NE at every data size.
AT_LEAST = 0.25
# Added to the errors, or to 1 less the errors: the share can be kept even if almost all of them are 0.
SMOOTHING = 1e-3


@dataclasses.dataclass(frozen=True)
class Pruning:
    """The probability with which a row is kept: ``min(1, intercept + slope * error)``.

    A row's error is the distance of its label, 0 or 1, from the probability that the scorer predicted for it.

    Attributes:
        share: the share of the rows that is kept.
        slope: above 0 if hard rows are preferred, below 0 if easy ones are, 0 if none is.
    """

    share: float
    intercept: float
    slope: float = 0.0

    def probability(self, errors: tf.Tensor) -> tf.Tensor:
        """The probabilities of rows with such errors: float32, the shape of ``errors``."""
        return tf.minimum(1.0, self.intercept + self.slope * errors)

    def weight(self, errors: tf.Tensor) -> tf.Tensor:
        """The weights of rows with such errors, 1 on average over those kept: float32, the shape of ``errors``."""
        return self.share / self.probability(errors)


def at_random(share: float) -> Pruning:
    """The pruning that keeps every row with the same probability."""
    return Pruning(share, share)


def by_error(share: float, errors: np.ndarray, *, largest: bool) -> Pruning:
    """The pruning that keeps a share of the rows and prefers those with large errors, or with small ones.

    Args:
        share: below 1.
        errors: of a sample of the rows, shape (n,), each in [0, 1].
        largest: whether large errors are preferred.

    Examples:
        >>> errors = np.array([0.0, 0.1, 0.2, 0.9])
        >>> pruning = by_error(0.5, errors, largest=True)
        >>> [f"{chance:.2f}" for chance in pruning.probability(errors)]
        ['0.13', '0.33', '0.54', '1.00']
    """
    merit = np.asarray(errors if largest else 1 - errors, np.float64) + SMOOTHING
    least = AT_LEAST * share
    # Of the k rows of most merit the probability is 1, of the others least + rise * merit. For each k the rise follows
    # from k + least * (n - k) + rise * (merit of the others) = share * n; the smallest k with none above 1 holds.
    falling = np.sort(merit)[::-1]
    certain = np.arange(falling.size)
    others = np.cumsum(falling[::-1])[::-1]
    rises = (share * falling.size - certain - least * (falling.size - certain)) / others
    rise = float(rises[np.argmax(least + rises * falling <= 1)])
    start = least + rise * SMOOTHING
    return Pruning(share, start, rise) if largest else Pruning(share, start + rise, -rise)
