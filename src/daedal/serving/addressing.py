"""Which route a request is for, and that there is one way to read that.

- a prefix that a proxy keeps (`--root-path`) is taken off, and so are slashes too many, which clients make of joined addresses
- a header that can only be meant once, and stands twice, is refused: a proxy may heed one of them and this server the other
"""

import re
from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from daedal.serving.errors import ApiError

_ONCE = (
    b"host", b"authorization", b"x-api-key", b"content-type", b"content-length", b"content-encoding", b"origin", b"expect",
    b"anthropic-version",
)  # fmt: skip


class Addressing:
    """The layer before all that looks at a request's path and headers.

    Args:
        prefix: what a proxy has in front of every path, such as "/daedal"; requests without it are answered too.
    """

    def __init__(self, app: ASGIApp, prefix: str = "") -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = self._path(scope["path"])
            _check(scope)
        await self._app(scope, receive, send)

    def _path(self, path: str) -> str:
        path = re.sub("/{2,}", "/", path)
        if f"{path}/".startswith(f"{self._prefix}/"):
            path = path[len(self._prefix) :]
        return path.rstrip("/") or "/"


def _check(scope: Scope) -> None:
    """
    Raises:
        ApiError: 400, a header stands twice, or there is no host where one is needed.
    """
    counts = Counter(name for name, _ in scope["headers"])
    for name in _ONCE:
        if counts[name] > 1:
            said = name.decode()
            raise ApiError(400, f"The header {said} stands {counts[name]} times: send it once", code="invalid_header")
    if not counts[b"host"] and scope["http_version"] != "1.0":
        raise ApiError(400, "The request has no Host header", code="invalid_header")
