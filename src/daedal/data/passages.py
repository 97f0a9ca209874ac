"""The documents of a split as rows for a model that reads both ways: each alone, long ones cut."""

import numpy as np
from jaxtyping import Int64

from daedal.data.shards import Split
from daedal.errors import DaedalError

Array = np.ndarray


class Passages:
    """Pieces of the documents of a split, their end marks left out; a long document's are about equally long.

    Args:
        longest: tokens of a piece, at most.

    Raises:
        DaedalError: the split is empty.
    """

    def __init__(self, split: Split, longest: int) -> None:
        self.split = split
        sizes = np.diff(split.offsets) - 1
        kept = np.flatnonzero(sizes > 0)
        if not len(kept):
            raise DaedalError(f"The {split.name} split has no text", "Give more text")
        sizes = sizes[kept]
        pieces = -(-sizes // longest)
        number = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        size, count = np.repeat(sizes, pieces), np.repeat(pieces, pieces)
        begins, ends = size * number // count, size * (number + 1) // count
        self._starts: Int64[Array, " pieces"] = np.repeat(split.offsets[:-1][kept], pieces) + begins
        self.lengths: Int64[Array, " pieces"] = ends - begins

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Int64[Array, " tokens"]:
        start = int(self._starts[index])
        return self.split.read(start, start + int(self.lengths[index]))
