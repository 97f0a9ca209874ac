"""What an evaluator is: it declares what it needs of a model and of data, how long it takes, and gives findings. The table of
them is in `evaluators.py`; `evaluate.py` picks those that apply."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Block
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import Baseline, DataFacts, ModelFacts, Predictor, Presentation
from daedal.training.run import RunFolder

Tell = Callable[[float, str], None]
"""Told what share of the work is done, and what is being done."""


class NotMeasurable(DaedalError):
    """A data folder holds too little out to measure a model with, or there is no time for it."""


@dataclass(frozen=True)
class Findings:
    """What an evaluator found; see `report.Report` for each.

    Attributes:
        pictures: sheets as PNG, by the name of their file.
    """

    measurements: tuple[Measurement, ...] = ()
    baselines: tuple[Baseline | Predictor, ...] = ()
    blocks: tuple[Block, ...] = ()
    missing: tuple[str, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    def __add__(self, more: "Findings") -> "Findings":
        return Findings(
            self.measurements + more.measurements, self.baselines + more.baselines, self.blocks + more.blocks,
            self.missing + more.missing, {**self.sampling, **more.sampling}, {**self.pictures, **more.pictures},
        )  # fmt: skip


class Subject(Protocol):
    """A model that was opened, with the data to measure it on.

    Attributes:
        options: what may be asked of its evaluation.
        folder: of the run that trained it, where one did.
        own: whether the data are those that it was trained on: then the report is kept.
        can: what the model can do.
        has: what there is of the data.
        fixed: seconds that every evaluation takes.
        opening_seconds: those that opening takes, beside.
    """

    options: ClassVar[type[Config]]
    fixed: ClassVar[float]
    folder: RunFolder | None

    @property
    def own(self) -> bool: ...

    @property
    def opening_seconds(self) -> float: ...

    @property
    def can(self) -> frozenset[str]: ...

    @property
    def has(self) -> frozenset[str]: ...

    @classmethod
    def open(cls, run: Any, data: Any, options: Any, tell: Tell) -> Self: ...

    def seconds_left(self, taken: float) -> float:
        """For all evaluators, when opening has `taken` so many; infinite where time does not decide what is measured."""
        ...

    @property
    def model_facts(self) -> ModelFacts: ...

    @property
    def data_facts(self) -> DataFacts: ...

    @property
    def presentation(self) -> Presentation: ...


S = TypeVar("S", contravariant=True)


class Evaluator(Protocol[S]):
    """One thing that can be measured.

    Attributes:
        needs: what the model must be able to do.
        columns: what there must be of the data.
        lacking: what the report says where the data lack that; nothing where nobody would expect it.
        weight: share of the progress bar, beside the others'.
    """

    needs: frozenset[str]
    columns: frozenset[str]
    lacking: str
    weight: float

    def seconds(self, subject: S, within: float) -> float:
        """How long it takes where there is so much time: the more there is, the more is measured."""
        ...

    def measure(self, subject: S, within: float, tell: Tell) -> Findings:
        """
        Raises:
            DaedalError: it cannot be measured.
        """
        ...


def subject_name(name: str) -> str:
    """The name of a model that was opened by `name`: a folder's is its own, for where it lies is nobody's affair."""
    return Path(name).resolve().name if Path(name).is_dir() else name


def run_folder(run: Any) -> RunFolder | None:
    """The folder of the run that is named by its path, where a training run says so."""
    named = isinstance(run, str | Path) and (Path(run) / "training" / "plan.json").is_file()
    return RunFolder(Path(run)) if named else None
