"""A study, from its configuration to its run table: what the commands ``sweep`` and ``study`` call.

Importing this file loads no TensorFlow; ``run_study`` does.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tfrs_scaling
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config, read_config
from tfrs_scaling.hardware import StrategyName, check_jobs, choose_strategy, this_worker
from tfrs_scaling.training.isolation import start_server
from tfrs_scaling.training.tensorflow_startup import load_tensorflow

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from tfrs_scaling.input.shards import ClickData
    from tfrs_scaling.planning.plan import PlannedTrial
    from tfrs_scaling.study.lead import Lead, Watch
    from tfrs_scaling.study.workdir import Workdir
    from tfrs_scaling.sweep.endpoint import Endpoint


def run_study(
    config: str | Path | Mapping[str, Any] | Config,
    *,
    data: str | Path | None = None,
    workdir: str | Path | None = None,
    jobs: int | None = None,
    strategy: StrategyName | Literal["auto"] = "auto",
    time_limit: float | None = None,
    overrides: Sequence[str] = (),
    address: str | None = None,
    token_file: str | Path | None = None,
    say: Callable[[str], None] | None = print,
    console: "Console | None" = None,
) -> "pd.DataFrame":
    """Run every trial of a study that is not yet done, and return its run table.

    Called again, also after it was killed, it continues where it was; with a configuration that only adds (multipliers,
    schemes, architectures, seeds, learning rates, data sizes after the last), it keeps what is done and runs the rest,
    and the table is that of a study run at once. Of several processes that call it, on machines that share the folder,
    the first leads and the others join it, at any time; the leader alone prepares data and writes runs.csv. Where it
    prepares data, TensorFlow in this process then sees no GPU: trials have them.

    Each trial is a process of its own, so a script must call this under ``if __name__ == "__main__":``.

    Examples:
        >>> runs = run_study("study.yaml", workdir="runs/mine", overrides=["sweep.V=[1/4, 4]"], say=None)
        >>> runs["scheme"].unique().tolist()
        ['D', 'V']

    Args:
        config: a YAML file, what one would hold, or a configuration.
        data: folder of prepared data; None: the study's own, made or prepared in
            ``workdir``/data.
        workdir: the study's folder; None: runs/NAME, NAME being the study's.
        jobs: trials at a time, sharing the cores, and the GPUs and their memory; None: one per core, if memory allows;
            one on a TPU.
        strategy: the hardware of each trial; ``auto``: what there is, and of CPU and GPU the one that is faster by a
            calibration, which is only made before the first trial has ended.
        time_limit: minutes after which a trial, or the training of a teacher or scorer, is ended; None: 20 times its
            planned time, at least an hour.
        overrides: ``key.key=value`` texts that replace values of ``config``.
        address: HOST:PORT of this machine at which it lets other processes join, if it leads; port 0: any; None: at
            any port of its address in the network.
        token_file: whoever can read it can join; None: ``workdir``/token, which is made for this user alone.
        say: called with lines for the user; None: say nothing.
        console: a rich console, to show progress as a live line on a terminal; else ``say`` gets a line per trial.

    Returns:
        A row for each trial at each data size, with the columns and dtypes of ``fit.runs.COLUMNS``.

    Raises:
        InputError: a setting is invalid, the machine lacks the hardware asked for, the data do not suit the study, the
            workdir holds another study, or one with more trials, or cannot be written to; the study that runs there
            cannot be joined; or no trial could be measured.
        KeyboardInterrupt: Ctrl-C was pressed; running trials were ended, and the same call continues from there.
    """
    settings = read_config(config, overrides)
    place = Path(workdir or default_workdir(settings))
    leads = run_or_join(
        settings, data=data, workdir=place, jobs=jobs, strategy=strategy, time_limit=time_limit, address=address,
        token_file=token_file, say=say or (lambda _: None), console=console,
    )  # fmt: skip
    from tfrs_scaling.fit.runs.run_table import read_runs
    from tfrs_scaling.study.workdir import Workdir

    return read_runs(Workdir(place).runs) if leads else _measured(settings, Workdir(place))


def run_or_join(
    config: Config,
    *,
    data: str | Path | None,
    workdir: Path,
    jobs: int | None,
    strategy: StrategyName | Literal["auto"],
    time_limit: float | None,
    address: str | None,
    token_file: str | Path | None,
    say: Callable[[str], None],
    console: "Console | None",
    lead: "Lead | None" = None,
) -> bool:
    """``run_study``, without reading its run table; whether this process led the study at its end, and wrote it.

    ``lead``: of the study, if this process has it already.
    """
    chosen, why = choose_strategy(strategy)
    _check(config, chosen, jobs)
    if chosen != "tpu":
        start_server()  # in the background: it takes as long as loading TensorFlow here
    with console.status("loading TensorFlow") if console else contextlib.nullcontext():
        load_tensorflow()
    from tfrs_scaling.fit.runs.run_table import write_runs
    from tfrs_scaling.study.lead import Watch
    from tfrs_scaling.study.workdir import Workdir
    from tfrs_scaling.sweep.choice import gpu_or_cpu
    from tfrs_scaling.sweep.endpoint import TOKEN, Endpoint
    from tfrs_scaling.sweep.multi_worker import join_as_worker
    from tfrs_scaling.sweep.own_data import make_own_data
    from tfrs_scaling.sweep.runner import write_errors_located

    place, folder = Workdir(workdir), str(workdir / "data" if data is None else data)
    endpoint = Endpoint(address, Path(token_file or workdir / TOKEN))
    limit = None if time_limit is None else 60 * time_limit
    longest = f"{time_limit:g} min" if time_limit else "20 times its planned time, at least an hour"
    by_many = chosen == "multi_worker"
    if by_many and this_worker().index > 0:
        say(f"study {config.study}: {chosen} ({why}), joins the chief's trials in {workdir}")
        join_as_worker(config, folder, place, this_worker(), say)
        return False
    with write_errors_located(place), contextlib.ExitStack() as stack:
        watch = Watch(workdir)
        lead = lead or watch.enter(join=not by_many, alone=by_many, say=say)
        if lead is not None:
            stack.callback(lead.close)
            if data is None:
                make_own_data(config, folder, place, say, console)
        if (strategy, chosen) == ("auto", "gpu"):
            with console.status("calibrating") if console else contextlib.nullcontext() as status:
                tell = status.update if status else lambda _: None
                chosen, why = gpu_or_cpu(config, folder, place, jobs, tell)
        what = "joins the study that runs in" if lead is None else "in"
        more = "" if by_many else "; the same command elsewhere joins" if lead is not None else ""
        say(f"study {config.study}: {chosen} ({why}), {what} {workdir}{more}; time limit of a trial: {longest}")
        leads = _run(
            config, folder, place, watch, lead, None if by_many else endpoint, chosen, jobs, limit, say, console
        )
        if leads:
            runs = _measured(config, place, before=lambda runs: write_runs(runs, place.runs))
            say(f"{place.runs}: {len(runs)} rows")
        else:
            say(f"{workdir}: no trial is left; the process that leads the study writes {place.runs}")
    return leads


def _measured(
    config: Config, workdir: "Workdir", before: "Callable[[pd.DataFrame], None]" = lambda _: None
) -> "pd.DataFrame":
    """The study's run table.

    Raises:
        InputError: nothing was measured.
    """
    from tfrs_scaling.study.export import export

    runs = export(*workdir.reopened(), workdir)
    before(runs)
    if (runs["status"] != "ok").all():
        first = runs.sort_values("status", kind="stable").iloc[0]  # of those that failed, if any did
        counts = ", ".join(f"{count} {status}" for status, count in runs["status"].value_counts().items())
        raise InputError(
            f"study {config.study}: nothing was measured ({counts}). {first['trial_id']}: {first['reason']}"
        )
    return runs


def default_workdir(config: Config) -> Path:
    """The folder of a study that was given none."""
    return Path("runs") / "".join(c if c.isalnum() or c in "-_" else "_" for c in config.study)


def _check(config: Config, strategy: StrategyName, jobs: int | None) -> None:
    """Check that the strategy can train the study."""
    from tfrs_scaling.study.trials import why_from_scratch

    check_jobs(strategy, jobs)
    if strategy != "tpu":
        return
    if why := why_from_scratch(config):
        raise InputError(f"{why}; on a TPU a process can train one model only: change that, or --strategy")
    if config.training.table_optimizer == "adagrad" and config.training.accumulator == 0:
        raise InputError("training.accumulator: TPUEmbedding refuses 0 for Adagrad; 1e-8 is as good")


def _run(
    config: Config,
    folder: str,
    workdir: "Workdir",
    watch: "Watch",
    lead: "Lead | None",
    endpoint: "Endpoint | None",
    strategy: StrategyName,
    jobs: int | None,
    limit: float | None,
    say: Callable[[str], None],
    console: "Console | None",
) -> bool:
    """Run the study's trials, those that the leader hands out to this process; whether that is this one at the end."""
    from tfrs_scaling.input.shards import ClickData
    from tfrs_scaling.planning.plan import crowding, jobs_at_once, plan_on
    from tfrs_scaling.study.row_scores import with_scores
    from tfrs_scaling.study.trials import rows_by_trial
    from tfrs_scaling.sweep.agenda import Agenda
    from tfrs_scaling.sweep.member import sweep
    from tfrs_scaling.sweep.progress import SweepProgress
    from tfrs_scaling.sweep.runner import Runner, write_plan
    from tfrs_scaling.sweep.scores import make_missing_scores
    from tfrs_scaling.training.trial import run_trial

    data = ClickData.open(folder)
    if lead is None:
        workdir.check(config, data)
    elif workdir.study.exists():
        workdir.additions(config, data.manifest)  # lest the plan refuses what is another study anyway
    planned = plan_on(config, data.manifest, strategy=strategy)
    jobs = jobs or jobs_at_once(planned, strategy)
    if warning := crowding(planned, strategy, jobs):
        say(warning)
    if lead is not None:
        _claim(config, data, workdir, planned, strategy, jobs, say)
        if config.scorers:  # the chief records the plan too, but starts once there are scores
            write_plan(workdir, Agenda(config, workdir, retry=False), planned, lambda _: None)
        data = make_missing_scores(config, data, workdir, strategy, limit, lead.is_lost, say, console)
    else:
        data = with_scores(config, data, workdir.root)  # they are there: the leader makes them before it can be joined
    runner = Runner(config, data, workdir, strategy=strategy, jobs=jobs, time_limit=limit, train=run_trial)
    with SweepProgress(
        say, console if lead else None, rows=lambda trial_ids: rows_by_trial(config, trial_ids)
    ) as progress:
        leads = sweep(
            config, workdir, planned, runner, progress.update, lead, on_plan=progress.plan, watch=watch,
            endpoint=endpoint, check=lambda: workdir.check(config, data), say=say,
        )  # fmt: skip
    if leads:
        say(progress.summary())
    return leads


def _claim(
    config: Config,
    data: "ClickData",
    workdir: "Workdir",
    planned: "list[PlannedTrial]",
    strategy: StrategyName,
    jobs: int,
    say: Callable[[str], None],
) -> None:
    """Record what the study is, and say so."""
    from tfrs_scaling.study.trials import why_from_scratch
    from tfrs_scaling.sweep.settle import growth_words

    added = workdir.claim(config, data)
    for change in added:
        say(f"{workdir.root}: the study grows: {change}")
    if added:
        say(growth_words(workdir, config, strategy, jobs))
    about = "about " * (config.training.learning_rates == "auto")
    say(f"study {config.study}: {about}{len(planned)} trials × {len(config.ladder)} data sizes, {jobs} at a time")
    if from_scratch := why_from_scratch(config):
        say(from_scratch)
    if earlier := workdir.code_versions() - {tfrs_scaling.__version__}:
        say(
            f"note: {workdir.trials} holds trials of version {', '.join(sorted(earlier))}; those that follow are of "
            f"{tfrs_scaling.__version__}. The column code_version of runs.csv says which is which"
        )
