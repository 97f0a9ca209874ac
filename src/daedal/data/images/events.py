"""What readers of pictures give besides what could not be read (`Lost`) and remarks (`Note`)."""

from typing import NamedTuple

import numpy as np

from daedal.data.document import Lost, Note
from daedal.data.images.origin import Origin
from daedal.data.images.picture import Picture


class Found(NamedTuple):
    """A picture.

    Attributes:
        group: the list that numbers it, where labels come as a list of numbers (IDX); else empty.
        row: its place in that list.
    """

    picture: Picture
    group: str = ""
    row: int = -1


class Table(NamedTuple):
    """A file that says something about the pictures beside it.

    Attributes:
        name: of the file, without the end that says how it is packed.
    """

    origin: Origin
    name: str
    data: bytes


class Aside(NamedTuple):
    """A text file beside a picture, named like it."""

    origin: Origin
    text: str


class Numbers(NamedTuple):
    """The labels of a list of pictures (IDX)."""

    origin: Origin
    group: str
    values: np.ndarray


Event = Found | Table | Aside | Numbers | Lost | Note
