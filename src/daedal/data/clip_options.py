"""What a build of clips may be asked for besides what every build may."""

from typing import Literal

from pydantic import Field, field_validator

from daedal.codecs.raster import colour_name
from daedal.config import Config
from daedal.data.example_options import ExampleOptions


class ClipFields(Config):
    """
    Attributes:
        frames: of each clip, taken evenly from all of its time (16 by default).
    """

    frames: int = Field(default=16, ge=2, le=256)


class ClipOptions(ExampleOptions, ClipFields):
    """
    Attributes:
        size: pixels of each side of the frames; even.
        fit: how another aspect is brought to it: `crop` cuts the middle out, `pad` fills up, `stretch` distorts.
        background: the colour that transparent pixels are laid on and that `pad` fills up with.
        labels: where classes come from: `folders`, or `none`. Not given: folders that look like classes, and tables.
        captions: `none` leaves them out. Not given: a table with a row for each clip inside the sources.
        longest: seconds; longer clips are left out, before they are decoded where their files say how long they are.
    """

    size: int = Field(default=32, ge=8, le=256, multiple_of=2)
    fit: Literal["crop", "pad", "stretch"] = "crop"
    background: str = "white"
    labels: Literal["folders", "none"] | None = None
    captions: Literal["none"] | None = None
    longest: float = Field(default=120.0, gt=0, le=3600)

    @field_validator("background")
    @classmethod
    def _is_a_colour(cls, value: str) -> str:
        colour_name(value)
        return value
