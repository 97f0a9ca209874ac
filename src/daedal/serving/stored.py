"""Responses in the store, each under the key that made it."""

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request

from daedal.serving.access import owner
from daedal.serving.errors import ApiError
from daedal.serving.response_items import Kept

_LONGEST = 1000
"""Responses that a conversation can go on from."""


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


async def history(request: Request, id: str | None) -> list[Kept]:
    """The items of the conversation that ends with a response, oldest first.

    Raises:
        ApiError: that response or one before it is not there, or there are too many.
    """
    parts: list[list[Kept]] = []
    while id is not None:
        try:
            found = await load(request, id)
        except ApiError:
            message = f"The response {'' if not parts else 'before '}previous_response_id is not there"
            raise ApiError(404, message, param="previous_response_id", code="previous_response_not_found") from None
        parts.append([*found["input"], *found["response"]["output"]])
        id = found["response"]["previous_response_id"]
        if len(parts) > _LONGEST:
            message = f"A conversation has at most {_LONGEST} responses"
            raise ApiError(400, message, param="previous_response_id", code="invalid_value")
    return [item for part in reversed(parts) for item in part]
