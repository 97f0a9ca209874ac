"""Video in stages and one budget: the tokens of clips, then a GPT that writes them after their captions or classes; with
`prior="flow"` a flow over their codes."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, create_model

from daedal.config import Config
from daedal.data import open_data
from daedal.errors import DaedalError
from daedal.training.plan import options_of, plan_class
from daedal.training.session import Session, TrainingResult
from daedal.training.token_stages import TokenStages

_FAMILIES = {"tokens": "film", "flow": "filmflow"}
"""What learns the codes, by the prior."""


def options() -> type[Config]:
    """The options of both priors; the plan of the one that is chosen refuses what is the other's alone."""
    fields = options_of([plan_class(family, "clips") for family in _FAMILIES.values()]).model_fields
    prior = Field(None, description="tokens: a GPT over the tokens of clips; flow: a flow over their codes")
    values: dict[str, Any] = {"prior": (Literal["tokens", "flow"] | None, prior)}
    values |= {name: (field.annotation, field) for name, field in fields.items()}
    return create_model("VideoOptions", __base__=Config, **values)


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
    prior = options.pop("prior", "tokens")
    if prior not in _FAMILIES:
        raise DaedalError(f"There is no prior {prior!r} of video", "Use tokens or flow")
    if init is not None:
        raise DaedalError(
            "Video is learned from nothing",
            f"Leave --init away, or go on with a film: daedal train {_FAMILIES[prior]} --init {init} --codec {init}/codec",
        )
    return Video.asked(data, budget, codec, options).but(family=_FAMILIES[prior]).train(session, out)


class Video(TokenStages):
    """What was asked of a run of video.

    Attributes:
        family: of the second stage.
    """

    file = "video.json"
    what = ("the tokenizer", "the model of its codes")
    share = 0.4
    tokenizer = "vqvae3d"

    family: str = "film"

    @property
    def prior(self) -> str:
        return self.family

    def check(self) -> None:
        dataset = open_data(self.data)
        if dataset.kind_name != "clips":
            raise DaedalError(f"Video is learned from clips, and {self.data} holds others", "Name data of clips")
