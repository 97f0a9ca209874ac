"""A recommender: a GPT over items, which learns what a person takes next (SASRec; Kang and McAuley 2018, arXiv:1808.09781).

- every place of a history is learned from: `loss = -log softmax(state @ items.T)[next item]`, in nats
- over all items at once, and not against one that is drawn as in that paper (Klenitskiy and Vasilev 2023, arXiv:2309.07602);
  where items are many, against some that are drawn, each logit less the logarithm of how often it is drawn (Bengio and Senecal
  2008; Yi et al. 2019)
- one table of items is read and told (tied): an item that is rare is learned by both
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from daedal.codecs.items import END, UNKNOWN
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.model import IGNORE, Loss
from daedal.models.sequences import Sequences, TargetBatch
from daedal.nn.fused import linear_cross_entropy


@dataclass(frozen=True)
class ItemBatch(TargetBatch):
    """Histories, and for each place the item that follows.

    Attributes:
        drawn: items that are told apart from those that follow; None for all that there are.
        rates: the logarithm of how likely each item is drawn.
        had: pairs of a row and an item that it had before, also earlier than what the row shows: of rows that are validated.
    """

    drawn: Int[Tensor, " drawn"] | None = None
    rates: Float[Tensor, " vocab"] | None = None
    had: Int[Tensor, "2 pairs"] | None = None


class RecommenderConfig(GPTConfig):
    """The shape of a GPT over items.

    Attributes:
        left_out: items at the end of each training history that it did not learn from: the very last to measure it by, the
            one before to validate it by.
    """

    left_out: int = Field(default=0, ge=0, le=2)


class Recommender(GPT):
    """A GPT over the ids of items (`daedal.codecs.items`): a history begins with the mark of an end, and is read up to now."""

    family = "recommender"
    capabilities = frozenset({"recommend"})
    config: RecommenderConfig

    def loss(self, batch: TargetBatch, player: str = "model") -> Loss:  # type: ignore[override]
        """Cross-entropy in nats of the items that follow, summed and divided by the count of the whole step."""
        states, targets, scale = self.states(batch.sequences), batch.targets, 1 / batch.moment.count
        drawn = getattr(batch, "drawn", None)
        if drawn is None:
            return Loss(linear_cross_entropy(states, self.head_weight, targets, IGNORE, scale))
        assert isinstance(batch, ItemBatch)
        assert batch.rates is not None
        known = targets != IGNORE
        states, targets = states[known], targets[known]
        own = (states * self.head_weight[targets]).sum(1) - batch.rates[targets]
        others = F.linear(states, self.head_weight[drawn]) - batch.rates[drawn]
        others = others.masked_fill(drawn == targets[:, None], float("-inf"))  # it is no other than itself
        logits = torch.cat((own[:, None], others), 1).float()
        return Loss((logits.logsumexp(1) - logits[:, 0]).sum() * scale)

    def next_items(self, sequences: Sequences) -> Float[Tensor, "rows vocab"]:
        """Logits of what follows the last item of each row; minus infinity of what is no item."""
        logits = self.head(self.states(sequences)[sequences.packing.last]).float()
        logits[:, [UNKNOWN, END]] = float("-inf")
        return logits
