"""The keys of watermarks: one of the installation marks all that it makes, and those before it go on to be recognised.

Only what is derived from a key is ever used (HMAC-SHA-256, RFC 2104, one purpose at a time), so that a key of pictures tells
nothing of the key of texts. The file holds a key a line, the newest first, in hexadecimal digits.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from daedal.errors import DaedalError
from daedal.safety.installation import alone, installation, keep_secret, secret

_FILE = "watermark.keys"
_LINE = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True)
class WatermarkKey:
    """A secret of 32 bytes, which no text form of it shows."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Which key it is, for people and records: 12 hexadecimal digits that tell nothing of it."""
        return self.derived("id").hex()[:12]

    def derived(self, purpose: str) -> bytes:
        """32 bytes for one purpose, such as "text", "picture" or "sound"."""
        return hmac.new(self.secret, b"daedal watermark/1 " + purpose.encode(), hashlib.sha256).digest()


def new_watermark_key() -> WatermarkKey:
    """Make a key, which marks from now on; what older ones marked is still recognised.

    Raises:
        DaedalError: the installation's folder cannot be read or written.
    """
    key = WatermarkKey(secrets.token_bytes(32))
    with alone():
        keep_secret(_FILE, _written([key, *watermark_keys()]), replace=True)
    return key


def watermark_key() -> WatermarkKey:
    """The key that marks; it is made where there is none.

    Raises:
        DaedalError: the installation's folder cannot be read or written, or the file in it is damaged.
    """
    known = watermark_keys()
    if known:
        return known[0]
    with alone():  # a new key that another process makes now would replace the first one
        return _read(keep_secret(_FILE, _written([WatermarkKey(secrets.token_bytes(32))])))[0]


def watermark_keys() -> list[WatermarkKey]:
    """All keys of this installation, the newest first; none where nothing was marked yet.

    Raises:
        DaedalError: the file cannot be read, or is damaged.
    """
    content = secret(_FILE)
    return [] if content is None else _read(content)


def _written(keys: list[WatermarkKey]) -> bytes:
    return b"".join(key.secret.hex().encode() + b"\n" for key in keys)


def _read(content: bytes) -> list[WatermarkKey]:
    lines = content.split()
    if not lines or not all(_LINE.fullmatch(line) for line in lines):
        raise DaedalError(
            f"{installation() / _FILE} is damaged", "Bring it back from a copy, or move it away: a new key is made"
        )
    return [WatermarkKey(bytes.fromhex(line.decode())) for line in lines]
