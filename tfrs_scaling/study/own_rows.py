"""From which multiplier of V on the ids of a study's data share no rows, so that more rows can add nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfrs_scaling.config import Config
    from tfrs_scaling.input.shards import Manifest


def own_rows_from(config: "Config", manifest: "Manifest") -> float | None:
    """The multiplier of V from which every id has a row of its own; None where the number of ids is not known.

    An id ``i`` uses row ``i % rows`` of its table. A vocabulary has an id for each distinct value of the training
    split, as far as the table has rows at V = 1, and id 0 for all others; the generator of synthetic clicks numbers its
    ids from 0. How many ids a hash makes, or a log's own, is not recorded.
    """
    ids = {name: size + 1 for name, size in manifest.vocabulary_sizes.items()}
    if config.synthetic is not None and not manifest.sources:
        ids |= {feature.name: feature.ids for feature in config.synthetic.features}
    features = manifest.schema.categorical
    if not features or any(feature.name not in ids for feature in features):
        return None
    vocabulary = {feature.name for feature in features if feature.encoding == "vocabulary"}
    return max(
        (min(ids[f.name], f.cardinality) if f.name in vocabulary else ids[f.name]) / f.cardinality for f in features
    )
