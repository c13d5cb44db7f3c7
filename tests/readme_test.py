"""README and CONTRIBUTING say what is there."""

import contextlib
import re
from pathlib import Path

import tensorflow as tf

from tests.helpers.planted import planted_study
from tests.helpers.studies import REPOSITORY
from tfrs_scaling.cli.main import COMMANDS
from tfrs_scaling.fit import write_runs

README = (REPOSITORY / "README.md").read_text()
PAGES = README + (REPOSITORY / "CONTRIBUTING.md").read_text()


def folders(root: Path) -> set[str]:
    """The names of the folders in a folder."""
    found = (path for path in root.iterdir() if path.is_dir() and not path.is_symlink())
    return {path.name for path in found if path.name[0] not in "_."}


class ReadmeTest(tf.test.TestCase):
    def test_commands_and_files_exist(self) -> None:
        for command in set(re.findall(r"tfrs-scaling ([a-z]+)", PAGES)):
            self.assertIn(command, COMMANDS)
        for path in set(
            re.findall(r"\b(?:tuner_configs|tests|input|fit|tfrs_scaling(?!/blob)|colab)/[\w./-]+\w", PAGES)
        ):
            self.assertTrue((REPOSITORY / path).exists(), path)

    def test_targets_of_make_exist(self) -> None:
        targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
        self.assertContainsSubset(re.findall(r"(?:^    |`)make ([a-z-]+)", PAGES, re.MULTILINE), targets)

    def test_layout_has_a_line_for_each_folder(self) -> None:
        layout = README.split("## How it is laid out")[1].split("\n## ")[0]
        drawn: dict[str, set[str]] = {}
        source = ""
        for indent, name in re.findall(r"^    (  )?(\w+)/ ", layout, re.MULTILINE):
            if indent:
                drawn[source].add(name)
            else:
                source = name
                drawn[source] = set()
        for source in ("input", "tfrs_scaling", "fit"):
            self.assertEqual(drawn[source], folders(REPOSITORY / source))
        self.assertContainsSubset({"tuner_configs", "tests", "colab"}, drawn)

    def test_python_example(self) -> None:
        (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
        sweep = re.search(r"run_study\(.*\)", example)
        assert sweep is not None
        with contextlib.chdir(self.get_temp_dir()):
            write_runs(planted_study(schemes="V"), "runs.csv")
            exec(example.replace(sweep[0], 'fit.read_runs("runs.csv")'), {})  # noqa: S102 -- ours
            self.assertIn("</html>", Path("report.html").read_text())


if __name__ == "__main__":
    tf.test.main()
