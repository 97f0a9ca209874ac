"""The server on its port: it starts, tells that it is ready, and stops as it should."""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from daedal.errors import DaedalError
from daedal.serving.app import Application
from daedal.serving.background import Background
from daedal.serving.protocol import Protocol
from daedal.serving.settings import Settings
from daedal.serving.supervisor import Command

log = logging.getLogger("daedal.serving")


_LAST_WORDS = 2.0
"""Seconds in which requests are told that they will not be finished."""


class _Server(uvicorn.Server):
    """On the first signal it takes no more requests and lets those under way finish; on the second they end with an error, on
    the third without one."""

    def __init__(self, config: uvicorn.Config, application: Application, drain: float) -> None:
        super().__init__(config)
        self._application, self._drain, self._signals = application, drain, 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hurry, self._tasks = asyncio.Event(), Background()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        watching = asyncio.ensure_future(self._give_up())
        await super().serve(sockets)
        watching.cancel()

    async def _give_up(self) -> None:
        await self._application.models.failed.wait()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._loop is None or self._signals > 2:
            self.should_exit = self.force_exit = True
        elif self._signals == 2:
            self._loop.call_soon_threadsafe(self._hurry.set)
        else:
            self._application.guard.closing = self._application.models.closing = True
            self._loop.call_soon_threadsafe(lambda: self._tasks.begin(self._finish()))

    async def _finish(self) -> None:
        guard = self._application.guard
        if guard.under_way:
            log.warning("stopping: %d requests have %.0f seconds to finish", guard.under_way, self._drain)
        ways = {self._tasks.begin(work) for work in (guard.finished(self._drain), self._hurry.wait())}
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        await self._application.models.stop()
        await guard.finished(_LAST_WORDS)
        self.should_exit = True


def serve(settings: Settings, announce: Callable[[str], None], command: Command | None = None) -> None:
    """Serve until a signal ends it.

    Args:
        announce: told the server's address when it listens.

    Raises:
        DaedalError: the settings do not hold together, the port is taken, or a model that was named cannot be loaded.
    """
    application = Application(settings, command)
    listening = _bind(settings.host, settings.port)
    config = configure(application)
    config.load()
    server = _Server(config, application, settings.drain)
    port = listening.getsockname()[1]
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    announce(f"http://{shown}:{port}")
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(server.serve([listening]))
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if application.models.failure:
        raise DaedalError(application.models.failure)


def configure(application: Application) -> uvicorn.Config:
    """What uvicorn is told."""
    return uvicorn.Config(
        application,
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
        backlog=2048,
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=2048)
        listening.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )  # connections take it over: a token does not wait
        return listening
    except (OSError, UnicodeError) as error:
        code, said = getattr(error, "errno", None), getattr(error, "strerror", None) or "no such name"
        at_fault = "--port" if code in (errno.EADDRINUSE, errno.EACCES) else "--host"
        reason = said.partition(" (while")[0]
        raise DaedalError(f"Nothing can listen on {host}:{port} ({reason})", f"Choose another {at_fault}") from None
