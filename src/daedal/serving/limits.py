"""What is checked of a request before any work is done for it, and work that ends when nobody waits for it."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from daedal.serving.errors import ApiError

T = TypeVar("T")

_DEPTH = 64
"""Levels of a request's JSON."""
_VALUES = 2**18
"""Values in a request's JSON: reading more would keep everybody waiting."""
_SECONDS = 60.0
"""That a client has to send a request, and one more for each `_SLOWEST` bytes of it."""
_SLOWEST = 2**15


class Gone(Exception):
    """The client has left: nobody reads what is answered."""


def require_plain(request: Request) -> None:
    """
    Raises:
        ApiError: 415, the body is compressed: it would be larger than its limit before anybody knows.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ApiError(415, "Compressed requests are not taken: send it plain", code="unsupported_encoding")


async def incoming(request: Request, most: int) -> AsyncGenerator[bytes]:
    """The body of a request, in pieces as they come.

    Raises:
        ApiError: 413, it is too large, which is found out while it comes in; 408, it comes too slowly.
        Gone: the client has left.
    """
    declared = request.headers.get("content-length", "0")
    if len(declared) > 18 or int(declared) > most:
        raise _too_large(most)
    size, began = 0, asyncio.get_running_loop().time()
    pieces = request.stream()
    while True:
        try:
            async with asyncio.timeout_at(began + _SECONDS + size / _SLOWEST):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise ApiError(408, "The request came too slowly", code="too_slow") from None
        except ClientDisconnect:
            raise Gone from None
        if piece is None:
            return
        size += len(piece)
        if size > most:
            raise _too_large(most)
        yield piece


async def read_body(request: Request, limit: int | None = None) -> bytes:
    """The body of a request.

    Raises:
        ApiError: as `incoming`.
    """
    async with aclosing(incoming(request, request.app.state.settings.body if limit is None else limit)) as pieces:
        return b"".join([piece async for piece in pieces])


async def read_json(request: Request) -> dict[str, Any]:
    """The JSON object that a request sends.

    Raises:
        ApiError: 415, it says that it is something else (so no form of another page can send it); 400, it is no JSON object,
            or nested too deeply; 413, it holds too much; 408, it comes too slowly.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, "Send JSON, with the header content-type: application/json", code="unsupported_media_type")
    require_plain(request)
    data = await read_body(request)
    if sum(map(data.count, (b",", b"[", b"{"))) > _VALUES:
        raise ApiError(413, f"The JSON holds more than {_VALUES:,} values", code="request_too_large")
    try:
        values = orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise ApiError(400, f"The body is not valid JSON ({str(error)[:100]})", code="invalid_json") from None
    if not isinstance(values, dict):
        raise ApiError(400, "The body must be a JSON object", code="invalid_json")
    _check_depth(values)
    return values


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives; it is cancelled when the client leaves.

    Raises:
        Gone: it has.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(left(request.receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Gone
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def left(receive: Receive) -> None:
    """Wait until the client has left. Its request has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _check_depth(values: Any) -> None:
    """Without recursion: what is checked may be made to exhaust it."""
    level = [values]
    for _ in range(_DEPTH):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ApiError(400, f"The JSON is nested more than {_DEPTH} levels deep", code="invalid_json")


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"The request is larger than {most:,} bytes", code="request_too_large")
