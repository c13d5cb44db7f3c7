"""NE, log loss, AUC and calibration, accumulated in float64 as predictions come in."""

import dataclasses
import math

import numpy as np
from scipy import special

# The AUC comes from counts of logits in bins. Ties within a bin count half, as in the definition; the bins are so
# narrow that this moves the AUC by less than 1e-5.
AUC_BINS = 1 << 16
LOGIT_LIMIT = 30.0


def binary_entropy(probability: float) -> float:
    """-p ln p - (1 - p) ln(1 - p), in nats; 0 at p = 0 and p = 1."""
    return float(special.entr(probability) + special.entr(1 - probability))


def prior_correction(negative_rate: float) -> float:
    """What to add to the logits of a model that was trained on all clicks and this share of the negatives.

    Leaving out negatives multiplies the odds of a click by 1 / negative_rate, whatever the features, and so adds
    -ln(negative_rate) to what the model learns; ln(negative_rate) removes it (King and Zeng 2001, eq. 7). On
    probabilities it is p / (p + (1 - p) / negative_rate) (He et al. 2014, section 6.3).
    """
    return math.log(negative_rate)


@dataclasses.dataclass(frozen=True)
class Metrics:
    """How good predictions are. Every mean and count is weighted.

    Attributes:
        ne: normalized entropy, ``log_loss`` over the entropy of the split's CTR (He et al. 2014, eq. 3).
        log_loss: mean of -ln(predicted probability of what happened), in nats.
        auc: area under the ROC curve.
        calibration: mean prediction over CTR.
        base_ctr: the split's CTR, whose entropy ``ne`` is relative to.
    """

    ne: float
    log_loss: float
    auc: float
    calibration: float
    base_ctr: float


class Accumulator:
    """Accumulates logits, labels and weights batch by batch; rows of weight 0 change nothing."""

    def __init__(self) -> None:
        self._weight = self._clicks = self._log_loss = self._predicted = 0.0
        self._histogram = np.zeros((2, AUC_BINS))

    def add(self, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        """Add a batch.

        Args:
            logits: float [n].
            labels: float [n], 0 or 1.
            weights: float [n], not negative.
        """
        logits, labels, weights = (np.asarray(a, np.float64) for a in (logits, labels, weights))
        counted = weights > 0  # also keeps the padding's logits, whatever they are, out of the sums
        logits, labels, weights = logits[counted], labels[counted], weights[counted]
        self._weight += float(weights.sum())
        self._clicks += float(weights @ labels)
        with np.errstate(invalid="ignore"):  # a NaN logit shows in the result
            self._log_loss += float(weights @ (np.logaddexp(0, logits) - labels * logits))
        self._predicted += float(weights @ special.expit(logits))
        position = (np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT) / LOGIT_LIMIT + 1) / 2
        bins = np.nan_to_num(position * (AUC_BINS - 1)).round().astype(np.int64)
        clicked = weights * labels
        self._histogram[1] += np.bincount(bins, clicked, AUC_BINS)
        self._histogram[0] += np.bincount(bins, weights - clicked, AUC_BINS)

    def result(self) -> Metrics:
        """The metrics of all rows so far; NaN where a logit was NaN.

        Raises:
            ValueError: there are no rows, or all have one label: NE and AUC do not exist.
        """
        if not 0 < self._clicks < self._weight:
            raise ValueError(f"{self._clicks:g} clicks among {self._weight:g} rows: NE needs both labels")
        negatives, positives = self._histogram
        below = np.cumsum(negatives) - negatives
        log_loss, ctr = self._log_loss / self._weight, self._clicks / self._weight
        auc = (positives @ (below + negatives / 2)) / (positives.sum() * negatives.sum())
        return Metrics(
            ne=float(log_loss / binary_entropy(ctr)),
            log_loss=float(log_loss),
            auc=float(auc) if np.isfinite(log_loss) else float("nan"),
            calibration=float(self._predicted / self._clicks),
            base_ctr=float(ctr),
        )
