"""Event files -> the run table."""

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.types_pb2 import DT_FLOAT
from tensorboard.util import tensor_util

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import check_utf8
from tfrs_scaling.config import Config
from tfrs_scaling.fit.runs.screening import with_flags
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.input.manifest import Manifest
from tfrs_scaling.input.row_scores import Cost
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.model.accounting import forward_flops, parameters, training_flops
from tfrs_scaling.study.attempts import EVENT_FILES, KEPT, SHOWN
from tfrs_scaling.study.row_scores import scorer_cost, scorer_of, scorings
from tfrs_scaling.study.search import Need, needs_of
from tfrs_scaling.study.trials import Trial, check_countable
from tfrs_scaling.study.workdir import Workdir

# Summary tag -> column of the run table.
MEASURED = {
    "test/ne": "test_ne",
    "test/log_loss": "test_log_loss",
    "test/auc": "test_auc",
    "test/calibration": "test_calibration",
    "test/base_ctr": "base_ctr",
    "validation/ne": "validation_ne",
    "train/ne": "train_ne",
    "time/examples_per_second": "examples_per_second",
    "time/wall_seconds": "wall_seconds",
}


def export(config: Config, manifest: Manifest, workdir: Workdir) -> pd.DataFrame:
    """The run table of a study: a row for every trial at every rung, and one for each trial that was not measured at
    all of them.

    Raises:
        InputError: a trial that has ended lacks measurements, or has some that cannot be, or the scores of its rows are
            missing; names its folder, or theirs.
    """
    found = needs_of(config, workdir.record)
    rows = [row for need in found.needs for row in _rows(need, config, manifest, workdir)]
    rows += [row for shape in found.waiting for row in _rows(Need(shape), config, manifest, workdir)]
    runs: pd.DataFrame = with_flags(pd.DataFrame(rows))
    return runs


NOT_RUN = {"strategy": "", "status": "skipped", "reason": "not run yet", "rungs": ()}
NOT_RUN |= {"code_version": "", "libraries": "", "machine": ""}


def _rows(need: Need, config: Config, manifest: Manifest, workdir: Workdir) -> list[dict[str, Any]]:
    trial = need.trial
    record = need.settled(workdir.record(trial.trial_id), config.ladder) or NOT_RUN
    study = workdir.read_study()
    always = {
        "study": config.study,
        "architecture": trial.architecture_in(config),
        **_trial_columns(trial, config, manifest.schema),
        "strategy": record["strategy"],
        "status": record["status"],
        "reason": record["reason"],
        "flags": "",
        "config_hash": study["config_hash"],
        "data_hash": study["data_hash"],
        "code_version": record["code_version"] or study["code_version"],  # earlier versions recorded the study's alone
        "libraries": record["libraries"],
        "machine": record["machine"],
    }
    rows: list[dict[str, Any]] = []
    if record["status"] != "ok":
        nothing = {"examples": 0, "compute": 0.0, **_scorer_columns(trial, None, 0)}
        rows.append({**always, **nothing, **dict.fromkeys(MEASURED.values(), np.nan)})
    if record["status"] not in ("ok", "stopped"):
        return rows
    directory = workdir.trials / trial.trial_id
    measured = read_scalars(directory)
    scorer = _scorer(trial, config, study["data_hash"], workdir)
    for examples in config.ladder[: len(record["rungs"])] if record["status"] == "stopped" else config.ladder:
        missing = [tag for tag in MEASURED if examples not in measured.get(tag, {})]
        if missing:
            raise InputError(
                f"{directory}: no summary {missing[0]!r} at {examples} examples; "
                "delete this folder and run the sweep again"
            )
        values = {column: measured[tag][examples] for tag, column in MEASURED.items()}
        for name, value in values.items():
            if not 0 <= value < math.inf:
                raise InputError(
                    f"{directory}: {name} is {value} at {examples} examples, which no trial that ended well measures; "
                    "delete this folder and run the sweep again"
                )
        rows.append(
            {
                **always,
                **values,
                "status": "ok",
                "reason": "",
                "examples": examples,
                "compute": float(always["flops_train"]) * examples * trial.epochs,
                **_scorer_columns(trial, scorer, examples),
            }
        )
    return rows


def _trial_columns(trial: Trial, config: Config, data_schema: Schema) -> dict[str, Any]:
    schema, shape = trial.schema(config, data_schema), trial.shape(config, data_schema)
    count, flops = parameters(shape, schema), training_flops(shape, schema).total
    check_countable(trial, count.total, flops)
    return {
        "trial_id": trial.trial_id,
        "scheme": trial.scheme,
        "multiplier": float(trial.multiplier),
        "seed": trial.seed,
        "epochs": trial.epochs,
        "learning_rate": trial.learning_rate,
        "embedding_dim": shape.embedding_dim,
        "embedding_rows": sum(shape.table_rows),
        "params_embedding": count.embedding,
        "params_bottom": count.bottom,
        "params_interaction": count.interaction,
        "params_overarch": count.overarch,
        "params_total": count.total,
        "flops_forward": forward_flops(shape, schema).total,
        "flops_train": flops,
    }


def _scorer(trial: Trial, config: Config, data_hash: str, workdir: Workdir) -> Cost | None:
    """What the model took that scores the trial's rows; None where it has none."""
    key = scorer_of(trial.scheme)
    return scorer_cost(config, data_hash, workdir.root, key) if key else None


def _scorer_columns(trial: Trial, cost: Cost | None, examples: int) -> dict[str, Any]:
    """Its training, and its predictions for the rows that the trial was trained on, or was to choose from under P."""
    if cost is None:
        return {"scorer_examples": 0, "scorer_compute": 0.0, "scorer_seconds": 0.0}
    scored = examples if SCHEMES[trial.scheme].keeps is None else examples / float(trial.multiplier)
    return {
        "scorer_examples": cost.examples,
        "scorer_compute": cost.flops + cost.flops_per_row * scored,
        "scorer_seconds": cost.seconds,
    }


def copy_events(workdir: Workdir, folder: Path) -> int:
    """Copy the event file of each trial, teacher and scorer to where TensorBoard shows it, in a folder for each; how
    many there are.

    Raises:
        OSError: the folder cannot be written.
        InputError: the folder holds no study.
    """
    config, manifest = workdir.reopened()
    sources = {scoring.name: scoring.folder(workdir.root) for scoring in scorings(config, manifest.data_hash)}
    sources |= {place.name: place for place in sorted(workdir.trials.glob("*"))}
    events = [(name, path) for name, place in sources.items() for path in sorted(place.glob(EVENT_FILES))]
    for name, path in events:
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place / path.name.replace(KEPT, SHOWN))
    return len(events)


def read_scalars(directory: Path) -> dict[str, dict[int, float]]:
    """Per tag, the value at each step, from a folder's event files.

    Summaries are float32; each value is read as the shortest decimal that represents it.

    Raises:
        InputError: a file was damaged, or its name is not UTF-8; says what to do.
    """
    check_utf8(directory)
    scalars: dict[str, dict[int, float]] = {}
    for path in sorted(directory.glob(EVENT_FILES)):
        try:
            for event in EventFileLoader(str(path)).Load():
                for value in event.summary.value:
                    is_scalar = value.metadata.plugin_data.plugin_name in ("scalars", "")
                    # Its shape first: one of a few bytes can stand for gigabytes.
                    if is_scalar and value.tensor.dtype == DT_FLOAT and not value.tensor.tensor_shape.dim:
                        number = tensor_util.make_ndarray(value.tensor)
                        scalars.setdefault(value.tag, {})[event.step] = float(str(number[()]))
        except (DecodeError, ValueError) as error:
            raise InputError(
                f"{path}: not the events of a trial ({error}); delete the folder {directory}, and run the sweep again"
            ) from None
    return scalars
