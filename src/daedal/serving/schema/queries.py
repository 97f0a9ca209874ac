"""What the addresses of stored responses may say after the question mark."""

from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.datastructures import QueryParams

from daedal.serving.schema.base import Identifier, Refused, Request

_LISTS, _NUMBERS, _SWITCHES = {"include"}, {"limit", "starting_after"}, {"stream", "include_obfuscation"}
_SPELLED = {"true": True, "false": False}


class RetrieveQuery(Request):
    """Of GET /v1/responses/{id}."""

    include: list[str] = Field(default_factory=list, description="accepted: a response is given back as it was made")
    stream: Annotated[Any, Refused("a stored response is not streamed again", (False,))] = None
    starting_after: Annotated[Any, Refused("a stored response is not streamed again")] = None
    include_obfuscation: Annotated[Any, Refused("events are not padded", (False,))] = None


class ItemsQuery(Request):
    """Of GET /v1/responses/{id}/input_items."""

    limit: int = Field(20, ge=1, le=100, description="items at most")
    order: Literal["asc", "desc"] = Field("desc", description="oldest or newest first")
    after: Identifier | None = Field(None, description="only items after the one with this id")
    include: list[str] = Field(default_factory=list, description="accepted: items are given back as they were made")


def plain(query: QueryParams) -> dict[str, Any]:
    """A query as JSON has it: `include[]=a&include[]=b&limit=3`."""
    values: dict[str, Any] = {}
    for key, text in query.multi_items():
        name = key.removesuffix("[]")
        if name in _LISTS:
            values.setdefault(name, []).append(text)
        elif name in _NUMBERS and text.isascii() and text.isdigit() and len(text) < 10:
            values[name] = int(text)
        elif name in _SWITCHES:
            values[name] = _SPELLED.get(text, text)
        else:
            values[key] = text
    return values
