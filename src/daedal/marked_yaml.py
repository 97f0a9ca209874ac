"""YAML that people write, read into plain values that know where they stand: a mistake is told with its line and column.

- only values that JSON has: dates stay texts, and tags (`!function`) are refused where they stand
- a key that stands twice in a mapping is refused, where PyYAML silently keeps the last
- `core=True` reads scalars as YAML 1.2 does: `yes`, `no`, `on` and `off` are texts, not booleans, and `1e5` is a number
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import ValidationError

from daedal.config import Config, validation_error
from daedal.errors import DaedalError
from daedal.files import read_bytes

Place = tuple[str | int, ...]
"""Keys and numbers of items that lead to a value: `("tests", 0, "vars")`."""

C = TypeVar("C", bound=Config)

_MOST_BYTES = 64 * 2**20
_MOST_VALUES = 2_000_000  # aliases of aliases make a small file endless


class _Mark(NamedTuple):
    """Where a value stands, both from 0: its key, or itself in a list; and its text."""

    line: int
    column: int
    text_line: int
    text_column: int
    block: bool


class Document(NamedTuple):
    """What a file says.

    Attributes:
        name: of the file, as messages name it.
        value: of dictionaries, lists, texts, numbers, booleans and None.
        marks: where each value stands.
    """

    name: str
    value: Any
    marks: Mapping[Place, _Mark]

    def where(self, place: Place = ()) -> str:
        """The file with the line and column of a key or of an item of a list, or else of what would hold it."""
        mark = self._mark(place)
        return f"{self.name}, line {mark.line + 1}, column {mark.column + 1}"

    def where_in(self, place: Place, line: int) -> str:
        """The file with the line that is the text's own line `line`, counted from 1."""
        mark = self._mark(place)
        # a literal block's text begins below its mark
        return f"{self.name}, line {mark.text_line + mark.block + line}" if mark.block else self.where(place)

    def error(self, place: Place, what: str, fix: str) -> DaedalError:
        """A mistake at a place."""
        return DaedalError(f"{self.where(place)}: {what}", fix)

    def parse(self, model: type[C], place: Place = (), value: Any = None) -> C:
        """The value at a place as a configuration.

        Args:
            value: in its stead, made of the one that stands there.

        Raises:
            DaedalError: it is none; the first bad field is named with its line and column.
        """
        value = self.at(place) if value is None else value
        try:
            return model.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = self.where((*place, *first["loc"]))
            raise validation_error(error, where, tuple(model.model_fields)) from None

    def at(self, place: Place) -> Any:
        """The value at a place."""
        value = self.value
        for step in place:
            value = value[step]
        return value

    def _mark(self, place: Place) -> _Mark:
        """Of the place, or of the nearest above it; names that pydantic puts between, of variants, are passed over."""
        found: Place = ()
        for step in place:
            if (*found, step) in self.marks:
                found = (*found, step)
        return self.marks.get(found, _Mark(0, 0, 0, 0, False))


def read(path: Path, *, core: bool = False, refused: Mapping[str, str] | None = None) -> Document:
    """What a YAML file says.

    Args:
        core: read scalars as YAML 1.2 does, not as 1.1.
        refused: what to do instead of a tag, such as `!function`, that stands in such files elsewhere.

    Raises:
        DaedalError: it cannot be read, or is no YAML of plain values; the line and the column are named.
    """
    try:
        text = read_bytes(path, _MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DaedalError(f"{path} is not UTF-8 (byte {error.start})", "Save it as UTF-8") from None
    return parse(text, str(path), core=core, refused=refused)


def parse(text: str, name: str, *, core: bool = False, refused: Mapping[str, str] | None = None) -> Document:
    """The same of a text; `name` stands for the file in messages."""
    try:
        loader = (_Core if core else _Plain)(text)
        node = loader.get_single_node()
        marks: dict[Place, _Mark] = {}
        value = None if node is None else _Reader(name, loader, marks, refused or {}).value(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
        said = error.problem or error.context or "it cannot be read"
        raise DaedalError(f"{where}: this is not YAML: {said}", "Correct that line; check quotes and indents") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DaedalError(f"{name}, line {line}: a character that YAML does not allow", "Remove it") from None
    except RecursionError:
        raise DaedalError(f"{name} is nested too deeply", "Write it flatter") from None
    return Document(name, value, marks)


class _Plain(yaml.SafeLoader):
    """Scalars as PyYAML reads them, but that dates stay texts."""


class _Core(yaml.SafeLoader):
    """Scalars as YAML 1.2's core schema has them."""


_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Core.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
):  # fmt: skip
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


class _Reader:
    """Walks the nodes of a file."""

    def __init__(
        self, name: str, loader: yaml.SafeLoader, marks: dict[Place, _Mark], refused: Mapping[str, str]
    ) -> None:
        self.name, self.loader, self.marks, self.refused = name, loader, marks, refused
        self.inside: list[yaml.Node] = []
        self.count = 0

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.count += 1
        if self.count > _MOST_VALUES:
            raise self._error(node, f"more than {_MOST_VALUES:,} values", "Use fewer aliases (*name)")
        if any(node is other for other in self.inside):
            raise self._error(node, "a value that contains itself", "Write it out")
        self.marks.setdefault(place, self._mark(node, node))
        self.inside.append(node)
        try:
            match node:
                case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                    return self._mapping(node, place)
                case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                    return [self.value(each, (*place, number)) for number, each in enumerate(node.value)]
                case yaml.ScalarNode(tag=tag) if tag in _SCALARS:
                    return self._scalar(node)
                case _:
                    tag = node.tag.replace("tag:yaml.org,2002:", "!!")
                    advice = self.refused.get(tag, "Write a text, a number, a list or a mapping")
                    raise self._error(node, f"{tag} is not read here", advice)
        finally:
            self.inside.pop()

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        own: set[str] = set()
        for key, _ in node.value:
            name = self._key(key)
            if name in own:
                raise self._error(key, f"{name} stands twice here", "Keep one of them")
            own.add(name)
        self.loader.flatten_mapping(node)  # merges (<<) come first: a key of the mapping's own wins
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = self._key(key)
            self.marks[*place, name] = self._mark(key, value)
            found[name] = self.value(value, (*place, name))
        return found

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a key that is no text", "Quote what has braces or brackets: '{{ name }}'")
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        try:
            if isinstance(self.loader, _Core) and node.tag.endswith(":int"):
                return int(node.value)
            if isinstance(self.loader, _Core) and node.tag.endswith(":float"):
                return float(re.sub(r"\.(inf|nan)", r"\1", node.value, flags=re.IGNORECASE))
            return self.loader.construct_object(node)
        except ValueError:
            raise self._error(node, f"{node.value[:40]} is no number that can be read", "Quote it") from None

    @staticmethod
    def _mark(key: yaml.Node, value: yaml.Node) -> _Mark:
        block = isinstance(value, yaml.ScalarNode) and value.style in ("|", ">")
        at, text = key.start_mark, value.start_mark
        return _Mark(at.line, at.column, text.line, text.column, block)

    def _error(self, node: yaml.Node, what: str, fix: str) -> DaedalError:
        mark = node.start_mark
        return DaedalError(f"{self.name}, line {mark.line + 1}, column {mark.column + 1}: {what}", fix)


_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}
