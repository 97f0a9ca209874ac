"""A server on a port of this machine, with a model that says what it is told to (scripted_worker.py)."""

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from daedal.serving.app import Application
from daedal.serving.server import configure
from daedal.serving.settings import Settings
from daedal.serving.supervisor import Models
from warm_python import python

NAME = "scripted"
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tells the weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
CALL = '<tool_call>\\n{"name": "weather", "arguments": {"city": "Paris"}}\\n</tool_call>'
"""As a script, that one is called."""
WORKER = Path(__file__).parent / "scripted_worker.py"


def user(text: str) -> Any:
    """A conversation of one turn."""
    return [{"role": "user", "content": text}]


def application(folder: Path, /, **settings: Any) -> Application:
    """The server's application with a model named "scripted", which "alias" is another name for; or with other models."""
    given = Settings(**{"data": folder, "models": {"scripted": "."}, "aliases": {"alias": "scripted"}} | settings)
    if given.models == {"scripted": "."}:
        return Application(given, lambda name, where: [sys.executable, str(WORKER)])
    warm, models = python(), Models(given)
    return Application(given, lambda name, where: [warm, *models._worker(name, where)[1:]])


@contextmanager
def serve(folder: Path, /, **settings: Any) -> Iterator[str]:
    """The address of a server that is ready."""
    with running(application(folder, **settings)) as url:
        yield url


@contextmanager
def running(application: Application, ready: bool = True, buffer: int | None = None) -> Iterator[str]:
    """The address of an application that runs in a thread.

    Args:
        ready: wait until it is.
        buffer: bytes that the system takes of an answer before anybody reads it; as many as it likes unless given.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    if buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    config = configure(application)
    server = uvicorn.Server(config)

    def run() -> None:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(server.serve([listening]))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        while ready and httpx.get(f"{url}/ready").status_code != 200:
            time.sleep(0.02)
        yield url
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
