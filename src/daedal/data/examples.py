"""A built data folder of examples with columns, opened."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from daedal.data.columns import Column, Dense, Numbers, Sets, Signal, Signals
from daedal.data.example_files import column_path, examples_path
from daedal.data.example_manifest import ExampleManifest, ExampleSplitRecord
from daedal.data.folder import DataFolder
from daedal.data.shards import load_array
from daedal.errors import DaedalError
from daedal.files import regular_size

if TYPE_CHECKING:
    from daedal.data.column_codecs import ColumnCodec

Array = np.ndarray


class RaggedColumn(Sequence[Int64[Array, " ids"]]):
    """The rows of ids of a column, memory-mapped.

    Attributes:
        ids: of all rows, end to end.
        borders: where each begins, and last where all end.
        learned: which ids a model is to learn to say; None for all.
    """

    def __init__(self, folder: Path, split: str, name: str, record: ExampleSplitRecord, dtype: str) -> None:
        path = column_path(folder, split, name, "ids")
        self.ids = load_array(path)
        self.borders: Int64[Array, " rows_and_one"] = load_array(column_path(folder, split, name, "borders"))
        fits = self.ids.dtype == np.dtype(dtype) and self.ids.shape == (record.ids[name],)
        fits &= self.borders.shape == (record.examples + 1,) and self.borders.dtype == np.int64
        if not fits or self.borders[0] or self.borders[-1] != len(self.ids) or (np.diff(self.borders) < 0).any():
            raise DaedalError(f"{path} does not fit the manifest", "Build the data again")
        self.learned: Bool[Array, " ids"] | None = None
        if name in record.learned:
            self.learned = load_array(column_path(folder, split, name, "learned"))
            if self.learned.dtype != np.bool_ or self.learned.shape != self.ids.shape:
                raise DaedalError(f"{path} does not fit the manifest", "Build the data again")

    def __len__(self) -> int:
        return len(self.borders) - 1

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return np.asarray(self.ids[self.borders[index] : self.borders[index + 1]], dtype=np.int64)


class DecodedColumn(Sequence[Signal | None]):
    """The sounds or clips of a column."""

    def __init__(self, rows: RaggedColumn, codec: Any) -> None:
        self._rows, self._codec = rows, codec

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        row = self._rows[index]
        return self._codec.decode(row) if len(row) else None


class ExampleSplit:
    """One split of a data folder of examples."""

    def __init__(self, folder: Path, name: str, dataset: "ExampleDataset") -> None:
        self.name, self.dataset, self._folder = name, dataset, folder
        self.record = dataset.manifest.splits[name]

    def __len__(self) -> int:
        return self.record.examples

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the encoded columns."""
        return self.record.fingerprint

    def ragged(self, column: str) -> RaggedColumn:
        """The rows of ids of a column."""
        return RaggedColumn(self._folder, self.name, column, self.record, str(self._of(column, "ragged").dtype))

    def classes(self, column: str) -> Int64[Array, " examples"]:
        """The numbers of a column's classes; -1 for none, and for those that the train split has not."""
        record = self._of(column, "classes")
        numbers = self._plain(column)
        if len(numbers) and not -1 <= int(numbers.min()) <= int(numbers.max()) < len(record.names):
            path = column_path(self._folder, self.name, column)
            raise DaedalError(f"{path} does not fit the manifest", "Build the data again")
        return numbers

    def sets(self, column: str) -> Bool[Array, "examples classes"]:
        """Which of a column's classes each example has; those that the train split has not are left out."""
        record = self._of(column, "sets")
        rows = RaggedColumn(self._folder, self.name, column, self.record, str(record.dtype))
        ids, counts = np.asarray(rows.ids, dtype=np.int64), np.diff(rows.borders)
        if len(ids) and int(ids.max()) >= len(record.names):
            path = column_path(self._folder, self.name, column, "ids")
            raise DaedalError(f"{path} does not fit the manifest", "Build the data again")
        has = np.zeros((len(self), len(record.names)), dtype=bool)
        has[np.repeat(np.arange(len(self)), counts), ids] = True
        return has

    def target(self, column: str) -> Array:
        """What is learned of a column, as `stored` says: classes `[examples]`, sets of them `[examples, classes]`, or numbers
        `[examples]`.

        Raises:
            DaedalError: it has no such values.
        """
        stored = self.dataset.stored(column)
        if stored not in ("classes", "sets", "numbers"):
            raise DaedalError(f"The column {column!r} has no classes and no numbers", "Choose another")
        return np.asarray(getattr(self, stored)(column))

    def numbers(self, column: str) -> Float64[Array, " examples"]:
        """The numbers of a column."""
        self._of(column, "numbers")
        return self._plain(column)

    def dense(self, column: str) -> Array:
        """The arrays of a column, memory-mapped: `[examples, *shape]`."""
        self._of(column, "dense")
        declared = self.dataset.kind.columns[column]
        path = column_path(self._folder, self.name, column)
        array = load_array(path, mapped=len(self) > 0)
        assert isinstance(declared, Dense)
        if array.shape != (len(self), *declared.shape) or array.dtype != np.dtype(declared.dtype):
            raise DaedalError(f"{path} does not fit the manifest", "Build the data again")
        return array

    def decoded(self, column: str) -> "DecodedColumn":
        """The sounds or clips of a column, each decoded when it is asked for; None where an example has none."""
        codec: Any = self.dataset.codec(self.dataset.manifest.columns[column].codec or "")
        return DecodedColumn(self.ragged(column), codec)

    def values(self, column: str) -> list[Any]:
        """What the examples have in a column, as it was read and cleaned: texts, sets of classes as lists, numbers."""
        kind = self.dataset.kind
        if column not in kind.columns:
            raise DaedalError(f"There is no column {column!r}", f"Choose from {', '.join(kind.columns)}")
        if not self.dataset.has(column):
            return [None] * len(self)
        declared = kind.columns[column]
        if isinstance(declared, Dense):
            return list(self.dense(column))
        if isinstance(declared, Signals):
            return list(self.decoded(column))
        cells = [cell for cells in self._cells(column, len(self)) for cell in cells]
        if len(cells) != len(self):
            raise DaedalError(f"{self._path} does not fit the manifest", "Build the data again")
        return cells

    def first(self, column: str) -> Any:
        """What the first example has in a column."""
        if not self.dataset.has(column):
            return None
        if isinstance(self.dataset.kind.columns[column], Dense):
            return self.dense(column)[0] if len(self) else None
        if isinstance(self.dataset.kind.columns[column], Signals):
            return next(iter(self.decoded(column)), None)
        return next((cells[0] for cells in self._cells(column, 1) if cells), None)

    @property
    def _path(self) -> Path:
        return examples_path(self._folder, self.name)

    def _cells(self, column: str, size: int) -> Iterator[list[Any]]:
        """The cells of a column, at most so many at a time."""
        from pyarrow import ArrowException, parquet  # type: ignore[import-untyped]

        structured = self.dataset.column(column).structured
        try:
            regular_size(self._path)
            for batch in parquet.ParquetFile(self._path).iter_batches(max(size, 1), columns=[column]):
                cells = batch.column(0).to_pylist()
                yield [json.loads(cell) if structured and cell is not None else cell for cell in cells]
        except (OSError, ArrowException, IndexError, ValueError) as error:
            line = (str(error).splitlines() or ["no such column"])[0]
            raise DaedalError(f"{self._path} is damaged or missing ({line})", "Build the data again") from None

    def _of(self, column: str, stored: str) -> Any:
        record = self.dataset.manifest.columns.get(column)
        if record is None or record.stored != stored:
            raise DaedalError(f"The {self.dataset.kind.nouns} have no column {column!r} of {stored}", "Choose another")
        return record

    def _plain(self, column: str) -> Array:
        array = load_array(column_path(self._folder, self.name, column), mapped=False)
        if array.shape != (len(self),):
            raise DaedalError(
                f"{column_path(self._folder, self.name, column)} does not fit the manifest", "Build the data again"
            )
        return array


class ExampleDataset(DataFolder[ExampleManifest, ExampleSplit]):
    """A data folder of examples: a manifest, codecs and up to three splits."""

    manifest_type = ExampleManifest

    @property
    def kind_name(self) -> str:
        return self.manifest.kind

    def has(self, column: str) -> bool:
        """Whether an example has such a column."""
        return column in self.manifest.columns

    def stored(self, column: str) -> str:
        """What the values of a column became: `ragged`, `classes`, `sets`, `numbers`, `dense`, `strings` or `tags`.

        Raises:
            DaedalError: there is no such column.
        """
        if not self.has(column):
            raise DaedalError(f"There is no column {column!r}", f"Choose from {', '.join(self.manifest.columns)}")
        return self.manifest.columns[column].stored

    def column(self, name: str) -> Column:
        """A column as it was found to be, where its kind leaves that open."""
        found: dict[str, Column] = {"sets": Sets(), "numbers": Numbers()}
        return found.get(self.stored(name), self.kind.columns[name])

    def classes(self, column: str) -> tuple[str, ...]:
        """The names of a column's classes, in the order of their numbers; of a column of tags, those."""
        self.stored(column)
        return self.manifest.columns[column].names

    def codec(self, name: str) -> "ColumnCodec":
        """The codec of this name that its columns share.

        Raises:
            DaedalError: it is damaged, or not the one that the ids were made with.
        """
        from daedal.data.column_codecs import CODECS

        codec = CODECS[name].load(self.folder)
        if codec.fingerprint() != self.manifest.codecs[name].fingerprint:
            raise DaedalError(
                f"{self.folder}: the {name} codec is not the one that the ids were made with", "Build the data again"
            )
        return codec

    def _open(self, name: str) -> ExampleSplit:
        return ExampleSplit(self.folder, name, self)

    def whole(self) -> bool:
        return all(examples_path(self.folder, name).exists() for name in self.manifest.splits)
