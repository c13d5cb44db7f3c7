"""The command that answers: where should the next unit of a budget go?"""

import json
from pathlib import Path

import click

from tfrs_scaling.cli.terminal import FolderPath, located_errors, say
from tfrs_scaling.common.errors import InputError


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

    budget = read_budget(text)
    for name, command in (("runs.csv", f"export {workdir}"), ("fits.json", f"fit {workdir / 'runs.csv'}")):
        if not (workdir / name).exists():
            raise InputError(f"{workdir}: has no {name}; run `tfrs-scaling {command}` first")
    advice = advice_on(read_runs(workdir / "runs.csv"), StudyFits.read(workdir / "fits.json"), budget)
    if as_json:
        say(json.dumps(advice.to_dict(), indent=1, ensure_ascii=False))
    else:
        say(str(advice))
