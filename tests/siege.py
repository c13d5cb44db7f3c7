"""``make siege``: kills, stops, full disks, limits, second writers and broken files for a quarter of an hour.

One round after the other on every core.

Prints how many events of each kind were survived; what was lost is printed with the seed and the round that repeat it,
and the exit status is then 1.
"""

import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from absl import app, flags

from tests.helpers.siege import Tally, besiege
from tfrs_scaling.hardware import count_cores
from tfrs_scaling.training.tensorflow_startup import load_tensorflow

SEED = flags.DEFINE_integer("seed", 0, "of all that happens")
MINUTES = flags.DEFINE_float("minutes", 15, "after which no other round begins")
ROUND = flags.DEFINE_integer("round", 0, "number of the first one; with --minutes=0 of the only one")
KINDS = flags.DEFINE_list("kinds", [], "of events on studies; none: all, and those on `prepare`")
TRAIN = flags.DEFINE_bool("train", True, "whether trials are trained in every other round")


def main(_: list[str]) -> None:
    """Besiege, and say what came of it."""
    load_tensorflow()  # once: every lane, and every command of theirs, is forked from this process
    lanes = count_cores() if MINUTES.value else 1
    tally = Tally()
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(lanes, multiprocessing.get_context("fork")) as pool,
    ):
        besieged = [
            pool.submit(
                besiege, Path(folder, f"lane{lane}"), SEED.value, MINUTES.value,
                real=TRAIN.value, first=ROUND.value + lane, step=lanes, kinds=KINDS.value,
            )
            for lane in range(lanes)
        ]  # fmt: skip
        for lane in besieged:
            tally.add(lane.result())
    print(tally.text())
    sys.exit(bool(tally.lost))


if __name__ == "__main__":
    app.run(main)
