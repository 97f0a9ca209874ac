"""Who is let in: the layer around all routes.

- a host that is not the server's own is refused: a page elsewhere cannot reach a server on loopback by a name of its own
- so is a request that a page of another origin sends, though it could not read the answer
- once there are keys, every route is closed without one, but for those that say whether the server is well
"""

import asyncio
import ipaddress
import re
import time
from collections import Counter

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from daedal.serving.errors import ApiError, shown, shutting_down
from daedal.serving.keys import LOCAL, Key, KeyFile
from daedal.serving.settings import Settings

OPEN = frozenset({"/health", "/ready"})
"""Routes that need no key."""
_READING = re.compile(r"/(tokenize|detokenize|tokenizer_info)|/v1/(messages/count_tokens|responses/input_tokens)")
"""What a key that may only look may ask for besides GET."""
_ADMIN = re.compile(r"/metrics|/v1/models/.+/(load|unload)")


class Guard:
    """Lets in whom the server is for."""

    def __init__(self, app: ASGIApp, settings: Settings, keys: KeyFile | None) -> None:
        self._app, self._settings, self._keys = app, settings, keys
        self._under_way: Counter[str] = Counter()
        self.closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        self._check_host(headers)
        self._check_origin(headers)
        if (
            not path.isprintable()
        ):  # what is compared here and what is routed must be the same: "$" ignores a last line break
            raise ApiError(404, f"There is no such route: {shown(path)}", code="route_not_found")
        if path in OPEN:
            await self._app(scope, receive, send)
            return
        key = self._key(headers)
        scope["state"]["key"] = key
        self._check_scope(key, scope["method"], path)
        if self.closing:
            raise shutting_down()
        if self._under_way[key.name] >= self._settings.per_key:
            raise ApiError(
                429,
                f"{self._settings.per_key} requests of this key are under way",
                code="rate_limit_exceeded",
                retry_after=1,
            )
        self._under_way[key.name] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[key.name] -= 1

    @property
    def under_way(self) -> int:
        """Requests that are being answered."""
        return self._under_way.total()

    async def finished(self, seconds: float) -> None:
        """Wait until all requests are answered, or so long."""
        until = time.monotonic() + seconds
        while self.under_way and time.monotonic() < until:
            await asyncio.sleep(0.05)

    def _check_host(self, headers: Headers) -> None:
        host = _host(headers.get("host", ""))
        if host in ("localhost", "::1") or host in self._settings.hosts or host == self._settings.host.lower():
            return
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            # An address names nobody's page; on a public one, keys are asked for
            if address.is_loopback or not is_loopback(self._settings.host):
                return
        raise ApiError(403, f"This server does not answer to the host '{shown(host)}'", code="host_not_allowed")

    def _check_origin(self, headers: Headers) -> None:
        """A browser sends forms of any page anywhere; it says which page."""
        origin = headers.get("origin")
        if origin is None or origin in self._settings.origins:
            return
        if origin.partition("://")[2] != headers.get("host"):
            raise ApiError(403, f"Pages of '{shown(origin)}' may not use this server", code="origin_not_allowed")

    def _key(self, headers: Headers) -> Key:
        if self._keys is None:
            return LOCAL
        tokens = [
            token
            for token in (_bearer(headers.get("authorization", "")), headers.get("x-api-key", "").strip())
            if token
        ]
        if not tokens:
            raise ApiError(401, "A key is needed: send it as Authorization: Bearer KEY", code="invalid_api_key")
        found = [self._keys.find(token) for token in tokens]
        key = found[0]
        if key is None or any(other != key for other in found):
            raise ApiError(401, "That is no key of this server", code="invalid_api_key")
        return key

    def _check_scope(self, key: Key, method: str, path: str) -> None:
        if key.scope == "admin":
            return
        if _ADMIN.fullmatch(path):
            raise ApiError(403, f"That is for admin keys, and {key.name} is not one", code="insufficient_scope")
        if key.scope == "read" and method not in ("GET", "HEAD") and not _READING.fullmatch(path):
            raise ApiError(403, f"The key {key.name} may only read", code="insufficient_scope")


def owner(request: Request) -> str:
    """Whose files, answers and cached prefixes are meant: those of the key that asks."""
    key: Key = request.state.key
    return key.owner


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(header: str) -> str:
    """The name in a Host header, without its port."""
    host = re.fullmatch(r"\[(.*)\](:\d*)?|([^:\[\]]*)(:\d*)?", header)
    return (host[1] or host[3] or "").lower() if host else ""


def _bearer(header: str) -> str:
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
