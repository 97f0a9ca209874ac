"""A reward model: how good people find a conversation, as one number (Ouyang et al. 2022, arXiv:2203.02155).

The Transformer of a GPT without its output layer, and one linear layer on the state of the last token, which has seen all of
the conversation. Transformers knows it as `Qwen3ForSequenceClassification` and the like, with one label.
"""

from typing import Any, Self

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from daedal.models.bradley_terry import bradley_terry_loss, preferred
from daedal.models.gpt import GPT, Architecture, GPTConfig
from daedal.models.model import Loss, Model
from daedal.models.sequences import PreferenceBatch, Sequences

_NEW = 0.01
"""Deviation of a new head's weights, times the root of the width: all rewards begin near 0, and all odds near 1."""


class RewardConfig(GPTConfig):
    """The shape of a reward model.

    Attributes:
        pad_id: the token that fills up rows for other programs. It is passed over at the end of a row, where the last token is
            looked for, as Transformers does: a row may end with it, as many tokenizers fill up with the end of texts.
    """

    pad_id: int | None = Field(default=None, ge=0)

    @classmethod
    def around(cls, config: GPTConfig, pad_id: int | None) -> Self:
        """That of a reward model with the body of a GPT."""
        values = {name: getattr(config, name) for name in GPTConfig.model_fields}
        return cls.parse({**values, "tied": True, "grid": None, "grid_at": 0, "pad_id": pad_id}, "model")

    @classmethod
    def of(cls, architecture: Architecture, **shape: Any) -> Self:
        return super().of(architecture, **{**shape, "tied": True})

    @property
    def body(self) -> GPTConfig:
        """The shape of the Transformer."""
        return GPTConfig(**{name: getattr(self, name) for name in GPTConfig.model_fields})


class Reward(Model):
    """A reward model."""

    family = "reward"
    capabilities = frozenset({"reward"})

    def __init__(self, config: RewardConfig) -> None:
        super().__init__()
        self.config: RewardConfig = config
        self.body = GPT(config.body)
        self.score = nn.Linear(config.width, 1, bias=False)
        if not self.score.weight.is_meta:
            self._new_head(torch.Generator().manual_seed(0))

    def initialise(self, generator: torch.Generator) -> None:
        self.body.initialise(generator)
        self._new_head(generator)

    @torch.no_grad()
    def _new_head(self, generator: torch.Generator) -> None:
        drawn = torch.randn(self.score.weight.shape, generator=generator)
        self.score.weight.copy_(drawn * _NEW * self.config.width**-0.5)

    def adopt(self, other: GPT) -> None:
        """Take over the Transformer of a GPT, which has the same shape; its output layer is left out."""
        known = {name: value for name, value in other.state_dict().items() if not name.startswith("unembedding.")}
        self.body.load_state_dict(known, assign=True)

    def forward(self, sequences: Sequences) -> Float[Tensor, " rows"]:
        """The reward of each row."""
        found: Tensor = self.score(self.body.states(sequences)[self._last(sequences)])
        return found[:, 0]

    def _last(self, sequences: Sequences) -> Int[Tensor, " rows"]:
        """The last token of each row that fills up nothing; the first, where all do."""
        packing, device = sequences.packing, sequences.ids.device
        if self.config.pad_id is None:
            return packing.last
        place = torch.where(sequences.ids == self.config.pad_id, 0, packing.positions)
        last = torch.zeros(len(packing), dtype=place.dtype, device=device).scatter_reduce(
            0, packing.rows, place, "amax"
        )
        return packing.first + last

    def loss(self, batch: PreferenceBatch, player: str = "model") -> Loss:
        """Nats by which the chosen conversation of each pair is not told, summed and divided by the count of the whole step."""
        chosen, rejected = self.compared(batch)
        total = bradley_terry_loss(chosen, rejected, batch.margins).sum()
        right, ahead = preferred(chosen, rejected).sum(), (chosen - rejected).sum()
        count = batch.moment.count
        return Loss(total / count, {"accuracy": right.detach() / count, "ahead": ahead.detach() / count})

    def compared(self, batch: PreferenceBatch) -> tuple[Float[Tensor, " pairs"], Float[Tensor, " pairs"]]:
        """The rewards of the chosen and of the rejected conversation of each pair."""
        rewards = self(batch.sequences).float()
        return rewards[batch.chosen], rewards[batch.rejected]
