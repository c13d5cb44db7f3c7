"""The guide for runs of other trainers: its table is that of the code, and its examples turn logs into run tables."""

import contextlib
import math
import re
from pathlib import Path

import tensorflow as tf

from tests.helpers.studies import REPOSITORY
from tfrs_scaling.fit import fit_study, read_runs
from tfrs_scaling.fit.runs.columns import RUN_COLUMNS

GUIDE = (REPOSITORY / "fit" / "README.md").read_text()
DLRM, TORCHREC = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
ENTROPY = -(0.256 * math.log(0.256) + 0.744 * math.log(0.744))
SHAPES = {"D-1.log": 1.0, "H-4.log": 0.9, "V-4.log": 0.8}


def ne(iteration: float, top: float) -> float:
    """The planted NE of a shape."""
    return 0.75 + 0.3 * top * (iteration / 1000) ** -0.3


class GuideTest(tf.test.TestCase):
    def test_table_is_that_of_the_code(self) -> None:
        shown = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", GUIDE, re.MULTILINE)
        known = [(name, column.meaning, column.without or "**needed**") for name, column in RUN_COLUMNS.items()]
        self.assertEqual(shown, known)

    def run_example(self, code: str, logs: dict[str, str]) -> Path:
        folder = Path(self.get_temp_dir()) / self._testMethodName
        folder.mkdir(exist_ok=True)
        with contextlib.chdir(folder):
            for name, log in logs.items():
                Path(name).write_text(log)
            exec(code, {})  # noqa: S102 -- ours
        return folder / "runs.csv"

    def test_a_dlrm_log_with_test_losses(self) -> None:
        logs = {
            name: "".join(
                f"Finished training it {it}/64000 of epoch 0, 12.31 ms/it, loss 0.500000, accuracy 78.000 %\n"
                f"Testing at - {it}/64000 of epoch 0, loss {ENTROPY * ne(it, top):.6f}, accuracy 78.1 %, best 78.2 %\n"
                for it in (1000 * 2**rung for rung in range(7))
            )
            for name, top in SHAPES.items()
        }
        runs = read_runs(self.run_example(DLRM, logs))
        self.assertEqual(runs.groupby("scheme")["examples"].max().to_dict(), dict.fromkeys("DHV", 64000 * 2048))
        law = fit_study(runs).law("V", multiplier=4)
        self.assertAllClose([law.beta, law.gamma], [0.3, 0.75], atol=0.01)

    def test_a_dlrm_log_with_training_losses_alone(self) -> None:
        logs = {
            name: "using CPU...\n"
            + "".join(
                f"Finished training it {it}/65536 of epoch 0, 12.31 ms/it, loss {ENTROPY * ne(it, top):.6f} (17:01)\n"
                f"Testing at - {it}/65536 of epoch 0,\n accuracy 78.123 %, best 78.456 %\n"
                for it in range(128, 65537, 128)
            )
            for name, top in SHAPES.items()
        }
        runs = read_runs(self.run_example(DLRM, logs))
        top = runs[(runs["scheme"] == "D") & (runs["examples"] == 65536 * 2048)]["test_ne"].iloc[0]
        self.assertBetween(top, ne(65536, 1.0), ne(32768, 1.0))  # the mean of the rows between
        self.assertAllClose(fit_study(runs).law("D", multiplier=1).beta, 0.3, atol=0.02)

    def test_torchrec_metrics(self) -> None:
        logs = {
            name: "".join(
                "INFO:root:{"
                "'ne-click|lifetime_ne': tensor([0.9], dtype=torch.float64), "
                f"'ne-click|window_ne': tensor([{ne(k, top)}], dtype=torch.float64), "
                f"'throughput-throughput|total_examples': tensor({k * 2048})"
                "}\n"
                for k in (1000 * 2**rung for rung in range(7))
            )
            for name, top in list(SHAPES.items())[:2]
        }
        runs = read_runs(self.run_example(TORCHREC, logs))
        self.assertAllClose(runs["test_ne"].iloc[0], ne(1000, 1.0))
        self.assertEqual(runs["examples"].max(), 64000 * 2048)


if __name__ == "__main__":
    tf.test.main()
