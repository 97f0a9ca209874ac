"""What every family gives: a configuration, players, a loss for each, and a likelihood where it has one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from daedal.config import Config

IGNORE = -100
"""A target with this value is not learned."""


@dataclass(frozen=True)
class Moment:
    """The step of a run in which a batch is learned.

    Attributes:
        count: of what the loss is a mean over (targets, pictures) in the whole step, so that the gradients of several
            accumulated batches sum to those of one large batch.
        fraction: how much of the run is done, 0 to 1.
        step: steps done before.
    """

    count: float = 1.0
    fraction: float = 1.0
    step: int = 0


START = Moment()
"""Of a batch that is no part of a run."""


@dataclass(frozen=True)
class TokenBatch:
    """Token ids and, for each position, the id that follows; of several books side by side, one of each.

    Attributes:
        first: the position of each row's first token, where it is not 0.
    """

    inputs: Int[Tensor, "batch time *books"]
    targets: Int[Tensor, "batch time *books"]
    moment: Moment = START
    first: Int[Tensor, " batch"] | None = None

    @property
    def count(self) -> int:
        """How many targets are learned."""
        return int((self.targets != IGNORE).sum())

    def to(self, device: torch.device) -> "TokenBatch":
        first = None if self.first is None else self.first.to(device)
        return replace(self, inputs=self.inputs.to(device), targets=self.targets.to(device), first=first)

    def at(self, moment: Moment) -> "TokenBatch":
        """The same batch as part of a step."""
        return replace(self, moment=moment)


@dataclass(frozen=True)
class Loss:
    """One scalar to minimise, and named parts to log. All are sums over the batch divided by the step's count: the losses
    of several accumulated batches sum to that of one large batch."""

    total: Float[Tensor, ""]
    parts: dict[str, Tensor] = field(default_factory=dict)


Capability = Literal[
    "sample", "class", "complete", "interpolate", "reconstruct", "score", "edit", "stream", "prompt", "caption", "match",
    "fill", "embed", "classify", "tag", "answer", "translate", "compose", "transcribe", "speak", "vocode", "film",
    "recommend", "reward",
]  # fmt: skip


class Model(nn.Module, ABC):
    """A family of models. Knows nothing of files, progress bars or devices other than its own."""

    family: ClassVar[str]
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    config: Config

    @property
    def learned_capabilities(self) -> frozenset[Capability]:
        """Those of its capabilities for which it was trained."""
        return self.capabilities

    @property
    def players(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of each player of the training game; most games have one player."""
        return {"model": list(self.parameters())}

    def turn(self, player: str) -> None:
        """Begin a player's turn: no gradients are left, and only its parameters will have any."""
        for name, parameters in self.players.items():
            for parameter in parameters:
                parameter.grad = None
                parameter.requires_grad_(name == player)

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @abstractmethod
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew. Drawn on the CPU, so that a seed means the same model on every device."""

    @abstractmethod
    def loss(self, batch: Any, player: str = "model") -> Loss:
        """The loss of one player on a batch."""

    def after_step(self, total: Callable[[Tensor], Tensor], moment: Moment) -> None:
        """What is learned otherwise than by gradients, after each step. `total` sums a tensor over all processes."""

    def health(self) -> dict[str, float]:
        """Numbers that tell whether training goes well, for the log; counted anew from one call to the next."""
        return {}

    def warning(self) -> str | None:
        """What is wrong as far as the numbers of the last `health` tell, in a line."""
        return None

    def finish(self, batches: Iterable[Any]) -> None:
        """What is fitted once, after the last step, to a pass over training examples."""

    def log_likelihood(self, batch: Any) -> Float[Tensor, " batch"]:
        """Log-likelihood, or a lower bound of it, of each example, in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no likelihood")


@contextmanager
def assembling(model: Model) -> Iterator[None]:
    """Parts that are made inside are not filled as they are made; at the end all weights are drawn, once. Where the default
    device is `meta`, nothing is allocated and nothing drawn."""
    device = torch.get_default_device()
    with torch.device("meta"):
        yield
    if device.type != "meta":
        model.to_empty(device=device)
        model.initialise(torch.Generator().manual_seed(0))
