"""Describes prepared data on one page."""
