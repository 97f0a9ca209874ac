"""Two stages in one budget: a BERT learns a text that nobody labelled, then what is made of it learns from the labels."""

from pathlib import Path
from typing import Any, Self

from daedal.duration import parse_duration
from daedal.errors import DaedalError
from daedal.files import absolute
from daedal.training.planning import DEFAULT_BUDGET
from daedal.training.run import RunFolder
from daedal.training.session import Session, TrainingResult
from daedal.training.stages import Stages

_SHARED = (
    "seed", "device", "threads", "precision", "architecture", "width", "depth", "heads", "mlp_width", "context",
)  # fmt: skip
"""Options of both stages."""


class Pretraining(Stages):
    """What was asked of a run that begins with text alone."""

    file = "pretraining.json"
    what = ("the bert", "what is made of it")
    share = 0.75

    family: str

    @classmethod
    def asked(
        cls, family: str, data: str | Path, budget: str | float | None, init: str | None, options: dict[str, Any]
    ) -> Self:
        """
        Raises:
            DaedalError: there is a model to begin with already, or the number of steps is given, which is whose?
        """
        if init is not None:
            raise DaedalError(
                "--pretrain-data trains a model to begin with, and --init names one", "Leave one of them away"
            )
        if "steps" in options:
            raise DaedalError("--steps are of one stage, and --pretrain-data adds another", "Give a --budget")
        seconds = parse_duration(DEFAULT_BUDGET if budget is None else budget)
        values = options | {"pretrain_data": absolute(options["pretrain_data"])}
        return cls(data=absolute(data), budget=seconds, options=values, family=family)

    def place(self, run: RunFolder) -> Path:
        return run.pretrained

    @property
    def first_data(self) -> str:
        return str(self.options["pretrain_data"])

    def first(self, session: Session, out: Path, budget: float | None) -> TrainingResult:
        shared = {name: self.options[name] for name in _SHARED if name in self.options}
        return session.begin("bert", self.first_data, out, budget, None, None, shared)

    def second(self, session: Session, run: RunFolder, budget: float | None, spent: float) -> TrainingResult:
        free = {name: value for name, value in self.options.items() if name not in _SHARED[4:]}
        return session.begin(self.family, self.data, run.path, budget, str(run.pretrained), None, free, spent)
