"""Which points of a grid of model sizes and data sizes bound the frontier of compute instead of lying on it."""

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array, Mask
from tfrs_scaling.fit.laws.validation import check_alignment, check_columns, positive

GRID_EDGE = "on the edge of the grid, where the best shape of that cost may not have been trained"


def grid_edge(sizes: ArrayLike, rungs: ArrayLike) -> Mask:
    """Whether each point of a grid lies on its edge.

    At the cost of such a point the best shape may lie outside the grid: a smaller model with more data beyond the
    smallest size and the largest rung, a larger model with less data beyond the other two. The point bounds the
    frontier from above, but need not be on it. A point is inside if its ladder has a smaller and a larger rung, and
    its rung a smaller and a larger size; so ladders may have different rungs.

    Args:
        sizes: Size of the model, or its multiplier: positive, shape (n,).
        rungs: Training examples, positive, shape (n,).

    Returns:
        Shape (n,).

    Raises:
        ValueError: NaN or infinite values, values <= 0, or unequal lengths.

    Example:
        >>> grid_edge([1, 1, 1, 2, 2, 2, 4, 4, 4], [10, 20, 40] * 3)
        array([ True,  True,  True,  True, False,  True,  True,  True,  True])
    """
    check_alignment(sizes=sizes, rungs=rungs)
    size, rung = positive("sizes", sizes), positive("rungs", rungs)
    check_columns(sizes=size, rungs=rung)
    return np.asarray(~(_between_others(size, rung) & _between_others(rung, size)))


def _between_others(values: Array, along: Array) -> Mask:
    """Whether a smaller and a larger value exist among the points with the same ``along``."""
    _, at = np.unique(along, return_inverse=True)
    low, high = np.full(at.max() + 1, np.inf), np.full(at.max() + 1, -np.inf)
    np.minimum.at(low, at, values)
    np.maximum.at(high, at, values)
    return np.asarray((low[at] < values) & (values < high[at]))


def longest_run(flags: Mask) -> slice:
    """The longest stretch of True, the first of equals."""
    bounds = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    starts, stops = bounds[::2], bounds[1::2]
    if not starts.size:
        return slice(0, 0)
    longest = int(np.argmax(stops - starts))
    return slice(int(starts[longest]), int(stops[longest]))
