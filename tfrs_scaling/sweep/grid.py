"""The grid of a study as KerasTuner's oracle, and the oracle served to other machines.

All that the program uses of KerasTuner is in this file, including names that KerasTuner does not document
(``tests/tfrs_scaling/sweep/grid_test.py`` lists them); setup.cfg therefore pins its minor version.
"""

import contextlib
import fractions
import itertools
import shutil
from collections.abc import Iterable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import keras_tuner as kt
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.engine import conditions

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE, SCALED
from tfrs_scaling.study.search import RATES
from tfrs_scaling.study.trials import Trial
from tfrs_scaling.sweep.runner import OBJECTIVE

_Status = kt.engine.trial.TrialStatus
RUNNING, IDLE, STOPPED, INVALID = _Status.RUNNING, _Status.IDLE, _Status.STOPPED, _Status.INVALID
_LAYOUT = "layout"  # the tuner that is given every trial once, before it is run


def grid(config: Config) -> kt.HyperParameters:
    """The grid as a conditional space: a multiplier exists only under its scheme, and another architecture only under
    D and A, so the space is the union of the schemes' grids and not their product."""
    space = kt.HyperParameters()
    own = {scheme: multipliers for scheme in SCALED if (multipliers := config.sweep.multipliers(scheme))}
    scaled = {name: multipliers for name, multipliers in config.sweep.architectures.items() if multipliers}
    schemes = [BASELINE, *own, *["VH"] * config.sweep.VH, *[ARCHITECTURE] * bool(scaled)]
    space.Choice("scheme", schemes, default=BASELINE)

    def choice(name: str, values: Iterable[Any]) -> None:
        texts = [str(value) for value in values]
        space.Choice(name, texts, default=texts[0])

    with space.conditional_scope("scheme", [BASELINE]):
        choice("architecture", dict.fromkeys([config.model.architecture, *config.sweep.architectures]))
    if scaled:
        with space.conditional_scope("scheme", [ARCHITECTURE]):
            choice("architecture_A", scaled)
            for name, multipliers in scaled.items():
                with space.conditional_scope("architecture_A", [name]):
                    choice(f"multiplier_A_{name}", multipliers)
    for scheme, multipliers in own.items():
        with space.conditional_scope("scheme", [scheme]):
            choice(f"multiplier_{scheme}", multipliers)
    if config.sweep.VH:
        with space.conditional_scope("scheme", ["VH"]):
            choice("multiplier_VH", own["V"])
            choice("dim_multiplier_VH", own["H"])
    rates = list(RATES if config.training.learning_rates == "auto" else config.training.learning_rates)
    space.Choice("learning_rate", rates, default=rates[0])
    seeds = dict.fromkeys([*config.sweep.seeds, *itertools.chain(*config.sweep.more_seeds.values())])
    space.Choice("seed", list(seeds), default=config.sweep.seeds[0])
    return space


def trial_of(values: dict[str, Any], config: Config) -> Trial:
    """The trial at a point of the grid."""
    scheme = values["scheme"]
    name = {BASELINE: "architecture", ARCHITECTURE: "architecture_A"}.get(scheme)
    architecture = config.model.architecture if name is None else values[name]
    own = f"A_{architecture}" if scheme == ARCHITECTURE else scheme
    return Trial(
        scheme,
        fractions.Fraction(1 if scheme == BASELINE else values[f"multiplier_{own}"]),
        values["learning_rate"],
        values["seed"],
        dim_multiplier=fractions.Fraction(values["dim_multiplier_VH"] if scheme == "VH" else 1),
        architecture=None if architecture == config.model.architecture else architecture,
    )


def values_of(trial: Trial, config: Config) -> dict[str, Any]:
    """The point of the grid at which a trial is: the inverse of ``trial_of``."""
    values: dict[str, Any] = {"scheme": trial.scheme}
    if trial.scheme == BASELINE:
        values["architecture"] = trial.architecture_in(config)
    elif trial.scheme == ARCHITECTURE:
        values["architecture_A"] = name = trial.architecture_in(config)
        values[f"multiplier_A_{name}"] = str(trial.multiplier)
    else:
        values[f"multiplier_{trial.scheme}"] = str(trial.multiplier)
    if trial.scheme == "VH":
        values["dim_multiplier_VH"] = str(trial.dim_multiplier)
    return {**values, "learning_rate": trial.learning_rate, "seed": trial.seed}


class GridOracle(kt.Oracle):
    """KerasTuner's grid, to which points are added as results call for them: which wait, and which tuner runs which.

    KerasTuner's own grid search generates the successor of a trial when that trial ends, and so never runs more than
    two at a time, and knows no points that depend on results. Here every point is generated as soon as the study needs
    it, and waits in KerasTuner's retry queue. What is done is known from the study's folder, so KerasTuner's own files,
    which are not written atomically, are rewritten from it at each start.

    Trials have the study's names (``trial_id`` of ``study.trials.Trial``).

    ``folder`` holds KerasTuner's files, and is emptied first.
    """

    def __init__(self, config: Config, folder: Path):
        super().__init__(
            objective=kt.Objective(OBJECTIVE, "min"),
            hyperparameters=grid(config),
            allow_new_entries=False,
            tune_new_entries=False,
            max_consecutive_failed_trials=2**31,  # a failed trial is a row of the table, not a reason to stop
        )
        self.verbose = 0
        if folder.is_dir():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)
        self._set_project_dir(str(folder.parent), folder.name)
        self._config = config
        self._points: list[dict[str, Any]] = []  # to be generated
        self._names: dict[str, str] = {}  # by KerasTuner's id, in the order in which they were added
        self._ids: dict[str, str] = {}
        self._shapes: dict[str, str] = {}  # by name
        self._served: dict[str, str] = {}  # the shape of each tuner's last trial

    def add(self, trials: Iterable[Trial]) -> None:
        """Add points to the grid; they wait behind all others."""
        for trial in trials:
            waiting, self.waiting = self.waiting, []  # else one of these would be handed out
            self._points.append(values_of(trial, self._config))
            made = super().create_trial(_LAYOUT)
            del self.ongoing_trials[_LAYOUT]
            self._names[made.trial_id], self._ids[trial.trial_id] = trial.trial_id, made.trial_id
            self._shapes[trial.trial_id] = trial.shape_id
            self.waiting = [*waiting, trial.trial_id]

    def create_trial(self, tuner_id: str) -> Any:
        """A trial for a tuner: the first that waits of the shape that it served last, whose process can go on; else of
        a shape that no other serves; else the first."""
        if tuner_id not in self.ongoing_trials and self._retry_queue:
            mine, all_served = self._served.get(tuner_id), set(self._served.values())

            def rank(name: str) -> int:
                shape = self._shapes[name]
                return 0 if shape == mine else 2 if shape in all_served else 1

            first = min(self.waiting, key=rank)
            self.waiting = [first, *(name for name in self.waiting if name != first)]
        trial = super().create_trial(tuner_id)
        if trial.status == RUNNING:
            self._served[tuner_id] = self._shapes[self.name(trial)]
        return trial

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """KerasTuner asks for a new point when none waits."""
        if self._points:
            return {"status": RUNNING, "values": self._points.pop()}
        return {"status": IDLE if self.ongoing_trials else STOPPED}

    @property
    def names(self) -> list[str]:
        """All trials, in the order in which they were added."""
        return list(self._names.values())

    def name(self, trial: Any) -> str:
        """The study's name of one of KerasTuner's trials, or of one that a client names by it."""
        return self._names.get(trial.trial_id, trial.trial_id)

    @property
    def waiting(self) -> list[str]:
        """Trials in the order in which they will be handed out."""
        return [self._names[trial_id] for trial_id in reversed(self._retry_queue)]  # emptied from its end

    @waiting.setter
    def waiting(self, names: Iterable[str]) -> None:
        self._retry_queue = [self._ids[name] for name in names][::-1]

    @property
    def running(self) -> dict[str, str]:
        """The trial that each tuner runs."""
        return {tuner_id: self.name(trial) for tuner_id, trial in self.ongoing_trials.items()}

    def assign(self, name: str, tuner_id: str) -> None:
        """Note that a tuner runs a trial that was waiting."""
        self.waiting = [other for other in self.waiting if other != name]
        self.ongoing_trials[tuner_id] = self.trials[self._ids[name]]

    def take_back(self, tuner_id: str) -> str:
        """Let a tuner's trial wait again, before all others; its name."""
        name = self.name(self.ongoing_trials.pop(tuner_id))
        self._served.pop(tuner_id, None)
        self.waiting = [name, *self.waiting]
        return name

    def rename_tuner(self, before: str, after: str) -> None:
        """Note what a tuner runs under another name."""
        self.ongoing_trials[after] = self.ongoing_trials.pop(before)

    def finish(self, name: str, record: dict[str, Any]) -> None:
        """Tell KerasTuner the outcome of a trial."""
        trial = self.trials[self._ids[name]]
        if record["status"] == "ok":
            self.update_trial(trial.trial_id, {OBJECTIVE: record[OBJECTIVE]})
        trial.status = _Status.COMPLETED if record["status"] == "ok" else _Status.FAILED
        trial.message = record["reason"]
        super().end_trial(trial)


@contextlib.contextmanager
def served(oracle: GridOracle, address: str, thread: futures.ThreadPoolExecutor) -> Iterator[None]:
    """Serve an oracle to workers on other machines.

    Raises:
        InputError: the address cannot be served.
    """
    # KerasTuner 1.4.8 prints a scheme's letter for each condition of the grid that it sends.
    vars(conditions)["print"] = lambda *_: None
    # Without the option two chiefs could share a port, and each get half of the requests.
    server = grpc.server(thread, options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    try:
        server.add_insecure_port(address)
    except RuntimeError:
        raise InputError(
            f"{address}: cannot be served; KERASTUNER_ORACLE_IP should be an address of this machine (or 0.0.0.0), "
            "KERASTUNER_ORACLE_PORT a port that is free"
        ) from None
    server.start()
    try:
        yield
    finally:
        server.stop(grace=1).wait()


class OracleClient:
    """The oracle that another process serves at an address.

    Every method raises ``grpc.RpcError`` if there is no answer within ``timeout`` seconds.
    """

    def __init__(self, address: str, config: Config):
        # By default gRPC backs off for a minute or two, and would find a chief that starts late even later.
        options = [("grpc.max_reconnect_backoff_ms", 2000), ("grpc.enable_http_proxy", 0)]
        self._stub = protos.get_service_grpc().OracleStub(grpc.insecure_channel(address, options=options))
        self._config, self._service = config, protos.get_service()

    def check(self, timeout: float) -> None:
        """Return once the oracle has answered."""
        self._stub.GetSpace(self._service.GetSpaceRequest(), timeout=timeout)

    def create_trial(self, tuner_id: str, timeout: float) -> tuple[str, str, str]:
        """The status, and if that is RUNNING KerasTuner's id and the study's name of a trial to run."""
        request = self._service.CreateTrialRequest(tuner_id=tuner_id)
        trial = self._stub.CreateTrial(request, timeout=timeout).trial
        status = _Status.from_proto(trial.status)
        if status != RUNNING:
            return status, "", ""
        # Not Trial.from_proto, which prints the conditions of the space.
        values = {name: getattr(v, v.WhichOneof("kind")) for name, v in trial.hyperparameters.values.values.items()}
        return status, trial.trial_id, trial_of(values, self._config).trial_id

    def end_trial(self, name: str, timeout: float, *, give_back: bool = False) -> None:
        """Say that a trial, by the study's name, has ended, or was given back to be run by another worker.

        An oracle that was started again may have another id for it: ids follow the order in which points were added.
        """
        trial = protos.get_proto().Trial(trial_id=name)
        if give_back:
            trial.status = _Status.to_proto(INVALID)
        self._stub.EndTrial(self._service.EndTrialRequest(trial=trial), timeout=timeout)


def is_away(error: grpc.RpcError) -> bool:
    """Whether the oracle could not be reached, as opposed to having failed."""
    code = grpc.StatusCode
    return error.code() in (code.UNAVAILABLE, code.DEADLINE_EXCEEDED, code.CANCELLED)
