"""The bodies of POST /v1/images/generations, /v1/images/edits and /v1/images/variations."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from daedal.serving.schema.base import EndUser, ModelName, Refused, Request, fault

MAX_PICTURES = 64


def _size(value: str) -> str:
    if value != "auto" and not re.fullmatch(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", value):
        raise fault('A size is written as "64x64", or "auto"')
    return value


Count = Annotated[int, Field(ge=1, le=MAX_PICTURES, description=f"pictures to make, at most {MAX_PICTURES}")]
Size = Annotated[
    str, AfterValidator(_size), Field(description='"auto", or the size of the model\'s pictures: it draws in no other')
]
Prompt = Annotated[
    str,
    Field(
        max_length=32_000,
        description="what to draw, for a model of captions; a class, for one of classes; empty for one that takes neither",
    ),
]
Seed = Annotated[
    int, Field(ge=0, lt=2**63, description="an extension, from 0 to 2^63 - 1: the same seed draws the same pictures")
]
Strength = Annotated[float, Field(gt=0, le=1, description="an extension: how little of the given picture is left")]
_ALWAYS_LIKE_THAT = "the model draws in the one way that it has learned"


class _Drawing(Request):
    """What all three have."""

    model: ModelName | None = Field(None, description="name of a model; unless given, the only one that draws pictures")
    n: Count = 1
    size: Size = "auto"
    response_format: Annotated[Any, Refused("pictures come in the answer, as base64", ("b64_json",))] = None
    output_format: Literal["png", "jpeg", "webp"] = Field(
        "png", description="a PNG says in itself how it was made: model, seed and settings"
    )
    output_compression: int | None = Field(None, ge=0, le=100, description="quality of a jpeg or webp, in percent")
    seed: Seed | None = None
    user: EndUser | None = None


class _Asked(_Drawing):
    """What both that take a prompt have."""

    prompt: Prompt
    quality: Annotated[Any, Refused(_ALWAYS_LIKE_THAT, ("auto", "standard"))] = None
    background: Annotated[Any, Refused("pictures are opaque", ("auto", "opaque"))] = None
    stream: bool = Field(False, description="pictures as events, when each is done")
    partial_images: int = Field(
        0, ge=0, le=3, description="sketches on the way, with `stream`; models without steps make none"
    )
    guidance: float | None = Field(None, ge=0, le=100, description="an extension: how strongly the prompt is asked for")
    steps: int | None = Field(None, ge=1, le=1000, description="an extension: steps of a flow's solver")
    temperature: float | None = Field(None, gt=0, le=100, description="an extension: under 1 likelier pictures")


class GenerationRequest(_Asked):
    """New pictures."""

    style: Annotated[Any, Refused(_ALWAYS_LIKE_THAT)] = None
    moderation: Annotated[Any, Refused("what moderates is settled when the server starts", ("low", "auto"))] = None


class EditRequest(_Asked):
    """A picture with parts of it drawn anew. A form: `image`, and `mask`, are files."""

    input_fidelity: Annotated[Any, Refused("say how much is left of the picture with strength")] = None
    strength: Strength | None = None


class VariationRequest(_Drawing):
    """Pictures like a given one. A form: `image` is a file."""

    strength: Strength | None = None
