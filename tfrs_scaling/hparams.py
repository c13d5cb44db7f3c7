"""What TensorBoard's HParams tab shows of a study: the grid, and a few figures of each trial."""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import api
from tensorboard.plugins.hparams.summary_v2 import hparams_config_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from tfrs_scaling.config import SCALING_SCHEMES, Config
from tfrs_scaling.trials import Trial

METRICS = {  # the tab shows the first five until told otherwise
    "test/ne": "test NE",
    "validation/ne": "validation NE",
    "shape/parameters": "parameters",
    "shape/training_flops": "training FLOPs per example",
    "test/auc": "test AUC",
    "test/calibration": "test calibration",
    "time/examples_per_second": "examples per second",
}


def hyperparameters(trial: Trial) -> dict[str, str | float | int]:
    """Where a trial stands in the grid."""
    return {
        "scheme": trial.scheme,
        "multiplier": float(trial.multiplier),
        "learning_rate": trial.learning_rate,
        "seed": trial.seed,
    }


def write_layout(root: Path, config: Config) -> None:
    """Tell TensorBoard which columns to show; replaces what an earlier call told it.

    Written without TensorFlow, which would start the devices of the process that only waits for trials.
    """
    for earlier in root.glob("events.out.tfevents.*"):
        earlier.unlink()
    schemes = ["D", *(scheme for scheme in SCALING_SCHEMES if config.sweep.multipliers(scheme))]
    multipliers = {1.0, *(float(m) for scheme in SCALING_SCHEMES for m in config.sweep.multipliers(scheme))}
    summary = hparams_config_pb(
        hparams=[
            api.HParam("scheme", api.Discrete(schemes)),
            api.HParam("multiplier", api.Discrete(sorted(multipliers))),
            api.HParam("learning_rate", api.Discrete(list(config.training.learning_rates)), "learning rate"),
            api.HParam("seed", api.Discrete(list(config.sweep.seeds))),
        ],
        metrics=[api.Metric(tag, display_name=name) for tag, name in METRICS.items()],
    )
    writer = EventFileWriter(str(root))
    writer.add_event(Event(summary=summary))
    writer.close()
