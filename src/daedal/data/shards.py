"""A built data folder, opened: memory-mapped token shards and the documents in them.

- `{split}-{00000}.tokens.npy`: uint16 or uint32, 1-D, the tokens of a split in order, each document followed by the
  codec's `<|endoftext|>`; a split is cut into shards of equal length, wherever that falls.
- `{split}.documents.npy`: int64 `[documents + 1, 2]`, where each document begins: in tokens, in bytes of UTF-8.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from daedal.data.folder import DataFolder
from daedal.data.manifest import Manifest, SplitRecord
from daedal.errors import DaedalError
from daedal.files import regular_size

if TYPE_CHECKING:
    from daedal.codecs.text import TextCodec

SHARD_TOKENS = 2**27  # 256 MiB of uint16

Array = np.ndarray


def shard_path(folder: Path, split: str, number: int) -> Path:
    """Where shard `number` of a split lies."""
    return folder / f"{split}-{number:05d}.tokens.npy"


def borders_path(folder: Path, split: str) -> Path:
    """Where the document borders of a split lie."""
    return folder / f"{split}.documents.npy"


def load_array(path: Path, mapped: bool = True) -> np.ndarray:
    """An array from `path`, memory-mapped.

    Raises:
        DaedalError: it is missing, truncated or no plain array.
    """
    try:
        regular_size(path)
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError:
        raise DaedalError(f"{path} is missing", "Build the data again") from None
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise DaedalError(f"{path} is damaged ({error})", "Build the data again") from None
    if not isinstance(array, np.ndarray):
        raise DaedalError(f"{path} is not an array", "Build the data again")
    return array


class Split:
    """One split of a data folder: a stream of tokens with document borders.

    Attributes:
        learnable: how many tokens of it a model is to learn to say, and their bytes.
    """

    def __init__(self, folder: Path, name: str, record: SplitRecord, dtype: str, dataset: "Dataset") -> None:
        self.name = name
        self.record = record
        self.learnable = record.tokens, record.bytes
        self.dataset = dataset
        self._shards = [load_array(shard_path(folder, name, number)) for number in range(record.shards)]
        borders = load_array(borders_path(folder, name))
        if borders.dtype != np.int64 or borders.shape != (record.documents + 1, 2):
            raise DaedalError(f"{borders_path(folder, name)} does not fit the manifest", "Build the data again")
        for number, shard in enumerate(self._shards):
            if shard.ndim != 1 or shard.dtype != np.dtype(dtype):
                raise DaedalError(f"{shard_path(folder, name, number)} does not hold {dtype}", "Build the data again")
        self._starts = np.cumsum([0, *(len(shard) for shard in self._shards)], dtype=np.int64)
        if self._starts[-1] != record.tokens or borders[-1, 0] != record.tokens:
            raise DaedalError(
                f"{folder}: the {name} split has {self._starts[-1]} tokens where {record.tokens} were written",
                "Build the data again",
            )
        self._borders = borders

    @property
    def tokens(self) -> int:
        """Tokens, ends of documents included."""
        return self.record.tokens

    @property
    def documents(self) -> int:
        """Documents."""
        return self.record.documents

    @property
    def bytes(self) -> int:
        """Bytes of UTF-8 text."""
        return self.record.bytes

    @property
    def characters(self) -> int:
        """Unicode characters of text."""
        return self.record.characters

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the tokens and the document borders."""
        return self.record.fingerprint

    @cached_property
    def offsets(self) -> Int64[Array, " documents_and_one"]:
        """Where each document begins in the token stream, and last where the stream ends."""
        return np.ascontiguousarray(self._borders[:, 0])

    @cached_property
    def document_bytes(self) -> Int64[Array, " documents"]:
        """Bytes of UTF-8 of each document."""
        return np.diff(self._borders[:, 1])

    def read(self, start: int, stop: int) -> Int64[Array, " tokens"]:
        """Tokens `start` to `stop` of the stream, across shards; past its end there are none."""
        start, stop, _ = slice(start, stop).indices(self.tokens)
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        parts = []
        for shard, begin in zip(self._shards[first:], self._starts[first:], strict=False):
            if begin >= stop:
                break
            parts.append(shard[max(0, start - begin) : stop - begin])
        return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)

    def gather(self, starts: Int64[Array, " count"], length: int) -> Int64[Array, "count length"]:
        """Rows of `length` tokens, one from each of `starts`."""
        which = np.searchsorted(self._starts, starts, side="right") - 1
        within = starts + length <= self._starts[which + 1]
        rows = np.empty((len(starts), length), dtype=np.int64)
        steps = np.arange(length)
        for number in np.unique(which):
            mine = (which == number) & within
            rows[mine] = self._shards[number][(starts[mine] - self._starts[number])[:, None] + steps]
        for row in np.flatnonzero(~within):
            rows[row] = self.read(int(starts[row]), int(starts[row]) + length)
        return rows

    def targets(
        self, starts: Int64[Array, " count"], rows: Int64[Array, "count length"]
    ) -> Int64[Array, "count length_less_one"]:
        """What is to be predicted in each of `rows`, which begin at `starts`: the tokens one later; of conversations those that
        the model is to say, and `IGNORE` for others."""
        return rows[:, 1:]

    def opening(self, index: int) -> list[int]:
        """The tokens of document `index` before the first that a model is to learn to say."""
        return []

    def text(self, index: int) -> str:
        """Document `index`, decoded."""
        if not 0 <= index < self.documents:
            raise DaedalError(
                f"There is no document {index} in the {self.name} split", f"It has documents 0 to {self.documents - 1}"
            )
        ids = self.read(int(self.offsets[index]), int(self.offsets[index + 1]) - 1)
        return self.dataset.codec.decode(ids.tolist())


class Dataset(DataFolder[Manifest, Split]):
    """A data folder of text: a manifest, a codec and up to three splits."""

    manifest_type = Manifest

    @cached_property
    def codec(self) -> "TextCodec":
        """The codec that the tokens were made with."""
        from daedal.codecs.text import TextCodec

        codec = TextCodec.load(self.folder)
        if codec.fingerprint() != self.manifest.codec.fingerprint:
            raise DaedalError(
                f"{self.folder}: the tokenizer is not the one that the tokens were made with", "Build the data again"
            )
        return codec

    def _open(self, name: str) -> Split:
        return Split(self.folder, name, self.manifest.splits[name], self.manifest.codec.dtype, self)
