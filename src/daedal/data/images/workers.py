"""Processes that treat batches of pictures, where the work is long enough for them to pay.

Their program is `daedal.data.images.worker`. Until two seconds of work are done there are none, and small builds never wait for
them to start.
"""

import json
import queue
import struct
import threading
import time
from pathlib import Path
from typing import IO, Self

from daedal.data import children
from daedal.data.children import Child
from daedal.data.images.batch import Batch, treat_batch
from daedal.data.images.resize import Treatment

_ALONE = 2.0  # seconds


class Workers:
    """Treats batches, here or in `count` processes."""

    def __init__(self, treatment: Treatment, folder: Path, count: int, alone: float = _ALONE) -> None:
        self._treatment = treatment
        self._folder = folder
        self._count = count
        self._left = alone
        self._queue: queue.Queue[Batch | None] = queue.Queue(maxsize=max(1, count))
        self._processes: list[Child] = []
        self._threads: list[threading.Thread] = []
        self._failed: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        children.end(self._processes)

    def give(self, batch: Batch) -> None:
        """Treat a batch, now or soon.

        Raises:
            DaedalError: an earlier one failed.
        """
        if self._count > 1 and self._left <= 0:
            self._start()
            self._put(batch)
            return
        began = time.monotonic()
        treat_batch(batch, self._treatment, self._folder)
        self._left -= time.monotonic() - began

    def finish(self) -> None:
        """Wait until all batches are done.

        Raises:
            DaedalError: one failed.
        """
        for _ in self._threads:
            self._put(None)
        for thread in self._threads:
            thread.join()
        self._check()

    def _put(self, batch: Batch | None) -> None:
        while True:
            self._check()
            try:
                self._queue.put(batch, timeout=0.2)
                return
            except queue.Full:
                continue

    def _check(self) -> None:
        if not self._failed.empty():
            raise self._failed.get()

    def _start(self) -> None:
        if self._processes:
            return
        for _ in range(self._count):
            process = children.start("daedal.data.images.worker", OMP_NUM_THREADS="1")
            self._processes.append(process)
            thread = threading.Thread(target=self._attend, args=(process,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _attend(self, process: Child) -> None:
        """Give a process batch after batch."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            bench = {"folder": str(self._folder), "treatment": self._treatment.model_dump(mode="json")}
            send(process.stdin, json.dumps(bench).encode())
            while (batch := self._queue.get()) is not None:
                send_batch(process.stdin, batch)
                said = json.loads(process.stdout.readline())
                if (error := children.failure(said)) is not None:
                    self._failed.put(error)
                    return
        except (OSError, ValueError):
            self._failed.put(children.ended())


def send(stream: IO[bytes], data: bytes) -> None:
    """Write a frame: its length, and itself."""
    stream.write(struct.pack(">Q", len(data)) + data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Read a frame; `None` where there is none any more."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    length = struct.unpack(">Q", head)[0]
    data = stream.read(length)
    return data if len(data) == length else None


def send_batch(stream: IO[bytes], batch: Batch) -> None:
    """Write a batch as two frames."""
    sizes = [len(payload) for payload in batch.payloads]
    send(stream, json.dumps({"number": batch.number, "shapes": batch.shapes, "sizes": sizes}).encode())
    send(stream, b"".join(batch.payloads))


def receive_batch(stream: IO[bytes]) -> Batch | None:
    """Read a batch; `None` where there is none any more."""
    head, body = receive(stream), receive(stream)
    if head is None or body is None:
        return None
    values = json.loads(head)
    payloads, end = [], 0
    for size in values["sizes"]:
        begin, end = end, end + size
        payloads.append(body[begin:end])
    shapes = tuple(None if shape is None else tuple(shape) for shape in values["shapes"])
    return Batch(values["number"], shapes, tuple(payloads))
