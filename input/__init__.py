"""Raw click logs -> shards of row groups -> batches."""
