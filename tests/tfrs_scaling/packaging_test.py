"""What setup.cfg and the files of pins ask for, without a network."""

import configparser
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pyarrow.parquet as pq
import tensorflow as tf
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers.studies import REPOSITORY
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import read_config
from tfrs_scaling.input.schema import Schema

# Packages whose files lie in the folder tensorflow/; two of them overwrite each other's.
OWNERS = {
    "tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-tpu", "tensorflow-macos", "tensorflow-rocm",
    "tensorflow-intel", "tensorflow-aarch64", "tensorflow-cpu-aws", "intel-tensorflow", "tf-nightly", "tf-nightly-tpu",
}  # fmt: skip


def requirements(text: str) -> dict[str, Requirement]:
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    found = [Requirement(line) for line in lines if line]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def pins(name: str) -> dict[str, str]:
    """Versions by package."""
    found = requirements((REPOSITORY / name).read_text())
    return {package: str(requirement.specifier).removeprefix("==") for package, requirement in found.items()}


class PackagingTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        setup = configparser.ConfigParser()
        setup.read(REPOSITORY / "setup.cfg")
        self.base = requirements(setup["options"]["install_requires"])
        self.extras = {name: requirements(text) for name, text in setup["options.extras_require"].items()}
        self.training = self.base | self.extras["tensorflow"]

    def test_one_package_owns_the_folder_of_tensorflow(self) -> None:
        for name, extra in {"": self.base, **self.extras}.items():
            self.assertContainsSubset(OWNERS.intersection(extra), {"tensorflow"}, name)
        self.assertLen(set(metadata.packages_distributions()["tensorflow"]), 1)
        self.assertEqual(OWNERS.intersection(pins("constraints.txt")), {"tensorflow"})
        self.assertEqual(OWNERS.intersection(pins("tpu-constraints.txt")), {"tensorflow-tpu"})

    def test_extras_that_are_named_exist_and_those_that_train_bring_tensorflow(self) -> None:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if listed.returncode:
            self.skipTest("not a checkout")
        texts = [REPOSITORY / name for name in listed.stdout.split("\0") if not name.endswith((".parquet", ".png"))]
        named = {
            extra
            for text in texts
            if text.is_file()
            for groups in re.findall(r"tfrs_scaling\[([a-z,]+)\]|'\.\[([a-z,]+)\]'", text.read_text())
            for extra in "".join(groups).split(",")
        }
        self.assertContainsSubset({"tensorflow", "gpu", "beam", "images", "test"}, named)
        self.assertContainsSubset(named, self.extras)

        def brought(extra: str) -> set[str]:
            own = self.extras[extra]
            further = own["tfrs-scaling"].extras if "tfrs-scaling" in own else ()
            return set(own).union(*map(brought, further))

        for extra in ("tensorflow", "gpu", "beam", "test"):
            self.assertContainsSubset({"tensorflow", "tensorflow-recommenders", "keras-tuner"}, brought(extra), extra)

    def test_pins_are_versions_that_the_package_takes(self) -> None:
        for name, without in (("constraints.txt", set()), ("tpu-constraints.txt", {"tensorflow"})):
            pinned = pins(name)
            self.assertEmpty(set(self.training) - set(pinned) - without, name)
            for package in set(self.training) - without:
                self.assertTrue(self.training[package].specifier.contains(pinned[package]), f"{name}: {package}")
        self.assertEqual(pins("tpu-constraints.txt")["tf-keras"].rpartition(".")[0], "2.20")  # as tensorflow-tpu's

    def test_tpu_pins_leave_nothing_out_that_pinned_packages_need(self) -> None:
        pinned = pins("tpu-constraints.txt")
        for package in set(pinned) & set(pins("constraints.txt")):
            for needed in map(Requirement, metadata.requires(package) or []):
                name = canonicalize_name(needed.name)
                if (needed.marker is None or needed.marker.evaluate({"extra": ""})) and name != "tensorflow":
                    self.assertIn(name, pinned, package)

    def test_installation_on_colab_changes_no_package_that_is_there(self) -> None:
        """A package that the notebook's process has loaded cannot be replaced without a restart."""
        there = pins("colab/colab-pins.txt")
        for package in set(self.training) & set(there):
            self.assertTrue(self.training[package].specifier.contains(there[package]), package)
        self.assertEmpty(set(self.base) - set(there))
        brought = set(self.training) - set(there)
        self.assertEqual(brought, {"importlib-resources", "keras-tuner", "tensorflow-recommenders"})
        brought.add("kt-legacy")  # which keras-tuner asks for
        for package in brought:
            for needed in map(Requirement, metadata.requires(package) or []):
                name = canonicalize_name(needed.name)
                if (needed.marker is None or needed.marker.evaluate({"extra": ""})) and name not in brought:
                    self.assertIn(name, there, package)
                    self.assertTrue(needed.specifier.contains(there[name]), f"{package}: {needed}")

    def test_configurations_and_schemas_come_with_the_package_by_name(self) -> None:
        setup = configparser.ConfigParser()
        setup.read(REPOSITORY / "setup.cfg")
        package = REPOSITORY / "tfrs_scaling"
        patterns = setup["options.package_data"]["tfrs_scaling"].split(", ")
        shipped = {path.name for pattern in patterns for path in package.glob(pattern)}
        self.assertContainsSubset(
            {"smoke.yaml", "study.yaml", "movielens.json", "congress.parquet", "ORIGIN.md"}, shipped
        )
        self.assertEqual(read_config("smoke"), read_config(REPOSITORY / "tuner_configs" / "smoke.yaml"))
        self.assertEqual(Schema.read(Path("movielens")).label, "label")
        with self.assertRaisesRegex(InputError, "smok: there is no such file; with the package come bench, .*smoke"):
            read_config("smok")
        with self.assertRaisesRegex(
            InputError, "click: there is no such file; with the package come congress, congress_1989, flights, movie"
        ):
            Schema.read(Path("click"))

    def test_the_log_that_comes_with_the_package_is_what_its_origin_says(self) -> None:
        config = read_config("congress")
        assert config.log is not None
        path = Path(config.log.files[0])
        self.assertLess(path.stat().st_size, 2_000_000)
        votes = pq.read_table(path).to_pandas()
        self.assertLen(votes, 928_489)
        self.assertEqual((votes["member"].nunique(), votes["rollcall"].nunique()), (643, 3_434))
        self.assertAlmostEqual(votes["label"].mean(), 0.579, places=3)
        self.assertTrue(votes["ts"].is_monotonic_increasing)
        rows = {feature.name: feature.cardinality for feature in Schema.read(Path("congress")).categorical}
        for name in set(rows) - {"words"}:
            self.assertLess(votes[name].nunique(), rows[name], name)  # row 0 is for what training did not see
        self.assertLess(votes["words"].str.split("|").explode().nunique(), rows["words"])

    def test_documented_command_names_the_file(self) -> None:
        command = "pip install --no-deps -r tpu-constraints.txt -e ."
        for path in (REPOSITORY / "tpu-constraints.txt", Path(REPOSITORY / "tuner_configs" / "cluster" / "README.md")):
            self.assertIn(command, path.read_text())


if __name__ == "__main__":
    tf.test.main()
