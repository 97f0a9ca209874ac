"""JSON schemas of callers, checked for size before anything is made of them.

What a schema may say is decided where it is compiled, in the engine (docs/generation.md); this only bounds the work.
"""

from typing import Annotated, Any

from pydantic import AfterValidator

from daedal.inference.joined_schema import MOST, MOST_PATTERNS, is_too_large
from daedal.serving.schema.base import fault

MAX_DEPTH, MAX_NODES, MAX_CHARACTERS = 32, 5000, 120_000


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    nodes, characters = 0, 0
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                characters += sum(map(len, value))
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str):
                characters += len(value)
        nodes += len(level)
        if nodes + len(below) > MAX_NODES or characters > MAX_CHARACTERS:
            raise fault(f"The schema is too large: at most {MAX_NODES} values and {MAX_CHARACTERS} characters")
        if not below:
            if is_too_large(schema):
                most = f"{MOST} values, or {MOST_PATTERNS} patterns for one text"
                raise fault(f"The schema is too large: what allOf and $ref join in it is more than {most}")
            return schema
        level = below
    raise fault(f"The schema is nested more than {MAX_DEPTH} levels deep")


def _of_object(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type", "object") != "object":
        raise fault("Arguments are an object: the schema's type is object")
    return schema


JSONSchema = Annotated[dict[str, Any], AfterValidator(_bounded)]
"""A JSON schema that is not too large or deep."""
ObjectSchema = Annotated[JSONSchema, AfterValidator(_of_object)]
"""One for the arguments of a call."""
