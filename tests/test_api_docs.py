"""docs/api.md tells of every endpoint and every field what we do with it, as the schemas have it.

The tables, after a wanted change: python tests/test_api_docs.py
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from starlette.routing import Route

from daedal.serving import audio, provenance_checks, texts, videos
from daedal.serving import images as image_routes
from daedal.serving.openapi import TAKES
from daedal.serving.schema import base

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
BEGIN, END = "<!-- the tables begin: python tests/test_api_docs.py -->", "<!-- the tables end -->"


def endpoints() -> dict[str, Route]:
    routes = [*texts.routes, *image_routes.routes, *audio.routes, *videos.routes, *provenance_checks.routes]
    return {
        f"{method} {route.path.replace(':path', '')}": route
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
    }


def parts(model: type[base.Request]) -> Iterator[type[base.Request]]:
    """The objects in a request, outermost first."""
    for info in model.model_fields.values():
        for kind in inside(info.annotation):
            yield kind
            if kind is not model:
                yield from parts(kind)


def inside(annotation: Any) -> Iterator[type[base.Request]]:
    if isinstance(annotation, type) and issubclass(annotation, base.Request):
        yield annotation
    for part in get_args(annotation):
        yield from inside(part)


def kind(annotation: Any) -> str:
    """A type in words."""
    if isinstance(annotation, type) and issubclass(annotation, base.Request):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(args[0])
    if origin in (Union, UnionType):
        return kind(next(part for part in args if part is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in args)
    if origin is list:
        return f"list of {kind(args[0])}"
    if origin is dict or annotation is dict:
        return "object"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(annotation, "")


def range_of(info: FieldInfo) -> str:
    limits = base.bounds(info)
    signs = {"ge": "at least", "gt": "over", "le": "at most", "lt": "below"}
    shown = {name: f"{value:,}" for name, value in limits.items() if abs(value) < 2**31}
    if shown.keys() == {"ge", "le"}:
        return f"{shown['ge']} to {shown['le']}"
    return ", ".join(f"{signs[name]} {value}" for name, value in shown.items())


def default_of(info: FieldInfo) -> str:
    if info.is_required():
        return "needed"
    if info.default is PydanticUndefined or info.default in (None, ""):
        return ""
    return f"`{json.dumps(info.default)}`"


def row(name: str, info: FieldInfo, mark: base.Refused | None) -> str:
    if mark is not None:
        passes = (
            "; only " + " or ".join(f"`{json.dumps(value)}`" for value in mark.neutral) + " passes"
            if mark.neutral
            else ""
        )
        return f"| `{name}` | refused | | {mark.why}{passes} |"
    told = "; ".join(filter(None, [info.description or described(info), range_of(info)]))
    return f"| `{name}` | {kind(info.annotation)} | {default_of(info)} | {told} |"


def described(info: FieldInfo) -> str:
    """What a type says of itself, if its field says nothing."""
    for part in get_args(info.annotation):
        for mark in getattr(part, "__metadata__", ()):
            if isinstance(mark, FieldInfo) and mark.description:
                return mark.description
    return ""


def table(model: type[base.Request]) -> str:
    refused = model.refused()
    fields = [(info.alias or name, info, refused.get(name)) for name, info in model.model_fields.items()]
    fields.sort(key=lambda field: (field[2] is not None, field[0]))
    head = ["| field | type | default | what we do with it |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *(row(*field) for field in fields)])


def tables() -> str:
    """Of every endpoint and every object in what it takes, the fields."""
    sections, seen = [], list[type[base.Request]]()
    first: dict[Any, str] = {}
    for endpoint, model in TAKES.items():
        route = endpoints()[endpoint]
        if (known := first.setdefault(route.endpoint, endpoint)) != endpoint:
            sections.append(f"### `{endpoint}`\n\nThe same as `{known}`.")
            continue
        told = " ".join((route.endpoint.__doc__ or "").split("Raises:")[0].split()).replace("|", "\\|")
        sections.append(f"### `{endpoint}`\n\n{told}".rstrip())
        if model is not None:
            sections.append(table(model))
            seen += [part for part in parts(model) if part not in seen]
    sections.append("## Objects in requests")
    objects = sorted(dict.fromkeys(seen), key=lambda one: one.__name__)
    return "\n\n".join(
        [*sections, *(f"### {one.__name__}\n\n{(one.__doc__ or '').strip()}\n\n{table(one)}" for one in objects)]
    )


def test_every_endpoint_is_on_the_page() -> None:
    assert set(endpoints()) == set(TAKES)


def test_the_page_has_the_tables_of_the_schemas() -> None:
    written = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == tables(), "python tests/test_api_docs.py"


@pytest.mark.parametrize("model", [model for model in TAKES.values() if model is not None])
def test_every_field_says_what_we_do_with_it(model: type[base.Request]) -> None:
    for one in {model, *parts(model)}:
        for name, info in one.model_fields.items():
            plain = name in ("type", "role", "text", "id", "ttl") or list(inside(info.annotation))
            assert plain or name in one.refused() or info.description or described(info), (one.__name__, name)


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables()}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
