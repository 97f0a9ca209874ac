"""The program that reads documents for `sandbox`: a request a line on standard input, its events a line each, then `end`."""

import contextlib
import json
import math
import os
import select
import sys
import time
from collections.abc import Iterator
from typing import Any, TextIO

from daedal.data import children
from daedal.data.archives import BombError, Budget
from daedal.data.document import Event, Lost, Raw
from daedal.data.documents.formats import FORMATS
from daedal.data.documents.package import LockedError
from daedal.data.plain_text import TooLargeError

_IDLE = 60  # seconds without a request after which it ends


def main() -> None:
    """Answer requests until there are no more, or nobody is there to be answered."""
    answers = children.answers()
    answers.reconfigure(errors="surrogatepass")  # type: ignore[attr-defined]
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # what a file makes libraries complain of is told by `Lost`
    begun = _memory()
    try:
        while sys.platform == "win32" or select.select([sys.stdin], [], [], _IDLE)[0]:
            line = sys.stdin.buffer.readline()
            if not line or not _answer(json.loads(line.decode("utf-8", "surrogatepass")), begun, answers):
                return
    except BrokenPipeError:
        os._exit(0)


def _answer(request: dict[str, Any], begun: int, answers: TextIO) -> bool:
    """Answer a request; whether another can come, or this one left too much behind in memory, which had `begun` so large."""
    seconds, memory = request["seconds"], request["memory"]
    if begun:
        _limit_memory(begun + memory)
    _allow(seconds)
    for line in _lines(request):
        print(line, file=answers)
        _allow(seconds)
    fit: bool = _memory() < begun + memory // 4
    print(json.dumps({"end": fit}), file=answers)
    return fit


def _lines(request: dict[str, Any]) -> Iterator[str]:
    """The events of a file, as answers; what its reader raises is one too."""
    label, size = request["label"], request["size"]

    def lost(reason: str, detail: str) -> str:
        return _line(Lost(label, reason, _printable(detail), size))

    budget = Budget(size)  # a small file can also say the same thing a million times
    try:
        with open(request["path"], "rb") as stream:
            for event in FORMATS[request["format"]].reader()(label, stream, size, request["encoding"]):
                if isinstance(event, Raw):
                    budget.spend(len(event.text))
                yield _line(event._replace(detail=_printable(event.detail)) if isinstance(event, Lost) else event)
    except BombError as error:
        yield lost("archive bomb", str(error))
    except TooLargeError as error:
        yield lost("too large", str(error))
    except LockedError as error:
        yield lost("encrypted", str(error))
    except MemoryError:
        yield lost("too large", f"to be read within {request['memory'] >> 20:,} MiB of memory")
    except RecursionError:
        yield lost("nested too deeply", "to be read")
    except Exception as error:  # what a hostile file makes of a reader can be anything
        yield lost("broken file", (str(error).splitlines() or [""])[0] or type(error).__name__)


def _line(event: Event) -> str:
    return json.dumps({type(event).__name__: event}, ensure_ascii=False)


def _printable(text: str) -> str:
    """What a file says of itself, that it does nothing to a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:200])


def _memory() -> int:
    """Bytes of addresses that this process has; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _limit_memory(most: int) -> None:
    """How many bytes of addresses this process may have."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # there are systems without such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _allow(seconds: int) -> None:
    """So many seconds of processor time from now on; then the system ends this process."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        used = math.ceil(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    main()
