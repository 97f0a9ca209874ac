"""BERT: an encoder that tells what tokens are hidden in a text (Devlin et al. 2019)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from daedal.models.encoder import EncoderConfig, EncoderModel, PredictionHead
from daedal.models.model import IGNORE, Loss
from daedal.models.sequences import Sequences, TargetBatch
from daedal.nn.fused import linear_cross_entropy


class BERTConfig(EncoderConfig):
    """The shape of a BERT.

    Attributes:
        tied: whether tokens are told by the same table that reads them.
    """

    tied: bool = True


class BERT(EncoderModel):
    """A masked language model."""

    family = "bert"
    capabilities = frozenset({"fill", "embed"})
    config: BERTConfig

    def _assemble(self) -> None:
        config = self.config
        self.transform = PredictionHead(config)
        self.bias = nn.Parameter(torch.empty(config.vocab_size))
        if not config.tied:
            self.output = nn.Linear(config.width, config.vocab_size, bias=False)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        super().initialise(generator)
        self.bias.zero_()

    @property
    def head_weight(self) -> Float[Tensor, "vocab width"]:
        return self.encoder.embedding.weight if self.output is None else self.output.weight

    def logits(
        self, sequences: Sequences, places: Int[Tensor, " places"] | None = None
    ) -> Float[Tensor, "places vocab"]:
        """Of what each token is; of those at `places` of the line of tokens, where these are given."""
        states = self.encoder(sequences)
        return F.linear(self.transform(states if places is None else states[places]), self.head_weight, self.bias)

    def forward(self, sequences: Sequences) -> Float[Tensor, "tokens vocab"]:
        """Logits of what each token is."""
        return self.logits(sequences)

    def loss(self, batch: TargetBatch, player: str = "model") -> Loss:
        """Cross-entropy in nats, summed over the hidden tokens and divided by the count of the whole step."""
        hidden = (batch.targets != IGNORE).nonzero()[:, 0]
        states = self.transform(self.encoder(batch.sequences)[hidden])
        scale = 1 / batch.moment.count
        return Loss(
            linear_cross_entropy(states, self.head_weight, batch.targets[hidden], IGNORE, scale, bias=self.bias)
        )
