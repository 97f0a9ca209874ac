"""Mailboxes (RFC 4155 and what programs make of it), streamed: a mail at a time is in memory, whatever the size of the
box."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from daedal.data.document import Event, Lost, Omitted
from daedal.data.documents.mail import read_message
from daedal.data.plain_text import MOST_AT_ONCE

_FROM = re.compile(rb"From .*\d\d:\d\d")
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
_LINE = 2**20


def read(label: str, stream: BinaryIO, size: int, encoding: str | None) -> Iterator[Event]:
    """The documents in a mailbox, by the place of the mail in it."""
    omitted = Counter[str]()
    for row, message in enumerate(_messages(stream)):
        if message is None:
            detail = f"mail {row} is larger than {MOST_AT_ONCE >> 20} MiB"
            yield Lost(label, "too large", detail, MOST_AT_ONCE, broken=False)
            continue
        try:
            for event in read_message(label, row, message, encoding):
                if isinstance(event, Omitted):
                    omitted[event.what] += event.number
                else:
                    yield event
        except Exception as error:  # of a mail that is broken in a new way; the next are read
            yield Lost(label, "broken mail", f"mail {row}: {error or type(error).__name__}", len(message), broken=False)
    yield from (Omitted(what, number) for what, number in omitted.items())


def _messages(stream: BinaryIO) -> Iterator[bytes | None]:
    """Each mail without its line of `From `; `None` for one that is too large.

    Raises:
        ValueError: it is no mailbox.
    """
    line = stream.readline(_LINE)
    while line and not line.strip():
        line = stream.readline(_LINE)
    if line and not line.startswith(b"From "):
        raise ValueError("it is no mailbox: it does not begin with a line of From")
    lines, held, blank, whole = list[bytes](), 0, False, True
    while line := stream.readline(_LINE):
        if blank and _FROM.match(line):
            yield _ESCAPED.sub(rb"\1", b"".join(lines)) if held <= MOST_AT_ONCE else None
            lines, held = [], 0
        else:
            held += len(line)
            if held <= MOST_AT_ONCE:
                lines.append(line)
            else:
                lines.clear()
        blank = whole and line in (b"\n", b"\r\n")
        whole = line.endswith(b"\n")
    if lines or held:
        yield _ESCAPED.sub(rb"\1", b"".join(lines)) if held <= MOST_AT_ONCE else None
