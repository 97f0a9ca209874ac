"""Server-sent events: the pieces of an answer as they come.

An error before anything was sent is an ordinary answer with its own status; one after it is an event. Where there is nothing to
send for a while, a comment keeps proxies from closing the connection. A client that leaves ends the work for it.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from daedal.serving.errors import ApiError, event
from daedal.serving.streamed import Streamed

_QUIET = 10.0
"""Seconds without a piece after which a comment is sent."""
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


def stream(request: Request, chunks: AsyncIterator[bytes]) -> Response:
    """The answer that sends `chunks`, each of them whole events, as they come."""
    return _EventStream(request, chunks, _HEADERS)


class _EventStream(Streamed):
    def _beside(self, send: Send) -> list[Coroutine[Any, Any, None]]:
        return [self._keep_alive(send)]

    def _last_words(self, error: ApiError) -> bytes:
        return event(error, self._request)

    async def _keep_alive(self, send: Send) -> None:
        """A comment where nothing else was sent for a while, and nothing is being sent."""
        while True:
            self._quiet = True
            await asyncio.sleep(_QUIET)
            if self._quiet and not self._busy:
                await self._piece(send, b": still at it\n\n")
