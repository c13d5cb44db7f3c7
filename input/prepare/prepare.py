"""Rows of a click log -> train, validation and test shards."""

import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import is_remote
from tfrs_scaling.input.logs.values.cells import Rejected, Rejects
from tfrs_scaling.input.manifest import SPLITS, Manifest, SplitBy, SplitName
from tfrs_scaling.input.prepare.census import KEPT, Census
from tfrs_scaling.input.prepare.encoding import ValueCounts, Vocabulary, WrittenShard, count_values, write_rows
from tfrs_scaling.input.prepare.publish import (
    WRITE_ERRORS,
    Prepared,
    drafted,
    not_written,
    publish,
)
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.prepare.sources import Source, no_rows, source_hash
from tfrs_scaling.input.prepare.spill import Spill, shard_of, shuffle_keys
from tfrs_scaling.input.prepare.split import (
    DROPPED,
    Decisions,
    Request,
    Sizes,
    check_counts,
    count_splits,
    decide,
)
from tfrs_scaling.input.schema import Schema


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
    sizes: Sizes = Sizes(),  # noqa: B008 -- frozen
    progress: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Split, shuffle, encode and write a click log.

    ``folder`` appears only when it is complete. The same source and seed give the same bytes, whatever does the work.

    Args:
        source: the rows.
        folder: folder to write to; must not exist, or must be empty.
        split_by: as in ``Request``; None: ``time`` if the schema has a time column, else ``random``.
        validation: share of the rows in the validation split.
        test: share of the rows in the test split.
        seed: seed of the random draws and the shuffle.
        negative_rate: the share of the negatives that the training split keeps.
        max_bad_rows: the number of malformed rows to skip and list; one more is an error.
        runner: an Apache Beam runner, such as DirectRunner; None works in this process, and needs disk space for
            about twice the uncompressed log.
        beam_options: options of that runner, as on Beam's command line.
        sizes: sizes of blocks and buffers.
        progress: called now and then with a description of the current step.

    Raises:
        InputError: ``folder`` is taken, or another process is writing it; an option is invalid, the log cannot be
            read, or a split would be empty or have one label only.
    """
    schema = source.schema
    split_by = split_by or ("random" if schema.time is None else "time")
    if split_by == "time" and schema.time is None:
        raise InputError("a split by time needs a time column, and the schema names none: split by order or at random")
    request = Request(split_by, validation, test, seed, negative_rate, sizes)
    folder = str(folder)
    try:
        with drafted(folder) as draft:
            progress("checksums of the raw files")
            raw_files = source.raw_files()
            if runner is None:
                prepared = _prepare_here(source, request, max_bad_rows, draft, progress)
            else:
                prepared = _prepare_on_beam(source, request, max_bad_rows, draft, runner, beam_options)
            return publish(draft, folder, prepared, schema, raw_files, source_hash(source, raw_files))
    except WRITE_ERRORS as error:
        raise not_written(folder, error) from None


def _prepare_on_beam(
    source: Source, request: Request, max_bad_rows: int, draft: str, runner: str, beam_options: Sequence[str]
) -> Prepared:
    try:
        from tfrs_scaling.input.prepare.beam import prepare_on_beam
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("apache_beam"):
            raise
        raise InputError("--runner needs Apache Beam, which is not installed: pip install -e '.[beam]'") from None
    return prepare_on_beam(source, request, max_bad_rows, draft, runner, beam_options)


def _prepare_here(
    source: Source, request: Request, max_bad_rows: int, draft: str, progress: Callable[[str], None]
) -> Prepared:
    """Do all the work in this process.

    Every row is parsed and spilled to disk, then read back twice in shuffled order: to count and to write. Memory does
    not grow with the rows, except by a count per distinct value of the ``vocabulary`` features.
    """
    scratch = Path(tempfile.mkdtemp()) if is_remote(draft) else Path(draft)
    spill = Spill(scratch / "spill", request.seed, request.sizes.bucket_bits)
    try:
        rejects, missing, census = _spill(source, spill, max_bad_rows, progress)
        sample = spill.first(request.sizes.sample_rows)
        if sample is None:
            raise no_rows(source)
        decisions = decide(sample, source.schema, request)
        progress("counting")
        counts, vocabularies = _count(spill, source.schema, decisions)
        check_counts(counts, decisions)
        shards = _write(spill, source.schema, decisions, counts, vocabularies, draft, progress)
        vocabulary_sizes = {name: vocabulary.size for name, vocabulary in vocabularies.items()}
        bayes, dropped = sample.click_probability is not None, int(counts[DROPPED, 0])
        return Prepared(
            decisions, shards, vocabulary_sizes, missing, rejects, bayes, census.files, census.repeated, dropped
        )
    finally:
        spill.remove()
        if is_remote(draft):
            shutil.rmtree(scratch)


def _spill(
    source: Source, spill: Spill, max_bad_rows: int, progress: Callable[[str], None]
) -> tuple[list[Rejected], dict[str, int], Census]:
    """Parse every row into ``spill``; returns the malformed rows, the missing values per feature, and the counts."""
    rejects, missing, read = Rejects(max_bad_rows), Counter[str](), 0
    counted = [Census.merge([])]
    for part in range(source.parts):
        for piece in source.pieces(part):
            parsed = source.rows(piece)
            rejects.add(parsed.rejected)
            missing.update(parsed.missing)
            spill.add(parsed.rows)
            read += len(parsed.rows)
            counted.append(Census.count(parsed.rows, counted[0].level))
            if sum(len(part.hashes.hashes) for part in counted[1:]) > 2 * KEPT:
                counted = [Census.merge(counted)]
            progress(f"{read:,} rows read")
    spill.close()
    return rejects.rows, dict(missing), Census.merge(counted)


def _count(spill: Spill, schema: Schema, decisions: Decisions) -> tuple[np.ndarray, dict[str, Vocabulary]]:
    """Rows and clicks of each split, and the vocabularies of the training split."""
    counts = np.zeros((len(SPLITS) + 1, 2), np.int64)
    values: dict[str, list[ValueCounts]] = {f.name: [] for f in schema.categorical if f.encoding == "vocabulary"}
    for rows in spill.buckets():
        splits = decisions.splits(rows)
        counts += count_splits(rows, splits)
        for name, counted in count_values(rows, splits == SPLITS.index("train"), schema).items():
            values[name].append(counted)
            if sum(len(part.hashes) for part in values[name][1:]) > decisions.request.sizes.unmerged_values:
                values[name] = [ValueCounts.merge(values[name])]
    vocabularies = {}
    for feature in schema.categorical:
        if feature.name in values:
            merged = ValueCounts.merge(values[feature.name])
            vocabularies[feature.name] = Vocabulary.rank(merged, feature, len(merged.hashes))
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
    sizes = decisions.request.sizes
    totals = {name: sizes.shard_count(rows) for name, rows in zip(SPLITS, counts[:, 0].tolist(), strict=False)}
    written: dict[SplitName, list[WrittenShard]] = {name: [] for name in SPLITS}
    for name, shard_rows in _shards(spill, decisions, totals):
        number = len(written[name])
        shard = write_rows(draft, name, number, totals[name], shard_rows, schema, decisions, vocabularies)
        written[name].append(shard)
        progress(f"{sum(w.shard.rows for shards in written.values() for w in shards):,} rows written")
    return written


def _shards(spill: Spill, decisions: Decisions, totals: dict[SplitName, int]) -> Iterator[tuple[SplitName, Rows]]:
    """The rows of every shard, each split's shards in order; a shard is an equal range of the shuffle keys."""
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
