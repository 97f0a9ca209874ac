"""What the trainer must know of what it trains: a model, and examples for it to learn."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from daedal.models.identity import Identity
from daedal.training.groups import optimizer_of
from daedal.training.optimizers import Optimizer
from daedal.training.plan import Plan
from daedal.training.processes import Processes


class Task(ABC):
    """A model and what it learns.

    Attributes:
        unit: what a batch counts: "tokens", "pictures".
        model: a `daedal.models.model.Model`.
        fingerprint: of the data that it learns from.
        identity: what a checkpoint says of itself.
    """

    unit: ClassVar[str]
    ahead: ClassVar[int] = 3
    """Steps whose batches may be made before their turn; 1 where what is learned depends on what was learned before."""
    learned_before: ClassVar[bool] = False
    """Whether the model has learned already what validation measures: then it is validated before the first step too."""
    model: Any
    fingerprint: str
    identity: Identity

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model and its codec where everything else finds them."""

    @abstractmethod
    def batch(self, first: int, count: int) -> Any:
        """Examples `first` to `first + count` of an endless, seeded stream; they have `count`, `to`, `at`."""

    def begin_step(self, step: int, processes: Processes) -> None:  # noqa: B027 (most have nothing to do)
        """What comes before the batches of the step after `step` steps are made: where a model learns from what it writes
        itself, it writes here."""

    def state(self) -> dict[str, Tensor]:
        """What the next steps depend on besides the model, by name; saved with the state that resume needs."""
        return {}

    def load_state(self, tensors: dict[str, Tensor]) -> None:  # noqa: B027
        """Take over what `state` gave."""

    @abstractmethod
    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        """The loss over the whole validation split, in the field's own units."""

    def sample(self, seed: int, path: Path) -> str:
        """Something that the model makes, as text; what is no text is written to `path` with a suffix, and named. Empty where
        there is nothing to look at."""
        return ""

    def examples(self) -> Iterable[Any]:
        """Batches of what the model fits after its last step; none where it fits nothing."""
        return ()

    def optimizer(self, player: str, plan: Plan) -> Optimizer:
        """The optimizer of one of the model's players."""
        return optimizer_of(self.model, player, plan)

    def units(self, loss: float) -> dict[str, float]:
        """The loss in the field's own units, `loss` itself included."""
        return {"loss": loss}

    def diverged(self, loss: float, lowest: float) -> bool:
        """Whether no run comes back from this loss, a number, after the lowest so far."""
        return loss > 3 * lowest + 10
