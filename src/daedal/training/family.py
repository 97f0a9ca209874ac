"""What a family brings to training: its data, its rules, its task. One class for each kind, found by the family's name."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.errors import DaedalError
from daedal.families import line, part, table
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.trainer import Task

if TYPE_CHECKING:
    from daedal.data.images.dataset import ImageDataset
    from daedal.data.shards import Dataset


class Family(ABC):
    """A family and the data that it is to learn from.

    Attributes:
        dataset: that data.

    Raises:
        DaedalError: the data cannot be read, or is not of a kind that the family learns.
    """

    dataset: "Dataset | ImageDataset"

    @abstractmethod
    def make_plan(self, budget: float | None, machine: Machine, given: dict[str, Any]) -> Plan:
        """Choose every value that `given` leaves open.

        Args:
            budget: seconds for the whole run; None leaves the length to `given["steps"]`.

        Raises:
            DaedalError: a value does not fit, or the budget is too short to train anything.
        """

    @abstractmethod
    def task(self, plan: Plan) -> Task:
        """The model of a plan with its first weights, and what it learns."""


def open_family(family: str, data: str | Path, init: str | None = None, codec: str | None = None) -> Family:
    """A family with its data.

    Args:
        init: a run folder or Hugging Face id whose weights to start from.
        codec: the run folder of a VAE or a tokenizer whose codes to learn, in place of pixels.

    Raises:
        DaedalError: as `Family`; or there is no such family, or no such codec.
    """
    chosen = line(family)
    from daedal.data import open_data
    from daedal.data.conversations import stream_of
    from daedal.data.examples import ExampleDataset

    dataset = open_data(Path(data))
    kind = dataset.kind_name
    if kind not in chosen.learns:
        raise DaedalError(
            f"A {family} learns {' or '.join(chosen.learns)}, and {data} holds {kind}",
            f"Name data of another kind, or train {' or '.join(_learners(kind)) or 'what is yet to come'} on it",
        )
    if codec is not None and chosen.codes_of is None:
        learners = [name for name, each in table().items() if each.codes_of is not None]
        raise DaedalError(
            f"A {family} learns pixels, not codes", f"Leave --codec away, or train a {' or a '.join(learners)} on codes"
        )
    opened: Family = part(chosen.learns[kind])(
        family, stream_of(dataset) if isinstance(dataset, ExampleDataset) else dataset, str(data), codec, init
    )
    return opened


def _learners(kind: str) -> list[str]:
    return [f"a {name}" for name, each in table().items() if kind in each.learns]
