"""The data that a study makes or prepares for itself, in its own folder."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import tfrs_scaling
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config
from tfrs_scaling.input.logs.formats import FORMATS, open_log
from tfrs_scaling.input.logs.values.cells import TFDS_PREFIX
from tfrs_scaling.input.manifest import Manifest
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import LogSource, Source, SyntheticSource, source_hash
from tfrs_scaling.input.prepare.split import Request
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.plan import check_rows, plan, splits_to_make
from tfrs_scaling.training.tensorflow_startup import start_devices

if TYPE_CHECKING:
    from rich.console import Console

    from tfrs_scaling.study.workdir import Workdir


def own_source(config: Config) -> Source | None:
    """The rows that the study makes or reads itself; None: it is given data.

    Raises:
        InputError: there is no such log or schema.
    """
    if config.synthetic is not None:
        return SyntheticSource(config.synthetic)
    if config.log is None:
        return None
    name = config.log.format
    if name not in FORMATS and not name.startswith(TFDS_PREFIX):
        raise InputError(f"log.format: {name!r} is none of {', '.join(FORMATS)} and {TFDS_PREFIX}NAME")
    schema = None if config.log.schema is None else Schema.read(Path(config.log.schema))
    return LogSource(open_log(name, config.log.files, schema))


def prepare_own(config: Config, source: Source, folder: str | Path) -> Manifest:
    """Write the study's own rows to shards.

    Raises:
        InputError: as ``prepare`` raises it.
    """
    request = _request(config, source)
    return prepare(source, folder, split_by=request.split_by, seed=request.seed)


def _request(config: Config, source: Source) -> Request:
    """How the study's own rows are split and shuffled."""
    split = None if config.log is None else config.log.split
    seed = 0 if config.synthetic is None else config.synthetic.seed
    return Request(split or ("random" if source.schema.time is None else "time"), seed=seed)


def make_own_data(
    config: Config, folder: str, workdir: "Workdir", say: Callable[[str], None], console: "Console | None"
) -> None:
    """Make the study's data in ``folder``, unless they are there; those of other rows or settings are replaced.

    Raises:
        InputError: the study has no data of its own and there are none, or what is there was prepared by hand.
    """
    if (there := Path(folder).exists()) and workdir.study.exists():
        return  # the study is checked against the data next
    source = own_source(config)
    if source is None:
        if there:
            return
        raise InputError(
            f"study {config.study}: its configuration has neither a synthetic nor a log section; give prepared data "
            "with --data DIR"
        )
    if config.synthetic is not None:
        train, others = splits_to_make(config.synthetic)
        plan(config, source.schema, others)  # report mistakes before anything is made
        check_rows(config, train)
    what = "synthetic clicks" if config.synthetic is not None else "rows of the log"
    if there:
        manifest = ClickData.open(folder).manifest
        if manifest.sources and config.log is None:
            raise InputError(f"{folder}: was prepared from a log; to study it, give it with --data {folder}")
        if _made_of(manifest, config, source):
            return
        say(f"{folder}: {what} of other settings, which no study uses; making them again")
        shutil.rmtree(folder)
    with console.status(f"preparing {what}") if console else contextlib.nullcontext():
        start_devices()
        manifest = prepare_own(config, source, folder)
    rows = sum(split.rows for split in manifest.splits.values())
    best = f"; best possible NE on test: {manifest.bayes.ne:.4f}" if manifest.bayes else ""
    say(f"{folder}: made {rows:,} {what}{best}")
    for warning in manifest.warnings:
        say(f"warning: {warning}")


def _made_of(manifest: Manifest, config: Config, source: Source) -> bool:
    """Whether prepared data are what ``prepare_own`` would make of the source."""
    made = manifest.source_hash, manifest.request_hash, manifest.tool_version, manifest.schema
    files = source.raw_files()
    return made == (
        source_hash(source, files), _request(config, source).hash, tfrs_scaling.__version__, source.schema,
    )  # fmt: skip
