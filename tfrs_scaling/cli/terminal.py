"""What the commands share: the console, error messages, and loading TensorFlow."""

import functools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.extras import LIBRARIES, not_installed
from tfrs_scaling.common.inert import inert

P = ParamSpec("P")
FolderPath = click.Path(file_okay=False, path_type=Path)
FilePath = click.Path(dir_okay=False, path_type=Path)


class FiniteRange(click.FloatRange):
    """A range of numbers: ``nan``, which no bound refuses, and infinity are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class InertConsole(Console):
    """A console on which only rich steers the terminal: controls in names, cells and messages are shown escaped, and
    brackets in them are no markup."""

    def __init__(self, **settings: Any):
        super().__init__(markup=False, emoji=False, **settings)

    def render_str(self, text: str, **how: Any) -> Text:
        """The text that a string is printed as; it is measured as it will show."""
        return super().render_str(inert(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is printed."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(inert(segment.text), segment.style)


console = InertConsole()


def located_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Print errors that the user can correct without a traceback, with exit status 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except BrokenPipeError:  # `| head -1` has what it wants; click ends the command
            raise
        except (InputError, OSError) as error:
            raise click.ClickException(str(error)) from None
        except ModuleNotFoundError as error:  # TensorFlow reads TFRecord and what is elsewhere; here it is not needed
            if error.name not in LIBRARIES:
                raise
            raise click.ClickException(str(not_installed([error.name]))) from None
        except Exception as error:
            if not type(error).__module__.startswith("tensorflow."):  # its writers have errors of their own
                raise
            raise click.ClickException(f"{type(error).__name__}: {error}") from None

    return wrapped


def say(line: str) -> None:
    """Print a line as it is, without wrapping."""
    console.print(line, highlight=False, soft_wrap=True)


def wait_for_tensorflow() -> None:
    """Import TensorFlow, which takes seconds; shows that it does.

    Raises:
        InputError: it is not installed.
    """
    from tfrs_scaling.training.tensorflow_startup import load_tensorflow

    with console.status("loading TensorFlow"):
        load_tensorflow()


def wait_for_tensorboard() -> None:
    """Import what TensorBoard's files take, which is seconds where TensorFlow is installed."""
    from tfrs_scaling.training.tensorflow_startup import load_tensorboard

    with console.status("loading TensorBoard"):
        load_tensorboard()
