"""A server of its own for a measurement: started on a free port, watched, and ended."""

import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daedal.errors import DaedalError
from daedal.serving.memory import resident

_READY = 120.0


@dataclass(frozen=True)
class Trial:
    """A server that runs.

    Attributes:
        seconds: from its start until it was ready.
    """

    url: str
    pid: int
    seconds: float

    def engines(self) -> list[int]:
        """The processes of its models."""
        return _children(self.pid)

    def memory(self) -> int:
        """Bytes that the server and its models hold."""
        return sum(resident(pid) for pid in (self.pid, *self.engines()))


@contextmanager
def trial(arguments: Sequence[str], where: Path | None = None, state: Path | None = None) -> Iterator[Trial]:
    """A server of `daedal serve` with these arguments.

    Args:
        where: the folder in which it is started.
        state: the folder of its files and answers; one that is gone afterwards, unless given.

    Raises:
        DaedalError: it does not get ready.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-P", "-m", "daedal", "serve", *arguments, "--port", "0"]
        command += ["--data", str(state or Path(folder) / "state")]
        began = time.perf_counter()
        with log.open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, cwd=where)
        try:
            url = _wait(process, log)
            yield Trial(url, process.pid, time.perf_counter() - began)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: "subprocess.Popen[bytes]", log: Path) -> str:
    until = time.monotonic() + _READY
    while time.monotonic() < until and process.poll() is None:
        _, _, rest = log.read_text().partition(" at http://")
        if "/v1" in rest:
            url = "http://" + rest.partition("/v1")[0]
            try:
                with urllib.request.urlopen(f"{url}/ready", timeout=5):
                    return url
            except (urllib.error.URLError, OSError):
                pass
        time.sleep(0.02)
    last = log.read_text().strip().splitlines()[-1:] or ["it said nothing"]
    raise DaedalError(f"The server did not get ready: {last[0].removeprefix('error: ')}")


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]
