"""One trial, from its model to its measured points."""
