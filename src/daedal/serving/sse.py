"""Server-sent events: the pieces of an answer as they come.

An error before the first piece is an ordinary answer with its own status; one after it is an event. Where there is nothing to
send for a while, a comment keeps proxies from closing the connection. A client that leaves ends the work for it.
"""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from daedal.serving.errors import ApiError, event, response

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(scope, receive, send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            leaving.cancel()
            if not sending.done():
                sending.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            close = getattr(self._chunks, "aclose", None)
            if close is not None:
                await close()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False
        pending: asyncio.Future[bytes] | None = None
        try:
            while True:
                pending = pending or asyncio.ensure_future(anext(self._chunks))
                done, _ = await asyncio.wait({pending}, timeout=_QUIET)
                try:
                    chunk = pending.result() if done else b": still at it\n\n"
                except StopAsyncIteration:
                    break
                except ApiError as error:
                    if not begun:
                        await response(error, self._request)(scope, receive, send)
                        return
                    await send({"type": "http.response.body", "body": event(error, self._request), "more_body": True})
                    break
                if done:
                    pending = None
                if not begun:
                    begun = True
                    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if not begun:
                await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if pending is not None and not pending.done():
                pending.cancel()
                await asyncio.gather(pending, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
