"""Noise that is known, and the resamples of a study's points, for the tests of what rests on them."""

import pandas as pd

from tfrs_scaling.fit.analyses.noise.ladders import Ladders, resample_ladders
from tfrs_scaling.fit.analyses.noise.training_noise import Source, TrainingNoise, noise_of, training_noise


def noise(sd: float, degrees: float, source: Source = "seeds", architecture: str = "dot") -> TrainingNoise:
    """The same noise at every data size, none of which a training keeps."""
    known = source != "none"
    return TrainingNoise(architecture, (1,) * known, (sd,) * known, 0.0, 0.0, degrees, source)


UNKNOWN = noise(0.0, 0, "none")


def ladders_of(
    rows: pd.DataFrame, known: TrainingNoise | None = None, *, architecture: str = "dot", seed: int = 0
) -> Ladders:
    """One architecture's points, resampled with its own noise, or with one that is known."""
    return resample_ladders(rows, known or noise_of(architecture, training_noise(rows)), seed=seed)
