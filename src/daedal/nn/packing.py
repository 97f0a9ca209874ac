"""Rows of unequal length, one after the other: nothing is computed for padding, and each row is attended to alone.

What works on each token by itself takes the tokens of all rows at once. Attention takes rows of about equal length together:
where they are equally long that is a view of the tokens, else the shorter ones are filled up for it alone.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from daedal.nn.dot_product import dot_product_attention

Bias = Callable[[int, int], Float[Tensor, "1 heads queries keys"]]
"""What is added to the logits of so many queries and keys, by how far they are from one another."""

_ALONE = 4  # rows of one length that are worth an attention of their own
_SHARE = 0.75  # of the longest row of a group, that its shortest has at least


class Group(NamedTuple):
    """Rows that are attended to together.

    Attributes:
        rows: their numbers.
        longest: tokens of the longest.
        tokens: of all.
        places: where their tokens stand among `rows x longest`; None where all are equally long.
    """

    rows: tuple[int, ...]
    longest: int
    tokens: int
    places: Int[Tensor, " tokens"] | None

    def pad(self, x: Float[Tensor, "tokens *rest"]) -> Float[Tensor, "rows longest *rest"]:
        """Their tokens as a rectangle; zeros where a row has ended."""
        if self.places is not None:
            x = x.new_zeros(len(self.rows) * self.longest, *x.shape[1:]).index_copy(0, self.places, x)
        return x.view(len(self.rows), self.longest, *x.shape[1:])

    def unpad(self, x: Float[Tensor, "rows longest *rest"]) -> Float[Tensor, "tokens *rest"]:
        """The tokens of a rectangle, without what `pad` added."""
        x = x.flatten(0, 1)
        return x if self.places is None else x.index_select(0, self.places)


class Packing:
    """Where the rows of a batch lie in a line of tokens.

    Args:
        lengths: tokens of each row, at least one.
        groups: the numbers of the rows that are attended to together; chosen by their lengths unless given.
        device: of the tokens.

    Attributes:
        groups: rows that are attended to together. Rows in the order of their lengths need not be moved for it.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        groups: Sequence[Sequence[int]] | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        self.lengths, self.device = tuple(lengths), torch.device(device or "cpu")
        self.starts = tuple(accumulate(self.lengths, initial=0))
        self.tokens = self.starts[-1]
        grouped = _by_length(self.lengths) if groups is None else groups
        self.groups = tuple(self._group(tuple(rows)) for rows in grouped)
        rows = [row for group in self.groups for row in group.rows]
        self._order: Tensor | None = None  # of the tokens as the groups take them
        if rows != list(range(len(rows))):
            self._order = torch.cat([torch.arange(self.starts[row], self.starts[row + 1]) for row in rows]).to(
                self.device
            )
        self._masks: dict[Any, Tensor | None] = {}

    @classmethod
    def pair(cls, one: Sequence[int], other: Sequence[int]) -> tuple["Packing", "Packing"]:
        """Rows, and what stands beside each, in the same groups: so that one can attend to the other."""
        groups: list[list[int]] = []
        for row in sorted(range(len(one)), key=lambda row: (one[row], other[row])):
            if not groups or one[row] * _SHARE > one[groups[-1][0]]:
                groups.append([])
            groups[-1].append(row)
        return cls(one, groups), cls(other, groups)

    def to(self, device: torch.device | str) -> "Packing":
        """The same rows on another device."""
        device = torch.device(device)
        return self if device == self.device else Packing(self.lengths, [group.rows for group in self.groups], device)

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def rows(self) -> Int[Tensor, " tokens"]:
        """The row of each token."""
        return torch.arange(len(self.lengths), device=self.device).repeat_interleave(
            torch.tensor(self.lengths, device=self.device), output_size=self.tokens
        )

    @cached_property
    def first(self) -> Int[Tensor, " rows"]:
        """Where the first token of each row is."""
        return torch.tensor(self.starts[:-1], device=self.device, dtype=torch.long)

    @cached_property
    def last(self) -> Int[Tensor, " rows"]:
        """Where the last token of each row is."""
        return torch.tensor(self.starts[1:], device=self.device, dtype=torch.long) - 1

    @cached_property
    def positions(self) -> Int[Tensor, " tokens"]:
        """Of each token in its row."""
        return torch.arange(self.tokens, device=self.device) - self.first[self.rows]

    def mean(self, x: Float[Tensor, "tokens width"]) -> Float[Tensor, "rows width"]:
        """Of the tokens of each row."""
        sums = x.new_zeros(len(self), x.shape[-1]).index_add(0, self.rows, x)
        return sums / torch.tensor(self.lengths, device=x.device, dtype=x.dtype)[:, None]

    def pad(self, x: Float[Tensor, "tokens *rest"]) -> list[Float[Tensor, "rows longest *rest"]]:
        """A rectangle for each group."""
        x = x if self._order is None else x.index_select(0, self._order)
        parts = torch.split(x, [group.tokens for group in self.groups])
        return [group.pad(part) for group, part in zip(self.groups, parts, strict=True)]

    def join(self, parts: Sequence[Float[Tensor, "rows longest *rest"]]) -> Float[Tensor, "tokens *rest"]:
        """The line of tokens of what `pad` gave."""
        found = [group.unpad(part) for group, part in zip(self.groups, parts, strict=True)]
        x = found[0] if len(found) == 1 else torch.cat(found)
        return x if self._order is None else torch.empty_like(x).index_copy(0, self._order, x)

    def mask(self, group: int, queries: int, window: int | None, causal: bool, dtype: torch.dtype) -> Tensor | None:
        """What is added to the logits of a group's keys: minus infinity where a row has ended, where one is more than
        `window` away, or, where it is `causal`, behind its query; nothing where there is nothing to hide."""
        key = group, queries, window, causal, dtype
        if key not in self._masks:
            keys = self.groups[group]
            places = torch.arange(keys.longest, device=self.device)
            seen = torch.ones(1, 1, 1, keys.longest, dtype=torch.bool, device=self.device)
            if keys.places is not None:
                ends = torch.tensor([self.lengths[row] for row in keys.rows], device=self.device)
                seen = (places < ends[:, None])[:, None, None]
            if window is not None and keys.longest > window + 1:
                away = (torch.arange(queries, device=self.device)[:, None] - places).abs()
                # what stands after the end of a row, and is dropped again, must see something
                seen = seen & (away <= window) | (away == 0)
            if causal:
                seen = seen & (places <= torch.arange(queries, device=self.device)[:, None])
            mask = torch.zeros(seen.shape, dtype=dtype, device=self.device).masked_fill_(~seen, float("-inf"))
            self._masks[key] = None if bool(seen.all()) else mask
        return self._masks[key]

    def _group(self, rows: tuple[int, ...]) -> Group:
        lengths = [self.lengths[row] for row in rows]
        longest = max(lengths)
        places = None
        if min(lengths) != longest:
            filled = [torch.arange(length) + place * longest for place, length in enumerate(lengths)]
            places = torch.cat(filled).to(self.device)
        return Group(rows, longest, sum(lengths), places)


def attend_packed(
    query: Float[Tensor, "tokens heads width"],
    key: Float[Tensor, "others kv_heads width"],
    value: Float[Tensor, "others kv_heads width"],
    queries: Packing,
    keys: Packing,
    *,
    causal: bool = False,
    window: int | None = None,
    bias: Bias | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "tokens heads width"]:
    """What each token reads of its own row of `keys`.

    Args:
        queries, keys: of the same groups; the same packing where rows attend to themselves.
        causal: only of what stands before it in its row, and of itself.
        window: only of what is at most so far away.
        scale: of the logits; one over the root of the width unless given.
    """
    how: dict[str, Any] = {"dropout_p": dropout, "scale": scale, "enable_gqa": query.shape[1] != key.shape[1]}
    read = []
    rectangles = zip(queries.pad(query), keys.pad(key), keys.pad(value), strict=True)
    for number, (asked, known, told) in enumerate(rectangles):
        if causal and window is None and bias is None:  # what was filled up stands behind all that is real
            how |= {"is_causal": True}
        else:
            mask = keys.mask(number, asked.shape[1], window, causal, asked.dtype)
            if bias is not None:
                near = bias(asked.shape[1], known.shape[1])
                mask = near if mask is None else mask + near
            how |= {"attn_mask": mask}
        found = dot_product_attention(asked.transpose(1, 2), known.transpose(1, 2), told.transpose(1, 2), **how)
        read.append(found.transpose(1, 2))
    return queries.join(read)


def _by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Rows in groups of about equal length, from the shortest on; many of one length are a group of their own."""
    counts: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        counts.setdefault(length, []).append(row)
    groups: list[list[int]] = []
    open_until = 0.0
    for length in sorted(counts):
        rows = counts[length]
        if len(rows) >= _ALONE:
            groups.append(rows)
            open_until = 0.0
        elif length <= open_until:
            groups[-1] += rows
        else:
            groups.append(list(rows))
            open_until = length / _SHARE
    return groups
