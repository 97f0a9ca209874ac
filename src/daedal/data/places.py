"""Where pictures were taken, as their files tell it: EXIF with the coordinates of a place. A build keeps pixels only; this is
for who passes the files on."""

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from daedal.data.images.kinds import FORMATS
from daedal.data.sources import resolve_path
from daedal.errors import DaedalError

_GPS, _LATITUDE = 0x8825, 2
_MOST = 20_000
_ENDS = (".jpg", ".jpeg", ".tif", ".tiff", ".png", ".webp")


def with_places(sources: Iterable[str], progress: Callable[[int], None]) -> tuple[int, int]:
    """How many files of pictures there are in sources that still lie on the disk, and how many of them tell a place."""
    looked = told = 0
    for source in sources:
        try:
            items = resolve_path(source, "train").items if Path(source).expanduser().exists() else ()
        except DaedalError:  # it is gone, or cannot be read any more
            items = ()
        for item in items:
            if item.path.lower().endswith(_ENDS) and looked < _MOST:
                looked += 1
                told += tells_place(Path(item.path))
                progress(looked)
    return looked, told


def tells_place(path: Path) -> bool:
    """Whether the file of a picture has a latitude."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=FORMATS) as picture:
                return _LATITUDE in picture.getexif().get_ifd(_GPS)
        except Exception:  # a broken picture is told when it is built
            return False
