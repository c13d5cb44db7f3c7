"""One question about a study per file."""
