"""Text to image in stages and one budget: the tokens of pictures, then a GPT that learns them after their captions.

With `prior="flow"` a flow learns it all at once.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, create_model

from daedal.config import Config
from daedal.data import open_data
from daedal.data.images.dataset import ImageDataset
from daedal.errors import DaedalError
from daedal.training.picture_codes import require_captions
from daedal.training.plan import options_of, plan_class
from daedal.training.session import Session, TrainingResult
from daedal.training.token_stages import TokenStages


def options() -> type[Config]:
    """The options of both priors; the plan of the one that is chosen refuses what is the other's alone."""
    plans = [plan_class(family, "pictures") for family in ("flow", "gpt")]
    fields = options_of(plans, settled=frozenset({"condition"})).model_fields
    prior = Field(None, description="tokens: a tokenizer and a GPT; flow: a flow, all in one stage")
    values: dict[str, Any] = {"prior": (Literal["tokens", "flow"] | None, prior)}
    values |= {name: (field.annotation, field) for name, field in fields.items()}
    return create_model("TextToImageOptions", __base__=Config, **values)


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
        DaedalError: an option is wrong, the data has no captions, or the budget is too short.
    """
    if init is not None or options.get("condition", "caption") != "caption":
        raise DaedalError("Text to image learns captions, and from nothing", "Leave --init and --condition away")
    prior = options.pop("prior", "tokens")
    if prior == "flow":
        return session.begin(prior, data, out, budget, None, codec, {**options, **TextToImage.settled})
    if prior != "tokens":
        raise DaedalError(f"There is no prior {prior!r} of text to image", "Use tokens or flow")
    return TextToImage.asked(data, budget, codec, options).train(session, out)


class TextToImage(TokenStages):
    """What was asked of a run of text to image."""

    file = "text-to-image.json"
    writer = "gpt"
    settled: ClassVar[dict[str, Any]] = {"condition": "caption"}
    share = 0.25  # with more, tokens lose hardly less (docs/log.md)

    def check(self) -> None:
        dataset = open_data(self.data)
        if not isinstance(dataset, ImageDataset):
            raise DaedalError(f"Text to image learns pictures, and {self.data} holds others", "Name data of pictures")
        require_captions(dataset)
