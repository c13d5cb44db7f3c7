"""The Pareto frontier: the points that no other point beats on cost and on loss at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pareto_frontier(cost: ArrayLike, loss: ArrayLike) -> NDArray[np.int64]:
    """Indices of the points that are not dominated, by increasing cost. O(n log n).

    A point is dominated when another has a cost and a loss that are both no larger, and one of them
    smaller. Of points equal in both, the first in the input stands for all.

    Args:
        cost: Data, parameters or compute, finite, shape (n,).
        loss: The loss at that cost, finite, shape (n,).

    Returns:
        Indices into the input, int64, shape (k,): cost strictly increases and loss strictly decreases.

    Raises:
        ValueError: the two differ in shape, are not one-dimensional, or hold NaN or infinities.
    """
    costs, losses = np.asarray(cost, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    if costs.ndim != 1 or costs.shape != losses.shape:
        raise ValueError(f"cost has shape {costs.shape} and loss {losses.shape}; both must be lists of equal length")
    for name, values in (("cost", costs), ("loss", losses)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name}[{int(np.argmin(np.isfinite(values)))}] is not finite")
    order = np.lexsort((losses, costs))  # stable: by cost, then loss, then place in the input
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(losses[order])])[:-1]
    return order[losses[order] < best_before].astype(np.int64)
