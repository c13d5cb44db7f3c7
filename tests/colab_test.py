"""The notebooks run from top to bottom, as they stand but for their settings."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import Any
from unittest import mock

import nbformat
import numpy as np
import pandas as pd
import tensorflow as tf
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

from tests.helpers.base_install import base_environment
from tests.helpers.studies import CONFIGS, REPOSITORY, tiny_content
from tfrs_scaling.config import read_config
from tfrs_scaling.fit import advise, fit_study, read_runs, savings

FIGURE = "'application/vnd.bokehjs_exec.v0+json': ''"  # of what a cell shows, once for each Bokeh figure
NOTEBOOKS = sorted((REPOSITORY / "colab").glob("*.ipynb"))


def notebook(name: str) -> Any:
    """As it is committed."""
    return nbformat.read(REPOSITORY / "colab" / f"{name}.ipynb", 4)


def tagged(cell: Any, tag: str) -> bool:
    """Whether a cell has a tag."""
    return tag in cell["metadata"].get("tags", ())


def executed(name: str, folder: Path, *, until: str | None = None, environment: Any = (), **settings: Any) -> str:
    """Run a notebook in a folder; what it shows.

    Args:
        name: Of the notebook.
        folder: Where it runs.
        until: The id of the last cell to run; none: all but a server, which would outlive the test.
        environment: Variables of the kernel, besides the usual ones.
        **settings: Take the place of those in the cell tagged ``parameters``, as papermill has it; texts are code.
    """
    whole = notebook(name)
    ids = [cell["id"] for cell in whole.cells]
    cells = [c for c in whole.cells[: ids.index(until) + 1 if until else None] if not tagged(c, "server")]
    (at,) = (k for k, cell in enumerate(cells) if tagged(cell, "parameters"))
    assert all(f"{key} = " in cells[at].source for key in settings), "a setting that the notebook does not have"
    source = "\n".join(f"{key} = {value}" for key, value in settings.items())
    whole.cells = [*cells[: at + 1], nbformat.v4.new_code_cell(source), *cells[at + 1 :]]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with mock.patch.dict(os.environ, {"PATH": path, **dict(environment)}):
        NotebookClient(whole, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in whole.cells for output in cell.get("outputs", ())]
    for output in outputs:  # BokehJS's own code, of megabytes, speaks of errors
        output.get("data", {}).pop("application/javascript", None)
        output.get("data", {}).pop("application/vnd.bokehjs_load.v0+json", None)
    return "".join(str(output.get("text", "") or output.get("data", {})) for output in outputs)


@functools.cache
def quickstart() -> tuple[Path, str]:
    """The folder that quickstart.ipynb ran in and what it showed; one study for all tests."""
    folder = Path(tempfile.mkdtemp())
    content = yaml.safe_load((CONFIGS / "smoke.yaml").read_text())
    del content["sweep"]["H"], content["sweep"]["M"]
    content["sweep"]["examples"] = [rows // 4 for rows in content["sweep"]["examples"]]
    content["synthetic"]["rows"] //= 4
    (folder / "short.yaml").write_text(yaml.safe_dump(content))
    return folder, executed("quickstart", folder, CONFIG="'short.yaml'")


def tearDownModule() -> None:
    if quickstart.cache_info().currsize:
        shutil.rmtree(quickstart()[0])


def first_cell_does(name: str, colab: bool) -> list[str]:
    """The commands and magics of a notebook's first code cell, on Colab or elsewhere, none of them carried out."""
    did: list[str] = []
    shell = types.SimpleNamespace(
        system=lambda command: did.append(f"!{command}"),
        run_line_magic=lambda magic, line, *_: did.append(f"%{magic} {line}"),
    )
    transformer: Any = TransformerManager  # has no types
    code = transformer().transform_cell(next(c for c in notebook(name).cells if c.cell_type == "code").source)
    code = code.replace('REPOSITORY = ""', 'REPOSITORY = "https://github.com/me/mine"')
    with mock.patch.dict(sys.modules, {"google.colab": types.ModuleType("google.colab")} if colab else {}):
        exec(code, {"get_ipython": lambda: shell})  # noqa: S102 -- ours
    return did


class ColabTest(tf.test.TestCase):
    def test_committed_without_outputs(self) -> None:
        self.assertLen(NOTEBOOKS, 4)
        for path in NOTEBOOKS:
            content = nbformat.read(path, 4)
            nbformat.validate(content)
            for cell in content.cells:
                self.assertFalse(cell.get("outputs") or cell.get("execution_count"), f"{path.name}: {cell['id']}")

    def test_first_cell_installs_on_colab_alone(self) -> None:
        for path in NOTEBOOKS:
            self.assertEqual(first_cell_does(path.stem, colab=False), [])
            where, clone, into, *installed = first_cell_does(path.stem, colab=True)
            self.assertEqual([where, into], ["%cd /content", "%cd tfrs_scaling"])
            self.assertStartsWith(clone, "!git clone ")
            self.assertTrue(installed)
            self.assertTrue(all(line.startswith("%pip install -q ") for line in installed))

    def test_make_notebooks_writes_the_repository_s_address(self) -> None:
        folder = Path(self.get_temp_dir()) / "copy"
        shutil.copytree(REPOSITORY / "colab", folder / "colab")
        for name in ("Makefile", "README.md"):
            shutil.copy(REPOSITORY / name, folder)
        refused = subprocess.run(["make", "notebooks"], cwd=folder, capture_output=True, text=True, check=False)
        self.assertIn("make notebooks REPO=owner/name", refused.stdout)
        for repository in ("me/first", "we/scaling-laws"):
            subprocess.run(["make", "notebooks", f"REPO={repository}"], cwd=folder, capture_output=True, check=True)
        readme = (folder / "README.md").read_text()
        for path in NOTEBOOKS:
            written = nbformat.read(folder / "colab" / path.name, 4)
            self.assertIn('REPOSITORY = "https://github.com/we/scaling-laws"', "".join(c.source for c in written.cells))
            link = f"https://colab.research.google.com/github/we/scaling-laws/blob/main/colab/{path.name}"
            self.assertEqual(readme.count(link), 1)
        self.assertNotIn("me/first", readme)
        self.assertFalse([*folder.rglob("*.old")])

    def test_quickstart(self) -> None:
        folder, shown = quickstart()
        self.assertNotRegex(shown, "\x1b|Error|Traceback")
        runs = read_runs(folder / "runs" / "quickstart" / "runs.csv")
        self.assertEqual((runs["trial_id"].nunique(), set(runs["status"])), (15, {"ok"}))
        self.assertEqual(shown.count(FIGURE), 1)
        study = fit_study(runs)
        saved = savings(runs, study)
        assert saved is not None
        for answer in (saved.answer, advise(runs, study, "compute=10x").answer):
            self.assertIn(answer, shown)
        self.assertIn("</html>", (folder / "runs" / "quickstart" / "report.html").read_text())

    def test_quickstart_is_short_and_runs_no_command(self) -> None:
        cells = [c for c in notebook("quickstart").cells if c.cell_type == "code" and not tagged(c, "server")][1:]
        lines = [line for cell in cells for line in cell.source.splitlines() if line]
        work = [line for line in lines if not line.startswith(("from ", "import ")) and not re.match("[A-Z]+ = ", line)]
        self.assertLessEqual(len(work), 10)
        self.assertFalse([line for line in lines if line.startswith(("!", "%"))])

    def test_shipped_run_table_is_the_default_study_s(self) -> None:
        runs = read_runs(REPOSITORY / "colab" / "study_runs.csv")
        config = read_config("study")
        self.assertEqual(set(runs["study"]), {config.study})
        self.assertContainsSubset(set(config.ladder), set(runs["examples"]))
        self.assertEqual(set(runs["status"]), {"ok", "stopped"})

    def test_your_clicks(self) -> None:
        folder = Path(self.get_temp_dir()) / "csv"
        folder.mkdir()
        rng = np.random.default_rng(0)
        item, price = rng.integers(0, 20, 6000), rng.random(6000).round(3)
        click = rng.random(6000) < np.where(price < 0.5, 0.8, 0.1)  # so there is much to learn
        log = pd.DataFrame({"click": click.astype(int), "price": price, "item": [f"i{i}" for i in item]})
        log.to_csv(folder / "my log.csv", index=False)
        content = tiny_content(V=["1/2"])
        del content["synthetic"]
        (folder / "tiny.yaml").write_text(yaml.safe_dump(content))
        shown = executed(
            "your_clicks", folder, LOG="'my log.csv'", CONFIG="'tiny.yaml'", EXAMPLES=[512, 1024, 2048, 4096]
        )
        self.assertIn('"label": "click"', shown)
        self.assertNotRegex(shown, "\x1b|Error|Traceback|No such")
        runs = read_runs(folder / "runs" / "clicks" / "runs.csv")
        self.assertEqual(set(runs["status"]), {"ok"})
        self.assertEqual(sorted(runs["examples"]), sorted(2 * [512, 1024, 2048, 4096]))
        self.assertLess(runs["test_ne"].min(), 0.9)
        self.assertIn("</html>", (folder / "runs" / "clicks" / "report.html").read_text())

    def test_your_clicks_of_criteo(self) -> None:
        folder = Path(self.get_temp_dir()) / "criteo"
        folder.mkdir()
        rows = [[str(int(i % 4 == 0)), *map(str, range(13)), *(f"{k:08x}" for k in range(26))] for i in range(400)]
        (folder / "day_0").write_text("".join("\t".join(row) + "\n" for row in rows))
        executed("your_clicks", folder, until="prepare", LOG="'day_0'", FORMAT="'criteo'")
        splits = json.loads((folder / "data" / "clicks" / "manifest.json").read_text())["splits"].values()
        self.assertEqual([sum(split[of] for split in splits) for of in ("rows", "clicks")], [400, 100])

    def test_notebooks_that_train_nothing_need_only_what_they_install(self) -> None:
        folder, _ = quickstart()
        runs = folder / "runs" / "quickstart" / "runs.csv"
        study = fit_study(read_runs(runs))
        environment = base_environment(self.get_temp_dir(), "ipykernel")
        for name in ("read_a_study", "congress"):
            *_, package = first_cell_does(name, colab=True)
            self.assertEqual(package, "%pip install -q .")
            shown = executed(name, folder, environment=environment, RUNS=repr(str(runs)))
            self.assertEqual(shown.count(FIGURE), 1)
            if name == "read_a_study":
                frontiers = [line for line in study.lines if line.is_frontier]
                self.assertLen(re.findall(r"<tr>\\n +<th>\d+</th>", shown), len(frontiers) + 6)  # a row per data size
            else:
                self.assertIn(advise(read_runs(runs), study, "data=2x").answer, shown)

    def test_notebooks_that_train_install_what_training_takes(self) -> None:
        for name in ("quickstart", "your_clicks"):
            *_, package = first_cell_does(name, colab=True)
            self.assertEqual(package, "%pip install -q '.[tensorflow]'")

    def test_congress_opens_the_published_study(self) -> None:
        """REPRODUCTION.md holds what is fitted to this table."""
        (settings,) = [cell for cell in notebook("congress").cells if tagged(cell, "parameters")]
        (path,) = re.findall(r'RUNS = "(.+)"', settings.source)
        self.assertEqual(set(read_runs(REPOSITORY / path)["study"]), {"congress"})
        self.assertIn(f"({path})", (REPOSITORY / "REPRODUCTION.md").read_text())


if __name__ == "__main__":
    tf.test.main()
