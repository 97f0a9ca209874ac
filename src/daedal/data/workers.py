"""Worker processes: each takes a unit or a chunk at a time and answers with a line of JSON.

They are started as `python -m daedal.data.worker`, not forked: so there is nothing to inherit, a script needs no
`if __name__ == "__main__"`, and a worker whose parent is killed notices and ends. With one worker all runs here.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import daedal
from daedal.config import Config
from daedal.data.encode import Encoder, Job, encode_chunk
from daedal.data.ingest import Cleaning, ingest
from daedal.data.sources import Unit
from daedal.data.spool import Spool
from daedal.data.stop import StoppedError
from daedal.errors import DaedalError


class Bench(Config):
    """Where workers find and leave their work."""

    spool: str
    encoded: str
    codec: str
    cleaning: Cleaning


class Doer:
    """Does jobs, in whatever process."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._spool = Spool(Path(bench.spool))
        self._encoder: Encoder | None = None

    def do(self, job: Unit | Job, progress: Callable[[int], None]) -> None:
        """Do one job; `progress` is told the bytes of text done."""
        if isinstance(job, Unit):
            ingest(job, self._bench.cleaning, self._spool, progress)
            return
        if self._encoder is None:
            self._encoder = Encoder.load(self._bench.codec)
        progress(encode_chunk(job, self._spool, self._encoder, Path(self._bench.encoded)))


class Workers:
    """A few worker processes, or none."""

    def __init__(self, bench: Bench, count: int) -> None:
        self._bench = bench
        self._count = count
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()  # what it was writing is under a temporary name
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

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

    def _start(self) -> subprocess.Popen[str]:
        home = str(Path(daedal.__file__).parent.parent)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH")))),
            "TOKENIZERS_PARALLELISM": "false",  # as many processes as cores are at it already
            "RAYON_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "daedal.data.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            bufsize=1,
            env=environment,
        )
        assert process.stdin is not None
        process.stdin.write(self._bench.model_dump_json() + "\n")
        return process


def _attend(
    process: subprocess.Popen[str],
    waiting: Iterator[Unit | Job],
    lock: threading.Lock,
    events: "queue.SimpleQueue[int | BaseException | None]",
) -> None:
    """Give a process job after job, and pass on what it says."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        while True:
            with lock:
                job = next(waiting, None)
            if job is None:
                break
            process.stdin.write(json.dumps({type(job).__name__: job.model_dump(mode="json")}) + "\n")
            for line in process.stdout:
                said = json.loads(line)
                if "bytes" in said:
                    events.put(int(said["bytes"]))
                elif "what" in said:
                    kind = StoppedError if said["resumable"] else DaedalError
                    events.put(kind(said["what"], said["fix"]))
                    return
                elif "failure" in said:
                    events.put(RuntimeError(said["failure"]))
                    return
                else:
                    break
            else:
                raise BrokenPipeError
        events.put(None)
    except (OSError, ValueError):
        events.put(
            StoppedError(
                "A worker process ended before its work was done", "Run the command again: it goes on from there"
            )
        )
