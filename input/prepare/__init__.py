"""From raw logs or synthetic clicks to shuffled, split, encoded shards."""
