"""Server-sent events: the pieces of an answer as they come.

An error before anything was sent is an ordinary answer with its own status; one after it is an event. Where there is nothing to
send for a while, a comment keeps proxies from closing the connection. A client that leaves ends the work for it.
"""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from daedal.serving.errors import event, response, told
from daedal.serving.limits import Gone, left

_QUIET = 10.0
"""Seconds without a piece after which a comment is sent."""
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def stream(request: Request, chunks: AsyncIterator[bytes]) -> Response:
    """The answer that sends `chunks`, each of them whole events, as they come."""
    return _EventStream(request, chunks)


class _EventStream(Response):
    def __init__(self, request: Request, chunks: AsyncIterator[bytes]) -> None:
        self._request, self._chunks = request, chunks
        self.background = None
        self.status_code = 200
        self._begun = self._busy = self._quiet = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(scope, receive, send))
        others = [asyncio.ensure_future(left(receive)), asyncio.ensure_future(self._keep_alive(send))]
        try:
            await asyncio.wait({sending, others[0]}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise Gone
            sending.result()
        finally:
            for task in (sending, *others):
                task.cancel()
            await asyncio.gather(sending, *others, return_exceptions=True)
            close = getattr(self._chunks, "aclose", None)
            if close is not None:
                await close()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async for chunk in self._chunks:
                await self._piece(send, chunk)
        except Gone:
            raise
        except Exception as raised:
            error = told(raised, self._request)
            if not self._begun:
                self._begun = self._busy = True
                await response(error, self._request)(scope, receive, send)
                return
            await self._piece(send, event(error, self._request))
        await self._begin(send)
        self._busy = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, send: Send) -> None:
        if not self._begun:
            self._begun = True
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})

    async def _piece(self, send: Send, piece: bytes) -> None:
        self._busy = True
        await self._begin(send)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        self._busy = False
        self._quiet = False

    async def _keep_alive(self, send: Send) -> None:
        """A comment where nothing else was sent for a while, and nothing is being sent."""
        while True:
            self._quiet = True
            await asyncio.sleep(_QUIET)
            if self._quiet and not self._busy:
                await self._piece(send, b": still at it\n\n")
