"""Examples on their way through a build: packed into the chunks of the spool, as documents of text are.

An example is its columns in the order of its kind's, each with its length before it (4 bytes, little-endian; the largest number
for one that it has not). The last ones that a folder may be without take nothing where an example has none. Hashes are of its
key columns, sketches of the words of those that are compared.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from typing import Any

from daedal.data.clean import normalise
from daedal.data.decode import mend_text
from daedal.data.document import Example
from daedal.data.example_options import ExampleOptions
from daedal.data.ingest import Chunks
from daedal.data.kind import Kind
from daedal.data.options import SPLITS
from daedal.data.sensitive import mask
from daedal.data.spool import Tally

_NONE = 2**32 - 1


def pack(kind: Kind, values: Mapping[str, Any]) -> bytes:
    """An example as bytes."""
    parts = []
    for name, column in kind.columns.items():
        value = values.get(name)
        data = b"" if value is None else column.pack(value)
        parts.append((_NONE if value is None else len(data)).to_bytes(4, "little") + data)
    for name in reversed(tuple(kind.columns)):
        if not kind.columns[name].omissible or values.get(name) is not None:
            break
        parts.pop()
    return b"".join(parts)


def unpack(kind: Kind, data: bytes) -> dict[str, Any]:
    """The example that `pack` gave."""
    values: dict[str, Any] = {}
    place = 0
    for name, column in kind.columns.items():
        if place == len(data):
            values[name] = None
            continue
        size = int.from_bytes(data[place : place + 4], "little")
        place += 4
        values[name] = None if size == _NONE else column.unpack(data[place : place + size])
        place += 0 if size == _NONE else size
    return values


class ExampleChunks(Chunks):
    """Collects examples with columns."""

    def take(self, found: Example) -> None:
        kind, options = self.kind, self.options
        masked: Counter[str] = Counter()
        clean = partial(_clean, options=options, tally=self.tally, found=masked)
        values = {name: column.normal(found.values.get(name), clean) for name, column in kind.columns.items()}
        there = {name: column for name, column in kind.columns.items() if values[name] is not None}
        missing = next((name for name, each in kind.columns.items() if name not in there and not each.optional), None)
        settled = f"no {missing}" if missing is not None else values if kind.settle is None else kind.settle(values)
        if isinstance(settled, str):
            where = found.label if found.row < 0 else f"{found.label}#{found.row}"
            said = " ".join(" ".join(column.words(values[name]) for name, column in there.items()).split())
            self.tally.drop(settled, 0, f"{where}: {said[:80]}" if said else where)
            return
        values = settled
        for name, number in masked.items():
            self.tally.count("masked", name, number)
        for name in there:
            if kind.columns[name].omissible:
                self.tally.count("columns", name)
        digest = blake2b(digest_size=16)
        for name in kind.key:
            if name not in there and kind.columns[name].omissible:
                continue
            data = kind.columns[name].pack(values[name]) if name in there else b""
            digest.update(len(data).to_bytes(8, "little") + data)
        words = "\n".join(column.words(values[name]) for name, column in there.items() if column.near)
        compared = words.encode("utf-8", "replace")
        role = 0
        if found.split is not None:
            self.tally.count("own splits", found.split)
            role = SPLITS.index(found.split) if options.split is None else 0
        self.put(pack(kind, values), compared, len(compared), digest.digest(), found.label, found.row, role, found.part)


def _clean(text: str, options: ExampleOptions, tally: Tally, found: Counter[str]) -> str:
    mended = mend_text(text) if options.mend else text
    if mended != text:
        tally.count("mended", "mojibake")
    text = normalise(mended, options.unicode)
    return mask(text, options.mask, found) if options.mask else text
