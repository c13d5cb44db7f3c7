"""The grid of a study as KerasTuner's oracle, and the oracle served to other machines.

All that the program uses of KerasTuner is in this file, including names that KerasTuner does not document
(``tests/tfrs_scaling/sweep/grid_test.py`` lists them); setup.cfg therefore pins its minor version.
"""

import contextlib
import fractions
import hmac
import itertools
import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import keras_tuner as kt
from keras_tuner.src import protos

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE, SCALED
from tfrs_scaling.study.lead import LeadLostError
from tfrs_scaling.study.search import RATES
from tfrs_scaling.study.trials import Trial
from tfrs_scaling.sweep.runner import OBJECTIVE

_Status = kt.engine.trial.TrialStatus
RUNNING, IDLE, STOPPED, INVALID = _Status.RUNNING, _Status.IDLE, _Status.STOPPED, _Status.INVALID
# What a call ends with if the oracle cannot be reached, as opposed to having failed; and if it wants another token.
UNREACHABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
REFUSED = grpc.StatusCode.UNAUTHENTICATED
_SAVE_SECONDS = 0.1  # of writing KerasTuner's files of trials, at a time
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
        )
        self.verbose = 0
        if folder.is_dir():
            # A chief that does not know yet that it was replaced may write there.
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder.unlink(missing_ok=True)
        self._set_project_dir(str(folder.parent), folder.name)
        self._config, self._next_save = config, 0.0
        self._unsaved: dict[str, Any] = {}  # KerasTuner's trials whose files are not up to date, by its id
        self._points: list[dict[str, Any]] = []  # to be generated
        self._names: dict[str, str] = {}  # by KerasTuner's id, in the order in which they were added
        self._ids: dict[str, str] = {}
        self._shapes: dict[str, str] = {}  # by name
        self._served: dict[str, str] = {}  # the shape of each tuner's last trial

    def add(self, trials: Iterable[Trial]) -> None:
        """Add points to the grid; they wait behind all others."""
        waiting, self.waiting = self.waiting, []  # else one of these would be handed out
        for trial in trials:
            self._points.append(values_of(trial, self._config))
            try:
                made = super().create_trial(_LAYOUT)
            finally:  # also where it cannot be written
                self.ongoing_trials.pop(_LAYOUT, None)
            self._names[made.trial_id], self._ids[trial.trial_id] = trial.trial_id, made.trial_id
            self._shapes[trial.trial_id] = trial.shape_id
            waiting.append(trial.trial_id)
        self.waiting = waiting

    def create_trial(self, tuner_id: str) -> Any:
        """A trial for a tuner: the first that waits of the shape that it served last, whose process can go on; else of
        a shape that no other serves; else the first."""
        if tuner_id not in self.ongoing_trials and self._retry_queue:
            waiting, served = self.waiting, set(self._served.values())
            firsts: dict[str, int] = {}
            for place, name in enumerate(waiting):
                firsts.setdefault(self._shapes[name], place)
            others = min((place for shape, place in firsts.items() if shape not in served), default=0)
            waiting.insert(0, waiting.pop(firsts.get(self._served.get(tuner_id, ""), others)))
            self.waiting = waiting
        trial = super().create_trial(tuner_id)
        if trial.status == RUNNING:
            self._served[tuner_id] = self._shapes[self.name(trial)]
        return trial

    def save(self) -> None:
        """KerasTuner's files, saved at each step though they grow with the study: for a twentieth of the time.

        Its state names trials that run, and can be read only where the files of those are.
        """
        began = time.monotonic()
        if began >= self._next_save:
            self._save_trials(until=began + _SAVE_SECONDS)
            if not self._unsaved:
                super().save()
            self._next_save = time.monotonic() + 19 * (time.monotonic() - began)

    def _save_trial(self, trial: Any) -> None:
        """KerasTuner's file of a trial: by one of the next ``save``, as workers would wait for 10,000 of them."""
        self._unsaved[trial.trial_id] = trial

    def _save_trials(self, until: float = math.inf) -> None:
        while self._unsaved and time.monotonic() < until:
            trial_id, trial = next(iter(self._unsaved.items()))
            super()._save_trial(trial)
            del self._unsaved[trial_id]

    def _check_consecutive_failures(self) -> None:
        """A failed trial is a row of the table, no reason to stop; KerasTuner looks at all that ended, each time."""

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
        """The study's name of one of KerasTuner's trials."""
        return self._names[trial.trial_id]

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
        if not self.ongoing_trials and not self._retry_queue:
            self._save_trials()
            super().save()


@contextlib.contextmanager
def served(
    create_trial: Callable[[str], tuple[str, str]],
    end_trial: Callable[[str, bool], None],
    address: str,
    token: str,
    thread: futures.ThreadPoolExecutor,
) -> Iterator[int]:
    """Serve an oracle to other processes that show the token, as KerasTuner's service; the port.

    Args:
        create_trial: by a tuner's id, a status and if that is RUNNING the study's name of a trial; raises
            ``LeadLostError`` if this process is no longer the chief, as does ``end_trial``.
        end_trial: by that name; and whether it is given back to be run by another.
        address: HOST:PORT of this machine; port 0: any.
        token: what a call has to show.
        thread: in which both are called.

    Raises:
        InputError: the address cannot be served.
    """
    service, trial_proto = protos.get_service(), protos.get_proto().Trial

    def led(context: Any, method: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except LeadLostError:  # let the caller look for the next chief
            context.abort(grpc.StatusCode.UNAVAILABLE, "another process leads the study now")

    class Servicer(protos.get_service_grpc().OracleServicer):  # type: ignore[misc]
        def CreateTrial(self, request: Any, context: Any) -> Any:  # noqa: N802
            status, name = led(context, create_trial, request.tuner_id)
            return service.CreateTrialResponse(trial=trial_proto(trial_id=name, status=_Status.to_proto(status)))

        def EndTrial(self, request: Any, context: Any) -> Any:  # noqa: N802
            led(context, end_trial, request.trial.trial_id, request.trial.status == _Status.to_proto(INVALID))
            return service.EndTrialResponse()

    options = [
        ("grpc.so_reuseport", 0),  # else two chiefs could share a port, and each get half of the requests
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 4000),  # clients ask whether the connection is alive
    ]
    server = grpc.server(thread, interceptors=[_TokenCheck(token)], options=options)
    protos.get_service_grpc().add_OracleServicer_to_server(Servicer(), server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        raise InputError(
            f"{address}: cannot be served; --address should be this machine's, with a port that is free (0: any)"
        ) from None
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=1).wait()


_HEADER = "authorization"


def _shown(token: str) -> str:
    return f"Bearer {token}"


class _TokenCheck(grpc.ServerInterceptor):
    """Refuses calls without the token, before their content is read."""

    def __init__(self, token: str):
        self._expected = _shown(token)
        self._refusal = grpc.unary_unary_rpc_method_handler(
            lambda _, context: context.abort(REFUSED, "not the token of this study")
        )

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """The method asked for, or the refusal."""
        given = dict(details.invocation_metadata).get(_HEADER, "")
        is_right = hmac.compare_digest(given.encode(), self._expected.encode())  # takes as long whatever is wrong
        return continuation(details) if is_right else self._refusal


class OracleClient:
    """The oracle that another process serves at an address.

    Every method raises ``grpc.RpcError`` if there is no answer within ``seconds``.
    """

    def __init__(self, address: str, token: str, seconds: float):
        options = [
            # By default gRPC backs off for a minute or two, and would find a chief that starts late even later.
            ("grpc.min_reconnect_backoff_ms", 5000),
            ("grpc.max_reconnect_backoff_ms", 2000),
            # A connection over a network that failed is closed; TCP alone waits as long again as it had failed.
            ("grpc.keepalive_time_ms", 5000),
            ("grpc.keepalive_timeout_ms", 4000),
            ("grpc.enable_http_proxy", 0),
        ]
        self._stub = protos.get_service_grpc().OracleStub(grpc.insecure_channel(address, options=options))
        self._service = protos.get_service()
        self._options: dict[str, Any] = {"timeout": seconds, "metadata": ((_HEADER, _shown(token)),)}

    def create_trial(self, tuner_id: str) -> tuple[str, str]:
        """The status, and if that is RUNNING the study's name of a trial to run."""
        request = self._service.CreateTrialRequest(tuner_id=tuner_id)
        trial = self._stub.CreateTrial(request, **self._options).trial
        return _Status.from_proto(trial.status), trial.trial_id

    def end_trial(self, name: str, *, give_back: bool = False) -> None:
        """Say that a trial, by the study's name, has ended, or was given back to be run by another worker."""
        trial = protos.get_proto().Trial(trial_id=name)
        if give_back:
            trial.status = _Status.to_proto(INVALID)
        self._stub.EndTrial(self._service.EndTrialRequest(trial=trial), **self._options)
