"""What the commands share: the console, what the user reads when something is wrong, and the wait for TensorFlow."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import click
from rich.console import Console

from tfrs_scaling.common.errors import InputError

P = ParamSpec("P")
console = Console()
FolderPath = click.Path(file_okay=False, path_type=Path)
FilePath = click.Path(dir_okay=False, path_type=Path)


def located_errors(command: Callable[P, None]) -> Callable[P, None]:
    """What the user can mend is told in words, without a traceback, with exit status 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (InputError, OSError) as error:
            raise click.ClickException(str(error)) from None

    return wrapped


def say(line: str) -> None:
    """Print a line as it is: names of files and features are no markup, and a log wants whole lines."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def wait_for_tensorflow() -> None:
    """Import TensorFlow, saying so: it takes seconds, and so waits until a command needs it."""
    from tfrs_scaling.training.tensorflow_startup import load_tensorflow

    with console.status("loading TensorFlow"):
        load_tensorflow()
