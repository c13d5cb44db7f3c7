"""The command that answers: where should the next unit of a budget go?"""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfrs_scaling.cli.terminal import FiniteRange, FolderPath, located_errors, say
from tfrs_scaling.common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from tfrs_scaling.fit.advice.advice import Advice
    from tfrs_scaling.fit.advice.settle import Place
    from tfrs_scaling.fit.study import StudyFits
    from tfrs_scaling.study.workdir import Workdir


@click.command()
@click.argument("workdir", metavar="WORKDIR", type=FolderPath)
@click.option(
    "--budget",
    "text",
    metavar="RESOURCE=AMOUNT",
    help="What may be spent: compute, data, params or hours, as a multiple of what the baseline used (compute=10x) or "
    "absolute (params=2M, hours=12); several are joined by commas. [default: each of compute=10x, data=2x, params=4x]",
)
@click.option("--save", is_flag=True, help="Say instead what a smaller shape would save.")
@click.option("--price", type=FiniteRange(min=0), help="Of an hour of the study's machine, with --save.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON; a list of several.")
@located_errors
def advise(workdir: Path, text: str | None, save: bool, price: float | None, as_json: bool) -> None:
    """Say where a budget should go, by a finished study's runs.csv and fits.json.

    The answer may be "not enough evidence", with the runs that would settle it. Either way the exit status is 0.
    """
    from tfrs_scaling.fit.advice.advise import advise as advice_on
    from tfrs_scaling.fit.advice.budget import BUDGETS, read_budget
    from tfrs_scaling.fit.runs.run_table import read_runs
    from tfrs_scaling.fit.study import StudyFits
    from tfrs_scaling.study.workdir import Workdir

    if save and text is not None:
        raise click.UsageError("--save asks what can be saved, --budget what to spend: give one of them")
    if price is not None and not save:
        raise click.UsageError("--price is that of --save")
    budgets = [read_budget(budget) for budget in ([text] if text is not None else BUDGETS)]
    for name, command in (("runs.csv", f"export {workdir}"), ("fits.json", f"fit {workdir / 'runs.csv'}")):
        if not (workdir / name).exists():
            raise InputError(f"{workdir}: has no {name}; run `tfrs-scaling {command}` first")
    runs, fits = read_runs(workdir / "runs.csv"), StudyFits.read(workdir / "fits.json")
    if save:
        _say_savings(runs, fits, price, as_json)
        return
    place = _place(Workdir(workdir))
    answers = [advice_on(runs, fits, budget, place=place) for budget in budgets]
    if as_json:
        records = [advice.to_dict() for advice in answers]
        _say_json(records[0] if text is not None else records)
    elif text is not None:
        say(str(answers[0]))
    else:
        for advice in answers:
            say("\n".join([f"{BUDGETS[advice.budget]}:", advice.answer, *advice.reasons, ""]))
        say(
            f"tfrs-scaling advise {shlex.quote(str(workdir))} --budget {answers[0].budget} adds the options, what "
            "would change the answer, and the runs that would settle it."
        )


def say_decision(workdir: "Workdir") -> None:
    """Print a finished study's decision on the first of the usual budgets; nothing where costs are unknown."""
    from tfrs_scaling.fit.advice.advise import COSTS
    from tfrs_scaling.fit.advice.budget import BUDGETS
    from tfrs_scaling.fit.runs.run_table import is_recorded, read_runs

    runs = read_runs(workdir.runs)
    if not all(is_recorded(runs, name) for name in COSTS):  # nothing was measured
        return
    budget, words = next(iter(BUDGETS.items()))
    advice = answer(workdir, budget)
    first, second = advice.decision
    say(f"{words}: {first[:1].lower()}{first[1:]}")
    say(second)
    say(f"other budgets, and what can be saved: tfrs-scaling advise {shlex.quote(str(workdir.root))} [--save]")


def answer(workdir: "Workdir", budget: str) -> "Advice":
    """The answer of a finished study, by its folder, to a budget."""
    from tfrs_scaling.fit.advice.advise import advise as advice_on
    from tfrs_scaling.fit.runs.run_table import read_runs
    from tfrs_scaling.fit.study import StudyFits

    return advice_on(read_runs(workdir.runs), StudyFits.read(workdir.fits), budget, place=_place(workdir))


def _say_savings(runs: "pd.DataFrame", fits: "StudyFits", price: float | None, as_json: bool) -> None:
    from tfrs_scaling.fit.advice.savings import savings

    saved = savings(runs, fits, price=price)
    if as_json:
        _say_json(None if saved is None else saved.to_dict())
    else:
        say("Nothing to compare: no shape cheaper than the baseline was measured." if saved is None else str(saved))


def _say_json(content: object) -> None:
    say(json.dumps(content, indent=1, ensure_ascii=False))


def _place(workdir: "Workdir") -> "Place | None":
    """Where the study came from; None of a folder that holds no more than its results."""
    from tfrs_scaling.fit.advice.settle import Place
    from tfrs_scaling.study.own_rows import own_rows_from

    if not workdir.config.exists():
        return None
    config, manifest = workdir.reopened()
    folder = str(workdir.read_study().get("data_folder", "DATA"))
    return Place(
        config=shlex.quote(str(workdir.config)),
        workdir=shlex.quote(f"{workdir.root}-further"),
        data="" if config.has_own_data else shlex.quote(folder),
        training_rows=manifest.splits["train"].rows,
        finds_rates=config.training.learning_rates == "auto",
        own_rows_from=own_rows_from(config, manifest),
        made_rows=None if config.synthetic is None else config.synthetic.rows,
    )
