"""Members of archives and compressed files, streamed; nothing is ever unpacked to disk under a name from the archive.

A bomb is stopped by a `Budget`: all layers of one file together may give 300 times its size (64 MiB in any case).
"""

import bz2
import gzip
import lzma
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

import zstandard

from daedal.data.document import Lost
from daedal.data.filetypes import readable_name

MAX_DEPTH = 4
_RATIO = 300
_FLOOR = 64 * 2**20
_MEMORY = 16 * 2**20
_ZSTD_STEP = 2**12  # bytes given to zstd at once: it can make 40,000 times as many of them
_MAX_MEMBERS = 1_000_000
_UTF_8 = 0x800  # the flag of a zip archive's member
_UNICODE_PATH, _UNICODE_NAME = (
    0x7075,
    struct.Struct("<HHBI"),
)  # a field, its size, its version and the CRC of the other name
BROKEN = (
    OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, zstandard.ZstdError, RuntimeError,
    NotImplementedError, ValueError,
)  # fmt: skip


class BombError(Exception):
    """An archive that unpacks to far more than its size can honestly hold."""


class Budget:
    """How many bytes the layers of one file may still unpack to."""

    def __init__(self, packed: int) -> None:
        self._left = max(_FLOOR, _RATIO * packed)

    def spend(self, count: int) -> None:
        """Take `count` bytes off it.

        Raises:
            BombError: there are not so many left.
        """
        self._left -= count
        if self._left < 0:
            raise BombError(f"it unpacks to more than {_RATIO} times its size: refused as a bomb")


class Metered:
    """A stream that spends a budget as it is read."""

    closed = False

    def __init__(self, stream: IO[bytes], budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        """Read, block by block where no size is given, so that a bomb never fills memory."""
        if size is not None and size >= 0:
            data = self._stream.read(size)
            self._budget.spend(len(data))
            return data
        blocks = []
        while block := self.read(2**20):
            blocks.append(block)
        return b"".join(blocks)

    def readable(self) -> bool:
        """A stream is."""
        return True

    def close(self) -> None:
        """Close the stream below."""
        self._stream.close()


class _Zstd:
    """A zstd stream that notices when it is cut off, which `zstandard`'s own reader does not."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._ready = b""

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer only at the end, as all readers expect."""
        pieces, missing = list[bytes](), size
        while missing and (piece := self._some(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _some(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._ready:
            block = self._frame.unused_data if self._frame.eof else b""
            block = block or self._stream.read(_ZSTD_STEP)
            if not block:
                if self._begun and not self._frame.eof:
                    raise EOFError("the file is cut off")
                return b""
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._begun = True
            self._ready = self._frame.decompress(block)
        given, self._ready = self._ready[:size], self._ready[size:]
        return given

    def close(self) -> None:
        """Close the stream below."""
        self._stream.close()


def unpack(kind: str, stream: IO[bytes], budget: Budget) -> BinaryIO:
    """The bytes inside a compressed file of `kind` gz, zst, bz2 or xz."""
    if kind == "gz":
        opened: IO[bytes] = cast(IO[bytes], gzip.GzipFile(fileobj=stream, mode="rb"))
    elif kind == "zst":
        opened = cast(IO[bytes], _Zstd(stream))
    elif kind == "bz2":
        opened = cast(IO[bytes], bz2.BZ2File(stream))
    else:
        opened = cast(IO[bytes], lzma.LZMAFile(stream))  # noqa: SIM115 (closed with the stream it reads)
    return cast(BinaryIO, Metered(opened, budget))


def seekable(stream: IO[bytes]) -> BinaryIO:
    """`stream`, or a temporary copy of it where it cannot seek: in memory while small, else in an unnamed file."""
    if getattr(stream, "seekable", lambda: False)():
        return cast(BinaryIO, stream)
    copy = tempfile.SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115 (closed by whoever reads it, or when dropped)
    while block := stream.read(2**20):
        copy.write(block)
    copy.seek(0)
    return cast(BinaryIO, copy)


def zip_members(label: str, stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, BinaryIO | Lost]]:
    """The files in a zip archive, by name; one that cannot be read is `Lost`."""
    with zipfile.ZipFile(seekable(stream)) as archive:
        infos = archive.infolist()
        if len(infos) > _MAX_MEMBERS:
            raise BombError(f"it has more than {_MAX_MEMBERS:,} members")
        for info in sorted(infos, key=lambda info: info.filename):
            if info.is_dir():
                continue
            name = safe_name(_name_of(info))
            if info.flag_bits & 1:
                yield name, Lost(f"{label}!{name}", "encrypted", "it needs a password", info.compress_size)
                continue
            try:
                with archive.open(info) as member:
                    yield name, cast(BinaryIO, Metered(member, budget))
            except BROKEN as error:
                yield name, Lost(f"{label}!{name}", "broken file", str(error)[:200], info.compress_size)


def _name_of(info: zipfile.ZipInfo) -> str:
    """A member's name: where it is not said to be UTF-8, another field may hold it so, or it is UTF-8 all the same (macOS)."""
    if info.flag_bits & _UTF_8 or info.filename.isascii():
        return info.filename
    extra = info.extra
    try:
        while len(extra) > _UNICODE_NAME.size:
            field, size, _, _ = _UNICODE_NAME.unpack_from(extra)
            if field == _UNICODE_PATH:
                return extra[_UNICODE_NAME.size : 4 + size].decode("utf-8")
            extra = extra[4 + size :]
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def tar_members(label: str, stream: IO[bytes], budget: Budget) -> Iterator[tuple[str, BinaryIO | Lost]]:
    """The plain files in a tar archive, by name, in its order; links and devices are not followed."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for number, info in enumerate(archive):
            if number >= _MAX_MEMBERS:
                raise BombError(f"it has more than {_MAX_MEMBERS:,} members")
            # A member list that grows with the archive is memory that grows with it; streaming needs none.
            archive.members = []  # type: ignore[attr-defined]
            name = safe_name(readable_name(info.name))
            if not info.isfile():
                if not info.isdir():
                    yield (
                        name,
                        Lost(f"{label}!{name}", "link or device", "not followed", broken=False),
                    )
                continue
            member = archive.extractfile(info)
            if member is not None:
                yield name, cast(BinaryIO, Metered(member, budget))


def safe_name(name: str) -> str:
    """A member's name as a label: relative, forward slashes, no way upwards."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "unnamed"
