"""The families of image models by name: what a person may choose, the whole configuration, the model."""

from typing import NamedTuple

from daedal.config import Config
from daedal.families import line, part, table
from daedal.models.image import ImageConfig, ImageModel


class ImageFamily(NamedTuple):
    shape: type[Config]
    config: type[ImageConfig]
    model: type[ImageModel]


def image_family(name: str) -> ImageFamily:
    """A family's classes; only its own file is imported."""
    place = line(name).model
    return ImageFamily(part(place, "Shape"), part(place, "Config"), part(place))


def image_families() -> tuple[str, ...]:
    """The names of those whose networks take pictures, or codes that are laid out like them."""
    return tuple(name for name, each in table().items() if each.over == "pixels")
