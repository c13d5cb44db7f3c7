"""The tables of a report: records as rows, for the page, CSV files and TensorBoard."""
