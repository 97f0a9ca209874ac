"""What a file among pictures is, by its name."""

import re
from typing import Literal

from daedal.data.filetypes import file_type

Kind = Literal[
    "picture", "foreign", "idx-images", "idx-labels", "parquet", "table", "text", "caption", "zip", "tar", "compressed", "other"
]  # fmt: skip
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM")
_ENDS = {
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib", "tif", "tiff", "ppm", "pgm", "pbm", "pnm",
}  # fmt: skip
_FOREIGN = {
    "HEIC": "heic heif hif", "AVIF": "avif avifs", "JPEG XL": "jxl", "JPEG 2000": "jp2 j2k jpf jpx", "Photoshop": "psd psb",
    "GIMP": "xcf", "OpenEXR": "exr", "Radiance": "hdr", "Targa": "tga", "icon": "ico icns", "SVG": "svg svgz", "EPS": "eps",
    "raw camera": "cr2 cr3 crw nef nrw arw sr2 srf dng orf rw2 raf pef srw 3fr",
}  # fmt: skip
FOREIGN = {end: name for name, ends in _FOREIGN.items() for end in ends.split()}
"""Kinds of picture that are not read, by the end of a file's name."""
CONVERT = "convert it to PNG or JPEG, as ImageMagick does: magick mogrify -format png"
_CONTENTS = (
    *((4, b"ftyp" + brand, f"HEIC: {CONVERT}") for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")),
    (4, b"ftypavi", f"AVIF: {CONVERT}"),
    (0, b"\xff\n", f"JPEG XL: {CONVERT}"),
    (4, b"jxl ", f"JPEG XL: {CONVERT}"),
    (4, b"jp  ", f"JPEG 2000: {CONVERT}"),
    (0, b"8bps", f"Photoshop's: {CONVERT}"),
    (0, b"<svg", f"SVG: {CONVERT}"),
    (0, b"<!doctype html", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"version https://git-lfs", "a pointer of Git LFS: fetch the pictures with git lfs pull"),
)
_IDX = re.compile(r"idx([134])[-.]ubyte$")


def kind_of(name: str) -> Kind:
    """What a file called `name` is."""
    base = name.rsplit("/", 1)[-1].lower()
    end = base.rsplit(".", 1)[-1] if "." in base else ""
    if end in _ENDS:
        return "picture"
    if end in FOREIGN:
        return "foreign"
    if match := _IDX.search(base):
        return "idx-labels" if match[1] == "1" else "idx-images"
    type_ = file_type(base)
    if type_.reader in ("zip", "tar", "compressed", "parquet") and type_.name != "Arrow":
        return type_.reader
    if end in ("csv", "tsv", "tab", "json", "jsonl", "ndjson"):
        return "table"
    if end == "caption":
        return "caption"
    return "text" if end == "txt" else "other"


def content_of(data: bytes) -> str:
    """What a file holds that is called a picture and is none that can be read, in words."""
    for begin, mark, what in _CONTENTS:
        if data[begin : begin + 64].lstrip(b"\xef\xbb\xbf\r\n\t ").lower().startswith(mark):
            return what
    return "not those of a picture"


def without_end(name: str) -> str:
    """A path without the end of its file's name: `a/cat` for `a/cat.png`."""
    stem, dot, end = name.rpartition(".")
    return stem if dot and stem and "/" not in end else name
