"""The command line: prepare, plan, sweep, export, fit, report, study."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, ParamSpec

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import tfrs_scaling
from tfrs_scaling.input.schema import Schema, criteo
from tfrs_scaling.input.validated import InputError, read_yaml

P = ParamSpec("P")
console = Console()
FolderPath = click.Path(file_okay=False, path_type=Path)
FilePath = click.Path(dir_okay=False, path_type=Path)

config_argument = click.argument("config_path", metavar="CONFIG", type=FilePath)
set_option = click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key of CONFIG: training.batch_size=512."
)
data_option = click.option(
    "--data", "data_folder", type=FolderPath, help="Prepared data; else CONFIG's synthetic clicks are made."
)
workdir_option = click.option(
    "--workdir", type=FolderPath, help="The study's folder. [default: runs/NAME, NAME being CONFIG's study]"
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    help="Trials at a time, sharing the cores. [default: one per core, if memory allows; one on GPUs or a TPU]",
)
strategy_option = click.option(
    "--strategy", type=click.Choice(["auto", "cpu", "mirrored", "tpu"]), default="auto", show_default=True
)


def _located_errors(command: Callable[P, None]) -> Callable[P, None]:
    """What the user can mend is told in words, without a traceback, with exit status 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (InputError, OSError) as error:
            raise click.ClickException(str(error)) from None

    return wrapped


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(tfrs_scaling.__version__)
def main() -> None:
    """Where should a recommender's next unit of resource go: data, rows, dimensions or widths?

    A study trains DLRMs of many shapes on a ladder of data sizes, fits scaling laws to their NE, and writes a report.
    """


@main.command()
@click.argument("log_format", metavar="FORMAT", type=click.Choice(["csv", "criteo", "synthetic"]))
@click.argument("raw", nargs=-1, required=True, type=FilePath)
@click.argument("out", type=FolderPath)
@click.option("--schema", "schema_path", type=FilePath, help="JSON file that names the columns (csv).")
@click.option("--separator", help="Between columns (csv). [default: found from the header]")
@click.option("--split", type=click.Choice(["time", "random"]), help="[default: time, if there is a time column]")
@click.option("--validation", default=0.05, show_default=True, help="Share of the rows.")
@click.option("--test", default=0.1, show_default=True, help="Share of the rows.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of split and shuffle.")
@click.option("--max-bad-rows", type=click.IntRange(0), default=0, show_default=True, help="Skip and list up to N.")
@_located_errors
def prepare(
    log_format: str,
    raw: tuple[Path, ...],
    out: Path,
    schema_path: Path | None,
    separator: str | None,
    split: Literal["time", "random"] | None,
    validation: float,
    test: float,
    seed: int,
    max_bad_rows: int,
) -> None:
    r"""Turn raw click logs into shards in OUT.

    \b
    prepare csv clicks.tsv.xz OUT --schema schema.json   delimited text with a header (gz, xz, bz2 too)
    prepare criteo day_0.gz day_1.gz OUT                 Criteo's label, 13 integers, 26 categories
    prepare synthetic study.yaml OUT                     clicks by the study's own generator
    """
    if log_format != "csv" and (schema_path is not None or separator is not None):
        raise InputError(f"--schema and --separator are for csv; {log_format} has a schema of its own")
    _load_tensorflow()
    from tfrs_scaling.input import prepare as preparation
    from tfrs_scaling.input.formats import Rejects, read_criteo, read_csv
    from tfrs_scaling.input.rows import RowParser
    from tfrs_scaling.input.shards import Source, fingerprint

    if log_format == "synthetic":
        if len(raw) != 1:
            raise InputError("prepare synthetic takes one CONFIG: the file whose `synthetic` section says what to make")
        _report_prepared(_prepare_synthetic(raw[0], (), out), out)
        return
    if log_format == "criteo":
        schema = criteo()
    elif schema_path is None:
        raise InputError("prepare csv needs --schema FILE, which names the columns (see tuner_configs/schemas/)")
    else:
        schema = Schema.read(schema_path)
    rejects = Rejects(max_bad_rows)
    is_criteo = log_format == "criteo"
    parser = RowParser(schema, rejects, integer_dense=is_criteo, hexadecimal=is_criteo)
    cells = (c for path in raw for c in (read_criteo(path, schema) if is_criteo else read_csv(path, schema, separator)))
    for path in raw:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
    with console.status("reading") as status:

        def counted() -> Any:
            rows = 0
            for block in cells:
                parsed = parser.parse(block)
                rows += len(parsed.label)
                status.update(f"{escape(block.file)}: {rows:,} rows read")
                yield parsed
            status.update("splitting, shuffling and writing")

        manifest = preparation.prepare(
            counted(),
            schema,
            out,
            vocabularies=parser.vocabularies,
            rejects=rejects,
            sources=tuple(Source(path.name, *fingerprint(path)) for path in raw),
            split_by=split,
            validation=validation,
            test=test,
            seed=seed,
        )
    _report_prepared(manifest, out)


@main.command()
@config_argument
@data_option
@set_option
@_located_errors
def plan(config_path: Path, data_folder: Path | None, overrides: tuple[str, ...]) -> None:
    """Print every trial with its parameters, FLOPs, memory and an estimate of time; run nothing."""
    from tfrs_scaling.config import read_config

    config = read_config(config_path, overrides)
    _load_tensorflow()
    from tfrs_scaling import plan as planning
    from tfrs_scaling.input.shards import ClickData

    if data_folder is not None:
        planned = planning.plan_on(config, ClickData.open(data_folder).manifest)
    elif config.synthetic is not None:
        planned = planning.plan(config, config.synthetic.schema(), round(0.15 * config.synthetic.rows))
    else:
        raise InputError(f"{config_path}: has no synthetic section, so the plan needs --data DIR")
    _print_plan(config, planned)


@main.command()
@config_argument
@data_option
@workdir_option
@jobs_option
@strategy_option
@set_option
@_located_errors
def sweep(**options: Any) -> None:
    """Run every trial of a study that is not yet done."""
    _sweep(**options)


@main.command()
@config_argument
@data_option
@workdir_option
@jobs_option
@strategy_option
@set_option
@_located_errors
def study(**options: Any) -> None:
    """Sweep, export, fit and report: the whole study. Started again, it goes on where it was."""
    workdir = _sweep(**options)
    _export(workdir)
    _fit(workdir.runs)
    _report(workdir)


@main.command()
@click.argument("workdir_path", metavar="WORKDIR", type=FolderPath)
@_located_errors
def export(workdir_path: Path) -> None:
    """Event files -> runs.csv."""
    _load_tensorflow()
    from tfrs_scaling.workdir import Workdir

    _export(Workdir(workdir_path))


@main.command()
@click.argument("runs", type=FilePath)
@_located_errors
def fit(runs: Path) -> None:
    """Fit the scaling laws of a run table; writes fits.json beside it."""
    _fit(runs)


@main.command()
@click.argument("workdir_path", metavar="WORKDIR", type=FolderPath)
@_located_errors
def report(workdir_path: Path) -> None:
    """Runs.csv and fits.json -> report.html."""
    _load_tensorflow()
    from tfrs_scaling.workdir import Workdir

    _report(Workdir(workdir_path))


def _say(line: str) -> None:
    # As it is: names of files and features are no markup, and a log wants whole lines.
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _load_tensorflow() -> None:
    from tfrs_scaling.quiet import load_tensorflow

    with console.status("loading TensorFlow"):
        load_tensorflow()


def _prepare_synthetic(config_path: Path, overrides: tuple[str, ...], out: Path) -> Any:
    from tfrs_scaling.config import read_config
    from tfrs_scaling.input import prepare as preparation
    from tfrs_scaling.input.synthetic import generate

    settings = read_config(config_path, overrides).synthetic
    if settings is None:
        raise InputError(f"{config_path}: has no synthetic section; give prepared data with --data DIR")
    with console.status(f"making {settings.rows:,} synthetic clicks"):
        return preparation.prepare(generate(settings), settings.schema(), out, seed=settings.seed)


def _report_prepared(manifest: Any, out: Path) -> None:
    from tfrs_scaling.input.prepare import REJECTED
    from tfrs_scaling.input.shards import SPLITS

    table = Table(
        "split", "rows", "CTR", title=escape(f"{out}, split by {manifest.split_by}"), title_justify="left", min_width=60
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for name in SPLITS:
        table.add_row(name, f"{manifest.splits[name].rows:,}", f"{manifest.splits[name].ctr:.4f}")
    console.print(table)
    for feature in manifest.schema.categorical:
        values = manifest.vocabulary_sizes.get(feature.name, 0)
        if values > feature.cardinality - 1:
            _say(
                f"note: {feature.name}: {values:,} distinct values in training, {feature.cardinality:,} rows "
                "by the schema; the rarest values share row 0"
            )
    if manifest.bayes:
        _say(f"best possible NE on test: {manifest.bayes.ne:.4f} ± {manifest.bayes.ne_standard_error:.4f}")
    if manifest.rejected:
        _say(f"note: {manifest.rejected:,} malformed rows left out, listed in {out / REJECTED}")


def _sweep(
    config_path: Path,
    data_folder: Path | None,
    workdir: Path | None,
    jobs: int | None,
    strategy: Literal["auto", "cpu", "mirrored", "tpu"],
    overrides: tuple[str, ...],
) -> Any:
    from tfrs_scaling.config import read_config

    config = read_config(config_path, overrides)
    _load_tensorflow()
    from tfrs_scaling import plan as planning
    from tfrs_scaling.input.shards import ClickData
    from tfrs_scaling.progress import SweepProgress
    from tfrs_scaling.strategy import choose_strategy
    from tfrs_scaling.sweep import sweep as run_sweep
    from tfrs_scaling.workdir import Workdir

    chosen, why = choose_strategy(strategy)
    place = Workdir(workdir or Path("runs") / "".join(c if c.isalnum() or c in "-_" else "_" for c in config.study))
    with place.locked():
        if data_folder is None:
            data_folder = place.root / "data"
            if not data_folder.exists():
                _report_prepared(_prepare_synthetic(config_path, overrides, data_folder), data_folder)
        data = ClickData.open(data_folder)
        planned = planning.plan_on(config, data.manifest)
        jobs = jobs or planning.jobs_at_once(planned, chosen)
        place.claim(config, data)
        _say(
            f"study {config.study}: {len(planned)} trials × {len(config.ladder)} data sizes on {chosen} "
            f"({why}), {jobs} at a time, in {place.root}",
        )
        try:
            with SweepProgress(console, {p.trial.trial_id: p.seconds for p in planned}) as progress:
                run_sweep(config, data, place, planned, strategy=chosen, jobs=jobs, watcher=progress.hear)
        except KeyboardInterrupt:
            _say("stopped; the same command goes on from here")
            sys.exit(130)
        _say(progress.summary())
    return place


def _export(workdir: Any) -> None:
    from tfrs_scaling.export import export as export_runs
    from tfrs_scaling.fit.runs import write_runs

    config, manifest = workdir.reopened()
    runs = export_runs(config, manifest, workdir)
    write_runs(runs, workdir.runs)
    _say(f"{workdir.runs}: {len(runs)} rows")


def _fit(runs_path: Path) -> None:
    from tfrs_scaling.fit.runs import read_runs
    from tfrs_scaling.fit.study_fits import fit_study, write_fits

    study_path, fits_path = runs_path.with_name("study.json"), runs_path.with_name("fits.json")
    data = read_yaml(study_path)["data"] if study_path.exists() else {}
    fits = fit_study(
        read_runs(runs_path), bayes_ne=data.get("bayes_ne"), bayes_ne_standard_error=data.get("bayes_ne_standard_error")
    )
    write_fits(fits, fits_path)
    _say(f"{fits_path}: written")


def _report(workdir: Any) -> None:
    from tfrs_scaling.fit.report import write_report
    from tfrs_scaling.fit.runs import read_runs
    from tfrs_scaling.fit.study_fits import read_fits

    write_report(read_runs(workdir.runs), read_fits(workdir.fits), workdir.report, study=workdir.read_study())
    _say(f"report: {workdir.report}")


def _print_plan(config: Any, planned: list[Any]) -> None:
    _say(f"{config.study}: {len(planned)} trials × {len(config.ladder)} data sizes")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("trial", "parameters", "FLOPs", "training", "memory", "time"):
        table.add_column(name, justify="left" if name == "trial" else "right", no_wrap=True)
    for p in planned:
        table.add_row(
            p.trial.trial_id,
            f"{p.parameters:,}",
            _human(p.flops_forward),
            _human(p.flops_train),
            f"{p.bytes / 2**30:.1f} GiB",
            _duration(p.seconds),
            style="red" if p.too_large else None,
        )
    console.print(table)
    for p in planned:
        if p.too_large:
            _say(f"too large: {p.trial.trial_id}: {p.too_large}")
    for line in (
        f"data sizes: {', '.join(f'{size:,}' for size in config.ladder)} (whole batches)",
        "FLOPs are per example: of a prediction, and of training it (forward and backward)",
        f"in all: about {_duration(sum(p.seconds for p in planned))} on 2 cores of a 2024 server, a trial at a time",
    ):
        _say(line)


def _human(number: float) -> str:
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def _duration(seconds: float) -> str:
    for size, unit in ((86400.0 * 365, "years"), (86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
