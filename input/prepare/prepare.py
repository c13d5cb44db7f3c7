"""Rows of a click log -> train, validation and test shards."""

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import is_remote
from tfrs_scaling.common.parallel import begun, in_order
from tfrs_scaling.input.manifest import SPLITS, Manifest, SplitBy, SplitName
from tfrs_scaling.input.prepare.encoding import Encoded, WrittenShard, encode, write_encoded
from tfrs_scaling.input.prepare.publish import (
    WRITE_ERRORS,
    Prepared,
    check_shards,
    drafted,
    load_tfds,
    not_written,
    publish,
)
from tfrs_scaling.input.prepare.reading import check_rows, read
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.prepare.sources import Source, no_rows, source_hash
from tfrs_scaling.input.prepare.spill import Spilled, shard_of, shuffle_keys, shuffled
from tfrs_scaling.input.prepare.split import (
    DROPPED,
    Decisions,
    Request,
    Sizes,
    check_counts,
    count_splits,
    decide,
)
from tfrs_scaling.input.prepare.vocabulary import ValueCounts, Vocabulary, count_values
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
    jobs: int = 1,
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
        jobs: the largest number of processes that parse the log, and of threads that write shards.
        runner: an Apache Beam runner, such as DirectRunner; None works on this machine, and needs disk space for
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
            checksums = begun(source.raw_files)
            if runner is not None or jobs == 1:
                progress("checksums of the raw files")
                checksums.result()
            else:
                begun(load_tfds)
            if runner is None:
                prepared = _prepare_here(source, request, max_bad_rows, draft, jobs, progress)
            else:
                prepared = _prepare_on_beam(source, request, max_bad_rows, draft, runner, beam_options)
            raw_files = checksums.result()
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
        raise InputError(
            "--runner needs Apache Beam, which is not installed: pip install 'tfrs_scaling[beam]'"
        ) from None
    return prepare_on_beam(source, request, max_bad_rows, draft, runner, beam_options)


def _prepare_here(
    source: Source, request: Request, max_bad_rows: int, draft: str, jobs: int, progress: Callable[[str], None]
) -> Prepared:
    """Do all the work on this machine.

    Every row is parsed and spilled to disk, by several processes, then read back twice in shuffled order: to count and
    to write, in threads. Memory does not grow with the rows, except by a count per distinct value of the ``vocabulary``
    features.
    """
    with tempfile.TemporaryDirectory(prefix="spill-", dir=None if is_remote(draft) else draft) as folder:
        bits = request.sizes.bucket_bits
        found, rejected = read(source, Path(folder), request.seed, bits, max_bad_rows, jobs, progress)
        sample = found.spilled.first(request.sizes.sample_rows, found.spilled.at_once(jobs))
        if sample is None:
            raise no_rows(source)
        decisions = decide(sample, source.schema, request, jobs)
        progress("counting")
        counts, vocabularies = _count(found.spilled, source.schema, decisions, jobs)
        check_counts(counts, decisions)
        shards = _write(found.spilled, source.schema, decisions, counts, vocabularies, draft, jobs, progress)
        vocabulary_sizes = {name: vocabulary.size for name, vocabulary in vocabularies.items()}
        bayes, dropped = sample.click_probability is not None, int(counts[DROPPED, 0])
        return Prepared(
            decisions, shards, vocabulary_sizes, dict(found.missing), rejected, bayes, found.census.files,
            found.census.repeated, dropped,
        )  # fmt: skip


def _count(
    spilled: Spilled, schema: Schema, decisions: Decisions, jobs: int
) -> tuple[np.ndarray, dict[str, Vocabulary]]:
    """Rows and clicks of each split, and the vocabularies of the training split."""

    def counted(bucket: int) -> tuple[np.ndarray, dict[str, ValueCounts]]:
        rows = spilled.bucket(bucket)
        splits = decisions.splits(rows)
        return count_splits(rows, splits), count_values(rows, splits == SPLITS.index("train"), schema)

    counts = np.zeros((len(SPLITS) + 1, 2), np.int64)
    values: dict[str, list[ValueCounts]] = {f.name: [] for f in schema.categorical if f.encoding == "vocabulary"}
    for split_counts, value_counts in in_order(counted, range(spilled.buckets), spilled.at_once(jobs)):
        counts += split_counts
        for name, found in value_counts.items():
            values[name].append(found)
            if sum(len(part.hashes) for part in values[name][1:]) > decisions.request.sizes.unmerged_values:
                values[name] = [ValueCounts.merge(values[name])]
    check_rows("counted", int(counts[:, 0].sum()), spilled.rows)
    vocabularies = {}
    for feature in schema.categorical:
        if feature.name in values:
            merged = ValueCounts.merge(values[feature.name])
            vocabularies[feature.name] = Vocabulary.rank(merged, feature, len(merged.hashes))
    return counts, vocabularies


def _write(
    spilled: Spilled,
    schema: Schema,
    decisions: Decisions,
    counts: np.ndarray,
    vocabularies: dict[str, Vocabulary],
    draft: str,
    jobs: int,
    progress: Callable[[str], None],
) -> dict[SplitName, list[WrittenShard]]:
    sizes = decisions.request.sizes
    totals = {name: sizes.shard_count(rows) for name, rows in zip(SPLITS, counts[:, 0].tolist(), strict=False)}
    written: dict[SplitName, list[WrittenShard]] = {name: [] for name in SPLITS}

    def write(shard: tuple[SplitName, int, list[Encoded]]) -> tuple[SplitName, WrittenShard]:
        name, number, blocks = shard
        return name, write_encoded(draft, name, number, totals[name], blocks, sizes.rows_per_record)

    encoded = _shards(spilled, schema, decisions, vocabularies, totals, jobs)
    for name, shard in in_order(write, encoded, jobs):
        written[name].append(shard)
        progress(f"{sum(w.shard.rows for shards in written.values() for w in shards):,} rows written")
    check_shards(written, counts, sizes)
    return written


def _shards(
    spilled: Spilled,
    schema: Schema,
    decisions: Decisions,
    vocabularies: dict[str, Vocabulary],
    totals: dict[SplitName, int],
    jobs: int,
) -> Iterator[tuple[SplitName, int, list[Encoded]]]:
    """Every shard's number and rows, each split's shards in order; a shard is an equal range of the shuffle keys."""
    buckets_at_once = spilled.at_once(jobs)
    pieces_at_once = max(1, jobs // buckets_at_once)  # of a bucket, where few buckets fit in memory

    def encoded(rows: Rows) -> Encoded:
        return encode(rows, schema, decisions, vocabularies)

    def divided(bucket: int) -> list[tuple[SplitName, int, Encoded]]:
        rows, found = spilled.bucket(bucket), []
        order = shuffled(rows, decisions.request.seed)
        splits = decisions.splits(rows)[order]
        for index, name in enumerate(SPLITS):
            chosen = rows.take(order[splits == index])
            lowest, highest = shard_of(spilled.key_range(bucket), totals[name]).tolist()
            shard = shard_of(shuffle_keys(chosen, decisions.request.seed), totals[name])
            bounds = np.searchsorted(shard, np.arange(lowest, highest + 2)).tolist()
            pieces = (chosen.take(slice(*ends)) for ends in itertools.pairwise(bounds))
            blocks = in_order(encoded, pieces, pieces_at_once)
            found += [(name, number, block) for number, block in enumerate(blocks, lowest)]
        return found

    begun = dict.fromkeys(SPLITS, 0)
    waiting: dict[SplitName, list[Encoded]] = {name: [] for name in SPLITS}
    for found in in_order(divided, range(spilled.buckets), buckets_at_once):
        for name, number, rows in found:
            if number > begun[name]:
                yield name, begun[name], waiting[name]
                begun[name], waiting[name] = number, []
            waiting[name].append(rows)
    for name in SPLITS:
        yield name, begun[name], waiting[name]
