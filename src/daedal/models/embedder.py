"""An embedder: an encoder whose vectors of two texts are near to one another where the texts mean the same (Reimers and
Gurevych 2019)."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from daedal.models.encoder import EncoderConfig, EncoderModel
from daedal.models.model import START, Loss, Moment
from daedal.models.sequences import Sequences, TwinBatch


class EmbedderConfig(EncoderConfig):
    """The shape of an embedder.

    Attributes:
        pooling: what a text's vector is: the mean of its tokens' states, or the first of them.
        temperature: what similarities are divided by in the loss.
    """

    pooling: Literal["first", "mean"] = "mean"
    temperature: float = Field(default=0.05, gt=0)


class Embedder(EncoderModel):
    """A sentence encoder."""

    family = "embedder"
    capabilities = frozenset({"embed"})
    config: EmbedderConfig

    def forward(self, sequences: Sequences, moment: Moment = START) -> Float[Tensor, "rows width"]:
        """A vector of length one for each row."""
        states, packing = self.states(sequences, moment), sequences.packing
        x = packing.mean(states) if self.config.pooling == "mean" else states[packing.first]
        return F.normalize(x.float(), dim=-1)

    def loss(self, batch: TwinBatch, player: str = "model") -> Loss:
        """Summed over the rows and divided by the count of the whole step.

        Without scores, cross-entropy in nats of each row's twin among those of the batch, both ways (InfoNCE; van den Oord
        et al. 2018, Radford et al. 2021). With scores, CoSENT (Su 2022): twins of a higher score are to be more alike.
        """
        one, other = self(batch.one, batch.moment), self(batch.other, batch.moment)
        if batch.scores is None:
            likeness = one @ other.T / self.config.temperature
            own = torch.arange(len(one), device=one.device)
            same = _same(batch.one) | _same(batch.other)  # the twin of an equal row is no wrong one
            likeness = likeness.masked_fill(same & (own[:, None] != own), float("-inf"))
            total = (
                F.cross_entropy(likeness, own, reduction="sum") + F.cross_entropy(likeness.T, own, reduction="sum")
            ) / 2
        else:
            likeness = (one * other).sum(-1) / self.config.temperature
            above = batch.scores[:, None] > batch.scores
            wrong = (likeness - likeness[:, None]).masked_select(above)  # by how much the lower is more alike
            total = F.pad(wrong, (1, 0)).logsumexp(0) * len(one)
        return Loss(total / batch.moment.count)


def _same(sequences: Sequences) -> Bool[Tensor, "rows rows"]:
    """Which rows have the same ids, by a hash."""
    packing = sequences.packing
    mixed = (sequences.ids + 1) * 0x2545F4914F6CDD1D + (packing.positions + 1) * 0x1B873593CC9E2D51
    mixed = (mixed ^ (mixed >> 29)) * 0x369DEA0F31A53F85
    mixed = mixed ^ (mixed >> 32)
    digests = mixed.new_zeros(len(packing)).index_add(0, packing.rows, mixed)
    return digests[:, None] == digests
