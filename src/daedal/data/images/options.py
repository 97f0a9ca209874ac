"""What a build of pictures may be asked for besides what every build may: see `daedal.data.options`."""

import re
from string import Formatter
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from daedal.config import Config
from daedal.data.options import CommonOptions

_COLUMN = re.compile(r"(?!\d+$)[^.\[\]]+")  # a number, a dot or a bracket would mean something else to str.format


class PictureOptions(Config):
    """The options that only pictures have.

    Attributes:
        size: pixels of each side; by default that of the pictures where all agree and none is over 64, else 32.
        channels: 1 grey, 3 RGB, 4 RGB and opacity; `auto` is grey where every picture is grey, else RGB.
        fit: how another aspect is brought to the size: `crop` cuts the middle out, `pad` fills up, `stretch` distorts.
        background: the colour that transparent pixels are laid on and that `pad` fills up with.
        labels: where classes come from: `folders` (the folder a picture is in), `none`, or a table (CSV, JSON, Parquet) with a
            row for each picture, which may lie inside the sources. Not given: what the source says, else folders that
            look like classes.
        label_column: the column with the class, guessed where not given.
        captions: where captions come from: `sidecar` (`cat.txt` or `cat.caption` beside `cat.png`), `metadata` (the picture's
            own file: PNG text, EXIF), `none`, or a table. Not given: captions.csv, metadata.jsonl and the like inside the
            sources, else `cat.caption` beside `cat.png`.
        caption_column: the column with the caption, guessed where not given.
        caption_template: a caption of several columns, as `{name} in the style of {style}`.
        file_column: the column with the name of the picture, guessed where not given.
        image_column: the column of a Parquet file or hub dataset that holds the picture, guessed where not given.
        where: keep only pictures whose row says so, as `skin_tone=0`.
    """

    size: int | None = Field(default=None, ge=4, le=1024)
    channels: Literal["auto", "1", "3", "4"] = "auto"
    fit: Literal["crop", "pad", "stretch"] = "crop"
    background: str = "white"
    labels: str | None = Field(default=None, min_length=1)
    label_column: str | None = Field(default=None, min_length=1)
    captions: str | None = Field(default=None, min_length=1)
    caption_column: str | None = Field(default=None, min_length=1)
    caption_template: str | None = Field(default=None, min_length=1)
    file_column: str | None = Field(default=None, min_length=1)
    image_column: str | None = Field(default=None, min_length=1)
    where: tuple[str, ...] = ()

    @field_validator("caption_template")
    @classmethod
    def _template(cls, template: str | None, info: ValidationInfo) -> str | None:
        if template is not None:
            columns_of(template)
            if info.data.get("captions") in ("none", "sidecar", "metadata"):
                raise ValueError(f"takes columns of a table, and captions are {info.data['captions']}")
            if info.data.get("caption_column") is not None:
                raise ValueError("names its columns itself: leave the caption column out")
        return template


class ImageOptions(CommonOptions, PictureOptions):
    """The options of a build of pictures; every one has a default that suits a folder of them."""

    def files(self) -> tuple[str | None, ...]:
        return self.labels, self.captions


def columns_of(template: str) -> tuple[str, ...]:
    """The columns that a template for captions names in braces.

    Raises:
        ValueError: it names none, or has other braces.
    """
    try:
        parts = [part for part in Formatter().parse(template) if part[1] is not None]
    except ValueError:
        parts = []
    names = tuple(dict.fromkeys(str(part[1]) for part in parts))
    if (
        not names
        or any(spec or conversion for _, _, spec, conversion in parts)
        or not all(map(_COLUMN.fullmatch, names))
    ):
        raise ValueError("write columns in braces, as '{name} in the style of {style}'")
    return names
