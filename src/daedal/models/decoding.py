"""The decoder of a translator, a token at a time.

- keys and values of what was written are kept, those of the source are made once for all of its beams
- beams are never copied: all that a source has written lies in one row of the cache, and each beam sees its own line of it
- sources whose translation is done leave: others move into their places
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from daedal.models.sequences import Sequences
from daedal.models.translator import Translator
from daedal.nn.attention import Frame, Recollection
from daedal.nn.cache import KVCache
from daedal.nn.cross_attention import CrossAttention
from daedal.nn.packing import Packing

BLOCK = 64
"""Tokens of which the likeliest is looked for together (`top`)."""
_ROOM = 32
"""Steps for which there is room at first."""


class Decoding:
    """What has been written so far of the translations of some sources.

    Args:
        beams: versions of each that go on side by side after the first token.
        copies: translations of each that have nothing to do with one another.

    Attributes:
        step: tokens written of each.
    """

    def __init__(self, model: Translator, sources: Sequence[Sequence[int]], beams: int = 1, copies: int = 1) -> None:
        device, config = model.embedding.weight.device, model.config
        self.model, self.beams, self.step = model, beams, 0
        rows = Sequences.of(sources).to(device)
        lengths = rows.packing.lengths
        whole = Packing(lengths, [range(len(lengths))], device)  # attended to at once: they are of about equal length
        memory = model.encode(Sequences(rows.ids, whole))
        cross = [block.cross for block in model.decoder.blocks]
        pairs = [_heads(part, memory.states, whole) for part in cross if isinstance(part, CrossAttention)]
        mask = whole.mask(0, 1, None, False, memory.states.dtype)
        self.memory = Recollection(
            [key.repeat_interleave(copies, 0) for key, _ in pairs],
            [value.repeat_interleave(copies, 0) for _, value in pairs],
            None if mask is None else mask.repeat_interleave(copies, 0),
        )
        self.cache = KVCache(
            config.decoder_depth, len(lengths) * copies, config.heads, 1 + beams * _ROOM, config.head_width,
            memory.states.dtype, device,
        )  # fmt: skip
        self.output = model.output or OutputLayer(model)
        self._seen: Float[Tensor, "rows beams columns"] | None = None
        self._written = torch.zeros(0, dtype=torch.long, device=device)  # the step of each column

    @property
    def device(self) -> torch.device:
        return self._written.device

    @property
    def rows(self) -> int:
        return self.cache.batch

    def logits(
        self, ids: Int[Tensor, "rows beams"], parents: Int[Tensor, "rows beams"] | None = None
    ) -> Float[Tensor, "rows beams blocks*BLOCK"]:
        """Logits of the token after these, minus infinity for what is never written, and for what fills up the last block.

        Args:
            parents: the beam of the step before that each goes on with, where there are several.
        """
        model, beams = self.model, ids.shape[1]
        if self.cache.length + beams > self.cache.capacity:
            self.cache.resize(self.rows, 2 * self.cache.capacity)
        place = torch.tensor([self.step], device=ids.device)
        x = model.embed(ids, place, self.step + 1)
        turns = None if model.rotary is None else model.rotary.turns(place, self.step + 1)
        seen = self._see(beams, parents, x.dtype)
        frame = Frame(
            beams, self.cache.length, None, turns, self.cache, x.device, x.dtype, memory=self.memory, seen=seen
        )
        states = model.decoder(x, frame) * model.config.output_scale
        self.step += 1
        logits: Tensor = self.output(states.flatten(0, 1))
        return logits.view(self.rows, beams, -1)

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Go on with these rows alone; gives, for each row from now on, which it was. Few are moved."""
        count, kept = len(rows), set(rows)
        order = list(range(count))
        gaps = [row for row in order if row not in kept]
        stored = (*self.memory.keys, *self.memory.values)
        for gap, row in zip(gaps, (row for row in rows if row >= count), strict=True):
            order[gap] = row
            self.cache.copy(row, gap)
            for each in stored:
                each[gap] = each[row]
        self.cache = self.cache.rows(0, count)
        chosen = torch.tensor(order, device=self.device)
        mask = self.memory.mask
        self.memory = Recollection(
            [key[:count] for key in self.memory.keys],
            [value[:count] for value in self.memory.values],
            None if mask is None else mask[chosen],
        )
        self._seen = None if self._seen is None else self._seen[chosen]
        return order

    def _see(
        self, beams: int, parents: Int[Tensor, "rows beams"] | None, dtype: torch.dtype
    ) -> Float[Tensor, "#rows #heads beams columns"] | None:
        """What each beam sees of its row: the columns of those that it goes on with, and its own."""
        device, bias = self._written.device, self.model.decoder_bias
        self._written = torch.cat((self._written, torch.full((beams,), self.step, device=device)))
        near = None if bias is None else bias.of((self._written - self.step)[None])
        if self.beams == 1:
            return near
        own = torch.full((beams, beams), float("-inf"), dtype=dtype, device=device).fill_diagonal_(0)
        own = own.expand(self.rows, beams, beams)
        if self._seen is not None and parents is not None:
            before = self._seen.gather(1, parents[..., None].expand(-1, -1, self._seen.shape[2]))
            own = torch.cat((before, own), 2)
        self._seen = own
        return own[:, None] if near is None else own[:, None] + near


def top(
    logits: Float[Tensor, "rows beams tokens"], scores: Float[Tensor, "rows beams"], count: int
) -> tuple[Float[Tensor, "rows count"], Int[Tensor, "rows count"], Int[Tensor, "rows count"]]:
    """The best scores that beams can have after one more token, the beam of each and the token. The best of whole blocks are
    found first, since sorting is slow and finding a maximum is not. The logits are overwritten."""
    gained = torch.log_softmax(logits, 2, out=logits).view(*scores.shape, -1, BLOCK)
    size = gained.shape[2]
    best = (gained.amax(3) + scores[..., None]).flatten(1)
    _, chosen = best.topk(min(count, best.shape[1]), 1)
    within = gained.flatten(1, 2).gather(1, chosen[..., None].expand(-1, -1, BLOCK))
    within = within + scores.gather(1, chosen // size)[..., None]
    found, places = within.flatten(1).topk(count, 1)
    block = chosen.gather(1, places // BLOCK)
    return found, block // size, block % size * BLOCK + places % BLOCK


def _heads(
    cross: CrossAttention, states: Float[Tensor, "tokens width"], whole: Packing
) -> tuple[Float[Tensor, "rows heads longest head_width"], Float[Tensor, "rows heads longest head_width"]]:
    key, value = cross.known(states)
    return whole.pad(key)[0].transpose(1, 2).contiguous(), whole.pad(value)[0].transpose(1, 2).contiguous()


class OutputLayer(nn.Module):
    """The layer that gives logits, of whole blocks of tokens: minus infinity for what fills up the last one, for what is
    suppressed, and for the token that begins a text, which is never written unless it also ends one."""

    def __init__(self, model: Translator) -> None:
        super().__init__()
        config, weight = model.config, model.head_weight.detach()
        tokens = len(weight)
        bias = weight.new_zeros(tokens) if model.output_bias is None else model.output_bias[0].to(weight.dtype)
        # A column for each token: with few rows PyTorch multiplies by it in half the time
        self.weight = F.pad(weight, (0, 0, 0, -tokens % BLOCK)).t().contiguous()
        self.bias = F.pad(bias.clone(), (0, -tokens % BLOCK), value=float("-inf"))
        self.bias[list(config.suppressed)] = float("-inf")
        if config.start_id != config.end_id:
            self.bias[config.start_id] = float("-inf")

    def forward(self, states: Float[Tensor, "rows width"]) -> Float[Tensor, "rows tokens"]:
        return torch.addmm(self.bias, states, self.weight)
