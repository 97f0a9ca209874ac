"""Video in stages and one budget: the tokens of groups of frames, then a GPT that writes them after their captions."""

from pathlib import Path
from typing import Any

from daedal.config import Config
from daedal.data import open_data
from daedal.duration import parse_duration
from daedal.errors import DaedalError
from daedal.files import absolute
from daedal.training.plan import options_of, plan_class
from daedal.training.planning import DEFAULT_BUDGET
from daedal.training.run import RunFolder
from daedal.training.session import Session, TrainingResult
from daedal.training.stages import Stages

_SHARED = ("steps", "seed", "device", "threads", "precision")  # options of both stages


def options() -> type[Config]:
    """Those of the GPT's plan."""
    return options_of([plan_class("film", "clips")])


def train(
    session: Session,
    data: str | Path,
    out: Path,
    budget: str | float | None,
    init: str | None,
    codec: str | Path | None,
    options: dict[str, Any],
) -> TrainingResult:
    """Begin.

    Raises:
        DaedalError: an option is wrong, the data are no clips, or the budget is too short.
    """
    if init is not None:
        raise DaedalError("Video is learned from nothing", "Leave --init away")
    request = Video(
        data=absolute(data),
        budget=None if "steps" in options else parse_duration(DEFAULT_BUDGET if budget is None else budget),
        codec=None if codec is None else absolute(codec),
        options=options,
    )
    return request.train(session, out)


class Video(Stages):
    """What was asked of a run of video.

    Attributes:
        codec: a tokenizer that there is already; then there is no first stage.
    """

    file = "video.json"
    what = ("the tokenizer", "the GPT")
    share = 0.3

    codec: str | None

    @property
    def skips(self) -> bool:
        return self.codec is not None

    def place(self, run: RunFolder) -> Path:
        return run.tokens

    def check(self) -> None:
        dataset = open_data(self.data)
        if dataset.kind_name != "clips":
            raise DaedalError(f"Video is learned from clips, and {self.data} holds others", "Name data of clips")

    def first(self, session: Session, out: Path, budget: float | None) -> TrainingResult:
        shared = {name: self.options[name] for name in _SHARED if name in self.options}
        return session.begin("vqvae", self.data, out, budget, None, None, shared)

    def second(self, session: Session, run: RunFolder, budget: float | None, spent: float) -> TrainingResult:
        codec = self.codec or str(run.tokens)
        return session.begin("film", self.data, run.path, budget, None, codec, self.options, spent)
