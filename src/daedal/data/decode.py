"""Bytes to text, whatever the encoding, mended where an earlier program decoded them wrongly.

Tried in order: a byte order mark, UTF-8, UTF-16 without a mark, what charset-normalizer finds, Windows-1252. Text whose
look is that of mojibake ("cafÃ©") goes through ftfy; source code never does.
"""

import codecs
import re
from typing import NamedTuple

from daedal.errors import DaedalError

_SAMPLE = 2**18
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = bytes(range(0x01, 0x07)) + bytes(range(0x0E, 0x1B)) + bytes(range(0x1C, 0x20)) + b"\x7f"
# What UTF-8 looks like when read as Latin-1, Windows-1252 or the like; ftfy then decides.
_MOJIBAKE = re.compile("[ÂÃâÐÑØÙÎÏÅÄ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")
_DAMAGED = "�"


class Decoded(NamedTuple):
    """Text, the encoding that it was in, and what was mended (`None` where nothing was)."""

    text: str
    encoding: str
    mended: str | None


def is_binary(head: bytes) -> bool:
    """Whether bytes that begin so are no text in any encoding."""
    if any(head.startswith(mark) for mark, _ in _MARKS):
        return False
    if b"\0" in head:
        return _wide(head) is None
    return len(head) > 0 and len(head) - len(head.translate(None, _CONTROL)) > 0.1 * len(head)


def detect(data: bytes) -> str:
    """The encoding of `data`, which may be cut off anywhere."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
        return "utf-8"
    except UnicodeDecodeError:
        pass
    wide = _wide(data[:_SAMPLE])
    if wide:
        return wide
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_SAMPLE]).best()
    name = best.encoding if best else "cp1252"
    # Bytes that are valid in both mean the same letters, and most of the West's old files are Windows-1252.
    return "cp1252" if name in ("latin_1", "ascii", "cp1250", "cp1254", "iso8859_15") and _western(data) else name


def decode(data: bytes, encoding: str | None = None, mend: bool = True) -> Decoded:
    """Decode one document.

    Args:
        data: its bytes.
        encoding: the encoding, where known; a byte that does not fit it becomes U+FFFD.
        mend: repair mojibake.
    """
    name = encoding or ""
    if not encoding:
        try:
            text = data.decode("utf-8")
            name = "utf-8"
        except UnicodeDecodeError:
            name = detect(data)
    mended = None
    if name != "utf-8" or encoding:
        text = data.decode(name, errors="replace")
        mended = "undecodable bytes" if _DAMAGED in text else None
    if text.startswith("\ufeff"):
        text = text[1:]
    if mend:
        repaired = mend_text(text)
        if repaired != text:
            return Decoded(repaired, name, "mojibake")
    return Decoded(text, name, mended)


def mend_text(text: str) -> str:
    """Undo a wrong decoding, where there is the mark of one; nothing else changes."""
    if text.isascii() or _MOJIBAKE.search(text) is None:
        return text
    from ftfy import TextFixerConfig, fix_encoding
    from ftfy.badness import is_bad

    config = TextFixerConfig(normalization=None, unescape_html=False, replace_lossy_sequences=False)
    return "\n".join(fix_encoding(line, config) if is_bad(line) else line for line in text.split("\n"))


def known_encoding(name: str) -> str:
    """`name` as Python calls it.

    Raises:
        DaedalError: there is no such encoding.
    """
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise DaedalError(f"There is no character encoding called {name!r}", "Try utf-8, cp1252 or shift_jis") from None


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: mostly zero in one of the two byte places, hardly ever in the other."""
    even, odd = data[0 : len(data) // 2 * 2 : 2], data[1::2]
    if len(odd) < 4:
        return None
    zeros_even, zeros_odd = even.count(0) / len(even), odd.count(0) / len(odd)
    for name, high, low in (("utf-16-le", zeros_odd, zeros_even), ("utf-16-be", zeros_even, zeros_odd)):
        if high > 0.4 and low < 0.01:
            try:
                text = codecs.getincrementaldecoder(name)().decode(data)
            except UnicodeDecodeError:
                return None
            return name if sum(map(str.isprintable, text)) + text.count("\n") > 0.9 * len(text) else None
    return None


def _western(data: bytes) -> bool:
    """Whether the high bytes are mostly those of Western European letters and quotation marks in Windows-1252."""
    high = [byte for byte in data[:_SAMPLE] if byte >= 0x80]
    usual = set(b"\x85\x91\x92\x93\x94\x96\x97\xa0\xa3\xa9\xab\xb0\xbb") | set(range(0xC0, 0x100))
    return sum(byte in usual for byte in high) > 0.8 * len(high)
