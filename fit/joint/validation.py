"""Validation of the n, d and losses that a joint law is given."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.joint.status import FEWEST_SIZES
from tfrs_scaling.fit.joint.surface import Objective
from tfrs_scaling.fit.laws.validation import check_alignment, check_columns, labelled, not_negative, numbered, positive


def checked_joint_points(
    n: ArrayLike, d: ArrayLike, y: ArrayLike, groups: Iterable[Any] | None, objective: Objective
) -> tuple[Array, Array, Array, Indices]:
    """The validated points, in an order that does not depend on that of the input; groups numbered from 0.

    Raises:
        ValueError: see ``fit_joint_law``.
    """
    check_alignment(n=n, d=d, y=y, groups=groups)
    ns, ds = positive("n", n), positive("d", d)
    ys = positive("y", y) if objective == "huber_log" else not_negative("y", y)
    check_columns(n=ns, d=ds, y=ys)
    labels = labelled("groups", groups, ns.size)
    for name, values in (("n", ns), ("d", ds)):
        if values.size > 1 and values.min() == values.max():
            raise ValueError(
                f"{name} is {values[0]:g} at every point; measure at {FEWEST_SIZES} or more different {name}"
            )
    if groups is not None and np.unique(labels).size < FEWEST_SIZES:
        raise ValueError(
            f"groups has {np.unique(labels).size} different labels; the bootstrap needs {FEWEST_SIZES} or more"
        )
    order = np.lexsort((labels, ys, ds, ns))
    return ns[order], ds[order], ys[order], numbered(labels[order])


def broadcast(n: ArrayLike, d: ArrayLike) -> tuple[Array, Array]:
    """Positive n and d as float64 of their broadcast shape.

    Raises:
        ValueError: one of them is not a positive finite number, or their shapes do not broadcast.
    """
    ns, ds = positive("n", n), positive("d", d)
    try:
        ns, ds = np.broadcast_arrays(ns, ds)
    except ValueError:
        raise ValueError(f"n has shape {ns.shape} and d has shape {ds.shape}; the two must broadcast") from None
    return ns, ds
