"""The trials of a study: which there are, and what each would cost."""

import dataclasses
import fractions

from tfrs_scaling.config import SCALING_SCHEMES, Config, Scheme
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.schemes import Shape, baseline_shape, keep_features, scale


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

    def schema(self, config: Config, schema: Schema) -> Schema:
        """The features that the trial's model sees, out of the data's."""
        if self.scheme != "F":
            return schema
        return keep_features(schema, self.multiplier, config.sweep.feature_seed)

    def shape(self, config: Config, schema: Schema) -> Shape:
        """The sizes of the trial's model; ``schema`` is the data's."""
        return scale(baseline_shape(config.model, self.schema(config, schema)), self.scheme, self.multiplier)

    @property
    def negative_rate(self) -> float:
        """The share of the training split's negatives that the trial is trained on."""
        return float(self.multiplier) if self.scheme == "N" else 1.0


def all_trials(config: Config) -> list[Trial]:
    """Every trial of the study: the baseline once, and each scheme's multipliers, at each learning rate and seed."""
    return [
        Trial(scheme, multiplier, learning_rate, seed)
        for scheme in ("D", *SCALING_SCHEMES)
        for multiplier in config.sweep.multipliers(scheme)
        for learning_rate in config.training.learning_rates
        for seed in config.sweep.seeds
    ]
