"""What ``infer`` leaves out, asks about or refuses, in logs of which the answer is known."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.infer import Inferred, infer

COUNT = 600
SECONDS = 1_600_000_000 + 977 * np.arange(COUNT)


def _log() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame({"click": rng.integers(0, 4, COUNT) == 0, "user": rng.integers(0, 50, COUNT)})


class InferDoubtsTest(parameterized.TestCase, tf.test.TestCase):
    """``infer``."""

    def _file(self, content: str, name: str = "log.csv") -> Path:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / name
        path.write_text(content)
        return path

    def _infer(self, log: pd.DataFrame, label: str | None = None) -> tuple[Inferred, str]:
        guess = infer(self._file(log.to_csv(index=False)), label)
        return guess, "\n".join(guess.notes)

    def test_other_outcomes_of_the_row(self) -> None:
        log, rng = _log(), np.random.default_rng(0)
        log["is_like"] = log["click"] & (rng.random(COUNT) < 0.2)
        log["next_page"] = np.where(log["click"] & (rng.random(COUNT) < 0.3), "basket", rng.choice(["a", "b"], COUNT))
        guess, notes = self._infer(log)
        taken = {column.name: column.taken_as for column in guess.columns}
        self.assertEqual(taken["is_like"], "left out")
        self.assertIn("is_like: named like a label, too, so it is left out", notes)
        self.assertIn("warning: next_page: every row with 'basket' is a click", notes)
        self.assertNotIn("user:", notes)

    @parameterized.parameters("%Y%m%d", "%y%m%d%H")
    def test_numbers_that_spell_dates(self, form: str) -> None:
        log = _log().assign(date=pd.to_datetime(SECONDS, unit="s").strftime(form))
        self.assertEqual(json.loads(self._infer(log)[0].text)["time"], "date")

    @parameterized.parameters(1, 1000, 10**9)
    def test_times_by_their_values(self, unit: int) -> None:
        guess, notes = self._infer(_log().assign(hora=SECONDS * unit))
        self.assertNotIn("time", json.loads(guess.text))
        self.assertIn("hora: looks like a time", notes)
        self.assertNotIn("looks like", self._infer(_log().assign(price=SECONDS - 1_599_000_000))[1])

    def test_dates_that_are_two(self) -> None:
        log = _log().assign(ts=pd.to_datetime(SECONDS, unit="s").strftime("%m/%d/%Y"))
        self.assertIn("'09/13/2020' is two dates, as day or month may come first", self._infer(log)[1])

    def test_infinite_numbers_vectors_and_names_of_one_row(self) -> None:
        rng = np.random.default_rng(0)
        log = _log().assign(price=np.where(np.arange(COUNT) % 100, rng.random(COUNT), np.inf))
        log["vector"] = [" ".join(f"{x:.4f}" for x in rng.normal(size=3)) for _ in range(COUNT)]
        log["request"] = [f"r{i:08x}" for i in rng.permutation(COUNT)]
        guess, notes = self._infer(log)
        schema = json.loads(guess.text)
        self.assertEqual(schema["dense"], [{"name": "price", "transform": "standardize"}])
        self.assertIn("warning: price: infinite in 6 rows, which prepare rejects", notes)
        self.assertIn("vector: holds vectors of numbers, which no feature takes, so it is left out", notes)
        self.assertIn("request: another value in every row", notes)

    def test_names_with_signs_and_numbers_for_names(self) -> None:
        log = _log().rename(columns={"click": "Clicked?", "user": "1"}).assign(**{"2": 5 * SECONDS})
        self.assertEqual(json.loads(self._infer(log)[0].text)["label"], "Clicked?")
        log = _log().set_axis(["0", "1"], axis=1)  # as pandas names the columns of an array
        self.assertEqual(self._infer(log, "0")[0].columns[0].rows, COUNT)

    @parameterized.parameters(
        ("{'click': 1, 'user': 'a'}\n{'click': 0, 'user': 'b'}\n", "no object of a row on each line"),
        ('{"click": {"0": 1, "1": 0}, "user": {"0": "a", "1": "b"}}\n', r"pandas writes them by to_json\(orient"),
        ('{"click": 1, "user": 2},\n{"click": 1, "user": 2},\n{"click": 0, "user": 1}\n', "2 malformed rows and 1 oth"),
    )
    def test_json_that_is_no_table(self, content: str, message: str) -> None:
        with self.assertRaisesRegex(InputError, message):
            infer(self._file(content, "log.jsonl"))

    def test_repeats_that_skewed_values_bring_are_not_noted(self) -> None:
        rng = np.random.default_rng(0)
        log = pd.DataFrame({"click": rng.random(COUNT) < 0.02, "user": [f"u{n}" for n in rng.zipf(1.5, COUNT)]})
        self.assertNotIn("repeat another", self._infer(log)[1])


if __name__ == "__main__":
    tf.test.main()
