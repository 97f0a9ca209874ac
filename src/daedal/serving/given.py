"""What commands carry, looked at before any work is done for it: base64, pictures, values that a model refuses."""

import base64
import binascii
import io
import warnings
from collections.abc import Callable
from typing import TypeVar

from PIL import Image

from daedal.data.images.kinds import FORMATS
from daedal.data.images.png import readable
from daedal.errors import DaedalError
from daedal.serving.commands import Refused

T = TypeVar("T")

_PIXELS = 2**24
"""Of a picture that is given."""


def checked(work: Callable[[], T], at_fault: str | Callable[[], str | None], code: str = "invalid_value") -> T:
    """What some work comes to.

    Raises:
        Refused: it cannot be done; at fault is that parameter.
    """
    try:
        return work()
    except DaedalError as error:
        parameter = at_fault if isinstance(at_fault, str) else at_fault()
        raise Refused(400, str(error), code, parameter) from None


def given_bytes(encoded: str, name: str) -> bytes:
    """What base64 stands for.

    Raises:
        Refused: it is none, or of nothing.
    """
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "That is no base64", "invalid_value", name) from None
    if not data:
        raise Refused(400, "It is empty", "invalid_value", name)
    return data


def given_picture(encoded: str, name: str) -> bytes:
    """The bytes of a picture that can be read, and is not too large for that.

    Raises:
        Refused: they are none.
    """
    try:
        data = base64.b64decode(encoded, validate=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(readable(data)), formats=FORMATS) as picture:
                width, height = picture.size
                if width * height <= _PIXELS:
                    picture.load()
    except Exception:  # on damaged files the decoders raise whatever they stumble over
        raise Refused(400, "That is no picture that can be read", "invalid_image", name) from None
    if width * height > _PIXELS:
        raise Refused(
            400, f"The picture has {width * height:,} pixels, and {_PIXELS:,} may be", "image_too_large", name
        )
    return data


def as_base64(data: bytes) -> str:
    """Bytes as events carry them."""
    return base64.b64encode(data).decode()
