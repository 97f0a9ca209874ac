"""Responses in the store, each under the key that made it."""

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request

from daedal.serving.access import owner
from daedal.serving.errors import ApiError
from daedal.serving.response_items import Kept

_LONGEST, _LARGEST = 1000, 2**25
"""Responses that a conversation can go on from, and bytes of them."""


async def save(request: Request, response: dict[str, Any], given: Sequence[Kept]) -> None:
    """Keep a response and the items that it answers; when this returns, it is on the disk.

    Raises:
        ApiError: there is no room for it.
    """
    value = orjson.dumps({"response": response, "input": list(given)})
    await request.app.state.store.responses.put(owner(request), response["id"], value)


async def load(request: Request, id: str) -> dict[str, Any]:
    """What `save` kept.

    Raises:
        ApiError: there is no such response of this key.
    """
    found: dict[str, Any] = orjson.loads(await _value(request, id))
    return found


async def _value(request: Request, id: str) -> bytes:
    value: bytes | None = await request.app.state.store.responses.get(owner(request), id)
    if value is None:
        raise _missing()
    return value


def _missing() -> ApiError:
    return ApiError(404, "There is no response with this id", param="response_id", code="response_not_found")


async def delete(request: Request, id: str) -> None:
    """
    Raises:
        ApiError: there is no such response of this key.
    """
    if not await request.app.state.store.responses.delete(owner(request), id):
        raise _missing()


async def history(request: Request, id: str | None, truncation: str) -> list[Kept]:
    """The items of the conversation that ends with a response, oldest first.

    Args:
        truncation: "auto" leaves out the oldest where there are too many; what is left begins with a user's message.

    Raises:
        ApiError: that response or one before it is not there, or there are too many.
    """
    parts: list[list[Kept]] = []
    size = 0
    while id is not None:
        try:
            value = await _value(request, id)
        except ApiError as error:
            if error.status != 404:
                raise
            message = f"The response {'' if not parts else 'before '}previous_response_id is not there"
            raise ApiError(404, message, param="previous_response_id", code="previous_response_not_found") from None
        size += len(value)
        if size > _LARGEST or len(parts) == _LONGEST:
            if truncation == "auto":
                return _from_a_user(_joined(parts))
            message = f"A conversation has at most {_LONGEST:,} responses, and {_LARGEST:,} bytes of them"
            message += "; truncation: auto leaves out the oldest"
            raise ApiError(400, message, param="previous_response_id", code="context_length_exceeded")
        found = orjson.loads(value)
        parts.append([*found["input"], *found["response"]["output"]])
        id = found["response"]["previous_response_id"]
    return _joined(parts)


def _joined(parts: Sequence[list[Kept]]) -> list[Kept]:
    return [item for part in reversed(parts) for item in part]


def _from_a_user(items: list[Kept]) -> list[Kept]:
    """Templates refuse a conversation that begins in the middle of a turn. Where calls of tools are all that is left of one
    request, they stay, but for answers to calls that are gone."""
    users = [place for place, item in enumerate(items) if item.get("role") == "user"]
    whole = [place for place, item in enumerate(items) if item["type"] != "function_call_output"]
    return items[(users or whole or [len(items)])[0] :]
