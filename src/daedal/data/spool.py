"""Cleaned documents on their way through a build, in chunks of a few megabytes in the work area.

A chunk is two files: `{unit}-{chunk}.text` holds the UTF-8 of its documents end to end, `{unit}-{chunk}.npz` what is known of
each. The second is written last, so a chunk that has one is whole. Whatever the number of workers, the chunks are the same.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int8, Int32, Int64, UInt32, UInt64

from daedal.data.document import Coded, Lost, Mended, Note, Omitted
from daedal.files import atomic_path

Array = np.ndarray
EXAMPLES = 3


@dataclass
class Tally:
    """What happened to documents, counted: each reason with how many, how many bytes, and examples."""

    dropped: dict[str, list[Any]] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str, size: int, example: str) -> None:
        """Count something that was left out."""
        entry = self.dropped.setdefault(reason, [0, 0, []])
        entry[0] += 1
        entry[1] += size
        if len(entry[2]) < EXAMPLES:
            entry[2].append(example)

    def count(self, what: str, name: str, number: int = 1) -> None:
        """Count `name` under `what`."""
        self.counts.setdefault(what, Counter())[name] += number

    def note(self, text: str) -> None:
        """Remember a remark, once."""
        if text not in self.notes:
            self.notes.append(text)

    def record(self, event: Lost | Coded | Note | Omitted | Mended) -> None:
        """Count what a reader told beside documents."""
        if isinstance(event, Lost):
            self.drop(event.reason, event.bytes, f"{event.label}: {event.detail}")
            self.count("broken" if event.broken else "left", event.label)
        elif isinstance(event, Coded):
            self.count("encodings", event.encoding)
            if event.replaced:
                self.count("replaced", event.label, event.replaced)
        elif isinstance(event, Omitted):
            self.count("omitted", event.what, event.number)
        elif isinstance(event, Mended):
            self.count("mended", event.what, event.number)
        else:
            self.note(event.text)

    def omissions(self) -> list[str]:
        """What is to be told of pieces that documents were read without."""
        pieces = ", ".join(f"{count:,} {what}" for what, count in self.counts.get("omitted", Counter()).most_common())
        return [f"documents are read without what is no part of their text: {pieces}"] if pieces else []

    def coding(self, asked: str | None = None) -> list[str]:
        """What is to be told of encodings: those that were guessed, where none was `asked` for, and what did not fit."""
        lines = []
        guessed = {
            name: count for name, count in self.counts.get("encodings", {}).items() if not name.startswith("utf-")
        }
        if guessed and asked is None:
            files = ", ".join(f"{count:,} as {name}" for name, count in sorted(guessed.items()))
            lines.append(
                f"files not in Unicode are read by the look of their letters, {files} (--encoding chooses another)"
            )
        if replaced := self.counts.get("replaced"):
            total, (label, most) = sum(replaced.values()), replaced.most_common(1)[0]
            where = label if len(replaced) == 1 else f"{len(replaced):,} files, {most:,} of them in {label}"
            lines.append(f"bytes that do not fit the encoding became U+FFFD: {total:,} in {where}")
        return lines

    def add(self, other: "Tally") -> None:
        """Add what another one counted."""
        for reason, (number, size, examples) in other.dropped.items():
            entry = self.dropped.setdefault(reason, [0, 0, []])
            entry[0] += number
            entry[1] += size
            entry[2] = (entry[2] + examples)[:EXAMPLES]
        for what, counter in other.counts.items():
            self.counts.setdefault(what, Counter()).update(counter)
        for text in other.notes:
            self.note(text)

    def to_json(self) -> str:
        """As JSON."""
        return json.dumps({"dropped": self.dropped, "counts": self.counts, "notes": self.notes})

    @classmethod
    def from_json(cls, text: str) -> "Tally":
        """From what `to_json` gave."""
        value = json.loads(text)
        counts = {what: Counter(counter) for what, counter in value["counts"].items()}
        return cls(value["dropped"], counts, value["notes"])


@dataclass(frozen=True)
class Chunk:
    """What is known of the documents in one chunk.

    Attributes:
        ends: where each document ends in the chunk's text, in bytes.
        characters: of each document.
        hashes: BLAKE2b-128 of each document's UTF-8, as two words.
        roles: 0 for documents to be drawn into splits, 1 validation, 2 test.
        files: the number of each document's file in `labels`.
        rows: its row in that file, -1 where it is the file.
        parts: whether it is a part of a longer text.
        sketched: which documents have a MinHash sketch.
        sketches: the sketches, 128 words each.
        labels: names of files.
        consumed: raw documents of the unit that this chunk was made from.
        tally: what was counted on the way.
    """

    ends: Int64[Array, " documents"]
    characters: Int64[Array, " documents"]
    hashes: UInt64[Array, "documents 2"]
    roles: Int8[Array, " documents"]
    files: Int32[Array, " documents"]
    rows: Int64[Array, " documents"]
    parts: Int8[Array, " documents"]
    sketched: Int64[Array, " sketches"]
    sketches: UInt32[Array, "sketches 128"]
    labels: tuple[str, ...]
    consumed: int
    tally: Tally

    @property
    def bytes(self) -> Int64[Array, " documents"]:
        """Bytes of each document."""
        return np.diff(self.ends, prepend=0)


_ARRAYS = ("ends", "characters", "hashes", "roles", "files", "rows", "parts", "sketched", "sketches")


class Spool:
    """The chunks in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, unit: int, number: int, text: bytes, chunk: Chunk) -> None:
        """Write a chunk: whole or not at all."""
        with atomic_path(self.text_path(unit, number)) as path:
            path.write_bytes(text)
        meta = json.dumps({"labels": chunk.labels, "consumed": chunk.consumed, "tally": chunk.tally.to_json()})
        arrays = {name: getattr(chunk, name) for name in _ARRAYS}
        with atomic_path(self._meta_path(unit, number)) as path, path.open("wb") as file:
            np.savez(file, allow_pickle=False, meta=np.frombuffer(meta.encode(), dtype=np.uint8), **arrays)

    def finish(self, unit: int, chunks: int) -> None:
        """Mark a unit as read to its end."""
        with atomic_path(self.folder / f"{unit:06d}.done") as path:
            path.write_text(str(chunks))

    def finished(self, unit: int) -> int | None:
        """The number of chunks of a unit that was read to its end, else `None`."""
        path = self.folder / f"{unit:06d}.done"
        return int(path.read_text()) if path.exists() else None

    def count(self, unit: int) -> int:
        """Whole chunks of a unit, from its first on."""
        number = 0
        while self._meta_path(unit, number).exists():
            number += 1
        return number

    def chunk(self, unit: int, number: int) -> Chunk:
        """What is known of a chunk's documents."""
        with np.load(self._meta_path(unit, number), allow_pickle=False) as file:
            meta = json.loads(file["meta"].tobytes())
            arrays = {name: file[name] for name in _ARRAYS}
        return Chunk(
            labels=tuple(meta["labels"]), consumed=meta["consumed"], tally=Tally.from_json(meta["tally"]), **arrays
        )

    def text(self, unit: int, number: int) -> bytes:
        """The UTF-8 of a chunk's documents, end to end."""
        return self.text_path(unit, number).read_bytes()

    def chunks(self, units: int) -> Iterator[tuple[int, int]]:
        """All chunks of the first `units` units, in order."""
        for unit in range(units):
            for number in range(self.finished(unit) or 0):
                yield unit, number

    def text_path(self, unit: int, number: int) -> Path:
        """Where a chunk's text lies."""
        return self.folder / f"{unit:06d}-{number:05d}.text"

    def _meta_path(self, unit: int, number: int) -> Path:
        return self.folder / f"{unit:06d}-{number:05d}.npz"


def each_document(text: bytes, ends: np.ndarray) -> Iterator[bytes]:
    """The documents of a chunk's text."""
    begin = 0
    for end in ends.tolist():
        yield text[begin:end]
        begin = end
