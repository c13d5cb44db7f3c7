"""The commands about data: schema infer, prepare, data check, data describe."""

from pathlib import Path
from typing import Any, Literal

import click
from rich.markup import escape
from rich.table import Table

from tfrs_scaling.input.schema import Schema, criteo
from tfrs_scaling.input.validated import InputError
from tfrs_scaling.terminal import FilePath, FolderPath, console, located_errors, say, wait_for_tensorflow


@click.command()
@click.argument("log_format", metavar="FORMAT", type=click.Choice(["csv", "parquet", "criteo", "synthetic"]))
@click.argument("raw", nargs=-1, required=True, type=FilePath)
@click.argument("out", type=FolderPath)
@click.option("--schema", "schema_path", type=FilePath, help="JSON file that names the columns (csv, parquet).")
@click.option("--separator", help="Between columns (csv). [default: found from the header]")
@click.option("--split", type=click.Choice(["time", "random"]), help="[default: time, if there is a time column]")
@click.option("--validation", default=0.05, show_default=True, help="Share of the rows.")
@click.option("--test", default=0.1, show_default=True, help="Share of the rows.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of split and shuffle.")
@click.option("--max-bad-rows", type=click.IntRange(0), default=0, show_default=True, help="Skip and list up to N.")
@located_errors
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
    prepare parquet clicks.parquet OUT --schema schema.json
    prepare criteo day_0.gz day_1.gz OUT                 Criteo's label, 13 integers, 26 categories
    prepare synthetic study.yaml OUT                     clicks by the study's own generator
    """
    if separator is not None and log_format != "csv":
        raise InputError(f"--separator is for csv; {log_format} needs none")
    if log_format in ("csv", "parquet") and schema_path is None:
        raise InputError(
            f"prepare {log_format} needs --schema FILE, which names the columns (see tuner_configs/schemas/)"
        )
    if log_format in ("criteo", "synthetic") and schema_path is not None:
        raise InputError(f"--schema is for csv and parquet; {log_format} has a schema of its own")
    wait_for_tensorflow()
    from tfrs_scaling.input import prepare as preparation
    from tfrs_scaling.input.formats import Rejects, read_criteo, read_csv
    from tfrs_scaling.input.parquet import read_parquet
    from tfrs_scaling.input.rows import RowParser
    from tfrs_scaling.input.shards import Source, fingerprint

    if log_format == "synthetic":
        if len(raw) != 1:
            raise InputError("prepare synthetic takes one CONFIG: the file whose `synthetic` section says what to make")
        report_prepared(prepare_synthetic(raw[0], (), out), out)
        return
    columns = Schema.read(schema_path) if schema_path else criteo()
    readers = {
        "csv": lambda path: read_csv(path, columns, separator),
        "parquet": lambda path: read_parquet(path, columns),
        "criteo": lambda path: read_criteo(path, columns),
    }
    rejects = Rejects(max_bad_rows)
    is_criteo = log_format == "criteo"
    parser = RowParser(columns, rejects, integer_dense=is_criteo, hexadecimal=is_criteo)
    for path in raw:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
    with console.status("reading") as status:

        def counted() -> Any:
            rows = 0
            for block in (block for path in raw for block in readers[log_format](path)):
                parsed = parser.parse(block)
                rows += len(parsed.label)
                status.update(f"{escape(block.file)}: {rows:,} rows read")
                yield parsed
            status.update("splitting, shuffling and writing")

        manifest = preparation.prepare(
            counted(),
            columns,
            out,
            vocabularies=parser.vocabularies,
            rejects=rejects,
            sources=tuple(Source(path.name, *fingerprint(path)) for path in raw),
            split_by=split,
            validation=validation,
            test=test,
            seed=seed,
        )
    report_prepared(manifest, out)


@click.group()
def data() -> None:
    """Look into prepared data."""


@data.command()
@click.argument("folder", metavar="DIR", type=FolderPath)
@located_errors
def check(folder: Path) -> None:
    """Read every byte of DIR, and see that it is what was written there."""
    wait_for_tensorflow()
    from tfrs_scaling.input.check import check as checked
    from tfrs_scaling.input.shards import ClickData

    click_data = ClickData.open(folder)
    rows = shards = 0
    with console.status("checking") as status:
        for shard in checked(click_data):
            rows, shards = rows + shard.rows, shards + 1
            status.update(f"{rows:,} rows checked")
    say(f"{folder}: {rows:,} rows in {shards} shards are as written; data hash {click_data.manifest.data_hash}")


@data.command(name="describe")
@click.argument("folder", metavar="DIR", type=FolderPath)
@click.option("--out", metavar="PAGE.html", type=FilePath, help="[default: DIR-describe.html, beside DIR]")
@located_errors
def describe_folder(folder: Path, out: Path | None) -> None:
    """Say what DIR holds: CTR by split and over time, ids, how often they occur, and which share a table row."""
    wait_for_tensorflow()
    from tfrs_scaling.input.describe import describe_data
    from tfrs_scaling.input.describe_page import write_description
    from tfrs_scaling.input.shards import ClickData

    click_data = ClickData.open(folder)
    with console.status("reading") as status:
        description = describe_data(click_data, lambda rows: status.update(f"{rows:,} rows read"))
    report_described(description)
    name = folder.resolve().name
    page = out or folder.resolve().with_name(f"{name}-describe.html")
    write_description(description, page, name=name)
    say(f"page: {page}")


@click.group()
def schema() -> None:
    """Describe the columns of a log."""


@schema.command()
@click.argument("log", metavar="FILE", type=FilePath)
@click.option("--label", help="The label's column. [default: one of 0 and 1, by its name]")
@click.option("--out", type=FilePath, default="schema.json", show_default=True, help="Where to write the schema.")
@located_errors
def infer(log: Path, label: str | None, out: Path) -> None:
    """Write a first schema of FILE (text with a header, or .parquet), to be read and edited before `prepare`."""
    from tfrs_scaling.input.infer import infer as inferred

    if out.exists():
        raise InputError(f"{out}: exists already; choose another --out")
    with console.status(f"reading {escape(str(log))}"):
        text, columns, passed_over = inferred(log, label)
    table = Table("column", "taken as", "distinct", "missing", "range or examples", box=None, padding=(0, 2, 0, 0))
    for heading in table.columns[2:4]:
        heading.justify = "right"
    for column in columns:
        number = ".0f" if column.is_integer else "g"
        shown = (
            f"{column.low:{number}} to {column.high:{number}}"
            if column.is_number and column.values
            else ", ".join(sorted(column.values)[:4])
        )
        share = f"{column.missing / column.rows:.1%}" if column.missing else ""
        table.add_row(escape(column.name), column.taken_as, f"{column.distinct:,}", share, escape(shown[:40]))
    console.print(table)
    out.write_text(text, encoding="utf-8")
    if passed_over:
        say(f"note: {passed_over:,} rows have too few or too many columns and were passed over; prepare says which")
    say(f"{out}: a guess from {columns[0].rows:,} rows; read it, and change what is wrong")


def prepare_synthetic(config_path: Path, overrides: tuple[str, ...], out: Path) -> Any:
    """Make the synthetic clicks of a study; gives the manifest."""
    from tfrs_scaling.config import read_config
    from tfrs_scaling.input import prepare as preparation
    from tfrs_scaling.input.synthetic import generate

    settings = read_config(config_path, overrides).synthetic
    if settings is None:
        raise InputError(f"{config_path}: has no synthetic section; give prepared data with --data DIR")
    with console.status(f"making {settings.rows:,} synthetic clicks"):
        return preparation.prepare(generate(settings), settings.schema(), out, seed=settings.seed)


def report_prepared(manifest: Any, out: Path) -> None:
    """Print what was prepared: splits, CTRs, and what to know of it."""
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
            say(
                f"note: {feature.name}: {values:,} distinct values in training, {feature.cardinality:,} rows "
                "by the schema; the rarest values share row 0"
            )
    if manifest.bayes:
        say(f"best possible NE on test: {manifest.bayes.ne:.4f} ± {manifest.bayes.ne_standard_error:.4f}")
    if manifest.rejected:
        say(f"note: {manifest.rejected:,} malformed rows left out, listed in {out / REJECTED}")


def report_described(description: Any) -> None:
    """Print what the data hold; the page has it in full."""
    from tfrs_scaling.input.describe import MULTIPLIERS
    from tfrs_scaling.input.describe_page import (
        findings,
        missing_text,
        number_text,
        share_text,
        unseen_text,
        zipf_text,
    )

    weighted = any(rate.weighted_ctr is not None for rate in description.splits.values())
    splits = numbers_table("split", "rows", "CTR", "95 % interval", *(["weighted CTR"] if weighted else []))
    for name, rate in description.splits.items():
        cells = [name, f"{rate.rows:,}", f"{rate.ctr:.4f}", f"{rate.low:.4f} to {rate.high:.4f}"]
        splits.add_row(*cells, *([f"{rate.weighted_ctr:.4f}"] if rate.weighted_ctr is not None else []))
    ids = numbers_table("feature", "rows", "ids", "no own id", "unseen in test", "top id", "Zipf exponent")
    shared = numbers_table("in a shared table row", *(f"V = {multiplier}" for multiplier in MULTIPLIERS))
    for feature in description.categorical:
        name = escape(feature.name)
        ids.add_row(
            name, f"{feature.cardinality:,}", f"{feature.distinct:,}", missing_text(feature), unseen_text(feature),
            share_text(feature.top_share), zipf_text(feature),
        )  # fmt: skip
        shares = ((each.shared, each.outnumbered) for each in feature.collisions.values())
        shared.add_row(name, *(" / ".join(map(share_text, both)) for both in shares))
    dense = numbers_table("dense feature", "lowest", "mean", "highest", "exactly 0")
    for number in description.dense:
        ends = (number_text(value) for value in (number.low, number.mean, number.high))
        dense.add_row(escape(number.name), *ends, share_text(number.zero))
    for table in (splits, ids, shared, *([dense] if description.dense else [])):
        console.print(table)
        if table is shared:
            say("of all training occurrences / those whose row belongs to a more frequent id")
        say("")
    if description.time_bins is None:
        say("the schema names no time column, so the CTR over time is not known")
    for sentence in findings(description):
        say(f"note: {sentence}")


def numbers_table(*columns: str) -> Table:
    """A table without lines, of names and numbers."""
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    return table
