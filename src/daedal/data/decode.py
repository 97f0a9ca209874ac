"""Bytes to text, whatever the encoding, mended where an earlier program decoded them wrongly.

Tried in order: the escapes of ISO 2022, a byte order mark, UTF-8, UTF-16 without a mark, text that is mostly valid UTF-8, what
the bytes look like in the encodings of before Unicode (`daedal.data.encodings`), and UTF-8 again. What does not fit becomes
U+FFFD and is counted. Text whose look is that of mojibake ("cafÃ©") goes through ftfy; source code never does.
"""

import codecs
import re
from typing import NamedTuple

from daedal.data.encodings import LIKELY, guess
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
_DAMAGED = "\ufffd"
_DAMAGED_UTF8 = _DAMAGED.encode()
_HIGH = bytes(range(0x80, 0x100))
_ESCAPE = b"\x1b$"


class Decoded(NamedTuple):
    """Text, its encoding, how many U+FFFD stand in it for bytes that do not fit that, and whether mojibake was mended."""

    text: str
    encoding: str
    replaced: int
    mended: bool


class Decoder:
    """Blocks of bytes -> text. The encoding is settled at the first block that is not plain ASCII.

    Attributes:
        encoding: the encoding; `utf-8` while there was nothing but ASCII.
        replaced: how many U+FFFD stand for bytes that do not fit it, so far.
    """

    def __init__(self, encoding: str | None = None) -> None:
        self._given = encoding and codecs.lookup(encoding).name
        self.encoding = self._given or "utf-8"
        self.replaced = 0
        self._begun = False
        self._text: codecs.IncrementalDecoder | None = None
        self._genuine: codecs.IncrementalDecoder | None = None  # gives only the U+FFFD that were in the text before
        self._tail = b""

    def decode(self, data: bytes, final: bool = False) -> str:
        """The text of the next block; of the last one where it is `final`."""
        if self._text is None:
            name = self._given or detect(data)
            if name == "utf-8" and data.isascii() and not self._given:
                self._begun = self._begun or bool(data)
                return data.decode("ascii")
            self.encoding = name
            self._text = codecs.getincrementaldecoder(name)("replace")
            if name not in ("utf-8", "utf-8-sig"):
                self._genuine = codecs.getincrementaldecoder(name)("ignore")
        text = self._text.decode(data, final)
        self._count(text, data, final)
        if not self._begun and text:
            self._begun = True
            text = text.removeprefix("\ufeff")
        return text

    def _count(self, text: str, data: bytes, final: bool) -> None:
        if self._genuine is not None:
            genuine = self._genuine.decode(data, final).count(_DAMAGED)
            self.replaced += text.count(_DAMAGED) - genuine
        elif _DAMAGED in text:
            genuine = data.count(_DAMAGED_UTF8) + (self._tail + data[:2]).count(_DAMAGED_UTF8)
            self.replaced += text.count(_DAMAGED) - genuine
        self._tail = (self._tail + data[-2:])[-2:]


def is_binary(head: bytes) -> bool:
    """Whether bytes that begin so are no text in any encoding."""
    if any(head.startswith(mark) for mark, _ in _MARKS):
        return False
    if _ESCAPE in head and _iso_2022(head):
        return False
    if b"\0" in head:
        return _wide(head) is None
    return len(head) > 0 and len(head) - len(head.translate(None, _CONTROL)) > 0.1 * len(head)


def detect(data: bytes) -> str:
    """The encoding of `data`, which may be cut off anywhere."""
    if data.isascii():
        return (_ESCAPE in data and _iso_2022(data)) or "utf-8"
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
    if _mostly_utf8(data):
        return "utf-8"
    found = guess(data)
    return found.encoding if found.likelihood >= LIKELY else "utf-8"


def decode(data: bytes, encoding: str | None = None, mend: bool = True) -> Decoded:
    """Decode one document.

    Args:
        data: its bytes.
        encoding: the encoding, where known; a byte that does not fit it becomes U+FFFD.
        mend: repair mojibake.
    """
    decoder = Decoder(encoding)
    text = decoder.decode(data, final=True)
    repaired = mend_text(text) if mend else text
    return Decoded(repaired, decoder.encoding, decoder.replaced, repaired != text)


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


def _iso_2022(data: bytes) -> str | None:
    """The ISO 2022 encoding whose escapes the data has: one that reads them nearly all."""
    sample = data[data.index(_ESCAPE) :][:_SAMPLE]
    best, fewest = None, max(2, sample.count(b"\x1b") // 10)
    for name in ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2", "iso2022_kr"):
        text = sample.decode(name, "replace")
        bad = text.count(_DAMAGED) + text.count("\x1b")
        if bad < fewest and not text.isascii():
            best, fewest = name, bad
    return best


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: mostly zero in one of the two byte places, hardly ever in the other."""
    even, odd = data[0 : len(data) // 2 * 2 : 2], data[1::2]
    if len(odd) < 4:
        return None
    zeros_even, zeros_odd = even.count(0) / len(even), odd.count(0) / len(odd)
    for name, high, low in (("utf-16-le", zeros_odd, zeros_even), ("utf-16-be", zeros_even, zeros_odd)):
        if high > 0.4 and low < 0.01:
            text = codecs.getincrementaldecoder(name)("replace").decode(data)
            usual = sum(map(str.isprintable, text)) + text.count("\n") - text.count(_DAMAGED)
            return name if usual > 0.9 * len(text) else None
    return None


def _mostly_utf8(data: bytes) -> bool:
    """Whether of the characters above 127 no more are broken than whole. In text of other encodings twice as many are."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(data)
    broken = text.count(_DAMAGED) - data.count(_DAMAGED_UTF8)
    whole = len(text) - text.count(_DAMAGED) - len(data.translate(None, _HIGH))
    return whole >= broken
