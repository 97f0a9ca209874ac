"""What is around every answer: its id, headers that browsers obey, the log, and one shape for whatever goes wrong."""

import asyncio
import logging
import time
import uuid
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daedal.serving.access import OPEN
from daedal.serving.errors import response, shown, shutting_down, told
from daedal.serving.keys import Key
from daedal.serving.limits import Gone
from daedal.serving.metrics import Metrics

log = logging.getLogger("daedal.serving")

_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}
"""They keep browsers from doing anything with an answer but show it."""
_LEFT = 499
"""The status of an answer that nobody waited for, as logs have it."""


_NOTED, _NAMED = 256, 24
"""Names of what was not used that are remembered, each for one line in the log; and that a header has at most."""


class Envelope:
    """The outermost layer: gives every answer an id and its headers, counts it, and writes it to the log."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self._noted: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, id = time.perf_counter(), f"req_{uuid.uuid4().hex}"
        scope.setdefault("state", {})["id"] = id
        status = _LEFT

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = id
                if unused := scope["state"].get("unused"):
                    headers["x-daedal-unused"] = ", ".join(
                        [*unused[:_NAMED], *(["..."] if len(unused) > _NAMED else [])]
                    )
                    self._note(unused)
                if listener := scope["state"].get("listener"):
                    headers["x-daedal-listener"] = listener
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        self._metrics.requests_open.inc()
        try:
            await self._app(scope, receive, sent)
        except Gone:
            status = _LEFT
        finally:
            self._metrics.requests_open.dec()
            seconds, key = time.perf_counter() - began, scope["state"].get("key")
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(seconds)
            who = key.name if isinstance(key, Key) else "-"
            level = logging.DEBUG if scope["path"] in OPEN and status < 400 else logging.INFO  # probes ask all the time
            log.log(
                level, "%s %s %s %s %.1fms %s", who, scope["method"], shown(scope["path"]), status, 1e3 * seconds, id
            )

    def _note(self, unused: Sequence[str]) -> None:
        """Say in the log, once of each, what clients give and nothing uses."""
        for name in unused:
            if name not in self._noted and len(self._noted) < _NOTED:
                self._noted.add(name)
                log.info("clients give %s, which is accepted and not used", name)


class Answers:
    """Turns what is raised into an answer, as long as none has begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Gone:
            raise
        except (Exception, asyncio.CancelledError) as raised:  # cancelled is what is under way when the server stops
            if begun or scope["type"] != "http":
                raise  # the connection is cut
            if isinstance(raised, asyncio.CancelledError):
                raised = shutting_down()
            connection = HTTPConnection(scope)
            await response(told(raised, connection), connection)(scope, receive, send)
