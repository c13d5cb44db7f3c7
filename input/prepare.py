"""Rows of a click log -> train, validation and test shards."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf

import tfrs_scaling
from tfrs_scaling.input.formats import Rejects
from tfrs_scaling.input.rows import PADDING, Rows, Vocabulary
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import (
    FORMAT_VERSION,
    MANIFEST,
    SPLITS,
    Bayes,
    Manifest,
    Source,
    Split,
    SplitName,
    write_split,
    write_tfds_metadata,
)
from tfrs_scaling.input.validated import InputError

REJECTED = "rejected.tsv"


def prepare(
    blocks: Iterable[Rows],
    schema: Schema,
    folder: Path,
    *,
    vocabularies: dict[str, Vocabulary] | None = None,
    rejects: Rejects | None = None,
    sources: tuple[Source, ...] = (),
    split_by: Literal["time", "random"] | None = None,
    validation: float = 0.05,
    test: float = 0.1,
    seed: int = 0,
) -> Manifest:
    """Split, shuffle, encode and write a click log.

    The whole log is held in memory. ``folder`` appears when everything is in it, not before.

    Args:
        blocks: the rows, in the log's order.
        schema: their columns.
        folder: where to; must not exist, or hold nothing.
        vocabularies: by ``vocabulary`` feature, the values that its codes stand for; complete once ``blocks`` is
            exhausted.
        rejects: the malformed rows, likewise.
        sources: the raw files, for the record.
        split_by: ``time`` puts the latest rows into test and those before into validation, a moment never being
            in two splits; ``random`` draws. None: ``time`` where the schema has a time column.
        validation: its share of the rows.
        test: its share of the rows.
        seed: of the drawing, and of the order of the training rows.

    Raises:
        InputError: ``folder`` is taken, a share is off, or a split comes out empty or with one label only.
    """
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise InputError(f"validation {validation} and test {test}: both above 0, and less than 1 together")
    split_by = split_by or ("random" if schema.time is None else "time")
    if split_by == "time" and schema.time is None:
        raise InputError("a split by time needs a time column, and the schema names none: split at random")
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise InputError(f"{folder}: exists already; remove it or choose another folder")
    folder = folder.resolve()
    vocabularies, rejects = vocabularies or {}, rejects or Rejects()

    collected = list(blocks)
    if not sum(len(block.label) for block in collected):
        raise InputError(f"{', '.join(source.file for source in sources) or 'the log'}: no rows")
    rows = Rows.concatenate(collected)
    collected.clear()
    index = _split(rows, split_by, validation, test, seed)
    _check_labels({name: rows.label[index[name]] for name in SPLITS})

    ids, vocabulary_sizes = _ranked(rows.ids, schema, vocabularies, index["train"])
    dense, mean, deviation = _scaled(rows.dense, schema, index["train"])
    columns = {"label": rows.label[:, None], "ids": ids, "dense": dense}
    if rows.time is not None:
        columns["time"] = rows.time[:, None]

    partial = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # left by a run that was killed
        partial.mkdir(parents=True)
        splits: dict[SplitName, Split] = {
            name: write_split(partial, name, {key: column[index[name]] for key, column in columns.items()}, schema)
            for name in SPLITS
        }
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            tool_version=tfrs_scaling.__version__,
            schema=schema,
            splits=splits,
            split_by=split_by,
            seed=seed,
            dense_mean=tuple(mean),
            dense_deviation=tuple(deviation),
            vocabulary_sizes=vocabulary_sizes,
            rejected=len(rejects.rows),
            sources=sources,
            bayes=_bayes(rows.take(index["test"])),
        )
        write_tfds_metadata(partial, manifest)
        _write_rejected(partial / REJECTED, rejects)
        (partial / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        partial.replace(folder)
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(f"{folder}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    return manifest


def _split(rows: Rows, split_by: str, validation: float, test: float, seed: int) -> dict[SplitName, np.ndarray]:
    """Row numbers of each split; the training rows in one seeded global shuffle, the others in the log's order."""
    count = len(rows.label)
    # Row i's draws are the i-th words of these streams, so they do not depend on how the log is read.
    drawn = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, 2])).random(count)
    order = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, 3])).random(count)
    if split_by == "time":
        assert rows.time is not None
        earliest_first = np.sort(rows.time)
        from_test = earliest_first[count - max(1, round(test * count))]
        from_validation = earliest_first[count - max(2, round((test + validation) * count))]
        in_test = rows.time >= from_test
        in_validation = (rows.time >= from_validation) & ~in_test
    else:
        in_test = drawn < test
        in_validation = (drawn < test + validation) & ~in_test
    train = np.flatnonzero(~in_test & ~in_validation)
    return {
        "train": train[np.argsort(order[train], kind="stable")],
        "validation": np.flatnonzero(in_validation),
        "test": np.flatnonzero(in_test),
    }


def _check_labels(labels: dict[SplitName, np.ndarray]) -> None:
    for name, label in labels.items():
        if not len(label):
            raise InputError(f"the {name} split comes out empty: give more rows, or a larger share")
        if label.min() == label.max():
            raise InputError(f"every label of the {name} split is {label[0]}: nothing can be learned or measured")


def _ranked(
    ids: np.ndarray, schema: Schema, vocabularies: dict[str, Vocabulary], train: np.ndarray
) -> tuple[np.ndarray, dict[str, int]]:
    """Codes of ``vocabulary`` features replaced by ranks of training frequency; and their numbers of values."""
    ids, sizes = ids.copy(), {}
    for feature, slots in zip(schema.categorical, schema.slots, strict=True):
        if feature.name not in vocabularies:
            continue
        codes = ids[:, slots.start : slots.stop]
        values = list(vocabularies[feature.name].codes)
        seen = codes[train]
        counts = np.bincount(seen[seen != PADDING], minlength=len(values))
        known = [code for code in range(len(values)) if counts[code] and values[code] is not None]
        known.sort(key=lambda code: (-counts[code], values[code]))
        rank = np.zeros(len(values), np.int32)
        kept = known[: feature.cardinality - 1]
        rank[kept] = np.arange(1, len(kept) + 1)
        ids[:, slots.start : slots.stop] = np.where(codes == PADDING, PADDING, rank[codes])
        sizes[feature.name] = len(known)
    return ids, sizes


def _scaled(dense: np.ndarray, schema: Schema, train: np.ndarray) -> tuple[np.ndarray, list[float], list[float]]:
    """float32 values as the schema transforms them, missing ones 0; with training means and deviations."""
    means, deviations = [], []
    scaled = np.empty(dense.shape, np.float32)
    for k, feature in enumerate(schema.dense):
        column = dense[:, k]
        known = column[train][~np.isnan(column[train])]
        mean = float(known.mean()) if len(known) else 0.0
        constant = len(known) == 0 or known.min() == known.max()  # its computed deviation may be a rounding error
        deviation = 0.0 if constant else float(known.std())
        if feature.transform == "log1p":
            transformed = np.log1p(np.maximum(column, 0))
        else:
            transformed = (column - mean) / (deviation or 1.0)
        scaled[:, k] = np.where(np.isnan(column), 0, transformed)
        means.append(mean)
        deviations.append(deviation)
    return scaled, means, deviations


def _bayes(test: Rows) -> Bayes | None:
    if test.click_probability is None:
        return None
    of_what_happened = np.where(test.label == 1, test.click_probability, 1 - test.click_probability)
    losses = -np.log(of_what_happened)
    ctr = float(test.label.mean())
    entropy = -(ctr * np.log(ctr) + (1 - ctr) * np.log(1 - ctr))
    return Bayes(
        log_loss=float(losses.mean()),
        ne=float(losses.mean() / entropy),
        ne_standard_error=float(losses.std(ddof=1) / len(losses) ** 0.5 / entropy),
    )


def _write_rejected(path: Path, rejects: Rejects) -> None:
    if rejects.rows:
        lines = [
            "\t".join([row.file, str(row.line), row.column, row.why, ascii(row.value)[1:-1]]) for row in rejects.rows
        ]
        path.write_text("\n".join(["file\tline\tcolumn\twhy\tvalue", *lines]) + "\n", encoding="utf-8")
