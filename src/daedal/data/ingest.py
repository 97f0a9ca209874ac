"""One unit of sources -> chunks of clean examples in the spool, with hashes and sketches: the first stage of a build.

It runs in any process and goes on where it stopped. How a document, or an example with columns, is cleaned and packed is said
by what derives from `Chunks`. Next stage: `corpus`.
"""

from collections.abc import Callable
from itertools import islice
from operator import is_
from typing import Any

import numpy as np

from daedal.data.document import Example, Raw
from daedal.data.kind import Kind
from daedal.data.licence_search import is_licence_file, recognise_licence
from daedal.data.opt_out import REASON, opt_out_list
from daedal.data.options import SPLITS
from daedal.data.sketch import sketch
from daedal.data.sources import Unit
from daedal.data.split import patterns_of, role_of
from daedal.data.spool import Chunk, Spool, Tally

CHUNK_BYTES = 8 * 2**20


class Chunks:
    """Collects what readers give until it makes a chunk.

    Attributes:
        size: bytes that were collected.
        consumed: how much readers gave for them.
    """

    def __init__(self, unit: Unit, kind: Kind, options: Any) -> None:
        self.unit, self.kind, self.options = unit, kind, options
        self._patterns = patterns_of(options)
        self._listed = None if options.opt_out is None else opt_out_list(options.opt_out)
        self._clear()

    def _clear(self) -> None:
        self.size = self.consumed = 0
        self.tally = Tally()
        self._packed: list[bytes] = []
        self._words: list[bytes] = []
        self._characters: list[int] = []
        self._digests: list[bytes] = []
        self._roles: list[int] = []
        self._files: list[int] = []
        self._rows: list[int] = []
        self._parts: list[bool] = []
        self._labels: dict[str, int] = {}

    def take(self, found: Any) -> None:
        """Clean an example, and `put` what becomes of it."""
        raise NotImplementedError

    def add(self, found: Any) -> None:
        """Collect an example, or word of what was lost or decided."""
        self.consumed += 1
        if isinstance(found, Raw | Example):
            if self._listed is not None and (line := self._listed.of(found)) is not None:
                where = found.label if found.row < 0 else f"{found.label}#{found.row}"
                self.tally.drop(REASON, 0, f"{where}: line {line} of the list")
                self.tally.count(REASON, str(line))
                return
            if isinstance(found, Raw) and "!" in found.label and is_licence_file(found.label):
                licence = recognise_licence(found.text)
                if licence is not None:
                    self.tally.count("archived licences", f"{found.label.partition('!')[0]}\t{licence}")
            self.take(found)
        else:
            self.tally.record(found)

    def put(
        self,
        packed: bytes,
        words: bytes,
        characters: int,
        digest: bytes,
        label: str,
        row: int,
        role: int = 0,
        part: bool = False,
    ) -> None:
        """Collect an example, packed; `words` are what is compared for near copies."""
        self._packed.append(packed)
        self._words.append(words)
        self._characters.append(characters)
        self._digests.append(digest)
        self._roles.append(SPLITS.index(self.unit.role) or role_of(label, self._patterns) or role)
        self._files.append(self._labels.setdefault(label, len(self._labels)))
        self._rows.append(row)
        self._parts.append(part)
        self.size += len(packed)

    def flush(self, spool: Spool, number: int) -> None:
        """Write what was collected as a chunk of the unit."""
        packed = b"".join(self._packed)
        alike = all(map(is_, self._packed, self._words))  # so running text is not held twice
        words = packed if alike else b"".join(self._words)
        ends = np.cumsum([len(each) for each in self._words], dtype=np.int64)
        sketched, sketches = sketch(words, ends, enabled=bool(words) and self.options.near_duplicates != "off")
        chunk = Chunk(
            ends=ends if alike else np.cumsum([len(each) for each in self._packed], dtype=np.int64),
            characters=np.array(self._characters, dtype=np.int64),
            hashes=np.frombuffer(b"".join(self._digests), dtype="<u8").reshape(-1, 2),
            roles=np.array(self._roles, dtype=np.int8),
            files=np.array(self._files, dtype=np.int32),
            rows=np.array(self._rows, dtype=np.int64),
            parts=np.array(self._parts, dtype=np.int8),
            sketched=sketched,
            sketches=sketches,
            labels=tuple(self._labels),
            consumed=self.consumed,
            tally=self.tally,
        )
        spool.write(self.unit.number, number, packed, chunk)
        self._clear()


def ingest(chunks: Chunks, spool: Spool, progress: Callable[[int], None]) -> int:
    """Read a unit to its end into chunks; those that are there already are kept. Gives their number.

    Args:
        progress: called with the bytes that each chunk adds.
    """
    unit = chunks.unit
    if (done := spool.finished(unit.number)) is not None:
        return done
    number = spool.count(unit.number)
    skip = sum(spool.chunk(unit.number, each).consumed for each in range(number))
    for found in islice(chunks.kind.read(unit.items, chunks.options), skip, None):
        chunks.add(found)
        if chunks.size >= CHUNK_BYTES:
            progress(chunks.size)
            chunks.flush(spool, number)
            number += 1
    if chunks.consumed:
        progress(chunks.size)
        chunks.flush(spool, number)
        number += 1
    spool.finish(unit.number, number)
    return number
