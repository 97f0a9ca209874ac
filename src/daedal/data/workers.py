"""Worker processes: each takes a unit or a chunk at a time and answers with a line of JSON.

Their program is `daedal.data.worker`. With one worker all runs here.
"""

import json
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from daedal.config import Config
from daedal.data import children
from daedal.data.children import Child
from daedal.data.column_codecs import load_codecs
from daedal.data.encode import Job
from daedal.data.ingest import ingest
from daedal.data.kind import open_kind
from daedal.data.sources import Unit
from daedal.data.spool import Spool
from daedal.families import part


class Bench(Config):
    """Where workers find and leave their work.

    Attributes:
        options: of the build, as JSON has them.
    """

    kind: str
    options: dict[str, Any]
    spool: str
    encoded: str
    codecs: str


class Doer:
    """Does jobs, in whatever process."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._kind = bench, open_kind(bench.kind)
        self._options = self._kind.options.parse(bench.options, "data build")
        self._build = part(self._kind.build)
        self._spool = Spool(Path(bench.spool))
        self._codecs: Any = None

    def do(self, job: Unit | Job, progress: Callable[[int], None]) -> None:
        """Do one job: read a unit, or encode a chunk; `progress` is told the bytes done."""
        if isinstance(job, Unit):
            ingest(self._build.chunks(job, self._kind, self._options), self._spool, progress)
            return
        if self._codecs is None:
            self._codecs = load_codecs(self._kind, Path(self._bench.codecs))
        progress(self._build.encode(job, self._kind, self._codecs, self._spool, Path(self._bench.encoded)))


class Workers:
    """A few worker processes, or none."""

    def __init__(self, bench: Bench, count: int) -> None:
        self._bench = bench
        self._count = count
        self._processes: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        children.end(self._processes)

    def run(self, jobs: Sequence[Unit] | Sequence[Job], progress: Callable[[int], None]) -> None:
        """Do all jobs.

        Raises:
            DaedalError: what the first job to fail raised.
        """
        todo: list[Unit | Job] = [*jobs]
        if self._count == 1 or len(todo) <= 1:
            doer = Doer(self._bench)
            for job in todo:
                doer.do(job, progress)
            return
        while len(self._processes) < self._count:
            self._processes.append(self._start())
        waiting = iter(todo)
        lock = threading.Lock()
        events: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=_attend, args=(process, waiting, lock, events), daemon=True)
            for process in self._processes
        ]
        for thread in threads:
            thread.start()
        running = len(threads)
        while running:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            if event is None:
                running -= 1
            else:
                progress(event)

    def _start(self) -> Child:
        process = children.start(
            "daedal.data.worker",
            TOKENIZERS_PARALLELISM="false",  # as many processes as cores are at it already
            RAYON_NUM_THREADS="1",
        )
        _send(process, self._bench.model_dump_json())
        return process


def _attend(
    process: Child,
    waiting: Iterator[Unit | Job],
    lock: threading.Lock,
    events: "queue.SimpleQueue[int | BaseException | None]",
) -> None:
    """Give a process job after job, and pass on what it says."""
    assert process.stdout is not None
    try:
        while True:
            with lock:
                job = next(waiting, None)
            if job is None:
                break
            _send(process, json.dumps({type(job).__name__: job.model_dump(mode="json")}))
            for line in process.stdout:
                said = json.loads(line)
                if "bytes" in said:
                    events.put(int(said["bytes"]))
                elif (error := children.failure(said)) is not None:
                    events.put(error)
                    return
                else:
                    break
            else:
                raise BrokenPipeError
        events.put(None)
    except (OSError, ValueError):
        events.put(children.ended())


def _send(process: Child, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    process.stdin.flush()
