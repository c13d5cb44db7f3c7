"""The commands that run a study: plan, sweep, status, export, study."""

import contextlib
import functools
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import click

from tfrs_scaling.cli.advise import say_decision
from tfrs_scaling.cli.fit import fit_runs, report_of_study
from tfrs_scaling.cli.terminal import (
    FilePath,
    FiniteRange,
    FolderPath,
    console,
    located_errors,
    say,
    wait_for_tensorboard,
    wait_for_tensorflow,
)
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.hardware import StrategyName, check_jobs, choose_strategy
from tfrs_scaling.training.tensorflow_startup import start_devices

config_argument = click.argument("config_path", metavar="CONFIG", type=FilePath)
set_option = click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key of CONFIG: training.batch_size=512."
)
data_option = click.option(
    "--data", "data_folder", help="Folder of prepared data; else CONFIG's own are made or prepared."
)
workdir_option = click.option(
    "--workdir", type=FolderPath, help="The study's folder. [default: runs/NAME, NAME being CONFIG's study]"
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    help="Trials at a time, sharing the cores, and the GPUs and their memory. [default: one per core, if memory "
    "allows; one on a TPU]",
)
time_limit_option = click.option(
    "--time-limit",
    type=FiniteRange(min=0, min_open=True),
    metavar="MINUTES",
    help="End a trial, a teacher or a scorer that takes longer. [default: 20 times its planned time, at least an hour]",
)
address_option = click.option(
    "--address",
    metavar="HOST:PORT",
    help="Where others join this machine, if it leads; port 0: any. [default: its address in the network, any port]",
)
token_option = click.option(
    "--token-file",
    type=FilePath,
    help="Whoever can read this file can join. [default: WORKDIR/token, made for you alone]",
)


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Seconds, minutes or hours, as 90s, 20m or 2h; in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The duration in seconds."""
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh])", str(value))
        if match is None:
            self.fail(f"{value!r}: write 90s, 20m or 2h", param, ctx)
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


strategy_option = click.option(
    "--strategy",
    type=click.Choice(["auto", *get_args(StrategyName)]),
    default="auto",
    show_default=True,
    help="The hardware of each trial. auto: what there is; of CPU and GPU the faster, by a calibration.",
)


def study_command(function: Callable[..., None]) -> click.Command:
    """A command that runs a study, with the options of its run."""
    command: Any = located_errors(function)
    for option in (
        token_option,
        address_option,
        set_option,
        time_limit_option,
        strategy_option,
        jobs_option,
        workdir_option,
        data_option,
    ):
        command = option(command)
    return click.command()(config_argument(command))


@click.command()
@config_argument
@data_option
@jobs_option
@strategy_option
@click.option("--price", type=FiniteRange(min=0), help="Of an hour of this machine, to print the study's cost.")
@click.option(
    "--workdir", type=FolderPath, help="Say instead what the study in this folder lacks if it grows to CONFIG."
)
@set_option
@located_errors
def plan(
    config_path: Path,
    data_folder: str | None,
    workdir: Path | None,
    jobs: int | None,
    strategy: StrategyName | Literal["auto"],
    price: float | None,
    overrides: tuple[str, ...],
) -> None:
    """Print every shape with its parameters, FLOPs, memory and time, and the cost of the study.

    Times are extrapolated from a few seconds of training its smallest and largest shapes on this machine.
    """
    from tfrs_scaling.config import read_config

    config = read_config(config_path, overrides)
    chosen, _ = choose_strategy(strategy)
    if chosen == "multi_worker":
        raise InputError("TF_CONFIG: plan measures a single machine; unset it, or choose another --strategy")
    check_jobs(chosen, jobs)
    wait_for_tensorflow()
    start_devices()
    if workdir is not None:
        _plan_growth(config, workdir, strategy, jobs)
        return
    from tfrs_scaling.input.shards import ClickData
    from tfrs_scaling.planning import plan as planning
    from tfrs_scaling.planning.calibration import synthetic_data
    from tfrs_scaling.planning.choice import GPU_OR_CPU, options
    from tfrs_scaling.planning.text import sentences, shape_table
    from tfrs_scaling.sweep.own_data import own_source, prepare_own

    preparing = 0.0
    with tempfile.TemporaryDirectory() as folder, console.status("reading data") as status:
        if data_folder is not None:
            data = ClickData.open(data_folder)
            planned_at = functools.partial(planning.plan_on, config, data.manifest)
        elif config.synthetic is not None:
            rows = config.synthetic.rows
            train, others = planning.splits_to_make(config.synthetic)
            sizes = config.synthetic.schema(), train.rows, others
            planned_at = functools.partial(planning.plan, config, sizes[0], sizes[2])
            planned_at()  # report mistakes before anything is made
            planning.check_rows(config, train)
            status.update("making synthetic clicks")
            began = time.monotonic()
            data = synthetic_data(config.synthetic, Path(folder) / "clicks")
            preparing = (time.monotonic() - began) * rows / sum(s.rows for s in data.manifest.splits.values())
        else:
            if (source := own_source(config)) is None:
                raise InputError(
                    f"{config_path}: has neither a synthetic nor a log section, so the plan needs --data DIR"
                )
            status.update("reading the log")
            began = time.monotonic()
            prepare_own(config, source, Path(folder) / "log")
            data = ClickData.open(Path(folder) / "log")
            preparing = time.monotonic() - began
            planned_at = functools.partial(planning.plan_on, config, data.manifest)
        candidates = GPU_OR_CPU if (strategy, chosen) == ("auto", "gpu") else (chosen,)
        found = options(candidates, config, data, planned_at, jobs, Path(folder), status.update)
    option = found[0]
    planned = option.planned
    if len(found) > 1:
        say(f"--strategy auto takes {option.strategy}: {' and '.join(each.words for each in found)}")
    about = "about " if config.training.learning_rates == "auto" else ""
    say(f"{config.study}: {about}{len(planned)} trials × {len(config.ladder)} data sizes")
    console.print(shape_table(planned))
    if data_folder is not None or config.synthetic is None:
        rows_of = {name: split.rows for name, split in data.manifest.splits.items()}
        sizes = data.manifest.schema, rows_of["train"], rows_of["validation"] + rows_of["test"]
    scorers = planning.plan_scorers(config, *sizes, option.calibration.speed, option.strategy)
    for sentence in sentences(config, option, price, preparing, scorers):
        say(sentence)


@study_command
def sweep(**options: Any) -> None:
    """Run every trial of a study that is not yet done; writes runs.csv. One that only adds to its folder's makes it
    grow. The same command elsewhere, on a machine that shares the folder, joins at any time."""
    _run_study(**_settings(**options))


@study_command
@click.option(
    "--settle",
    "settle_seconds",
    type=Duration(),
    metavar="TIME",
    help="Then spend this long (90s, 20m, 2h) on the runs that would settle what `advise` leaves open: the study grows "
    "by them.",
)
def study(settle_seconds: float | None, **options: Any) -> None:
    """Sweep, export, fit, report and advise: the whole study. Started again, it continues where it was; with a CONFIG
    that only adds (multipliers, seeds, rates, schemes, data sizes at the end), it keeps what is done and runs the rest.
    The same command elsewhere, on a machine that shares the folder, joins at any time.
    """
    settings = _settings(**options)
    with contextlib.ExitStack() as stack:
        if settle_seconds is not None:
            settings |= {"config": _continued(**settings), "lead": stack.enter_context(_kept_lead(**settings))}
        workdir = _run_study(**settings)
        if workdir is None:
            return
        fit_runs(workdir.runs)
        if settle_seconds is not None:
            _settle(workdir, settle_seconds, settings)
    report_of_study(workdir)
    say_decision(workdir)


@click.command()
@click.argument("workdir_path", metavar="WORKDIR", type=FolderPath)
@located_errors
def status(workdir_path: Path) -> None:
    """How far a study is: done, running, failed, to do, and the time left."""
    from tfrs_scaling.study.status import read_status, rendered
    from tfrs_scaling.study.workdir import Workdir

    console.print(rendered(read_status(Workdir(workdir_path))), soft_wrap=True)


@click.command()
@click.argument("workdir_path", metavar="WORKDIR", type=FolderPath)
@click.option("--events", type=FolderPath, help="Copy instead all event files to this folder, for TensorBoard.")
@located_errors
def export(workdir_path: Path, events: Path | None) -> None:
    """Event files -> runs.csv."""
    wait_for_tensorboard()
    from tfrs_scaling.study.export import copy_events
    from tfrs_scaling.study.workdir import Workdir

    if events is None:
        _export(Workdir(workdir_path))
    else:
        say(f"{events}: event files of {copy_events(Workdir(workdir_path), events)} trainings")


def _strategy_here(asked: StrategyName | Literal["auto"], workdir: Any) -> StrategyName:
    """The hardware on which a study goes on."""
    from tfrs_scaling.sweep.choice import strategy_of_trials

    chosen, _ = choose_strategy(asked)
    return (strategy_of_trials(workdir) or chosen) if (asked, chosen) == ("auto", "gpu") else chosen


def _plan_growth(config: Any, folder: Path, asked: StrategyName | Literal["auto"], jobs: int | None) -> None:
    """Say what a study's folder lacks of a configuration, by the pace of the trials that are done."""
    from tfrs_scaling.study.workdir import Workdir
    from tfrs_scaling.sweep.settle import growth_words

    workdir = Workdir(folder)
    _, manifest = workdir.reopened()
    for change in workdir.additions(config, manifest):
        say(str(change))
    say(growth_words(workdir, config, _strategy_here(asked, workdir), jobs))


def _settings(
    config_path: Path, overrides: tuple[str, ...], data_folder: str | None, workdir: Path | None, **options: Any
) -> dict[str, Any]:
    """The arguments of ``run_or_join``, by the command's."""
    from tfrs_scaling.config import read_config
    from tfrs_scaling.sweep.run import default_workdir

    config = read_config(config_path, overrides)
    return {"config": config, "data": data_folder, "workdir": workdir or default_workdir(config), **options}


def _run_study(**settings: Any) -> Any:
    """Run the study; its folder, or None if another process leads it and writes what follows."""
    from tfrs_scaling.study.workdir import Workdir
    from tfrs_scaling.sweep.run import run_or_join

    with _resumable():
        leads = run_or_join(**settings, say=say, console=console)
    return Workdir(settings["workdir"]) if leads else None


def _continued(config: Any, workdir: Path, strategy: Any, **_: Any) -> Any:
    """What the study has become, if it was settled before."""
    from tfrs_scaling.study.workdir import Workdir

    if choose_strategy(strategy)[0] == "multi_worker":
        raise InputError("--settle: one process decides which runs come next; leave it out, or TF_CONFIG (README)")
    return Workdir(workdir).grown_from(config)


@contextlib.contextmanager
def _kept_lead(workdir: Path, **_: Any) -> Iterator[Any]:
    """The lead of a study, also between the sweeps that settle it."""
    from tfrs_scaling.study.lead import Watch

    lead = Watch(workdir).enter(join=False, say=say)
    assert lead is not None
    with lead.kept():
        yield lead


def _settle(workdir: Any, seconds: float, settings: dict[str, Any]) -> None:
    """Spend so many seconds on what would settle the answers to the usual budgets."""
    from tfrs_scaling.cli.advise import answer
    from tfrs_scaling.fit.advice.budget import BUDGETS
    from tfrs_scaling.sweep.settle import seconds_to_grow, settle

    def run(config: Any) -> None:
        _run_study(**settings | {"config": config})
        fit_runs(workdir.runs)

    strategy = _strategy_here(settings["strategy"], workdir)
    settle(
        BUDGETS,
        seconds,
        config=settings["config"],
        advise=functools.partial(answer, workdir),
        run=run,
        estimate=lambda config: seconds_to_grow(workdir, config, strategy, settings["jobs"]),
        say=say,
    )


@contextlib.contextmanager
def _resumable() -> Iterator[None]:
    """Let Ctrl-C, or a scheduler's SIGTERM, end a sweep and its trials without a traceback."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        say("stopped; run the same command again to continue")
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)


def _export(workdir: Any) -> None:
    from tfrs_scaling.fit.runs.run_table import write_runs
    from tfrs_scaling.study.export import export as export_runs

    config, manifest = workdir.reopened()
    runs = export_runs(config, manifest, workdir)
    write_runs(runs, workdir.runs)
    say(f"{workdir.runs}: {len(runs)} rows")
