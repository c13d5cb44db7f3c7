"""Reads untrusted YAML and JSON into frozen dataclasses, reporting the place of every mistake."""

import dataclasses
import difflib
import functools
import json
import re
import types
import typing
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from tfrs_scaling.common.errors import InputError

T = TypeVar("T")
Location = tuple[str | int, ...]  # of a value within others: keys of mappings, places in lists
Source = Callable[[Location], str]  # says where the value at a location was written


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, but ``1e-7`` is a number, dates are text, and keys must be unique.

    Aliases are refused: a few lines of them can expand to gigabytes.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not supported; repeat the value", mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError):  # how PyYAML refuses `!!int abc`
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(None, None, f"not a valid {kind}", node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is not text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} appears twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(  # unlike YAML 1.2, PyYAML requires a dot before the exponent and a sign in it
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
_Loader.yaml_implicit_resolvers = {  # JSON has no dates, and neither have the dataclasses
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def parse_yaml(text: str, source: str) -> Any:
    """The plain value in a YAML (or JSON) text.

    Raises:
        InputError: the text is not YAML, uses a tag other than the plain ones, or repeats a key.
    """
    try:  # JSON first: it is much faster and allows tabs; YAML reports the place of what it refuses
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
    except (ValueError, RecursionError):
        pass
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 -- a SafeLoader, made stricter
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark else source
        raise InputError(f"{where}: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{source}: not readable as YAML: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key appears twice")
    return content


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML or JSON file.

    Raises:
        InputError: the file cannot be read, is not YAML, or does not hold a mapping.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_mapping(content, str(path))


def lines_of_yaml(path: Path) -> Source:
    """Says of a value in a YAML file in which line it is; of one that is not there, where what should hold it is."""

    @functools.cache
    def root() -> yaml.Node | None:
        try:
            return yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
        except (OSError, ValueError, yaml.YAMLError, RecursionError):  # it has changed, or is JSON with tabs
            return None

    def where(location: Location) -> str:
        node = root()
        line = None
        for part in location:
            if isinstance(node, yaml.MappingNode):
                pairs = {key.value: (key, value) for key, value in node.value}
                key, node = pairs.get(str(part), (None, None))
                line = key.start_mark.line if key else line
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line
            else:
                break
        return str(path) if line is None else f"{path}, line {line + 1}"

    return where


def read_state(cls: type[T], path: Path, remedy: str) -> T:
    """What this program wrote into a JSON file, as ``validated`` makes it; the file may be damaged, or a stranger's.

    Args:
        cls: a (pydantic) dataclass, or a type of mapping.
        path: the file.
        remedy: what the user can do about a file that is not as it was written.

    Raises:
        InputError: the file cannot be read, or holds something else; ends with the remedy.
        FileNotFoundError: there is none.
    """
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_once, parse_constant=_refused)
        if not isinstance(content, dict):
            raise InputError(f"{path}: should hold an object, holds {_kind(content)}")
        return validated(cls, content, str(path))
    except InputError as error:
        raise InputError(f"{error}; {remedy}") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}; {remedy}") from None


def parse_mapping(content: bytes, source: str) -> dict[str, Any]:
    """The mapping in the bytes of a YAML or JSON file.

    Raises:
        InputError: they are not YAML, or do not hold a mapping.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not UTF-8 text (byte {error.start})") from None
    mapping = parse_yaml(text, source)
    if not isinstance(mapping, dict):
        raise InputError(f"{source}: should hold a mapping of keys to values, holds {_kind(mapping)}")
    return mapping


def validated(cls: type[T], content: dict[str, Any], source: str | Source) -> T:
    """``content`` as an instance of the (pydantic) dataclass ``cls``, refusing unknown keys and wrong types.

    Raises:
        InputError: one line per mistake, each naming ``source``, the key, and the nearest valid key or the value.
    """
    where = source if callable(source) else lambda _: source
    try:
        text = json.dumps(content)
    except (TypeError, ValueError) as error:  # a YAML !!set, say
        raise InputError(f"{where(())}: a value has a type that no key accepts: {error}") from None
    try:
        return pydantic.TypeAdapter(cls).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        details = error.errors(include_url=False)
        # A tuple with wrong elements is also reported as too short: pydantic counts the right ones.
        parents = {detail["loc"][:-n] for detail in details for n in range(1, len(detail["loc"]))}
        details = [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in parents]
        mistakes = [f"{where(_location(detail))}: {_mistake(cls, detail)}" for detail in details]
        raise InputError("\n".join(mistakes)) from None


def _location(detail: Any) -> Location:
    """Where a mistake is; a check of several values names the one at fault first, as ``examples[0]: too few``."""
    named = re.match(r"[\w.\[\]]+(?=: )", str(detail["ctx"]["error"])) if detail["type"] == "value_error" else None
    inner = re.findall(r"\w+", named[0]) if named else []
    return (*_keys(detail), *(int(part) if part.isdecimal() else part for part in inner))


def _keys(detail: Any) -> Location:
    return tuple(part for part in detail["loc"] if not str(part).startswith("function-"))


def _mistake(cls: type, detail: Any) -> str:
    location = _keys(detail)
    key = _dotted(location)
    match detail["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            fields = _fields_at(cls, location[:-1])
            near = difflib.get_close_matches(str(location[-1]), fields, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"valid keys here: {', '.join(fields)}"
            return f"unknown key {key!r}; {hint}"
        case "missing" | "missing_argument":
            return f"the key {key!r} is missing"
        case "value_error":
            about = f"{key}: " if key else ""
            return f"{about}{detail['ctx']['error']}"
        case _:
            about = f"{key}: " if key else ""
            return f"{about}{detail['msg'][0].lower()}{detail['msg'][1:]}, got {repr(detail['input'])[:80]}"


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _fields_at(cls: Any, location: Location) -> list[str]:
    """Names of the fields of the dataclass at ``location`` inside ``cls``."""
    for part in location:
        inner = typing.get_type_hints(cls).get(part) if isinstance(part, str) else cls
        cls = next((c for c in _leaves(inner) if dataclasses.is_dataclass(c)), cls)
    return [field.name for field in dataclasses.fields(cls)]


def _leaves(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) in (tuple, list, dict, typing.Union, types.UnionType, typing.Annotated):
        return [leaf for argument in typing.get_args(annotation) for leaf in _leaves(argument)]
    return [annotation]


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
