"""Losses divided by the smallest loss of a study, as papers plot them; the smallest loss is itself a measurement."""

import math
from dataclasses import replace

import numpy as np

from tfrs_scaling.fit.laws.power_law import PowerLawFit


@np.errstate(under="ignore")
def normalized(fit: PowerLawFit, minimum: float, standard_error: float) -> PowerLawFit:
    """The same law in units of the smallest loss of a study (Ardalani et al. 2022 plot NE so).

    Fit the losses themselves, then normalize the fit: a fit to losses that were divided before has the same
    beta, status and r2, but takes the divisor for exact. Here the divisor's error is added, in quadrature, to the
    intervals of alpha and gamma and to every band. It is taken to be independent of the fit's, which is
    conservative where the smallest loss is one of the fitted points.

    Args:
        fit: In the unit that was measured, such as NE.
        minimum: The smallest loss, > 0, in that unit.
        standard_error: Of the measurement that it is, >= 0: between seeds, or ``noise`` of the curve it ends.

    Returns:
        The fit in units of ``minimum``; ``unit_error`` is the relative error of that unit.

    Raises:
        ValueError: the minimum is not positive, the error negative, or the fit is normalized already.
    """
    if not (minimum > 0 and math.isfinite(minimum)):
        raise ValueError(f"minimum is {minimum}; it must be a positive finite number")
    if not (standard_error >= 0 and math.isfinite(standard_error)):
        raise ValueError(f"standard_error is {standard_error}; it must be a finite number of 0 or above")
    if fit.unit_error:
        raise ValueError("fit is normalized already; normalize the fit of the losses as they were measured")
    unit_error = standard_error / minimum
    scaled = replace(
        fit,
        alpha_at_x0=fit.alpha_at_x0 / minimum,
        gamma=fit.gamma / minimum,
        rmse=fit.rmse / minimum,
        noise=fit.noise / minimum,
        aicc=fit.aicc - 2 * fit.n * math.log(minimum),
        y=tuple(loss / minimum for loss in fit.y),
        replicates=tuple((alpha / minimum, beta, gamma / minimum) for alpha, beta, gamma in fit.replicates),
        unit_error=unit_error,
    )
    interval = dict(fit.interval)
    for name, middle in (("alpha", scaled.alpha), ("gamma", scaled.gamma)):
        low, high = (np.array(end / minimum) for end in fit.interval[name])
        low, high = scaled.widened(low, np.array(middle), high)
        interval[name] = float(low), float(high)
    return replace(scaled, interval=interval)
