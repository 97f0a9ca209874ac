"""Files of text -> documents: a file is one, whole or, where it is long, in parts; or its lines, for those who read rows."""

import io
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from daedal.data.decode import Decoder, is_binary
from daedal.data.document import Coded, Event, Lost, Raw
from daedal.data.filetypes import FileType

PART = 8 * 2**20  # a longer text is read, and kept, in parts of about so many bytes
MOST_AT_ONCE = 64 * 2**20  # what must be in memory whole (a web page, a JSON value, a line) and is longer is not one
_BLOCK = 2**20


class TooLargeError(Exception):
    """What must be in memory whole is too large for that."""


def read_whole(stream: BinaryIO) -> bytes:
    """All that a stream holds.

    Raises:
        TooLargeError: it is more than fits.
    """
    data = stream.read(MOST_AT_ONCE + 1)
    if len(data) > MOST_AT_ONCE:
        raise TooLargeError(f"more than {MOST_AT_ONCE >> 20} MiB, which must be read at once")
    return data


def read_text(label: str, stream: BinaryIO, type_: FileType, encoding: str | None) -> Iterator[Event]:
    """A text file, whole or, where it is long, in parts that end at the end of a line."""
    data = stream.read(PART)
    following = stream.read(PART) if len(data) >= PART else b""
    if not following:
        yield from whole_text(label, data, type_, encoding)
        return
    if is_binary(data[:8192]):
        yield Lost(label, "binary", "not text by its first bytes", len(data), broken=False)
        return
    decoder = Decoder(encoding)
    rest, number = "", 0
    while data:
        text = rest + decoder.decode(data, final=not following)
        cut = len(text) if not following else _last_line_end(text)
        if cut:
            yield Raw(label, number, text[:cut], type_.form, type_.name, part=True)
            number += 1
        rest = text[cut:]
        data, following = following, stream.read(PART) if following else b""
    if rest:
        yield Raw(label, number, rest, type_.form, type_.name, part=True)
    yield Coded(label, decoder.encoding, decoder.replaced)


def whole_text(label: str, data: bytes, type_: FileType, encoding: str | None) -> Iterator[Event]:
    """The document that the bytes of a file are."""
    if is_binary(data[:8192]):
        yield Lost(label, "binary", "not text by its first bytes", len(data), broken=False)
        return
    decoder = Decoder(encoding)
    yield Raw(label, -1, decoder.decode(data, final=True), type_.form, type_.name)
    yield Coded(label, decoder.encoding, decoder.replaced)


def lines_of(stream: BinaryIO, decoder: Decoder) -> Iterator[str]:
    """The lines of a stream, as in `blocks_of_lines`."""
    return chain.from_iterable(blocks_of_lines(stream, decoder))


def blocks_of_lines(stream: BinaryIO, decoder: Decoder) -> Iterator[list[str]]:
    """The lines of a stream, those of about a megabyte at once, each with the `\\n` at its end.

    Other characters that some call line ends (U+0085, U+2028) are text. A line that is longer than can be held comes in pieces.
    """
    ends = io.IncrementalNewlineDecoder(None, translate=True)
    rest, held = list[str](), 0
    while block := stream.read(_BLOCK):
        text = ends.decode(decoder.decode(block))
        if cut := text.rfind("\n") + 1:
            yield list(io.StringIO("".join((*rest, text[:cut]))))
            rest, held = [text[cut:]], 0
        else:
            rest.append(text)
            held += len(text)
            if held > MOST_AT_ONCE:
                yield ["".join(rest)]
                rest, held = [], 0
    rest.append(ends.decode(decoder.decode(b"", final=True), final=True))
    if any(rest):
        yield list(io.StringIO("".join(rest)))


def _last_line_end(text: str) -> int:
    """Where a part may end: after the last line end, else after the last space, else anywhere but inside a line end."""
    for end in ("\n", " "):
        if place := text.rfind(end) + 1:
            return place
    return len(text) - text.endswith("\r")
