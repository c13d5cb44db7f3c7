"""The run table: what its columns are, how files become one, and which of its rows may carry a fit."""
