"""How JSON is written in a text that must match a schema, and what of a schema can be enforced. Imports no PyTorch.

- what forbids nothing is left out: formats that nobody knows are notes, and `"uniqueItems": false` asks for nothing
- a schema may be loose: what cannot be enforced (`uniqueItems`, `not`, a pattern that looks around) is left out too
- a schema may be strict: it is closed (no properties but its own), and `unenforceable` names what it asks in vain
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_ONE_WAY = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""As models write it themselves: where whitespace is free, a small one may write nothing else for ever."""
_LOOSE = {"lenient": True, "coerce_one_of": True}
"""llguidance leaves out keywords that it does not know, and takes oneOf for anyOf."""
_ENFORCED_FORMATS = {
    "date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri",
}  # fmt: skip
_IN_VAIN = (
    "uniqueItems", "contains", "minContains", "maxContains", "not", "if", "then", "else", "propertyNames",
    "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties", "unevaluatedItems",
    "$recursiveRef", "$dynamicRef",
)  # fmt: skip
"""Keywords that forbid texts and that llguidance does not enforce."""
_IDLE: Mapping[str, tuple[Any, ...]] = {
    "uniqueItems": (False,),
    "propertyNames": (True, {}, {"type": "string"}),
    "dependentRequired": ({},),
    "dependentSchemas": ({},),
    "dependencies": ({},),
    "unevaluatedProperties": (True, {}),
    "unevaluatedItems": (True, {}),
    "not": (False,),
}
"""Values with which those keywords forbid nothing."""
_LOOKS_AROUND = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?:[=!>]|<[=!])|\\[bB1-9])")
_SCHEMA = ("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else")
_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
Schema = Mapping[str, Any]


def one_way(schema: Schema, *, loose: bool = False) -> str:
    """A schema as llguidance takes it, and by which there is one way to write JSON, whatever it says itself.

    Args:
        loose: leave out what cannot be enforced, which is an error otherwise.
    """
    made = _mapped(schema, _loosened if loose else _without_idle)
    rules = {name: rule for name, rule in made.items() if name != "x-guidance"}
    return json.dumps({"x-guidance": {**_ONE_WAY, **(_LOOSE if loose else {})}, **rules})


def closed(schema: Schema) -> dict[str, Any]:
    """The schema whose objects have no properties but those that it names."""

    def close(part: dict[str, Any]) -> dict[str, Any]:
        return {**part, "additionalProperties": False} if "properties" in part else part

    return _mapped(schema, close)


def unenforceable(schema: Schema, path: str = "") -> Iterator[str]:
    """Where a schema forbids what cannot be forbidden: paths such as `properties.tags.uniqueItems`."""
    before = f"{path}." if path else ""
    kept = _without_idle(dict(schema))
    yield from (f"{before}{name}" for name in _IN_VAIN if name in kept)
    if isinstance(pattern := kept.get("pattern"), str) and _LOOKS_AROUND.search(pattern):
        yield f"{before}pattern"
    for name, part in _parts(kept):
        yield from unenforceable(part, before + name)


def _parts(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for name, value in schema.items():
        if isinstance(value, dict) and name in _SCHEMA:
            yield name, value
        elif isinstance(value, list) and name in _SCHEMAS:
            yield from ((f"{name}[{at}]", part) for at, part in enumerate(value) if isinstance(part, dict))
        elif isinstance(value, dict) and name in _NAMED:
            yield from ((f"{name}.{key}", part) for key, part in value.items() if isinstance(part, dict))


def _mapped(schema: Schema, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """A schema of which every part is changed, from the outside to the inside."""

    def below(value: Any) -> Any:
        return _mapped(value, change) if isinstance(value, dict) else value

    made = change(dict(schema))
    for name, value in made.items():
        if isinstance(value, dict) and name in _SCHEMA:
            made[name] = _mapped(value, change)
        elif isinstance(value, list) and name in _SCHEMAS:
            made[name] = [below(part) for part in value]
        elif isinstance(value, dict) and name in _NAMED:
            made[name] = {key: below(part) for key, part in value.items()}
    return made


def _without_idle(part: dict[str, Any]) -> dict[str, Any]:
    def idle(name: str, value: Any) -> bool:
        if name == "format":
            return isinstance(value, str) and value not in _ENFORCED_FORMATS
        return any(value == other and type(value) is type(other) for other in _IDLE.get(name, ()))

    return {name: value for name, value in part.items() if not idle(name, value)}


def _loosened(part: dict[str, Any]) -> dict[str, Any]:
    """Also patterns that no automaton can follow; the keywords that it does not know llguidance leaves out itself."""
    kept = _without_idle(part)
    if isinstance(pattern := kept.get("pattern"), str) and _LOOKS_AROUND.search(pattern):
        del kept["pattern"]
    return kept
