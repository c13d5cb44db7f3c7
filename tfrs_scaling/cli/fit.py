"""The commands that need no training: fit laws, and write the report of what was measured, here or elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from tfrs_scaling.cli.terminal import FilePath, FiniteRange, FolderPath, located_errors, say, wait_for_tensorboard
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import check_utf8

if TYPE_CHECKING:
    import pandas as pd

    from tfrs_scaling.fit.study import StudyFits

Format = Literal["html", "pdf", "png", "svg"]


@click.command()
@click.argument("table", type=FilePath)
@click.option("--x", help="Column that the loss is a function of: tokens, examples, FLOPs.")
@click.option("--y", help="Column of the loss.")
@click.option("--group", help="Column that names the curve of a row, such as the model.")
@click.option("--seed", help="Column that names the training of a row: rows of one training err together.")
@click.option("--n", help="Column of parameters: with --d, a law of both and the best split of compute.")
@click.option("--d", help="Column of examples or tokens, for the same law.")
@click.option("--at", multiple=True, type=FiniteRange(min=0, min_open=True), help="Predict the loss at this x.")
@click.option("--level", type=FiniteRange(0.5, 0.999), help="Of all intervals.  [default: 0.95]")
@click.option("--out", type=FolderPath, help="Write a page with the figure, fit.html, and fit.json to this folder.")
@located_errors
def fit(table: Path, at: tuple[float, ...], level: float | None, out: Path | None, **columns: str | None) -> None:
    """Fit scaling laws: of a run table, or of the curves in any CSV, TSV or Parquet file.

    A run table (columns scheme, multiplier, examples, test_ne) takes no options: runs.csv gives fits.json beside it,
    NAME.csv gives NAME-fits.json. Of any other table name the columns: tfrs-scaling fit log.csv --x tokens --y loss
    --group model. A file of two columns needs no names.
    """
    from tfrs_scaling.fit.curves.analysis import fit_table
    from tfrs_scaling.fit.curves.columns import chosen_columns, numbers_and_names
    from tfrs_scaling.fit.curves.page import write_table_fit
    from tfrs_scaling.fit.curves.text import table_text
    from tfrs_scaling.fit.runs.table_file import read_table_file

    given = {role: name for role, name in columns.items() if name}
    file = read_table_file(table)
    if not given and {"scheme", "multiplier"} <= set(file.columns):
        options = {"--at": bool(at), "--level": level is not None, "--out": out is not None}
        unused = ", ".join(name for name, is_given in options.items() if is_given)
        if unused:
            raise click.UsageError(
                f"{table} is a run table, which takes no {unused}; name columns (--x examples --y test_ne) to fit its "
                f"curves, or write its report: tfrs-scaling report --runs {table}"
            )
        fit_runs(table)
        return
    chosen = chosen_columns(file, given)
    found = fit_table(
        numbers_and_names(file, chosen), chosen, at=at, level=0.95 if level is None else level, source=str(table)
    )
    say(table_text(found).rstrip())
    if out is not None:
        write_table_fit(found, out)
        say(f"\npage: {out / 'fit.html'}")


@click.command()
@click.argument("workdir_path", metavar="[WORKDIR]", required=False, type=FolderPath)
@click.option("--runs", type=FilePath, help="A run table, of this program or another trainer, instead of WORKDIR.")
@click.option("--out", type=FolderPath, help="Folder for the report of --runs. [default: TABLE-report beside it]")
@click.option(
    "--format",
    "suffix",
    type=click.Choice(get_args(Format)),
    default="html",
    show_default=True,
    help="By a headless Chromium: png and svg, every figure to WORKDIR/figures; pdf, also report.pdf.",
)
@located_errors
def report(workdir_path: Path | None, runs: Path | None, out: Path | None, suffix: Format) -> None:
    """Write report.html and its tables: of a study's folder, or of a run table. Or print it, or its figures.

    A run table needs the columns scheme, multiplier, examples and test_ne; fit/README.md lists those that
    add sections to the report.
    """
    if runs is not None and workdir_path is None:
        _report_of_runs(runs, out or runs.with_name(f"{runs.stem}-report"), suffix)
        return
    if workdir_path is None or runs is not None:
        raise click.UsageError("give either WORKDIR or --runs TABLE")
    if out is not None:
        raise click.UsageError("--out goes with --runs; the report of a study is written to its folder")
    wait_for_tensorboard()
    from tfrs_scaling.study.workdir import Workdir

    workdir = Workdir(workdir_path)
    if suffix in ("html", "pdf"):
        report_of_study(workdir)
    if suffix == "pdf":
        _pdf(workdir.report)
    elif suffix != "html":
        _images(*_fitted(workdir), workdir.root / "figures", workdir.read_study(), suffix)


def fit_runs(runs_path: Path) -> None:
    """Fit a run table; its fits are written beside it, as fits.json only where it is the runs.csv of a folder."""
    fits_path = runs_path.with_name("fits.json" if _is_of_study(runs_path) else f"{runs_path.stem}-fits.json")
    _fitted_table(runs_path, fits_path)
    say(f"{fits_path}: written")


def report_of_study(workdir: Any) -> None:
    """Write the report of a study's folder."""
    from tfrs_scaling.fit.report.report import write_report

    check_utf8(workdir.root)  # of what TensorBoard reads
    runs, study = _fitted(workdir)
    about = workdir.read_study() | {"workdir": str(workdir.root)}
    write_report(runs, study, workdir.report, about=about, tensorboard=workdir.board)
    say(f"report: {workdir.report}")


def _report_of_runs(path: Path, folder: Path, suffix: Format) -> None:
    """Write the report of a run table, and its fits."""
    from tfrs_scaling.fit.report.report import write_report

    folder.mkdir(parents=True, exist_ok=True)
    runs, study = _fitted_table(path, folder / "fits.json")
    if suffix in ("html", "pdf"):
        write_report(runs, study, folder / "report.html", about=_about(path))
        say(f"report: {folder / 'report.html'}")
    if suffix == "pdf":
        _pdf(folder / "report.html")
    elif suffix != "html":
        _images(runs, study, folder / "figures", _about(path), suffix)


def _fitted_table(path: Path, fits_path: Path) -> "tuple[pd.DataFrame, StudyFits]":
    """A run table and its fits, which are written; says what the table lacks."""
    from tfrs_scaling.fit.runs.run_table import read_run_table
    from tfrs_scaling.fit.study import fit_study

    table, data = read_run_table(path), _about(path).get("data", {})
    known = {name: data.get(name) for name in ("bayes_ne", "bayes_ne_standard_error", "own_rows_from")}
    study = fit_study(table.runs, **known)
    study.write(fits_path)
    for notice in table.notices:
        say(f"note: {notice}")
    return table.runs, study


def _is_of_study(path: Path) -> bool:
    """Whether the other files of a study's folder, such as study.json, belong to a run table beside them."""
    return path.name == "runs.csv"


def _about(path: Path) -> dict[str, Any]:
    """What the study.json beside the runs.csv of a study says; empty for any other run table."""
    from tfrs_scaling.study.workdir import Workdir

    workdir = Workdir(path.parent)
    return workdir.read_study() if _is_of_study(path) and workdir.study.exists() else {}


def _pdf(report_path: Path) -> None:
    from tfrs_scaling.fit.report.images import write_pdf

    path = report_path.with_suffix(".pdf")
    write_pdf(report_path, path)
    say(f"print: {path}")


def _images(
    runs: "pd.DataFrame", study: "StudyFits", folder: Path, about: dict[str, Any], suffix: Literal["png", "svg"]
) -> None:
    from tfrs_scaling.fit.report.images import write_images

    files = write_images(runs, study, folder, about=about, suffix=suffix)
    say(f"{len(files)} figures: {folder}/*.{suffix}")


def _fitted(workdir: Any) -> "tuple[pd.DataFrame, StudyFits]":
    """The run table and its fits, fitted again if they are damaged or another version of this program wrote them."""
    from tfrs_scaling.fit.runs.run_table import read_runs
    from tfrs_scaling.fit.study import StudyFits

    runs = read_runs(workdir.runs)
    try:
        return runs, StudyFits.read(workdir.fits)
    except FileNotFoundError:
        say(f"note: {workdir.fits}: not there yet; fitting")
    except InputError as error:
        say(f"note: {error}: doing so now")
    fit_runs(workdir.runs)
    return runs, StudyFits.read(workdir.fits)
