"""Datasets of TensorFlow Datasets as the same blocks of cells that text is read into."""

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
import tensorflow_datasets as tfds

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.arrow import cells_of_lists, list_array
from tfrs_scaling.input.logs.cells import Cells, missing_column
from tfrs_scaling.input.logs.formats import TFDS_PREFIX as PREFIX
from tfrs_scaling.input.schema import Schema

BLOCK_ROWS = 1 << 16
# No colon before the name: a namespace, such as huggingface's, would have TFDS fetch code and run it.
_NAME = re.compile(r"(?P<dataset>\w+(/[\w.+-]+)?(:[\d.*]+)?)(\[(?P<split>[^\[\]]+)\])?")
# One shard after the other, each from its beginning: the order does not depend on the machine.
_READ = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)


@dataclasses.dataclass(frozen=True)
class Piece:
    """Examples of a split: its number in the log, the first example's place, and that after the last's."""

    number: int
    first: int
    end: int


@dataclasses.dataclass(frozen=True)
class TfdsLog:
    """Splits of a dataset that TFDS has on disk.

    A column is a feature, by its path in the features' tree (``user/id``): a number, text, or list of these. Examples
    count from 1, in the order of the shards.

    Attributes:
        schema: the features that are read; others are passed over.
        dataset: name, config if it has any, and version, as TFDS writes them.
        splits: their names.
        data_dir: TFDS's folder; None is its usual one.
    """

    schema: Schema
    dataset: str
    splits: tuple[str, ...]
    data_dir: str | None = None

    @staticmethod
    def open(name: str, schema: Schema, data_dir: str | None = None) -> "TfdsLog":
        """The log of that name; TFDS downloads and prepares it first, if it is not on disk.

        Args:
            name: ``tfds:NAME``, where NAME may have a config, a version and a split, as in
                ``tfds:movielens/1m-ratings:0.1.1[train]``; without a split all are taken, in TFDS's order.
            schema: the features to read.
            data_dir: TFDS's folder; None is its usual one.

        Raises:
            InputError: TFDS cannot provide it, or it lacks the split or a feature, or a feature's values are no cells.
        """
        parts = _NAME.fullmatch(name.removeprefix(PREFIX))
        if parts is None:
            raise InputError(
                f"{name}: not of the form tfds:NAME, tfds:NAME/CONFIG:1.2.3 or tfds:NAME[split] "
                "(datasets of a namespace are not read: their code would be downloaded and run)"
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
                raise missing_column(f"{PREFIX}{log.dataset}", column, sorted(specs))
            _check_holds_cells(specs[column], f"{PREFIX}{log.dataset}, feature {column!r}")
        return log

    @property
    def files(self) -> tuple[str, ...]:
        """The splits, by name."""
        return tuple(f"{PREFIX}{self.dataset}[{split}]" for split in self.splits)

    def pieces(self, number: int) -> Iterator[Piece]:
        """Ranges of a split's examples.

        Raises:
            InputError: the dataset is no more on disk.
        """
        count = self._builder.info.splits[self.splits[number]].num_examples
        for first in range(0, count, BLOCK_ROWS):
            yield Piece(number, first, min(first + BLOCK_ROWS, count))

    def cells(self, piece: Piece) -> Cells:
        """The cells of a range of examples.

        Raises:
            InputError: they cannot be read, or a value holds the separator that the schema gives its feature.
        """
        file, specs = self.files[piece.number], _by_path(self._builder.info.features.get_tensor_spec())
        part = tfds.core.ReadInstruction(self.splits[piece.number], piece.first, piece.end, unit="abs")
        read = self._parsed if _stored_plainly(self._builder, self.schema.columns) else self._decoded
        try:
            columns = {name: _array(values) for name, values in read(part, specs).items()}
        except (tf.errors.OpError, UnicodeDecodeError) as error:  # the latter is TensorFlow's, quoting what is corrupt
            message = getattr(error, "message", "a record is no tf.train.Example")
            reason = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", " ".join(message.split())).strip()
            raise InputError(f"{file}, examples {piece.first + 1} to {piece.end}: cannot be read: {reason}") from None
        ordinals = np.arange(piece.first, piece.end)
        if len(ordinals) != len(columns[self.schema.label]):
            raise InputError(f"{file}, examples {piece.first + 1} to {piece.end}: a shard is cut off; prepare it anew")
        return cells_of_lists(columns, self.schema, file, piece.number, ordinals, [], "example")

    def _parsed(self, part: Any, specs: dict[str, Any]) -> dict[str, Any]:
        """The values of each column, parsed all at once: many times as fast as TFDS, which goes by the example."""
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
        """The values of each column, decoded by TFDS: whatever the format and however they are stored."""
        wanted: dict[str, Any] = {}
        for name in self.schema.columns:
            *above, last = name.split("/")
            functools.reduce(lambda tree, key: tree.setdefault(key, {}), above, wanted)[last] = True
        examples = self._builder.as_dataset(
            split=part, shuffle_files=False, decoders=tfds.decode.PartialDecoding(wanted), read_config=_READ
        )
        return _by_path(next(iter(examples.ragged_batch(BLOCK_ROWS))))

    def origins(self) -> tuple[tuple[str, int, str], ...]:
        """The splits: the name and size in bytes of each, and a SHA-256 that is not of its bytes.

        It is of the dataset's name and version, the split's name, and how many examples it has, in all and in each
        shard: what TFDS means by the same data.
        """
        origins = []
        for file, name in zip(self.files, self.splits, strict=True):
            split = self._builder.info.splits[name]
            identity = json.dumps([self.dataset, name, split.num_examples, list(split.shard_lengths)])
            origins.append((file, int(split.num_bytes), hashlib.sha256(identity.encode()).hexdigest()))
        return tuple(origins)

    @property
    def _builder(self) -> Any:
        return _provided(self.dataset, self.data_dir)


@functools.lru_cache(maxsize=8)
def _provided(dataset: str, data_dir: str | None) -> Any:
    """The builder of a dataset that is on disk, for it has been put there if it was not."""
    try:
        builder = tfds.builder(dataset, data_dir=data_dir)
        builder.download_and_prepare()
    except Exception as error:  # TFDS, the dataset's own code, the network and the disk raise whatever they like
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)  # it may list all datasets below
        if isinstance(error, tfds.core.DatasetNotFoundError):
            name = re.split("[/:]", dataset)[0]
            near = difflib.get_close_matches(name, tfds.list_builders(with_community_datasets=False), n=1)
            reason += f" Did you mean {near[0]!r}?" if near and near[0] != name else ""
        raise InputError(f"{PREFIX}{dataset}: TFDS cannot provide it: {reason}") from error
    return builder


def _existing_split(split: str, splits: tuple[str, ...], name: str) -> str:
    if split not in splits:
        near = difflib.get_close_matches(split, splits, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, splits))}"
        raise InputError(f"{name}: there is no split {split!r}; {hint}")
    return split


def _by_path(tree: Any) -> dict[str, Any]:
    """The leaves of a nest of dictionaries, by their path in it."""
    leaves: dict[str, Any] = {}
    for key, branch in tree.items():
        if isinstance(branch, dict):
            leaves |= {f"{key}/{path}": leaf for path, leaf in _by_path(branch).items()}
        else:
            leaves[key] = branch
    return leaves


def _stored_plainly(builder: Any, columns: list[str]) -> bool:
    """Whether the features are in TFRecord files as their values are, not encoded in some way."""
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
    """What a ``tf.train.Example`` holds values of a type as."""
    return tf.string if dtype == tf.string else tf.float32 if dtype.is_floating else tf.int64


def _check_holds_cells(spec: Any, place: str) -> None:
    readable = isinstance(spec, tf.TensorSpec) and spec.shape.rank is not None and spec.shape.rank <= 1
    if not readable or not (spec.dtype.is_integer or spec.dtype.is_floating or spec.dtype in (tf.bool, tf.string)):
        raise InputError(f"{place}: holds {spec}; a cell has to be a number, a text or a list of these")


def _array(values: Any) -> pa.Array:
    """A batch of a feature's values: an Arrow array [n] of them, or of lists of them."""
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
