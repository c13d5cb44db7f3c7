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
from tfrs_scaling.sweep.role import Role, is_leader, this_role
from tfrs_scaling.training.isolation import start_server
from tfrs_scaling.training.tensorflow_startup import load_tensorflow

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from tfrs_scaling.study.workdir import Workdir


def run_study(
    config: str | Path | Mapping[str, Any] | Config,
    *,
    data: str | Path | None = None,
    workdir: str | Path | None = None,
    jobs: int | None = None,
    strategy: StrategyName | Literal["auto"] = "auto",
    time_limit: float | None = None,
    overrides: Sequence[str] = (),
    say: Callable[[str], None] | None = print,
    console: "Console | None" = None,
) -> "pd.DataFrame":
    """Run every trial of a study that is not yet done, and return its run table.

    Called again, also after it was killed, it continues where it was; with a configuration that only adds (multipliers,
    schemes, architectures, seeds, learning rates, data sizes after the last), it keeps what is done and runs the rest,
    and the table is that of a study run at once. It takes the role that the environment gives the
    process (``KERASTUNER_*``, ``TF_CONFIG``): of several processes, the leader alone prepares data and writes runs.csv.
    Where it prepares data, TensorFlow in this process then sees no GPU: trials have them.

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
            calibration (a worker of a chief takes its GPU).
        time_limit: minutes after which a trial is ended; None: 20 times its planned time, at least an hour.
        overrides: ``key.key=value`` texts that replace values of ``config``.
        say: called with lines for the user; None: say nothing.
        console: a rich console, to show progress as a live line on a terminal; else ``say`` gets a line per trial.

    Returns:
        A row for each trial at each data size, with the columns and dtypes of ``fit.runs.COLUMNS``.

    Raises:
        InputError: a setting is invalid, the machine lacks the hardware asked for, the data do not suit the study, the
            workdir holds another study, or one with more trials, is in use or cannot be written to; or no trial could
            be measured.
        KeyboardInterrupt: Ctrl-C was pressed; running trials were ended, and the same call continues from there.
    """
    settings = read_config(config, overrides)
    chosen, why = choose_strategy(strategy)
    leads, role = is_leader(chosen), this_role()
    _check(settings, chosen, jobs)
    if chosen != "tpu" and (role is None or not role.is_chief):
        start_server()  # in the background: it takes as long as loading TensorFlow here
    with console.status("loading TensorFlow") if console else contextlib.nullcontext():
        load_tensorflow()
    from tfrs_scaling.fit.runs.run_table import read_runs, write_runs
    from tfrs_scaling.study.export import export
    from tfrs_scaling.study.workdir import Workdir
    from tfrs_scaling.sweep.choice import gpu_or_cpu
    from tfrs_scaling.sweep.multi_worker import join_as_worker
    from tfrs_scaling.sweep.own_data import make_own_data
    from tfrs_scaling.sweep.runner import write_errors_located
    from tfrs_scaling.sweep.worker import run_worker

    place = Workdir(Path(workdir or default_workdir(settings)))
    folder = str(place.root / "data") if data is None else str(data)
    limit = None if time_limit is None else 60 * time_limit
    longest = f"{time_limit:g} min" if time_limit else "20 times its planned time, at least an hour"
    say = say or (lambda _: None)
    if leads:
        with place.locked(), write_errors_located(place):
            if data is None:
                make_own_data(settings, folder, place, say, console)
            if role is None:
                if (strategy, chosen) == ("auto", "gpu"):
                    with console.status("calibrating") if console else contextlib.nullcontext() as status:
                        tell = status.update if status else lambda _: None
                        chosen, why = gpu_or_cpu(settings, folder, place, jobs, tell)
                say(f"study {settings.study}: {chosen} ({why}), in {place.root}; time limit of a trial: {longest}")
            _lead(settings, folder, place, role, chosen, jobs, limit, say, console)
    elif role is not None:
        say(f"study {settings.study}: {chosen} ({why}), works for {place.root}; time limit of a trial: {longest}")
        run_worker(settings, folder, place, role, strategy=chosen, jobs=jobs, time_limit=limit, say=say)
    else:
        say(f"study {settings.study}: {chosen} ({why}), joins the chief's trials in {place.root}")
        join_as_worker(settings, folder, place, this_worker(), say)
    with write_errors_located(place):
        runs = export(*place.reopened(), place)
        if leads:
            write_runs(runs, place.runs)
            say(f"{place.runs}: {len(runs)} rows")
    if (runs["status"] != "ok").all():
        first = runs.sort_values("status", kind="stable").iloc[0]  # of those that failed, if any did
        counts = ", ".join(f"{count} {status}" for status, count in runs["status"].value_counts().items())
        raise InputError(
            f"study {settings.study}: nothing was measured ({counts}). {first['trial_id']}: {first['reason']}"
        )
    return read_runs(place.runs) if leads else runs


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


def _lead(
    config: Config,
    folder: str,
    workdir: "Workdir",
    role: Role | None,
    strategy: StrategyName,
    jobs: int | None,
    limit: float | None,
    say: Callable[[str], None],
    console: "Console | None",
) -> None:
    """Run the study's trials here or, as chief, hand them out to workers."""
    from tfrs_scaling.input.shards import ClickData
    from tfrs_scaling.planning.plan import crowding, jobs_at_once, plan_on
    from tfrs_scaling.study.trials import rows_by_trial, why_from_scratch
    from tfrs_scaling.sweep.chief import lead
    from tfrs_scaling.sweep.progress import SweepProgress
    from tfrs_scaling.sweep.runner import Runner
    from tfrs_scaling.sweep.scores import make_missing_scores
    from tfrs_scaling.sweep.settle import growth_words
    from tfrs_scaling.sweep.single_process import sweep
    from tfrs_scaling.training.trial import run_trial

    data = ClickData.open(folder)
    if workdir.study.exists():
        workdir.additions(config, data.manifest)  # lest the plan refuses what is another study anyway
    planned = plan_on(config, data.manifest, strategy=strategy)
    jobs = jobs or jobs_at_once(planned, strategy)
    if warning := crowding(planned, strategy, jobs):
        say(warning)
    added = workdir.claim(config, data)
    for change in added:
        say(f"{workdir.root}: the study grows: {change}")
    if added:
        say(growth_words(workdir, config, strategy, jobs))
    how = f"{jobs} at a time" if role is None else f"handed out by the chief at {role.address}, in {workdir.root}"
    about = "about " * (config.training.learning_rates == "auto")
    say(f"study {config.study}: {about}{len(planned)} trials × {len(config.ladder)} data sizes, {how}")
    if from_scratch := why_from_scratch(config):
        say(from_scratch)
    if earlier := workdir.code_versions() - {tfrs_scaling.__version__}:
        say(
            f"note: {workdir.trials} holds trials of version {', '.join(sorted(earlier))}; those that follow are of "
            f"{tfrs_scaling.__version__}. The column code_version of runs.csv says which is which"
        )
    data = make_missing_scores(config, data, workdir, strategy, say)
    with SweepProgress(say, console, rows=lambda trial_ids: rows_by_trial(config, trial_ids)) as progress:
        if role is not None:
            lead(config, workdir, planned, role, watcher=progress.update, on_plan=progress.plan, say=say)
        else:
            runner = Runner(config, data, workdir, strategy=strategy, jobs=jobs, time_limit=limit, train=run_trial)
            sweep(config, workdir, planned, runner, progress.update, progress.plan)
    say(progress.summary())
