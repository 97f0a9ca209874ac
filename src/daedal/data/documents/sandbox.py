"""A file -> its documents, read by a child process: whatever the file does to its reader, it loses only itself.

A child may use so much memory (`RLIMIT_AS`), and between two answers so much processor time (`RLIMIT_CPU`, more for a large
file) and ten times that by the clock; then it dies and the file is `Lost`, with a note why. Children are kept for the
next file, and end with this process, or when they were idle for a while.
"""

import atexit
import contextlib
import io
import json
import math
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, BinaryIO, NamedTuple

from daedal.data import children
from daedal.data.document import Coded, Event, Lost, Note, Omitted, Raw
from daedal.data.documents.formats import EXTRA, FORMATS, MISSING
from daedal.data.filetypes import FileType

_EVENTS: dict[str, type[Event]] = {each.__name__: each for each in (Raw, Lost, Coded, Note, Omitted)}
_BYTES_A_SECOND = 2**17  # of a file, by which its time grows: a tenth of what the slowest reader does on an old machine
_CLOCK = 10  # seconds by the clock for each of processor time: machines are busy
_COPY_BLOCK = 2**20


class Limits(NamedTuple):
    """What a child may use.

    Attributes:
        seconds: of processor time between two answers, for a small file.
        memory: bytes above what it needs to start.
    """

    seconds: int = 60
    memory: int = 2**30


LIMITS = Limits()


def read_document(label: str, stream: BinaryIO, size: int, type_: FileType, encoding: str | None) -> Iterator[Event]:
    """The documents of a file whose format is in `FORMATS`.

    Args:
        label: its name, as shown to people.
        stream: its bytes, from their beginning.
        size: how many bytes it has, where it cannot be read.
        type_: its type.
        encoding: what the user said that texts without a word of their encoding are in.
    """
    package = FORMATS[type_.name].package
    if package is not None and find_spec(package) is None:
        yield Lost(label, MISSING, f"to read {type_.name}, pip install 'daedal[{EXTRA}]' ({package})", size)
        return
    with _on_disk(stream) as path:
        size = os.path.getsize(path)
        more = 0 if FORMATS[type_.name].many else size // _BYTES_A_SECOND
        limits = LIMITS._replace(seconds=LIMITS.seconds + more)
        request = {"format": type_.name, "label": label, "path": path, "size": size, "encoding": encoding}
        yield from _ask({**request, **limits._asdict()}, limits)


def _ask(request: dict[str, Any], limits: Limits) -> Iterator[Event]:
    """What a child answers."""
    child, used = _take()
    fit = False
    try:
        answer = child.ask(request, _CLOCK * limits.seconds)
        if answer is None and used and not child.too_slow():  # it may have ended before, as idle ones do
            child.end()
            child = _Child()
            answer = child.ask(request, _CLOCK * limits.seconds)
        while answer is not None and "end" not in answer:
            ((kind, values),) = answer.items()
            yield _EVENTS[kind](*values)
            answer = child.answer(_CLOCK * limits.seconds)
        if answer is None:
            yield Lost(request["label"], *child.death(limits), request["size"])
        else:
            fit = answer["end"]
    finally:
        if fit:
            _idle.append(child)
        else:
            child.end()


class _Child:
    """A child process and the watch that ends it when it takes too long."""

    def __init__(self) -> None:
        self._process = children.start("daedal.data.documents.child")
        self._deadline = math.inf
        self._late = False
        self._done = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Its first answer to a request; `None` where it is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(_line(request))
            self._process.stdin.flush()
        except OSError:
            return None
        return self.answer(seconds)

    def answer(self, seconds: float) -> dict[str, Any] | None:
        """Its next answer; `None` where it is gone, or was ended since it took more than so many seconds."""
        assert self._process.stdout is not None
        self._deadline = time.monotonic() + seconds
        line = self._process.stdout.readline()
        self._deadline = math.inf  # whoever uses the answer may take their time
        if not line.endswith(b"\n"):
            return None
        answer: dict[str, Any] = json.loads(line.decode("utf-8", "surrogatepass"))
        return answer

    def too_slow(self) -> bool:
        """Whether it is gone since it took too long."""
        return self._process.wait() == -getattr(signal, "SIGXCPU", 0) or self._late

    def idle(self) -> bool:
        """Whether it is there to be asked."""
        return self._process.poll() is None

    def death(self, limits: Limits) -> tuple[str, str]:
        """Why it is gone, for `Lost`."""
        code = self._process.wait()
        if self.too_slow():
            return "too slow to read", f"more than {limits.seconds} seconds of work: refused as hostile"
        return "broken file", f"its reader broke off ({-code if code < 0 else code}): hostile, or beyond its memory"

    def end(self) -> None:
        """Kill it, whatever it is at."""
        self._done.set()
        children.end([self._process])

    def _watch(self) -> None:
        while not self._done.wait(0.5) and self._process.poll() is None:
            if time.monotonic() > self._deadline:
                self._late = True
                self._process.kill()
                return


_idle: list[_Child] = []


def _take() -> tuple[_Child, bool]:
    """A child that waits for work, and whether it did some before; else a new one."""
    while True:
        try:
            child = _idle.pop()
        except IndexError:
            return _Child(), False
        if child.idle():
            return child, True
        child.end()


@atexit.register
def _end_idle() -> None:
    while _idle:
        _idle.pop().end()


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


@contextlib.contextmanager
def _on_disk(stream: BinaryIO) -> Iterator[str]:
    """The path of a file with what a stream holds: its own, or a copy's that goes when this ends."""
    if isinstance(stream, io.BufferedReader) and isinstance(stream.raw, io.FileIO) and isinstance(stream.name, str):
        yield os.path.abspath(stream.name)
        return
    descriptor, path = tempfile.mkstemp(prefix="daedal-")
    try:
        with open(descriptor, "wb") as copy:
            shutil.copyfileobj(stream, copy, _COPY_BLOCK)
        yield path
    finally:
        os.unlink(path)
