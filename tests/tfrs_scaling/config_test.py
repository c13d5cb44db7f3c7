import copy
import fractions
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl.testing import parameterized

from tests.helpers.studies import CONFIGS, tiny_content
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config, Table, read_config
from tfrs_scaling.fit.schemes import LISTED

SHIPPED = ("smoke", "study", "movielens", "flights", "bench", "paper")


class ConfigTest(tf.test.TestCase, parameterized.TestCase):
    def written(self, text: str) -> Path:
        path = Path(self.get_temp_dir()) / f"{self._testMethodName}.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    def refused(self, path: Path, *parts: str, overrides: tuple[str, ...] = ()) -> None:
        with self.assertRaises(InputError) as caught:
            read_config(path, overrides)
        for part in parts:
            self.assertIn(part, str(caught.exception))

    @parameterized.parameters(*SHIPPED)
    def test_shipped_configs_are_valid(self, name: str) -> None:
        config = read_config(CONFIGS / f"{name}.yaml")
        self.assertGreaterEqual(len(config.ladder), 6)

    @parameterized.parameters(*SHIPPED)
    def test_head_comment_tells_command_cost_and_result(self, name: str) -> None:
        lines = (CONFIGS / f"{name}.yaml").read_text().splitlines()
        head = "\n".join(line for line in lines if line.startswith("#"))
        for word in ("Command", "Cost", "Expect", f"tuner_configs/{name}.yaml"):
            self.assertIn(word, head)

    def test_unknown_key_names_file_key_and_nearest(self) -> None:
        path = self.written(
            """
            study: x
            model: {embeding_dim: 4, bottom: [], interaction: 0, overarch: []}
            training: {batch_size: 2, learning_rates: [0.1]}
            sweep: {examples: [2]}
            """
        )
        self.refused(path, str(path), "'model.embeding_dim'", "'embedding_dim'")

    def test_mistakes_name_the_line_or_the_override(self) -> None:
        path = self.written(
            """
            study: x
            model: {embedding_dim: 4, bottom: [], interaction: 0, overarch: []}
            training:
              batch_size: 64
              learning_rates: [0.1]
            sweep:
              examples:
                - 32
                - 128
              V: [2,
                  x]
            """
        )
        self.refused(path, f"{path}, line 12: sweep.V[1]: 'x' is not a multiplier")
        others: tuple[str, ...] = ("sweep.V=[2]",)
        self.refused(path, f"{path}, line 9: sweep.examples[0]: 32 rows are less than one batch", overrides=others)
        self.refused(
            path,
            f"{path}, line 12: sweep.V[1]: 'x'",
            "--set 'training.batch_size=0': training.batch_size: input should be greater than",
            overrides=("training.batch_size=0",),
        )
        others = (*others, "sweep.examples=[64, 64]")
        self.refused(path, f"--set '{others[-1]}': sweep: examples: the data ladder has to rise", overrides=others)
        path.write_text(path.read_text().replace("batch_size: 64", "batch: 64"))
        self.refused(path, f"{path}, line 4: the key 'training.batch_size' is", f"{path}, line 5: unknown key")
        path.write_text("model: {}")
        self.refused(path, f"{path}: the key 'study' is missing", f"{path}, line 1: the key 'model.bottom' is missing")

    def test_every_scheme_with_multipliers_is_a_key_of_the_sweep(self) -> None:
        self.refused(self.written("sweep: {W: [2]}"), "unknown key 'sweep.W'", ", V, H, O, M, F, N, E, T, VH, ")
        for scheme in LISTED:
            overrides = (f"sweep.{scheme}=[{2 if scheme == 'E' else '1/2'}]", "teacher={examples: 1000}")
            config = read_config(CONFIGS / "smoke.yaml", overrides)
            self.assertEqual(len(config.sweep.multipliers(scheme)), 1)

    def test_teacher_is_a_shape_of_the_study_with_rows_of_its_own(self) -> None:
        path, teacher = CONFIGS / "smoke.yaml", "teacher={scheme: V, multiplier: 4, examples: 10_000}"
        config = read_config(path, ("sweep.T=[1/4, 1]", teacher))
        self.assertEqual(config.sweep.multipliers("T"), (fractions.Fraction(1, 4), fractions.Fraction(1)))
        self.assertEqual(config.held_apart, 10_000)
        self.refused(path, "sweep.T: needs the key teacher", overrides=("sweep.T=[1/4]",))
        self.refused(path, "sweep.T[0]", "a weight is at most 1", overrides=("sweep.T=[2]", teacher))
        for wrong, why in (
            ("{examples: 10}", "teacher.examples: 10 rows are less than one batch"),
            ("{examples: 10_000, scheme: N, multiplier: 1/2}", "teacher: scheme: 'N' is none of D, V, H, O, M, A"),
            ("{examples: 10_000, scheme: V}", "teacher: multiplier: 1 does not suit scheme V; only D's is 1"),
            ("{examples: 10_000, multiplier: 2}", "teacher: multiplier: 2 does not suit scheme D; only D's is 1"),
            ("{scheme: V}", "the key 'teacher.examples' is missing"),
        ):
            self.refused(path, why, overrides=("sweep.T=[1/4]", f"teacher={wrong}"))

    def test_mapping_is_read_as_a_file_is_and_left_as_it_was(self) -> None:
        content = tiny_content(V=["1/2"])
        config = read_config(content, ("sweep.V=[2]",))
        self.assertEqual(config.sweep.multipliers("V"), (fractions.Fraction(2),))
        self.assertEqual(content, tiny_content(V=["1/2"]))
        self.assertIs(read_config(config), config)
        self.assertEqual(read_config(config, ("sweep.V=[1/2]",)), validated(Config, content, "tiny"))

    def test_overrides_replace_values_and_are_validated(self) -> None:
        path = CONFIGS / "smoke.yaml"
        config = read_config(path, ("training.batch_size=512", "sweep.V=[1/2, 8]", "training.accumulator=1e-7"))
        self.assertEqual(config.training.batch_size, 512)
        self.assertEqual(config.sweep.multipliers("V"), (fractions.Fraction(1, 2), fractions.Fraction(8)))
        self.assertEqual(config.training.accumulator, 1e-7)
        self.refused(
            path, "--set 'training.batchsize=512': ", "did you mean 'batch_size'", overrides=("training.batchsize=512",)
        )
        self.refused(path, "write key=value", overrides=("training.batch_size",))
        self.refused(path, "'study' holds a value", overrides=("study.name=x",))
        self.refused(path, "training.batch_size", "'many'", overrides=("training.batch_size=many",))

    def test_multipliers_are_exact_and_never_one(self) -> None:
        config = validated(Config, tiny_content(V=["1/64", 0.1, 8]), "tiny")
        expected = (fractions.Fraction(1, 64), fractions.Fraction(1, 10), fractions.Fraction(8))
        self.assertEqual(config.sweep.multipliers("V"), expected)
        for wrong in (1, "2/2", 0, -2, "1/0", "half", True):
            with self.assertRaisesRegex(InputError, r"sweep\.V"):
                validated(Config, tiny_content(V=[wrong]), "tiny")

    def test_every_number_has_a_range(self) -> None:
        """Numbers without end, of every kind, at every place of a whole configuration: refused, and at once."""
        content = read_config(CONFIGS / "paper.yaml").to_dict()
        content["training"] |= {"learning_rates": [0.01, 0.02], "dense_learning_rate": 0.1}
        content["sweep"] |= {"V": ["1/2", 4], "H": [2], "N": ["1/2"], "E": [2], "F": ["1/3"]}
        content["model"]["tables"] = {"x": {"dim": 4}}
        content["synthetic"] = tiny_content()["synthetic"] | {"rank": 4, "ctr": 0.5, "drift": 1.0, "drift_rows": 9}
        validated(Config, content, "whole")
        places = list(_numbers(content))
        self.assertGreater(len(places), 40)
        started = time.monotonic()
        for place in places:
            for huge in (1e308, 10**400, 10**19, -1e308, 1e400, "1e99999999", "1e400", "9" * 50, "1/" + "9" * 30):
                with self.assertRaises(InputError, msg=f"{place}: {huge}"):
                    validated(Config, _replaced(content, place, huge), "changed")
        self.assertLess(time.monotonic() - started, 30)

    def test_names_of_trials_differ_and_fit(self) -> None:
        content = tiny_content()
        content["training"]["learning_rates"] = [0.0123456, 0.01234561]
        with self.assertRaisesRegex(InputError, "learning_rates: 0.0123456 is repeated; six digits name a trial"):
            validated(Config, content, "tiny")
        with self.assertRaisesRegex(InputError, r"sweep\.V\[0\]: .* too many digits for the name of a folder"):
            validated(Config, tiny_content(V=["0.1234567890123456789012345"]), "tiny")
        with self.assertRaisesRegex(InputError, "sweep: 101,000 trials, more than 100,000"):
            multipliers = [f"1/{number}" for number in range(2, 102)]
            validated(Config, tiny_content(V=multipliers, seeds=list(range(1000))), "tiny")

    def test_adam_wants_a_learning_rate_of_its_own(self) -> None:
        content = tiny_content()
        content["training"]["dense_optimizer"] = "adam"
        with self.assertRaisesRegex(InputError, "adam needs a dense_learning_rate"):
            validated(Config, content, "tiny")
        content["training"]["dense_learning_rate"] = 0.001
        self.assertEqual(validated(Config, content, "tiny").training.dense_learning_rate, 0.001)

    def test_accumulators_of_tpu_embedding_do_not_start_from_zero(self) -> None:
        content = tiny_content()
        content["training"] |= {"accumulator": 0, "embedding_layer": "tfrs"}
        with self.assertRaisesRegex(InputError, "training: accumulator: TPUEmbedding .* refuses 0 for Adagrad"):
            validated(Config, content, "tiny")
        for other in ({"embedding_layer": "stacked"}, {"table_optimizer": "sgd"}, {"accumulator": 1e-8}):
            validated(Config, {**content, "training": content["training"] | other}, "tiny")

    def test_tables_are_read_by_feature(self) -> None:
        content = tiny_content()
        content["model"]["tables"] = {"user": {"dim": 2, "pooling": "sum"}}
        self.assertEqual(validated(Config, content, "tiny").model.tables["user"], Table(2, "sum"))
        content["model"]["tables"]["user"]["pooling"] = "max"
        with self.assertRaisesRegex(InputError, "model.tables.user.pooling"):
            validated(Config, content, "tiny")

    def test_shares_of_features_and_negatives_are_below_one_and_say_why(self) -> None:
        config = validated(Config, tiny_content(F=["1/4", 0.5], N=["1/8"]), "tiny")
        self.assertEqual(config.sweep.multipliers("F"), (fractions.Fraction(1, 4), fractions.Fraction(1, 2)))
        self.assertEqual(config.sweep.multipliers("N"), (fractions.Fraction(1, 8),))
        for scheme in ("F", "N"):
            with self.assertRaisesRegex(
                InputError, rf"sweep\.{scheme}\[1\]: 2: a share is below 1: data cannot have more"
            ):
                validated(Config, tiny_content(**{scheme: ["1/2", 2]}), "tiny")
            with self.assertRaisesRegex(InputError, rf"sweep\.{scheme}\[0\]: 0: a multiplier is above 0"):
                validated(Config, tiny_content(**{scheme: [0]}), "tiny")

    def test_rows_are_kept_by_shares_and_ways(self) -> None:
        kept = tiny_content(P={"keep": ["1/2"], "by": ["hard", "random"]})
        sweep = validated(Config, kept | {"scorer": {"examples": 256}}, "tiny").sweep
        with self.assertRaisesRegex(InputError, "sweep.P: a scorer decides which rows are hard or easy; give one"):
            validated(Config, kept, "tiny")
        self.assertEqual(sweep.multipliers("P-hard"), (fractions.Fraction(1, 2),))
        self.assertEqual(sweep.multipliers("P-easy"), ())
        for none in (dict[str, Any](), None):
            self.assertEqual(validated(Config, tiny_content(P=none), "tiny").sweep.P, {})
        content = tiny_content(P={"hard": ["1/2", "1/4"], "easy": ["1/2"]}) | {"scorer": {"examples": 256}}
        by_way = validated(Config, content, "tiny")
        self.assertEqual({way: [*map(str, shares)] for way, shares in by_way.sweep.P.items()}, content["sweep"]["P"])
        self.assertEqual(by_way.to_dict()["sweep"]["P"], content["sweep"]["P"])
        for wrong, why in (
            ({"random": ["1/2", 2]}, r"sweep\.P\.random\[1\]: 2: a share is below 1"),
            ({"random": ["1/2", 0.5]}, r"sweep: P\.random: a value is repeated"),
            ({"hardest": ["1/2"]}, r"sweep\.P\.hardest"),
            ({"random": []}, r"sweep\.P\.random"),
            ({"keep": [2], "by": ["random"]}, r"sweep\.P\.keep\[0\]: 2: a share is below 1"),
            ({"keep": ["1/2"], "by": ["hardest"]}, r"sweep\.P\.by\[0\]"),
            ({"keep": ["1/2", 0.5], "by": ["random"]}, r"sweep\.P: keep: a value is repeated"),
            ({"keep": ["1/2"], "by": []}, r"sweep\.P\.by"),
            ({"keep": ["1/2"]}, r"'sweep\.P\.by' is missing"),
        ):
            with self.assertRaisesRegex(InputError, why):
                validated(Config, tiny_content(P=wrong), "tiny")

    def test_epochs_are_whole_numbers_above_one(self) -> None:
        config = validated(Config, tiny_content(E=[2, 4]), "tiny")
        self.assertEqual(config.sweep.multipliers("E"), (fractions.Fraction(2), fractions.Fraction(4)))
        for wrong in (1, 0, 1.5, "1/2"):
            with self.assertRaisesRegex(InputError, r"sweep\.E\[1\]"):
                validated(Config, tiny_content(E=[2, wrong]), "tiny")

    def test_other_architectures_are_others(self) -> None:
        self.assertEqual(validated(Config, tiny_content(A=["cross"]), "tiny").sweep.A, ("cross",))
        for wrong, why in ((["dot"], "sweep.A: dot is model.architecture"), (["none"], r"sweep\.A\[0\]")):
            with self.assertRaisesRegex(InputError, why):
                validated(Config, tiny_content(A=wrong), "tiny")

    def test_architectures_are_given_multipliers_of_their_dense_part(self) -> None:
        sweep = validated(Config, tiny_content(A={"wukong": ["1/4", 1, 4], "cross": [1], "dot": [2]}), "tiny").sweep
        quarter = fractions.Fraction(1, 4)
        self.assertEqual(sweep.architectures, {"wukong": (quarter, 4), "cross": (), "dot": (2,)})
        listed = validated(Config, tiny_content(A=["cross"]), "tiny")
        self.assertEqual(listed.sweep.architectures, {"cross": ()})
        again = validated(Config, validated(Config, tiny_content(A={"wukong": ["1/4"]}), "tiny").to_dict(), "tiny")
        self.assertEqual(again.sweep.A, {"wukong": (quarter,)})
        for wrong, why in (
            ({"wukong": [0]}, r"sweep\.A\.wukong\[0\]: 0: a multiplier is above 0"),
            ({"wukong": [4, 4]}, r"sweep: A\.wukong: a value is repeated"),
            ({"none": [4]}, r"sweep\.A\.none"),
            ({"dot": [1]}, r"sweep\.A: dot is model\.architecture"),
            ({"linear": [2]}, r"sweep\.A\.linear: has no dense part"),
        ):
            with self.assertRaisesRegex(InputError, why):
                validated(Config, tiny_content(A=wrong), "tiny")
        with self.assertRaisesRegex(InputError, r"sweep\.A\.dot: these are the shapes of sweep\.M"):
            validated(Config, tiny_content(A={"dot": [4]}, M=[4]), "tiny")

    def test_wukong_needs_embeddings_of_two_numbers(self) -> None:
        content = tiny_content(A=["wukong"], H=["1/4"])
        self.assertEqual(validated(Config, content, "tiny").sweep.A, ("wukong",))  # H scales the study's own alone
        content = tiny_content(H=["1/4"])
        content["model"]["architecture"] = "wukong"
        with self.assertRaisesRegex(InputError, "model.embedding_dim: wukong normalizes each embedding"):
            validated(Config, content, "tiny")
        content["model"]["wukong"] = {"layers": 0}
        with self.assertRaisesRegex(InputError, r"model\.wukong\.layers: input should be"):
            validated(Config, content, "tiny")

    def test_linear_model_stands_beside_another(self) -> None:
        self.assertEqual(validated(Config, tiny_content(A=["linear", "mlp"]), "tiny").sweep.A, ("linear", "mlp"))
        content = tiny_content()
        content["model"]["architecture"] = "linear"
        with self.assertRaisesRegex(InputError, "model.architecture: linear has no size to scale"):
            validated(Config, content, "tiny")

    def test_crossing_needs_both_factors(self) -> None:
        self.assertTrue(validated(Config, tiny_content(V=[2], H=[2], VH=True), "tiny").sweep.VH)
        for missing, given in (("H", {"V": [2]}), ("V", {"H": [2]}), ("V", {})):
            with self.assertRaisesRegex(InputError, f"VH: crosses V's multipliers with H's, and {missing} has none"):
                validated(Config, tiny_content(VH=True, **given), "tiny")

    def test_ladder_is_whole_batches(self) -> None:
        content = tiny_content(examples=[100, 200, 1000])
        self.assertEqual(validated(Config, content, "tiny").ladder, (64, 192, 960))

    @parameterized.parameters(
        ([512, 256], "rise"), ([256, 256], "rise"), ([10, 256], "less than one batch"), ([256, 260], "same number")
    )
    def test_bad_ladders_are_refused(self, examples: list[int], why: str) -> None:
        with self.assertRaisesRegex(InputError, why):
            validated(Config, tiny_content(examples=examples), "tiny")

    def test_repeated_values_are_refused(self) -> None:
        with self.assertRaisesRegex(InputError, "H: a value is repeated"):
            validated(Config, tiny_content(H=["1/2", 0.5]), "tiny")

    def test_hash_follows_content(self) -> None:
        one = validated(Config, tiny_content(H=["1/2"]), "tiny")
        same = validated(Config, tiny_content(H=[0.5]), "tiny")
        other = validated(Config, tiny_content(H=[2]), "tiny")
        self.assertEqual(one.config_hash, same.config_hash)
        self.assertNotEqual(one.config_hash, other.config_hash)

    def test_round_trip_through_plain_values(self) -> None:
        for name in SHIPPED:
            config = read_config(CONFIGS / f"{name}.yaml")
            self.assertEqual(validated(Config, config.to_dict(), name), config)

    def test_paper_grid_is_the_paper_s(self) -> None:
        config = read_config(CONFIGS / "paper.yaml")
        half = fractions.Fraction(1, 2)

        def powers(low: int, high: int) -> set[fractions.Fraction]:
            return {half**-k for k in range(low, high + 1)}

        with_baseline = {name: {fractions.Fraction(1), *config.sweep.multipliers(name)} for name in "VHOM"}
        self.assertEqual(with_baseline["V"], powers(-6, 3))
        self.assertEqual({64 * m for m in with_baseline["H"]}, {2**k for k in range(2, 11)})
        self.assertEqual(with_baseline["O"], powers(-8, 5))
        self.assertEqual(with_baseline["M"], powers(-3, 3))
        self.assertEqual(list(config.sweep.examples), [5_000_000 * 2**k for k in range(11)])


def _numbers(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all numbers, also of those written as text."""
    if isinstance(content, dict | list):
        for key, item in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _numbers(item, (*place, key))
    elif type(content) in (int, float) or (isinstance(content, str) and content[0].isdigit()):
        yield place


def _replaced(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(content)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


if __name__ == "__main__":
    tf.test.main()
