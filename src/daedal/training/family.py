"""What a family brings to training: its data, its rules, its task. One class for each kind, found by the family's name."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.errors import DaedalError
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.plans import plan_class
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
    plan_class(family)
    from daedal.data import open_data
    from daedal.data.conversations import stream_of
    from daedal.data.examples import ExampleDataset
    from daedal.data.shards import Dataset

    dataset = open_data(Path(data))
    if isinstance(dataset, ExampleDataset):
        if family != "gpt":
            raise DaedalError(
                f"A {family} learns pictures, and {data} holds {dataset.manifest.kind}", "Name a folder of picture data"
            )
        dataset = stream_of(dataset)
    if isinstance(dataset, Dataset):
        if family != "gpt":
            raise DaedalError(f"A {family} learns pictures, and {data} holds text", "Name a folder of picture data")
        if codec is not None:
            raise DaedalError("--codec turns pictures into codes, and this data is text", "Leave it away")
        from daedal.training.language import LanguageFamily

        return LanguageFamily(dataset, str(data), init)
    if family == "gpt":
        from daedal.training.grids import GridFamily

        return GridFamily(dataset, str(data), codec, init)
    from daedal.training.pictures import PictureFamily

    return PictureFamily(family, dataset, str(data), codec, init)
