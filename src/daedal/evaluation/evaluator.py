"""What an evaluator is: it declares what it needs of a model and of data, how long it takes, and gives findings. The table of
them is in `evaluate.py`, which picks those that apply."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from PIL import Image

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Block
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import Baseline, DataFacts, ModelFacts, Predictor, Presentation
from daedal.evaluation.source import Source
from daedal.inference.generator import Generator

Tell = Callable[[float, str], None]
"""Told what share of the work is done, and what is being done."""


def part_of(tell: Tell, begin: float, end: float) -> Tell:
    """Tells of a part of the whole."""
    return lambda share, doing: tell(begin + (end - begin) * share, doing)


class NotMeasurable(DaedalError):
    """A data folder holds too little out to measure a model with, or there is no time for it."""


@dataclass(frozen=True)
class Findings:
    """What an evaluator found; see `report.Report` for each.

    Attributes:
        baselines: those of one name, set beside several evaluators' numbers, become one.
        pictures: sheets, or the bytes of animations, by the name of their file.
        files: what else the report shows, such as sounds.
    """

    measurements: tuple[Measurement, ...] = ()
    baselines: tuple[Baseline | Predictor, ...] = ()
    blocks: tuple[Block, ...] = ()
    missing: tuple[str, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Image.Image | bytes] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def __add__(self, more: "Findings") -> "Findings":
        """Both. A baseline that both set beside their numbers is one."""
        return Findings(
            self.measurements + more.measurements, _merged(self.baselines + more.baselines), self.blocks + more.blocks,
            self.missing + more.missing, {**self.sampling, **more.sampling}, {**self.pictures, **more.pictures},
            {**self.files, **more.files},
        )  # fmt: skip


def _merged(baselines: Iterable[Baseline | Predictor]) -> tuple[Baseline | Predictor, ...]:
    found: dict[tuple[str, str], Baseline | Predictor] = {}
    for each in baselines:
        before = found.get((each.name, each.why))
        if isinstance(before, Baseline) and isinstance(each, Baseline):
            found[each.name, each.why] = before.model_copy(
                update={"measurements": before.measurements + each.measurements}
            )
        else:
            found[each.name, each.why] = each
    return tuple(found.values())


class Subject(ABC):
    """A model that is measured, with the data for it.

    Args:
        opened: the model with its codec; None while it is still being trained, to foretell the time.
    """

    options: ClassVar[type[Config]]
    """What may be asked of its evaluation."""
    fixed: ClassVar[float]
    """Seconds that every evaluation takes."""

    model: Any
    """What is measured."""

    def __init__(self, opened: Generator | None) -> None:
        self.opened = opened

    @classmethod
    @abstractmethod
    def open(cls, generator: Generator, source: Source, options: Any, tell: Tell) -> Self:
        """
        Raises:
            DaedalError: the data are not of the model's kind, or too little is held out.
        """

    @classmethod
    @abstractmethod
    def require_held_out(cls, dataset: Any) -> None:
        """
        Raises:
            NotMeasurable: a data folder holds out nothing, or too little.
        """

    @classmethod
    @abstractmethod
    def of_task(cls, task: Any, seconds: float) -> Self:
        """What is being trained (`daedal.training.task.Task`), and its data: to foretell how long measuring it takes.

        Args:
            seconds: that it may take.
        """

    @property
    @abstractmethod
    def can(self) -> frozenset[str]:
        """What the model can do."""

    @property
    @abstractmethod
    def has(self) -> frozenset[str]:
        """What there is of the data."""

    @property
    def opening_seconds(self) -> float:
        """Those that opening takes beside."""
        return 0.0

    @property
    def generator(self) -> Generator:
        assert self.opened is not None
        return self.opened

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the model's weights."""
        return self.generator.fingerprint

    @property
    def name(self) -> str:
        """Of the model: a folder's is its own, for where it lies is nobody's affair."""
        named = Path(self.generator.name)
        return named.resolve().name if named.is_dir() else self.generator.name

    def seconds_left(self, taken: float) -> float:
        """For all evaluators, when opening has `taken` so many; infinite where time does not decide what is measured."""
        return math.inf

    @property
    @abstractmethod
    def model_facts(self) -> ModelFacts: ...

    @property
    @abstractmethod
    def data_facts(self) -> DataFacts: ...

    @property
    @abstractmethod
    def presentation(self) -> Presentation: ...


S = TypeVar("S", bound=Subject)


class Evaluator(ABC, Generic[S]):
    """One thing that can be measured."""

    needs: ClassVar[frozenset[str]]
    """What the model must be able to do."""
    columns: ClassVar[frozenset[str]]
    """What there must be of the data."""
    lacking: ClassVar[str] = ""
    """What the report says where the data lack that; nothing where nobody would expect it."""
    weight: ClassVar[float] = 5.0
    """Share of the progress bar, beside the others'."""

    sizes: ClassVar[Sequence[int]] = (0,)
    """How many pieces it may take, of each of which `each` says how long it takes. The list is short, so that two runs of about
    the same speed take as many, and their numbers can be compared."""
    share: ClassVar[float] = 1.0
    """Of the time that is left to it that it may use."""

    def each(self, subject: S) -> float:
        """Seconds of a piece."""
        return 0.0

    def count(self, subject: S, within: float) -> int:
        """How many pieces it takes in so many seconds."""
        most = self.share * within
        return max((size for size in self.sizes if size * self.each(subject) <= most), default=self.sizes[0])

    def seconds(self, subject: S, within: float) -> float:
        """How long it takes where there is so much time."""
        return self.count(subject, within) * self.each(subject)

    @abstractmethod
    def measure(self, subject: S, within: float, tell: Tell) -> Findings:
        """
        Raises:
            DaedalError: it cannot be measured.
        """
