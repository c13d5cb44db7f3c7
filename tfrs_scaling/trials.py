"""The trials of a study: which there are, and what each would cost."""

import dataclasses
import fractions

from tfrs_scaling.config import SCALING_SCHEMES, Config, Scheme
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.schemes import Shape, baseline_shape, scale


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training: a shape, a learning rate and a seed, measured at every rung of the data ladder.

    Attributes:
        scheme: what is scaled; D for the baseline.
        multiplier: by how much.
        learning_rate: constant over the pass.
        seed: of the initialisation.
    """

    scheme: Scheme
    multiplier: fractions.Fraction
    learning_rate: float
    seed: int

    @property
    def trial_id(self) -> str:
        """A name for people and for folders, such as ``V-1_64-lr0.02-seed0``."""
        multiplier = str(self.multiplier).replace("/", "_")
        return f"{self.scheme}-{multiplier}-lr{self.learning_rate:g}-seed{self.seed}"

    def shape(self, config: Config, schema: Schema) -> Shape:
        """The sizes of the trial's model."""
        return scale(baseline_shape(config.model, schema), self.scheme, self.multiplier)


def all_trials(config: Config) -> list[Trial]:
    """Every trial of the study: the baseline once, and each scheme's multipliers, at each learning rate and seed."""
    return [
        Trial(scheme, multiplier, learning_rate, seed)
        for scheme in ("D", *SCALING_SCHEMES)
        for multiplier in config.sweep.multipliers(scheme)
        for learning_rate in config.training.learning_rates
        for seed in config.sweep.seeds
    ]
