"""The server as one application: its layers, its routes, and what they share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from daedal.errors import DaedalError
from daedal.serving import files, health, texts
from daedal.serving.access import Envelope, Guard, is_loopback
from daedal.serving.errors import ApiError, response
from daedal.serving.keys import KeyRing
from daedal.serving.settings import Settings
from daedal.serving.store import Store
from daedal.serving.supervisor import Command, Models

_TOLD = {
    404: ("There is no such route", "route_not_found"),
    405: ("The route does not take that method", "method_not_allowed"),
}


class Application:
    """The server's application, and its parts.

    Args:
        command: what starts the process of a model; Daedal's own worker unless given.

    Raises:
        DaedalError: the settings do not hold together, or would let strangers in.
    """

    def __init__(self, settings: Settings, command: Command | None = None) -> None:
        keys = None if settings.keys is None else KeyRing.load(settings.keys)
        if keys is None and not is_loopback(settings.host):
            raise DaedalError(
                f"Without keys a server on {settings.host} would be open to everybody who reaches this machine",
                "Make a key with: daedal keys add NAME --file keys.json, and serve with --keys keys.json",
            )
        self.models = Models(settings, command)
        self.store = Store(settings.data, settings.quota)
        self.metrics = self.models.metrics
        self.starlette = Starlette(
            routes=[*health.routes, *files.routes, *texts.routes],
            exception_handlers={ApiError: _told, HTTPException: _told},
            middleware=_cors(settings),
            lifespan=self._lifespan,
        )
        for name, part in (
            ("settings", settings),
            ("models", self.models),
            ("store", self.store),
            ("metrics", self.metrics),
        ):
            setattr(self.starlette.state, name, part)
        self.starlette.router.redirect_slashes = False
        self.guard = Guard(self.starlette, settings, keys)
        self._app: ASGIApp = Envelope(self.guard, self.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        await self.models.start()
        try:
            yield
        finally:
            await self.models.stop()
            self.store.close()


async def _told(request: Request, error: Exception) -> Response:
    """An error in the one shape that all have."""
    if isinstance(error, HTTPException):
        message, code = _TOLD.get(error.status_code, ("The request cannot be answered", "invalid_request"))
        error = ApiError(error.status_code, f"{message}: {request.method} {request.url.path[:200]}", code=code)
    assert isinstance(error, ApiError)
    return response(error, request)


def _cors(settings: Settings) -> list[Middleware]:
    """Browsers let no page of another origin in, but for those that are listed."""
    if not settings.origins:
        return []
    if "*" in settings.origins:
        raise DaedalError("Every page of the web could use this server", "List the origins that may")
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type", "x-api-key", "anthropic-version"],
            expose_headers=["x-request-id", "retry-after"],
        )
    ]
