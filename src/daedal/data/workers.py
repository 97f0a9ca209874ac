"""Processes that share the work of a build, or none, where it is too short for them to pay.

Their program is `daedal.data.worker`; what they do is said by a `Doer`, which does it here just as well.
"""

import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, Protocol, Self

from daedal.data import children
from daedal.data.children import Child
from daedal.families import part

_ONE_THREAD = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
_AHEAD = 2  # jobs for each process: the one that it is at, and the next


class Doer(Protocol):
    """What does jobs, in whatever process; it is made of values that JSON can say."""

    def do(self, job: Any, progress: Callable[[int], None]) -> None:
        """Do one job; `progress` is told the bytes done."""

    def pack(self, job: Any) -> tuple[Any, bytes]:
        """A job as it goes to a process: a value that JSON can say, and bytes."""

    def unpack(self, head: Any, body: bytes) -> Any:
        """The job that `pack` gave."""


class Workers:
    """A few worker processes, or none.

    Args:
        doer: the class of what does the jobs, as `module:NAME`.
        bench: what it is made of.
        count: of processes; with one, all is done here.
        alone: seconds of work that are done here before any process is started.
    """

    def __init__(self, doer: str, bench: Mapping[str, Any], count: int, alone: float = 0.0) -> None:
        self._made = {"doer": doer, "bench": bench}
        self._here: Doer = part(doer)(**bench)
        self._count, self._left, self._open = count, alone, 0
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._said: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()
        self._processes: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for _each in self._processes:
            self._jobs.put(None)
        children.end(self._processes)

    def run(self, jobs: Iterable[Any], progress: Callable[[int], None]) -> None:
        """Do all jobs, which may be made while others are done.

        Raises:
            DaedalError: what the first job to fail raised.
        """
        single = isinstance(jobs, Sequence) and len(jobs) == 1
        for job in jobs:
            if self._count == 1 or single or self._left > 0:
                began = time.monotonic()
                self._here.do(job, progress)
                self._left -= time.monotonic() - began
                continue
            while len(self._processes) < self._count:
                self._start()
            while self._open >= _AHEAD * self._count or not self._said.empty():
                self._hear(progress)
            self._jobs.put(job)
            self._open += 1
        while self._open:
            self._hear(progress)

    def _hear(self, progress: Callable[[int], None]) -> None:
        """Wait for what a process says."""
        said = self._said.get()
        if isinstance(said, BaseException):
            raise said
        if said is None:
            self._open -= 1
        else:
            progress(said)

    def _start(self) -> None:
        process = children.start("daedal.data.worker", **_ONE_THREAD)  # as many as cores are at it already
        self._processes.append(process)
        threading.Thread(target=self._attend, args=(process,), daemon=True).start()

    def _attend(self, process: Child) -> None:
        """Give a process job after job, and pass on what it says."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            send(process.stdin, self._made, b"")
            while (job := self._jobs.get()) is not None:
                send(process.stdin, *self._here.pack(job))
                for line in process.stdout:
                    said = json.loads(line)
                    if "bytes" in said:
                        self._said.put(int(said["bytes"]))
                    elif (error := children.failure(said)) is not None:
                        self._said.put(error)
                        return
                    else:
                        self._said.put(None)
                        break
                else:
                    raise BrokenPipeError
        except (OSError, ValueError):
            self._said.put(children.ended())


def send(stream: IO[bytes], head: Any, body: bytes) -> None:
    """Write a value and bytes."""
    stream.write(f"{json.dumps([len(body), head])}\n".encode())
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[Any, bytes] | None:
    """Read what `send` wrote; `None` where there is nothing any more."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    size, head = json.loads(line)
    body = stream.read(size)
    return (head, body) if len(body) == size else None
