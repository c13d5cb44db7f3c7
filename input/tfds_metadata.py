"""The metadata by which TensorFlow Datasets reads a folder of shards."""

from pathlib import Path

from tfrs_scaling.input.manifest import Manifest
from tfrs_scaling.input.shards import column_specs
from tfrs_scaling.input.tfds_library import tfds


def write_tfds_metadata(folder: Path, manifest: Manifest) -> None:
    """Write the metadata that ``tfds.builder_from_directory(folder)`` needs; a row group is an example."""
    features = {
        name: tfds.features.Tensor(shape=(None, values), dtype=dtype, encoding="bytes")
        for name, (values, dtype) in column_specs(manifest.schema).items()
    }
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder,
        template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        dataset_name="clicks",
        filetype_suffix="tfrecord",
    )
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=features,
        split_infos=[
            tfds.core.SplitInfo(
                name=name,
                shard_lengths=[shard.records for shard in split.shards],
                num_bytes=sum(shard.bytes for shard in split.shards),
                filename_template=template,
            )
            for name, split in manifest.splits.items()
        ],
        filename_template=template,
        check_data=False,
        description="Row groups of a click log, written by tfrs_scaling; the schema is in manifest.json.",
    )
