"""A server on a port of this machine whose models give trouble (fake_worker.py): in a thread, or in its own process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from api_server import running
from daedal.serving.app import Application
from daedal.serving.server import serve
from daedal.serving.settings import Settings
from daedal.serving.supervisor import Command

WORKER = Path(__file__).parent / "fake_worker.py"


@dataclass
class Served:
    """A server that runs."""

    url: str
    folder: Path
    client: httpx.Client

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def write(self, prompt: str, model: str = "m", **fields: Any) -> httpx.Response:
        """Ask for a text."""
        return self.client.post("/v1/completions", json=asked(prompt, model, **fields))

    def raw(self, request: bytes, wait: float = 10.0) -> bytes:
        """Everything that is answered until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            connection.sendall(request)
            answer = b""
            while piece := connection.recv(2**16):
                answer += piece
        return answer

    def leave(self, *requests: bytes, after: float = 0.3) -> float:
        """Send requests, read a little later what there is, and go; when that was."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"".join(requests))
            time.sleep(after)
        return time.time()

    @staticmethod
    def counters(text: str) -> dict[str, float]:
        """What Prometheus reads."""
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def journal(self, op: str) -> list[tuple[float, int, int]]:
        """The commands of a kind that came to models: when, to which process, and of which id."""
        path = self.folder / "journal"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(float(when), int(process), int(id)) for when, process, what, id in lines if what == op]


def asked(prompt: str, model: str = "m", **fields: Any) -> dict[str, Any]:
    return {"model": model, "prompt": prompt, "max_tokens": 10**5, **fields}


def request(body: Any, path: str = "/v1/completions", *headers: str) -> bytes:
    """A POST as it goes over the wire."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: localhost", "content-type: application/json", *headers]
    return "\r\n".join([*lines, f"content-length: {len(data)}", "", ""]).encode() + data


def until(true: Any, seconds: float = 5.0) -> float:
    """Wait until something is true; how long that took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds
        time.sleep(0.01)
    return time.monotonic() - began


def command(folder: Path, *options: str) -> Command:
    given = ["--journal", str(folder / "journal"), *options]
    return lambda name, where: [sys.executable, "-S", str(WORKER), *given]


@contextmanager
def served(place: Path, /, *options: str, ready: bool = True, **settings: Any) -> Iterator[tuple[Served, Application]]:
    """A server in a thread.

    Args:
        options: of its models.
        ready: wait until it is.
    """
    given = {"data": place / "data", "models": {"m": "."}, **settings}
    application = Application(Settings(**given), command(place, *options))
    with running(application, ready, buffer=2**16) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield Served(url, place, client), application


class Process:
    """A server in a process of its own."""

    def __init__(self, place: Path, /, **settings: Any) -> None:
        given = json.dumps({"port": 0, "models": {"m": "."}, "data": str(place / "data"), **settings})
        arguments = [sys.executable, __file__, str(place), given]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        self.served = Served(url, place, httpx.Client(base_url=url, timeout=20))
        until(lambda: self.served.client.get("/ready").status_code == 200)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.served.client.close()
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)


if __name__ == "__main__":
    serve(
        Settings(**json.loads(sys.argv[2])),
        lambda url: print(url, flush=True),
        command(Path(sys.argv[1]), *sys.argv[3:]),
    )
