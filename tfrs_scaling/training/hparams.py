"""What TensorBoard's HParams tab shows of a study: the grid, and a few figures of each trial."""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import api
from tensorboard.plugins.hparams.summary_v2 import hparams_config_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from tfrs_scaling.config import Config
from tfrs_scaling.study.search import RATES
from tfrs_scaling.study.trials import Trial, all_trials

METRICS = {  # the tab shows the first five by default
    "test/ne": "test NE",
    "shape/parameters": "parameters",
    "shape/training_flops": "training FLOPs per example",
    "validation/ne": "validation NE",
    "test/auc": "test AUC",
    "test/calibration": "test calibration",
    "time/examples_per_second": "examples per second",
}


def hyperparameters(trial: Trial, config: Config) -> dict[str, str | float | int]:
    """A trial's place in the grid."""
    return {
        "scheme": trial.scheme,
        "multiplier": float(trial.multiplier),
        "learning_rate": trial.learning_rate,
        "embedding_dim": trial.embedding_dim(config),
        "architecture": trial.architecture_in(config),
        "epochs": trial.epochs,
        "seed": trial.seed,
    }


def write_layout(root: Path, config: Config) -> None:
    """Tell TensorBoard which columns to show; replaces what an earlier call wrote.

    Columns of which all trials have the same value are left out, and so is the seed: the rows that stay are shapes, the
    mean of seeds (``report.tensorboard``).

    Written without TensorFlow, which would start devices in a process that only waits for trials.
    """
    for earlier in root.glob("events.out.tfevents.*"):
        earlier.unlink()
    points = [hyperparameters(trial, config) for trial in all_trials(config)]
    if config.training.learning_rates == "auto":
        points += [{**points[0], "learning_rate": rate} for rate in RATES]
    values = {name: sorted({point[name] for point in points}) for name in points[0] if name != "seed"}
    summary = hparams_config_pb(
        hparams=[
            api.HParam(name, api.Discrete(domain), name.replace("_", " "))
            for name, domain in values.items()
            if len(domain) > 1
        ],
        metrics=[api.Metric(tag, display_name=name) for tag, name in METRICS.items()],
    )
    writer = EventFileWriter(str(root))
    writer.add_event(Event(summary=summary))
    writer.close()
