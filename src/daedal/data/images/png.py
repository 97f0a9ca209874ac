"""PNG files without the texts for which Pillow would refuse their pixels."""

import zlib
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST = 2**20  # bytes of one text or colour profile, unpacked: Pillow's limit
_MOST_OF_ALL = 2**26  # and of all of them; what is behind is not even looked at
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def readable(data: bytes) -> bytes:
    """The file, without those texts and colour profiles in it that are damaged or unpack to more than a mebibyte.

    They are no reason to lose a picture: programs keep whole workflows there. Files that are no PNG are given back.
    """
    if not data.startswith(_SIGNATURE) or not any(kind in data for kind in _TEXTS):
        return data
    kept, left, total = [_SIGNATURE], False, 0
    for kind, begin, end in _chunks(data):
        if kind in _TEXTS:
            whole = zlib.crc32(data[begin + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])
            size = _size(kind, data[begin + 8 : end - 4]) if whole and total < _MOST_OF_ALL else None
            total += size or 0
            if size is None or size > _MOST or total > _MOST_OF_ALL:
                left = True
                continue
        kept.append(data[begin:end])
    return b"".join(kept) if left else data


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The kind, the beginning and the end of each chunk; what is cut off is one too."""
    begin = len(_SIGNATURE)
    while begin < len(data):
        end = begin + 12 + int.from_bytes(data[begin : begin + 4])
        yield data[begin + 4 : begin + 8], begin, min(end, len(data))
        begin = end


def _size(kind: bytes, body: bytes) -> int | None:
    """How many bytes a text has, unpacked, as far as that matters; `None` where it is packed in no known way."""
    _, _, rest = body.partition(b"\0")  # behind its name
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] == b"\0"):
        return 0  # as large as it looks, which no limit of one text is about
    if kind == b"iTXt":
        packed, rest = rest[1:2], rest[2:].split(b"\0", 2)[-1]  # behind its language, and the name in that
    else:
        packed, rest = rest[:1], rest[1:]
    if packed != b"\0":
        return None
    try:
        return len(zlib.decompressobj().decompress(rest, _MOST + 1))
    except zlib.error:
        return 0  # Pillow takes it for empty
