"""Encoded examples -> the files of a data folder, and the names of these.

- `{split}.examples.parquet`: a row for each example: where it is from, its hash, and its columns as they were read (those that
  are structured as JSON)
- `{split}.{column}.ids.npy`, `{split}.{column}.borders.npy`: the rows of ids of a ragged column end to end, and where each
  begins; `{split}.{column}.learned.npy`: which of them a model is to learn to say, where that is not all
- `{split}.{column}.npy`: the numbers of a column's classes, -1 for none and for those that the train split has not; or numbers
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from daedal.data.column_codecs import ColumnCodec, Rows
from daedal.data.columns import Classes, Numbers, Ragged
from daedal.data.corpus import Corpus
from daedal.data.encode import encoded_path
from daedal.data.example_manifest import ColumnRecord, ExampleSplitRecord
from daedal.data.example_spool import unpack
from daedal.data.ingest import each_document
from daedal.data.kind import Kind
from daedal.data.options import SPLITS
from daedal.data.spool import Spool
from daedal.files import atomic_path

Array = np.ndarray


def examples_path(folder: Path, split: str) -> Path:
    """Where the values of a split lie."""
    return folder / f"{split}.examples.parquet"


def column_path(folder: Path, split: str, column: str, part: str = "") -> Path:
    """Where a column of a split lies: its `ids`, their `borders` and which are `learned`; or its numbers."""
    return folder / f"{split}.{column}{'.' if part else ''}{part}.npy"


def encode_examples(
    kind: Kind, codecs: Mapping[str, ColumnCodec], spool: Spool, unit: int, number: int, splits: Array, folder: Path
) -> int:
    """Encode the examples of a chunk that go to a split; gives the bytes of the chunk."""
    chunk, packed = spool.chunk(unit, number), spool.text(unit, number)
    path = encoded_path(folder, unit, number)
    if path.exists():
        return len(packed)
    kept = [
        unpack(kind, data)
        for data, split in zip(each_document(packed, chunk.ends), splits.tolist(), strict=True)
        if split >= 0
    ]
    arrays: dict[str, Array] = {}
    for name, column in kind.columns.items():
        if isinstance(column, Ragged):
            there = [values[name] is not None for values in kept]
            rows = codecs[column.codec].encode([values[name] for values in kept if values[name] is not None])
            counts = np.zeros(len(kept), dtype=np.int64)
            counts[there] = rows.counts
            arrays |= {f"{name}.counts": counts, f"{name}.ids": rows.ids}
            if rows.learned is not None:
                arrays[f"{name}.learned"] = rows.learned
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return len(packed)


@dataclass
class _Chunk:
    """A chunk's examples that stay."""

    splits: Array
    values: list[dict[str, Any]]
    labels: list[str]
    rows: list[int]
    hashes: list[bytes]
    encoded: Any


def _chunks(kind: Kind, spool: Spool, corpus: Corpus, splits: Array, encoded: Path) -> Iterator[_Chunk]:
    for place, (unit, number) in enumerate(corpus.chunks):
        first, last = int(corpus.firsts[place]), int(corpus.firsts[place + 1])
        mine = splits[first:last]
        if not (mine >= 0).any():
            continue
        chunk = spool.chunk(unit, number)
        kept = np.flatnonzero(mine >= 0)
        documents = list(each_document(spool.text(unit, number), chunk.ends))
        with np.load(encoded_path(encoded, unit, number), allow_pickle=False) as file:
            yield _Chunk(
                mine[kept],
                [unpack(kind, documents[each]) for each in kept.tolist()],
                [chunk.labels[each] for each in chunk.files[kept].tolist()],
                chunk.rows[kept].tolist(),
                [chunk.hashes[each].tobytes() for each in kept.tolist()],
                dict(file),
            )


class _Writer:
    """Writes the files of one split, chunk by chunk."""

    def __init__(self, folder: Path, name: str, kind: Kind, columns: Mapping[str, ColumnRecord]) -> None:
        import pyarrow as pa  # type: ignore[import-untyped]
        from pyarrow import parquet

        self._folder, self._name, self._kind, self._columns = folder, name, kind, columns
        types = {
            each: pa.float64() if isinstance(column, Numbers) else pa.string() for each, column in kind.columns.items()
        }
        self._schema = pa.schema({"source": pa.string(), "row": pa.int64(), "blake2b_128": pa.binary(16), **types})
        self._parquet = parquet.ParquetWriter(examples_path(folder, name), self._schema, compression="zstd")
        self._ragged = [each for each, column in kind.columns.items() if isinstance(column, Ragged)]
        self._parts: dict[str, dict[str, list[Array]]] = {
            each: {"ids": [], "learned": [], "counts": []} for each in self._ragged
        }
        self._numbers: dict[str, list[Array]] = {
            each: [] for each, column in columns.items() if column.stored in ("classes", "numbers")
        }
        self._count = self._bytes = 0
        self._digest = hashlib.sha256()

    def add(self, chunk: _Chunk, split: int) -> None:
        import pyarrow as pa

        mine = chunk.splits == split
        if not mine.any():
            return
        chosen = np.flatnonzero(mine).tolist()
        values = [chunk.values[each] for each in chosen]
        table: dict[str, Any] = {
            "source": [chunk.labels[each] for each in chosen],
            "row": [None if chunk.rows[each] < 0 else chunk.rows[each] for each in chosen],
            "blake2b_128": [chunk.hashes[each] for each in chosen],
        }
        for name, column in self._kind.columns.items():
            cells = [each[name] for each in values]
            table[name] = (
                [None if cell is None else json.dumps(cell, ensure_ascii=False) for cell in cells]
                if column.structured
                else cells
            )
            self._bytes += (
                0 if isinstance(column, Numbers) else sum(len(column.pack(cell)) for cell in cells if cell is not None)
            )
            if isinstance(column, Ragged):
                counts = chunk.encoded[f"{name}.counts"]
                owner = np.repeat(mine, counts)
                parts = self._parts[name]
                parts["counts"].append(counts[mine])
                parts["ids"].append(chunk.encoded[f"{name}.ids"][owner])
                if f"{name}.learned" in chunk.encoded:
                    parts["learned"].append(chunk.encoded[f"{name}.learned"][owner])
            elif isinstance(column, Classes):
                numbers = {each: number for number, each in enumerate(self._columns[name].names)}
                self._numbers[name].append(np.array([numbers.get(cell, -1) for cell in cells], dtype=np.int64))
            elif isinstance(column, Numbers):
                self._numbers[name].append(
                    np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
                )
            else:
                for cell in cells:
                    self._digest.update(b"" if cell is None else column.pack(cell) + b"\0")
        self._count += len(chosen)
        self._parquet.write_table(pa.table(table, schema=self._schema))

    def close(self) -> ExampleSplitRecord:
        self._parquet.close()
        record = ExampleSplitRecord(examples=self._count, bytes=self._bytes, fingerprint="")
        ids, learned, classes = {}, {}, {}
        for name, parts in self._parts.items():
            dtype = self._columns[name].dtype
            borders = np.concatenate(
                [[0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *parts["counts"]]))]
            ).astype(np.int64)
            ids[name] = int(borders[-1])
            self._save(name, "borders", borders)
            self._join(name, "ids", parts["ids"], ids[name], str(dtype))
            if parts["learned"]:
                self._join(name, "learned", parts["learned"], ids[name], "bool")
                learned[name] = int(sum(int(each.sum()) for each in parts["learned"]))
        for name, numbers in self._numbers.items():
            whole = np.concatenate(
                [np.zeros(0, np.int64 if self._columns[name].stored == "classes" else np.float64), *numbers]
            )
            self._save(name, "", whole)
            if self._columns[name].stored == "classes":
                classes[name] = tuple(np.bincount(whole[whole >= 0], minlength=len(self._columns[name].names)).tolist())
        return record.but(ids=ids, learned=learned, classes=classes, fingerprint=self._digest.hexdigest())

    def _save(self, column: str, part: str, array: Array) -> None:
        np.save(column_path(self._folder, self._name, column, part), array, allow_pickle=False)
        self._digest.update(array.tobytes())

    def _join(self, column: str, part: str, arrays: list[Array], size: int, dtype: str) -> None:
        path = column_path(self._folder, self._name, column, part)
        if not size:
            np.save(path, np.zeros(0, dtype=dtype), allow_pickle=False)
            return
        mapped = open_memmap(path, mode="w+", dtype=dtype, shape=(size,))
        place = 0
        for array in arrays:
            mapped[place : place + len(array)] = array
            self._digest.update(np.ascontiguousarray(array).tobytes())
            place += len(array)
        mapped.flush()


def write_examples(
    folder: Path,
    kind: Kind,
    spool: Spool,
    corpus: Corpus,
    splits: Array,
    encoded: Path,
    columns: Mapping[str, ColumnRecord],
) -> dict[str, ExampleSplitRecord]:
    """Write the files of all splits."""
    writers = [_Writer(folder, name, kind, columns) for name in SPLITS]
    for chunk in _chunks(kind, spool, corpus, splits, encoded):
        for split, writer in enumerate(writers):
            writer.add(chunk, split)
    return {name: writer.close() for name, writer in zip(SPLITS, writers, strict=True)}


__all__ = ["Rows", "column_path", "encode_examples", "examples_path", "write_examples"]
