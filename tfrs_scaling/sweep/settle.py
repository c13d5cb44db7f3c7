"""Runs that settle what a finished study leaves open, within a budget of time: it grows by those that advice names."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import duration, plural
from tfrs_scaling.config import Config, read_config
from tfrs_scaling.fit.advice.advice import Advice
from tfrs_scaling.hardware import StrategyName
from tfrs_scaling.planning.cost import wall_seconds
from tfrs_scaling.planning.plan import by_shape, jobs_at_once, plan_on
from tfrs_scaling.study.growth import with_runs
from tfrs_scaling.study.trials import Trial
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.agenda import Agenda


def settle(
    budgets: Iterable[str],
    seconds: float,
    *,
    config: Config,
    advise: Callable[[str], Advice],
    run: Callable[[Config], None],
    estimate: Callable[[Config], float],
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Config:
    """Grow a study by the runs that would settle its answers, until they are settled or the time is gone.

    Of seeds and data sizes, as many are run as there is time for. None begins that the plan expects to end too late.

    Args:
        budgets: what the answers are to, one after the other.
        seconds: that may be spent.
        config: the study, which has been run.
        advise: the answer to a budget, from the runs that are done by then.
        run: runs what a grown study adds, and fits it.
        estimate: the seconds that will take.
        say: called with lines for the user.
        clock: seconds since any moment.

    Returns:
        The study as it has become.
    """
    ends = clock() + seconds
    for budget in budgets:
        found = advise(budget)
        while (grown := _next(budget, found, config, ends - clock(), estimate, say)) is not None:
            config, before = grown, found.answer
            run(config)
            found = advise(budget)
            changed = f"was: {before} Now: {found.answer}" if found.answer != before else f"stays: {found.answer}"
            say(f"{budget}: the answer {changed}")
    return config


def _next(
    budget: str,
    found: Advice,
    config: Config,
    left: float,
    estimate: Callable[[Config], float],
    say: Callable[[str], None],
) -> Config | None:
    """The study with the runs that come next; None if there are none. Says why."""
    if found.settle is None:
        say(f"{budget}: settled. {found.answer}")
        return None
    if not found.settle.overrides:
        say(f"{budget}: no further runs. {found.settle.runs}")
        return None
    if any(override.startswith("synthetic.rows=") for override in found.settle.overrides):
        say(f"{budget}: still open. {found.settle.runs} They take another study, whose command `advise` prints.")
        return None
    why_not = "All of it has been run."
    for number, grown in enumerate(_further(config, found.settle.overrides)):
        try:
            needed = estimate(grown)
        except InputError as error:  # too few rows
            why_not = f"It cannot be run: {error}"
            continue
        why_not = f"The least of it takes about {duration(needed)}, and {duration(max(left, 0.0))} are left."
        if needed <= left:
            what = f"{'Part of it' if number else 'It'} takes about {duration(needed)} of the {duration(left)} left."
            say(f"{budget}: {found.settle.runs} {what}")
            return grown
    say(f"{budget}: still open. {found.settle.runs} {why_not}")
    return None


def _further(config: Config, overrides: tuple[str, ...]) -> Iterator[Config]:
    """The study with the runs that overrides propose, and with ever fewer of their data sizes and seeds."""
    other = read_config(config, (*overrides, "sweep.more_seeds={}"))  # those that it has may be of other shapes
    sweep, last = other.sweep, config.sweep.examples[-1]
    fewest = min(sum(size <= last for size in sweep.examples) + 1, len(sweep.examples))
    for sizes in range(len(sweep.examples), fewest - 1, -1):
        for seeds in range(len(sweep.seeds), 0, -1):
            part = dataclasses.replace(sweep, examples=sweep.examples[:sizes], seeds=sweep.seeds[:seeds])
            grown = with_runs(config, dataclasses.replace(other, sweep=part))
            if grown != config:
                yield grown


def seconds_to_grow(workdir: Workdir, grown: Config, strategy: StrategyName, jobs: int | None) -> float:
    """About how long it takes to run what a grown study adds to what its folder holds.

    The plan says how long trials take relative to each other; those that are done, how long by the clock.

    Args:
        workdir: the study's folder, with trials that are done.
        grown: the configuration that it would have.
        strategy: the hardware of each trial.
        jobs: trials at a time; None: as many as the machine allows.

    Raises:
        InputError: there are too few rows for it.
    """
    return _lacking(workdir, grown, strategy, jobs)[1]


def growth_words(workdir: Workdir, grown: Config, strategy: StrategyName, jobs: int | None) -> str:
    """What a folder lacks of a grown study, as a sentence; arguments and errors are those of ``seconds_to_grow``."""
    left, seconds = _lacking(workdir, grown, strategy, jobs)
    records = (workdir.record(trial.trial_id) for trial in left)
    again = sum(record is not None and record["status"] == "ok" for record in records)
    why = f", {again} of them again, as they have fewer data sizes and no model is kept" if again else ""
    about = "about " if grown.training.learning_rates == "auto" else ""
    return f"{workdir.root}: lacks {about}{plural(len(left), 'trial')}{why}: about {duration(seconds)}"


def _lacking(workdir: Workdir, grown: Config, strategy: StrategyName, jobs: int | None) -> tuple[list[Trial], float]:
    """The trials that a folder lacks, and the seconds that they take."""
    _, manifest = workdir.reopened()
    planned = plan_on(grown, manifest, strategy=strategy)
    before = workdir.read_plan() if workdir.plan.exists() else {}
    records = {name: workdir.record(name) for name in before}
    took = {name: record["seconds"] for name, record in records.items() if record and record["status"] == "ok"}
    pace = sum(took.values()) / sum(before[name] for name in took) if sum(took.values()) else 1.0
    seconds = {p.trial.trial_id: p.seconds for p in planned}
    longest = {name: p.seconds for name, p in by_shape(planned).items()}
    left = Agenda(grown, workdir, retry=False).left()
    to_run = [seconds.get(trial.trial_id, longest[trial.shape_id]) * pace for trial in left]
    return left, wall_seconds(to_run, jobs or jobs_at_once(planned, strategy))
