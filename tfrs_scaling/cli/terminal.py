"""What the commands share: the console, error messages, and loading TensorFlow."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import click
from rich.console import Console

from tfrs_scaling.common.errors import InputError

P = ParamSpec("P")
console = Console(emoji=False)
FolderPath = click.Path(file_okay=False, path_type=Path)
FilePath = click.Path(dir_okay=False, path_type=Path)


def located_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Print errors that the user can correct without a traceback, with exit status 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (InputError, OSError) as error:
            raise click.ClickException(str(error)) from None

    return wrapped


def say(line: str) -> None:
    """Print a line as it is: without markup, which names of files might contain, and without wrapping."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def wait_for_tensorflow() -> None:
    """Import TensorFlow, which takes seconds; shows that it does."""
    from tfrs_scaling.training.tensorflow_startup import load_tensorflow

    with console.status("loading TensorFlow"):
        load_tensorflow()
