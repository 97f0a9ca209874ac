"""HTTP/1.1 as uvicorn speaks it, without waiting for anybody for ever.

- a head (first line and headers) comes within seconds, and is not long; neither is what follows a body in pieces
- whoever has been answered finishes sending soon; whoever does not read the answer is cut off in the end
- whatever is no HTTP is answered in the shape that all errors have
- HTTP/1.0, which some proxies speak, gets streams without chunks

Not covered: how fast connections are opened, and from how many addresses. That is for a firewall or a proxy in front.
"""

import asyncio
import uuid
from typing import Any

import httptools
import orjson
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

_CONNECTIONS = 4096
_HEAD = 2**16
"""Bytes of a head."""
_SECONDS = 20.0
"""That a client has for a head, and for the rest of a request that is answered already."""
_OFFERS = (b"upgrade", b"http2-settings")
"""Headers that offer another protocol."""
_UNREAD = 120.0
"""Seconds in which a client takes nothing of an answer."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    _late: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _running: RequestResponseCycle | None = None
    _fruitless = 0
    _whole = True
    _offered = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.access_log = False  # that one would hold queries, and whatever secret a client has put into one
        if len(self.connections) > _CONNECTIONS:
            transport.abort()
        else:
            self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        self._at_ease()
        self.resume_writing()
        cycle = self._running
        if cycle is not None and not cycle.response_complete:  # uvicorn tells only the last request on a connection
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._fruitless += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self._offered:
                self._decline(data[offer.args[0] :])
            elif not self.transport.is_closing():
                self.send_400_response("")  # CONNECT, which asks for a proxy
            return
        except httptools.HttpParserError:
            self.send_400_response("")
            return
        if self._fruitless > _HEAD and not self.transport.is_closing():
            self._refuse(431, "The head of the request is too long", "request_too_large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._whole = False
        self._hurry()

    def on_headers_complete(self) -> None:
        self._fruitless = 0
        self._at_ease()
        connect = self.parser.get_method() == b"CONNECT"  # what follows is for another, in whatever protocol
        self._offered = self.parser.should_upgrade() and not connect
        if self._offered or connect:
            return
        if not self.url.startswith((b"/", b"*")):
            self._name_host()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._fruitless = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._offered or self.parser.get_method() == b"CONNECT":
            return
        self._fruitless, self._whole = 0, True
        self._at_ease()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._whole:
            self._hurry()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(_UNREAD, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "That is not HTTP/1.1", "invalid_http")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, _in_one_piece(app, cycle) if cycle.scope["http_version"] == "1.0" else app)

    def _name_host(self) -> None:
        """A whole address as the target of a request names a host too; where that is another one, there are two."""
        target = httptools.parse_url(self.url)
        if target.host is not None:
            host = target.host + (b":%d" % target.port if target.port else b"")
            if [value.lower() for name, value in self.headers if name == b"host"] != [host.lower()]:
                self.headers.append((b"host", host))

    def _decline(self, rest: bytes) -> None:
        """Take the request as if it had offered no other protocol, as Java's client does with its first: the parser took its
        body for that protocol."""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                options = (option.strip() for option in value.split(b","))
                value = b", ".join(option for option in options if option.lower() not in _OFFERS)
            if name not in _OFFERS and value:
                lines.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _hurry(self) -> None:
        self._at_ease()
        self._late = self.loop.call_later(_SECONDS, self.transport.abort)

    def _at_ease(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, status: int, message: str, code: str) -> None:
        """Answer without the application, and close."""
        told = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        body = orjson.dumps({"error": told})
        head = (
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
            f"x-request-id: req_{uuid.uuid4().hex}\r\nx-should-retry: false\r\nx-content-type-options: nosniff\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()


def _in_one_piece(app: Any, cycle: RequestResponseCycle) -> Any:
    """For clients of HTTP/1.0, which know no chunks: an answer of unknown length goes on until the connection ends."""

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        unknown = False

        async def sent(message: Message) -> None:
            nonlocal unknown
            if message["type"] == "http.response.start":
                unknown = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
                if unknown:
                    cycle.chunked_encoding = False
            elif unknown:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, sent)

    return whole
