"""IDX, the format in which MNIST comes: a magic number, the sizes, and bytes."""

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from daedal.data.document import Lost
from daedal.data.fields import split_of_name
from daedal.data.images.events import Found, Numbers
from daedal.data.images.origin import Origin
from daedal.data.images.picture import Picture

_BYTES = 0x08
_MOST = 2**26
_AT_ONCE = 256


def read_idx(origin: Origin, stream: BinaryIO) -> Iterator[Found | Numbers | Lost]:
    """The pictures, or the labels of pictures, in an IDX file.

    Args:
        origin: where it is; labels belong to the pictures of the file whose name differs in `images` and `idx3` alone.
        stream: its bytes.
    """
    label = str(origin)
    head = _exactly(stream, 4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] != _BYTES or head[3] not in (1, 3, 4):
        yield Lost(label, "broken file", "not an IDX file of bytes")
        return
    raw = _exactly(stream, 4 * head[3])
    if len(raw) < 4 * head[3]:
        yield Lost(label, "broken file", "cut off in its header")
        return
    count, *shape = struct.unpack(f">{head[3]}I", raw)
    if not shape:
        values = _exactly(stream, min(count, _MOST))
        if len(values) < count:
            yield Lost(label, "broken file", f"cut off: {len(values):,} of {count:,} labels")
            return
        yield Numbers(origin, group_of(origin), np.frombuffer(values, dtype=np.uint8))
        return
    height, width, channels = (*shape, 1)[:3]
    size = height * width * channels
    if not 0 < size <= _MOST or channels > 4:
        yield Lost(label, "broken file", f"its pictures are said to be {width} x {height} of {channels} channels")
        return
    split, group = split_of_name(origin.path), group_of(origin)
    for first in range(0, count, _AT_ONCE):
        wanted = min(_AT_ONCE, count - first)
        block = _exactly(stream, wanted * size)
        pixels = np.frombuffer(block[: len(block) // size * size], dtype=np.uint8).reshape(-1, height, width, channels)
        for place, array in enumerate(pixels):
            row = first + place
            yield Found(Picture(origin.at(row), array=array, split=split), group, row)
        if len(pixels) < wanted:
            yield Lost(label, "broken file", f"cut off: {first + len(pixels):,} of {count:,} pictures")
            return


def group_of(origin: Origin) -> str:
    """What the names of a file of pictures and of the file of their labels have in common."""
    folder, slash, file = f"{origin.root}{origin}".rpartition("/")
    plain = re.sub(r"\.(gz|xz|bz2|zst)$", "", f"{folder}{slash}{file.lower()}")
    return re.sub(r"(images|labels)([-._]?)(idx\d)?", r"*\2", plain, flags=re.IGNORECASE)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """So many bytes, or what there is; some streams give less at once."""
    blocks = []
    while size > 0 and (block := stream.read(min(size, 2**20))):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)
