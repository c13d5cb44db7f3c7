"""The command line's entry: a group that imports a command's module when the command is given."""

import importlib
import io
import sys
from typing import Any

import click

import tfrs_scaling
from tfrs_scaling.common.environment import settle
from tfrs_scaling.common.inert import inert

# Name -> where it is, and its line in the group's help, which so needs no import.
COMMANDS = {
    "schema": ("data:schema", "Describe the columns of a log."),
    "prepare": ("data:prepare", "Turn raw click logs into shards in OUT."),
    "data": ("data:data", "Look into prepared data."),
    "plan": ("study:plan", "Print every shape with its parameters, FLOPs, memory and time, and the cost of the study."),
    "sweep": ("study:sweep", "Run every trial of a study that is not yet done; writes runs.csv."),
    "status": ("study:status", "How far a study is: done, running, failed, to do, and the time left."),
    "export": ("study:export", "Event files -> runs.csv."),
    "fit": ("fit:fit", "Fit scaling laws: of a run table, or of the curves in any CSV, TSV or Parquet file."),
    "report": (
        "fit:report",
        "Write report.html and its tables: of a study's folder, or of a run table. Or print it, or its figures.",
    ),
    "study": ("study:study", "Sweep, export, fit, report and advise: the whole study."),
    "compare": ("compare:compare", "Say what changed from study A to study B, by their folders."),
    "advise": ("advise:advise", "Say where a budget should go, by a finished study's runs.csv and fits.json."),
}


class LazyGroup(click.Group):
    """The commands of ``COMMANDS``."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command, whatever the machine's variables and the terminal's encoding are."""
        settle()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what its errors quote does not steer the terminal."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            vars(error)["message"] = inert(error.message)
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of a study."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, imported; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"tfrs_scaling.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(tfrs_scaling.__version__)
def main() -> None:
    """Where should a recommender's next unit of resource go: data, rows, dimensions or widths?

    A study trains DLRMs of many shapes on a ladder of data sizes, fits scaling laws to their NE, and writes a report.
    """
