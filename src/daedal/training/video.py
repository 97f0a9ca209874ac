"""Video in stages and one budget: the tokens of clips, then a GPT that writes them after their captions or classes."""

from pathlib import Path
from typing import Any

from daedal.config import Config
from daedal.data import open_data
from daedal.errors import DaedalError
from daedal.training.plan import options_of, plan_class
from daedal.training.session import Session, TrainingResult
from daedal.training.token_stages import TokenStages


def options() -> type[Config]:
    """Those of the GPT's plan."""
    return options_of([plan_class(Video.writer, "clips")])


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
        raise DaedalError(
            "Video is learned from nothing",
            f"Leave --init away, or go on with a film: daedal train film --init {init} --codec {init}/codec",
        )
    return Video.asked(data, budget, codec, options).train(session, out)


class Video(TokenStages):
    """What was asked of a run of video."""

    file = "video.json"
    share = 0.4
    tokenizer = "vqvae3d"
    writer = "film"

    def check(self) -> None:
        dataset = open_data(self.data)
        if dataset.kind_name != "clips":
            raise DaedalError(f"Video is learned from clips, and {self.data} holds others", "Name data of clips")
