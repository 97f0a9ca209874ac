"""All documents of a build at once: what must be known of each to find duplicates and draw splits, and no text."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int8, Int64, UInt64

from daedal.data.sketch import WORDS
from daedal.data.spool import Spool, Tally, each_document

Array = np.ndarray


@dataclass(frozen=True)
class Corpus:
    """The documents of all chunks in order; about 60 bytes each.

    Attributes:
        chunks: the chunks, as unit and number.
        firsts: the first document of each chunk, and last the number of documents.
        hashes: BLAKE2b-128 of the text, as two words.
        bytes: of UTF-8.
        characters: of text.
        roles: 0 for documents to be drawn into splits, 1 validation, 2 test.
        groups: the first document of the text that this one is a part of; itself, mostly.
        sketched: documents with a MinHash sketch.
        sketches: their sketches, memory-mapped.
        tally: what was counted while reading.
    """

    chunks: tuple[tuple[int, int], ...]
    firsts: Int64[Array, " chunks_and_one"]
    hashes: UInt64[Array, "documents 2"]
    bytes: Int64[Array, " documents"]
    characters: Int64[Array, " documents"]
    roles: Int8[Array, " documents"]
    groups: Int64[Array, " documents"]
    sketched: Int64[Array, " sketches"]
    sketches: np.ndarray
    tally: Tally

    def __len__(self) -> int:
        return len(self.bytes)

    def only(self, chosen: Bool[Array, " documents"]) -> "Corpus":
        """What is known of some documents, none of which is a part of another; without the chunks in which they are."""
        place = np.cumsum(chosen) - 1
        mine = chosen[self.sketched]
        columns = {name: getattr(self, name)[chosen] for name in ("hashes", "bytes", "characters", "roles")}
        return replace(
            self, chunks=(), firsts=np.zeros(1, dtype=np.int64), groups=np.arange(int(chosen.sum())),
            sketched=place[self.sketched[mine]], sketches=self.sketches[mine], **columns,
        )  # fmt: skip


def gather(spool: Spool, units: int, scratch: Path) -> Corpus:
    """Join what is known of all documents.

    Args:
        spool: the chunks.
        units: how many units there are.
        scratch: a file for the sketches, which are many.
    """
    chunks = tuple(spool.chunks(units))
    tally = Tally()
    columns: dict[str, list[Array]] = {
        name: [] for name in ("hashes", "bytes", "characters", "roles", "groups", "sketched")
    }
    total = 0
    firsts = [0]
    last_part: tuple[str, int] | None = None
    with scratch.open("wb") as file:
        for unit, number in chunks:
            chunk = spool.chunk(unit, number)
            count = len(chunk.ends)
            groups = np.arange(total, total + count)
            for place in np.flatnonzero(chunk.parts):
                label = chunk.labels[chunk.files[place]]
                first = last_part[1] if last_part is not None and last_part[0] == label else total + int(place)
                last_part = (label, first)
                groups[place] = first
            columns["hashes"].append(chunk.hashes)
            columns["bytes"].append(chunk.bytes)
            columns["characters"].append(chunk.characters)
            columns["roles"].append(chunk.roles)
            columns["groups"].append(groups)
            columns["sketched"].append(chunk.sketched + total)
            file.write(chunk.sketches.tobytes())
            tally.add(chunk.tally)
            total += count
            firsts.append(total)
    joined = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in columns.items()}
    rows = len(joined["sketched"])
    sketches = np.memmap(scratch, dtype=np.uint32, mode="r", shape=(rows, WORDS)) if rows else np.zeros((0, WORDS))
    return Corpus(
        chunks=chunks,
        firsts=np.array(firsts, dtype=np.int64),
        sketches=sketches,
        tally=tally,
        **joined,
    )


def each_of(corpus: Corpus, spool: Spool, chosen: Bool[Array, " documents"]) -> Iterator[tuple[int, bytes]]:
    """The documents that are chosen, in order: the number of each among all, and itself as the spool holds it."""
    for place, (unit, number) in enumerate(corpus.chunks):
        first, last = int(corpus.firsts[place]), int(corpus.firsts[place + 1])
        if chosen[first:last].any():
            documents = each_document(spool.text(unit, number), np.cumsum(corpus.bytes[first:last]))
            yield from ((each, data) for each, data in enumerate(documents, first) if chosen[each])


def place_of(corpus: Corpus, document: int) -> tuple[int, int, int]:
    """The unit, the chunk and the place in the chunk of a document."""
    chunk = int(np.searchsorted(corpus.firsts, document, side="right")) - 1
    unit, number = corpus.chunks[chunk]
    return unit, number, document - int(corpus.firsts[chunk])


def name_of(corpus: Corpus, spool: Spool, document: int) -> str:
    """Where a document is from."""
    unit, number, place = place_of(corpus, document)
    chunk = spool.chunk(unit, number)
    row = int(chunk.rows[place])
    return str(chunk.labels[chunk.files[place]]) + (f"#{row}" if row >= 0 else "")
