"""Attention to another sequence: queries of one, keys and values of the other (Bahdanau et al. 2015, Vaswani et al. 2017)."""

from jaxtyping import Float
from torch import Tensor, nn

from daedal.nn.attention import Frame, Recollection
from daedal.nn.dot_product import dot_product_attention
from daedal.nn.packing import attend_packed


class CrossAttention(nn.Module):
    """Each position attends to every position of the row of the frame's memory that stands beside its own.

    Keys and values come from one matrix, keys first.

    Args:
        scale: of the logits; one over the root of the head's width unless given.
        query_norm, key_norm: of each head's queries and keys.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        head_width: int,
        *,
        bias: bool = False,
        query_norm: nn.Module | None = None,
        key_norm: nn.Module | None = None,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.head_width, self.scale = heads, head_width, scale
        self.rows = (heads * head_width,) * 2
        self.query = nn.Linear(width, heads * head_width, bias=bias)
        self.key_value = nn.Linear(width, 2 * heads * head_width, bias=bias)
        self.out = nn.Linear(heads * head_width, width, bias=bias)
        self.query_norm, self.key_norm = query_norm, key_norm

    def asked(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch heads head_width"]:
        """The queries of states."""
        query: Tensor = self.query(x).unflatten(-1, (self.heads, self.head_width))
        return query if self.query_norm is None else self.query_norm(query)

    def known(
        self, states: Float[Tensor, "*batch width"]
    ) -> tuple[Float[Tensor, "*batch heads head_width"], Float[Tensor, "*batch heads head_width"]]:
        """The keys and values of the states of a memory."""
        key, value = self.key_value(states).unflatten(-1, (2 * self.heads, self.head_width)).chunk(2, dim=-2)
        return (key if self.key_norm is None else self.key_norm(key)), value

    def forward(
        self, x: Float[Tensor, "batch time width"], frame: Frame, layer: int
    ) -> Float[Tensor, "batch time width"]:
        query, memory = self.asked(x), frame.memory
        if isinstance(memory, Recollection):
            key, value = memory.keys[layer], memory.values[layer]
            how = {"attn_mask": memory.mask, "scale": self.scale}
            found = dot_product_attention(query.transpose(1, 2), key, value, **how).transpose(1, 2)
        else:
            assert memory is not None
            assert frame.packing is not None
            key, value = self.known(memory.states)
            found = attend_packed(query[0], key, value, frame.packing, memory.packing, scale=self.scale)[None]
        out: Tensor = self.out(found.flatten(-2))
        return out
