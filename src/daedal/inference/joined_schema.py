"""How large a JSON schema becomes where the grammar engine joins its parts. Imports no PyTorch.

- the engine writes out each `$ref` in an `allOf`, or beside other keywords: twenty-five definitions, each of the next twice,
  are thirty million schemas, minutes of work and gigabytes, in its own code, where nothing stops it
- of n patterns that one text must match it makes up to 2^n: 22 of them took ten seconds and a gigabyte
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

MOST = 20_000
"""Values of a schema whose joined parts are written out."""
MOST_PATTERNS = 6
"""Patterns that one text must match together."""
_SAY_NOTHING = {"$defs", "definitions", "$schema", "$id", "$comment", "title", "description", "default", "examples"}
"""Keywords beside which a reference is not written out."""


def is_too_large(schema: Mapping[str, Any]) -> bool:
    """Whether what is joined in a schema is too much when it is written out. It takes work by the schema's own size only."""
    joined = _Joined(schema)
    return joined.size(schema, joining=False) > MOST or joined.most_patterns(schema) > MOST_PATTERNS


def _joins(schema: Mapping[str, Any]) -> bool:
    return "allOf" in schema or ("$ref" in schema and len(schema.keys() - _SAY_NOTHING) > 1)


class _Joined:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._sizes: dict[str, int] = {}
        self._counts: dict[str, Counter[tuple[str, ...]]] = {}
        self._looked_at = 0

    def most_patterns(self, value: Any) -> int:
        """The most patterns that are joined for one text, anywhere in a value."""
        if isinstance(value, list):
            return max(map(self.most_patterns, value), default=0)
        if not isinstance(value, dict):
            return 0
        here = max(self._patterns(value).values(), default=0) if _joins(value) else 0
        inner = (each for name, each in value.items() if not _joins(value) or name in ("$defs", "definitions"))
        return max([here, *map(self.most_patterns, inner)])

    def _patterns(self, schema: Any) -> Counter[tuple[str, ...]]:
        """How many patterns there are for each place in a text, by the names that lead to it; of alternatives, the most."""
        found: Counter[tuple[str, ...]] = Counter()
        if not isinstance(schema, dict):
            return found
        self._looked_at += 1
        if self._looked_at > MOST:  # by references that lead back to one another
            return Counter({(): MOST_PATTERNS + 1})
        found[()] += "pattern" in schema
        for each in _listed(schema, "allOf"):
            found += self._patterns(each)
        ref = schema.get("$ref")
        if isinstance(ref, str):
            if ref not in self._counts:
                self._counts[ref] = Counter()  # if it leads back to itself
                self._counts[ref] = self._patterns(self._find(ref))
            found += self._counts[ref]
        either: Counter[tuple[str, ...]] = Counter()
        for each in (*_listed(schema, "anyOf"), *_listed(schema, "oneOf")):
            either |= self._patterns(each)
        found += either
        properties = schema.get("properties")
        below = dict(properties) if isinstance(properties, dict) else {}
        below |= {f" {name}": schema.get(name) for name in ("items", "additionalProperties")}
        for name, each in below.items():
            for place, count in self._patterns(each).items():
                found[(name, *place)] += count
        return found

    def size(self, value: Any, joining: bool) -> int:
        if isinstance(value, list):
            return 1 + sum(self.size(each, joining) for each in value)
        if not isinstance(value, dict):
            return 1
        joining = joining or _joins(value)
        total = 1 + sum(self.size(each, joining and name not in _SAY_NOTHING) for name, each in value.items())
        if joining and isinstance(ref := value.get("$ref"), str):
            total += self._referred(ref)
        return min(total, MOST + 1)

    def _referred(self, ref: str) -> int:
        """The size of what a reference means; one that leads back to itself is written out once, as the engine does."""
        if ref not in self._sizes:
            self._sizes[ref] = 1
            self._sizes[ref] = self.size(self._find(ref), joining=True)
        return self._sizes[ref]

    def _find(self, ref: str) -> Any:
        found: Any = self._root
        for step in ref.lstrip("#").split("/")[1:]:
            step = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and step in found:
                found = found[step]
            elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            else:
                return None
        return found


def _listed(schema: Mapping[str, Any], keyword: str) -> list[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []
