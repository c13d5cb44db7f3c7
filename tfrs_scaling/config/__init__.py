"""A study's configuration: YAML -> frozen dataclasses."""

from tfrs_scaling.config.sections import Model, Pruning, Scorer, Sweep, Table, Training, Wukong
from tfrs_scaling.config.study import Config, RawLog, read_config
from tfrs_scaling.config.values import Architecture, Precision

__all__ = [
    "Architecture",
    "Config",
    "Model",
    "Precision",
    "Pruning",
    "RawLog",
    "Scorer",
    "Sweep",
    "Table",
    "Training",
    "Wukong",
    "read_config",
]
