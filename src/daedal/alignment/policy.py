"""A GPT that learns what people prefer: the one player of a training game, whose loss is that of a method.

What the reference says of answers is in the batches: it does not change, and is no part of the model.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from daedal.alignment.divergence import Controller
from daedal.alignment.dpo import Form, dpo
from daedal.alignment.grpo import grpo
from daedal.alignment.kto import kto
from daedal.alignment.ppo import policy_losses, value_losses
from daedal.alignment.rollout import TokenLikelihoods, likelihoods, states_of
from daedal.models.gpt import GPT
from daedal.models.model import IGNORE, Loss, Model
from daedal.models.sequences import Batch, Sequences

_SOONER = 10.0
"""How much sooner a new head learns than what was learned before, at the same learning rate."""


@dataclass(frozen=True)
class SaidBatch(Batch):
    """Answers after their prompts.

    Attributes:
        targets: the token that follows each; `IGNORE` where that is not the answer's.
        reference: log-probability of each answer in the reference, summed over its tokens, in nats.
    """

    sequences: Sequences
    targets: Int[Tensor, " tokens"]
    reference: Float[Tensor, " rows"]

    @property
    def count(self) -> int:
        return len(self.sequences)


@dataclass(frozen=True)
class PairBatch(SaidBatch):
    """The chosen answers, then the rejected ones in the same order."""

    @property
    def count(self) -> int:
        return len(self.sequences) // 2


@dataclass(frozen=True)
class ThumbBatch(SaidBatch):
    """Answers that were liked or not."""

    liked: Bool[Tensor, " rows"]


@dataclass(frozen=True)
class RolloutBatch(Batch):
    """Answers that the model gave. What is said of tokens is of those of the answers, in order.

    Attributes:
        old, reference: log-probabilities when they were written, and in the reference.
        gains: advantages.
        values, wanted: what was thought to be still to come before each, and what that is to be; of PPO.
    """

    sequences: Sequences
    targets: Int[Tensor, " tokens"]
    old: Float[Tensor, " said"]
    reference: Float[Tensor, " said"]
    gains: Float[Tensor, " said"]
    values: Float[Tensor, " said"] | None = None
    wanted: Float[Tensor, " said"] | None = None

    @property
    def count(self) -> int:
        return len(self.old)


class Policy(Model):
    """A GPT and how it learns.

    Attributes:
        told: of the answers that it learns from, for the log.
        concern: what is wrong with them, in a line.

    Args:
        allowed: the ids that it may say, from the first on.
    """

    family = "gpt"

    def __init__(self, gpt: GPT, allowed: slice = slice(None)) -> None:
        super().__init__()
        self.gpt, self.allowed = gpt, allowed
        self.config = gpt.config
        self.capabilities = gpt.capabilities  # type: ignore[misc]
        self.told: dict[str, float] = {}
        self.concern: str | None = None

    def initialise(self, generator: torch.Generator) -> None:
        self.gpt.initialise(generator)

    def health(self) -> dict[str, float]:
        return self.told

    def warning(self) -> str | None:
        return self.concern

    def likelihoods(self, batch: Any) -> TokenLikelihoods:
        """Of the tokens that were said."""
        return likelihoods(self.gpt, batch.sequences, batch.targets, self.allowed)

    def answers(self, batch: SaidBatch, mean: bool = False) -> Float[Tensor, " rows"]:
        """log pi(y|x) - log pi_ref(y|x) of each answer, in nats; its mean a token where asked for."""
        likely = self.likelihoods(batch)
        sums = likely.log_probabilities.new_zeros(len(batch.sequences))
        ratios = sums.index_add(0, likely.rows, likely.log_probabilities) - batch.reference
        if not mean:
            return ratios
        return ratios / torch.bincount(likely.rows, minlength=len(ratios)).clamp_min(1)


class DirectPolicy(Policy):
    """By DPO or IPO."""

    def __init__(self, gpt: GPT, beta: float, smoothing: float, form: Form) -> None:
        super().__init__(gpt)
        self.beta, self.smoothing, self.form = beta, smoothing, form

    def loss(self, batch: PairBatch, player: str = "model") -> Loss:
        """A mean over the pairs of the step. Besides: how often the chosen answer has the higher implicit reward, and both."""
        chosen, rejected = self.answers(batch, mean=self.form == "ipo").chunk(2)
        found = dpo(chosen, rejected, beta=self.beta, smoothing=self.smoothing, form=self.form)
        margin, share = found.chosen - found.rejected, 1 / batch.moment.count
        right = (margin > 0).float() + (margin == 0).float() / 2
        parts = {"accuracy": right, "margin": margin, "chosen": found.chosen, "rejected": found.rejected}
        return Loss(found.losses.sum() * share, {name: part.detach().sum() * share for name, part in parts.items()})


class ThumbPolicy(Policy):
    """By KTO.

    Attributes:
        divergence: of the model from the reference in this step, in nats an answer.
    """

    def __init__(self, gpt: GPT, beta: float, up: float, down: float) -> None:
        super().__init__(gpt)
        self.beta, self.up, self.down = beta, up, down
        self.divergence = 0.0

    def loss(self, batch: ThumbBatch, player: str = "model") -> Loss:
        """A mean over the answers of the step. Besides: how often an answer is on its side of the divergence."""
        ratios, share = self.answers(batch), 1 / batch.moment.count
        losses = kto(ratios, batch.liked, self.divergence, beta=self.beta, up=self.up, down=self.down)
        right = ((ratios > self.divergence) == batch.liked).float()
        divergence = ratios.new_tensor(self.divergence * len(ratios))
        parts = {"accuracy": right.sum() * share, "kl": divergence * share}
        return Loss(losses.sum() * share, parts)


class GroupPolicy(Policy):
    """By GRPO.

    Attributes:
        controller: what a nat of divergence costs.
    """

    def __init__(
        self, gpt: GPT, controller: Controller, below: float, above: float, allowed: slice = slice(None)
    ) -> None:
        super().__init__(gpt, allowed)
        self.controller, self.below, self.above = controller, below, above

    def loss(self, batch: RolloutBatch, player: str = "model") -> Loss:
        """A mean over the tokens of the step's answers."""
        likely, share = self.likelihoods(batch), 1 / batch.moment.count
        found = grpo(
            likely.log_probabilities, batch.old, batch.reference, batch.gains,
            beta=self.controller.beta, below=self.below, above=self.above,
        )  # fmt: skip
        return Loss(found.losses.sum() * share, {"clipped": found.clipped.float().sum() * share})


class ActorCritic(Policy):
    """By PPO: with a head that tells from the state before each token what the answer will still earn.

    Attributes:
        controller: what a nat of divergence costs; it is in the rewards, not in the loss.
    """

    def __init__(self, gpt: GPT, controller: Controller, clip: float, value_share: float) -> None:
        super().__init__(gpt)
        self.controller, self.clip, self.value_share = controller, clip, value_share
        self.value = nn.Linear(gpt.config.width, 1)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def loss(self, batch: RolloutBatch, player: str = "model") -> Loss:
        """A mean over the tokens of the step's answers: the policy's loss, and a share of the value's."""
        assert batch.values is not None
        assert batch.wanted is not None
        likely, share = self.likelihoods(batch), 1 / batch.moment.count
        policy = policy_losses(likely.log_probabilities, batch.old, batch.gains, self.clip, self.clip)
        value = value_losses(self._tell(likely.states), batch.values, batch.wanted, self.clip)
        total = (policy.losses + self.value_share * value.losses).sum() * share
        parts = {"clipped": policy.clipped.float(), "value_loss": value.losses}
        return Loss(total, {name: part.detach().sum() * share for name, part in parts.items()})

    @torch.no_grad()
    def values(self, sequences: Sequences, targets: Int[Tensor, " tokens"]) -> Float[Tensor, " said"]:
        """What is still to come before each token that was said."""
        return self._tell(states_of(self.gpt, sequences)[targets != IGNORE])

    def _tell(self, states: Float[Tensor, "said width"]) -> Float[Tensor, " said"]:
        found: Tensor = _SOONER * self.value(states)[:, 0].float()
        return found
