"""``python -m tfrs_scaling``: the command line."""

from tfrs_scaling.cli.main import main

main(prog_name="tfrs-scaling")
