"""A plan in words and numbers, for the terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table

from tfrs_scaling.common.words import FLOPS, duration, gib, human
from tfrs_scaling.config import Architecture, Config
from tfrs_scaling.fit.analyses.lines import inner_points
from tfrs_scaling.fit.laws.status import FEWEST
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES
from tfrs_scaling.hardware import accelerators
from tfrs_scaling.planning.choice import Option
from tfrs_scaling.planning.cost import wall_seconds
from tfrs_scaling.planning.plan import PlannedScorer, PlannedTrial, crowding
from tfrs_scaling.study.trials import START_RATE, why_from_scratch


def shape_table(planned: Sequence[PlannedTrial]) -> Table:
    """A row for every shape, its learning rates and seeds together; those too large for the machine are red.

    ``time`` is that of all its trials, one after another.
    """
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("shape", "rates", "seeds", "parameters", "FLOPs", "training", "memory", "time"):
        table.add_column(name, justify="left" if name == "shape" else "right", no_wrap=True)
    for shape_id, own in _by_shape(planned).items():
        first = own[0]
        table.add_row(
            shape_id,
            str(len({p.trial.learning_rate for p in own})),
            str(len({p.trial.seed for p in own})),
            f"{first.parameters:,}",
            human(first.flops_forward, FLOPS),
            human(first.flops_train, FLOPS),
            gib(max(p.bytes for p in own)),
            "" if first.too_large else duration(sum(p.seconds for p in own)),
            style="red" if first.too_large else None,
        )
    return table


def _by_shape(planned: Iterable[PlannedTrial]) -> dict[str, list[PlannedTrial]]:
    shapes: dict[str, list[PlannedTrial]] = {}
    for p in planned:
        shapes.setdefault(p.trial.shape_id, []).append(p)
    return shapes


def sentences(
    config: Config, option: Option, price: float | None, preparing: float, scorers: Sequence[PlannedScorer] = ()
) -> Iterator[str]:
    """What the table means, and what the study costs in all.

    ``price`` is that of an hour; ``preparing`` are the seconds that making the study's data takes, 0 if they exist;
    ``scorers`` are the models that predict training rows.
    """
    planned, calibration, jobs = option.planned, option.calibration, option.jobs
    for shape_id, own in _by_shape(planned).items():
        if own[0].too_large:
            yield f"too large: {shape_id}: {own[0].too_large}"
    if (on := accelerators(option.strategy)) is not None:
        yield f"memory is that of {on.name}, which has {gib(on.bytes)}{'; ' * bool(on.note)}{on.note}"
    elif option.strategy == "tpu":
        yield "memory is compared with that of this machine: what TPU it has is not known here"
    if warning := crowding(planned, option.strategy, jobs):
        yield warning
    yield f"data sizes: {', '.join(f'{size:,}' for size in config.ladder)} (whole batches)"
    if why := why_from_scratch(config):
        yield why
    yield from _frontiers(config, planned)
    for scorer in scorers:
        yield (
            f"{scorer.scoring.name}: {scorer.scoring.trial.shape_id}, trained once on {scorer.scoring.examples:,} rows "
            f"that no trial sees, predicts {scorer.scored:,}: {human(scorer.flops, FLOPS)} FLOPs, about "
            f"{duration(scorer.seconds)}, before the first trial"
        )
    yield "FLOPs are per example: of a prediction, and of training it (forward and backward)"
    for trial_id, reason in calibration.left_out.items():
        yield f"not measured: {trial_id}: {reason}"
    if shapes := len(calibration.speed.measured):
        yield (
            f"times: from a few seconds of {shapes} {'shapes' if shapes > 1 else 'shape'} on this machine, "
            f"{jobs} at a time ({calibration.seconds:.0f} s)"
        )
    else:
        yield "times: for one core of a 2024 server, as none of the shapes could be measured here"
    runnable = [p for p in planned if not p.too_large]
    memory = sum(sorted((p.bytes for p in runnable), reverse=True)[:jobs])
    trials = wall_seconds((p.seconds for p in runnable), jobs)
    wall = calibration.server_seconds + trials + preparing + sum(scorer.seconds for scorer in scorers)
    yield (
        f"in all: about {duration(wall)}{f', {duration(preparing)} of it to make the data' if preparing else ''}; "
        f"up to {gib(memory)} of memory in the trials"
    )
    rates, seeds = config.training.learning_rates, config.sweep.seeds
    if rates == "auto":
        yield (
            f"  learning rates are found: here every shape is best at {START_RATE:g}, and half and twice of it are "
            "stopped; each further rate adds a trial"
        )
    with_one_rate = [p.seconds for p in runnable if rates == "auto" or p.trial.learning_rate == rates[0]]
    with_one_seed = [p.seconds for p in runnable if p.trial.seed == seeds[0]]
    tried = 1 if rates == "auto" else len(rates)  # found rates are no choice between few and many
    for name, count, with_one in (("learning rates", tried, with_one_rate), ("seeds", len(seeds), with_one_seed)):
        if count > 1 and trials:
            saved = trials - wall_seconds(with_one, jobs)
            yield f"  {count} {name} account for {saved / wall:.0%}; with one it would take {duration(wall - saved)}"
    if price is not None:
        yield f"  cost: {wall / 3600 * price:,.2f} at {price:g} an hour"


def _frontiers(config: Config, planned: list[PlannedTrial]) -> Iterator[str]:
    """Which schemes' grids are too small for a law of compute, for those that change it."""
    flops: dict[tuple[str, Architecture | None], set[int]] = {}
    for p in planned:
        flops.setdefault((p.trial.scheme, p.trial.architecture), set()).add(p.flops_train)
    for (scheme, architecture), own in flops.items():
        if "compute" not in SCHEMES[scheme].axes:
            continue
        inside = inner_points(sorted(own | flops[BASELINE, architecture]), config.ladder)
        if inside < FEWEST:
            name = f"{scheme} of {architecture}" if architecture else scheme
            yield (
                f"{name}: expect no law of compute, which takes {FEWEST} points of a frontier inside the grid; this "
                f"one has about {inside}: more multipliers on both sides of 1, or more data sizes, give one"
            )
