"""Encoded examples -> the files of a data folder, and the names of these.

- `{split}.examples.parquet`: a row for each example: where it is from, its hash, and its columns as they were read (those that
  are structured as JSON)
- `{split}.{column}.ids.npy`, `{split}.{column}.borders.npy`: the rows of ids of a ragged column end to end, and where each
  begins; `{split}.{column}.learned.npy`: which of them a model is to learn to say, where that is not all
- `{split}.{column}.npy`: the numbers of a column's classes, -1 for none and for those that the train split has not; or numbers,
  or arrays. Sets of classes are rows of such numbers, as of ids; those that the train split has not are left out
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import write_array_header_1_0

from daedal.data.column_codecs import ColumnCodec, Rows
from daedal.data.columns import Classes, Column, Dense, Numbers, Ragged, Sets, Signals, Strings, Tags
from daedal.data.corpus import Corpus
from daedal.data.encode import encoded_path
from daedal.data.example_chunks import unpack
from daedal.data.example_manifest import ColumnRecord, ExampleSplitRecord
from daedal.data.kind import Kind
from daedal.data.options import SPLITS
from daedal.data.spool import Chunk, Spool, each_document

Array = np.ndarray


def examples_path(folder: Path, split: str) -> Path:
    """Where the values of a split lie."""
    return folder / f"{split}.examples.parquet"


def column_path(folder: Path, split: str, column: str, part: str = "") -> Path:
    """Where a column of a split lies: its `ids`, their `borders` and which are `learned`; or its numbers."""
    return folder / f"{split}.{column}{'.' if part else ''}{part}.npy"


def encode_examples(
    kind: Kind, codecs: Mapping[str, ColumnCodec], packed: bytes, chunk: Chunk, splits: Array
) -> dict[str, Array]:
    """Encode the examples of a chunk that go to a split."""
    kept = [
        unpack(kind, data)
        for data, split in zip(each_document(packed, chunk.ends), splits.tolist(), strict=True)
        if split >= 0
    ]
    arrays: dict[str, Array] = {}
    for name, column in kind.columns.items():
        if isinstance(column, Ragged) and column.codec in codecs:
            there = [values[name] is not None for values in kept]
            rows = codecs[column.codec].encode([values[name] for values in kept if values[name] is not None])
            counts = np.zeros(len(kept), dtype=np.int64)
            counts[there] = rows.counts
            arrays |= {f"{name}.counts": counts, f"{name}.ids": rows.ids}
            if rows.learned is not None:
                arrays[f"{name}.learned"] = rows.learned
    return arrays


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


class _Flat:
    """Writes one array, piece by piece."""

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...] = ()) -> None:
        self._path, self._dtype, self._shape = path, np.dtype(dtype), shape
        self._raw = path.with_suffix(".raw").open("w+b")
        self._count, self._digest = 0, hashlib.sha256()

    def add(self, array: Array) -> None:
        data = np.ascontiguousarray(array, dtype=self._dtype)
        self._raw.write(data.data)
        self._digest.update(data.data)
        self._count += len(data)

    def close(self) -> bytes:
        """Give the array its header, which says its length; gives a hash of it."""
        with self._raw, self._path.open("wb") as file:
            header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._count, *self._shape)}
            write_array_header_1_0(file, header)
            self._raw.seek(0)
            shutil.copyfileobj(self._raw, file, 2**20)
        self._path.with_suffix(".raw").unlink()
        return self._digest.digest()


class _Ragged:
    """Writes the rows of ids of a column."""

    def __init__(self, folder: Path, split: str, name: str, dtype: str) -> None:
        path = partial(column_path, folder, split, name)
        self._path, self._ids = path, _Flat(path("ids"), dtype)
        self._learned: _Flat | None = None
        self._borders: list[Array] = [np.zeros(1, dtype=np.int64)]
        self.learned = 0

    def add(self, mine: Array, counts: Array, rows: Rows) -> None:
        owner = np.repeat(mine, counts)
        self._borders.append(int(self._borders[-1][-1]) + np.cumsum(counts[mine]))
        self._ids.add(rows.ids[owner])
        if rows.learned is not None:
            self._learned = self._learned or _Flat(self._path("learned"), "bool")
            self._learned.add(rows.learned[owner])
            self.learned += int(rows.learned[owner].sum())

    def close(self) -> tuple[int, bytes]:
        """How many ids there are, and a hash of them."""
        borders = np.concatenate([each for each in self._borders if len(each)])
        np.save(self._path("borders"), borders, allow_pickle=False)
        found = self._ids.close() + borders.tobytes() + (self._learned.close() if self._learned is not None else b"")
        return int(borders[-1]), hashlib.sha256(found).digest()


class _Writer:
    """Writes the files of one split, chunk by chunk."""

    def __init__(
        self, folder: Path, name: str, columns: Mapping[str, Column], records: Mapping[str, ColumnRecord]
    ) -> None:
        import pyarrow as pa  # type: ignore[import-untyped]
        from pyarrow import parquet

        self._columns = columns
        self._numbers = {each: {of: place for place, of in enumerate(record.names)} for each, record in records.items()}
        types = {
            each: pa.float64() if isinstance(column, Numbers) else pa.string()
            for each, column in columns.items()
            if not isinstance(column, Dense | Signals)
        }
        self._schema = pa.schema({"source": pa.string(), "row": pa.int64(), "blake2b_128": pa.binary(16), **types})
        self._parquet = parquet.ParquetWriter(examples_path(folder, name), self._schema, compression="zstd")
        self._ragged = {
            each: _Ragged(folder, name, each, str(records[each].dtype))
            for each, column in columns.items()
            if isinstance(column, Ragged | Sets)
        }
        self._flat: dict[str, _Flat] = {}
        for each, column in columns.items():
            if isinstance(column, Dense):
                self._flat[each] = _Flat(column_path(folder, name, each), column.dtype, column.shape)
            elif isinstance(column, Classes | Numbers):
                dtype = "int64" if isinstance(column, Classes) else "float64"
                self._flat[each] = _Flat(column_path(folder, name, each), dtype)
        self._classes = {each: np.zeros(len(record.names), dtype=np.int64) for each, record in records.items()}
        self._strings = {each: hashlib.sha256() for each, column in columns.items() if isinstance(column, Strings)}
        self._count = self._bytes = 0

    def add(self, chunk: _Chunk, split: int) -> None:
        import pyarrow as pa

        mine = chunk.splits == split
        if not mine.any():
            return
        chosen = np.flatnonzero(mine).tolist()
        table: dict[str, Any] = {
            "source": [chunk.labels[each] for each in chosen],
            "row": [None if chunk.rows[each] < 0 else chunk.rows[each] for each in chosen],
            "blake2b_128": [chunk.hashes[each] for each in chosen],
        }
        for name, column in self._columns.items():
            cells = [column.of(chunk.values[each][name]) for each in chosen]
            if not isinstance(column, Dense | Signals):
                table[name] = [_cell(column, cell) for cell in cells]
            if not isinstance(column, Dense | Numbers | Signals):
                self._bytes += sum(len(column.pack(cell)) for cell in cells if cell is not None)
            if isinstance(column, Ragged):
                rows = Rows(
                    chunk.encoded[f"{name}.counts"], chunk.encoded[f"{name}.ids"], chunk.encoded.get(f"{name}.learned")
                )
                self._ragged[name].add(mine, rows.counts, rows)
            elif isinstance(column, Classes):
                of = self._numbers[name]
                numbers = np.array([of.get(cell, -1) for cell in cells], dtype=np.int64)
                self._classes[name] += np.bincount(numbers[numbers >= 0], minlength=len(of))
                self._flat[name].add(numbers)
            elif isinstance(column, Sets):
                of = self._numbers[name]
                sets = [sorted(of[each] for each in cell or () if each in of) for cell in cells]
                counts = np.array([len(each) for each in sets], dtype=np.int64)
                numbers = np.array([each for one in sets for each in one], dtype=np.int64)
                self._classes[name] += np.bincount(numbers, minlength=len(of))
                self._ragged[name].add(np.ones(len(sets), dtype=bool), counts, Rows(counts, numbers))
            elif isinstance(column, Numbers):
                self._flat[name].add(np.array([np.nan if cell is None else cell for cell in cells]))
            elif isinstance(column, Dense):
                self._flat[name].add(np.stack(cells))
            else:
                for cell in cells:
                    self._strings[name].update(b"" if cell is None else column.pack(cell) + b"\0")
                if isinstance(column, Tags):
                    of, found = self._numbers[name], Counter(each for cell in cells for each in cell or ())
                    self._classes[name] += np.array([found[each] for each in of], dtype=np.int64)
        self._count += len(chosen)
        self._parquet.write_table(pa.table(table, schema=self._schema))

    def close(self) -> ExampleSplitRecord:
        self._parquet.close()
        ids, digest = {}, hashlib.sha256()
        for name in self._columns:
            if name in self._ragged:
                ids[name], found = self._ragged[name].close()
            elif name in self._flat:
                found = self._flat[name].close()
            else:
                found = self._strings[name].digest()
            digest.update(found)
        return ExampleSplitRecord(
            examples=self._count,
            ids=ids,
            learned={name: column.learned for name, column in self._ragged.items() if column.learned},
            classes={name: tuple(counts.tolist()) for name, counts in self._classes.items() if len(counts)},
            bytes=self._bytes,
            fingerprint=digest.hexdigest(),
        )


def _cell(column: Column, value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if column.structured and value is not None else value


def write_examples(
    folder: Path,
    kind: Kind,
    spool: Spool,
    corpus: Corpus,
    splits: Array,
    encoded: Path,
    columns: Mapping[str, Column],
    records: Mapping[str, ColumnRecord],
) -> dict[str, ExampleSplitRecord]:
    """Write the files of all splits: of each column, as it was found to be."""
    writers = [_Writer(folder, name, columns, records) for name in SPLITS]
    for chunk in _chunks(kind, spool, corpus, splits, encoded):
        for split, writer in enumerate(writers):
            writer.add(chunk, split)
    return {name: writer.close() for name, writer in zip(SPLITS, writers, strict=True)}
