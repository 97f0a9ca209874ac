"""Text as rules read it: what looks alike is alike, so that a word is found however it is disguised.

Character by character: `\\u006b` as JSON escapes it becomes the character, NFKD and case folding take away widths, styles and
case, accents and characters of no width are left out, and Greek, Cyrillic and other letters that look like Latin ones become
those. The place of each character in the original is kept.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

_LATIN = {
    "а": "a", "в": "b", "е": "e", "ё": "e", "к": "k", "м": "m", "н": "h", "о": "o", "р": "p", "с": "c", "т": "t", "у": "y",
    "х": "x", "і": "i", "ї": "i", "ј": "j", "ѕ": "s", "ԁ": "d", "ԛ": "q", "ԝ": "w", "һ": "h", "ѵ": "v", "ӏ": "l",
    "α": "a", "β": "b", "ε": "e", "η": "n", "ι": "i", "κ": "k", "μ": "u", "ν": "v", "ο": "o", "ρ": "p", "τ": "t", "υ": "u",
    "χ": "x", "γ": "y", "ω": "w", "ϲ": "c", "ϳ": "j", "ա": "w", "ո": "n", "օ": "o", "ս": "u", "հ": "h", "զ": "q",
    "ɑ": "a", "ɡ": "g", "ɩ": "i", "ı": "i", "ɪ": "i", "ʟ": "l", "ɴ": "n", "ʀ": "r", "ᴀ": "a", "ʙ": "b", "ᴄ": "c", "ᴅ": "d",
    "ᴇ": "e", "ɢ": "g", "ʜ": "h", "ᴊ": "j", "ᴋ": "k", "ᴍ": "m", "ᴏ": "o", "ᴘ": "p", "ᴛ": "t", "ᴜ": "u", "ᴠ": "v", "ᴡ": "w",
    "ʏ": "y", "ᴢ": "z", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ħ": "h", "ł": "l", "ð": "d", "þ": "th",
}  # fmt: skip
"""Small letters that are taken for Latin ones: a part of Unicode's table of confusables (UTS 39), and letters with a stroke."""
_DRAWN = (0x1F150, 0x1F170, 0x1F1E6)
"""Where alphabets begin of letters in dark circles, in dark squares and on flags, which NFKD leaves as they are."""
_ACCENTS = (
    (0x300, 0x36F),
    (0x483, 0x489),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE00, 0xFE0F),
    (0xFE20, 0xFE2F),
)
"""Marks on letters of any script, and what chooses how a character is drawn. Vowels of Indic and Semitic scripts stay."""
_UNSEEN = (
    (0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0x2800, 0x2800), (0x3164, 0x3164),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""Characters that are drawn as nothing, beside those of format and control: Unicode's Default_Ignorable_Code_Point, and
Braille's empty cell."""
_LONGEST = 8
"""Letters that one character is read as, at most: an Arabic ligature is a sentence of eighteen."""
_ESCAPE = re.compile(r"\\u(?:([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|([0-9a-fA-F]{4}))")
_ODD = re.compile(r"[^\t\n\r\x20-\x7e]|\\u")
_BEGUN = re.compile(r"(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?|\\(?:u[0-9a-fA-F]{0,3})?)\Z")


class PlainText(NamedTuple):
    """Text as rules read it.

    Attributes:
        origin: where each of its characters stands in the original; and, last, how long that is.
    """

    text: str
    origin: Sequence[int]


def plain(text: str) -> PlainText:
    """A text as rules read it."""
    if not _ODD.search(text):
        return PlainText(text.lower(), range(len(text) + 1))
    letters: list[str] = []
    origin: list[int] = []
    for place, character in _characters(text):
        simple = _simple(character)
        letters.append(simple)
        origin.extend([place] * len(simple))
    return PlainText("".join(letters), [*origin, len(text)])


def whole(text: str) -> int:
    """How much of a text that goes on is certain to be whole characters: an escape that has begun at its end is not."""
    begun = _BEGUN.search(text)
    return len(text) if begun is None else begun.start()


def _characters(text: str) -> Iterator[tuple[int, str]]:
    """Characters with their places, an escape as the character that it stands for."""
    done = 0
    for escape in _ESCAPE.finditer(text):
        yield from enumerate(text[done : escape.start()], done)
        high, low, single = escape.groups()
        value = int(single, 16) if single else 0x10000 + (int(high, 16) - 0xD800) * 0x400 + int(low, 16) - 0xDC00
        yield escape.start(), chr(value)
        done = escape.end()
    yield from enumerate(text[done:], done)


@lru_cache(2**16)
def _simple(character: str) -> str:
    """What is read in place of a character."""
    for first in _DRAWN:
        if first <= ord(character) < first + 26:
            return chr(ord("a") + ord(character) - first)
    if "\ud800" <= character <= "\udfff":  # half of a character, which no search takes
        return "\ufffd"
    simple = "".join(each for each in unicodedata.normalize("NFKD", character)[:_LONGEST] if not _is_silent(each))
    folded = unicodedata.normalize("NFKD", simple.casefold())
    return "".join(_LATIN.get(each, each) for each in folded if not _is_silent(each))


def _is_silent(character: str) -> bool:
    """Whether it is drawn on another character or not at all."""
    if unicodedata.category(character) in ("Cf", "Cc") and character not in "\t\n\r\v\f":
        return True
    return any(first <= ord(character) <= last for first, last in (*_ACCENTS, *_UNSEEN))
