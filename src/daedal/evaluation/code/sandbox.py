"""Programs that nobody has read, run so that they can do no harm: the side of the sandbox that is outside.

A `Sandbox` has some servers (`server.py`), processes of which each runs one program at a time. Where the kernel allows it they
are in namespaces of their own, by their own calls (`confinement.py`) or by bubblewrap; what a program may ask of the kernel is
filtered (`system_calls.py`), and its time, memory, processes, files and output are limited. Where that is not to be had, it
refuses, unless it is told to run programs as they are: then the limits and the time still hold.

Whether a program passed is found by another process than its own (`judge.py`): it cannot claim it.
"""

import contextlib
import json
import os
import queue
import select
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

import daedal
from daedal.errors import DaedalError
from daedal.evaluation.code import BUBBLEWRAP, NAMESPACES, NONE
from daedal.evaluation.code.program import Limits, Outcome, Program
from daedal.printable import printable

UNSAFE = "--unsafe-sandbox"
_PATIENCE = 20.0  # seconds beyond a program's own until its server is taken for dead
_START = 30.0
_SERVER = "daedal.evaluation.code.server"


class Sandbox:
    """Runs programs.

    Args:
        limits: of each.
        workers: how many at once; as many as there are processors unless given.
        unsafe: run them also where they cannot be isolated.
        option: of the command, that says so; empty where there is none.

    Attributes:
        isolation: "namespaces", "bubblewrap" or "none".
        workers: how many programs run at once.

    Raises:
        DaedalError: they cannot be isolated here.
    """

    def __init__(
        self, limits: Limits | None = None, *, workers: int | None = None, unsafe: bool = False, option: str = UNSAFE
    ) -> None:
        self.limits = limits or Limits()
        self.workers = workers or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else workers or 1
        first, self.isolation = _first_server(unsafe, option)
        self._idle: queue.SimpleQueue[_Server | None] = queue.SimpleQueue()
        self._idle.put(first)
        for _ in range(self.workers - 1):
            self._idle.put(None)
        self._closed = False

    @property
    def says(self) -> str:
        """How programs are isolated, in a line."""
        if self.isolation == NONE:
            return (
                "programs are NOT isolated: they can read what this user can read and write what this user can write; "
                "time, memory, processes and the size of files are limited"
            )
        by = "by bubblewrap" if self.isolation == BUBBLEWRAP else "in namespaces of their own"
        return f"programs run {by}, with no network, no files of this machine's users, and filtered system calls"

    def run(self, programs: Sequence[Program]) -> Iterator[tuple[int, Outcome]]:
        """Outcomes as they come, each with the place of its program."""
        with ThreadPoolExecutor(self.workers, thread_name_prefix="sandbox") as pool:
            places: dict[Future[Outcome], int] = {pool.submit(self.one, each): i for i, each in enumerate(programs)}
            try:
                for done in as_completed(places):
                    yield places[done], done.result()
            finally:
                for each in places:
                    each.cancel()

    def one(self, program: Program) -> Outcome:
        """The outcome of one; several threads may ask at once."""
        server = self._idle.get()
        try:
            if server is not None and not server.is_alive():
                server.end()
                server = None
            if server is None:
                server = _Server(self.isolation)
                server.require_ready()
            outcome, fit = server.run(program, self.limits)
            if not fit:
                server.end()
                server = None
            return outcome
        except BaseException:  # stopped, or its server is gone
            if server is not None:
                server.end()
                server = None
            raise
        finally:
            if self._closed and server is not None:
                server.end()
                server = None
            self._idle.put(server)

    def close(self) -> None:
        """End its processes."""
        self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                server = self._idle.get_nowait()
                if server is not None:
                    server.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def isolation_here() -> str:
    """How programs can be isolated on this machine.

    Raises:
        DaedalError: they cannot.
    """
    server, found = _first_server(False, UNSAFE)
    server.end()
    return found


def _first_server(unsafe: bool, option: str) -> tuple["_Server", str]:
    """A server by the best way that there is."""
    why = f"{sys.platform} has no namespaces"
    ways = [NAMESPACES, BUBBLEWRAP] if sys.platform == "linux" else []
    for way in ways:
        if way == BUBBLEWRAP and (shutil.which("bwrap") is None or os.geteuid() == 0):
            continue  # root would be root in it, whom the kernel holds to no number of processes
        server = _Server(way)
        refused = server.refused()
        if refused is None:
            return server, way
        server.end()
        why = refused if way == NAMESPACES else f"{why}; bubblewrap: {refused}"
    if not unsafe or sys.platform == "win32":
        raise DaedalError(
            f"Programs cannot be isolated here ({why})",
            "Run it on Linux with user namespaces or bubblewrap"
            + (
                f", or say {option} where you trust what the model writes" if option and sys.platform != "win32" else ""
            ),
        )
    server = _Server(NONE)
    server.require_ready()
    return server, NONE


class _Server:
    """A process that runs one program after another."""

    def __init__(self, way: str) -> None:
        reads, self._tests = os.pipe()
        try:
            home = str(Path(daedal.__file__).parent.parent)
            kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
            command = [_python(), "-s", "-P", "-S", "-B", "-m", _SERVER, way, str(reads)]
            if way == BUBBLEWRAP:
                command = [*_bubblewrap(home), *command]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(reads,),
                env={**kept, "PYTHONPATH": home, "PYTHONHASHSEED": "0", "LANG": "C.UTF-8"},
                start_new_session=True, cwd="/",
            )  # fmt: skip
        finally:
            os.close(reads)
        self._said = b""
        self._faults: list[bytes] = []
        threading.Thread(target=self._read_faults, daemon=True).start()

    def refused(self) -> str | None:
        """Why it cannot isolate, or None."""
        answer = self._answer(_START)
        if answer is not None and "ready" in answer:
            return None
        if answer is not None:
            return str(answer["refused"])
        return " ".join(b"".join(self._faults).decode("utf-8", "replace").split())[-200:] or "it does not start"

    def require_ready(self) -> None:
        """
        Raises:
            DaedalError: it does not start.
        """
        why = self.refused()
        if why is not None:
            raise DaedalError(f"The sandbox does not start ({why})", "Look whether memory or processes are used up")

    def run(self, program: Program, limits: Limits) -> tuple[Outcome, bool]:
        """How a program fared, and whether this server can be used again."""
        assert self._process.stdin is not None
        tests = program.tests.model_dump_json().encode("utf-8", "surrogatepass")
        request = json.dumps({"source": program.source, **limits.model_dump()}).encode()
        try:
            self._process.stdin.write(request + b"\n")
            self._process.stdin.flush()
            _write(self._tests, struct.pack("=I", len(tests)) + tests, limits.seconds + _PATIENCE)
        except OSError:
            return Outcome(ending="ended", message="the sandbox was gone"), False
        answer = self._answer(limits.seconds + _PATIENCE)
        if answer is None:
            return Outcome(ending="ended", message="the sandbox did not answer", seconds=limits.seconds), False
        try:
            output = answer["output"]
            cut = " [cut]" if len(output) > limits.output_bytes else ""
            outcome = Outcome(
                ending=answer["outcome"], passed=answer["passed"], message=printable(answer["message"]),
                seconds=answer["seconds"], output=output[: limits.output_bytes] + cut,
            )  # fmt: skip
        except (ValidationError, KeyError, TypeError, AttributeError):  # what hostile tests said
            return Outcome(ending="ended", message="the tests gave no verdict"), False
        return outcome, "broken" not in answer

    def is_alive(self) -> bool:
        """Whether it is there to be asked."""
        return self._process.poll() is None

    def end(self) -> None:
        """Kill it, and with it all that it runs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what led into its namespaces, and their first process
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(OSError):
            os.close(self._tests)

    def _answer(self, seconds: float) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._said:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                return None
            part = os.read(descriptor, 2**16)
            if not part:
                return None
            self._said += part
        line, _, self._said = self._said.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _read_faults(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                self._faults = [*self._faults[-20:], line]


def _write(pipe: int, data: bytes, seconds: float) -> None:
    """Write all of it.

    Raises:
        OSError: nobody reads it in time.
    """
    deadline = time.monotonic() + seconds
    os.set_blocking(pipe, False)
    while data:
        if not select.select([], [pipe], [], max(0.0, deadline - time.monotonic()))[1]:
            raise OSError("nobody reads")
        data = data[os.write(pipe, data) :]


def _bubblewrap(home: str) -> list[str]:
    """The command before the server's own: what is in its view, and that it is the first process there."""
    from daedal.evaluation.code import confinement  # of Linux alone

    command = ["bwrap", "--unshare-all", "--as-pid-1", "--cap-drop", "ALL", "--tmpfs", "/"]
    for path in (*confinement.shown(), _python(), os.path.realpath(_python()), home):
        if os.path.islink(path) and os.path.isdir(path):
            command += ["--symlink", os.readlink(path), path]
        elif path.startswith("/dev/"):
            command += ["--dev-bind", path, path]
        else:
            command += ["--ro-bind", path, path]
    return [*command, "--size", str(2**26), "--tmpfs", confinement.SCRATCH, "--remount-ro", "/", "--chdir", "/"]


def _python() -> str:
    """The interpreter itself, not that of a virtual environment: it needs no more than the standard library."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)
