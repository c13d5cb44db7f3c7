"""Guessed separators of lists, against ids that are known."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.input.logs.infer import infer

COUNT = 400
IDS = 23  # of at most 3 in a row


class InferListsTest(parameterized.TestCase, tf.test.TestCase):
    """``infer`` on a column of lists."""

    def _feature(self, write: Callable[[list[int]], str]) -> tuple[dict[str, Any], str]:
        """The schema's entry of a column of random lists, and all notes."""
        rng = np.random.default_rng(2)
        lists = [rng.choice(IDS, rng.integers(4), replace=False).tolist() for _ in range(COUNT)]
        log = pd.DataFrame({"click": rng.integers(0, 2, COUNT), "user": rng.integers(0, 30, COUNT)})
        log["f"] = [*map(write, lists)]
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "log.csv"
        log.to_csv(path, index=False)
        guess = infer(path)
        (feature,) = (f for f in json.loads(guess.text)["categorical"] if f["name"] == "f")
        return feature, "\n".join(guess.notes)

    @parameterized.parameters(
        lambda ids: str([np.int64(i) for i in ids]),
        lambda ids: str(set(ids)),
        lambda ids: f"WrappedArray({', '.join(map(str, ids))})",
        lambda ids: "||".join(map(str, ids)),
        lambda ids: "".join(f"|{i}" for i in ids),
    )
    def test_same_ids(self, write: Callable[[list[int]], str]) -> None:
        feature, notes = self._feature(write)
        self.assertEqual((feature["cardinality"], feature["max_values"]), (IDS + 1, 3), msg=notes)

    @parameterized.parameters("-", "_", "::", "\t", "、")
    def test_rare_separator_is_asked_about(self, by: str) -> None:
        _, notes = self._feature(lambda ids: by.join(map(str, ids)))
        self.assertIn(f'give the feature "max_values" and "separator": {json.dumps(by, ensure_ascii=False)}', notes)

    def test_brackets_and_weights_that_make_other_ids_are_warned_of(self) -> None:
        _, notes = self._feature(lambda ids: f"<{','.join(map(str, ids))}>")
        self.assertRegex(notes, "warning: f: '.*>'.* hold a list's brackets")
        rng = np.random.default_rng(0)
        _, notes = self._feature(lambda ids: ",".join(f"{i}:{rng.random():.2f}" for i in ids))
        self.assertRegex(notes, "warning: f: values such as '0:0.*' seem to be ids with a weight")


if __name__ == "__main__":
    tf.test.main()
