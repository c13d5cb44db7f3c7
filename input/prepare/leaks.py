"""Features of prepared data that alone tell the label."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.common.locations import join
from tfrs_scaling.input.logs.leaks import NOTABLE_AUC, auc_alone
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import ROWS_PER_RECORD, parse_record

SAMPLE_ROWS = 2 * ROWS_PER_RECORD


def telling_features(folder: str, files: list[str], schema: Schema) -> dict[str, float]:
    """The AUC of each feature that ranks the first rows of the training split, which are in random order, as well.

    Args:
        folder: folder of the shards.
        files: the training split's files, in order.
        schema: columns of the shards.

    Returns:
        The AUCs above ``NOTABLE_AUC``, by feature.
    """
    blocks, rows = [], 0
    for record in tf.data.TFRecordDataset([join(folder, file) for file in files]):
        blocks.append({name: column.numpy() for name, column in parse_record(record, schema).items()})
        rows += len(blocks[-1]["label"])
        if rows >= SAMPLE_ROWS:
            break
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    clicked = columns["label"][:, 0] == 1
    aucs = {}
    for k, dense in enumerate(schema.dense):
        numbers, codes = np.unique(columns["dense"][:, k], return_inverse=True)
        aucs[dense.name] = auc_alone(codes, clicked, numbers[codes])
    for feature, slots in zip(schema.categorical, schema.slots, strict=True):
        ids = columns["ids"][:, slots.start : slots.stop].astype(np.uint64)
        key = ids @ (np.uint64(0x9E3779B97F4A7C15) ** np.arange(len(slots), dtype=np.uint64))
        aucs[feature.name] = auc_alone(np.unique(key, return_inverse=True)[1], clicked)
    return {name: round(auc, 6) for name, auc in aucs.items() if auc > NOTABLE_AUC}
