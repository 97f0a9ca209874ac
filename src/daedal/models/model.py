"""What every family gives: a configuration, players, a loss for each, samples, and a likelihood where it has one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from daedal.config import Config

IGNORE = -100
"""A target with this value is not learned."""


@dataclass(frozen=True)
class TokenBatch:
    """Token ids and, for each position, the id that follows.

    Attributes:
        normalizer: number of targets in the whole optimizer step, so that the gradients of several accumulated
            batches sum to those of one large batch.
    """

    inputs: Int[Tensor, "batch time"]
    targets: Int[Tensor, "batch time"]
    normalizer: float = 1.0

    @property
    def count(self) -> int:
        """How many targets are learned."""
        return int((self.targets != IGNORE).sum())

    def to(self, device: torch.device) -> "TokenBatch":
        return replace(self, inputs=self.inputs.to(device), targets=self.targets.to(device))

    def normalised(self, count: float) -> "TokenBatch":
        """The same batch as part of a step of `count` targets."""
        return replace(self, normalizer=count)


@dataclass(frozen=True)
class Loss:
    """One scalar to minimise, and named parts to log."""

    total: Float[Tensor, ""]
    parts: dict[str, Tensor] = field(default_factory=dict)


class Model(nn.Module, ABC):
    """A family of models. Knows nothing of files, progress bars or devices other than its own."""

    capabilities: ClassVar[frozenset[str]] = frozenset()
    config: Config

    @property
    def players(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of each player of the training game; most games have one player."""
        return {"model": list(self.parameters())}

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @abstractmethod
    def loss(self, batch: Any, player: str = "model") -> Loss:
        """The loss of one player on a batch."""

    @abstractmethod
    def sample(self, *args: Any, **options: Any) -> Tensor:
        """Codes drawn from the model."""

    def log_likelihood(self, batch: Any) -> Float[Tensor, " batch"]:
        """Log-likelihood, or a lower bound of it, of each example, in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no likelihood")
