"""Keys and values of the tokens that a model has already seen."""

import contextlib
import math
import mmap
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

_PAGES = 2**20
"""Bytes from which on memory is had from the operating system."""
_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
"""How: without it, Unix shares the memory with processes that are forked."""


class KVCache:
    """Keys and values of some rows, preallocated. Column i of a row is its token i, and each row has a length of its own.

    Columns beyond a row's length hold whatever was there before; nobody sees them.

    Attributes:
        lengths: columns filled so far, of each row. To forget a row's last columns is to make its length smaller.
        first: the position of each row's first token, or None where all begin at 0.
        ids: the tokens so far, for models that look at them again (`remember`).
    """

    def __init__(
        self,
        depth: int,
        batch: int,
        kv_heads: int,
        capacity: int,
        head_width: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (batch, kv_heads, capacity, head_width)
        self.keys = [_zeros(shape, dtype, torch.device(device)) for _ in range(depth)]
        self.values = [_zeros(shape, dtype, torch.device(device)) for _ in range(depth)]
        self.lengths = [0] * batch
        self.first: Int[Tensor, " batch"] | None = None
        self.ids: Int[Tensor, "batch length"] | None = None
        self._places: tuple[Tensor, Tensor] | None = None

    @property
    def capacity(self) -> int:
        return self.keys[0].shape[2]

    @property
    def batch(self) -> int:
        return self.keys[0].shape[0]

    @property
    def length(self) -> int:
        """Columns that a pass over all rows must look at."""
        return max(self.lengths, default=0)

    @property
    def even(self) -> bool:
        """Whether all rows are of one length."""
        return len(set(self.lengths)) < 2

    @property
    def bytes(self) -> int:
        return 2 * len(self.keys) * self.keys[0].nbytes

    def rows(self, first: int, last: int) -> "KVCache":
        """Some neighbouring rows, on the same storage, with lengths of their own."""
        part = object.__new__(KVCache)
        part.keys, part.values = ([one[first:last] for one in stored] for stored in (self.keys, self.values))
        part.lengths = self.lengths[first:last]
        part.first = part.ids = part._places = None
        return part

    def append(
        self,
        layer: int,
        key: Float[Tensor, "batch kv_heads time width"],
        value: Float[Tensor, "batch kv_heads time width"],
    ) -> tuple[Float[Tensor, "batch kv_heads total width"], Float[Tensor, "batch kv_heads total width"]]:
        """Write new columns of one layer; gives all columns so far. `advance` when the whole pass is done."""
        keys, values, time = self.keys[layer], self.values[layer], key.shape[2]
        end = self.length + time
        if self.even:
            keys[:, :, end - time : end] = key
            values[:, :, end - time : end] = value
        else:
            if self._places is None:
                rows = torch.arange(self.batch, device=key.device)[:, None]
                columns = torch.tensor(self.lengths, device=key.device)[:, None] + torch.arange(time, device=key.device)
                self._places = rows, columns
            rows, columns = self._places
            keys[rows, :, columns] = key.transpose(1, 2)
            values[rows, :, columns] = value.transpose(1, 2)
        return keys[:, :, :end], values[:, :, :end]

    def advance(self, time: int) -> None:
        """A pass over `time` tokens of each row is done."""
        self.lengths = [length + time for length in self.lengths]
        self._places = None

    def remember(self, ids: Int[Tensor, "batch time"]) -> Int[Tensor, "batch total"]:
        """Take note of the tokens of a pass, of rows of one length; gives all so far."""
        self.ids = ids if self.ids is None else torch.cat((self.ids, ids), 1)
        return self.ids

    def copy(self, source: int, target: int) -> None:
        """Make one row what another is."""
        end = self.lengths[target] = self.lengths[source]
        for stored in (*self.keys, *self.values):
            stored[target, :, :end] = stored[source, :, :end]

    def read(self, row: int, start: int, stop: int) -> Float[Tensor, "twice_depth kv_heads columns width"]:
        """A copy of some columns of a row: the keys of all layers, then the values."""
        return torch.stack([stored[row, :, start:stop] for stored in (*self.keys, *self.values)])

    def write(self, row: int, start: int, columns: Float[Tensor, "twice_depth kv_heads columns width"]) -> None:
        """Put back what `read` gave, and make the row end there."""
        self.lengths[row] = start + columns.shape[2]
        for stored, new in zip((*self.keys, *self.values), columns, strict=True):
            stored[row, :, start : self.lengths[row]] = new

    def resize(self, batch: int, capacity: int) -> Self:
        """Make room for more rows or columns, or give up rows at the end or columns that are empty. Only what is filled is
        touched."""
        kept = min(batch, self.batch)
        self.lengths = self.lengths[:kept] + [0] * (batch - kept)
        for stored in (self.keys, self.values):
            for layer, old in enumerate(stored):
                stored[layer] = _zeros((batch, old.shape[1], capacity, old.shape[3]), old.dtype, old.device)
                stored[layer][:kept, :, : self.length] = old[:kept, :, : self.length]
        return self


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros, since what is hidden is multiplied by zero and must be a number. On a CPU they are new pages of the operating
    system, which take no memory and no time until they are touched, large ones where it has them."""
    size = math.prod(shape) * dtype.itemsize
    if device.type != "cpu" or size < _PAGES:
        return torch.zeros(shape, dtype=dtype, device=device)
    memory = mmap.mmap(-1, size, **_PRIVATE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without large pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=dtype).view(shape)
