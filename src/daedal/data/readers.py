"""A stream of bytes and its name -> the raw documents in it, through archives and compression, in bounded memory."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from daedal.data import archives
from daedal.data.decode import detect, is_binary
from daedal.data.document import Lost, Note, Raw
from daedal.data.filetypes import FileType, file_type, inner_name
from daedal.data.tables import read_csv, read_json, read_jsonl, read_parquet

PART = 8 * 2**20  # a longer text is read, and kept, in parts of about so many bytes
_WHOLE = 64 * 2**20  # a web page or JSON array longer than this is not one

Event = Raw | Lost | Note


class Reading(NamedTuple):
    """What the user said about how files are read."""

    field: str | None = None
    encoding: str | None = None


def read_stream(
    label: str,
    stream: BinaryIO,
    size: int,
    reading: Reading,
    name: str | None = None,
    budget: archives.Budget | None = None,
    depth: int = 0,
) -> Iterator[Event]:
    """The documents in a stream called `label`; what is broken comes as `Lost`.

    Args:
        label: its name, as shown to people.
        stream: its bytes.
        size: how many bytes it has on disk, to tell a bomb by.
        reading: what the user said.
        name: the name that says its type, where that is not the label: `a.txt` inside `a.txt.gz`.
        budget: what the archive around it may still unpack to.
        depth: how many archives are around it.
    """
    name = name or label
    type_ = file_type(name)
    budget = budget or archives.Budget(size)
    try:
        if type_.reader in ("zip", "tar", "compressed") and depth == archives.MAX_DEPTH:
            yield Lost(label, "nested too deeply", f"more than {archives.MAX_DEPTH} archives in each other", size)
        elif type_.reader == "compressed":
            opened = archives.unpack(type_.name, stream, budget)
            yield from read_stream(label, opened, size, reading, inner_name(name), budget, depth + 1)
        elif type_.reader in ("zip", "tar"):
            members = archives.zip_members if type_.reader == "zip" else archives.tar_members
            for member, opened_or_lost in members(label, stream, budget):
                if isinstance(opened_or_lost, Lost):
                    yield opened_or_lost
                else:
                    inside = f"{label}!{member}"
                    yield from read_stream(inside, opened_or_lost, size, reading, member, budget, depth + 1)
        else:
            yield from _read_plain(label, stream, size, type_, reading)
    except archives.BombError as error:
        if depth:  # the whole archive is refused, not only the member at which it was noticed
            raise
        yield Lost(label, "archive bomb", str(error), size)
    except archives.BROKEN as error:
        yield Lost(label, "broken file", str(error).splitlines()[0][:200] if str(error) else "truncated", size)


def _read_plain(label: str, stream: BinaryIO, size: int, type_: FileType, reading: Reading) -> Iterator[Event]:
    match type_.reader:
        case "none":
            yield Lost(label, "binary", "not text by its name", size, broken=False)
        case "jsonl":
            yield from read_jsonl(label, stream, reading.field, reading.encoding)
        case "csv":
            yield from read_csv(label, stream, reading.field, ",", reading.encoding)
        case "tsv":
            yield from read_csv(label, stream, reading.field, "\t", reading.encoding)
        case "parquet":
            yield from read_parquet(label, archives.seekable(stream), reading.field)
        case "html" | "json":
            data = stream.read(_WHOLE + 1)
            if len(data) > _WHOLE:
                yield Lost(label, "too large", f"{type_.name} of more than {_WHOLE >> 20} MiB", size)
                return
            rows = read_json(label, data, reading.field) if type_.reader == "json" else None
            yield from rows if rows is not None else _whole_text(label, data, type_)
        case _:
            yield from _read_text(label, stream, type_, reading)


def _whole_text(label: str, data: bytes, type_: FileType) -> Iterator[Event]:
    if is_binary(data[:8192]):
        yield Lost(label, "binary", "not text by its first bytes", len(data), broken=False)
    else:
        yield Raw(label, -1, data, type_.form, type_.name)


def _read_text(label: str, stream: BinaryIO, type_: FileType, reading: Reading) -> Iterator[Event]:
    """A text file, whole or, where it is long, in parts that end at the end of a line."""
    data = stream.read(PART)
    if len(data) < PART and (more := stream.read(PART - len(data))):  # some streams give less than there is
        data += more
    following = stream.read(PART) if len(data) >= PART else b""
    if not following:
        yield from _whole_text(label, data, type_)
        return
    if is_binary(data[:8192]):
        yield Lost(label, "binary", "not text by its first bytes", len(data), broken=False)
        return
    decoder = codecs.getincrementaldecoder(reading.encoding or detect(data))(errors="replace")
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


def _last_line_end(text: str) -> int:
    """Where a part may end: after the last line end, else after the last space, else anywhere but inside a line end."""
    for end in ("\n", " "):
        if place := text.rfind(end) + 1:
            return place
    return len(text) - text.endswith("\r")
