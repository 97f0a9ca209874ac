"""The server's log: a line for each thing that happened, whatever a client has put into it."""

import logging
import sys
from types import TracebackType
from typing import TextIO

from daedal.serving.errors import escaped


class Lines(logging.Formatter):
    """What a client sent cannot make lines of its own, nor colour a terminal. Tracebacks stand below their line, indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return escaped(super().formatMessage(record))

    def formatException(  # noqa: N802
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return "\n".join("  | " + escaped(line) for line in super().formatException(ei).split("\n"))


def begin(stream: TextIO = sys.stderr) -> None:
    """Write the log from now on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
