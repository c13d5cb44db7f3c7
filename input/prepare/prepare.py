"""Rows of a click log -> train, validation and test shards."""

import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import is_remote
from tfrs_scaling.input.logs.cells import Rejected, Rejects
from tfrs_scaling.input.prepare.encoding import ValueCounts, Vocabulary, count_values
from tfrs_scaling.input.prepare.publish import (
    WRITE_ERRORS,
    Prepared,
    WrittenShard,
    check_free,
    discard,
    new_draft,
    not_written,
    publish,
    write_rows,
)
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.prepare.sources import Source
from tfrs_scaling.input.prepare.spill import Spill, shard_of, shuffle_keys
from tfrs_scaling.input.prepare.split import (
    SAMPLE_ROWS,
    Decisions,
    Request,
    SplitBy,
    check_counts,
    count_splits,
    decide,
)
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import SPLITS, Manifest, SplitName, shard_count

# Counts of distinct values are summed up when so many have come together.
_UNMERGED_VALUES = 1 << 22


def prepare(
    source: Source,
    folder: str | Path,
    *,
    split_by: SplitBy | None = None,
    validation: float = 0.05,
    test: float = 0.1,
    seed: int = 0,
    negative_rate: float = 1.0,
    max_bad_rows: int = 0,
    runner: str | None = None,
    beam_options: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Split, shuffle, encode and write a click log.

    ``folder`` appears when everything is in it, not before. The same source and seed give the same bytes, whatever
    does the work.

    Args:
        source: the rows.
        folder: where to; must not exist, or hold nothing.
        split_by: as for ``Request``; None: ``time`` where the schema has a time column, else ``random``.
        validation: share of the rows.
        test: share of the rows.
        seed: of all that is drawn, and of the shuffle.
        negative_rate: the share of the negatives that the training split keeps.
        max_bad_rows: so many malformed rows are left out and listed; one more is an error.
        runner: an Apache Beam runner, such as DirectRunner; None works in this process, which takes disk for
            about twice the uncompressed log.
        beam_options: of that runner, as Beam's command line has them.
        progress: hears now and then what is being done.

    Raises:
        InputError: ``folder`` is taken, an option is off, the log cannot be read, or a split comes out empty or with
            one label only.
    """
    schema = source.schema
    split_by = split_by or ("random" if schema.time is None else "time")
    if split_by == "time" and schema.time is None:
        raise InputError("a split by time needs a time column, and the schema names none: split by order or at random")
    request = Request(split_by, validation, test, seed, negative_rate)
    folder = str(folder)
    check_free(folder)
    draft = new_draft(folder)
    try:
        progress("checksums of the raw files")
        record = source.record()
        if runner is None:
            prepared = _prepared_here(source, request, max_bad_rows, draft, progress)
        else:
            try:
                from tfrs_scaling.input.prepare.beam import prepared_on_beam
            except ModuleNotFoundError as error:
                if not str(error.name).startswith("apache_beam"):
                    raise
                raise InputError(
                    "--runner is for Apache Beam, which is not installed: pip install -e '.[beam]'"
                ) from None
            prepared = prepared_on_beam(source, request, max_bad_rows, draft, runner, beam_options)
        return publish(draft, folder, prepared, schema, record)
    except WRITE_ERRORS as error:
        raise not_written(folder, error) from None
    finally:
        if tf.io.gfile.exists(draft):
            discard(draft)


def _prepared_here(
    source: Source, request: Request, max_bad_rows: int, draft: str, progress: Callable[[str], None]
) -> Prepared:
    """The whole work in this process.

    The log passes through twice: every row is parsed and put on disk, then read back in the order of the shuffle, once
    to count and once to write. What is in memory does not grow with the rows, but for a count per distinct value of
    the ``vocabulary`` features.
    """
    scratch = Path(tempfile.mkdtemp()) if is_remote(draft) else Path(draft)
    spill = Spill(scratch / "spill", request.seed)
    try:
        rejects, missing = _spill(source, spill, max_bad_rows, progress)
        sample = spill.first(SAMPLE_ROWS)
        if sample is None:
            raise InputError(f"{', '.join(r.file for r in source.record()) or 'the log'}: no rows")
        decisions = decide(sample, source.schema, request)
        progress("counting")
        counts, vocabularies = _count(spill, source.schema, decisions)
        check_counts(counts)
        shards = _write(spill, source.schema, decisions, counts, vocabularies, draft, progress)
        sizes = {name: vocabulary.size for name, vocabulary in vocabularies.items()}
        return Prepared(decisions, shards, sizes, missing, rejects, sample.click_probability is not None)
    finally:
        spill.remove()
        if is_remote(draft):
            shutil.rmtree(scratch)


def _spill(
    source: Source, spill: Spill, max_bad_rows: int, progress: Callable[[str], None]
) -> tuple[list[Rejected], dict[str, int]]:
    """Parse every row; gives the malformed ones, and the number of missing values per feature."""
    rejects, missing, read = Rejects(max_bad_rows), Counter[str](), 0
    for part in range(source.parts):
        for piece in source.pieces(part):
            parsed = source.rows(piece)
            rejects.add(parsed.rejected)
            missing.update(parsed.missing)
            spill.add(parsed.rows)
            read += len(parsed.rows)
            progress(f"{read:,} rows read")
    spill.close()
    return rejects.rows, dict(missing)


def _count(spill: Spill, schema: Schema, decisions: Decisions) -> tuple[np.ndarray, dict[str, Vocabulary]]:
    """Rows and clicks of each split, and the vocabularies of the training split."""
    counts = np.zeros((len(SPLITS) + 1, 2), np.int64)
    values: dict[str, list[ValueCounts]] = {f.name: [] for f in schema.categorical if f.encoding == "vocabulary"}
    for rows in spill.buckets():
        splits = decisions.splits(rows)
        counts += count_splits(rows, splits)
        for name, counted in count_values(rows, splits == SPLITS.index("train"), schema).items():
            values[name].append(counted)
            if sum(len(part.hashes) for part in values[name][1:]) > _UNMERGED_VALUES:
                values[name] = [ValueCounts.merged(values[name])]
    vocabularies = {}
    for feature in schema.categorical:
        if feature.name in values:
            merged = ValueCounts.merged(values[feature.name])
            vocabularies[feature.name] = Vocabulary.ranked(merged, feature, len(merged.hashes))
    return counts, vocabularies


def _write(
    spill: Spill,
    schema: Schema,
    decisions: Decisions,
    counts: np.ndarray,
    vocabularies: dict[str, Vocabulary],
    draft: str,
    progress: Callable[[str], None],
) -> dict[SplitName, list[WrittenShard]]:
    totals = {name: shard_count(int(rows)) for name, rows in zip(SPLITS, counts[:, 0], strict=False)}
    written: dict[SplitName, list[WrittenShard]] = {name: [] for name in SPLITS}
    for name, shard_rows in _shards(spill, decisions, totals):
        number = len(written[name])
        shard = write_rows(draft, name, number, totals[name], shard_rows, schema, decisions, vocabularies)
        written[name].append(shard)
        progress(f"{sum(w.shard.rows for shards in written.values() for w in shards):,} rows written")
    return written


def _shards(spill: Spill, decisions: Decisions, totals: dict[SplitName, int]) -> Iterator[tuple[SplitName, Rows]]:
    """The rows of every shard, each split's in order: the shuffle keys fall evenly into as many ranges as it has."""
    waiting: dict[SplitName, list[Rows]] = {name: [] for name in SPLITS}
    done = dict.fromkeys(SPLITS, 0)
    for rows, lowest_to_come in spill.buckets_with_ends():
        splits = decisions.splits(rows)
        for index, name in enumerate(SPLITS):
            waiting[name].append(rows.take(splits == index))
            complete = totals[name] if lowest_to_come is None else int(shard_of(lowest_to_come, totals[name]))
            if complete > done[name]:
                together = Rows.concatenate(waiting.pop(name))
                shard = shard_of(shuffle_keys(together, decisions.request.seed), totals[name])
                bounds = np.searchsorted(shard, np.arange(done[name], complete + 1)).tolist()
                for start, stop in itertools.pairwise(bounds):
                    yield name, together.take(slice(start, stop))
                waiting[name], done[name] = [together.take(np.arange(bounds[-1], len(together)))], complete
