"""Attention with grouped queries (Ainslie et al. 2023), optional query-key norm; what the layers of a pass share."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn

from daedal.nn.cache import KVCache
from daedal.nn.dot_product import dot_product_attention, learns_in_mixed_precision
from daedal.nn.packing import Bias, Packing, attend_packed
from daedal.nn.position import rotate


class Memory(NamedTuple):
    """Sequences that others read from, such as the sentences that are translated.

    Attributes:
        states: of its tokens.
        packing: its rows, in the groups of those that read.
    """

    states: Float[Tensor, "tokens width"]
    packing: Packing


class Recollection(NamedTuple):
    """A memory that is read again and again: the keys and values that each layer makes of it.

    Attributes:
        mask: minus infinity where a row has ended; nothing where all are equally long.
    """

    keys: list[Float[Tensor, "rows heads longest width"]]
    values: list[Float[Tensor, "rows heads longest width"]]
    mask: Float[Tensor, "rows 1 1 longest"] | None


@dataclass
class Frame:
    """What every layer of one forward pass shares: positions, who may see whom, and the cache.

    Attributes:
        time: columns of this pass.
        past: columns that lie in the cache before this pass; of the longest row, where rows differ.
        lengths: such columns of each row, where rows differ.
        turns: what the rotary scheme turns queries and keys by.
        ids, origin: the tokens, and what the first layer receives for them.
        condition: what adaptive blocks are told of each row.
        packing: the rows of the tokens, where they lie one after the other in a batch of one.
        near_turns: what the rotary scheme of layers that see only a window turns by, where that is another.
        bias: what is added to the logits of queries and keys by how far they are from one another.
        memory: what is read from besides: another sequence.
        seen: what is added to the logits of causal attention, where the columns are no line of time: those that a row wrote
            side by side.
    """

    time: int
    past: int = 0
    lengths: Int[Tensor, " batch"] | None = None
    turns: Complex[Tensor, "*batch time 1 pairs"] | None = None
    cache: KVCache | None = None
    device: torch.device | None = None
    dtype: torch.dtype = torch.float32
    ids: Int[Tensor, "batch time"] | None = None
    origin: Float[Tensor, "batch time width"] | None = None
    condition: Float[Tensor, "batch condition"] | None = None
    packing: Packing | None = None
    near_turns: Complex[Tensor, "*batch time 1 pairs"] | None = None
    bias: Bias | None = None
    memory: Memory | Recollection | None = None
    seen: Float[Tensor, "#batch #heads time total"] | None = None
    _masks: dict[int | None, Tensor] = field(default_factory=dict)

    def mask(self, window: int | None) -> Float[Tensor, "#batch 1 time total"]:
        """0 where a column may be seen, minus infinity elsewhere; the same for all layers with this window."""
        if window not in self._masks:
            column = torch.arange(self.past + self.time, device=self.device)
            query = torch.arange(self.time, device=self.device)[:, None]
            query = query + (self.past if self.lengths is None else self.lengths[:, None, None, None])
            seen = column <= query
            if window is not None:
                seen &= column > query - window
            if self.lengths is None:
                seen = seen[None, None]
            mask = torch.zeros(seen.shape, dtype=self.dtype, device=self.device)
            self._masks[window] = mask.masked_fill_(~seen, float("-inf"))
        return self._masks[window]


class Attention(nn.Module):
    """Each position attends to every position of its row, or to those at most `window` away.

    Queries, keys and values come from one matrix (rows: all query heads, then key heads, then value heads).

    Args:
        scale: of the logits; one over the root of the head's width unless given.
    """

    causal = False

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int,
        head_width: int,
        *,
        bias: bool = False,
        out_bias: bool = False,
        window: int | None = None,
        norm: nn.Module | None = None,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.window, self.scale = window, scale
        self.heads, self.kv_heads, self.head_width = heads, kv_heads, head_width
        self.rows = (heads * head_width, kv_heads * head_width, kv_heads * head_width)
        self.qkv = nn.Linear(width, sum(self.rows), bias=bias)
        self.out = nn.Linear(heads * head_width, width, bias=out_bias)
        self.norm, self.dropout = norm, dropout

    def forward(
        self, x: Float[Tensor, "batch time width"], frame: Frame, layer: int
    ) -> Float[Tensor, "batch time width"]:
        batch, time, _ = x.shape
        both, value = (
            self.qkv(x).view(batch, time, -1, self.head_width).split((self.heads + self.kv_heads, self.kv_heads), dim=2)
        )
        if learns_in_mixed_precision(both):
            both = both.float()  # once, for the norm, the turns and the products
        if self.norm is not None:
            both = self.norm(both)
        turns = frame.turns if self.window is None or frame.near_turns is None else frame.near_turns
        if turns is not None:
            both = rotate(both, turns)
        query, key = both.transpose(1, 2).split((self.heads, self.kv_heads), dim=1)
        mixed = self.mix(query, key, value, frame, layer)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, time, -1))
        return out

    def mix(
        self,
        query: Float[Tensor, "batch heads time width"],
        key: Float[Tensor, "batch kv_heads time width"],
        value: Float[Tensor, "batch time kv_heads width"],
        frame: Frame,
        layer: int,
    ) -> Float[Tensor, "batch heads time width"]:
        """What each query reads."""
        if frame.packing is not None:
            return self._packed(query, key, value, frame)
        grouped, dropout = self.heads != self.kv_heads, self.dropout if self.training else 0.0
        how = {"dropout_p": dropout, "enable_gqa": grouped, "scale": self.scale}
        return dot_product_attention(query, key, value.transpose(1, 2), **how)

    def _packed(
        self,
        query: Float[Tensor, "1 heads tokens width"],
        key: Float[Tensor, "1 kv_heads tokens width"],
        value: Float[Tensor, "1 tokens kv_heads width"],
        frame: Frame,
    ) -> Float[Tensor, "1 heads tokens width"]:
        """The same of rows that lie one after the other."""
        packing, window = frame.packing, self.window
        assert packing is not None
        if window is not None and self.causal:
            window -= 1  # of a causal one each position is a part itself
        found = attend_packed(
            query[0].transpose(0, 1), key[0].transpose(0, 1), value[0], packing, packing, causal=self.causal,
            window=window, bias=frame.bias, scale=self.scale, dropout=self.dropout if self.training else 0.0,
        )  # fmt: skip
        return found.transpose(0, 1).unsqueeze(0)


class CausalAttention(Attention):
    """Each position attends to itself and what came before, at most `window` columns back."""

    causal = True

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int,
        head_width: int,
        *,
        bias: bool = False,
        out_bias: bool = False,
        window: int | None = None,
        norm: nn.Module | None = None,
        values: nn.Module | None = None,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            width, heads, kv_heads, head_width, bias=bias, out_bias=out_bias, window=window, norm=norm, scale=scale,
            dropout=dropout,
        )  # fmt: skip
        self.values = values

    def mix(
        self,
        query: Float[Tensor, "batch heads time width"],
        key: Float[Tensor, "batch kv_heads time width"],
        value: Float[Tensor, "batch time kv_heads width"],
        frame: Frame,
        layer: int,
    ) -> Float[Tensor, "batch heads time width"]:
        if self.values is not None:
            value = value + self.values(frame.ids)
        if frame.packing is not None:
            return self._packed(query, key, value, frame)
        value = value.transpose(1, 2)
        if frame.cache is not None:
            key, value = frame.cache.append(layer, key, value)
        return attend(query, key, value, frame, self.window, self.dropout if self.training else 0.0, self.scale)


class ValueEmbedding(nn.Module):
    """A second embedding of the tokens, added to the values of one layer (Zhou et al. 2024): memory without arithmetic."""

    def __init__(self, vocab_size: int, kv_heads: int, head_width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(
            vocab_size, kv_heads * head_width, _weight=torch.empty(vocab_size, kv_heads * head_width)
        )
        self.gain = nn.Parameter(torch.empty(kv_heads, 1))

    def forward(self, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time kv_heads width"]:
        values: Tensor = self.embedding(ids).unflatten(-1, (len(self.gain), -1))
        return values * self.gain


def attend(
    query: Float[Tensor, "batch heads time width"],
    key: Float[Tensor, "batch kv_heads total width"],
    value: Float[Tensor, "batch kv_heads total width"],
    frame: Frame,
    window: int | None,
    dropout: float = 0.0,
    scale: float | None = None,
) -> Float[Tensor, "batch heads time width"]:
    """Causal attention, with a mask in memory only where the plain causal pattern does not do."""
    total = key.shape[2]
    if window is not None and total <= window:
        window = None
    how: dict[str, Any] = {"dropout_p": dropout, "scale": scale, "enable_gqa": query.shape[1] != key.shape[1]}
    if frame.seen is not None:
        return dot_product_attention(query, key, value, attn_mask=frame.seen, **how)
    if frame.lengths is None and query.shape[2] == 1:
        if window is not None:
            key, value = key[:, :, -window:], value[:, :, -window:]
        return dot_product_attention(query, key, value, **how)
    if frame.lengths is None and frame.past == 0 and window is None:
        return dot_product_attention(query, key, value, is_causal=True, **how)
    return dot_product_attention(query, key, value, attn_mask=frame.mask(window), **how)
