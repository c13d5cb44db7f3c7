"""Readers of raw logs, one format per file."""
