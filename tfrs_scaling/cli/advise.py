"""The command that answers: where should the next unit of a budget go?"""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfrs_scaling.cli.terminal import FolderPath, located_errors, say
from tfrs_scaling.common.errors import InputError

if TYPE_CHECKING:
    from tfrs_scaling.fit.advice.settle import Place
    from tfrs_scaling.study.workdir import Workdir


@click.command()
@click.argument("workdir", metavar="WORKDIR", type=FolderPath)
@click.option(
    "--budget",
    "text",
    required=True,
    metavar="RESOURCE=AMOUNT",
    help="What may be spent: compute, data, params or hours, as a multiple of what the baseline used (compute=10x) or "
    "absolute (params=2M, hours=12); several are joined by commas.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@located_errors
def advise(workdir: Path, text: str, as_json: bool) -> None:
    """Say where a budget should go, by a finished study's runs.csv and fits.json.

    The answer may be "not enough evidence", with the runs that would settle it. Either way the exit status is 0.
    """
    from tfrs_scaling.fit.advice.advise import advise as advice_on
    from tfrs_scaling.fit.advice.budget import read_budget
    from tfrs_scaling.fit.runs.run_table import read_runs
    from tfrs_scaling.fit.study import StudyFits
    from tfrs_scaling.study.workdir import Workdir

    budget = read_budget(text)
    for name, command in (("runs.csv", f"export {workdir}"), ("fits.json", f"fit {workdir / 'runs.csv'}")):
        if not (workdir / name).exists():
            raise InputError(f"{workdir}: has no {name}; run `tfrs-scaling {command}` first")
    fits = StudyFits.read(workdir / "fits.json")
    advice = advice_on(read_runs(workdir / "runs.csv"), fits, budget, place=_place(Workdir(workdir)))
    if as_json:
        say(json.dumps(advice.to_dict(), indent=1, ensure_ascii=False))
    else:
        say(str(advice))


def _place(workdir: "Workdir") -> "Place | None":
    """Where the study came from; None of a folder that holds no more than its results."""
    from tfrs_scaling.fit.advice.settle import Place

    if not workdir.config.exists():
        return None
    config, manifest = workdir.reopened()
    folder = str(workdir.read_study().get("data_folder", "DATA"))
    return Place(
        config=shlex.quote(str(workdir.config)),
        workdir=shlex.quote(f"{workdir.root}-further"),
        data="" if config.synthetic is not None else shlex.quote(folder),
        training_rows=manifest.splits["train"].rows,
        finds_rates=config.training.learning_rates == "auto",
    )
