"""Datasets of TensorFlow Datasets (TFDS) as blocks of cells."""

import dataclasses
import difflib
import functools
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.arrow import cells_of_lists, list_array
from tfrs_scaling.input.logs.values.cells import TFDS_PREFIX, Cells, Piece, missing_column
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.tfds_library import tfds

BLOCK_ROWS = 1 << 16
# No colon before the name: for a namespace, such as huggingface's, TFDS would download code and run it.
_NAME = re.compile(r"(?P<dataset>\w+(/[\w.+-]+)?(:[\d.*]+)?)(\[(?P<split>[^\[\]]+)\])?")
# Shards are read in sequence, so the order does not depend on the machine.
_READ = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)


@dataclasses.dataclass(frozen=True)
class TfdsLog:
    """Splits of a dataset that TFDS has on disk.

    A column is a feature, by its path in the features' tree (``user/id``): a number, text, or list of these. Examples
    are numbered from 1, in the order of the shards. The content of a piece is the place after its last example.

    Attributes:
        schema: the features to read; others are ignored.
        dataset: name, config if it has any, and version, as TFDS writes them.
        splits: names of the splits.
        data_dir: TFDS's folder; None for its default.
        block_rows: examples per piece, but for the last.
    """

    schema: Schema
    dataset: str
    splits: tuple[str, ...]
    data_dir: str | None = None
    block_rows: int = BLOCK_ROWS

    @staticmethod
    def open(name: str, schema: Schema, data_dir: str | None = None) -> "TfdsLog":
        """The log of that name; TFDS downloads and prepares it first if it is not on disk.

        Args:
            name: ``tfds:NAME``, where NAME may have a config, a version and a split, as in
                ``tfds:movielens/1m-ratings:0.1.1[train]``; without a split, all are read in TFDS's order.
            schema: the features to read.
            data_dir: TFDS's folder; None for its default.

        Raises:
            InputError: TFDS cannot provide it, it lacks the split or a feature, or a feature's type cannot become
                cells.
        """
        parts = _NAME.fullmatch(name.removeprefix(TFDS_PREFIX))
        if parts is None:
            raise InputError(
                f"{name}: not of the form tfds:NAME, tfds:NAME/CONFIG:1.2.3 or tfds:NAME[split] "
                "(datasets in a namespace are not supported: their code would be downloaded and run)"
            )
        builder = _provided(parts["dataset"], data_dir)
        splits = tuple(builder.info.splits)
        if parts["split"] is not None:
            splits = (_existing_split(parts["split"], splits, name),)
        dataset = parts["dataset"].partition(":")[0]
        if "/" not in dataset and builder.builder_config is not None:
            dataset = f"{dataset}/{builder.builder_config.name}"
        log = TfdsLog(schema, f"{dataset}:{builder.version}", splits, data_dir)
        specs = _by_path(builder.info.features.get_tensor_spec())
        for column in schema.columns:
            if column not in specs:
                raise missing_column(f"{TFDS_PREFIX}{log.dataset}", column, sorted(specs))
            _check_holds_cells(specs[column], f"{TFDS_PREFIX}{log.dataset}, feature {column!r}")
        return log

    @property
    def files(self) -> tuple[str, ...]:
        """The splits, by name."""
        return tuple(f"{TFDS_PREFIX}{self.dataset}[{split}]" for split in self.splits)

    def pieces(self, number: int) -> Iterator[Piece[int]]:
        """Ranges of a split's examples.

        Raises:
            InputError: the dataset is no longer on disk and TFDS cannot provide it.
        """
        count = self._builder.info.splits[self.splits[number]].num_examples
        for first in range(0, count, self.block_rows):
            yield Piece(number, first, min(first + self.block_rows, count))

    def cells(self, piece: Piece[int]) -> Cells:
        """The cells of a range of examples.

        Raises:
            InputError: they cannot be read, or a value holds the separator that the schema gives its feature.
        """
        first, end, specs = piece.first, piece.content, _by_path(self._builder.info.features.get_tensor_spec())
        examples = f"{self.files[piece.number]}, examples {first + 1} to {end}"
        part = tfds.core.ReadInstruction(self.splits[piece.number], first, end, unit="abs")
        read = self._parsed if _stored_plainly(self._builder, self.schema.columns) else self._decoded
        try:
            columns = {name: _array(values) for name, values in read(part, specs).items()}
        except (tf.errors.OpError, UnicodeDecodeError) as error:  # the latter as in tfrecord.py
            message = getattr(error, "message", "a record is not a tf.train.Example")
            reason = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", " ".join(message.split())).strip()
            raise InputError(f"{examples}: cannot be read: {reason}") from None
        ordinals = np.arange(first, end)
        if len(ordinals) != len(columns[self.schema.label]):
            raise InputError(f"{examples}: a shard is truncated; let TFDS prepare it again")
        return cells_of_lists(columns, self.schema, self.files[piece.number], piece.number, ordinals, [], "example")

    def _parsed(self, part: Any, specs: dict[str, Any]) -> dict[str, Any]:
        """The values of each column, parsed all at once: much faster than TFDS, which decodes one example at a time."""
        shards = [
            tf.data.TFRecordDataset(file.filename).skip(file.skip).take(file.take).batch(file.take)
            for file in self._builder.info.splits[part].file_instructions
        ]
        records = tf.concat([tf.constant([], tf.string), *(batch for shard in shards for batch in shard)], axis=0)
        features = {}
        for name in self.schema.columns:
            shape, dtype = specs[name].shape, _example_type(specs[name].dtype)
            features[name] = (
                tf.io.FixedLenFeature(shape, dtype)
                if shape.is_fully_defined()
                else tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
            )
        return {
            name: tf.cast(values, specs[name].dtype) for name, values in tf.io.parse_example(records, features).items()
        }

    def _decoded(self, part: Any, specs: dict[str, Any]) -> dict[str, Any]:
        """The values of each column, decoded by TFDS: works for every format and encoding."""
        wanted: dict[str, Any] = {}
        for name in self.schema.columns:
            *above, last = name.split("/")
            functools.reduce(lambda tree, key: tree.setdefault(key, {}), above, wanted)[last] = True
        examples = self._builder.as_dataset(
            split=part, shuffle_files=False, decoders=tfds.decode.PartialDecoding(wanted), read_config=_READ
        )
        return _by_path(next(iter(examples.ragged_batch(self.block_rows))))

    def fingerprints(self) -> tuple[tuple[str, int, str], ...]:
        """Name, size in bytes and a SHA-256 of each split.

        The SHA-256 covers what identifies data for TFDS, not the bytes: the dataset's name and version, the split's
        name, and its number of examples in all and in each shard.
        """
        found = []
        for file, name in zip(self.files, self.splits, strict=True):
            split = self._builder.info.splits[name]
            identity = json.dumps([self.dataset, name, split.num_examples, list(split.shard_lengths)])
            found.append((file, int(split.num_bytes), hashlib.sha256(identity.encode()).hexdigest()))
        return tuple(found)

    @property
    def _builder(self) -> Any:
        return _provided(self.dataset, self.data_dir)


@functools.lru_cache(maxsize=8)
def _provided(dataset: str, data_dir: str | None) -> Any:
    """The builder of a dataset, which is downloaded and prepared if it is not on disk yet."""
    try:
        builder = tfds.builder(dataset, data_dir=data_dir)
        builder.download_and_prepare()
    except Exception as error:  # TFDS, the dataset's own code, the network and the disk raise all kinds
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)  # it may list all datasets below
        if isinstance(error, tfds.core.DatasetNotFoundError):
            name = re.split("[/:]", dataset)[0]
            near = difflib.get_close_matches(name, tfds.list_builders(with_community_datasets=False), n=1)
            reason += f" Did you mean {near[0]!r}?" if near and near[0] != name else ""
        raise InputError(f"{TFDS_PREFIX}{dataset}: TFDS cannot provide it: {reason}") from error
    return builder


def _existing_split(split: str, splits: tuple[str, ...], name: str) -> str:
    if split not in splits:
        near = difflib.get_close_matches(split, splits, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, splits))}"
        raise InputError(f"{name}: there is no split {split!r}; {hint}")
    return split


def _by_path(tree: Any) -> dict[str, Any]:
    """The leaves of nested dictionaries, by their path."""
    leaves: dict[str, Any] = {}
    for key, branch in tree.items():
        if isinstance(branch, dict):
            leaves |= {f"{key}/{path}": leaf for path, leaf in _by_path(branch).items()}
        else:
            leaves[key] = branch
    return leaves


def _stored_plainly(builder: Any, columns: list[str]) -> bool:
    """Whether the features are in TFRecord files as plain values, without an encoding."""
    specs, stored = (
        _by_path(builder.info.features.get_tensor_spec()),
        _by_path(builder.info.features.get_serialized_info()),
    )
    return builder.info.file_format == tfds.core.FileFormat.TFRECORD and all(
        name in stored
        and tuple(stored[name].shape) == tuple(specs[name].shape)
        and stored[name].tf_dtype == specs[name].dtype
        and stored[name].default_value is None
        for name in columns
    )


def _example_type(dtype: Any) -> Any:
    """The type that a ``tf.train.Example`` stores values of ``dtype`` as."""
    return tf.string if dtype == tf.string else tf.float32 if dtype.is_floating else tf.int64


def _check_holds_cells(spec: Any, place: str) -> None:
    readable = isinstance(spec, tf.TensorSpec) and spec.shape.rank is not None and spec.shape.rank <= 1
    if not readable or not (spec.dtype.is_integer or spec.dtype.is_floating or spec.dtype in (tf.bool, tf.string)):
        raise InputError(f"{place}: holds {spec}; a cell must be a number, a text or a list of these")


def _array(values: Any) -> pa.Array:
    """A batch of a feature's values as an Arrow array [n] of values or lists."""
    if isinstance(values, tf.RaggedTensor):
        return list_array(_flat(values.values), values.row_splits.numpy())
    if values.shape.rank == 2:
        rows, width = values.shape
        return list_array(_flat(tf.reshape(values, [-1])), np.arange(rows + 1) * width)
    return _flat(values)


def _flat(values: tf.Tensor) -> pa.Array:
    if values.dtype == tf.string:
        return pa.array(values.numpy(), pa.binary())
    return pa.array(
        tf.cast(values, tf.float32).numpy() if values.dtype.size == 2 and values.dtype.is_floating else values.numpy()
    )
