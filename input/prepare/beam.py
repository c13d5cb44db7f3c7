"""Preparation as an Apache Beam pipeline: the same bytes from any number of machines.

Rows travel as bytes, in the blocks that they were parsed in. The steps, in Beam's terms:

    parts -> pieces -> (reshuffled) rows -> total; rows, total -> sample -> decisions
    rows, decisions -> counts; counts of values -> vocabularies
    rows, decisions, counts -> (grouped by shard) -> shards
"""

import argparse
import contextlib
import dataclasses
import itertools
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pydantic
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsDict, AsIter, AsSingleton

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import join, opened, size
from tfrs_scaling.input.logs.values.cells import Rejected, Rejects
from tfrs_scaling.input.manifest import SPLITS, SplitName
from tfrs_scaling.input.prepare.census import KEPT, Census
from tfrs_scaling.input.prepare.encoding import WrittenShard, encode, write_encoded
from tfrs_scaling.input.prepare.publish import Prepared, check_shards
from tfrs_scaling.input.prepare.reading import check_rows
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.prepare.sources import Source, no_rows
from tfrs_scaling.input.prepare.spill import (
    from_bytes,
    shard_of,
    shuffle_keys,
    shuffled,
    to_bytes,
    without_codes,
)
from tfrs_scaling.input.prepare.split import DROPPED, Decisions, Request, check_counts, count_splits, decide
from tfrs_scaling.input.prepare.vocabulary import ValueCounts, Vocabulary, count_values
from tfrs_scaling.input.schema import Schema

# The values of a feature are counted in 2**VALUE_RANGE_BITS ranges of their hashes, on different machines.
VALUE_RANGE_BITS = 6
_CHUNK_ROWS = 1 << 11  # of about 300 bytes each, at a time to be sorted by shard
_OUTCOME = "outcome.json"
_BEGAN = "began"  # a file that the first worker writes
_PATIENCE_SECONDS = 120
_DEFAULTS = (
    "--default_sdk_harness_log_level=ERROR",
    "--environment_cache_millis=60000",  # else Flink ends its workers between two steps, and they take seconds to start
)
_NO_WORKER = (
    "apache_beam, of the version that is here, and this package must be installed where they run, and the runner must "
    "have room for them; its own log may say more"
)
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Notes:
    """Malformed rows and missing values found while parsing.

    Attributes:
        rejected: malformed rows, each with its part, in order; at most one more than allowed.
        missing: missing values per feature.
    """

    rejected: list[tuple[int, Rejected]]
    missing: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The results that the pipeline passes to the process that started it.

    Attributes:
        notes: notes of all blocks.
        decisions: how the log was split and scaled; None if it has no rows.
        counts: result of ``count_splits``; empty if there are no rows.
        vocabulary_sizes: distinct training values per feature.
        shards: shards with their split and number; empty if the log cannot be used.
        bayes: whether the true click probabilities are known.
        files, repeated: as in ``Prepared``.
    """

    notes: Notes
    decisions: Decisions | None
    counts: list[list[int]]
    vocabulary_sizes: dict[str, int]
    shards: list[tuple[SplitName, int, WrittenShard]]
    bayes: bool
    files: dict[int, tuple[int, int]]
    repeated: float


def prepare_on_beam(
    source: Source, request: Request, max_bad_rows: int, draft: str, runner: str, beam_options: Sequence[str]
) -> Prepared:
    """Run the pipeline and wait for it.

    Args:
        source: the rows.
        request: how they are to be split.
        max_bad_rows: the number of malformed rows to skip and list.
        draft: the folder for the shards; every worker must be able to write there.
        runner: Beam's name for the runner.
        beam_options: options of that runner, such as ``direct_num_workers=2``.

    Raises:
        InputError: the log or an option cannot be used.
    """
    if "dask" in runner.lower():
        raise InputError(
            f"--runner {runner}: gives wrong sums to steps that read what others have counted; use another"
        )
    options = _options(runner, beam_options)
    try:
        pipeline = beam.Pipeline(options=options)
    except (ValueError, ImportError, AttributeError) as error:
        raise InputError(f"--runner {runner}: Apache Beam cannot use it: {error}") from None
    began = join(draft, _BEGAN)
    try:
        with _worker_awaited(began), pipeline:
            _build(pipeline, source, request, max_bad_rows, draft)
    except InputError:
        raise
    except Exception as error:
        raise _input_error(error, runner) from error
    if size(began) is not None:
        beam.io.filesystems.FileSystems.delete([began])
    path = join(draft, _OUTCOME)
    if size(path) is None:
        raise InputError(f"--runner {runner}: ended without an outcome; its log may say why")
    with opened(path) as stream:
        outcome = pydantic.TypeAdapter(Outcome).validate_json(stream.read())
    beam.io.filesystems.FileSystems.delete([path])
    return _collect(outcome, source, max_bad_rows)


def _options(runner: str, beam_options: Sequence[str]) -> PipelineOptions:
    """The options, all of which Beam's own parser knows, by whatever spelling."""
    flags = [f"--{option}" for option in beam_options]
    unknown: list[str] = []

    def find_unknown(parser: argparse.ArgumentParser) -> None:
        unknown.extend(parser.parse_known_args(flags)[1])

    try:
        options = PipelineOptions([f"--runner={runner}", *_DEFAULTS, *flags])
        options.get_all_options(add_extra_args_fn=find_unknown)
    except SystemExit:  # argparse has printed which
        raise InputError(f"--beam {', '.join(beam_options)}: a value cannot be used; see the message above") from None
    if unknown:
        raise InputError(
            f"--beam {unknown[0].lstrip('-')}: Apache Beam has no such option; see the runner's documentation"
        )
    return options


@contextlib.contextmanager
def _worker_awaited(began: str) -> Iterator[None]:
    """Say now and then that no worker has begun: runners wait in silence for those that cannot start."""
    ended = threading.Event()

    def watch() -> None:
        waited = 0
        while size(began) is None:
            if ended.wait(_PATIENCE_SECONDS):
                return
            waited += _PATIENCE_SECONDS
            if size(began) is None:
                _LOG.error("no worker has begun in %d s: %s", waited, _NO_WORKER)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _input_error(error: Exception, runner: str) -> InputError:
    """The worker's ``InputError``, recovered from the runner's message; else the message itself."""
    name = f"{InputError.__module__}.{InputError.__name__}: "
    found = [line.partition(name)[2] for line in str(error).splitlines() if name in line]
    return InputError(found[-1].partition(" [while running")[0] if found else f"--runner {runner} failed: {error}")


def _collect(outcome: Outcome, source: Source, max_bad_rows: int) -> Prepared:
    rejects = Rejects(max_bad_rows)
    rejects.add([rejected for _, rejected in outcome.notes.rejected])
    if outcome.decisions is None:
        raise no_rows(source)
    check_counts(np.array(outcome.counts), outcome.decisions)
    shards: dict[SplitName, list[WrittenShard]] = {name: [] for name in SPLITS}
    for name, _, shard in sorted(outcome.shards, key=lambda written: written[:2]):
        shards[name].append(shard)
    check_shards(shards, np.array(outcome.counts), outcome.decisions.request.sizes)
    check_rows("read", sum(rows for rows, _ in outcome.files.values()), sum(rows for rows, _ in outcome.counts))
    names = [feature.name for feature in source.schema.categorical if feature.name in outcome.vocabulary_sizes]
    sizes = {name: outcome.vocabulary_sizes[name] for name in names}
    return Prepared(
        outcome.decisions, shards, sizes, outcome.notes.missing, rejects.rows, outcome.bayes, outcome.files,
        outcome.repeated, outcome.counts[DROPPED][0],
    )  # fmt: skip


def _build(pipeline: beam.Pipeline, source: Source, request: Request, max_bad_rows: int, draft: str) -> None:
    schema = source.schema
    parsed = (
        pipeline
        | "parts" >> beam.Create(list(range(source.parts)))
        | "pieces" >> beam.FlatMap(lambda part: _pieces(source, part, join(draft, _BEGAN)))
        | "spread" >> beam.Reshuffle()
        | "parse" >> beam.ParDo(_Parse(source, max_bad_rows)).with_outputs("notes", main="rows")
    )
    rows = parsed.rows
    notes = parsed.notes | "all notes" >> beam.CombineGlobally(_AllNotes(max_bad_rows))
    total = rows | "length" >> beam.Map(lambda content: len(from_bytes(content))) | "total" >> beam.CombineGlobally(sum)
    is_bayes = rows | "true rates" >> beam.Map(_knows_true_rates) | "any" >> beam.CombineGlobally(any)
    sample = rows | "sample" >> beam.FlatMap(_candidates_of_sample, AsSingleton(total), request)
    census = rows | "census" >> beam.CombineGlobally(_Counted())
    decisions = (
        pipeline
        | "once" >> beam.Create([None])
        | "decide" >> beam.Map(lambda _, candidates: _decide(candidates, schema, request), AsIter(sample))
    )
    counts = rows | "count" >> beam.Map(_counts, AsSingleton(decisions)) | "all counts" >> beam.CombineGlobally(_sum)
    vocabularies = (
        rows
        | "values" >> beam.FlatMap(_values, AsSingleton(decisions), schema)
        | "all values" >> beam.CombinePerKey(_merge)
        | "most frequent" >> beam.MapTuple(lambda key, values: (key[0], _candidates(values, key[0], schema)))
        | "by feature" >> beam.GroupByKey()
        | "rank" >> beam.MapTuple(lambda name, parts: (name, _rank(parts, name, schema)))
    )
    shards = (
        rows
        | "by shard"
        >> beam.FlatMap(_by_shard, AsSingleton(decisions), AsSingleton(counts), AsSingleton(notes), max_bad_rows)
        | "shards" >> beam.GroupByKey()
        | "write" >> beam.Map(_write, draft, schema, AsSingleton(decisions), AsSingleton(counts), AsDict(vocabularies))
        | "all shards" >> beam.combiners.ToList()
    )
    sizes = vocabularies | "sizes" >> beam.MapTuple(lambda name, vocabulary: (name, vocabulary.size))
    _ = shards | "outcome" >> beam.Map(
        _write_outcome,
        draft,
        AsSingleton(notes),
        AsSingleton(decisions),
        AsSingleton(counts),
        AsDict(sizes),
        AsSingleton(is_bayes),
        AsSingleton(census),
    )


def _pieces(source: Source, part: int, began: str) -> Iterator[tuple[int, Any]]:
    """The pieces of a part, each with its number."""
    with opened(began, "wb"):
        pass
    for piece in source.pieces(part):
        yield part, piece


class _Parse(beam.DoFn):
    """A piece of a part -> its rows as bytes, and under the tag ``notes`` its notes."""

    def __init__(self, source: Source, max_bad_rows: int):
        self._source, self._max_bad_rows = source, max_bad_rows

    def process(self, element: tuple[int, Any]) -> Iterator[Any]:
        part, piece = element
        parsed = self._source.rows(piece)
        rejected = [(part, row) for row in parsed.rejected[: self._max_bad_rows + 1]]
        yield beam.pvalue.TaggedOutput("notes", Notes(rejected, parsed.missing))
        yield to_bytes(parsed.rows)


class _AllNotes(beam.CombineFn):
    """Merges the notes of all blocks."""

    def __init__(self, max_bad_rows: int):
        self._max_bad_rows = max_bad_rows

    def create_accumulator(self) -> Notes:
        return Notes([], {})

    def add_input(self, notes: Notes, more: Notes) -> Notes:
        return self.merge_accumulators([notes, more])

    def merge_accumulators(self, all_notes: Iterable[Notes]) -> Notes:
        rejected: list[tuple[int, Rejected]] = []
        missing: Counter[str] = Counter()
        for notes in all_notes:
            rejected += notes.rejected
            missing.update(notes.missing)
        rejected.sort(key=lambda row: (row[0], row[1].line))
        return Notes(rejected[: self._max_bad_rows + 1], dict(missing))

    def extract_output(self, notes: Notes) -> Notes:
        return notes


class _Counted(beam.CombineFn):
    """Counts the rows of all blocks."""

    def create_accumulator(self) -> list[Census]:
        return []

    def add_input(self, parts: list[Census], content: bytes) -> list[Census]:
        parts.append(Census.count(from_bytes(content), parts[0].level if parts else 0))
        return [Census.merge(parts)] if sum(len(part.hashes.hashes) for part in parts[1:]) > 2 * KEPT else parts

    def merge_accumulators(self, accumulators: Iterable[list[Census]]) -> list[Census]:
        return [Census.merge([part for parts in accumulators for part in parts])]

    def compact(self, parts: list[Census]) -> list[Census]:
        return [Census.merge(parts)]

    def extract_output(self, parts: list[Census]) -> Census:
        return Census.merge(parts)


def _knows_true_rates(content: bytes) -> bool:
    return from_bytes(content).click_probability is not None


def _candidates_of_sample(content: bytes, total: int, request: Request) -> Iterator[bytes]:
    """The rows of a block that may be of the sample: those of low shuffle key, without codes."""
    rows = without_codes(from_bytes(content))
    # Keys are random: about a tenth more than the sample are below this one, and never fewer than it.
    share = (1.1 * request.sizes.sample_rows + 1000) / max(total, 1)
    if share < 1:
        rows = rows.take(shuffle_keys(rows, request.seed) < np.uint64(share * 2**64))
    yield from _in_chunks(rows)


def _in_chunks(rows: Rows) -> Iterator[bytes]:
    """The rows as bytes, so few at a time that engines can sort what they are handed: Flink in a few MiB."""
    for start in range(0, len(rows), _CHUNK_ROWS):
        yield to_bytes(rows.take(slice(start, start + _CHUNK_ROWS)))


def _decide(candidates: Iterable[bytes], schema: Schema, request: Request) -> Decisions | None:
    blocks = [from_bytes(content) for content in candidates]
    if not blocks:
        return None
    together = Rows.concatenate(blocks)
    return decide(together.take(shuffled(together, request.seed)[: request.sizes.sample_rows]), schema, request)


def _counts(content: bytes, decisions: Decisions | None) -> list[list[int]]:
    if decisions is None:
        return []
    rows = from_bytes(content)
    counted: list[list[int]] = count_splits(rows, decisions.splits(rows)).tolist()
    return counted


def _sum(counts: Iterable[list[list[int]]]) -> list[list[int]]:
    parts = [np.array(part) for part in counts if part]
    total: list[list[int]] = sum(parts[1:], start=parts[0]).tolist() if parts else []
    return total


def _values(
    content: bytes, decisions: Decisions | None, schema: Schema
) -> Iterator[tuple[tuple[str, int], ValueCounts]]:
    """The counts of a block's training values, by feature and range of hashes."""
    if decisions is None:
        return
    rows = from_bytes(content)
    for name, values in count_values(rows, decisions.splits(rows) == SPLITS.index("train"), schema).items():
        bounds = np.arange(1, 1 << VALUE_RANGE_BITS, dtype=np.uint64) << np.uint64(64 - VALUE_RANGE_BITS)
        cuts = [0, *np.searchsorted(values.hashes, bounds).tolist(), len(values.hashes)]
        for number, (start, stop) in enumerate(itertools.pairwise(cuts)):
            if number == 0 or stop > start:  # features without any value are reported too
                yield (name, number), ValueCounts(values.hashes[start:stop], values.counts[start:stop])


def _merge(parts: Iterable[ValueCounts]) -> ValueCounts:
    return ValueCounts.merge([ValueCounts.empty(), *parts])


def _candidates(values: ValueCounts, name: str, schema: Schema) -> tuple[int, ValueCounts]:
    """The number of distinct values, and the counts of those frequent enough to get an id."""
    feature = next(feature for feature in schema.categorical if feature.name == name)
    return len(values.hashes), values.most_frequent(feature.cardinality - 1)


def _rank(parts: Iterable[tuple[int, ValueCounts]], name: str, schema: Schema) -> Vocabulary:
    feature = next(feature for feature in schema.categorical if feature.name == name)
    sizes, candidates = zip(*parts, strict=True)
    return Vocabulary.rank(_merge(candidates), feature, sum(sizes))


def _by_shard(
    content: bytes, decisions: Decisions | None, counts: list[list[int]], notes: Notes, max_bad_rows: int
) -> Iterator[tuple[tuple[SplitName, int], bytes]]:
    """The rows of a block by split and shard; nothing if the log cannot be used."""
    if decisions is None or len(notes.rejected) > max_bad_rows:
        return
    rows = from_bytes(content)
    splits, sizes = decisions.splits(rows), decisions.request.sizes
    for index, name in enumerate(SPLITS):
        chosen = rows.take(splits == index)
        shard = shard_of(shuffle_keys(chosen, decisions.request.seed), sizes.shard_count(counts[index][0]))
        for number in np.unique(shard).tolist():
            for chunk in _in_chunks(chosen.take(shard == number)):
                yield (name, number), chunk


def _write(
    group: tuple[tuple[SplitName, int], Iterable[bytes]],
    draft: str,
    schema: Schema,
    decisions: Decisions,
    counts: list[list[int]],
    vocabularies: dict[str, Vocabulary],
) -> tuple[SplitName, int, WrittenShard]:
    (name, number), blocks = group
    together = Rows.concatenate([from_bytes(content) for content in blocks])
    rows = together.take(shuffled(together, decisions.request.seed))
    sizes, encoded = decisions.request.sizes, encode(rows, schema, decisions, vocabularies)
    total = sizes.shard_count(counts[SPLITS.index(name)][0])
    return name, number, write_encoded(draft, name, number, total, [encoded], sizes.rows_per_record)


def _write_outcome(
    shards: list[tuple[SplitName, int, WrittenShard]],
    draft: str,
    notes: Notes,
    decisions: Decisions | None,
    counts: list[list[int]],
    sizes: dict[str, int],
    is_bayes: bool,
    census: Census,
) -> None:
    outcome = Outcome(notes, decisions, counts, sizes, shards, is_bayes, census.files, census.repeated)
    with opened(join(draft, _OUTCOME), "wb") as stream:
        stream.write(pydantic.TypeAdapter(Outcome).dump_json(outcome))
