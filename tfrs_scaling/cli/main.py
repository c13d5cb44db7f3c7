"""The command line: schema, prepare, data, plan, sweep, status, export, fit, report, study, advise."""

import contextlib
import functools
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import click

import tfrs_scaling
from tfrs_scaling.cli import data as cli_data
from tfrs_scaling.cli.advise import advise
from tfrs_scaling.cli.terminal import FilePath, FolderPath, console, located_errors, say, wait_for_tensorflow
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.strict_yaml import read_yaml
from tfrs_scaling.hardware import StrategyName, choose_strategy, this_worker
from tfrs_scaling.sweep.role import this_member
from tfrs_scaling.training.isolation import start_server

config_argument = click.argument("config_path", metavar="CONFIG", type=FilePath)
set_option = click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key of CONFIG: training.batch_size=512."
)
data_option = click.option(
    "--data", "data_folder", help="Folder of prepared data; else CONFIG's synthetic clicks are made."
)
workdir_option = click.option(
    "--workdir", type=FolderPath, help="The study's folder. [default: runs/NAME, NAME being CONFIG's study]"
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    help="Trials at a time, sharing the cores. [default: one per core, if memory allows; one per GPU; one on a TPU]",
)
time_limit_option = click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="End a trial that takes longer. [default: 20 times what it was planned to take, an hour at least]",
)
strategy_option = click.option(
    "--strategy", type=click.Choice(["auto", *get_args(StrategyName)]), default="auto", show_default=True
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(tfrs_scaling.__version__)
def main() -> None:
    """Where should a recommender's next unit of resource go: data, rows, dimensions or widths?

    A study trains DLRMs of many shapes on a ladder of data sizes, fits scaling laws to their NE, and writes a report.
    """


for command in (cli_data.schema, cli_data.prepare, cli_data.data, advise):
    main.add_command(command)


@main.command()
@config_argument
@data_option
@jobs_option
@strategy_option
@click.option("--price", type=click.FloatRange(min=0), help="Of an hour of this machine, to tell the study's cost.")
@set_option
@located_errors
def plan(
    config_path: Path,
    data_folder: str | None,
    jobs: int | None,
    strategy: StrategyName | Literal["auto"],
    price: float | None,
    overrides: tuple[str, ...],
) -> None:
    """Print every trial with its parameters, FLOPs, memory and time, and what the study takes.

    Times come from some seconds of steps of its smallest and largest shapes, made on this machine as the sweep would.
    """
    from tfrs_scaling.config import read_config

    config = read_config(config_path, overrides)
    chosen, _ = choose_strategy(strategy)
    if chosen == "multi_worker":
        raise InputError("TF_CONFIG: plan measures one machine alone; unset it, or choose another --strategy")
    wait_for_tensorflow()
    from tfrs_scaling.input.shards import ClickData
    from tfrs_scaling.planning import plan as planning
    from tfrs_scaling.planning.calibration import calibrate, synthetic_data
    from tfrs_scaling.planning.text import sentences, trial_table

    preparing = 0.0
    with tempfile.TemporaryDirectory() as folder, console.status("reading data") as status:
        if data_folder is not None:
            data = ClickData.open(data_folder)
            planned_at = functools.partial(planning.plan_on, config, data.manifest)
        elif config.synthetic is not None:
            rows = config.synthetic.rows
            planned_at = functools.partial(planning.plan, config, config.synthetic.schema(), round(0.15 * rows))
            planned_at()  # mistakes are told before anything is made
            status.update("making synthetic clicks")
            began = time.monotonic()
            data = synthetic_data(config.synthetic, Path(folder) / "clicks")
            preparing = (time.monotonic() - began) * rows / sum(s.rows for s in data.manifest.splits.values())
        else:
            raise InputError(f"{config_path}: has no synthetic section, so the plan needs --data DIR")
        planned = planned_at()
        jobs = jobs or planning.jobs_at_once(planned, chosen)
        calibration = calibrate(config, data, planned, Path(folder), strategy=chosen, jobs=jobs, hear=status.update)
    planned = planned_at(calibration.speed)
    say(f"{config.study}: {len(planned)} trials × {len(config.ladder)} data sizes")
    console.print(trial_table(planned))
    for sentence in sentences(config, planned, calibration, jobs, price, preparing):
        say(sentence)


@main.command()
@config_argument
@data_option
@workdir_option
@jobs_option
@strategy_option
@time_limit_option
@set_option
@located_errors
def sweep(**options: Any) -> None:
    """Run every trial of a study that is not yet done."""
    _sweep(**options)


@main.command()
@config_argument
@data_option
@workdir_option
@jobs_option
@strategy_option
@time_limit_option
@set_option
@located_errors
def study(**options: Any) -> None:
    """Sweep, export, fit and report: the whole study. Started again, it goes on where it was."""
    workdir = _sweep(**options)
    if workdir is None:
        return
    _export(workdir)
    _fit(workdir.runs)
    _report(workdir)


@main.command()
@click.argument("workdir_path", metavar="WORKDIR", type=FolderPath)
@located_errors
def status(workdir_path: Path) -> None:
    """How far a study is: done, running, failed, to do, and the time left."""
    from tfrs_scaling.study.status import read_status, rendered
    from tfrs_scaling.study.workdir import Workdir

    console.print(rendered(read_status(Workdir(workdir_path))), soft_wrap=True)


@main.command()
@click.argument("workdir_path", metavar="WORKDIR", type=FolderPath)
@located_errors
def export(workdir_path: Path) -> None:
    """Event files -> runs.csv."""
    wait_for_tensorflow()
    from tfrs_scaling.study.workdir import Workdir

    _export(Workdir(workdir_path))


@main.command()
@click.argument("runs", type=FilePath)
@located_errors
def fit(runs: Path) -> None:
    """Fit the scaling laws of a run table; writes fits.json beside it."""
    _fit(runs)


@main.command()
@click.argument("workdir_path", metavar="WORKDIR", type=FolderPath)
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["html", "png", "svg"]),
    default="html",
    show_default=True,
    help="png and svg: every figure to WORKDIR/figures, by a headless Chromium.",
)
@located_errors
def report(workdir_path: Path, suffix: Literal["html", "png", "svg"]) -> None:
    """Runs.csv and fits.json -> report.html, tables/*.csv and TensorBoard's texts; or the figures as images."""
    wait_for_tensorflow()
    from tfrs_scaling.study.workdir import Workdir

    workdir = Workdir(workdir_path)
    if suffix == "html":
        _report(workdir)
    else:
        _images(workdir, suffix)


def _sweep(
    config_path: Path,
    data_folder: str | None,
    workdir: Path | None,
    jobs: int | None,
    strategy: StrategyName | Literal["auto"],
    time_limit: float | None,
    overrides: tuple[str, ...],
) -> Any:
    """Run the study's trials; its folder, or None on a worker that leaves what follows to the chief."""
    from tfrs_scaling.config import read_config

    config = read_config(config_path, overrides)
    member, limit = this_member(), time_limit and 60 * time_limit
    if member is None or not member.is_chief:
        start_server()  # it takes as long as what follows
    wait_for_tensorflow()
    from tfrs_scaling.input.shards import ClickData
    from tfrs_scaling.planning import plan as planning
    from tfrs_scaling.study.trials import why_apart
    from tfrs_scaling.study.workdir import Workdir
    from tfrs_scaling.sweep import chief as cluster
    from tfrs_scaling.sweep.grid import sweep as run_sweep
    from tfrs_scaling.sweep.multi_worker import follow
    from tfrs_scaling.sweep.progress import SweepProgress

    chosen, why = choose_strategy(strategy)
    apart = why_apart(config)
    if apart and chosen == "tpu":
        raise InputError(f"{apart}; a TPU takes one model in a process: leave that out, or choose another --strategy")
    place = Workdir(workdir or Path("runs") / "".join(c if c.isalnum() or c in "-_" else "_" for c in config.study))
    made_here, data_folder = data_folder is None, data_folder or str(place.root / "data")
    if member is not None and chosen == "multi_worker":
        raise InputError("TF_CONFIG and KERASTUNER_ORACLE_IP are both set: trials on all machines, or a trial on each?")
    may_take = f"{time_limit:g} min" if time_limit else "20 times its planned time, an hour at least"
    if member is not None and not member.is_chief:
        say(f"study {config.study}: {chosen} ({why}), works for {place.root}; a trial may take {may_take}")
        with _resumable():
            cluster.work(config, data_folder, place, member, strategy=chosen, jobs=jobs, time_limit=limit, say=say)
        return None
    if chosen == "multi_worker":
        worker = this_worker()
        if jobs not in (None, 1):
            raise InputError(f"--jobs: {jobs} under multi_worker, whose workers all train one trial; leave it out")
        if worker.index > 0:
            say(f"study {config.study}: {chosen} ({why}), joins the chief's trials in {place.root}")
            follow(config, data_folder, place, worker, say)
            return None
    with place.locked():
        if made_here and not Path(data_folder).exists():
            cli_data.report_prepared(cli_data.prepare_synthetic(config_path, overrides, data_folder), data_folder)
        data = ClickData.open(data_folder)
        planned = planning.plan_on(config, data.manifest)
        jobs = jobs or planning.jobs_at_once(planned, chosen)
        place.claim(config, data)
        grid = f"study {config.study}: {len(planned)} trials × {len(config.ladder)} data sizes"
        if member is not None:
            say(f"{grid}, chief at {member.address}, in {place.root}")
        else:
            say(f"{grid} on {chosen} ({why}), {jobs} at a time, in {place.root}")
            say(f"a trial may take {may_take}; then it is ended")
        if apart:
            say(apart)
        with SweepProgress(console, {p.trial.trial_id: p.seconds for p in planned}) as progress, _resumable():
            if member is not None:
                cluster.lead(config, place, planned, member, watcher=progress.hear, say=say)
            else:
                run_sweep(
                    config,
                    data,
                    place,
                    planned,
                    strategy=chosen,
                    jobs=jobs,
                    watcher=progress.hear,
                    time_limit=limit,
                )
        say(progress.summary())
    return place


@contextlib.contextmanager
def _resumable() -> Iterator[None]:
    """Ctrl-C, or a scheduler's SIGTERM, ends a sweep and its trials without a traceback."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)


def _export(workdir: Any) -> None:
    from tfrs_scaling.fit.runs import write_runs
    from tfrs_scaling.study.export import export as export_runs

    config, manifest = workdir.reopened()
    runs = export_runs(config, manifest, workdir)
    write_runs(runs, workdir.runs)
    say(f"{workdir.runs}: {len(runs)} rows")


def _fit(runs_path: Path) -> None:
    from tfrs_scaling.fit.runs import read_runs
    from tfrs_scaling.fit.study import fit_study

    study_path, fits_path = runs_path.with_name("study.json"), runs_path.with_name("fits.json")
    data = read_yaml(study_path)["data"] if study_path.exists() else {}
    fits = fit_study(
        read_runs(runs_path), bayes_ne=data.get("bayes_ne"), bayes_ne_standard_error=data.get("bayes_ne_standard_error")
    )
    fits.write(fits_path)
    say(f"{fits_path}: written")


def _report(workdir: Any) -> None:
    from tfrs_scaling.fit.report.report import write_report
    from tfrs_scaling.fit.runs import read_runs
    from tfrs_scaling.fit.study import StudyFits

    runs, study = read_runs(workdir.runs), StudyFits.read(workdir.fits)
    write_report(runs, study, workdir.report, about=workdir.read_study(), tensorboard=workdir.board)
    say(f"report: {workdir.report}")


def _images(workdir: Any, suffix: Literal["png", "svg"]) -> None:
    from tfrs_scaling.fit.report.images import write_images
    from tfrs_scaling.fit.runs import read_runs
    from tfrs_scaling.fit.study import StudyFits

    folder, runs, study = workdir.root / "figures", read_runs(workdir.runs), StudyFits.read(workdir.fits)
    files = write_images(runs, study, folder, about=workdir.read_study(), suffix=suffix)
    say(f"{len(files)} figures: {folder}/*.{suffix}")
