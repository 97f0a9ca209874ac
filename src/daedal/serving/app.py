"""The server as one application: its layers, its routes, and what they share."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from daedal.errors import DaedalError
from daedal.safety.signing import Signer
from daedal.serving import audio, files, health, images, openapi, provenance_checks, texts, videos
from daedal.serving.access import Guard, is_loopback
from daedal.serving.addressing import Addressing
from daedal.serving.envelope import Answers, Envelope
from daedal.serving.keys import KeyFile
from daedal.serving.moderation import Moderation
from daedal.serving.settings import Settings
from daedal.serving.store import Store
from daedal.serving.supervisor import Command, Models
from daedal.serving.video_jobs import VideoJobs

_THREADS = 32
"""That wait for disks at the same time."""


class _Routes(Starlette):
    """Routes without layers of Starlette's own: what they raise comes out, to where all errors are answered."""

    def build_middleware_stack(self) -> ASGIApp:
        return self.router


class Application:
    """The server's application, and its parts.

    Args:
        command: what starts the process of a model; Daedal's own worker unless given.

    Raises:
        DaedalError: the settings do not hold together, or would let strangers in.
    """

    def __init__(self, settings: Settings, command: Command | None = None) -> None:
        keys = None if settings.keys is None else KeyFile(settings.keys)
        if keys is None and not is_loopback(settings.host):
            raise DaedalError(
                f"Without keys a server on {settings.host} would be open to everybody who reaches this machine",
                "Make a key with: daedal keys add NAME --file keys.json, and serve with --keys keys.json",
            )
        self.models = Models(settings, command)
        self.store = Store(settings.data, settings.quota)
        self.jobs = VideoJobs(self.models, self.store.videos)
        self.metrics = self.models.metrics
        self.moderation = Moderation(settings, self.models, self.metrics)
        self.starlette = _Routes(
            routes=[
                *health.routes,
                *files.routes,
                *texts.routes,
                *images.routes,
                *audio.routes,
                *videos.routes,
                *provenance_checks.routes,
                *openapi.routes,
            ],
            lifespan=self._lifespan,
        )
        for name, part in (
            ("settings", settings),
            ("models", self.models),
            ("store", self.store),
            ("jobs", self.jobs),
            ("metrics", self.metrics),
            ("signer", Signer.chosen(settings.certificate) if settings.signed else None),
            ("moderation", self.moderation),
        ):
            setattr(self.starlette.state, name, part)
        self.starlette.router.redirect_slashes = False
        self.guard = Guard(self.starlette, settings, keys)
        self._app: ASGIApp = Envelope(
            _cors(Answers(Addressing(self.guard, settings.root_path)), settings), self.metrics
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="disk"))
        await self.models.start()
        await self.jobs.start()
        try:
            yield
        finally:
            await self.jobs.stop()
            await self.models.stop()
            self.store.close()


def _cors(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Browsers let no page of another origin read an answer, but for those that are listed.

    Around the guard: a browser asks before it sends, without the key.
    """
    if not settings.origins:
        return app
    if "*" in settings.origins:
        raise DaedalError("Every page of the web could use this server", "List the origins that may")
    return CORSMiddleware(
        app,
        allow_origins=settings.origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=[
            "x-request-id",
            "retry-after",
            "x-should-retry",
            "x-daedal-unused",
            "x-daedal-seed",
            "x-daedal-listener",
            "x-daedal-statement",
        ],
    )
