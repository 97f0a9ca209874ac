"""JSON schemas of callers, made ready for the grammar engine: what forbids nothing is taken out, and so is, or is refused,
what no grammar can enforce. Imports no PyTorch.

- a format that the engine does not know says what a text means, not how it is spelled: it is taken out and told
- a keyword that it cannot enforce (`uniqueItems`) is taken out and told where the schema only guides, and refused otherwise
- pydantic and zod write many that forbid nothing: `propertyNames: {"type": "string"}`, `uniqueItems: false`
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_ONE_WAY = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""As models write it themselves: where whitespace is free, a small one may write nothing else for ever."""
FORMATS = frozenset({
    "date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid",
})  # fmt: skip
"""That the engine enforces."""
_SCHEMAS = {"properties", "patternProperties", "$defs", "definitions"}
"""Keywords with schemas by name."""
_ONE = {"additionalProperties", "items", "additionalItems", "prefixItems", "anyOf", "allOf", "oneOf"}
"""Keywords with a schema, or with a list of them."""
_TEXT_ONLY: tuple[Any, ...] = ({}, True, {"type": "string"})
"""What the names of properties are anyway."""
_BEYOND_REGEX = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?<?[=!]|\\[bB1-9])")
"""Look-around, boundaries of words and references back: no automaton has them."""


def _given(*harmless: Any) -> Callable[[Any, Mapping[str, Any]], bool]:
    return lambda value, schema: value in harmless


def _names(schema: Mapping[str, Any], keyword: str) -> set[str]:
    """Those in `properties` or `required`; of what is no such thing, which the engine refuses, none."""
    value = schema.get(keyword)
    return {name for name in value if isinstance(name, str)} if isinstance(value, (dict, list)) else set()


def _few_enough(value: Any, schema: Mapping[str, Any]) -> bool:
    open_ended = schema.get("additionalProperties") is not False or schema.get("patternProperties")
    return not open_ended and isinstance(value, int) and value >= len(_names(schema, "properties"))


def _counted(schema: Mapping[str, Any]) -> bool:
    """Whether the engine can count an object's properties: none of those that it names may be left out."""
    return _names(schema, "properties") <= _names(schema, "required")


_BEYOND: dict[str, Callable[[Any, Mapping[str, Any]], bool]] = {
    "propertyNames": _given(*_TEXT_ONLY),
    "uniqueItems": _given(False),
    "not": _given(False),
    "contains": lambda value, schema: schema.get("minContains") == 0 and "maxContains" not in schema,
    "minContains": lambda value, schema: "contains" not in schema,
    "maxContains": lambda value, schema: "contains" not in schema,
    "if": lambda value, schema: not schema.keys() & {"then", "else"},
    "then": lambda value, schema: "if" not in schema,
    "else": lambda value, schema: "if" not in schema,
    "dependentRequired": _given({}),
    "dependentSchemas": _given({}),
    "dependencies": _given({}),
    "unevaluatedProperties": _given({}, True),
    "unevaluatedItems": _given({}, True),
    "$dynamicRef": _given(),
    "$recursiveRef": _given(),
    "minProperties": lambda value, schema: isinstance(value, int) and value <= len(_names(schema, "required")),
    "maxProperties": _few_enough,
}
"""What the engine cannot enforce, and when it forbids nothing."""


@dataclass
class EnforcedSchema:
    """A schema as the engine takes it.

    Attributes:
        schema: without what is in `formats` and `beyond`.
        formats: where a format stood that only says what a text means, as "properties.path.format".
        beyond: where a keyword stood that cannot be enforced.
    """

    schema: dict[str, Any] = field(default_factory=dict)
    formats: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, schema: Mapping[str, Any], closed: bool = False) -> "EnforcedSchema":
        """
        Args:
            closed: an object that does not say otherwise has no properties but those that it names.
        """
        made = cls()
        made.schema = made._schema(schema, "", closed)
        return made

    def _schema(self, schema: Mapping[str, Any], place: str, closed: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in schema.items():
            where = f"{place}{name}"
            if name in _BEYOND and not (name in ("minProperties", "maxProperties") and _counted(schema)):
                if not _BEYOND[name](value, schema):
                    self.beyond.append(where)
            elif name == "format" and isinstance(value, str) and value not in FORMATS and self._of_text(schema):
                self.formats.append(where)
            elif name == "pattern" and isinstance(value, str) and _BEYOND_REGEX.search(value):
                self.beyond.append(where)
            elif name in _SCHEMAS and isinstance(value, dict):
                found[name] = {key: self._part(one, f"{where}.{key}.", closed) for key, one in value.items()}
            elif name in _ONE and isinstance(value, list):
                inner = closed and not (name == "allOf" and len(value) > 1)  # each would rule out what the others name
                found[name] = [self._part(one, f"{where}[{index}].", inner) for index, one in enumerate(value)]
            else:
                found[name] = self._part(value, f"{where}.", closed) if name in _ONE else value
        named = found.get("patternProperties")
        for pattern in [key for key in named if _BEYOND_REGEX.search(key)] if isinstance(named, dict) else ():
            self.beyond.append(f"{place}patternProperties.{pattern}")
            del found["patternProperties"][pattern]
            found.pop("additionalProperties", None)  # it would forbid what the pattern allowed
        if closed and (found.get("type") == "object" or "properties" in found):
            found.setdefault("additionalProperties", False)
        return found

    def _part(self, value: Any, place: str, closed: bool) -> Any:
        if value == {"not": {}}:
            return False  # zod's never
        return self._schema(value, place, closed) if isinstance(value, dict) else value

    @staticmethod
    def _of_text(schema: Mapping[str, Any]) -> bool:
        """Whether a format speaks of texts: the engine passes over those of numbers, such as int32."""
        kinds = schema.get("type", "string")
        return "string" in (kinds if isinstance(kinds, list) else [kinds])


def one_way(schema: Mapping[str, Any], *, loose: bool = False) -> str:
    """A schema as llguidance takes it, and by which there is one way to write JSON, whatever it says itself.

    Args:
        loose: a `oneOf` whose schemas one text may fit together is taken for `anyOf`, and not refused.
    """
    rules = {name: rule for name, rule in schema.items() if name != "x-guidance"}
    return json.dumps({"x-guidance": {**_ONE_WAY, "coerce_one_of": loose}, **rules})
