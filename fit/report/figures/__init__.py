"""Bokeh figures of a study's report."""
