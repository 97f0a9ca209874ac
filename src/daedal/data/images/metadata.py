"""What a picture's file says that it shows: text of PNG, EXIF and IPTC, comments of JPEG and GIF.

The first of these that says something: a PNG's `Description`, `Caption`, `Title` or `Comment`; IPTC's caption; EXIF's
`ImageDescription`, `UserComment`, Windows' comment, subject or title; the comment of a file that has one.
"""

import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from daedal.data.images.kinds import FORMATS
from daedal.data.images.png import readable

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_TEXTS = ("description", "caption", "title", "comment")
_IPTC_CAPTION = (2, 120)
_IMAGE_DESCRIPTION, _EXIF, _USER_COMMENT = 0x010E, 0x8769, 0x9286
_WINDOWS = (0x9C9C, 0x9C9F, 0x9C9B)  # comment, subject, title
_COMMENT_CODES = {b"ASCII\0\0\0": "ascii", b"UNICODE\0": "utf-16", b"JIS\0\0\0\0\0": "iso2022_jp", bytes(8): "utf-8"}


def caption_inside(data: bytes) -> str | None:
    """The caption in the file of a picture, on one line; `None` where it has none, or is no picture."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(readable(data)), formats=FORMATS) as picture:
                return next((told for value in _said(picture) if (told := _line(value))), None)
        except Exception:  # what is broken is told where its pixels are read
            return None


def _said(picture: "ImageFile") -> Iterator[Any]:
    from PIL import IptcImagePlugin

    # a PNG may tell after its pixels, so that asking for its text reads them
    texts = getattr(picture, "text", None) or {}
    lowered = {str(name).lower(): value for name, value in texts.items()}
    yield from (lowered.get(name) for name in _TEXTS)
    if picture.format in ("JPEG", "TIFF"):
        yield (IptcImagePlugin.getiptcinfo(picture) or {}).get(_IPTC_CAPTION)
    exif = picture.getexif()
    yield exif.get(_IMAGE_DESCRIPTION)
    yield _user_comment(exif.get_ifd(_EXIF).get(_USER_COMMENT))
    for tag in _WINDOWS:
        value = exif.get(tag)
        yield bytes(value).decode("utf-16-le", "replace") if isinstance(value, bytes | tuple) else value
    yield picture.info.get("comment")


def _user_comment(value: Any) -> Any:
    """The comment behind the eight bytes that say how it is written."""
    if not isinstance(value, bytes) or value[:8] not in _COMMENT_CODES:
        return value
    code = _COMMENT_CODES[value[:8]]
    if code == "utf-16" and value[8:10] not in (b"\xff\xfe", b"\xfe\xff"):
        # without a mark the order of bytes is the writer's: letters of most scripts have the smaller number of zeros behind
        code = "utf-16-le" if value[9::2].count(0) > value[8::2].count(0) else "utf-16-be"
    return value[8:].decode(code, "replace")


def _line(value: Any) -> str | None:
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            value = value.decode("latin-1")
    return " ".join(value.replace("\0", " ").split()) or None if isinstance(value, str) else None
