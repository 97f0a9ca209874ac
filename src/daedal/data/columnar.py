"""Parquet, and Arrow as `datasets` saves it, opened alike: a schema, and batches of rows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

_STREAM = b"\xff\xff\xff\xff"  # what each message of Arrow's stream begins with


class Columnar:
    """A table that is read a batch at a time; `stream` must be able to seek.

    Attributes:
        schema: its columns and their types.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """
        Raises:
            pyarrow.ArrowException: it is neither, or damaged.
        """
        from pyarrow import ipc, parquet  # type: ignore[import-untyped]

        self._stream = stream
        begin = stream.read(6)
        stream.seek(0)
        self._arrow: Any = ipc.open_file if begin == b"ARROW1" else ipc.open_stream if begin[:4] == _STREAM else None
        self._parquet: Any = None
        if self._arrow is not None:
            self.schema = self._arrow(stream).schema
        else:
            file = parquet.ParquetFile(stream)
            self._parquet, self.schema = file, file.schema_arrow

    def batches(self, size: int, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """All rows, at most so many at a time."""
        if self._parquet is not None:
            yield from self._parquet.iter_batches(batch_size=size, columns=columns, use_threads=False)
            return
        self._stream.seek(0)
        file = self._arrow(self._stream)
        whole = map(file.get_batch, range(file.num_record_batches)) if hasattr(file, "get_batch") else file
        for batch in whole:
            chosen = batch if columns is None else batch.select(columns)
            yield from (chosen.slice(begin, size) for begin in range(0, len(chosen), size))


def class_names(metadata: Mapping[bytes, bytes] | None, column: str | None) -> list[str] | None:
    """The names of classes that `datasets` wrote into a file, for a column of numbers, or of lists of them."""
    try:
        feature = json.loads((metadata or {})[b"huggingface"])["info"]["features"][column]
        names = (feature if "names" in feature else feature["feature"])["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def with_names(row: Mapping[str, Any], named: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
    """A row in which classes have their names; a number that has none, as the -1 of tests, says that nobody knows."""
    return {**row, **{name: _with_name(row.get(name), names) for name, names in named.items()}}


def _with_name(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_with_name(each, names) for each in value]
    if isinstance(value, int):
        return names[value] if 0 <= value < len(names) else None
    return value
