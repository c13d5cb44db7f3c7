"""Laws in units of the smallest loss of a study, as papers plot them; that loss is itself a measurement."""

import math
from dataclasses import replace

import numpy as np

from tfrs_scaling.fit.laws.power_law import PowerLawFit


@np.errstate(under="ignore")
def normalized(fit: PowerLawFit, minimum: float, standard_error: float) -> PowerLawFit:
    """The same law in units of the smallest loss of a study, as Ardalani et al. (2022) plot NE.

    Fit the losses themselves, then normalize the fit: a fit to losses that were divided first has the same
    beta, status and r2, but treats the divisor as exact. Here the divisor's error is added in quadrature to the
    intervals of alpha and gamma and to every band. It is assumed to be independent of the fit's error, which is
    conservative if the smallest loss is one of the fitted points.

    Args:
        fit: The fit in the measured unit, such as NE.
        minimum: The smallest loss, > 0, in that unit.
        standard_error: The standard error of ``minimum``, >= 0: that between seeds, or the ``noise`` of the curve
            that reaches it.

    Returns:
        The fit in units of ``minimum``; ``unit_error`` is the relative error of that unit.

    Raises:
        ValueError: the minimum is not positive, the error negative, or the fit is normalized already.

    Examples:
        >>> from tfrs_scaling.fit import fit_power_law
        >>> x = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000]
        >>> fit = fit_power_law(x, [0.9803, 0.9421, 0.9116, 0.8874, 0.8669, 0.8510, 0.8373])
        >>> scaled = normalized(fit, minimum=0.8, standard_error=0.001)
        >>> round(fit.gamma, 3), round(scaled.gamma, 3)
        (0.781, 0.977)
    """
    if not (minimum > 0 and math.isfinite(minimum)):
        raise ValueError(f"minimum is {minimum}; it must be a positive finite number")
    if not (standard_error >= 0 and math.isfinite(standard_error)):
        raise ValueError(f"standard_error is {standard_error}; it must be a finite number of 0 or above")
    if fit.unit_error:
        raise ValueError("fit is normalized already; give the fit of the losses as they were measured")
    unit_error = standard_error / minimum
    scaled = replace(
        fit,
        alpha_at_x0=fit.alpha_at_x0 / minimum,
        gamma=fit.gamma / minimum,
        rmse=fit.rmse / minimum,
        noise=fit.noise / minimum,
        aicc=fit.aicc - 2 * fit.n * math.log(minimum),
        y=tuple(loss / minimum for loss in fit.y),
        resampled_laws=tuple((alpha / minimum, beta, gamma / minimum) for alpha, beta, gamma in fit.resampled_laws),
        unit_error=unit_error,
    )
    interval = dict(fit.interval)
    for name, middle in (("alpha", scaled.alpha), ("gamma", scaled.gamma)):
        low, high = (np.array(end / minimum) for end in fit.interval[name])
        low, high = scaled.widened(low, np.array(middle), high)
        interval[name] = float(low), float(high)
    return replace(scaled, interval=interval)
