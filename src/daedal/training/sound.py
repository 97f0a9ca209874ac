"""Sound in stages and one budget: the tokens of recordings, then a GPT that writes them after what they say."""

from pathlib import Path
from typing import Any

from daedal.config import Config
from daedal.data import open_data
from daedal.errors import DaedalError
from daedal.training.plan import options_of, plan_class
from daedal.training.said import read_pronunciations
from daedal.training.session import Session, TrainingResult
from daedal.training.token_stages import TokenStages


def options() -> type[Config]:
    """Those of the GPT's plan."""
    return options_of([plan_class(SoundStages.writer, "sounds")])


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
        DaedalError: an option is wrong, the data are no sounds, or the budget is too short.
    """
    if init is not None:
        raise DaedalError("Sound is learned from nothing", "Leave --init away")
    return SoundStages.asked(data, budget, codec, options).train(session, out)


class SoundStages(TokenStages):
    """What was asked of a run of sound."""

    file = "sound.json"
    share = 0.45
    tokenizer = "soundtokens"
    writer = "soundgpt"

    def check(self) -> None:
        dataset = open_data(self.data)
        if dataset.kind_name != "sounds":
            raise DaedalError(f"Sound is learned from sounds, and {self.data} holds others", "Name data of sounds")
        read_pronunciations(self.options.get("pronunciations"), dataset)  # and not when the tokenizer is trained
