"""Which rows of a training split are kept by how well a scorer predicts their labels, and what they then weigh.

Sorscher et al. (2022) cut at a threshold. Of clicks a cut can keep no row at all of what the scorer is sure of and
right (or of what it is wrong about), and no weight restores what is missing. So each row is kept with a probability
that rises (``hard``) or falls (``easy``) with the scorer's error, and counts in inverse proportion to it (Horvitz and
Thompson 1952): the training loss is, on average, that of all rows, and predictions are as calibrated as if all had been
trained on. ``AT_LEAST`` bounds the weights.
"""

import dataclasses

import numpy as np
import tensorflow as tf

# The least probability of a row, as a part of the share: so a part of the rows is drawn at random (Hesterberg 1995,
# defensive importance sampling), and no row counts for more than four.
AT_LEAST = 0.25
# Added to what rows are kept by: rows of which the scorer is certain, and right, are not all alike to it.
SMOOTHING = 1e-3


@dataclasses.dataclass(frozen=True)
class Pruning:
    """The probability with which a row is kept: ``min(1, intercept + slope * error)``.

    A row's error is the distance of its label, 0 or 1, from the probability that the scorer predicted for it.

    Attributes:
        share: the share of the rows that is kept.
        slope: positive if rows with larger errors are kept, negative if those with smaller ones are, 0 if any.
    """

    share: float
    intercept: float
    slope: float = 0.0

    def probability(self, errors: tf.Tensor) -> tf.Tensor:
        """The probabilities of rows with such errors: float32, the shape of ``errors``."""
        return tf.minimum(1.0, self.intercept + self.slope * errors)

    def weight(self, errors: tf.Tensor) -> tf.Tensor:
        """What such rows weigh if they are kept, 1 on average over them: float32, the shape of ``errors``."""
        return self.share / self.probability(errors)


def at_random(share: float) -> Pruning:
    """Every row alike."""
    return Pruning(share, share)


def by_error(share: float, errors: np.ndarray, *, largest: bool) -> Pruning:
    """The pruning that keeps a share of rows, above all those with the largest errors, or the smallest.

    Args:
        share: below 1.
        errors: of a sample of the rows, shape (n,), each in [0, 1].
        largest: whether rows with larger errors are kept rather.

    Example:
        >>> errors = np.array([0.0, 0.1, 0.2, 0.9])
        >>> pruning = by_error(0.5, errors, largest=True)
        >>> np.round(pruning.probability(errors), 2).tolist()
        [0.13, 0.38, 0.62, 0.88]
    """
    merit = np.asarray(errors if largest else 1 - errors, np.float64) + SMOOTHING
    least = AT_LEAST * share
    # Rows of the most merit first. Where the first k are kept for certain, the rise is the one with which all are kept
    # to k + least * (n - k) + rise * (merit of the others) = share * n; the right k is the first that suits the next.
    falling = np.sort(merit)[::-1]
    certain = np.arange(falling.size)
    others = np.cumsum(falling[::-1])[::-1]
    rises = (share * falling.size - certain - least * (falling.size - certain)) / others
    rise = float(rises[np.argmax(least + rises * falling <= 1)])
    start = least + rise * SMOOTHING
    return Pruning(share, start, rise) if largest else Pruning(share, start + rise, -rise)
