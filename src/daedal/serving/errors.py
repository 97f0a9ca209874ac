"""What is wrong with a request, in the one shape that clients of the API read."""

import logging
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

import orjson
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from daedal.serving.schema.base import bounds

M = TypeVar("M", bound=BaseModel)

log = logging.getLogger("daedal.serving")

_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    405: "invalid_request_error", 408: "timeout_error", 409: "conflict_error", 413: "request_too_large",
    415: "invalid_request_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error",
}  # fmt: skip
_ANTHROPIC = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 503: "overloaded_error",
}  # fmt: skip
_ROUTING = {
    404: ("There is no such route", "route_not_found"),
    405: ("The route does not take that method", "method_not_allowed"),
}
_CODES = {
    "extra_forbidden": "unknown_parameter",
    "missing": "missing_required_parameter",
    "unsupported_parameter": "unsupported_parameter",
}
_NUMBERS = frozenset({
    "int_type", "int_from_float", "int_parsing", "greater_than", "greater_than_equal", "less_than", "less_than_equal",
})  # fmt: skip
_FAULTS, _LONGEST, _NAME = 10, 200, 100
"""Faults of a request that are told; characters of what a client sent that are repeated, and of the name of a place in it."""
_RETRIED = (408, 409, 429, 500, 503)
_MEMBER = re.compile(r".*[\[(].*|[A-Z][A-Za-z]*|str|int|float|bool|none|list|dict|(constrained|function)-.*")
"""What pydantic calls the members of unions."""
_PRIVATE = re.compile(r"(?:[A-Za-z]:)?(?:/[\w.@+-]+){2,}/?| at 0x[0-9a-f]+")
"""Paths and addresses: what a client has no use for, and an attacker has."""


class ApiError(Exception):
    """A request that cannot be answered.

    Args:
        param: the field at fault, such as "messages[0].content".
        code: what kind of fault, for programs.
        retry_after: seconds after which it is worth while to try again.
        also: more headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str | None = None,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        also: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self._also = dict(also or {})
        self.status, self.message, self.param, self.code, self.retry_after = status, message, param, code, retry_after
        self.type = type or _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")

    @property
    def headers(self) -> dict[str, str]:
        """What tells a client whether to try again."""
        headers = dict(self._also)
        if self.retry_after is not None or self.status in (429, 503):
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after or 0)))
        if self.status not in _RETRIED or (self.status == 500 and self.code != "server_error"):
            headers["x-should-retry"] = "false"
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return headers


def body(error: ApiError, connection: HTTPConnection) -> bytes:
    """The error as JSON: in Anthropic's shape on Anthropic's routes, in OpenAI's on all others."""
    if _anthropic(connection):
        kind = _ANTHROPIC.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
        return orjson.dumps({"type": "error", "error": {"type": kind, "message": error.message}})
    told = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return orjson.dumps({"error": told})


def response(error: ApiError, connection: HTTPConnection) -> Response:
    """The answer that tells of an error."""
    return Response(body(error, connection), error.status, error.headers, media_type="application/json")


def event(error: ApiError, connection: HTTPConnection) -> bytes:
    """The error in the middle of a stream of events."""
    name = b"event: error\n" if _anthropic(connection) else b""
    return name + b"data: " + body(error, connection) + b"\n\n"


def told(raised: Exception, connection: HTTPConnection) -> ApiError:
    """What a client is told of an exception. A bug is written to the log, and hidden behind the request's id."""
    if isinstance(raised, ApiError):
        return raised
    scope = connection.scope
    if isinstance(raised, HTTPException):
        message, code = _ROUTING.get(raised.status_code, ("The request cannot be answered", "invalid_request"))
        message = f"{message}: {scope['method']} {shown(scope['path'])}"
        return ApiError(raised.status_code, message, code=code, also=raised.headers)
    id = connection.state.id
    log.error("request %s failed", id, exc_info=raised)
    return ApiError(500, f"Something went wrong here; the log knows it as {id}", code="server_error")


def shown(text: str) -> str:
    """Text of a client as messages repeat it: not long, and printable."""
    return escaped(text[:_LONGEST])


def escaped(text: str) -> str:
    """Text without line breaks, colours of a terminal and the like."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def shutting_down() -> ApiError:
    """The answer where the server stops before there is another."""
    return ApiError(503, "The server is shutting down", code="shutting_down", retry_after=5)


def clean(message: str) -> str:
    """A message from inside without what is nobody's business, and printable."""
    return escaped(_PRIVATE.sub("…", " ".join(message.split()))[:400])


def parse(model: type[M], values: Any, request: HTTPConnection | None = None) -> M:
    """A request as `model` describes it.

    Args:
        request: where to keep, as `state.unused`, the names of what was given and is not used.

    Raises:
        ApiError: 400, with the first field at fault as `param`.
    """
    try:
        unused: list[str] = []
        made = model.model_validate(values, context=unused)
        if request is not None:
            request.state.unused = unused
        return made
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    said = "; ".join(
        f"{_path(fault) or 'the request'}: {_whole_number(model, fault) or _said(fault)}" for fault in faults[:_FAULTS]
    )
    if len(faults) > _FAULTS:
        said += f"; and {len(faults) - _FAULTS} more"
    first = faults[0]
    raise ApiError(400, said, param=_path(first) or None, code=_CODES.get(first["type"], "invalid_value"))


def note_unused(request: HTTPConnection, names: Iterable[str]) -> None:
    """More of what was given and is not used: names may have been made by a client, so they are bounded and plain ASCII."""
    for name in names:
        plain = re.sub(r"[^\w.\[\]$-]", "?", name, flags=re.ASCII)[:_NAME]
        if plain not in request.state.unused:
            request.state.unused.append(plain)


def _anthropic(connection: HTTPConnection) -> bool:
    path: str = connection.scope["path"]
    return path.startswith("/v1/messages")


def _said(fault: Any) -> str:
    text = str(fault["msg"]).removeprefix("Value error, ")
    return "there is no such field" if fault["type"] == "extra_forbidden" else text[:_LONGEST]


def _whole_number(model: type[BaseModel], fault: Any) -> str:
    """Of a field of whole numbers, which it takes; nothing where something else is wrong."""
    info = model.model_fields.get(str(fault["loc"][0])) if len(fault["loc"]) == 1 else None
    if (
        info is None
        or fault["type"] not in _NUMBERS
        or int not in (info.annotation, *map(_plain, get_args(info.annotation)))
    ):
        return ""
    limits = bounds(info)
    least = limits["ge"] if "ge" in limits else limits.get("gt", 0) + 1 if "gt" in limits else None
    most = limits["le"] if "le" in limits else limits["lt"] - 1 if "lt" in limits else None
    said = [f"{word} {limit:,}" for word, limit in (("from", least), ("to", most)) if limit is not None]
    return " ".join(["Give a whole number", *said])


def _plain(annotation: Any) -> Any:
    return getattr(annotation, "__origin__", annotation)


def _path(fault: Any) -> str:
    """Where in a request: without what only pydantic knows of, such as the member of a union."""
    path, places = "", fault["loc"]
    for number, place in enumerate(places, 1):
        named = number == len(places) and fault["type"] == "extra_forbidden"  # by the client: that is to be told
        if isinstance(place, int):
            path += f"[{place}]"
        elif named or not _MEMBER.fullmatch(place):
            path += f".{shown(place)}" if path else shown(place)
    return path[:_LONGEST]
