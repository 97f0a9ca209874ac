"""One unit of sources -> chunks of clean documents with hashes and sketches. Runs in any process, goes on where it stopped."""

from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Any, Protocol

import numpy as np

from daedal.config import Config
from daedal.data.clean import documents_of, mask, text_of
from daedal.data.document import Event, Raw
from daedal.data.options import SPLITS, BuildOptions
from daedal.data.quality import Preset, fault
from daedal.data.readers import Reading
from daedal.data.sketch import sketch
from daedal.data.sources import Unit, read_item
from daedal.data.spool import Chunk, Spool, Tally

CHUNK_BYTES = 8 * 2**20


class Cleaning(Config):
    """What ingestion does with documents; the same for all units of a build."""

    options: BuildOptions
    prose_rules: Preset
    sketches: bool


def ingest(unit: Unit, cleaning: Cleaning, spool: Spool, progress: Callable[[int], None]) -> int:
    """Read a unit to its end into chunks.

    Args:
        unit: what to read.
        cleaning: what to do with its documents.
        spool: where the chunks go; those that are there already are kept.
        progress: called with the bytes of text that each chunk adds.

    Returns:
        The number of chunks.
    """
    options = cleaning.options
    reading = Reading(options.field, options.encoding)
    events = (event for item in unit.items for event in read_item(item, reading))
    return fill(unit, events, _Builder(unit, cleaning), spool, progress)


class Builder(Protocol):
    """Collects what readers give until it makes a chunk.

    Attributes:
        size: bytes that were collected.
        consumed: how much readers gave for them.
    """

    size: int
    consumed: int

    def add(self, event: Any) -> None: ...
    def flush(self, spool: Spool, number: int) -> None: ...


def fill(unit: Unit, events: Iterator[Any], builder: Builder, spool: Spool, progress: Callable[[int], None]) -> int:
    """What readers give of a unit -> chunks; those that are there already are kept. Gives their number."""
    if (done := spool.finished(unit.number)) is not None:
        return done
    number = spool.count(unit.number)
    skip = sum(spool.chunk(unit.number, each).consumed for each in range(number))
    for event in islice(events, skip, None):
        builder.add(event)
        if builder.size >= CHUNK_BYTES:
            progress(builder.size)
            builder.flush(spool, number)
            number += 1
    if builder.consumed:
        progress(builder.size)
        builder.flush(spool, number)
        number += 1
    spool.finish(unit.number, number)
    return number


class _Builder:
    """Collects documents until they make a chunk."""

    def __init__(self, unit: Unit, cleaning: Cleaning) -> None:
        self._unit = unit
        self._cleaning = cleaning
        self._held_out = unit.role != "train"
        self._clear()

    def _clear(self) -> None:
        self.size = 0
        self.consumed = 0
        self._texts: list[bytes] = []
        self._characters: list[int] = []
        self._files: list[int] = []
        self._rows: list[int] = []
        self._parts: list[int] = []
        self._labels: dict[str, int] = {}
        self._tally = Tally()

    def add(self, event: Event) -> None:
        self.consumed += 1
        if isinstance(event, Raw):
            self._add_raw(event)
        else:
            self._tally.record(event)

    def _add_raw(self, raw: Raw) -> None:
        options = self._cleaning.options
        text, mended = text_of(raw, options.mend, options.unicode)
        if mended:
            self._tally.count("mended", "mojibake")
        file = self._labels.setdefault(raw.label, len(self._labels))
        for place, piece in enumerate(documents_of(text, options.document)):
            row = raw.row if options.document == "file" else place
            self._add_document(piece, file, row, raw)

    def _add_document(self, text: str, file: int, row: int, raw: Raw) -> None:
        options = self._cleaning.options
        if not text or text.isspace():
            if options.document == "file":
                self._drop("empty", text, raw)
            return
        if not self._held_out:
            if options.min_characters > 1 and len(text) - sum(map(str.isspace, text)) < options.min_characters:
                self._drop("too short", text, raw)
                return
            rules = "off" if raw.form == "code" else self._cleaning.prose_rules
            if reason := fault(text, rules):
                self._drop(reason, text, raw)
                return
        if options.mask:
            found: Counter[str] = Counter()
            text = mask(text, options.mask, found)
            for kind, number in found.items():
                self._tally.count("masked", kind, number)
        encoded = text.encode()
        self._texts.append(encoded)
        self._characters.append(len(text))
        self._files.append(file)
        self._rows.append(row)
        self._parts.append(raw.part and options.document == "file")
        self.size += len(encoded)
        self._tally.count("types", raw.type)

    def _drop(self, reason: str, text: str, raw: Raw) -> None:
        where = raw.label if raw.row < 0 else f"{raw.label}#{raw.row}"
        self._tally.drop(reason, len(text), f"{where}: {' '.join(text[:80].split())}" if text.strip() else where)

    def flush(self, spool: Spool, number: int) -> None:
        text = b"".join(self._texts)
        ends = np.cumsum([len(each) for each in self._texts], dtype=np.int64)
        digests = b"".join([blake2b(each, digest_size=16).digest() for each in self._texts])
        sketched, sketches = sketch(text, ends, enabled=self._cleaning.sketches)
        chunk = Chunk(
            ends=ends,
            characters=np.array(self._characters, dtype=np.int64),
            hashes=np.frombuffer(digests, dtype="<u8").reshape(-1, 2),
            roles=np.full(len(ends), SPLITS.index(self._unit.role), dtype=np.int8),
            files=np.array(self._files, dtype=np.int32),
            rows=np.array(self._rows, dtype=np.int64),
            parts=np.array(self._parts, dtype=np.int8),
            sketched=sketched,
            sketches=sketches,
            labels=tuple(self._labels),
            consumed=self.consumed,
            tally=self._tally,
        )
        spool.write(self._unit.number, number, text, chunk)
        self._clear()


def each_document(text: bytes, ends: np.ndarray) -> Iterator[bytes]:
    """The documents of a chunk's text."""
    begin = 0
    for end in ends.tolist():
        yield text[begin:end]
        begin = end
