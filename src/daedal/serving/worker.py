"""The process of one model: commands come in on stdin, events go out on stdout, a line of JSON each; the log is stderr.

- one thread runs the model; one reads commands; a few prepare them (tokens, grammars), the large ones and those with a
  constraint in lines of their own, so that they stop nobody else
- it ends when stdin does: a server that dies takes its models with it
"""

import argparse
import gc
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Set
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, get_args

import orjson

from daedal.errors import DaedalError
from daedal.families import part
from daedal.inference.sampling import Quantize
from daedal.safety.marking import Marking
from daedal.serving.commands import Command, Desk, Event, Refused

_PREPARING = 2
"""Commands that are prepared at once, beside a large one and one with a constraint."""
_LARGE = 2**17
"""Bytes of a command that is large."""
_DESKS: tuple[tuple[str, Set[str]], ...] = (
    ("daedal.serving.text_commands:TextDesk", {"write"}),
    (
        "daedal.serving.batch_commands:BatchDesk",
        {"classify", "embed", "tag", "answer", "fill", "translate", "recommend"},
    ),
    ("daedal.serving.media_commands:MediaDesk", {"speak", "listen", "compose", "film"}),
    ("daedal.serving.image_commands:ImageDesk", set()),
)
"""What carries out the commands for a model, and any of which skills it has; the last is for those with none of them."""
_MARKED = {"daedal.serving.media_commands:MediaDesk", "daedal.serving.image_commands:ImageDesk"}
"""Those that make files."""


class Outlet:
    """Where events go. Any thread may send."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def send(self, events: Iterable[Event]) -> None:
        lines = b"".join(orjson.dumps(event) + b"\n" for event in events)
        with self._lock:
            self._stream.write(lines)
            self._stream.flush()


class Worker:
    """Carries out commands until their end."""

    def __init__(self, desk: Desk, source: BinaryIO, outlet: Outlet) -> None:
        self._desk, self._source, self._outlet = desk, source, outlet
        self._inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._preparing: set[int] = set()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Until stdin ends."""
        pools = [ThreadPoolExecutor(threads, thread_name_prefix="prepare") for threads in (_PREPARING, 1, 1)]
        threading.Thread(target=self._listen, args=pools, daemon=True).start()
        while True:
            ended = self._turn()
            if ended:
                for pool in pools:
                    pool.shutdown(wait=False, cancel_futures=True)
                return
            if self._desk.busy:
                self._outlet.send(self._desk.step())

    def _turn(self) -> bool:
        """Take what has come in; waits where there is nothing else to do. Whether that was the end."""
        wait = not self._desk.busy
        while True:
            try:
                kind, what = self._inbox.get(block=wait)
            except queue.Empty:
                return False
            wait = False
            match kind:
                case "end":
                    return True
                case "cancel":
                    self._desk.cancel(what)
                case "stats":
                    self._outlet.send([{"id": what, **self._desk.stats()}])
                case "begin":
                    id, job = what
                    if not self._gone(id):
                        try:
                            self._desk.begin(job)
                        except Refused as refused:
                            self._outlet.send([refused.event(id)])

    def _listen(self, pool: Executor, pool_of_large: Executor, pool_of_constrained: Executor) -> None:
        for line in self._source:
            command: Command = orjson.loads(line)
            if command["op"] == "cancel":
                with self._lock:
                    if command["target"] in self._preparing:
                        self._cancelled.add(command["target"])
                self._inbox.put(("cancel", command["target"]))
            elif command["op"] == "stats":
                self._inbox.put(("stats", command["id"]))
            else:
                with self._lock:
                    self._preparing.add(command["id"])
                lane = pool_of_large if len(line) > _LARGE else pool
                (pool_of_constrained if command.get("constraint") else lane).submit(self._prepare, command)
        self._inbox.put(("end", None))

    def _prepare(self, command: Command) -> None:
        id = command["id"]
        try:
            job = self._desk.prepare(command)
            if isinstance(job, dict):
                if not self._gone(id):
                    self._outlet.send([{"id": id, **job}])
            else:
                self._inbox.put(("begin", (id, job)))
        except Refused as refused:
            self._gone(id)
            self._outlet.send([refused.event(id)])
        except Exception:
            traceback.print_exc()
            self._gone(id)
            self._outlet.send([Refused(500, "The request could not be prepared", "server_error").event(id)])

    def _gone(self, id: int) -> bool:
        """Whether a command was cancelled while it was being prepared; it is not, from now on."""
        with self._lock:
            self._preparing.discard(id)
            cancelled = id in self._cancelled
            self._cancelled.discard(id)
            return cancelled


def main() -> int:
    parser = argparse.ArgumentParser(prog="daedal.serving.worker", description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--name", required=True, help="for who looks at the processes of a machine")
    parser.add_argument("--quantize", choices=get_args(Quantize))
    parser.add_argument("--rows", type=int, default=32)
    for mark in ("watermark", "signed", "noted"):
        parser.add_argument(f"--{mark}", action="store_true", help="what is made")
    parser.add_argument("--certificate", type=Path)
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # they come to all processes, and are for the server
        signal.signal(number, signal.SIG_IGN)
    outlet = Outlet(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # whatever else prints, prints to the log
    try:
        marking = Marking.of_installation(
            watermark=given.watermark, signed=given.signed, noted=given.noted, certificate=given.certificate
        )
        desk = _open(given.model, given.name, given.quantize, given.rows, marking)
    except DaedalError as error:
        outlet.send([{"event": "failed", "message": str(error)}])
        return 2
    gc.collect()
    gc.freeze()  # what is loaded stays: looking through it again and again costs 4 % of the time
    outlet.send([{"event": "ready", "info": desk.info}])
    Worker(desk, sys.stdin.buffer, outlet).run()
    return 0


def _open(model: str, name: str, quantize: Quantize | None, rows: int, marking: Marking) -> Desk:
    import torch

    from daedal.inference.generator import Generator
    from daedal.models.checkpoint import resolve
    from daedal.models.image import ImageModel
    from daedal.safety.text_marks.text_mark import TextMark
    from daedal.training.machine import cores, use_fastest_threads

    threads = use_fastest_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        # The server needs a core too: where threads have to wait for one, all of them wait
        torch.set_num_threads(min(threads, max(1, cores() - 1)))
    generator = Generator.open(resolve(model), quantize=quantize)
    generator.name = name  # what it makes tells nobody where it lies here
    if "write" in generator.skills:
        generator.engine.rows = rows
    place = next(place for place, skills in _DESKS if skills & generator.skills.keys() or not skills)
    if place == _DESKS[-1][0] and not isinstance(generator.model, ImageModel):
        raise DaedalError(
            f"{generator.kind} does nothing that is served", "Serve a model that was trained on its codes"
        )
    marks: dict[str, object] = {"marking": marking.of_model(resolve(model))} if place in _MARKED else {}
    if marking.key is not None and "write" in generator.skills:
        marks["watermark"] = TextMark(marking.key)
    desk: Desk = part(place)(generator, **marks)
    return desk


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a thread may be in the middle of a piece: PyTorch ends an interpreter that ends then with an abort
