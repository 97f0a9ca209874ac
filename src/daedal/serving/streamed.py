"""Answers that are sent as they are made.

What goes wrong before anything was sent is an ordinary answer with its own status. A client that leaves ends the work for it.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from daedal.serving.errors import ApiError, response, told
from daedal.serving.limits import Gone, left


class Streamed(Response):
    """Sends pieces as they come; what goes wrong between them cuts the connection.

    Args:
        headers: as they are sent, names in small letters.
    """

    def __init__(self, request: Request, chunks: AsyncIterator[bytes], headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._request, self._chunks, self._head = request, chunks, headers
        self.background = None
        self.status_code = 200
        self._begun = self._busy = self._quiet = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(scope, receive, send))
        others = [asyncio.ensure_future(work) for work in (left(receive), *self._beside(send))]
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

    def _beside(self, send: Send) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the sending, until it ends."""
        return []

    def _last_words(self, error: ApiError) -> bytes:
        """What is sent where it broke in the middle; nothing cuts the connection."""
        return b""

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
            words = self._last_words(error)
            if not words:
                raise
            await self._piece(send, words)
        await self._begin(send)
        self._busy = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, send: Send) -> None:
        if not self._begun:
            self._begun = True
            await send({"type": "http.response.start", "status": 200, "headers": list(self._head)})

    async def _piece(self, send: Send, piece: bytes) -> None:
        self._busy = True
        await self._begin(send)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        self._busy = False
        self._quiet = False
