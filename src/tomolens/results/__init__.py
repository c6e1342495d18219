"""The format of a study on disk: rows, shards, the description, kept maps, the gallery. No network and no engine."""
