"""Names for the array types and intervals that signatures repeat."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Interval = tuple[float, float]  # (low, high)
