"""What a file among pictures is, by its name; and what its folders say of it."""

import re
from typing import Literal

from daedal.data.filetypes import file_type

Kind = Literal["picture", "idx-images", "idx-labels", "parquet", "table", "text", "zip", "tar", "compressed", "other"]
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM")
_ENDS = {
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib", "tif", "tiff", "ppm", "pgm", "pbm", "pnm",
}  # fmt: skip
_IDX = re.compile(r"idx([134])[-.]ubyte$")
_SPLITS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test", "t10k": "test",
}  # fmt: skip


def kind_of(name: str) -> Kind:
    """What a file called `name` is."""
    base = name.rsplit("/", 1)[-1].lower()
    end = base.rsplit(".", 1)[-1] if "." in base else ""
    if end in _ENDS:
        return "picture"
    if match := _IDX.search(base):
        return "idx-labels" if match[1] == "1" else "idx-images"
    type_ = file_type(base)
    if type_.reader in ("zip", "tar", "compressed", "parquet"):
        return type_.reader
    if end in ("csv", "tsv", "jsonl", "ndjson"):
        return "table"
    return "text" if end == "txt" else "other"


def path_of(label: str) -> list[str]:
    """The folders and the file of a label, without the archive that they are in and without a row."""
    return label.rsplit("!", 1)[-1].split("#", 1)[0].split("/")


def split_of(label: str) -> str | None:
    """The split that a folder of a picture's path names: the innermost one that does."""
    return next((split for folder in reversed(path_of(label)[:-1]) if (split := named_split(folder))), None)


def named_split(folder: str) -> str | None:
    """The split that is called so."""
    return _SPLITS.get(folder.lower())


def split_of_file(label: str) -> str | None:
    """The split that the first word of a file's name is, as in `t10k-images` or `train-00000-of-00001.parquet`."""
    words = re.split(r"[-_.]", path_of(label)[-1].lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None) or split_of(label)


def without_end(name: str) -> str:
    """A path without the end of its file's name: `a/cat` for `a/cat.png`."""
    stem, dot, end = name.rpartition(".")
    return stem if dot and stem and "/" not in end else name
