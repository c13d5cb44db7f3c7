"""How much the NE of one training is off by chance: what every comparison of measured shapes rests on."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from tfrs_scaling.fit.laws.plateau import power_law_region
from tfrs_scaling.fit.laws.profile import profile_of
from tfrs_scaling.fit.screening import SHAPE

Source = Literal["seeds", "ladders", "none"]

_TOP = 5  # rungs of a ladder whose scatter is looked at: further down, a law's misfit passes for noise
_LONG = 8  # rungs
_WITHIN = 4.0  # seeds are compared at data sizes down to the largest divided by this
_FEWEST_DEGREES = 3  # of freedom, below which seeds alone say too little


@dataclass(frozen=True)
class Noise:
    """The noise of one training's test NE at the largest data sizes.

    Attributes:
        sd: Standard deviation of one training; unit of NE; NaN where nothing tells it.
        degrees: Degrees of freedom of that estimate; 0 where there is none.
        source: ``seeds``: trainings of one shape that differ in the seed alone. ``ladders``: what the upper rungs of
            each ladder scatter about a law of their own; what a whole training is off by does not show there, so it
            is a lower bound. ``none``: neither could be had.
    """

    sd: float
    degrees: float
    source: Source

    def error(self, *trainings: int) -> float:
        """Standard error of a difference between means of that many trainings each."""
        return self.sd * math.sqrt(sum(1 / number for number in trainings))

    def quantile(self, probability: float) -> float:
        """The quantile of Student's t; NaN where the noise is not known."""
        return float(special.stdtrit(self.degrees, probability)) if self.degrees > 0 else math.nan

    @property
    def words(self) -> str:
        """Where the figure is from, as the end of a sentence."""
        if self.source == "seeds":
            return f"±{self.sd:.2g} from one seed to another"
        if self.source == "ladders":
            return f"±{self.sd:.2g} from how ladders scatter about their laws (a lower bound, as there is one seed)"
        return "not known: there is one seed, and no ladder of five data sizes"


def training_noise(rows: pd.DataFrame) -> Noise:
    """The noise of one training, from all shapes together.

    Args:
        rows: Rows that may carry a fit, as ``screening.usable_runs`` returns them, of one architecture or several.

    Returns:
        From seeds where these give three degrees of freedom or more (data sizes down to a quarter of each shape's
        largest; those of one training count once, as they are not independent); else from the upper five rungs of
        the ladders; else from the seeds there are.
    """
    seeds = _between_seeds(rows)
    if seeds.degrees >= _FEWEST_DEGREES:
        return seeds
    ladders = _on_ladders(rows)
    return ladders if ladders.degrees > 0 else seeds


def _between_seeds(rows: pd.DataFrame) -> Noise:
    squares, count, degrees = 0.0, 0, 0
    for _, shape in rows.groupby(SHAPE, sort=True):
        top = shape[shape["examples"] >= shape["examples"].max() / _WITHIN]
        of_shape = 0
        for _, place in top.groupby("examples", sort=True):
            squares += float(np.sum((place["test_ne"] - place["test_ne"].mean()) ** 2))
            count += len(place) - 1
            of_shape = max(of_shape, len(place) - 1)
        degrees += of_shape
    return Noise(math.sqrt(squares / count), degrees, "seeds") if degrees else Noise(math.nan, 0, "none")


def _on_ladders(rows: pd.DataFrame) -> Noise:
    squares, degrees = 0.0, 0
    for _, ladder in rows.sort_values("examples").groupby("trial_id", sort=True):
        x, y = (ladder[name].to_numpy(dtype=np.float64) for name in ("examples", "test_ne"))
        if x.size < _TOP:
            continue
        # A plateau is at the lower end: of a long ladder the upper rungs are beyond it.
        start = x.size - _TOP if x.size >= _LONG else max(power_law_region(x, y), x.size - _TOP)
        if x.size - start < _TOP:
            continue
        profile = profile_of(x[start:], y[start:], np.ones(x.size - start))
        squares += float(profile.optimum().rss[0]) * profile.scale**2
        degrees += x.size - start - 3
    return Noise(math.sqrt(squares / degrees), degrees, "ladders") if degrees else Noise(math.nan, 0, "none")


def shape_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Test NE of each shape at each data size, averaged over seeds.

    Returns:
        SHAPE, examples, test_ne and trainings (how many it is the mean of), sorted.
    """
    means = rows.groupby([*SHAPE, "examples"], sort=True)["test_ne"].agg(["mean", "size"]).reset_index()
    return means.rename(columns={"mean": "test_ne", "size": "trainings"})


def base_architecture(rows: pd.DataFrame) -> str:
    """The architecture whose shapes were studied: the one with the most of them; the first by name breaks a tie.

    Raises:
        ValueError: there are no rows.
    """
    if rows.empty:
        raise ValueError("rows is empty; nothing was measured")
    shapes = rows[SHAPE].drop_duplicates().groupby("architecture").size()
    return str(shapes.index[int(np.argmax(shapes.to_numpy()))])
