"""Every mistake in a YAML or JSON file is located; nothing in one executes or explodes."""

# mypy: allow-untyped-calls
# (absl has no types)

import dataclasses
import tempfile
from pathlib import Path
from typing import Annotated

import pydantic
from absl.testing import parameterized
from pydantic.dataclasses import dataclass

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.strict_yaml import parse_yaml, read_yaml, validated
from tfrs_scaling.input.schema import STRICT

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with


@dataclass(frozen=True, config=STRICT)
class Wheel:
    """An element of a list."""

    radius: float
    spokes: int = 8


@dataclass(frozen=True, config=STRICT)
class Cart:
    """A dataclass with nested ones."""

    name: str
    wheels: Annotated[tuple[Wheel, ...], pydantic.Field(min_length=1)]
    spare: Wheel | None = None

    def __post_init__(self) -> None:
        if self.name == "barrow":
            raise ValueError("a barrow is not a cart")


WHEELS: list[dict[str, object]] = [{"radius": 0.5}]


class ValidatedTest(parameterized.TestCase, tf.test.TestCase):
    """Mistakes in configurations."""

    def _file(self, content: bytes, name: str = "cart.yaml") -> Path:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / name
        path.write_bytes(content)
        return path

    def _message(self, content: dict[str, object]) -> str:
        with self.assertRaises(InputError) as caught:
            validated(Cart, content, "cart.yaml")
        return str(caught.exception)

    def test_what_is_right_comes_back_typed(self) -> None:
        cart = validated(Cart, {"name": "c", "wheels": [{"radius": 1, "spokes": 3}], "spare": {"radius": 0.5}}, "f")
        self.assertEqual(cart, Cart("c", (Wheel(1.0, 3),), Wheel(0.5, 8)))
        self.assertIsInstance(cart.wheels, tuple)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            cart.name = "d"  # type: ignore[misc]

    @parameterized.named_parameters(
        ("top", {"nmae": "c"}, "cart.yaml: unknown key 'nmae'; did you mean 'name'?"),
        ("nothing_near", {"xyzzy": 1}, "cart.yaml: unknown key 'xyzzy'; valid keys here: name, wheels, spare"),
        ("nested", {"spare": {"radius": 1.0, "spoke": 3}}, "unknown key 'spare.spoke'; did you mean 'spokes'?"),
        (
            "in_a_list",
            {"wheels": [{"radius": 1.0}, {"radius": 1.0, "raduis": 2.0}]},
            "unknown key 'wheels[1].raduis'; did you mean 'radius'?",
        ),
    )
    def test_unknown_key_names_file_key_and_nearest(self, change: dict[str, object], message: str) -> None:
        self.assertIn(message, self._message({"name": "c", "wheels": WHEELS} | change))

    @parameterized.named_parameters(
        ("text_for_number", {"wheels": [{"radius": "1"}]}, "wheels[0].radius: input should be a valid number, got '1'"),
        ("fraction_for_integer", {"wheels": [{"radius": 1.0, "spokes": 8.5}]}, "wheels[0].spokes: input should be"),
        ("whole_float_for_integer", {"wheels": [{"radius": 1.0, "spokes": 8.0}]}, "wheels[0].spokes: input should be"),
        ("true_for_integer", {"wheels": [{"radius": 1.0, "spokes": True}]}, "wheels[0].spokes: input should be"),
        ("number_for_text", {"name": 3}, "name: input should be a valid string, got 3"),
        ("mapping_for_list", {"wheels": {"radius": 1.0}}, "wheels: input should be a valid array"),
        ("number_for_mapping", {"wheels": [3]}, "wheels[0]: input should be an object, got 3"),
        ("nothing", {"name": None}, "name: input should be a valid string, got None"),
        ("empty_list", {"wheels": []}, "wheels: tuple should have at least 1 item"),
        ("not_a_number", {"wheels": [{"radius": float("nan")}]}, "wheels[0].radius: input should be a finite number"),
        ("infinity", {"wheels": [{"radius": float("inf")}]}, "wheels[0].radius: input should be a finite number"),
        ("own_rule", {"name": "barrow"}, "cart.yaml: a barrow is not a cart"),
        ("lone_surrogate", {"name": "\ud800"}, "cart.yaml: invalid JSON"),
        ("no_json", {"name": {1, 2}}, "cart.yaml: a value has a type that no key accepts"),
    )
    def test_wrong_value_is_located(self, change: dict[str, object], message: str) -> None:
        actual = self._message({"name": "c", "wheels": WHEELS} | change)
        self.assertIn(message, actual)
        self.assertNotIn("\n", actual)  # one mistake, one line

    def test_every_mistake_has_its_line(self) -> None:
        lines = self._message({"wheels": [{"radius": "x"}], "spare": {}}).split("\n")
        self.assertLen(lines, 3)
        self.assertIn("cart.yaml: the key 'name' is missing", lines)
        self.assertIn("cart.yaml: the key 'spare.radius' is missing", lines)

    def test_long_value_is_cut(self) -> None:
        self.assertLess(len(self._message({"name": list(range(10_000)), "wheels": WHEELS})), 200)

    @parameterized.parameters(
        ("1e-7", 1e-7),
        ("1E5", 1e5),
        ("-2.5e3", -2500.0),
        ("+1e+2", 100.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("12", 12),
        ("1e", "1e"),
        ("e5", "e5"),
        ("2024-01-31", "2024-01-31"),
        ("2024-13-45", "2024-13-45"),
        ("yes", True),
        ("~", None),
        ('"a"', "a"),
        ("[1, 1e2]", [1, 100.0]),
    )
    def test_plain_values(self, text: str, value: object) -> None:
        parsed = parse_yaml(f"key: {text}", "f")["key"]
        self.assertEqual(parsed, value)
        self.assertIs(type(parsed), type(value))
        self.assertEqual(parse_yaml(text, "f"), value)  # as --set passes it

    def test_json_may_be_indented_by_tabs(self) -> None:
        self.assertEqual(read_yaml(self._file(b'{\n\t"a": [1, "\\ud83d\\ude00"]\n}')), {"a": [1, "\U0001f600"]})

    @parameterized.named_parameters(
        ("duplicate", "a: 1\nb: 2\n\na: 3\n", "cart.yaml, line 4, column 1: the key 'a' is repeated"),
        ("duplicate_nested", "a:\n  b: 1\n  b: 1\n", "cart.yaml, line 3, column 3: the key 'b' is repeated"),
        ("duplicate_json", '{"a": 1,\n "a": 2}', "cart.yaml, line 2, column 2: the key 'a' is repeated"),
        ("number_as_key", "1: a", "line 1, column 1: the key 1 is not text"),
        ("list_as_key", "? [a]\n: 1", "the key ['a'] is not text"),
        ("open_bracket", "a: 1\nb: [1, 2", "cart.yaml, line 2"),
        ("tab", "a:\n\tb: 1", "cart.yaml, line 2, column 1"),
        ("two_documents", "a: 1\n---\nb: 2", "cart.yaml, line 2"),
        ("own_tag", "a: !wheel 1", "cart.yaml, line 1, column 4"),
        ("wrong_tag", "a: !!int x", "cart.yaml, line 1, column 4: not a valid int"),
        ("wrong_bool", "a: !!bool x", "cart.yaml, line 1, column 4: not a valid bool"),
        ("control_character", "a: \x07", "cart.yaml: not readable as YAML"),
        ("deep", "[" * 5000, "cart.yaml: not readable as YAML"),
        ("endless_integer", "a: " + "9" * 5000, "cart.yaml, line 1, column 4: not a valid int"),
        ("alias", "a: &x [1]\nb: *x", "cart.yaml, line 2, column 4: aliases (*name) are not understood"),
        ("nothing", "", "should hold a mapping of keys to values, holds nothing"),
        ("list", "- 1", "should hold a mapping of keys to values, holds a list"),
        ("text", "hello", "should hold a mapping of keys to values, holds a str"),
    )
    def test_malformed_text_is_located(self, text: str, message: str) -> None:
        with self.assertRaises(InputError) as caught:
            read_yaml(self._file(text.encode()))
        self.assertIn(message, str(caught.exception))
        self.assertIn("cart.yaml", str(caught.exception))

    @parameterized.parameters("apply:os.system", "object/apply:os.system", "object/new:os.system")
    def test_tags_execute_nothing(self, tag: str) -> None:
        proof = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "executed"
        with self.assertRaisesRegex(InputError, "line 1, column 4"):
            parse_yaml(f"a: !!python/{tag} ['touch {proof}']", "f")
        self.assertFalse(proof.exists())

    def test_unreadable_files_are_named(self) -> None:
        with self.assertRaisesRegex(InputError, r"none\.yaml: cannot be read: No such file"):
            read_yaml(Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "none.yaml")
        with self.assertRaisesRegex(InputError, "cannot be read: Is a directory"):
            read_yaml(Path(tempfile.mkdtemp(dir=self.get_temp_dir())))
        with self.assertRaisesRegex(InputError, r"cart\.yaml: not UTF-8 text \(byte 3\)"):
            read_yaml(self._file(b"a: \xff"))


if __name__ == "__main__":
    tf.test.main()
