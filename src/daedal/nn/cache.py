"""Keys and values of the positions that a model has already seen."""

from collections.abc import Callable
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor


class KVCache:
    """Keys and values, preallocated. All rows advance together; prompts of unequal length are padded on the left.

    Attributes:
        length: positions filled so far, the same for every row.
        start: the first real column of each row, or None where no row is padded.
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
        start: Int[Tensor, " batch"] | None = None,
    ) -> None:
        shape = (batch, kv_heads, capacity, head_width)
        self.keys = [torch.empty(shape, dtype=dtype, device=device) for _ in range(depth)]
        self.values = [torch.empty(shape, dtype=dtype, device=device) for _ in range(depth)]
        self.length, self.start = 0, start
        self.first: Int[Tensor, " batch"] | None = None
        self.ids: Int[Tensor, "batch length"] | None = None

    @property
    def capacity(self) -> int:
        return self.keys[0].shape[2]

    @property
    def batch(self) -> int:
        return self.keys[0].shape[0]

    def append(
        self,
        layer: int,
        key: Float[Tensor, "batch kv_heads time width"],
        value: Float[Tensor, "batch kv_heads time width"],
    ) -> tuple[Float[Tensor, "batch kv_heads total width"], Float[Tensor, "batch kv_heads total width"]]:
        """Write new columns of one layer; gives all columns so far. `length` moves when the whole pass is done."""
        end = self.length + key.shape[2]
        keys, values = self.keys[layer], self.values[layer]
        keys[:, :, self.length : end] = key
        values[:, :, self.length : end] = value
        return keys[:, :, :end], values[:, :, :end]

    def remember(self, ids: Int[Tensor, "batch time"]) -> Int[Tensor, "batch total"]:
        """Take note of the tokens of a pass; gives all so far."""
        self.ids = ids if self.ids is None else torch.cat((self.ids, ids), 1)
        return self.ids

    def select(self, rows: Int[Tensor, " kept"]) -> Self:
        """Keep these rows, in this order; a row may come twice."""
        self.start = None if self.start is None else self.start[rows]
        self.first = None if self.first is None else self.first[rows]
        self.ids = None if self.ids is None else self.ids[rows]
        return self._move(lambda filled: filled[rows], len(rows), self.capacity)

    def grow(self, capacity: int) -> Self:
        """Make room for more columns."""
        return self._move(lambda filled: filled, self.batch, capacity)

    def _move(self, chosen: Callable[[Tensor], Tensor], batch: int, capacity: int) -> Self:
        """New storage that holds what was chosen of the filled columns; the empty ones are never touched."""
        for stored in (self.keys, self.values):
            for layer, old in enumerate(stored):
                stored[layer] = old.new_empty((batch, old.shape[1], capacity, old.shape[3]))
                stored[layer][:, :, : self.length] = chosen(old[:, :, : self.length])
        return self
