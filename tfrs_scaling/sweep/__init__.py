"""Many trials: side by side, and on several machines. ``run_study`` runs a whole study."""

from tfrs_scaling.sweep.run import run_study

__all__ = ["run_study"]
