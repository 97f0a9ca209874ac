"""Examples on their way through a build: packed into the chunks of the spool, as documents of text are.

An example is its columns in the order of its kind's, each with its length before it (4 bytes, little-endian; the largest number
for one that it has not). Hashes are of its key columns, sketches of the words of those that are compared.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np

from daedal.data.clean import mask, normalise
from daedal.data.columns import Classes, Column, Dense, Numbers
from daedal.data.corpus import Corpus
from daedal.data.decode import mend_text
from daedal.data.document import Example
from daedal.data.example_options import ExampleOptions
from daedal.data.ingest import each_document, fill
from daedal.data.kind import Found, Kind
from daedal.data.options import SPLITS
from daedal.data.sketch import sketch
from daedal.data.sources import Unit
from daedal.data.spool import Chunk, Spool, Tally

_NONE = 2**32 - 1


def pack(kind: Kind, values: Mapping[str, Any]) -> bytes:
    """An example as bytes."""
    parts = []
    for name, column in kind.columns.items():
        value = values.get(name)
        data = b"" if value is None else column.pack(value)
        parts += [(_NONE if value is None else len(data)).to_bytes(4, "little"), data]
    return b"".join(parts)


def unpack(kind: Kind, data: bytes) -> dict[str, Any]:
    """The example that `pack` gave."""
    values, place = {}, 0
    for name, column in kind.columns.items():
        size = int.from_bytes(data[place : place + 4], "little")
        place += 4
        values[name] = None if size == _NONE else column.unpack(data[place : place + size])
        place += 0 if size == _NONE else size
    return values


def examples(kind: Kind, spool: Spool, corpus: Corpus, chosen: np.ndarray) -> Iterator[dict[str, Any]]:
    """The examples that are chosen, in order."""
    for place, (unit, number) in enumerate(corpus.chunks):
        first, last = int(corpus.firsts[place]), int(corpus.firsts[place + 1])
        if not chosen[first:last].any():
            continue
        ends = np.cumsum(corpus.bytes[first:last])
        for example, data in enumerate(each_document(spool.text(unit, number), ends), first):
            if chosen[example]:
                yield unpack(kind, data)


def ingest_examples(
    unit: Unit, kind: Kind, options: ExampleOptions, spool: Spool, progress: Callable[[int], None]
) -> int:
    """Read a unit to its end into chunks; those that are there already are kept. Gives the number of chunks."""
    return fill(unit, kind.read(unit.items, options), _Builder(unit, kind, options), spool, progress)


class _Builder:
    """Collects examples until they make a chunk."""

    def __init__(self, unit: Unit, kind: Kind, options: ExampleOptions) -> None:
        self._unit, self._kind, self._options = unit, kind, options
        self._clear()

    def _clear(self) -> None:
        self.size = self.consumed = 0
        self._packed: list[bytes] = []
        self._words: list[bytes] = []
        self._digests: list[bytes] = []
        self._roles: list[int] = []
        self._files: list[int] = []
        self._rows: list[int] = []
        self._labels: dict[str, int] = {}
        self._tally = Tally()

    def add(self, event: Found) -> None:
        self.consumed += 1
        if not isinstance(event, Example):
            self._tally.record(event)
            return
        kind, options = self._kind, self._options
        found: Counter[str] = Counter()
        clean = partial(_clean, options=options, tally=self._tally, found=found)
        values = {name: _value(column, event.values.get(name), clean) for name, column in kind.columns.items()}
        there = {name: column for name, column in kind.columns.items() if values[name] is not None}
        missing = next((name for name, each in kind.columns.items() if name not in there and not each.optional), None)
        settled = f"no {missing}" if missing is not None else values if kind.settle is None else kind.settle(values)
        if isinstance(settled, str):
            where = event.label if event.row < 0 else f"{event.label}#{event.row}"
            said = " ".join(" ".join(column.words(values[name]) for name, column in there.items()).split())
            self._tally.drop(settled, 0, f"{where}: {said[:80]}" if said else where)
            return
        values = settled
        for name, number in found.items():
            self._tally.count("masked", name, number)
        packed = pack(kind, values)
        digest = blake2b(digest_size=16)
        for name in kind.key:
            data = kind.columns[name].pack(values[name]) if name in there else b""
            digest.update(len(data).to_bytes(8, "little") + data)
        words = "\n".join(column.words(values[name]) for name, column in there.items() if column.near)
        role = SPLITS.index(self._unit.role)
        if event.split is not None:
            self._tally.count("own splits", event.split)
        self._packed.append(packed)
        self._words.append(words.encode("utf-8", "replace"))
        self._digests.append(digest.digest())
        self._roles.append(role or (SPLITS.index(event.split) if event.split and options.split is None else 0))
        self._files.append(self._labels.setdefault(event.label, len(self._labels)))
        self._rows.append(event.row)
        self.size += len(packed)

    def flush(self, spool: Spool, number: int) -> None:
        words = b"".join(self._words)
        sizes = np.array([len(each) for each in self._words], dtype=np.int64)
        sketched, sketches = sketch(
            words, np.cumsum(sizes), enabled=bool(words) and self._options.near_duplicates != "off"
        )
        count = len(self._packed)
        chunk = Chunk(
            ends=np.cumsum([len(each) for each in self._packed], dtype=np.int64),
            characters=sizes,
            hashes=np.frombuffer(b"".join(self._digests), dtype="<u8").reshape(-1, 2),
            roles=np.array(self._roles, dtype=np.int8),
            files=np.array(self._files, dtype=np.int32),
            rows=np.array(self._rows, dtype=np.int64),
            parts=np.zeros(count, dtype=np.int8),
            sketched=sketched,
            sketches=sketches,
            labels=tuple(self._labels),
            consumed=self.consumed,
            tally=self._tally,
        )
        spool.write(self._unit.number, number, b"".join(self._packed), chunk)
        self._clear()


def _value(column: Column, value: Any, clean: Callable[[str], str]) -> Any:
    """A value in its normal form; None for one that says nothing."""
    if isinstance(column, Numbers | Dense):
        return value
    if isinstance(value, str):
        value = clean(value)
        value = value.strip() if isinstance(column, Classes) else value
        return value if value.strip() else None
    if not column.structured:  # numbers may stand for text; lists and objects are none
        return str(value) if isinstance(value, int | float) and value == value else None
    if isinstance(value, Mapping):
        return {name: _inner(each, clean) for name, each in value.items()} or None
    if isinstance(value, Sequence):
        return [_inner(each, clean) for each in value] or None
    return value


def _inner(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: _inner(each, clean) for name, each in value.items()}
    return [_inner(each, clean) for each in value] if isinstance(value, list | tuple) else value


def _clean(text: str, options: ExampleOptions, tally: Tally, found: Counter[str]) -> str:
    mended = mend_text(text) if options.mend else text
    if mended != text:
        tally.count("mended", "mojibake")
    text = normalise(mended, options.unicode)
    return mask(text, options.mask, found) if options.mask else text
