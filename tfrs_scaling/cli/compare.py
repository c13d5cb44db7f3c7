"""The command that says what changed from one study to another."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from tfrs_scaling.cli.terminal import FolderPath, console, located_errors, say
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import plural

if TYPE_CHECKING:
    from tfrs_scaling.fit.advice.study_comparison import FinishedStudy, StudyComparison

_SHOWN = 20  # settings, and points
_WIDTH = 100  # of a setting's value


@click.command()
@click.argument("first", metavar="A", type=FolderPath)
@click.argument("second", metavar="B", type=FolderPath)
@located_errors
def compare(first: Path, second: Path) -> None:
    """Say what changed from study A to study B, by their folders.

    Settings, data, code and machine; NE of every shape and data size beyond the noise; laws; answers.
    """
    from tfrs_scaling.fit.advice.study_comparison import compare_studies

    found = compare_studies(_study(first), _study(second))
    for line in _settings(found):
        say(line)
    _say_points(found)
    _say_laws(found)
    for answer in found.answers:
        same = answer.first == answer.second
        say(f"{answer.budget}: the same answer. {answer.first}" if same else f"{answer.budget}: another answer.")
        if not same:
            say(f"  A: {answer.first}")
            say(f"  B: {answer.second}")


def _study(folder: Path) -> "FinishedStudy":
    from tfrs_scaling.fit.advice.study_comparison import FinishedStudy
    from tfrs_scaling.fit.runs.run_table import read_runs
    from tfrs_scaling.fit.study import StudyFits
    from tfrs_scaling.study.workdir import Workdir

    workdir = Workdir(folder)
    about = workdir.read_study()
    for path, command in ((workdir.runs, f"export {folder}"), (workdir.fits, f"fit {workdir.runs}")):
        if not path.exists():
            raise InputError(f"{folder}: has no {path.name}; run `tfrs-scaling {command}` first")
    return FinishedStudy(str(folder), read_runs(workdir.runs), StudyFits.read(workdir.fits), about)


def _settings(found: "StudyComparison") -> list[str]:
    lines = [f"A: {found.first}", f"B: {found.second}"]
    if not found.settings:
        return [*lines, "both were made with the same settings, data, code and machine"]
    lines.append(f"made differently: {plural(len(found.settings), 'setting')}")
    lines += [
        f"  {setting.name}: {_short(setting.first)} -> {_short(setting.second)}" for setting in found.settings[:_SHOWN]
    ]
    more = len(found.settings) - _SHOWN
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _short(value: str | None) -> str:
    if value is None:
        return "not there"
    return value if len(value) <= _WIDTH else f"{value[: _WIDTH - 1]}…"


def _say_points(found: "StudyComparison") -> None:
    from tfrs_scaling.fit.labels import shape_name

    changed = sorted(found.changed_points, key=lambda point: -abs(point.change))
    unknown = sum(point.outcome == "noise unknown" for point in found.points)
    say(
        f"NE: of {plural(len(found.points), 'point')} that both measured {len(changed)} changed by more than the noise "
        f"({found.level:.0%}, all together){f', {unknown} cannot be judged, as the noise is unknown' * bool(unknown)}; "
        f"{found.alone[0]} are in A only, {found.alone[1]} in B only"
    )
    if found.has_other_data:
        say("  the data differ, and NE with them, whatever the models are")
    if not changed:
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("shape", "examples", "A", "B", "change", "interval"):
        table.add_column(name, justify="left" if name == "shape" else "right", no_wrap=True)
    for point in changed[:_SHOWN]:
        table.add_row(
            f"{point.architecture} {shape_name(point.scheme, point.multiplier)}",
            f"{point.examples:,}",
            f"{point.first:.4f}",
            f"{point.second:.4f}",
            f"{point.change:+.4f}",
            f"{point.low:+.4f} to {point.high:+.4f}",
        )
    console.print(table)
    if len(changed) > _SHOWN:
        say(f"and {len(changed) - _SHOWN} more")


def _say_laws(found: "StudyComparison") -> None:
    different = [law for law in found.laws if law.different]
    say(
        f"laws of data: {len(different)} of the {len(found.laws)} that both have differ, each tested alone at "
        f"{found.level:.0%}"
    )
    for law in different:
        (beta, gamma), (other_beta, other_gamma) = law.first, law.second
        say(
            f"  {law.architecture} {law.scheme} {law.line}: exponent {beta:.3f} -> {other_beta:.3f}, floor {gamma:.4f} "
            f"-> {other_gamma:.4f} (p {law.p_value:.2g})"
        )
