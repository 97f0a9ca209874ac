"""The bodies of POST /v1/videos and the queries of its jobs."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from daedal.serving.schema.base import Identifier, ModelName, Request, fault
from daedal.serving.schema.speech import Seed

MAX_SECONDS = 3600


def _seconds(value: Any) -> Any:
    """Clients send a number as a text."""
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
            raise fault('A length is a number of seconds, such as "2" or "0.5"')
        return float(value)
    return value


def _size(value: str) -> str:
    if value != "auto" and not re.fullmatch(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", value):
        raise fault('A size is written as "256x256", or "auto"')
    return value


class ImageReference(Request):
    """A picture that is given in JSON."""

    image_url: str = Field(
        min_length=1, description="`data:image/png;base64,...`: no address is followed", max_length=2**26
    )


class VideoRequest(Request):
    """A clip to make. JSON, or a form where `input_reference` is a file."""

    model: ModelName | None = Field(None, description="name of a model; unless given, the only one that makes clips")
    prompt: str = Field(
        max_length=32_000,
        description="what happens, for a model of captions; a class, for one of classes; empty for one that learned neither",
    )
    seconds: Annotated[float, BeforeValidator(_seconds)] | None = Field(
        None,
        gt=0,
        le=MAX_SECONDS,
        description="a number or a text; as long as the model learned unless given, 1,000 frames at most",
    )
    size: Annotated[str, AfterValidator(_size)] = Field(
        "auto", description='"auto", or a multiple of the size of the model\'s frames, whose pixels are enlarged'
    )
    input_reference: ImageReference | None = Field(
        None, description="a picture that is the first frame; of a form a file"
    )
    fps: float | None = Field(
        None, ge=0.1, le=240, description="an extension: frames in a second; such that what was learned lasts two unless given"
    )  # fmt: skip
    seed: Seed | None = None
    steps: int | None = Field(None, ge=1, le=1000, description="an extension: steps of a flow's solver")
    guidance: float | None = Field(None, ge=0, le=20, description="an extension: how strongly the prompt is asked for")
    temperature: float | None = Field(None, ge=0, le=10, description="an extension: 0 takes the likeliest")
    top_k: int | None = Field(None, ge=1, le=2**31, description="an extension: only so many of the likeliest tokens")


class VideosQuery(Request):
    """Of GET /v1/videos."""

    limit: int = Field(20, ge=1, le=100, description="videos at most")
    order: Literal["asc", "desc"] = Field("desc", description="oldest or newest first")
    after: Identifier | None = Field(None, description="only videos after the one with this id")


class ContentQuery(Request):
    """Of GET /v1/videos/{video_id}/content."""

    variant: Literal["video", "thumbnail", "spritesheet"] = Field(
        "video", description="an MP4 (a WebP where nothing here writes one), a WebP of the first frame, or a PNG of all frames"
    )  # fmt: skip
