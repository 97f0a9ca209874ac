"""Encoded chunks -> the files of a data folder."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from daedal.data.encode import encoded_path
from daedal.data.manifest import DOCUMENTS, SplitRecord
from daedal.data.options import SPLITS
from daedal.data.shards import SHARD_TOKENS, borders_path, shard_path

Array = np.ndarray
_HASHED_AT_ONCE = 2**24


def write_splits(
    chunks: tuple[tuple[int, int], ...], encoded: Path, folder: Path, dtype: str
) -> dict[str, SplitRecord]:
    """Write the shards and borders of all splits.

    Args:
        chunks: unit and number of each, in order.
        encoded: where their tokens are.
        folder: where the files go.
        dtype: of tokens.
    """
    records = {}
    for split, name in enumerate(SPLITS):
        counts, sizes, characters = [], [], 0
        for unit, number in chunks:
            with np.load(encoded_path(encoded, unit, number), allow_pickle=False) as chunk:
                mine = chunk["splits"] == split
                counts.append(chunk["tokens"][mine])
                sizes.append(chunk["bytes"][mine])
                characters += int(chunk["characters"][mine].sum())
        borders = np.zeros((sum(map(len, counts)) + 1, 2), dtype=np.int64)
        borders[1:, 0] = np.cumsum(np.concatenate([*counts, np.zeros(0, np.int64)]))
        borders[1:, 1] = np.cumsum(np.concatenate([*sizes, np.zeros(0, np.int64)]))
        np.save(borders_path(folder, name), borders, allow_pickle=False)
        tokens = int(borders[-1, 0])
        digest = hashlib.sha256()
        _write_shards(chunks, encoded, folder, name, tokens, dtype, digest)
        digest.update(borders.tobytes())
        records[name] = SplitRecord(
            documents=len(borders) - 1,
            tokens=tokens,
            bytes=int(borders[-1, 1]),
            characters=characters,
            shards=-(-tokens // SHARD_TOKENS),
            fingerprint=digest.hexdigest(),
        )
    return records


def _write_shards(
    chunks: tuple[tuple[int, int], ...], encoded: Path, folder: Path, name: str, tokens: int, dtype: str, digest: Any
) -> None:
    shards = [
        open_memmap(
            shard_path(folder, name, number),
            mode="w+",
            dtype=dtype,
            shape=(min(SHARD_TOKENS, tokens - number * SHARD_TOKENS),),
        )
        for number in range(-(-tokens // SHARD_TOKENS))
    ]
    place = 0
    for unit, number in chunks:
        with np.load(encoded_path(encoded, unit, number), allow_pickle=False) as chunk:
            ids = chunk[f"ids_{name}"]
        digest.update(ids)
        while len(ids):
            shard, within = divmod(place, SHARD_TOKENS)
            part = ids[: SHARD_TOKENS - within]
            shards[shard][within : within + len(part)] = part
            place += len(part)
            ids = ids[len(part) :]
    for mapped in shards:
        mapped.flush()


def write_documents(chunks: tuple[tuple[int, int], ...], encoded: Path, folder: Path) -> None:
    """Write `documents.parquet`: of each document its split, place, source, size, hash and 8-bit MinHash sketch."""
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    schema = pa.schema(
        {
            "split": pa.dictionary(pa.int8(), pa.string()),
            "index": pa.int64(),
            "source": pa.string(),
            "row": pa.int64(),
            "bytes": pa.int64(),
            "characters": pa.int64(),
            "tokens": pa.int64(),
            "blake2b_128": pa.binary(16),
            "minhash_8bit": pa.binary(128),
        }
    )
    nexts = [0, 0, 0]
    with parquet.ParquetWriter(
        folder / DOCUMENTS, schema, compression="zstd", use_dictionary=["split", "source"], write_statistics=False
    ) as writer:
        for unit, number in chunks:
            with np.load(encoded_path(encoded, unit, number), allow_pickle=False) as chunk:
                splits = chunk["splits"]
                if not len(splits):
                    continue
                index = np.zeros(len(splits), dtype=np.int64)
                for split in range(len(SPLITS)):
                    mine = splits == split
                    index[mine] = nexts[split] + np.arange(mine.sum())
                    nexts[split] += int(mine.sum())
                labels = pa.array(json.loads(chunk["labels"].tobytes()), pa.string())
                columns = [
                    pa.DictionaryArray.from_arrays(pa.array(splits), pa.array(SPLITS)),
                    pa.array(index),
                    labels.take(pa.array(chunk["files"])),
                    pa.array(chunk["rows"], mask=chunk["rows"] < 0),
                    pa.array(chunk["bytes"]),
                    pa.array(chunk["characters"]),
                    pa.array(chunk["tokens"]),
                    pa.FixedSizeBinaryArray.from_buffers(
                        pa.binary(16), len(splits), [None, pa.py_buffer(np.ascontiguousarray(chunk["hashes"]))]
                    ),
                    _sketches(chunk["sketches"], chunk["sketched"]),
                ]
                writer.write_table(pa.table(columns, schema=schema))


def _sketches(sketches: Array, sketched: Array) -> Any:
    import pyarrow as pa

    valid = pa.py_buffer(np.packbits(sketched, bitorder="little"))
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(128), len(sketched), [valid, pa.py_buffer(np.ascontiguousarray(sketches))]
    )


def fingerprint_of(codec: str, records: dict[str, SplitRecord]) -> str:
    """SHA-256 of the codec and all splits."""
    whole = json.dumps([codec, [[name, records[name].fingerprint] for name in SPLITS]])
    return hashlib.sha256(whole.encode()).hexdigest()
